"""MarginMonitor: how training goes, told by the margins of the rows it sees."""

from __future__ import annotations

import warnings
from collections.abc import Sized
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, PrintLog
from torch import Tensor

from ..network.skorch_net import first_output
from ..utils.checks import check_flag
from ..utils.tensors import as_numpy
from .base import Selection
from .rows import Rows
from .scoring import Head, are_class_scores, device_of, seconds

N_SMALLEST = 10  # as in the paper
COLUMNS = (
    "margin_smallest",
    "margin_median",
    "error_pool",
    "error_selected",
    "seconds_scoring",
    "seconds_training",
    "selection_cost",
    "selection_gain",
    "rows_used",
    "class_counts",
)


PRINTED = {"margin_smallest", "selection_cost"}  # with skorch's own columns, all that a line has room for


class MarginMonitor(Callback):
    """Record, epoch by epoch, margins, errors, seconds and the use of rows in the net's history.

    The mean of the smallest margins is the progress signal of the selective-sampling paper: it grows while
    the network learns to tell the hardest rows apart, and levels off when training is done. A network
    without a selector may be watched, too; margins are then those of the training pass.

    Parameters
    ----------
    warn : bool, default=True
        Whether to warn at the end of a training in which selection cost more than it gave.

    Notes
    -----
    Columns of ``net.history``, one value per epoch:

    ``margin_smallest``
        Mean of the ten smallest minimal margin scores of each pool, averaged over the updates.
    ``margin_median``
        Median margin of the pools' rows.
    ``error_pool``, ``error_selected``
        Share of wrongly classified rows in the pools, rows left out of them counted, and among the rows
        trained on.
    ``seconds_scoring``, ``seconds_training``
        Wall seconds spent on choosing rows, loading them and averaging the statistics of batch normalisation
        anew at the end of the epoch included, and on steps.
    ``selection_cost``
        Wall seconds of the steps with all that selection takes over those of the same steps on batches as
        they come: how many times as long as with ``selector=None`` such an epoch takes.
    ``selection_gain``
        Mean norm of the loss gradient, with respect to the logits, of the rows trained on over that of the
        pool: how many rows drawn at random pull as hard as one of those selected. It tells how far the rows
        chosen are from random ones, not how much sooner the training is done: a gain above the cost is no
        promise. Only a training of equal seconds with ``selector=None`` tells.
    ``rows_used``
        Share of the training rows that were trained on at least once since the training began; None where the
        loader cannot tell rows apart.
    ``class_counts``
        Rows trained on in this epoch, per class (a list).

    The table that skorch prints shows `margin_smallest` and `selection_cost` of these.

    References
    ----------
    arXiv:1911.06996 for the signal; arXiv:1803.00942 for weighing the price of selection against its pull.
    """

    def __init__(self, warn=True):
        self.warn = warn

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Forget the last training."""
        check_flag("warn", self.warn)
        self.head_: Head | None = None
        self.used_ = torch.zeros(0, dtype=torch.bool, device="cpu")
        self.balance_: list[tuple[float, float]] = []  # (cost, gain) of each epoch with selection
        for _, callback in net.callbacks_:
            if isinstance(callback, PrintLog):
                callback.keys_ignored_.update(set(COLUMNS) - PRINTED)

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Sized | None = None, **kwargs: Any) -> None:
        """Start the sums of an epoch."""
        self.n_rows_ = _length(dataset_train)
        self.margins_: list[Tensor] = []
        self.rows_: list[tuple[int, Tensor]] = []
        self.counts_: list[Tensor] = []
        self.seconds_scoring_ = self.seconds_plain_ = self.seconds_training_ = 0.0
        self.chose_ = False

    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Start the clock."""
        if training:
            self.began_ = seconds(device_of(net))

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, y_pred: Any = None, **kwargs: Any
    ) -> None:
        """Look at the rows of a step."""
        if not training:
            return
        elapsed = seconds(device_of(net)) - self.began_
        selection = getattr(net, "selection_", None) or Selection(Rows(batch))
        self.seconds_training_ += elapsed - selection.seconds_after
        self.seconds_scoring_ += selection.seconds + selection.seconds_after
        self.seconds_plain_ += selection.seconds_plain
        self.chose_ |= selection.picked is not None
        self._note_used(selection)
        output = first_output(y_pred if selection.output is None else selection.output).detach().float()
        rows = selection.rows
        if selection.output is None and selection.picked is not None:
            rows = rows.pick(selection.picked)
        y = Selection(rows).y
        if not are_class_scores(output, y):
            return
        if self.head_ is None:
            self.head_ = Head.find(net, rows, **getattr(net, "fit_params_", {}))
        y = y.to(output.device).reshape(-1).long()
        picked = slice(None) if selection.output is None or selection.picked is None else selection.picked
        class_scores = self.head_.scores(output)
        margin = self.head_.margin(output)
        wrong = (class_scores.argmax(dim=1) != y).float()
        pull = self.head_.pull(output, y)
        smallest = margin.topk(min(N_SMALLEST, len(margin)), largest=False).values
        self.margins_.append(torch.stack([smallest.mean(), margin.median()]))
        mean = rows.mean
        self.rows_.append(
            (len(y), torch.stack([mean(wrong), wrong[picked].mean(), mean(pull), pull[picked].mean()]))
        )
        self.counts_.append(torch.bincount(y[picked], minlength=class_scores.shape[1]))

    def _note_used(self, selection: Selection) -> None:
        ids = selection.rows.ids
        if ids is None or self.n_rows_ is None:
            return
        if len(self.used_) < self.n_rows_:
            self.used_ = torch.zeros(self.n_rows_, dtype=torch.bool, device="cpu")
        self.used_[as_numpy(ids if selection.picked is None else ids[selection.picked])] = True

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Write the epoch into the history."""
        record: dict[str, Any] = dict.fromkeys(COLUMNS)
        self.seconds_scoring_ += getattr(net, "seconds_recalibrating_", 0.0)
        record["seconds_scoring"] = self.seconds_scoring_
        record["seconds_training"] = self.seconds_training_
        plain = self.seconds_training_ + self.seconds_plain_
        record["selection_cost"] = (self.seconds_training_ + self.seconds_scoring_) / max(plain, 1e-9)
        if len(self.used_):
            record["rows_used"] = float(self.used_.float().mean())
        if self.margins_:
            margins = torch.stack(self.margins_).nanmean(dim=0)
            means = torch.stack([row for _, row in self.rows_])
            sizes = torch.tensor([n for n, _ in self.rows_], dtype=means.dtype, device=means.device)
            error_pool, error_selected, pull_pool, pull = (
                (means * sizes[:, None]).sum(dim=0) / sizes.sum()
            ).tolist()
            record["margin_smallest"], record["margin_median"] = margins.tolist()
            record["error_pool"], record["error_selected"] = error_pool, error_selected
            record["selection_gain"] = pull / pull_pool if pull_pool > 0 else 1.0
            record["class_counts"] = torch.stack(self.counts_).sum(dim=0).tolist()
        for name, value in record.items():
            net.history.record(name, value)
        if self.chose_ and record["selection_gain"] is not None:
            self.balance_.append((record["selection_cost"], record["selection_gain"]))

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Warn if selection did not pay."""
        self.head_ = None  # it would be pickled with the net, once more
        if not self.warn or not self.balance_:
            return
        cost, gain = np.median(self.balance_, axis=0)
        if gain < cost:
            warnings.warn(
                f"An epoch with selection took {cost:.2f} times as long as its steps alone, in measured "
                f"seconds, but the rows chosen pulled only {gain:.2f} times as hard as random ones: "
                "selection probably cost more than it gave. Try selector='prune' or None, a smaller "
                "pool_factor, or a longer training, in which more rows become easy.",
                UserWarning,
                stacklevel=2,
            )


def _length(dataset: Sized | None) -> int | None:
    try:
        return len(dataset)  # type: ignore[arg-type]
    except TypeError:
        return None
