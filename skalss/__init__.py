"""skalss: learn from few, well-chosen labels and train on few, well-chosen rows."""

from .campaign import Batch, Campaign
from .campaign.buying import OracleAnswerError, OracleError
from .ledger import Ledger, LedgerError, LedgerLockedError, LedgerMismatchError
from .network.tasknet import TaskNet
from .sampler import AdaptiveLatentSampler
from .selective import SelectiveNetClassifier

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
