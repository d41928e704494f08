"""Learning rates that change over a training, step by step, and begin anew with the next one."""

from __future__ import annotations

import math
from collections.abc import Sized
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from .utils.checks import check_share

LEAST = 1e-3  # of the learning rate, while it rises
_MEMORY = "skalss_schedule"  # in each parameter group: the learning rate set last, and what it is a part of


class BaseSchedule(Callback):
    """Abstract: sets the learning rate before each update, by the share of the training that is done.

    A concrete schedule writes `scale`, and `check` if it has parameters. The learning rate is relative to
    that of each parameter group when the training begins, and is put back at its end, so that `partial_fit`,
    or the next round of a campaign, begins anew. A training is `max_epochs` of the net, in `partial_fit` as
    in `fit`, however many updates an epoch has.
    """

    def scale(self, progress: float) -> float:
        """Return the factor on the learning rate when a share of the training, in [0, 1], is done."""
        raise NotImplementedError

    def check(self) -> None:
        """Refuse wrong parameters."""

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Remember where the training starts."""
        self.check()
        self.first_epoch_ = len(net.history)
        for group in self._groups(net):
            # After a training that broke off, or with an optimizer from a checkpoint, lr is still scheduled.
            last, base = group.get(_MEMORY, (None, None))
            group[_MEMORY] = (group["lr"], base if group["lr"] == last else group["lr"])

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Sized | None = None, **kwargs: Any) -> None:
        """Count the updates that the epoch will have."""
        self.epoch_ = len(net.history) - 1 - self.first_epoch_
        self.n_updates_ = 0
        self.n_expected_ = self._n_expected(net, dataset_train)

    def _n_expected(self, net: NeuralNet, dataset_train: Sized | None) -> float:
        try:
            return len(net.get_iterator(dataset_train, training=True)) or math.inf
        except TypeError:  # a stream: as many as in the epoch before
            past = net.history[-2].get("train_batch_count") if self.epoch_ else 0
            return past or math.inf

    def on_batch_begin(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Set the learning rate of the update to come."""
        if not training:
            return
        share = min(self.n_updates_ / self.n_expected_, 1.0)
        n_epochs = getattr(net, "n_epochs_", net.max_epochs)
        scale = self.scale(min((self.epoch_ + share) / n_epochs, 1.0))
        for group in self._groups(net):
            base = group[_MEMORY][1]
            group["lr"] = base * scale
            group[_MEMORY] = (group["lr"], base)
        self.n_updates_ += 1

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Put the learning rates back, so that a further training starts where this one did."""
        for group in self._groups(net):
            group["lr"] = group.pop(_MEMORY, (None, group["lr"]))[1]  # a second schedule finds it gone

    @staticmethod
    def _groups(net: NeuralNet) -> list[dict[str, Any]]:
        return [group for name in net._optimizers for group in getattr(net, f"{name}_").param_groups]


class CosineLR(BaseSchedule):
    """Let the learning rate fall to 0 by half a cosine, over each training.

    The first share of the training it rises linearly. Other than ``skorch.callbacks.LRScheduler``, which goes
    on where the last training ended, it begins anew at each `fit`, `partial_fit` and round of a campaign, and
    it needs no number of steps: `max_epochs`, `min_epoch_rows` and pseudo-labels make them.

    Parameters
    ----------
    warmup : float, default=0.1
        Share of the training over which the learning rate rises; 0: none.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", arXiv:1608.03983.

    Examples
    --------
    >>> from skalss.nets import net_classifier
    >>> from skalss.schedules import CosineLR
    >>> net = net_classifier(callbacks=[("lr", CosineLR())], callbacks__lr__warmup=0.2)
    >>> CosineLR(warmup=0).scale(0.5), CosineLR(warmup=0).scale(1.0)
    (0.5, 0.0)
    """

    def __init__(self, warmup: float = 0.1):
        self.warmup = warmup

    def check(self) -> None:
        """Refuse a share outside [0, 1].

        Raises
        ------
        ValueError, TypeError
        """
        check_share("warmup", self.warmup)

    def scale(self, progress: float) -> float:
        """Return the factor on the learning rate when a share of the training is done.

        Parameters
        ----------
        progress : float
            In [0, 1].

        Returns
        -------
        scale : float
        """
        if progress < self.warmup:
            return max(progress / self.warmup, LEAST)
        share = (progress - self.warmup) / (1 - self.warmup) if self.warmup < 1 else 0.0
        return (1 + math.cos(math.pi * share)) / 2
