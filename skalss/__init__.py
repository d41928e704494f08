"""skalss: learn from few, well-chosen labels and train on few, well-chosen rows."""

from .campaign import (
    Batch,
    Campaign,
    MaxCost,
    MaxFailures,
    MaxRounds,
    OracleAnswerError,
    OracleError,
    PredictionsAgree,
    Progress,
    ScoreReached,
    StoppingRule,
)
from .ledger import Ledger, LedgerError, LedgerLockedError, LedgerMismatchError
from .network import TaskNet, load_model
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
    "MaxCost",
    "MaxFailures",
    "MaxRounds",
    "OracleAnswerError",
    "OracleError",
    "PredictionsAgree",
    "Progress",
    "ScoreReached",
    "SelectiveNetClassifier",
    "StoppingRule",
    "TaskNet",
    "load_model",
]
