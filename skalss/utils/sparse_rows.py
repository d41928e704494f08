"""Sparse rows that are read like an array; what is taken of them comes dense."""

from __future__ import annotations

from typing import Any

import numpy as np


class SparseRows:
    """A matrix in CSR format that looks like an array of shape (n_rows, n_features).

    Indexed by rows it returns dense arrays. What reads rows in chunks needs nothing else.

    Parameters
    ----------
    matrix : CSR matrix or array of scipy
        It is not changed.

    Attributes
    ----------
    matrix : CSR matrix or array
        Sorted, without entries that are 0 or there twice: equal rows are equal in memory.
    """

    ndim = 2

    def __init__(self, matrix: Any):
        if not matrix.has_canonical_format or (matrix.data == 0).any():
            matrix = matrix.copy()
            matrix.sum_duplicates()
            matrix.eliminate_zeros()
        self.matrix = matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and features."""
        return self.matrix.shape

    @property
    def size(self) -> int:
        """Number of values, zeros among them."""
        return self.shape[0] * self.shape[1]

    @property
    def dtype(self) -> np.dtype:
        """Of the values."""
        return self.matrix.dtype

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return rows as a dense array: one by its number, or those of a slice, of numbers or of a mask."""
        if isinstance(rows, int | np.integer):
            return self.matrix[[int(rows)]].toarray()[0]
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        return self.matrix[rows if isinstance(rows, slice) or rows.size else slice(0)].toarray()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all rows as a dense array."""
        return self.matrix.toarray().astype(dtype or self.dtype, copy=False)

    def astype(self, dtype: Any) -> SparseRows:
        """Return the rows with values of another dtype."""
        return SparseRows(self.matrix.astype(dtype))

    def reshape(self, *shape: int) -> Any:
        """Return the rows themselves where they have that shape; dense ones otherwise."""
        same = len(shape) == 2 and shape[0] in (-1, len(self)) and shape[1] in (-1, self.shape[1])
        return self if same else np.asarray(self).reshape(*shape)

    def min(self) -> Any:
        """Return the smallest value, zeros included."""
        return self.matrix.min()

    def max(self) -> Any:
        """Return the largest value, zeros included."""
        return self.matrix.max()

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what tells these rows from others: places of rows, features and values."""
        return self.matrix.indptr.astype(np.int64), self.matrix.indices.astype(np.int64), self.matrix.data
