"""What each question costs: a number, a table, or a function of the rows."""

from __future__ import annotations

import numbers
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..utils.tensors import to_host


def costs_of(cost: Any, X: ArrayLike, ids: np.ndarray) -> np.ndarray:
    """Return the cost of each row.

    Parameters
    ----------
    cost : float, array-like, mapping or callable
        For all rows; by position; by id, as a Series is too; or of a batch of rows.
    X : rows as the user gave them
    ids : array of shape (n_rows,)

    Returns
    -------
    costs : float64 array of shape (n_rows,)

    Raises
    ------
    ValueError
        If a row has no cost, or one that is not a finite number of at least 0.
    """
    if callable(cost):
        costs = _as_floats(cost(X))
    elif isinstance(cost, numbers.Real):
        costs = np.full(len(ids), float(cost))
    elif isinstance(cost, Mapping | pd.Series):
        costs = _as_floats([_look_up(cost, id_) for id_ in ids])
    else:
        table = np.asarray(cost)
        costs = _as_floats([_at(table, id_) for id_ in ids])
    return check_costs(costs, ids)


def check_costs(costs: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Pass costs on, or refuse those that are not one finite number of at least 0 for each id."""
    costs = _as_floats(costs)
    if costs.shape != (len(ids),):
        raise ValueError(
            f"cost gave an array of shape {costs.shape} for {len(ids)} rows; give one number a row."
        )
    if not (np.isfinite(costs) & (costs >= 0)).all():
        bad = np.flatnonzero(~(np.isfinite(costs) & (costs >= 0)))[0]
        raise ValueError(
            f"The cost of id {ids[bad]!r} is {costs[bad]}; give each row a finite number of at least 0."
        )
    return costs


def _as_floats(values: ArrayLike) -> np.ndarray:
    try:
        return np.asarray(to_host(values), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cost must give numbers, got {values!r}. Give one number a row.") from error


def _look_up(cost: Any, id_: Hashable) -> Any:
    try:
        return cost[id_]
    except KeyError:
        raise ValueError(
            f"cost holds no entry for the id {id_!r}. Give it one for each row of the pool; for points that "
            "a strategy makes, pass a number or a function of the rows."
        ) from None


def _at(table: np.ndarray, id_: Hashable) -> Any:
    if isinstance(id_, numbers.Integral) and 0 <= int(id_) < len(table):
        return table[int(id_)]
    raise ValueError(
        f"cost holds {len(table)} numbers by position, and {id_!r} is none of their positions. With "
        "sample_id, pass a mapping from id to cost; for points that a strategy makes, a number or a function "
        "of the rows."
    )
