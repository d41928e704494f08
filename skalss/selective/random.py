"""RandomRows: the control arm of selection, random rows of a pool."""

from __future__ import annotations

from skorch import NeuralNet
from torch import Tensor

from ..network.loader import draw_order
from .base import PoolSelector, Selection


class RandomRows(PoolSelector):
    """Train on random rows of a pool: all that a selector does, without its choice.

    Parameters
    ----------
    pool_factor : float, default=3
        Rows of a pool in batches.
    start, end : float, default=0.0 and 1.0
        Select between these shares of the training.
    """

    def __init__(self, *, pool_factor=3, start=0.0, end=1.0):
        self.pool_factor = pool_factor
        self.start = start
        self.end = end

    def pick(self, net: NeuralNet, selection: Selection, n: int) -> Tensor:
        """Return `n` random positions of the pool."""
        return draw_order(len(selection.rows))[:n]
