"""Which rows an epoch takes: labelled ones, and at first as many pseudo-labelled ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from skorch import NeuralNet
from skorch.helper import predefined_split
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, Subset

from .loader import TensorLoader, draw_order

MIN_ROWS = 512  # of an epoch with pseudo-labels: there is more to learn than the few labels


class Pseudo(NamedTuple):
    """Rows with pseudo-labels.

    Attributes
    ----------
    X : array of shape (n, ...)
    y : array of shape (n,)
    until : float
        Share of the epochs in which they are trained on.
    """

    X: Any
    y: Any
    until: float


class EpochSampler(Sampler[int]):
    """Draws the rows of each epoch out of a data set whose first rows are labelled.

    Parameters
    ----------
    n_labeled : int
    n_pseudo : int, default=0
        Rows behind the labelled ones, with pseudo-labels.
    min_rows : int, default=1
        Rows of an epoch, at least; fewer labelled rows are passed over several times.
    n_mixed : int, default=0
        Epochs of which half the rows are pseudo-labelled; later ones take labelled rows alone.
    epoch : callable, default=None
        Returns the number of the present epoch, from 0. A selective net makes several passes in one, so they
        cannot be counted. None: always the first.
    """

    def __init__(
        self,
        n_labeled: int,
        n_pseudo: int = 0,
        min_rows: int = 1,
        n_mixed: int = 0,
        epoch: Callable[[], int] | None = None,
    ):
        self.n_labeled = n_labeled
        self.n_pseudo = n_pseudo
        self.n_rows = max(n_labeled, min_rows)
        self.n_mixed = n_mixed if n_pseudo else 0
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of rows of a pass."""
        return self.n_rows

    def __iter__(self) -> Iterator[int]:
        """Yield the rows of a pass, drawn by torch's generator."""
        epoch = 0 if self.epoch is None else self.epoch()
        n_pseudo = self.n_rows // 2 if epoch < self.n_mixed else 0
        rows = _passes(self.n_labeled, self.n_rows - n_pseudo)
        if n_pseudo:
            rows = torch.cat([rows, self.n_labeled + _passes(self.n_pseudo, n_pseudo)])
            rows = rows[draw_order(len(rows))]
        return iter(rows.tolist())


def _passes(n_rows: int, n: int) -> Tensor:
    """Draw `n` of `n_rows` rows: none twice before all were drawn."""
    return torch.cat([draw_order(n_rows) for _ in range(-(-n // n_rows))])[:n]


@contextmanager
def drawing_epochs(
    net: NeuralNet,
    rows: Tensor,
    y: Tensor,
    pseudo: tuple[Tensor, Tensor] | None,
    until: float,
    min_rows: int | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Let a net, for one training, draw its epochs from labelled and pseudo-labelled rows.

    Parameters
    ----------
    net : skorch net
        Initialised.
    rows, y : tensors
        Labelled.
    pseudo : tuple of tensors or None
        Rows and their pseudo-labels.
    until : float
        Share of the epochs with pseudo-labels.
    min_rows : int or None
        Rows of an epoch, at least.

    Yields
    ------
    rows, y : tensors
        What the net is to be trained on.
    """
    if pseudo is None and (min_rows is None or min_rows <= len(rows)):
        yield rows, y
        return
    loader, given = net.iterator_train, net.get_params(deep=False)
    if not (isinstance(loader, type) and issubclass(loader, DataLoader | TensorLoader)):
        raise ValueError(
            f"Pseudo-labels and min_epoch_rows need a DataLoader as iterator_train, got {loader!r}. Leave "
            "iterator_train as it is, or train without them."
        )
    for name in ("iterator_train__sampler", "iterator_train__batch_sampler"):
        if given.get(name) is not None:
            raise ValueError(
                f"Pseudo-labels and min_epoch_rows draw the rows of an epoch, and the net has {name}. "
                "Leave it out, or train without them."
            )
    changed = {"train_split": net.train_split, "iterator_train__sampler": None}
    changed["iterator_train__shuffle"] = given.get("iterator_train__shuffle", False)
    if net.train_split is not None:
        # Held-out rows are taken of the labelled ones alone.
        train, valid = net.get_split_datasets(rows, y)
        if isinstance(train, Subset):
            kept = torch.as_tensor(train.indices, device=rows.device)
            rows, y = rows[kept], y[kept]
        net.train_split = None if valid is None else predefined_split(valid)
    n_labeled, n_pseudo = len(rows), 0
    if pseudo is not None:
        n_pseudo = len(pseudo[0])
        rows, y = torch.cat([rows, pseudo[0]]), torch.cat([y, pseudo[1]])
    n_before = len(net.history) + 1  # an epoch has its line in the history when it begins
    sampler = EpochSampler(
        n_labeled,
        n_pseudo,
        min_rows or MIN_ROWS,
        n_mixed=round(until * net.max_epochs),
        epoch=lambda: len(net.history) - n_before,
    )
    # As attributes: an initialised net refuses parameters of its iterators in set_params.
    vars(net).update(iterator_train__sampler=sampler, iterator_train__shuffle=False)
    try:
        yield rows, y
    finally:
        vars(net).update(changed)
