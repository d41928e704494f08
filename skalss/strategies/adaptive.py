"""The refined adaptive strategy: hard rows, spread over the latent space, at a fixed price."""

from __future__ import annotations

import numpy as np
import torch

from ..utils.checks import check_between, check_positive_int, check_share
from ..utils.tensors import as_numpy, as_tensor
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
    rare_share : float, default=0.0
        Share, in [0, 1], of the rows asked that the network takes for rare classes, as far as there are such
        candidates: for those that have fewer labels so far than the average class. They are chosen among
        themselves as all others are. 0: classes are not looked at.

    References
    ----------
    - Weighted clustering for batches: arXiv:1901.05954, there in the space of the features.
    - Batches balanced by the predicted classes: Bengar et al., "Class-balanced active learning for image
      classification", WACV 2022, arXiv:2110.04543; Aggarwal et al., "Minority class oriented active learning
      for imbalanced datasets", arXiv:2202.00390.

    Examples
    --------
    >>> from skalss.strategies import AdaptiveStrategy
    >>> AdaptiveStrategy(n_candidates=4000)
    AdaptiveStrategy(n_candidates=4000)
    """

    tasks = frozenset({"classification"})
    needs = frozenset({"labels", "logits"})

    def __init__(
        self,
        n_candidates: int = 2000,
        power: float = 2.0,
        min_structure: float = 0.05,
        rare_share: float = 0.0,
    ):
        self.n_candidates = n_candidates
        self.power = power
        self.min_structure = min_structure
        self.rare_share = rare_share

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_positive_int("n_candidates", self.n_candidates)
        check_between("power", self.power, 0, 20)  # beyond that all weights would vanish
        check_share("min_structure", self.min_structure)
        check_share("rare_share", self.rare_share)

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
        beliefs = as_tensor(logits).softmax(dim=1)
        doubt = as_numpy(snapshot.target.doubt(beliefs), dtype=torch.float64)
        if features is not None and self.min_structure and snapshot.structure() < self.min_structure:
            labeled = network.labeled_features()

            def choose(among: np.ndarray, m: int, taken: np.ndarray) -> np.ndarray:
                centres = np.concatenate([labeled, features[taken]])
                rng, device = snapshot.random_state, snapshot.device
                return among[farthest_of_largest(features[among], centres, m, rng, device=device)[0]]
        else:
            codes = snapshot.latent.codes()[some]

            def choose(among: np.ndarray, m: int, taken: np.ndarray) -> np.ndarray:
                return among[self._middles(codes[among], doubt[among], m, snapshot.random_state)]

        every, none = np.arange(len(some)), np.empty(0, dtype=np.intp)
        chosen = choose(every, n, none)
        if self.rare_share:
            rare = _are_rare(snapshot, beliefs)
            n_rare = min(round(self.rare_share * n), int(rare.sum()))
            if rare[chosen].sum() < n_rare:
                first = choose(np.flatnonzero(rare), n_rare, none)
                rest = choose(np.setdiff1d(every, first), n - n_rare, first)
                chosen = np.concatenate([first, rest])
        return Candidates(rows=some[chosen], scores=-doubt[chosen])

    def _middles(
        self, codes: np.ndarray, doubt: np.ndarray, n: int, random_state: np.random.RandomState
    ) -> np.ndarray:
        """Choose the row in the middle of each of `n` clusters; return positions."""
        if n < 1:
            return np.empty(0, dtype=np.intp)
        # Above 0: where the network is sure of all rows, they count alike.
        weight = (1 + doubt).clip(1e-6) ** float(self.power)
        found = cluster(codes, n, random_state, weight)
        gaps = np.linalg.norm(codes - found.cluster_centers_[found.labels_], axis=1)
        # An easy row may be the nearest to a centre that hard ones have drawn to them: it does not count.
        sums = [np.bincount(found.labels_, v, minlength=n) for v in (weight, weight**2)]
        usual = (sums[1] / np.maximum(sums[0], np.finfo(float).tiny))[found.labels_]
        gaps[weight < usual * (1 - 1e-9)] = np.inf
        nearest = ranked(gaps, random_state)
        _, first = np.unique(found.labels_[nearest], return_index=True)
        chosen = nearest[first]
        # Copies leave clusters empty: the hardest of the other rows stand in.
        rest = ranked(-doubt, random_state, rounding=ROUNDING)
        rest = np.setdiff1d(rest, chosen, assume_unique=True)
        return np.concatenate([chosen, rest[: n - len(chosen)]])


def _are_rare(snapshot: Snapshot, beliefs: torch.Tensor) -> np.ndarray:
    """Tell which rows are taken for a class with fewer labels than the average class has."""
    n_classes = max(1, snapshot.target.n_classes)
    numbers = snapshot.target.encode(snapshot.y_labeled)
    counts = np.bincount(numbers, minlength=n_classes)
    return (counts < counts.mean())[beliefs[:, :n_classes].argmax(dim=1).numpy()]
