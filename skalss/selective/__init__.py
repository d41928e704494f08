"""Rows worth a training step: nets that choose them, selectors, schedules and monitors."""

from .base import BaseSelector, Selection
from .hardest import HardestRows
from .monitor import MarginMonitor
from .negatives import HardNegatives
from .net import SelectiveNetBinaryClassifier, SelectiveNetClassifier, SelectiveNetRegressor
from .prune import PruneEasyRows
from .random import RandomRows
from .schedule import EarlyDropLR

__all__ = [
    "BaseSelector",
    "EarlyDropLR",
    "HardNegatives",
    "HardestRows",
    "MarginMonitor",
    "PruneEasyRows",
    "RandomRows",
    "Selection",
    "SelectiveNetBinaryClassifier",
    "SelectiveNetClassifier",
    "SelectiveNetRegressor",
]
