"""Which kind of y a column is: by its shape, and by whether classes or values are learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from ..utils.tensors import to_host
from .base import BaseTarget
from .class_map import ClassMap
from .classes import Classes
from .labels import Labels
from .value_map import ValueMap
from .values import Values


def kind_of(y: Any, *, values: bool) -> type[BaseTarget]:
    """Return the kind of y that labels are of.

    Parameters
    ----------
    y : array-like of shape (n_samples, ...)
        None in it are passed over.
    values : bool
        Whether values are learned, not classes.

    Examples
    --------
    >>> kind_of([[0, 1], [1, 1]], values=False).__name__, kind_of([0, 1], values=False).__name__
    ('Labels', 'Classes')
    """
    shape = _shape_of_label(y)
    if len(shape) >= 2:
        return ValueMap if values else ClassMap
    if values:
        return Values
    return Classes if shape in ((), (1,)) else Labels


def output_kind(shape: tuple[int, ...], *, values: bool, independent: bool) -> BaseTarget:
    """Return the kind of y that a network's output for a row suits, where there are no labels yet.

    Parameters
    ----------
    shape : tuple of int
    values : bool
    independent : bool
        Whether its outputs are trained each by itself, as several labels are.
    """
    if len(shape) >= 2:
        return ValueMap() if values else ClassMap()
    if values:
        return Values(shape[0] if shape and shape[0] > 1 else None)
    return Labels() if independent else Classes()


def _shape_of_label(y: Any) -> tuple[int, ...]:
    """Return the shape of a label; (-1,) for lists of classes."""
    on_host: Any = to_host(y)
    if issparse(on_host) or isinstance(on_host, pd.DataFrame):
        return tuple(on_host.shape[1:])
    if isinstance(on_host, np.ndarray) and (on_host.ndim != 1 or on_host.dtype != object):
        return tuple(on_host.shape[1:])
    if isinstance(on_host, str | bytes | Mapping) or not np.iterable(on_host):
        return ()
    found: set[tuple[int, ...]] = set()
    for row in on_host:
        if row is None or isinstance(row, str | bytes):
            continue
        if isinstance(row, np.ndarray) or hasattr(row, "__array__"):
            found.add(np.shape(to_host(row)))
        elif isinstance(row, list | tuple | set | frozenset):
            nested = [one for one in row if isinstance(one, list | tuple | np.ndarray)]
            # Of lists in lists their depth is enough.
            found.add((len(row), len(nested[0])) if nested else (-1,) if _named(row) else (len(row),))
    if not found:
        return ()
    deepest = max(found, key=len)
    several = len(deepest) == 1 and len(found) > 1
    return (-1,) if several else deepest


def _named(row: Any) -> bool:
    """Whether a row lists classes by name, whatever their number."""
    return isinstance(row, set | frozenset) or len(row) == 0 or any(isinstance(one, str) for one in row)
