"""Rows of a training iterator: joined, cut, left out and dealt in the numbers a selector asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from skorch.dataset import get_len
from torch import Tensor

from ..network.loader import TensorLoader, numbered, numbers, plain_loader, refetch


@dataclass
class Rows:
    """Some rows as a loader collates them.

    Parameters
    ----------
    batch : nested tensors
        What the loader yields: ``(X, y)``, X being a tensor or a dict, list or tuple of tensors. None: not
        fetched yet.
    ids : tensor of shape (n_rows,) or None
        Positions in the data set; None where the loader cannot tell them.
    weights : tensor of shape (n_rows,) or None
        What each row weighs in the loss; None: all the same.
    """

    batch: Any
    ids: Tensor | None = None
    weights: Tensor | None = None

    def __len__(self) -> int:
        if self.batch is None and self.ids is not None:
            return len(self.ids)
        return int(get_len(self.batch[0] if isinstance(self.batch, list | tuple) else self.batch))

    def pick(self, rows: Tensor | slice) -> Rows:
        """Return the rows at some positions; a slice gives views."""
        return Rows(*(None if part is None else _pick(part, rows) for part in vars(self).values()))

    def mean(self, values: Tensor) -> Tensor:
        """Average over the data set, of which easy rows may have been left out."""
        if self.weights is None:
            return values.mean()
        weights = self.weights.to(values.device)
        return (values * weights).sum() / weights.sum()

    @staticmethod
    def join(parts: list[Rows]) -> Rows:
        """Put rows end to end."""
        if len(parts) == 1:
            return parts[0]
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return Rows(*(None if any(c is None for c in column) else join(list(column)) for column in columns))


def _pick(nested: Any, rows: Tensor | slice) -> Any:
    if isinstance(nested, Tensor):
        return nested[rows if isinstance(rows, slice) else rows.to(nested.device)]
    if isinstance(nested, Mapping):
        return {name: _pick(part, rows) for name, part in nested.items()}
    if isinstance(nested, list | tuple):
        return type(nested)(_pick(part, rows) for part in nested)
    return np.asarray(nested)[rows if isinstance(rows, slice) else rows.cpu().numpy()]


def join(parts: list[Any]) -> Any:
    """Put nested tensors end to end."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(parts)
    if isinstance(first, Mapping):
        return {name: join([part[name] for part in parts]) for name in first}
    if isinstance(first, list | tuple):
        return type(first)(join(list(piece)) for piece in zip(*parts, strict=True))
    return np.concatenate(parts)


def _shapes(nested: Any) -> Any:
    """Return the shape of a row, part by part."""
    if isinstance(nested, Mapping):
        return {name: _shapes(part) for name, part in nested.items()}
    if isinstance(nested, list | tuple):
        return [_shapes(part) for part in nested]
    return tuple(np.shape(nested)[1:])


def _same_length(batch: Any, ids: Tensor | None) -> Rows:
    """Return rows without positions where collating left some out, or made several of one."""
    rows = Rows(batch)
    if ids is not None and len(ids) == len(rows):
        rows.ids = ids
    return rows


class RowStream:
    """The rows of a training iterator, pass after pass.

    Parameters
    ----------
    iterator : iterable
        Yields batches. Each pass starts it anew.

    Attributes
    ----------
    batch_size : int
        Rows of the first batch of the loader, before any are left out.
    n_batches : float
        Batches of one pass; infinity while nobody can know.
    """

    def __init__(self, iterator: Any):
        self._iterator = iterator
        self._refetch = refetch(iterator)
        # A loader that can fetch any rows is asked for positions first, so that none is fetched in vain.
        self._fetch = self._refetch if isinstance(plain_loader(iterator), TensorLoader) else None
        self._pass: Iterator[Any] | None = None
        self._waiting: list[Rows] = []
        self._seconds, self._n_read = 0.0, 0
        self.batch_size = 0
        try:
            self.n_batches = float(len(iterator))
        except TypeError:  # an iterator without a length shows it at the end of its first pass
            self.n_batches = float("inf")

    @property
    def at_start(self) -> bool:
        """Whether the next call starts a pass."""
        return self._pass is None

    def take_batch(self) -> Rows | None:
        """Return the next batch as the loader makes it; None at the end of a pass.

        Rows that `take` read and did not give are passed over.
        """
        self._waiting = []
        rows = self._next()
        return rows if rows is None else self._fetched(rows)

    def take(
        self, factor: float, keep: Callable[[Rows], Rows] | None = None, *, min_tail: int | None = None
    ) -> Rows | None:
        """Return `factor` batches' worth of rows of one pass.

        No row comes twice in one answer, since none crosses the end of a pass. What would be left for a last
        answer of fewer than `min_tail` rows (None: a batch) comes along.

        Parameters
        ----------
        factor : float
        keep : callable, default=None
            Takes the `Rows` of one batch and gives those that are wanted.
        min_tail : int, default=None
            Fewest rows that the last answer of a pass may have, if it is not the only one.

        Returns
        -------
        rows : Rows or None
            Fewer at the end of a pass; None if nothing is left of it.
        """
        n_waiting, over = sum(map(len, self._waiting)), False
        while not over and (self.batch_size == 0 or n_waiting < self._enough(factor, min_tail)):
            part = self._next(self._enough(factor, min_tail) - n_waiting)
            over = part is None
            part = part if part is None or keep is None else keep(part)
            if part is not None and len(part):
                self._waiting.append(part)
                n_waiting += len(part)
        if n_waiting < self._enough(factor, min_tail):
            self._pass = None
            return self._cut(n_waiting)
        return self._cut(self._wanted(factor))

    def _wanted(self, factor: float) -> int:
        return max(1, round(factor * self.batch_size))

    def _enough(self, factor: float, min_tail: int | None) -> int:
        return self._wanted(factor) + (self.batch_size if min_tail is None else min_tail)

    @property
    def seconds_per_batch(self) -> float:
        """What the loader takes for a batch, on average."""
        return self._seconds / self._n_read * self.batch_size if self._n_read else 0.0

    def _next(self, n_rows: int = 0) -> Rows | None:
        """Return the next batch, or several where they need not be fetched; None: the pass is over."""
        if self._pass is None:
            self._pass = numbered(self._iterator) if self._fetch is None else self._iterator.ids()
            self._n_yielded = 0
        if self._fetch is not None:
            n_wanted = max(1, -(-n_rows // self.batch_size)) if self.batch_size else 1
            ids = [numbers(item) for item in islice(self._pass, n_wanted)]
            self._n_yielded += len(ids)
            rows = Rows(None, torch.cat(ids)) if ids else None
        else:
            began = time.perf_counter()
            item = next(self._pass, None)
            self._n_yielded += item is not None
            rows = None if item is None else _same_length(*item)
            self._count(rows, began)
        if rows is None:
            self._pass, self.n_batches = None, float(self._n_yielded)
        else:
            self.batch_size = self.batch_size or len(rows)
        return rows

    def _count(self, rows: Rows | None, began: float) -> None:
        self._seconds += time.perf_counter() - began
        self._n_read += 0 if rows is None else len(rows)

    def _cut(self, n_rows: int) -> Rows | None:
        if n_rows == 0:
            return None
        parts: list[Rows] = []
        while n_rows > 0:
            part = self._waiting.pop(0)
            if len(part) > n_rows:
                self._waiting.insert(0, part.pick(slice(n_rows, None)))
                part = part.pick(slice(n_rows))
            parts.append(part)
            n_rows -= len(part)
        return self._fetched(self._joined(parts))

    def _joined(self, parts: list[Rows]) -> Rows:
        """Put rows end to end; where a batch was padded to a length of its own, all are collated anew."""
        different = [part for part in parts[1:] if _shapes(part.batch) != _shapes(parts[0].batch)]
        if not different:
            return Rows.join(parts)
        rows = Rows.join([Rows(None, part.ids, part.weights) for part in parts])
        if rows.ids is None or self._refetch is None:
            raise ValueError(
                "Rows are chosen from several batches, which must have rows of one shape, got "
                f"{_shapes(parts[0].batch)} and {_shapes(different[0].batch)}. Pad all rows to one length, "
                "or pad them in iterator_train__collate_fn of a plain DataLoader over a data set with a "
                "length, or pass selector=None."
            )
        rows.batch = self._refetch(rows.ids)
        return rows

    def _fetched(self, rows: Rows) -> Rows:
        if rows.batch is None and rows.ids is not None and self._fetch is not None:
            began = time.perf_counter()
            rows.batch = self._fetch(rows.ids)
            self._count(rows, began)
        return rows
