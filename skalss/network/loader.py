"""Training batches: slices of tensors instead of row-by-row collation, and rows that know their number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from sklearn.base import BaseEstimator
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset

from ..utils.seeds import own_generator
from ..utils.tensors import as_tensor


class TensorLoader:
    """Batches of a skorch Dataset that holds tensors, or of a Subset of one.

    A last batch of a single row joins the batch before it, since batch normalisation cannot train on one.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset, torch.utils.data.Subset or NumberedRows
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
        self._numbered = isinstance(dataset, NumberedRows)
        self._X, self._y, self._rows = _tensors(dataset.dataset if self._numbered else dataset)

    def __len__(self) -> int:
        """Return the number of batches of a pass."""
        n_rows = self._n_rows
        if self.drop_last:
            return n_rows // self.batch_size
        n_batches = -(-n_rows // self.batch_size)
        lone_row = n_batches > 1 and self.batch_size > 1 and n_rows % self.batch_size == 1
        return n_batches - lone_row

    def __iter__(self) -> Iterator[Any]:
        """Yield batches ``(X, y)``, or ``((X, y), ids)`` of numbered rows."""
        for ids in self.ids():
            yield (self.fetch(ids), numbers(ids)) if self._numbered else self.fetch(ids)

    def ids(self) -> Iterator[slice | Tensor]:
        """Yield which rows the batches of a pass hold."""
        n_rows, n_batches = self._n_rows, len(self)
        order = draw_order(n_rows) if self.shuffle and self.sampler is None else None
        if self.sampler is not None:
            order = torch.tensor(list(self.sampler), device="cpu")
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


class NumberedRows(torch.utils.data.Dataset):
    """A data set whose samples come with their position: ``(sample, i)``."""

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return self.dataset[i], i


class _NumberedCollate:
    """Collate samples as the loader would, and their positions beside them."""

    def __init__(self, collate: Callable[[list], Any]):
        self.collate = collate

    def __call__(self, samples: list[tuple[Any, int]]) -> tuple[Any, Tensor]:
        rows, ids = zip(*samples, strict=True)
        return self.collate(list(rows)), torch.tensor(ids, device="cpu")


def can_number(iterator: Iterable[Any], dataset: Dataset) -> bool:
    """Whether batches of a loader class can come with the positions of their rows."""
    known = isinstance(iterator, type) and issubclass(iterator, DataLoader | TensorLoader)
    return known and not isinstance(dataset, IterableDataset)


def number_batches(iterator: Iterable[Any]) -> Any:
    """Let a loader of `NumberedRows` yield ``(batch, ids)``, whatever its own way to collate."""
    if isinstance(iterator, DataLoader) and iterator.batch_sampler is not None:
        iterator.collate_fn = _NumberedCollate(iterator.collate_fn)
    return iterator
