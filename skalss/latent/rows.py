"""Rows for training: batches as scaled float32 tensors, from memory or from a memory map."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..utils.scaling import Scaling
from ..utils.tensors import as_numpy, as_tensor, chunk_rows, chunks

RESIDENT_BYTES = 2**30
FULL_ROWS = 100_000  # of a pass over X, at most: what a latent model is fitted to need not grow with X
BLOCK_VALUES = 2**24  # read at a time: 64 MiB as float32


def is_memory_mapped(X: np.ndarray) -> bool:
    """Whether `X` or the array it is a view of lies in a memory map."""
    base: object = X
    while base is not None:
        if isinstance(base, np.memmap | mmap.mmap):
            return True
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return False


class Rows:
    """Rows to draw batches from.

    Arrays below `max_bytes` are put on the device once: uint8 as it is, others scaled to float32. Of larger
    arrays and memory maps only the rows drawn are read, those of many batches at a time.

    Parameters
    ----------
    X : array of shape (n_samples, *row_shape)
    scaling : Scaling
    device : torch.device
    max_bytes : int
    """

    def __init__(
        self, X: np.ndarray, scaling: Scaling, device: torch.device, max_bytes: int = RESIDENT_BYTES
    ) -> None:
        self._X, self._scaling, self._device = X, scaling, device
        self._resident: Tensor | None = None
        if not is_memory_mapped(X) and X.size * (1 if X.dtype == np.uint8 else 4) <= max_bytes:
            self._resident = self._load()

    def __len__(self) -> int:
        return len(self._X)

    def take(self, ids: Tensor) -> Tensor:
        """Return the rows `ids` in ascending order, scaled, in float32, on the device."""
        ids = ids.sort().values  # a memory map is read forwards; memory too, so that both train alike
        if self._resident is None:
            return self._scale(as_tensor(self._X[as_numpy(ids)])).to(self._device)
        rows = self._resident.index_select(0, ids.to(self._device))
        return rows if self._resident.dtype == torch.float32 else self._scale(rows)

    def batches(self, ids: Tensor, size: int) -> Iterator[Tensor]:
        """Yield the rows `ids`, `size` at a time, each batch as `take` returns it."""
        if self._resident is not None:
            yield from map(self.take, ids.split(size))
            return
        n_batches = max(1, BLOCK_VALUES // (size * math.prod(self._X.shape[1:])))
        for block in ids.split(n_batches * size):
            rows, places = self.take(block), block.argsort().argsort()
            yield from (rows.index_select(0, p.sort().values.to(rows.device)) for p in places.split(size))

    def _load(self) -> Tensor:
        if self._X.dtype == np.uint8:
            return as_tensor(self._X, self._device)
        resident = torch.empty(self._X.shape, dtype=torch.float32, device="cpu")
        for piece in chunks(len(self._X), chunk_rows(self._X.shape[1:])):
            resident[piece] = self._scale(as_tensor(self._X[piece]))
        return resident.to(self._device)

    def _scale(self, rows: Tensor) -> Tensor:
        # Float32 holds every uint8, and needs half the work of the float64 that Scaling takes for integers.
        return self._scaling(rows.float() if rows.dtype == torch.uint8 else rows)
