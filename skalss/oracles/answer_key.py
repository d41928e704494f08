"""Labels that are known already and looked up by id: simulated labelling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..utils.ids import first_twin, id_array, positions_in
from .base import ABSTAIN, BaseOracle


class AnswerKey(BaseOracle):
    """Looks labels up by the identity of the row.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels; missing ones (None, NaN, pandas' NA) are abstentions.
    sample_id : array-like of shape (n_samples,), default=None
        The id of each label. None: ids are positions in `y`, and a pool without ids must be as long.

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
        # NumPy would turn a NaN in a list of strings into the text "nan".
        y = np.asarray(self.y, dtype=object if isinstance(self.y, list | tuple) else None)
        yield [
            (id_, ABSTAIN if pd.isna(y[position]) else y[position])
            for id_, position in zip(ids, self._positions(ids), strict=True)
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
        n_labels = len(self.y)
        if self.sample_id is not None and len(self.sample_id) != n_labels:
            raise ValueError(
                f"AnswerKey got {n_labels} labels and {len(self.sample_id)} ids; give each label one id."
            )
        if sample_id is None:
            if self.sample_id is not None:
                raise ValueError(
                    "AnswerKey holds labels by id, but the pool's rows have none. Pass sample_id= to fit, "
                    "one id for each row."
                )
            if n_labels != n_rows:
                raise ValueError(
                    f"AnswerKey holds {n_labels} labels, but the pool has {n_rows} rows, so positions could "
                    "read another row's label (as in cross-validation). Pass sample_id= to fit."
                )
            return
        self._positions(sample_id)

    def _positions(self, ids: np.ndarray) -> np.ndarray:
        known = np.arange(len(self.y)) if self.sample_id is None else id_array(self.sample_id)
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
