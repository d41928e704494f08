"""The refined adaptive strategy: hard rows, spread over the latent space, at a fixed price."""

from __future__ import annotations

import numpy as np
import torch

from ..utils.checks import check_number, check_positive_int, check_share
from ..utils.ties import ROUNDING, ranked
from .base import BaseStrategy, Candidates
from .diversity import cluster, draw
from .largest_cluster import farthest_of_largest
from .snapshot import Snapshot


class AdaptiveStrategy(BaseStrategy):
    """Clusters codes, weighted by how hard each row is, and asks for the row in the middle of each cluster.

    Hard is what the network is unsure of: the weight is 1 less the gap of the two highest probabilities, to a
    power. There are as many clusters as rows wanted. So the rows asked are hard, and they are hard in
    different ways: no two of them are near copies.

    Where the codes do not keep the classes apart, clusters of codes do not tell rows apart, and the network
    itself is often unsure of what cannot be learned from few labels. There it asks for rows that cover the
    network's features, as `LargestClusterStrategy` does, whether hard or not.

    A round looks at `n_candidates` rows with the network, and there at up to 2,000 labelled ones, too,
    however large the pool.

    Parameters
    ----------
    n_candidates : int, default=2000
        Unlabelled rows drawn at random to choose from.
    power : float, default=2.0
        0 clusters all rows alike, whether hard or not; the larger, the more hard rows count.
    min_structure : float, default=0.05
        Least `PseudoLabels.structure` of the codes at which they are clustered; 0: they always are, as they
        are for a network without a last linear layer.

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
    needs = frozenset({"labels", "logits"})

    def __init__(self, n_candidates: int = 2000, power: float = 2.0, min_structure: float = 0.05):
        self.n_candidates = n_candidates
        self.power = power
        self.min_structure = min_structure

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_positive_int("n_candidates", self.n_candidates)
        check_number("power", self.power, zero=True)
        check_share("min_structure", self.min_structure)

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Return True."""
        return True

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
        network = snapshot.network
        both = network.can("features")
        features, logits = network.features_and_logits(some) if both else (None, network.logits(some))
        doubt = snapshot.target.doubt(torch.as_tensor(logits).softmax(dim=1)).double().numpy()
        if features is not None and self.min_structure and snapshot.structure() < self.min_structure:
            chosen, _ = farthest_of_largest(
                features, network.labeled_features(), n, snapshot.random_state, device=snapshot.device
            )
            return Candidates(rows=some[chosen], scores=-doubt[chosen])
        codes = snapshot.latent.codes()[some]
        # Above 0: where the network is sure of all rows, they count alike.
        weight = (1 + doubt).clip(1e-6) ** self.power
        found = cluster(codes, n, snapshot.random_state, weight)
        gaps = np.linalg.norm(codes - found.cluster_centers_[found.labels_], axis=1)
        # An easy row may be the nearest to a centre that hard ones have drawn to them: it does not count.
        sums = [np.bincount(found.labels_, v, minlength=n) for v in (weight, weight**2)]
        usual = (sums[1] / np.maximum(sums[0], np.finfo(float).tiny))[found.labels_]
        gaps[weight < usual * (1 - 1e-9)] = np.inf
        nearest = ranked(gaps, snapshot.random_state)
        _, first = np.unique(found.labels_[nearest], return_index=True)
        chosen = nearest[first]
        # Copies leave clusters empty: the hardest of the other rows stand in.
        rest = ranked(-doubt, snapshot.random_state, rounding=ROUNDING)
        rest = np.setdiff1d(rest, chosen, assume_unique=True)
        chosen = np.concatenate([chosen, rest[: n - len(chosen)]])
        return Candidates(rows=some[chosen], scores=-doubt[chosen])
