"""Whether predictions have settled: the networks of one round and of the next, compared."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import cohen_kappa_score, r2_score

from ..network.tasknet import TaskNet
from ..utils.seeds import derive_seed
from .pool import Pool

N_ROWS = 2000
N_COMPARISONS = 3  # whose mean must reach the threshold


class _Look(NamedTuple):
    """What a network trained on `n_seen` labels predicts, and how it agrees with the one before it."""

    n_seen: int
    predicted: np.ndarray
    agreement: float


class Agreement:
    """Compares the predictions of each round's network with those of the round before.

    As with the network that training goes on from, looking changes nothing: a network counts, and the next
    one is compared with it, once `advance` accepted it.

    Parameters
    ----------
    threshold : float or None
        Stop when the mean of the last three comparisons reaches it; None: never.
    pool : Pool
    seed : int

    References
    ----------
    Bloodgood and Vijay-Shanker, A method for stopping active learning based on stabilizing predictions and
    the need for user-adjustable stopping, CoNLL 2009, arXiv:1409.5165.
    """

    def __init__(self, threshold: float | None, pool: Pool, seed: int):
        self.threshold, self.pool, self.seed = threshold, pool, seed
        self.values: list[float] = []
        self._accepted: _Look | None = None
        self._looked: _Look | None = None

    @property
    def reached(self) -> bool:
        """Whether predictions have settled."""
        if self.threshold is None or len(self.values) < N_COMPARISONS:
            return False
        return bool(np.mean(self.values[-N_COMPARISONS:]) >= self.threshold)

    def look(self, network: TaskNet, n_seen: int) -> float:
        """Compare a network with the one accepted last.

        Parameters
        ----------
        network : TaskNet
        n_seen : int
            Number of labels it was trained on.

        Returns
        -------
        agreement : float
            NaN if there is none to compare with, or only one trained on as many labels.
        """
        last = self._accepted
        if last is not None and last.n_seen == n_seen:
            self._looked = last
            return np.nan
        if self._looked is None or self._looked.n_seen != n_seen:
            predicted = network.predict(self.pool.X[self._rows()])
            value = np.nan if last is None else agreement(last.predicted, predicted, self.pool.task)
            self._looked = _Look(n_seen, predicted, value)
        return self._looked.agreement

    def advance(self) -> None:
        """Accept the network looked at last as the one that the next is compared with."""
        if self._looked is self._accepted or self._looked is None:
            return
        if self._accepted is not None:
            self.values.append(self._looked.agreement)
        self._accepted = self._looked

    def _rows(self) -> np.ndarray:
        """Give the rows that all networks are compared on."""
        rng: Any = np.random.RandomState(derive_seed(self.seed, "agreement"))
        n_rows = len(self.pool)
        return np.sort(rng.choice(n_rows, size=min(N_ROWS, n_rows), replace=False))


def agreement(old: np.ndarray, new: np.ndarray, task: str) -> float:
    """Give how far two sets of predictions agree.

    Parameters
    ----------
    old, new : arrays of shape (n_samples,)
    task : {"classification", "regression"}

    Returns
    -------
    agreement : float
        Cohen's kappa, at most 1; for regression the R² of `new` on `old`, clipped to [0, 1].

    Examples
    --------
    >>> agreement(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), "classification")
    0.5
    """
    if np.array_equal(old, new):
        return 1.0  # of constant predictions kappa is undefined
    if task == "classification":
        return float(cohen_kappa_score(old, new))
    return float(np.clip(r2_score(old, new), 0.0, 1.0))
