"""Which answer is whose, where answers name their rows: a Series by its index, a dict by its keys.

Order alone says nothing there: a lookup, a merge or a groupby returns rows in another order than they came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, KeysView, Mapping, Sequence, Set, Sized
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..utils.columns import to_scalar
from ..utils.tensors import to_host


class Named(NamedTuple):
    """Values, and the name of the row that each is for."""

    names: pd.Index
    values: Sequence[Any]
    counted: bool  # 0, 1, 2, ...: what pandas puts where nobody gave names


def named(values: object, *, tables: bool = False) -> Named | None:
    """Return values with the names of their rows, or None where they have none.

    Parameters
    ----------
    values : object
        A Series, a DataFrame of one column, or what turns into one with its labels, as of xarray or cuDF; a
        mapping from name to value. All else has no names.
    tables : bool, default=False
        Whether a DataFrame of several columns has a value for each row, too: an array.

    Examples
    --------
    >>> named(pd.Series(["b", "a"], index=[7, 3])).names.tolist()
    [7, 3]
    >>> named(["b", "a"]) is None
    True
    """
    labels = getattr(values, "coords", getattr(values, "index", None))
    if hasattr(values, "to_pandas") and labels is not None and not callable(labels):
        values = values.to_pandas()
    if isinstance(values, pd.DataFrame) and values.shape[1] == 1:
        values = values.iloc[:, 0]
    if isinstance(values, pd.Series):
        return Named(values.index, values.array, _is_counted(values.index))
    if tables and isinstance(values, pd.DataFrame) and values.shape[1]:
        return Named(values.index, list(values.to_numpy()), _is_counted(values.index))
    if isinstance(values, Mapping):
        return Named(_index(list(values)), list(values.values()), counted=False)
    return None


def _is_counted(index: pd.Index) -> bool:
    return isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index)))


def names_of(rows: object) -> pd.Index | None:
    """Return the labels of rows of a DataFrame or Series; None for rows that have no labels."""
    return rows.index if isinstance(rows, pd.DataFrame | pd.Series) else None


def places(names: pd.Index, wanted: pd.Index) -> np.ndarray:
    """Return where in `names` each of the wanted ones stands; -1 where it does not, or cannot be told.

    Examples
    --------
    >>> places(pd.Index([7, 3, 5]), pd.Index([5, 8])).tolist()
    [2, -1]
    """
    flags = {names.inferred_type == "boolean", wanted.inferred_type == "boolean"}  # True is 1 to pandas
    if len(flags) > 1 or names.nlevels != wanted.nlevels or not names.is_unique:
        return np.full(len(wanted), -1)
    if names.dtype.kind != wanted.dtype.kind:  # whole numbers and floats would meet as floats
        names, wanted = names.astype(object), wanted.astype(object)
    return np.asarray(names.get_indexer(wanted))


def matched(names: pd.Index, wanted: pd.Index | None) -> np.ndarray | None:
    """Return `places`, if the two hold the same names, each once; otherwise None."""
    if wanted is None or len(names) != len(wanted) or not wanted.is_unique:
        return None
    found = places(names, wanted)
    return None if (found < 0).any() else found


def column(values: object) -> list[Any]:
    """Return an array-like of any library as a list of its entries; masked ones are None.

    An entry that is an array, some of it masked, keeps its mask.
    """
    if isinstance(values, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(values)
        entries = values.data if values.ndim == 1 else values
        return [None if mask.all() else value for value, mask in zip(entries, hidden, strict=True)]
    return [to_scalar(value) for value in to_host(values)]


def one_a_row(answers: object, rows: object, ids: np.ndarray, who: str) -> list[Any]:
    """Return the answers to rows in the order of the rows.

    Parameters
    ----------
    answers : object
        What a function returned: without names, in the order of the rows. With names, they are those of the
        rows: their index, for a DataFrame; their numbers from 0, for an array; or their ids. A table has one
        answer a row.
    rows : rows that the function got
    ids : array of shape (n_rows,)
    who : str
        Whom errors speak of.

    Returns
    -------
    answers : list of length n_rows

    Raises
    ------
    ValueError
        If there is not one for each row, or names are others than those of the rows, or leave open which
        row is meant.
    """
    found, n = named(answers, tables=True), len(ids)
    if found is None:
        return _counted(answers, n, who)
    if len(found.values) != n and not isinstance(answers, Mapping):
        raise _refused(n, f"{len(found.values)} answers", who)
    labels = names_of(rows)
    order = _order_of(found, labels, ids)
    if order is None:
        known = pd.RangeIndex(n) if labels is None else labels
        raise ValueError(
            f"{who} got {n} rows and returned a {type(answers).__name__} whose index does not tell which "
            f"answer is whose: {_some(found.names)}, where the rows have {_some(known)}. Return one answer a "
            "row under the row's own label; or, if answers are in the order of the rows, without labels: "
            "answers.to_numpy(), or a list."
        )
    return [found.values[place] for place in order]


def _order_of(found: Named, labels: pd.Index | None, ids: np.ndarray) -> np.ndarray | None:
    n = len(ids)
    if labels is None:
        if found.counted:
            return np.arange(n)
        return _agreed([matched(found.names, pd.RangeIndex(n)), matched(found.names, _index(ids))])
    if found.counted and not labels.equals(found.names):
        return None  # the order, or labels that were sorted: nothing tells
    by_label = matched(found.names, labels)
    return matched(found.names, _index(ids)) if by_label is None else by_label


def _agreed(orders: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Return the order that all readings agree on, of those that there are."""
    known = [order for order in orders if order is not None]
    same = known and all(np.array_equal(order, known[0]) for order in known)
    return known[0] if same else None


def _counted(answers: object, n: int, who: str) -> list[Any]:
    if isinstance(answers, str | bytes | Set | pd.DataFrame):
        raise _refused(n, f"a {type(answers).__name__}", who)
    if not isinstance(answers, Sized) or getattr(to_host(answers), "ndim", 1) == 0:
        raise _refused(n, f"one {type(answers).__name__}", who)
    if len(answers) != n:
        raise _refused(n, f"{len(answers)} answers", who)
    return column(answers)


def _refused(n: int, got: str, who: str) -> ValueError:
    return ValueError(
        f"{who} got {n} rows and returned {got}. Return one answer a row, as a list or array (None where it "
        "does not know), or pass per_row=True if it takes one row at a time."
    )


def in_order_of_ids(
    ids: object, answers: object, labels_of: Callable[[list[Any]], pd.Index | None]
) -> tuple[list[Any], list[Any]]:
    """Return ids, and the answers that somebody told in the order of the ids.

    Parameters
    ----------
    ids : array-like of shape (n,)
    answers : array-like of shape (n, ...), Series, DataFrame, or mapping
        With names, they are the ids; or the labels of the rows asked; or, where `ids` is a Series, those of
        `ids`, as of two columns of a table.
    labels_of : callable
        Returns the labels of the rows that were asked under some ids, or None.

    Returns
    -------
    ids, answers : lists of length n

    Raises
    ------
    ValueError
        If there is not one answer for each id, or it is not clear which answer is whose.
    """
    asked, found = _told(ids, "ids"), named(answers, tables=True)
    values = _told(answers, "answers") if found is None else list(found.values)
    if len(values) != len(asked):
        raise ValueError(f"tell got {len(asked)} ids and {len(values)} answers; give one answer for each id.")
    beside = named(ids)
    if found is None or (beside is not None and beside.names.equals(found.names)):
        return asked, values  # two columns of one table
    orders = [matched(found.names, _index(asked)), matched(found.names, labels_of(asked))]
    if not isinstance(answers, Mapping):
        orders.append(matched(found.names, pd.RangeIndex(len(asked)) if beside is None else beside.names))
    order = _agreed(orders)
    if order is None:
        raise ValueError(
            f"tell got a {type(answers).__name__} whose index does not tell which answer is whose: "
            f"{_some(found.names)}, where the ids are {_some(_index(asked))}. Give it the ids as its index; "
            "or, if answers are in the order of the ids, pass them without labels: answers.to_numpy(), or a "
            "list."
        )
    return asked, [values[place] for place in order]


def _told(values: object, what: str) -> list[Any]:
    """Return what somebody told as a list, or refuse what has no order, or is one thing."""
    if isinstance(values, str | bytes | Set | Mapping) and not isinstance(values, KeysView):
        kind = "text" if isinstance(values, str | bytes) else type(values).__name__
        raise ValueError(f"tell got the {kind} {values!r} as {what}; give a list with one for each row.")
    found = named(values)
    if found is not None:
        return list(found.values)
    on_host = to_host(values)
    if not isinstance(on_host, Iterable) or (hasattr(on_host, "ndim") and on_host.ndim == 0):
        raise ValueError(f"tell got {values!r} as {what}; give a list with one for each row.")
    if isinstance(on_host, pd.DataFrame):
        raise ValueError(f"tell got a table of {on_host.shape[1]} columns as {what}; pass one column.")
    return column(on_host)


def find(table: pd.Index, rows: object, ids: np.ndarray) -> np.ndarray:
    """Return where in a table each row stands, by its id, or by its label; -1 where it does not.

    Parameters
    ----------
    table : Index
        Names of what the table holds.
    rows : rows asked about
    ids : array of shape (n_rows,)

    Returns
    -------
    positions : int array of shape (n_rows,)

    Raises
    ------
    ValueError
        If ids and labels both are in the table, and stand for different rows.
    """
    by_id, labels = places(table, _index(ids)), names_of(rows)
    if labels is None:
        return by_id
    by_label = places(table, labels)
    if (by_label < 0).any() or np.array_equal(by_label, by_id):
        return by_id
    # A table row by row beside the pool, of which the ids are positions.
    if (by_id < 0).any() or np.array_equal(by_label, ids):
        return by_label
    raise ValueError(
        f"The index of a table, {_some(table)}, has the ids of the rows, {_some(_index(ids))}, and their "
        f"labels, {_some(labels)}, and these stand for different rows. Pass a dict, which goes by id; or an "
        "array, which goes by position."
    )


def _index(names: Sequence[Any] | np.ndarray) -> pd.Index:
    """Return names as an Index of one level: a tuple is one name."""
    return pd.Index(names, tupleize_cols=False)


def _some(names: pd.Index) -> str:
    return f"{names[:5].tolist()}{' ...' if len(names) > 5 else ''}"
