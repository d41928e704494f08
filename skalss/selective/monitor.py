"""MarginMonitor: how training goes, told by the margins of the rows it sees."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from .._skorch import first_output
from ._rows import Rows
from ._scoring import Head, are_class_scores, device_of, seconds
from .base import Selection

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
        Wall seconds spent on choosing rows, loading them included, and on steps.
    ``selection_cost``
        Seconds of a step with its selection over those of a step on a batch as it comes.
    ``selection_gain``
        Mean norm of the loss gradient, with respect to the logits, of the rows trained on over that of the
        pool: how many rows drawn at random pull as hard as one of those selected.
    ``rows_used``
        Share of the training rows that were trained on at least once since the training began; None where the
        loader cannot tell rows apart.
    ``class_counts``
        Rows trained on in this epoch, per class (a list).

    References
    ----------
    arXiv:1911.06996 for the signal; arXiv:1803.00942 for weighing the price of selection against its pull.
    """

    def __init__(self, warn=True):
        self.warn = warn

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Forget the last training."""
        self._head: Head | None = None
        self._used = torch.zeros(0, dtype=torch.bool)
        self._balance: list[tuple[float, float]] = []  # (cost, gain) of each epoch with selection

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Start the sums of an epoch."""
        self._n_rows = _length(dataset_train)
        self._margins: list[Tensor] = []
        self._rows: list[tuple[int, Tensor]] = []
        self._counts: list[Tensor] = []
        self._seconds_scoring = self._seconds_plain = self._seconds_training = 0.0
        self._chose = False

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        """Start the clock."""
        if training:
            self._began = seconds(device_of(net))

    def on_batch_end(
        self, net: Any, batch: Any = None, training: bool = False, y_pred: Any = None, **kwargs: Any
    ) -> None:
        """Look at the rows of a step."""
        if not training:
            return
        elapsed = seconds(device_of(net)) - self._began
        selection = getattr(net, "selection_", None) or Selection(Rows(batch))
        self._seconds_training += elapsed - selection.seconds_after
        self._seconds_scoring += selection.seconds + selection.seconds_after
        self._seconds_plain += selection.seconds_plain
        self._chose |= selection.picked is not None
        self._note_used(selection)
        output = first_output(y_pred if selection.output is None else selection.output).detach().float()
        rows = selection.rows
        if selection.output is None and selection.picked is not None:
            rows = rows.pick(selection.picked)
        y = Selection(rows).y
        if not are_class_scores(output, y):
            return
        if self._head is None:
            self._head = Head.find(net, rows, **getattr(net, "fit_params_", {}))
        y = y.to(output.device).reshape(-1).long()
        picked = slice(None) if selection.output is None or selection.picked is None else selection.picked
        class_scores = self._head.scores(output)
        margin = self._head.margin(output)
        wrong = (class_scores.argmax(dim=1) != y).float()
        pull = self._head.pull(output, y)
        smallest = margin.topk(min(N_SMALLEST, len(margin)), largest=False).values
        self._margins.append(torch.stack([smallest.mean(), margin.median()]))
        mean = rows.mean
        self._rows.append(
            (len(y), torch.stack([mean(wrong), wrong[picked].mean(), mean(pull), pull[picked].mean()]))
        )
        self._counts.append(torch.bincount(y[picked], minlength=class_scores.shape[1]))

    def _note_used(self, selection: Selection) -> None:
        ids = selection.rows.ids
        if ids is None or self._n_rows is None:
            return
        if len(self._used) < self._n_rows:
            self._used = torch.zeros(self._n_rows, dtype=torch.bool)
        self._used[ids if selection.picked is None else ids[selection.picked.cpu()]] = True

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the epoch into the history."""
        record: dict[str, Any] = dict.fromkeys(COLUMNS)
        record["seconds_scoring"] = self._seconds_scoring
        record["seconds_training"] = self._seconds_training
        plain = self._seconds_training + self._seconds_plain
        record["selection_cost"] = (self._seconds_training + self._seconds_scoring) / max(plain, 1e-9)
        if len(self._used):
            record["rows_used"] = float(self._used.float().mean())
        if self._margins:
            margins = torch.stack(self._margins).nanmean(dim=0)
            means = torch.stack([row for _, row in self._rows])
            sizes = torch.tensor([n for n, _ in self._rows], dtype=means.dtype, device=means.device)
            error_pool, error_selected, pull_pool, pull = (
                (means * sizes[:, None]).sum(dim=0) / sizes.sum()
            ).tolist()
            record["margin_smallest"], record["margin_median"] = margins.tolist()
            record["error_pool"], record["error_selected"] = error_pool, error_selected
            record["selection_gain"] = pull / pull_pool if pull_pool > 0 else 1.0
            record["class_counts"] = torch.stack(self._counts).sum(dim=0).tolist()
        for name, value in record.items():
            net.history.record(name, value)
        if self._chose and record["selection_gain"] is not None:
            self._balance.append((record["selection_cost"], record["selection_gain"]))

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Warn if selection did not pay."""
        self._head = None  # it would be pickled with the net, once more
        if not self.warn or not self._balance:
            return
        cost, gain = np.median(self._balance, axis=0)
        if gain < cost:
            warnings.warn(
                f"A step with its selection took {cost:.2f} times as long as the step alone, but the rows "
                f"chosen pulled only {gain:.2f} times as hard as random ones: selection probably cost more "
                "than it gave. Try selector='prune' or None, a smaller pool_factor, or a longer training, in "
                "which more rows become easy.",
                UserWarning,
                stacklevel=2,
            )


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except TypeError:
        return None
