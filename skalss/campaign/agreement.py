"""Whether predictions have settled: the networks of one round and of the next, compared."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..network import TaskModel
from ..utils.seeds import derive_seed
from .pool import Pool

N_ROWS = 2000
MOST_VALUES = 10**7  # of all predictions kept: maps are compared on fewer rows


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
    pool : Pool
    seed : int

    Attributes
    ----------
    values : list of float
        Of the accepted networks, each with the one before it.
    """

    def __init__(self, pool: Pool, seed: int):
        self.pool, self.seed = pool, seed
        self.values: list[float] = []
        self._accepted: _Look | None = None
        self._looked: _Look | None = None

    def look(self, network: TaskModel, n_seen: int) -> float:
        """Compare a network with the one accepted last.

        Parameters
        ----------
        network : TaskModel
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
            value = np.nan if last is None else self.pool.target.agreement(last.predicted, predicted)
            self._looked = _Look(n_seen, predicted, value)
        return self._looked.agreement

    def advance(self) -> None:
        """Accept the network looked at last as the one that the next is compared with."""
        if self._looked is self._accepted or self._looked is None:
            return
        if self._accepted is not None:
            self.values.append(self._looked.agreement)
        self._accepted = self._looked

    def get_state(self) -> dict[str, Any]:
        """Return the agreements so far, and what the next network is compared with."""
        accepted = None if self._accepted is None else self._accepted._asdict()
        return {"values": [float(value) for value in self.values], "accepted": accepted}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take up what `get_state` returned."""
        accepted = state["accepted"]
        self.values = list(state["values"])
        self._accepted = self._looked = None if accepted is None else _Look(**accepted)

    def _rows(self) -> np.ndarray:
        """Return the rows that all networks are compared on."""
        rng: Any = np.random.RandomState(derive_seed(self.seed, "agreement"))
        n_rows, size = len(self.pool), 1
        if self.pool.target.is_map:
            size = math.prod(self.pool.target.examples().shape[1:])
        n_kept = min(N_ROWS, n_rows, max(1, MOST_VALUES // size))
        return np.sort(rng.choice(n_rows, size=n_kept, replace=False))
