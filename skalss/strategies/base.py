"""What a strategy is, and what it returns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from ..targets import TASKS
from ..utils.checks import check_positive_int
from .snapshot import Snapshot


class Candidates(NamedTuple):
    """The questions of one round: pool rows, points that the strategy made, or both.

    Attributes
    ----------
    rows : int array of shape (n_rows,) or None
        Positions of pool rows; None: there are none.
    codes : float32 array of shape (n_codes, n_components) or None
        Codes of made points; None: there are none.
    scores : float array of shape (n_rows + n_codes,) or None
        Why each was chosen, in the strategy's own measure; pool rows come first.
    starts : int array of shape (n_rows + n_codes,) or None
        Which labelled row each came from, as a position in ``snapshot.y_labeled``; -1: from none.
    points : array of shape (n_codes, ...) or None
        The made points in the units of X; None: what `codes` decode to.
    """

    rows: np.ndarray | None
    codes: np.ndarray | None = None
    scores: np.ndarray | None = None
    starts: np.ndarray | None = None
    points: np.ndarray | None = None


def check_members(n_members: int) -> None:
    """Refuse a committee of fewer than two."""
    check_positive_int("n_members", n_members)
    if n_members < 2:
        raise ValueError(f"n_members must be at least 2, got {n_members!r}: one network cannot disagree.")


class BaseStrategy(BaseEstimator):
    """Base of all strategies: how the next rows to label are chosen.

    A strategy only stores its parameters: what it must remember between rounds is in the snapshot.

    Attributes
    ----------
    tasks : set of str
        The tasks it serves, of ``"classification"``, ``"multilabel"`` (several labels a row),
        ``"segmentation"`` (masks), ``"regression"`` (one value or several) and ``"field regression"``. By
        default all of them.
    needs : set of str
        What it cannot do without: ``"labels"``, and abilities of the network, ``"logits"``, ``"features"``,
        ``"gradient"`` or ``"gradients"``; see `TaskModel`. One that needs nothing can choose the first rows.
        A network without what is needed is refused before the first question.
    generates_points : bool
        Whether it asks for points that are not in the pool.
    """

    tasks: frozenset[str] = TASKS
    needs: frozenset[str] = frozenset({"labels"})
    generates_points: bool = False

    @property
    def decodes(self) -> bool:
        """Whether it decodes codes to rows, or changes rows by their codes: then a decoder is needed.

        A campaign whose latent model has none is refused before the first question. By default what makes
        points does; a class attribute ``decodes = False`` says otherwise.
        """
        return self.generates_points

    def check(self) -> None:
        """Refuse a wrong parameter; called before anything is trained. Does nothing by default."""

    def check_pool(self, X: np.ndarray, as_user_rows: Callable[[np.ndarray], Any]) -> None:
        """Refuse a pool that it cannot serve; called before anything is trained. Does nothing by default.

        Parameters
        ----------
        X : array of shape (n_rows, ...)
        as_user_rows : callable
            Turns rows, an array, into the kind that the user passed.
        """

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Whether `query` looks at codes; the latent model is then tried before the first question.

        False by default.

        Parameters
        ----------
        abilities : frozenset of str
            Of the network, see `TaskModel`.
        """
        return False

    @abstractmethod
    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose what to label next.

        Parameters
        ----------
        snapshot : Snapshot
        n : int
            How many are wanted.

        Returns
        -------
        candidates : Candidates
            No duplicates, only rows of ``snapshot.unlabeled``; fewer than `n` only if fewer are left.
        """
