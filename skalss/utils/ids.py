"""Ids of rows as an array in which each stays what it is."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .columns import to_scalar
from .tensors import to_host


def id_array(ids: ArrayLike, name: str = "sample_id") -> np.ndarray:
    """Return ids as an array of shape (n_ids,); none becomes another number, or text.

    NumPy would turn a list of 1 and "a" into text, and whole numbers beside a missing one into floats. Ids
    that no dtype of NumPy keeps as they are stay Python's own objects.

    Parameters
    ----------
    ids : array-like of shape (n_ids,) or (n_ids, 1)
        Bool, int, float, str, bytes, dates, UUIDs or any objects that can be hashed.
    name : str
        For errors.

    Returns
    -------
    ids : array of shape (n_ids,)

    Raises
    ------
    ValueError
        If they are no sequence, or one is missing or cannot be hashed.

    Examples
    --------
    >>> id_array(pd.array([10**17 + 37, 5], dtype="Int64")).tolist()
    [100000000000000037, 5]
    >>> id_array([2**63, -1, "a"]).tolist()
    [9223372036854775808, -1, 'a']
    """
    array = _column(ids, name)
    if array.dtype == object:
        for id_ in array:
            _check(id_, name)
        return _natural(array)
    missing = np.flatnonzero(pd.isna(array))
    if len(missing):
        _check(array[missing[0]], name)
    return array


def positions_in(known: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the position of each of `ids` in `known`, whose ids differ; -1 where one is not there.

    Parameters
    ----------
    known, ids : arrays as `id_array` returns them
    """
    index, wanted = pd.Index(known), pd.Index(ids)
    if known.dtype.kind != ids.dtype.kind:  # whole numbers and floats would meet as floats
        index, wanted = index.astype(object), wanted.astype(object)
    return index.get_indexer(wanted)


def first_twin(ids: np.ndarray) -> Any:
    """Return the first id that was there before, or None; 1, 1.0 and True are one, as in a dict."""
    if ids.dtype != object and pd.Index(ids).is_unique:
        return None
    found: set[Any] = set()
    for id_ in ids:
        if id_ in found:
            return id_.item() if isinstance(id_, np.number | np.str_ | np.bool_) else id_
        found.add(id_)
    return None


def _column(ids: Any, name: str) -> np.ndarray:
    if isinstance(ids, str | bytes | Mapping | Set) or not np.iterable(ids):
        raise ValueError(f"{name} must be a sequence with one id for each row, got {ids!r}.")
    if isinstance(ids, pd.DataFrame) and ids.shape[1] == 1:
        ids = ids.iloc[:, 0]
    if isinstance(ids, np.ma.MaskedArray) and np.ma.is_masked(ids):
        raise ValueError(f"{name} is a masked array in which ids are missing; give each row one.")
    ids = to_host(ids) if hasattr(ids, "dtype") else [to_scalar(id_) for id_ in ids]
    if isinstance(getattr(ids, "dtype", None), pd.api.extensions.ExtensionDtype):
        ids = pd.Series(ids).to_numpy(dtype=object)
    if not hasattr(ids, "dtype") or isinstance(ids, pd.MultiIndex):
        values = list(ids)
        ids = np.empty(len(values), dtype=object)
        for i, value in enumerate(values):
            ids[i] = value
    array = np.asarray(ids)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape (n_samples,), got {array.shape}; give each row one id.")
    if array.dtype in (np.float16, np.longdouble):  # pandas has no index of these
        return array.astype(np.float64)
    if array.dtype.names is not None:
        raise ValueError(f"{name} must hold ids, got records of {array.dtype}. Turn each into a text.")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check(id_: object, name: str) -> None:
    if id_ is None or (np.isscalar(id_) and pd.isna(id_)) or id_ is pd.NA or id_ is pd.NaT:
        raise ValueError(f"{name} must hold a different id for each row, got {id_!r} missing or twice.")
    try:
        hash(id_)
    except TypeError as error:
        raise ValueError(
            f"{name} must hold ids that can be hashed, got {id_!r} of type {type(id_).__name__}. Turn each "
            "into a text, a number or a tuple."
        ) from error


def _natural(objects: np.ndarray) -> np.ndarray:
    """Return objects in NumPy's own dtype, where that changes none of them."""
    values = [
        value.item() if isinstance(value, np.number | np.str_ | np.bool_) else value for value in objects
    ]
    if not all(isinstance(value, str | bytes | numbers.Real) for value in values) or not values:
        return objects
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype == object:
        return objects
    kept = array.tolist()
    return array if kept == values and list(map(type, kept)) == list(map(type, values)) else objects
