"""Rows that cover the latent space: they need no label, and can come first."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from ..neighbors import nearest_codes
from ..utils.checks import check_choice, check_positive_int
from ..utils.surroundings import ignoring, usual_sklearn
from ..utils.tensors import as_tensor
from ..utils.ties import ROUNDING, one_of_largest, ranked
from .base import BaseStrategy, Candidates
from .snapshot import Snapshot

_N_NEIGHBORS = 20


class KMeansStrategy(BaseStrategy):
    """Clusters the codes into as many parts as rows are wanted and asks for the row nearest to each centre.

    Codes are not whitened: a direction in which the pool spreads far counts more. Codes that have hubs, as
    features of pretrained encoders do, are compared by direction; see `find_geometry`.

    Parameters
    ----------
    n_candidates : int, default=20000
        Unlabelled rows drawn at random to find the centres, at least ten a cluster; the rows nearest to the
        centres are sought in the whole pool, or among these rows where directions are compared.

    Examples
    --------
    >>> from skalss.strategies import KMeansStrategy
    >>> KMeansStrategy()
    KMeansStrategy()
    """

    needs = frozenset()

    def __init__(self, n_candidates: int = 20_000):
        self.n_candidates = n_candidates

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_positive_int("n_candidates", self.n_candidates)

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Return True."""
        return True

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose up to `n` rows near the centres of clusters.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are distances from the centre; NaN where all rows near it were chosen for others.
        """
        some = draw(snapshot, max(self.n_candidates, 10 * n))
        n = min(n, len(snapshot.unlabeled))
        codes = snapshot.latent.compared(some)
        centres = cluster(codes, n, snapshot.random_state).cluster_centers_
        if not snapshot.latent.by_direction():
            return near_centres(snapshot, *snapshot.latent.nearest(centres, _N_NEIGHBORS), n)
        # The index of the whole pool has the codes as they are.
        near, gaps = nearest_codes(codes, centres, _N_NEIGHBORS, device=snapshot.device)
        return near_centres(snapshot, some[near], gaps, n)


class TypicalStrategy(BaseStrategy):
    """Asks for the row in the densest place of each cluster that holds the fewest labels.

    The codes are clustered into as many parts as there are labelled and wanted rows together, at most
    `max_clusters`. The clusters with the fewest labels, and of these the largest, give one row each: the one
    with the least mean distance to its 20 nearest neighbours in the cluster.

    Parameters
    ----------
    max_clusters : int, default=500
    n_candidates : int, default=20000
        Unlabelled rows drawn at random to choose from.

    References
    ----------
    TypiClust, arXiv:2202.02794.

    Examples
    --------
    >>> from skalss.strategies import TypicalStrategy
    >>> TypicalStrategy()
    TypicalStrategy()
    """

    needs = frozenset()

    def __init__(self, max_clusters: int = 500, n_candidates: int = 20_000):
        self.max_clusters = max_clusters
        self.n_candidates = n_candidates

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_positive_int("max_clusters", self.max_clusters)
        check_positive_int("n_candidates", self.n_candidates)

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Return True."""
        return True

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose up to `n` typical rows.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are mean distances to the nearest neighbours, in the units of the codes.
        """
        some = draw(snapshot, max(self.n_candidates, n))
        n = min(n, len(some))
        codes, labelled = snapshot.latent.codes()[some], snapshot.latent.labeled_codes()
        n_clusters = min(len(labelled) + n, self.max_clusters, len(some))
        found = cluster(np.concatenate([codes, labelled]), n_clusters, snapshot.random_state)
        members, covered = found.labels_[: len(some)], found.labels_[len(some) :]
        n_labels = np.bincount(covered, minlength=n_clusters)
        queues = {
            c: _by_typicality(codes, np.flatnonzero(members == c), snapshot.random_state)
            for c in range(n_clusters)
        }
        picked, scores = [], []
        for _ in range(n):
            c = min((c for c in queues if queues[c]), key=lambda c: (n_labels[c], -len(queues[c]), c))
            row, score = queues[c].pop(0)
            n_labels[c] += 1
            picked.append(row)
            scores.append(score)
        return Candidates(rows=some[np.array(picked, dtype=np.intp)], scores=np.array(scores))


class CoreSetStrategy(BaseStrategy):
    """Asks, again and again, for the row farthest from all that is labelled or chosen (k-centre greedy).

    Parameters
    ----------
    space : {"codes", "features"}, default="codes"
        Where distances are taken: in the latent space, which needs no network, or in the network's features
        before its last layer, as published, which passes all candidates through the network.
    n_candidates : int, default=None
        Unlabelled rows drawn at random to choose from; None: all.

    References
    ----------
    Core-set selection, arXiv:1708.00489.

    Examples
    --------
    >>> from skalss.strategies import CoreSetStrategy
    >>> CoreSetStrategy("features")
    CoreSetStrategy(space='features')
    """

    def __init__(self, space: str = "codes", n_candidates: int | None = None):
        self.space = space
        self.n_candidates = n_candidates

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        """Only the network's features need labels."""
        return frozenset({"labels", "features"}) if self.space == "features" else frozenset()

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_choice("space", self.space, ("codes", "features"))
        if self.n_candidates is not None:
            check_positive_int("n_candidates", self.n_candidates, also="None")

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Whether distances are taken between codes."""
        return self.space == "codes"

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose up to `n` rows far from each other and from the labelled ones.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are the distances at which rows were chosen.
        """
        some = draw(snapshot, None if self.n_candidates is None else max(n, self.n_candidates))
        n = min(n, len(some))
        if self.space == "codes":
            points, centres = snapshot.latent.codes()[some], snapshot.latent.labeled_codes()
        else:
            points, centres = snapshot.network.features(some), snapshot.network.features(snapshot.labeled)
        chosen, gaps = farthest_first(points, centres, n, snapshot.random_state, device=snapshot.device)
        return Candidates(rows=some[chosen], scores=gaps)


def farthest_first(
    points: np.ndarray,
    centres: np.ndarray,
    n: int,
    random_state: np.random.RandomState,
    device: torch.device | str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Choose `n` points, each the farthest from the centres and from those chosen before.

    Parameters
    ----------
    points : float array of shape (n_points, n_dimensions)
    centres : float array of shape (n_centres, n_dimensions)
        Without any, the first point is drawn at random.
    n : int
    random_state : RandomState
    device : str or torch.device, default="cpu"

    Returns
    -------
    chosen : int array of shape (n,)
    gaps : float array of shape (n,)
        Distance of each when it was chosen; infinity for one drawn at random.
    """
    rows = as_tensor(np.asarray(points, dtype=np.float32), device)
    if len(centres):
        gaps = as_tensor(nearest_codes(centres, points, device=device)[1][:, 0], device)
    else:
        gaps = torch.full((len(rows),), torch.inf, device=rows.device)
    squares = gaps.square()
    # Of the squared distance of two copies.
    rounding = float(ROUNDING**2 * rows.square().sum(dim=1).max()) if n else 0.0
    chosen, found = np.empty(n, dtype=np.intp), np.empty(n)
    for i in range(n):
        if i == 0 and len(centres) == 0:
            far = random_state.randint(len(rows))
        else:
            far = one_of_largest(squares, random_state, rounding=rounding)
        chosen[i], found[i] = far, float(squares[far].sqrt())
        squares = torch.minimum(squares, (rows - rows[far]).square().sum(dim=1))
        squares[far] = -torch.inf  # never again, even where another row is its copy
    return chosen, found


def draw(snapshot: Snapshot, n: int | None) -> np.ndarray:
    """Draw up to `n` rows that may be asked, in ascending order; None: all."""
    rows = snapshot.unlabeled
    if n is None or n >= len(rows):
        return rows
    return np.sort(snapshot.random_state.choice(rows, size=n, replace=False))


def cluster(
    codes: np.ndarray, n: int, random_state: np.random.RandomState, weight: np.ndarray | None = None
) -> KMeans:
    """Find `n` clusters of the codes; `weight` is how much each counts."""
    seed = random_state.randint(2**31 - 1)
    with ignoring(ConvergenceWarning), usual_sklearn():  # copies of rows: fewer places than clusters
        return KMeans(n, n_init=1, max_iter=50, random_state=seed).fit(codes, sample_weight=weight)


def near_centres(snapshot: Snapshot, rows: np.ndarray, distances: np.ndarray, n: int) -> Candidates:
    """Choose for each centre, in turn, the nearest row that was not chosen yet.

    `rows` and `distances`, arrays of shape (n_centres, n_neighbors), are the nearest rows that may be asked.
    """
    picked: dict[int, float] = {}
    for near, gaps in zip(rows.tolist(), distances.tolist(), strict=True):
        for row, gap in zip(near, gaps, strict=True):
            if row not in picked and len(picked) < n:
                picked[row] = gap
                break
    chosen = np.fromiter(picked, dtype=np.intp, count=len(picked))
    scores = np.fromiter(picked.values(), dtype=float, count=len(picked))
    free = np.setdiff1d(snapshot.unlabeled, chosen)
    others = snapshot.random_state.choice(free, size=n - len(chosen), replace=False)
    return Candidates(
        rows=np.concatenate([chosen, others.astype(np.intp)]),
        scores=np.concatenate([scores, np.full(len(others), np.nan)]),
    )


def _by_typicality(
    codes: np.ndarray, rows: np.ndarray, random_state: np.random.RandomState
) -> list[tuple[int, float]]:
    """Order rows of a cluster by the mean distance to their nearest neighbours in it, the nearest first."""
    if len(rows) < 2:
        return [(int(row), 0.0) for row in rows]
    # The nearest of all is the row itself, at distance 0.
    _, distances = nearest_codes(codes[rows], codes[rows], _N_NEIGHBORS + 1)
    sparsity = distances.sum(axis=1) / (distances.shape[1] - 1)
    order = ranked(sparsity, random_state, rounding=ROUNDING * float(np.abs(codes).max()))
    return list(zip(rows[order].tolist(), sparsity[order].tolist(), strict=True))
