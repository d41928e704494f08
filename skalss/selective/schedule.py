"""EarlyDropLR: an earlier drop of the learning rate, in shares of the training."""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback

from ..utils.checks import check_choice, check_real, check_share, show

LEAST = 1e-3  # of the learning rate


class EarlyDropLR(Callback):
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

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Remember where the training starts."""
        self._check()
        self.first_epoch_ = len(net.history)
        self.base_ = [group["lr"] for group in self._groups(net)]

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Sized | None = None, **kwargs: Any) -> None:
        """Count the updates that the epoch will have."""
        self.epoch_ = len(net.history) - 1 - self.first_epoch_
        self.n_updates_ = 0
        self.n_expected_: float
        try:
            n_rows = len(dataset_train)  # type: ignore[arg-type]
            batch_size = net.get_params_for("iterator_train").get("batch_size", net.batch_size)
            self.n_expected_ = math.ceil(n_rows / (n_rows if batch_size == -1 else batch_size))
        except TypeError:  # a stream: as many as in the epoch before
            past = net.history[-2]["train_batch_count"] if self.epoch_ else 0
            self.n_expected_ = past or math.inf

    def on_batch_begin(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Set the learning rate of the update to come."""
        if not training:
            return
        share = min(self.n_updates_ / self.n_expected_, 1.0)
        n_epochs = getattr(net, "n_epochs_", net.max_epochs)
        scale = self.scale(min((self.epoch_ + share) / n_epochs, 1.0))
        for group, base in zip(self._groups(net), self.base_, strict=True):
            group["lr"] = base * scale
        self.n_updates_ += 1

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Put the learning rates back, so that a further training starts where this one did."""
        for group, base in zip(self._groups(net), self.base_, strict=True):
            group["lr"] = base

    @staticmethod
    def _groups(net: NeuralNet) -> list[dict[str, Any]]:
        return [group for name in net._optimizers for group in getattr(net, f"{name}_").param_groups]

    def _check(self) -> None:
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
