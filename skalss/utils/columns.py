"""One value for each row, such as ids or labels, of anything that holds them: as a NumPy array, unchanged."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from .tensors import to_host


def to_column(values: object) -> np.ndarray:
    """Return ids, labels, a mask or weights as an array on the CPU, without changing a value.

    Whole numbers stay whole and text stays text, also where other values are missing: then the array holds
    objects, and what is missing stays None, NaN or pandas' NA. Objects that are all numbers of one kind come
    as such numbers.

    Parameters
    ----------
    values : array-like of shape (n,)
        A tensor on any device, an array of any library, a masked array, a list, tuple, range or iterator, or
        what pandas, Polars or PyArrow call a series, index or array. A frame of one column is that column.

    Returns
    -------
    column : array of shape (n,)
        An array of another shape keeps it; text, sets and mappings, which have no order of rows, come as an
        array of shape ().

    Examples
    --------
    >>> import pandas as pd
    >>> to_column(pd.Series([10**17 + 37, 5], dtype="Int64")).tolist()
    [100000000000000037, 5]
    >>> to_column([10**17 + 37, None]).tolist()
    [100000000000000037, None]
    """
    values = to_host(values)
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    if isinstance(values, np.ndarray) and not (values.dtype == object and values.ndim == 1):
        return np.asarray(values, dtype=values.dtype.newbyteorder("="))
    if isinstance(values, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        if isinstance(values.dtype, np.dtype) and values.dtype != object:
            return np.asarray(values)
        return _of_list(values.astype(object).tolist())
    if isinstance(values, str | bytes | Mapping | Set) or not np.iterable(values) or hasattr(values, "iloc"):
        return np.asarray(values)
    # PyArrow, Polars: with a missing value their own arrays would turn whole numbers to floats.
    for name in ("to_pylist", "to_list"):
        if hasattr(values, name):
            return _of_list(getattr(values, name)())
    if hasattr(values, "__array__") and not isinstance(values, np.ndarray):
        return np.asarray(values)
    return _of_list(list(values))


def to_scalar(value: object) -> Any:
    """Return what a tensor or array of one number and no axis holds; all else as it is."""
    if isinstance(value, Tensor | np.ndarray) and value.ndim == 0:
        return to_host(value)[()]
    return value


def _of_list(values: Sequence[Any]) -> np.ndarray:
    values = [to_scalar(value) for value in values]
    if any(
        isinstance(value, Sequence | np.ndarray) for value in values if not isinstance(value, str | bytes)
    ):
        try:
            return np.asarray(values)
        except ValueError:  # of unequal length
            return _of_objects(values)
    if all(isinstance(value, np.generic) for value in values) and len({v.dtype for v in values}) == 1:
        return np.array(values, dtype=values[0].dtype)
    numeric = _of_numbers(values)
    return _of_objects(values) if numeric is None else numeric


def _of_numbers(values: Sequence[Any]) -> np.ndarray | None:
    """Return numbers of one kind as an array; None if they are of several, or an array would change one."""
    if not values or not all(isinstance(value, numbers.Real) for value in values):
        return None
    truths = sum(isinstance(value, bool | np.bool_) for value in values)
    if truths:
        return np.array(values, dtype=bool) if truths == len(values) else None
    whole = [int(value) for value in values if isinstance(value, numbers.Integral)]
    if len(whole) == len(values):
        low, high = min(whole), max(whole)
        for dtype in (np.int64, np.uint64):
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return np.array(values, dtype=dtype)
        return None
    others = [value for value in values if not isinstance(value, numbers.Integral)]
    if not all(isinstance(value, float | np.floating) for value in others):
        return None
    # Whole numbers beside nothing but NaN are ids or classes, some of them missing.
    if whole and (all(value != value for value in others) or any(abs(v) > 2**53 for v in whole)):
        return None
    return np.array(values, dtype=np.float64)


def _of_objects(values: Sequence[Any]) -> np.ndarray:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
