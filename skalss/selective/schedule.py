"""EarlyDropLR: an earlier drop of the learning rate, in shares of the training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..schedules import LEAST, BaseSchedule
from ..utils.checks import check_choice, check_real, check_share, show


class EarlyDropLR(BaseSchedule):
    """Drop the learning rate early, at shares of the training.

    A network that trains on hard rows only is ready for smaller learning rates sooner, so the drop comes
    early and the training is short. The learning rate rises linearly over the share `warmup`, and then either
    falls linearly to 0, from the first moment on, or is multiplied by `factor` at each of the `drops`.

    Parameters
    ----------
    drops : "linear" or sequence of float, default="linear"
        Shares of the training, in [0, 1], in ascending order.
    factor : float, default=0.1
        What the learning rate is multiplied by at each drop.
    warmup : float, default=0.1
        Share of the training over which the learning rate rises from near 0.

    Notes
    -----
    The learning rate is set before each update, relative to that of each parameter group at the start of the
    training. The training is `max_epochs` of the net, in `partial_fit` as in `fit`.

    References
    ----------
    The early drop of arXiv:1911.06996.

    Examples
    --------
    >>> from skalss.nets import MLP
    >>> from skalss.selective import EarlyDropLR, SelectiveNetClassifier
    >>> net = SelectiveNetClassifier(MLP, callbacks=[("lr", EarlyDropLR())], callbacks__lr__warmup=0.05)
    >>> round(EarlyDropLR().scale(0.55), 3), EarlyDropLR(drops=(0.5, 0.75)).scale(0.6)
    (0.5, 0.1)
    """

    def __init__(self, drops="linear", factor=0.1, warmup=0.1):
        self.drops = drops
        self.factor = factor
        self.warmup = warmup

    @classmethod
    def paper(cls) -> EarlyDropLR:
        """Return the published early regime for CIFAR-10: a tenth after 32, 35 and 38 of 40 uniform epochs.

        The drops are those of the authors' set-up, at 24,992, 27,335 and 29,678 updates of 64 rows. How long
        they trained after the last was not available to us; two epochs are our choice.
        """
        return cls(drops=(0.8, 0.875, 0.95), factor=0.1, warmup=0.0)

    def scale(self, progress: float) -> float:
        """Return the factor on the learning rate when a share of the training is done.

        Parameters
        ----------
        progress : float
            In [0, 1].

        Returns
        -------
        scale : float
            Never 0: an update of nothing would be lost.
        """
        if progress < self.warmup:
            return max(progress / self.warmup, LEAST)
        if isinstance(self.drops, str):
            return max((1 - progress) / max(1 - self.warmup, LEAST), LEAST)
        return self.factor ** sum(progress >= drop for drop in self.drops)

    def check(self) -> None:
        """Refuse shares outside [0, 1] and drops that do not ascend.

        Raises
        ------
        ValueError, TypeError
        """
        check_share("warmup", self.warmup)
        check_real("factor", self.factor)
        if isinstance(self.drops, str):
            check_choice("drops", self.drops, ("linear",), also="shares of the training")
            return
        if not isinstance(self.drops, Sequence | np.ndarray) or not np.iterable(self.drops):
            raise TypeError(f"drops must be 'linear' or shares of the training, got {show(self.drops)}.")
        for drop in self.drops:
            check_share("drops", drop)
        if self.factor <= 0 or list(self.drops) != sorted(self.drops):
            raise ValueError(
                f"factor must be above 0 and drops must ascend, got factor={show(self.factor)} "
                f"and drops={show(self.drops)}."
            )
