"""What an oracle is, and what an answer can be."""

from __future__ import annotations

import math
import numbers
from abc import abstractmethod
from collections.abc import Generator, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from ..utils.columns import to_scalar
from ..utils.tensors import to_host
from .alignment import named

# What became of a question.
PENDING, LABELED, ABSTAINED, FAILED = "pending", "labeled", "abstained", "failed"


@dataclass(frozen=True, repr=False)
class Abstain:
    """The answer of a labeller who looked and does not know. The row is never asked again.

    Parameters
    ----------
    reason : str, default=""
        Kept in `queries_`. Without one, use ``ABSTAIN``, of which there is one object, also after pickling.

    Examples
    --------
    >>> Abstain("two lumens")
    Abstain('two lumens')
    >>> Abstain() == ABSTAIN
    True
    """

    reason: str = ""

    def __repr__(self) -> str:
        return f"Abstain({self.reason!r})" if self.reason else "ABSTAIN"

    def __reduce__(self) -> str | tuple:
        return "ABSTAIN" if self is ABSTAIN else (Abstain, (self.reason,))


ABSTAIN = Abstain()
"""The answer of a labeller who looked and does not know, and gives no reason."""


@dataclass(frozen=True)
class Failed:
    """The answer when no look was had: a simulation that did not converge, a file that was missing.

    Parameters
    ----------
    reason : str
        Kept in `queries_`.
    charged : bool, default=False
        Whether the attempt counts against `max_labels`. What is no bool is refused when the answer arrives,
        so that the answers beside it are kept.
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
    def label(self, X: ArrayLike, ids: np.ndarray) -> Iterable[Any]:
        """Answer the questions, in any order.

        Parameters
        ----------
        X : rows as the user gave them, of `show` or else of X: an array, a slice of a DataFrame, or a list
        ids : array of shape (n_rows,)
            The identity of each row; for decoded points ``"generated-"`` and twelve hex digits, the hash of
            the row.

        Yields
        ------
        id, answer : tuple; or a list of such tuples, a dict or a Series, of answers that arrived together
            The answer is a label, ``ABSTAIN`` (or None), ``Abstain(reason)`` or ``Failed(reason)``. What is
            yielded is kept at once, up to 100 answers of a list in one go, so an oracle that breaks down
            later loses none.
        """

    def row_costs(self, X: ArrayLike, ids: np.ndarray) -> np.ndarray | None:
        """Return what each question costs, in the units of the sampler's `max_cost`.

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

    def check_rows(self, X: ArrayLike, sample_id: np.ndarray | None) -> None:
        """Refuse rows that this oracle would take for other ones, before anything is trained.

        Parameters
        ----------
        X : all rows of the pool as the user gave them
        sample_id : array of shape (n_rows,) or None
            The ids given by the user; None: rows go by their position.

        Raises
        ------
        ValueError
            With what was got and what would do.
        """

    def __sklearn_clone__(self) -> Self:
        """Return the oracle itself."""
        return self


def answer_chunks(labelled: Any) -> Generator[list[tuple[Any, Any]]]:
    """Read what ``label`` yields: answers in lists of those that arrived together.

    Parameters
    ----------
    labelled : iterable, Series or mapping
        From ``BaseOracle.label``.

    Yields
    ------
    pairs : list of (id, answer)

    Examples
    --------
    >>> list(answer_chunks([(1, "a"), [(2, "b"), (3, "c")]]))
    [[(1, 'a')], [(2, 'b'), (3, 'c')]]
    """
    try:
        for arrived in labelled if named(labelled, tables=True) is None else [labelled]:
            yield _pairs(arrived)
    finally:
        if isinstance(labelled, Generator):
            labelled.close()  # at once: it may hold worker processes


def _pairs(arrived: object) -> list[tuple[Any, Any]]:
    """Return what an oracle yielded as pairs of id and answer; nothing else that has two parts is a pair."""
    found = named(arrived, tables=True)
    if found is not None and not found.counted:  # 0, 1, 2, ... are hardly the ids that were asked
        arrived = list(zip(found.names, found.values, strict=True))
    pairs: list[Any] = arrived if isinstance(arrived, list) else [arrived]
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise ValueError(
                f"label must yield (id, answer), or a list of such tuples, got {arrived!r:.200}. Yield "
                "zip(ids, answers, strict=True) for answers in the order of the ids."
            )
    return [(to_scalar(id_), answer) for id_, answer in pairs]


def read_told(value: object, id_: Hashable) -> Any:
    """Sort an answer that a person told; a NaN among them is a mistake, not a failure.

    Raises
    ------
    ValueError
        If it is NaN, or nothing but NaN.
    """
    if _is_nan(value):
        raise ValueError(
            f"The answer to id {id_!r} is NaN, as an empty cell of a table is. Leave out what is not "
            "answered yet (frame.dropna(subset='label')); answer None where there is no label to be had, or "
            "Failed(reason)."
        )
    return read_answer(value)


def read_answer(value: object) -> Any:
    """Sort an oracle's raw answer: an Abstain, a Failed, or the label itself.

    None, ABSTAIN, pandas' NA and a masked entry are abstentions; a number that is NaN or infinite is a
    failure, and so is a row or an array of nothing but NaN. Any other array, and a list, is the label itself;
    but one of shape (1,) is the scalar in it.

    Raises
    ------
    ValueError
        If it is a Failed whose `charged` is no bool.

    Examples
    --------
    >>> read_answer(None)
    ABSTAIN
    >>> read_answer(float("nan"))
    Failed(reason='the oracle returned nan', charged=False)
    >>> read_answer("cat")
    'cat'
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).all():
        return ABSTAIN
    value = to_host(value)
    if isinstance(value, np.ndarray) and value.shape in ((), (1,)):
        value = value.item()
    if isinstance(value, Abstain):
        return value if value.reason else ABSTAIN
    if isinstance(value, Failed):
        return _checked_failure(value)
    if value is None or value is pd.NA:
        return ABSTAIN
    # A whole number or a fraction is finite, however large.
    whole = isinstance(value, numbers.Rational)
    if isinstance(value, numbers.Real) and not whole and not math.isfinite(value):
        return Failed(f"the oracle returned {value}")
    return Failed("the oracle returned nothing but nan") if _is_nan(value) else value


def _is_nan(value: object) -> bool:
    """Whether a number, or each number of an array or a list, is NaN."""
    if isinstance(value, numbers.Real):
        return not isinstance(value, numbers.Rational) and math.isnan(value)
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(isinstance(one, float | np.floating) and one != one for one in value)
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return False
    return value.size > 0 and bool(np.isnan(value).all())


def _checked_failure(failed: Failed) -> Failed:
    """Refuse a failure that would count for another number of answers than none or one."""
    if not isinstance(failed.charged, bool | np.bool_):
        raise ValueError(
            f"Failed(charged=...) must be True or False, got {failed.charged!r} with the reason "
            f"{failed.reason!r}. What a question costs is FunctionOracle(cost=...)."
        )
    if isinstance(failed.reason, str) and isinstance(failed.charged, bool):
        return failed
    return Failed(str(failed.reason), bool(failed.charged))
