"""HardNegatives: hard-negative mining, the baseline of the selective-sampling paper."""

from __future__ import annotations

import torch
from skorch import NeuralNet
from torch import Tensor

from ..utils.checks import check_positive_int
from ..utils.devices import resolve_dtype, warn_of_emulation
from ..utils.seeds import own_generator
from .base import PoolSelector, Selection
from .hardest import hardest_by_class
from .rows import Rows
from .scoring import device_of, outputs, row_losses


class HardNegatives(PoolSelector):
    """Train on the rows of highest loss, class by class, and on ever fewer random rows beside them.

    The share of hard rows grows with the epochs; the rest of a batch is random and balanced over classes.

    Parameters
    ----------
    pool_factor : float, default=3
        Rows of a pool in batches.
    ramp_epochs : int, default=10
        In epoch e, from 1, ``min(1, e / ramp_epochs)`` of a batch are hard rows.
    start, end : float, default=0.0 and 0.9
        Select between these shares of the training.
    score_dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the scoring pass.
    score_chunk : int, default=256
        Rows a scoring pass takes at a time.

    References
    ----------
    The baseline of arXiv:1911.06996.
    """

    needs_classes = True

    def __init__(
        self, *, pool_factor=3, ramp_epochs=10, start=0.0, end=0.9, score_dtype="auto", score_chunk=256
    ):
        self.pool_factor = pool_factor
        self.ramp_epochs = ramp_epochs
        self.start = start
        self.end = end
        self.score_dtype = score_dtype
        self.score_chunk = score_chunk

    def check(self) -> None:
        """Refuse wrong parameters before training starts.

        Raises
        ------
        ValueError
        """
        super().check()
        check_positive_int("ramp_epochs", self.ramp_epochs)
        check_positive_int("score_chunk", self.score_chunk)
        resolve_dtype(self.score_dtype, torch.device("cpu"), name="score_dtype")

    def start_training(self, net: NeuralNet) -> None:
        """Get ready for the first epoch of a training."""
        super().start_training(net)
        warn_of_emulation("score_dtype", self.score_dtype, device_of(net))

    def look(self, net: NeuralNet, pool: Rows, **fit_params) -> Tensor:
        """Pass the pool through the network, in eval mode."""
        return outputs(net, pool, dtype=self.score_dtype, chunk=self.score_chunk, whole=True, **fit_params)

    def pick(self, net: NeuralNet, selection: Selection, n: int) -> Tensor:
        """Return the rows of highest loss, then random ones of those left."""
        y = selection.y
        loss = torch.nan_to_num(row_losses(net, selection.output, y, selection.X), nan=-torch.inf)
        n_hard = round(n * min(1.0, net.epoch_ / self.ramp_epochs))
        hard = hardest_by_class(loss, y, n_hard)
        chance = torch.rand(len(y), generator=own_generator(y.device), device=y.device)
        chance[hard] = -1.0  # taken
        rest = torch.arange(len(y), device=y.device)[chance >= 0]
        return torch.cat([hard, rest[hardest_by_class(chance[rest], y[rest], n - n_hard)]])
