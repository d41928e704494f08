"""SNN, sampling by nearest neighbour: the pool row nearest to a harder code."""

from __future__ import annotations

import numpy as np

from .base import Candidates
from .climb import BaseClimbStrategy
from .snapshot import Snapshot

_N_NEIGHBORS = 20


class NearestNeighborStrategy(BaseClimbStrategy):
    """Climbs the task loss from labelled rows and asks for the pool rows nearest to where it arrives.

    For each start row: its code goes uphill on the network's loss at the decoded code and the row's own
    label; the unlabelled row with the nearest code is asked. A round looks at about `n` rows times `n_steps`
    with the network, more where many are refused, however large the pool.

    The published procedure takes one step and none of the last three options:
    ``AdaptiveLatentSampler.paper("snn")``.

    Parameters
    ----------
    step : float, default=0.5
        Length of a step, in units of the spread of the codes (the root mean square of their standard
        deviations).
    n_steps : int, default=10
        Steps of a climb, at most.
    stop_at_flip : bool, default=True
        Whether a climb ends where the network no longer predicts the row's label. Without effect in
        regression.
    start_once : bool, default=True
        Whether labelled rows that no query came from yet are preferred as starts.
    min_distance : float, "median" or None, default="median"
        Rows nearer than this to a labelled code are passed over for the next neighbour. A float is in
        units of the spread; ``"median"`` is the median distance of labelled codes from each other's
        nearest.

    References
    ----------
    Adaptive latent space sampling, arXiv:2004.02757.

    Examples
    --------
    >>> from skalss.strategies import NearestNeighborStrategy
    >>> NearestNeighborStrategy(n_steps=1, stop_at_flip=False)
    NearestNeighborStrategy(n_steps=1, stop_at_flip=False)
    """

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Return True."""
        return True

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose up to `n` rows near harder codes.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are distances from the climbed code; NaN for rows that chance filled up with,
            when every neighbour of every climb was refused.
        """
        n = min(n, len(snapshot.unlabeled))
        picked: dict[int, tuple[float, int]] = {}
        for starts, Z in self._laps(snapshot, lambda: n - len(picked), n_laps=2):
            self._pick(snapshot, starts, Z, picked, n)
        if len(picked) < n:
            self._fill(snapshot, picked, n)
        scores, origins = zip(*picked.values(), strict=True) if picked else ((), ())
        return Candidates(
            rows=np.fromiter(picked, dtype=np.intp, count=len(picked)),
            scores=np.array(scores, dtype=float),
            starts=np.array(origins, dtype=np.intp),
        )

    def _pick(self, snapshot: Snapshot, starts: np.ndarray, Z: np.ndarray, picked: dict, n: int) -> None:
        """Choose for each start, in turn, the nearest row that is free and far from the labelled ones."""
        rows, distances = snapshot.latent.nearest(Z, _N_NEIGHBORS)
        far = self._far_enough(snapshot, snapshot.latent.codes()[rows.ravel()]).reshape(rows.shape)
        for start, near, gaps, allowed in zip(starts, rows, distances, far, strict=True):
            for row, gap in zip(near[allowed].tolist(), gaps[allowed].tolist(), strict=True):
                if row not in picked and len(picked) < n:
                    picked[row] = (gap, int(start))
                    break

    def _fill(self, snapshot: Snapshot, picked: dict, n: int) -> None:
        free = np.setdiff1d(snapshot.unlabeled, np.fromiter(picked, dtype=np.intp, count=len(picked)))
        for row in snapshot.random_state.choice(free, size=n - len(picked), replace=False):
            picked[int(row)] = (np.nan, -1)
