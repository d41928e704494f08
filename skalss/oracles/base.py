"""What an oracle is, and what an answer can be."""

from __future__ import annotations

import math
import numbers
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from .._torch import to_host


class _Abstain:
    """The type of ABSTAIN, of which there is one object, also after pickling."""

    def __repr__(self) -> str:
        return "ABSTAIN"

    def __reduce__(self) -> str:
        return "ABSTAIN"


ABSTAIN = _Abstain()
"""The answer of a labeller who looked and does not know. The row is never asked again."""


@dataclass(frozen=True)
class Failed:
    """The answer when no look was had: a simulation that did not converge, a file that was missing.

    Parameters
    ----------
    reason : str
        Kept in `queries_`.
    charged : bool, default=False
        Whether the attempt counts against `max_labels`.
    """

    reason: str
    charged: bool = False


class BaseOracle(BaseEstimator):
    """Base of all oracles.

    Cloning an oracle gives the oracle itself: it may hold a connection, a count or a lock, and the
    user's own object must see the questions.

    Attributes
    ----------
    labels_new_points : bool
        Whether it can label rows that are not in the pool, as interpolation makes them.
    """

    labels_new_points: bool = False

    @abstractmethod
    def label(self, X: Any, ids: np.ndarray) -> Iterable[tuple[Any, Any]]:
        """Answer the questions, in any order.

        Parameters
        ----------
        X : rows as the user gave them: an array, or a slice of a DataFrame
        ids : array of shape (n_rows,)
            The identity of each row; ``"generated-0"`` and so on for decoded points.

        Yields
        ------
        id, answer : tuple
            The answer is a label, ``ABSTAIN`` (or None), or ``Failed(reason)``. Each is kept as soon as
            it is yielded, so an oracle that breaks down later loses none.
        """

    def row_costs(self, X: Any, ids: np.ndarray) -> np.ndarray | None:
        """Give what each question costs, in the units of the sampler's `max_cost`.

        Parameters
        ----------
        X : rows as the user gave them, or decoded points
        ids : array of shape (n_rows,)

        Returns
        -------
        costs : float64 array of shape (n_rows,) or None
            Finite and at least 0; the same row always costs the same. None: this oracle knows no costs.
        """
        return None

    def check_pool(self, sample_id: np.ndarray | None, n_rows: int) -> None:
        """Refuse a pool that this oracle cannot serve, before anything is trained.

        Parameters
        ----------
        sample_id : array of shape (n_rows,) or None
            The ids given by the user; None: rows go by their position.
        n_rows : int
            Length of the pool.

        Raises
        ------
        ValueError
            With what was got and what would do.
        """

    def __sklearn_clone__(self) -> Self:
        """Return the oracle itself."""
        return self


def read_answer(value: Any) -> Any:
    """Sort an oracle's raw answer: ABSTAIN, a Failed, or the label itself.

    None, ABSTAIN and pandas' NA are abstentions; a number that is NaN or infinite is a failure.

    Examples
    --------
    >>> read_answer(None)
    ABSTAIN
    >>> read_answer(float("nan"))
    Failed(reason='the oracle returned nan', charged=False)
    >>> read_answer("cat")
    'cat'
    """
    value = to_host(value)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if value is None or value is pd.NA or isinstance(value, _Abstain):
        return ABSTAIN
    if isinstance(value, numbers.Real) and not math.isfinite(value):
        return Failed(f"the oracle returned {value}")
    return value
