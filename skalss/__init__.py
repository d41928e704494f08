"""skalss: learn from few, well-chosen labels and train on few, well-chosen rows."""

from .campaign import Batch, Campaign, OracleAnswerError, OracleError
from .sampler import AdaptiveLatentSampler
from .selective import SelectiveNetClassifier
from .tasknet import TaskNet

__version__ = "0.1.0.dev0"

__all__ = [
    "AdaptiveLatentSampler",
    "Batch",
    "Campaign",
    "OracleAnswerError",
    "OracleError",
    "SelectiveNetClassifier",
    "TaskNet",
]
