"""What each question costs: a number, a table, or a function of the rows."""

from __future__ import annotations

import numbers
from collections.abc import Hashable, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..utils.tensors import to_host
from .alignment import find, named, one_a_row

ALLOWED = (
    "cost must be one number, numbers by position in the pool, a mapping or Series by id, or a function that "
    "gets a batch of rows and returns one number a row"
)

LARGEST = 1e300  # of a cost


def check_cost(cost: Any, n_rows: int) -> None:
    """Refuse costs that are wrong for every pool of this length, before anything is asked.

    Raises
    ------
    ValueError
        If a number is not finite or below 0, or there are not as many as rows.
    TypeError
        If it is nothing that costs can be.
    """
    if cost is None or (callable(cost) and not isinstance(cost, type)):
        return
    table = named(cost)
    if table is not None:
        check_costs(np.array(table.values, dtype=object), table.names)
        return
    on_host = to_host(cost)
    if isinstance(on_host, list | tuple) and any(isinstance(one, list | tuple) for one in on_host):
        raise TypeError(f"{ALLOWED}; got {cost!r:.200}, which is nested.")
    if isinstance(on_host, str | bytes | Set) or (np.ndim(on_host) != 1 and not _is_number(on_host)):
        raise TypeError(f"{ALLOWED}; got {cost!r:.200} of type {type(cost).__name__}.")
    if np.ndim(on_host) == 0:
        check_costs([_number(on_host)], [0])
        return
    if len(on_host) != n_rows:
        raise ValueError(
            f"cost holds {len(on_host)} numbers, but the pool has {n_rows} rows. Give one for each, or "
            "a mapping from id to cost."
        )
    check_costs(on_host, range(n_rows))


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
        If a row has no cost, or one that is not a finite number of at least 0; if the index of a Series has
        ids and labels of the rows, which stand for different ones.
    """
    if callable(cost):
        return check_costs(cost(X), ids, X)
    if isinstance(cost, Mapping):
        return check_costs([_look_up(cost, id_) for id_ in ids], ids)
    table, on_host = named(cost), to_host(cost)
    if table is not None:
        places = find(table.names, X, ids)
        for id_ in ids[places < 0]:
            raise _unknown(id_)
        return check_costs([table.values[place] for place in places], ids)
    if _is_number(on_host):
        return check_costs([_number(on_host)] * len(ids), ids)
    if isinstance(on_host, str | bytes | Set) or np.ndim(on_host) != 1:
        raise TypeError(f"{ALLOWED}; got {cost!r:.200} of type {type(cost).__name__}.")
    by_position = on_host if isinstance(on_host, np.ndarray) else np.asarray(on_host)
    return check_costs([_at(by_position, id_) for id_ in ids], ids)


def check_costs(costs: object, ids: Any, X: object = None) -> np.ndarray:
    """Return costs as float64, or refuse those that are not one finite number of at least 0 for each id.

    Parameters
    ----------
    costs : array-like of shape (n_rows,), Series or mapping
    ids : array-like of shape (n_rows,)
    X : rows, default=None
        Those that the index of a Series names.
    """
    if named(costs) is not None:
        costs = one_a_row(costs, X, ids, "cost")
    found = _as_floats(costs)
    if found.shape != (len(ids),):
        raise ValueError(
            f"cost gave an array of shape {found.shape} for {len(ids)} rows; give one number a row."
        )
    fine = np.isfinite(found) & (found >= 0) & (found <= LARGEST)
    if not fine.all():
        bad = np.flatnonzero(~fine)[0]
        raise ValueError(
            f"The cost of id {ids[bad]!r} is {found[bad]}; give each row a finite number of at least 0 as "
            f"its cost, and at most {LARGEST:g}: costs are added up."
        )
    return found


def _as_floats(values: Any) -> np.ndarray:
    values = to_host(values)
    try:
        array = np.asarray(values)
        texts = array.dtype == object and any(isinstance(v, str | bytes | bool) for v in array.ravel())
        if array.dtype.kind not in "iufO" or texts:
            raise ValueError("NumPy would read a number into it")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"cost must give numbers, got {values!r:.200}. Give one number a row.") from error


def _is_number(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) else value


def _look_up(cost: Mapping[Any, Any], id_: Hashable) -> Any:
    try:
        return cost[id_]
    except KeyError:
        raise _unknown(id_) from None


def _unknown(id_: Hashable) -> ValueError:
    return ValueError(
        f"cost holds no entry for the id {id_!r}. Give it one for each row of the pool; for points that "
        "a strategy makes, pass a number or a function of the rows."
    )


def _at(table: np.ndarray, id_: Hashable) -> Any:
    if isinstance(id_, numbers.Integral) and 0 <= int(id_) < len(table):
        return table[int(id_)]
    raise ValueError(
        f"cost holds {len(table)} numbers by position, and {id_!r} is none of their positions. With "
        "sample_id, pass a mapping from id to cost; for points that a strategy makes, a number or a function "
        "of the rows."
    )
