"""Training batches: slices of tensors instead of row-by-row collation, and rows that know their number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from sklearn.base import BaseEstimator
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Sampler, Subset, default_collate

from ..utils.seeds import own_generator
from ..utils.tensors import as_tensor


class TensorLoader:
    """Batches of a skorch Dataset that holds tensors, or of a Subset of one.

    A last batch of a single row joins the batch before it, since batch normalisation cannot train on one.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset or torch.utils.data.Subset
    batch_size : int, default=1
        -1: all rows at once, as skorch has it.
    shuffle : bool, default=False
        Whether each pass takes the rows in a new order, drawn from torch's generator.
    drop_last : bool, default=False
        Whether a last batch smaller than `batch_size` is left out.
    sampler : iterable of int with a length, default=None
        Which rows a pass takes, in their order; None: all, as `shuffle` says.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        sampler: BaseEstimator | None = None,
    ):
        self.dataset = dataset
        self.sampler = sampler
        self._n_rows = len(dataset) if sampler is None else len(sampler)
        self.batch_size = self._n_rows if batch_size == -1 else batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self._X, self._y, self._rows = _tensors(dataset)

    def __len__(self) -> int:
        """Return the number of batches of a pass."""
        n_rows = self._n_rows
        if self.drop_last:
            return n_rows // self.batch_size
        n_batches = -(-n_rows // self.batch_size)
        lone_row = n_batches > 1 and self.batch_size > 1 and n_rows % self.batch_size == 1
        return n_batches - lone_row

    def __iter__(self) -> Iterator[Any]:
        """Yield batches ``(X, y)``."""
        return map(self.fetch, self.ids())

    def ids(self) -> Iterator[slice | Tensor]:
        """Yield which rows the batches of a pass hold.

        Raises
        ------
        ValueError
            If the sampler draws a row that is not there.
        """
        n_rows, n_batches = self._n_rows, len(self)
        order = draw_order(n_rows) if self.shuffle and self.sampler is None else None
        if self.sampler is not None:
            order = torch.tensor(list(self.sampler), dtype=torch.long, device="cpu")
            _check_drawn(order, len(self.dataset))
        for i in range(n_batches):
            last = i == n_batches - 1 and not self.drop_last
            rows = slice(i * self.batch_size, n_rows if last else (i + 1) * self.batch_size)
            yield rows if order is None else order[rows]

    def fetch(self, ids: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows ``(X, y)`` at some positions of the data set."""
        rows = ids if self._rows is None else self._rows[ids]
        if isinstance(rows, Tensor):
            rows = rows.to(self._X.device)
        return self._X[rows], self._y[rows]


class AugmentedLoader:
    """Batches of another loader, changed as they come.

    Parameters
    ----------
    loader : iterable
        Yields batches.
    augment : callable
        From a batch to a batch of the same rows.
    """

    def __init__(self, loader: Iterable[Any], augment: Callable[[Any], Any]):
        self.loader = loader
        self.augment = augment

    def __len__(self) -> int:
        """Return the number of batches of a pass, where the loader knows it."""
        return len(self.loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        """Yield batches."""
        return map(self.augment, self.loader)

    def __getattr__(self, name: str) -> Any:  # such as dataset
        if name == "loader":  # in a copy that has no attributes yet
            raise AttributeError(name)
        return getattr(self.loader, name)


def plain_loader(loader: Iterable[Any]) -> Any:
    """Return a loader of rows as they are."""
    return loader.loader if isinstance(loader, AugmentedLoader) else loader


def draw_order(n: int) -> Tensor:
    """Return the numbers below `n` in an order drawn on the CPU."""
    return torch.randperm(n, generator=own_generator(), device="cpu")


def numbers(ids: slice | Tensor) -> Tensor:
    """Return positions as a tensor."""
    return torch.arange(ids.start, ids.stop, device="cpu") if isinstance(ids, slice) else ids


def _tensors(dataset: Dataset) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return X, y and which of their rows the data set holds; None: all, in order."""
    if isinstance(dataset, Subset):
        X, y, rows = _tensors(dataset.dataset)
        chosen = torch.as_tensor(dataset.indices, device="cpu")
        return X, y, chosen if rows is None else rows[chosen]
    if not isinstance(dataset, Dataset) or not isinstance(dataset.X, Tensor):
        raise TypeError(
            f"TensorLoader takes a skorch Dataset of tensors, got {type(dataset).__name__}. "
            "For other data, set iterator_train=torch.utils.data.DataLoader on the net."
        )
    X, y = dataset.X, dataset.y
    return X, X.new_zeros(len(X)) if y is None else as_tensor(y, X.device), None


def _check_drawn(order: Tensor, n_rows: int) -> None:
    if len(order) and not 0 <= int(order.min()) <= int(order.max()) < n_rows:
        raise ValueError(
            f"The sampler drew rows from {int(order.min())} to {int(order.max())}, but there are {n_rows} "
            "rows to train on. Make iterator_train__sampler for the rows of this fit; in a campaign their "
            "number grows, so leave it out there."
        )


class _Drawn(Sampler[list[int]]):
    """A batch sampler that remembers which rows it drew in the pass at hand."""

    def __init__(self, batch_sampler: Any):
        self.batch_sampler = batch_sampler
        self.waiting: deque[list[int]] = deque()

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[list[int]]:
        waiting: deque[list[int]] = deque()
        self.waiting = waiting
        for ids in self.batch_sampler:
            waiting.append(list(ids))
            yield waiting[-1]

    def __getattr__(self, name: str) -> Any:  # such as set_epoch
        if name == "batch_sampler":  # in a copy that has no attributes yet
            raise AttributeError(name)
        return getattr(self.batch_sampler, name)


def can_number(loader: Iterable[Any]) -> bool:
    """Whether the positions of the rows of a loader's batches can be known."""
    loader = plain_loader(loader)
    if not isinstance(loader, DataLoader):
        return isinstance(loader, TensorLoader)
    in_order = loader.num_workers == 0 or getattr(loader, "in_order", True)
    return loader.batch_sampler is not None and in_order and not isinstance(loader.dataset, IterableDataset)


def numbered(loader: Iterable[Any]) -> Iterator[tuple[Any, Tensor | None]]:
    """Yield the batches of one pass of a loader as it makes them, each with the positions of its rows.

    A `DataLoader` is asked which rows it drew, so its data set, workers, collating and what a subclass does
    to its batches stay as they are.

    Parameters
    ----------
    loader : iterable
        Yields batches.

    Yields
    ------
    batch : as of the loader
    ids : tensor of shape (n_rows,) or None
        Positions in the data set; None where nobody knows.
    """
    if isinstance(loader, AugmentedLoader):
        yield from ((loader.augment(batch), ids) for batch, ids in numbered(loader.loader))
        return
    if isinstance(loader, TensorLoader):
        yield from ((loader.fetch(ids), numbers(ids)) for ids in loader.ids())
        return
    if not isinstance(loader, DataLoader) or not can_number(loader):
        yield from ((batch, None) for batch in loader)
        return
    drawn = loader.batch_sampler
    if not isinstance(drawn, _Drawn):
        drawn = _Drawn(drawn)
        vars(loader)["batch_sampler"] = drawn  # a DataLoader refuses new attributes, save in this way
    waiting: deque[list[int]] | None = None
    for batch in loader:
        waiting = drawn.waiting if waiting is None else waiting
        yield batch, torch.tensor(waiting.popleft(), device="cpu") if waiting else None


def refetch(loader: Iterable[Any]) -> Callable[[Tensor], Any] | None:
    """Return what makes a batch of the rows at any positions, as the loader would; None where nothing can."""
    if isinstance(loader, AugmentedLoader):
        augment, fetch = loader.augment, refetch(loader.loader)
        return None if fetch is None else lambda ids: augment(fetch(ids))
    if not isinstance(loader, DataLoader):
        return loader.fetch if isinstance(loader, TensorLoader) else None
    own_iter = type(loader).__iter__ is not DataLoader.__iter__
    if own_iter or not can_number(loader) or loader.collate_fn is default_collate:
        return None
    return lambda ids: loader.collate_fn([loader.dataset[i] for i in ids.tolist()])
