"""Labels that are known already and looked up by id: simulated labelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set, Sized
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..utils.ids import first_twin, id_array, positions_in
from ..utils.tensors import to_host
from .alignment import column, matched, named, names_of
from .base import ABSTAIN, BaseOracle


class AnswerKey(BaseOracle):
    """Looks labels up by the identity of the row.

    Parameters
    ----------
    y : array-like of shape (n_samples, ...), DataFrame, or mapping from id to label
        Labels; missing ones (None, NaN, pandas' NA, masked) are abstentions. Several values or classes a row
        are an array (n_samples, n), a DataFrame of n columns, a list of lists or a Series of them; masks and
        fields are an array (n_samples, height, width) or deeper. A row in which all is missing is an
        abstention.
    sample_id : array-like of shape (n_samples,), default=None
        The id of each label. None: ids are the index of a Series or DataFrame, unless that is 0, 1, 2, ...,
        or the keys of a mapping. Otherwise they are positions in `y`, and a pool without ids must be as long.
        Two Series with the same index in another order are brought together by it.

    Examples
    --------
    >>> import numpy as np
    >>> key = AnswerKey(["no", "yes"], sample_id=["a", "b"])
    >>> for id_, label in next(key.label(np.zeros((1, 2)), np.array(["b"]))):
    ...     print(id_, label)
    b yes
    """

    def __init__(self, y, sample_id=None):
        self.y = y
        self.sample_id = sample_id

    def label(self, X: ArrayLike, ids: np.ndarray) -> Iterator[list[tuple[Any, Any]]]:
        """Yield the labels of all ids in one list; ABSTAIN where one is missing.

        Parameters
        ----------
        X : rows, not looked at
        ids : array of shape (n_rows,)

        Yields
        ------
        pairs : list of (id, answer)

        Raises
        ------
        ValueError
            If an id is not in the key.
        """
        y = self._labels()
        answers = [y[position] for position in self._positions(ids)]
        yield [
            (id_, ABSTAIN if _is_missing(answer) else answer)
            for id_, answer in zip(ids, answers, strict=True)
        ]

    def check_pool(self, sample_id: np.ndarray | None, n_rows: int) -> None:
        """Refuse a pool whose rows cannot be told apart by this key.

        Parameters
        ----------
        sample_id : array of shape (n_rows,) or None
        n_rows : int

        Raises
        ------
        ValueError
            If lengths differ without ids, or ids are unknown.
        """
        known, n_labels = self._ids(), len(self._labels())
        if sample_id is None:
            if self.sample_id is None and isinstance(self.y, Mapping) and n_labels == n_rows:
                self._positions(np.arange(n_rows))  # by position, and it says so
                return
            if known is not None:
                raise ValueError(
                    "AnswerKey holds labels by id, but the pool's rows have none. Pass sample_id= to fit, "
                    "one id for each row. If the labels are a Series in the order of the rows, take "
                    "AnswerKey(y.to_numpy())."
                )
            if n_labels != n_rows:
                raise ValueError(
                    f"AnswerKey holds {n_labels} labels, but the pool has {n_rows} rows, so positions could "
                    "read another row's label (as in cross-validation). Pass sample_id= to fit."
                )
            return
        self._positions(sample_id)

    def check_rows(self, X: ArrayLike, sample_id: np.ndarray | None) -> None:
        """Refuse a Series of labels that may be in the order of the rows, or in that of their labels.

        Parameters
        ----------
        X : all rows of the pool as the user gave them
        sample_id : array of shape (n_rows,) or None

        Raises
        ------
        ValueError
        """
        found, labels = named(self.y, tables=True), names_of(X)
        if found is None or labels is None or sample_id is not None or labels.equals(found.names):
            return
        if matched(found.names, labels) is not None:
            raise ValueError(
                "AnswerKey got a Series with the index 0, 1, 2, ..., and the rows of X have the same labels "
                "in another order. Pass AnswerKey(y.loc[X.index].to_numpy()) to go by label, or "
                "AnswerKey(y.to_numpy()) to go by position."
            )

    def _labels(self) -> Sequence[Any]:
        """Return the labels, each at its position."""
        found = named(self.y, tables=True)
        if found is not None:
            return found.values
        on_host: Any = to_host(self.y)
        sized = isinstance(on_host, Sized) and getattr(on_host, "ndim", 1) > 0
        if isinstance(on_host, str | bytes | Set) or not sized:
            raise TypeError(
                "AnswerKey needs the labels as a list, an array, a Series or a mapping from id to label, got "
                f"{type(self.y).__name__}."
            )
        return column(self.y)

    def _ids(self) -> np.ndarray | None:
        """Return the id of each label; None where these are positions."""
        found, n_labels = named(self.y, tables=True), len(self._labels())
        if self.sample_id is None:
            return None if found is None or found.counted else id_array(found.names, "The index of y")
        ids, beside = id_array(self.sample_id), named(self.sample_id)
        if len(ids) != n_labels:
            raise ValueError(f"AnswerKey got {n_labels} labels and {len(ids)} ids; give each label one id.")
        order = None if found is None or beside is None else matched(beside.names, found.names)
        return ids if order is None else ids[order]

    def _positions(self, ids: np.ndarray) -> np.ndarray:
        known = self._ids()
        known = np.arange(len(self._labels())) if known is None else known
        twin = first_twin(known)
        if twin is not None:
            raise ValueError(f"AnswerKey got the id {twin!r} twice; give each label an id of its own.")
        positions = positions_in(known, id_array(ids, "ids"))
        if (positions < 0).any():
            unknown = np.asarray(ids)[positions < 0]
            raise ValueError(
                f"AnswerKey holds no label for {len(unknown)} id(s), the first is {unknown[0]!r}. "
                "Give it the labels of the whole pool, with the sample_id that fit gets."
            )
        return positions


def _is_missing(label: Any) -> bool:
    """Whether a label, or all of a row or an array, is None, NaN, pandas' NA or masked."""
    if isinstance(label, np.ma.MaskedArray):
        label = to_host(label)
    if isinstance(label, np.ndarray) and label.dtype == object:
        label = label.ravel().tolist()
    if isinstance(label, list | tuple):
        return len(label) > 0 and all(_is_missing(one) for one in label)
    if isinstance(label, np.ndarray):
        return label.size > 0 and label.dtype.kind in "fcmM" and bool(pd.isna(label).all())
    return not isinstance(label, Set | Mapping) and np.ndim(label) == 0 and bool(pd.isna(label))
