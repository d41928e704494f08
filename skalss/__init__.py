"""skalss: learn from few, well-chosen labels and train on few, well-chosen rows."""

from ._buying import OracleAnswerError, OracleError
from .campaign import Batch, Campaign
from .ledger import Ledger, LedgerError, LedgerLockedError, LedgerMismatchError
from .sampler import AdaptiveLatentSampler
from .selective import SelectiveNetClassifier
from .tasknet import TaskNet

__version__ = "0.1.0.dev0"

__all__ = [
    "AdaptiveLatentSampler",
    "Batch",
    "Campaign",
    "Ledger",
    "LedgerError",
    "LedgerLockedError",
    "LedgerMismatchError",
    "OracleAnswerError",
    "OracleError",
    "SelectiveNetClassifier",
    "TaskNet",
]
