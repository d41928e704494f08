"""The refined adaptive strategy: hard rows, spread over the latent space, at a fixed price."""

from __future__ import annotations

import numpy as np
import torch

from .. import scores
from .._checks import check_number, check_positive_int
from .base import BaseStrategy, Candidates, Snapshot
from .diversity import cluster, draw


class AdaptiveStrategy(BaseStrategy):
    """Clusters codes, weighted by how hard each row is, and asks for the row in the middle of each cluster.

    Hard is what the network is unsure of: the weight is 1 less the gap of the two highest probabilities, to a
    power. There are as many clusters as rows wanted. So the rows asked are hard, and they are hard in
    different ways: no two of them are near copies.

    A round looks at `n_candidates` rows with the network, however large the pool.

    Parameters
    ----------
    n_candidates : int, default=2000
        Unlabelled rows drawn at random to choose from.
    power : float, default=2.0
        0 clusters all rows alike, whether hard or not; the larger, the more hard rows count.

    References
    ----------
    Weighted clustering for batches: arXiv:1901.05954, there in the space of the features.

    Examples
    --------
    >>> from skalss.strategies import AdaptiveStrategy
    >>> AdaptiveStrategy(n_candidates=4000)
    AdaptiveStrategy(n_candidates=4000)
    """

    tasks = frozenset({"classification"})

    def __init__(self, n_candidates: int = 2000, power: float = 2.0):
        self.n_candidates = n_candidates
        self.power = power

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_positive_int("n_candidates", self.n_candidates)
        check_number("power", self.power, zero=True)

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose up to `n` hard rows that differ.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are gaps of the two highest probabilities, small for hard rows.
        """
        some = draw(snapshot, max(self.n_candidates, n))
        n = min(n, len(some))
        margin = scores.margin(torch.as_tensor(snapshot.logits(some)).softmax(dim=1)).double().numpy()
        codes = snapshot.codes[some]
        # Above 0: where the network is sure of all rows, they count alike.
        weight = (1 - margin).clip(1e-6) ** self.power
        found = cluster(codes, n, snapshot.random_state, weight)
        gaps = np.linalg.norm(codes - found.cluster_centers_[found.labels_], axis=1)
        # An easy row may be the nearest to a centre that hard ones have drawn to them: it does not count.
        sums = [np.bincount(found.labels_, v, minlength=n) for v in (weight, weight**2)]
        usual = (sums[1] / np.maximum(sums[0], np.finfo(float).tiny))[found.labels_]
        gaps[weight < usual * (1 - 1e-9)] = np.inf
        nearest = np.argsort(gaps, kind="stable")
        _, first = np.unique(found.labels_[nearest], return_index=True)
        chosen = nearest[first]
        # Copies leave clusters empty: the hardest of the other rows stand in.
        rest = np.setdiff1d(np.argsort(margin, kind="stable"), chosen, assume_unique=True)
        chosen = np.concatenate([chosen, rest[: n - len(chosen)]])
        return Candidates(ids=some[chosen], codes=None, scores=margin[chosen])
