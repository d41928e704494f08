"""Strategies that benchmarks know by a name of their own, besides those of `make_strategy`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from ..strategies import (
    BaseStrategy,
    Candidates,
    NearestNeighborStrategy,
    SkactivemlStrategy,
    Snapshot,
    make_strategy,
)
from ..strategies.diversity import draw
from ..strategies.herding import herd
from ..utils.tensors import as_numpy, as_tensor

# Of scikit-activeml: the strategy, the space it sees, and the rows it chooses from. Those that need memory
# for the square of the rows, or minutes for a query, see a random part of the pool.
SKACTIVEML: dict[str, tuple[str, dict[str, Any], str, int | None]] = {
    "sk-margin": ("UncertaintySampling", {"method": "margin_sampling"}, "features", None),
    "sk-badge": ("Badge", {}, "features", 10_000),
    "sk-coreset": ("CoreSet", {}, "features", 10_000),
    "sk-typiclust": ("TypiClust", {}, "codes", 10_000),
    "sk-probcover": ("ProbCover", {}, "codes", 10_000),
    # A width of 1, as published.
    "sk-maxherding": ("MaxHerding", {"metric_dict": {"gamma": 1.0}}, "codes", 4000),
    "sk-dropquery": ("DropQuery", {}, "codes", 10_000),
}
_ONE_STEP = {"step": 1.0, "n_steps": 1, "stop_at_flip": False}
# SNN between the published procedure and ours.
SNN: dict[str, dict[str, Any]] = {
    "snn-one-step": {
        "step": 1.0,
        "n_steps": 1,
        "stop_at_flip": False,
        "start_once": False,
        "min_distance": None,
    },
    "snn-climb": {"start_once": False, "min_distance": None},
    "snn-one-step-once-far": _ONE_STEP,
}


class RandomFarStrategy(NearestNeighborStrategy):
    """Random rows that are as far from labelled codes as those of SNN: what SNN has of spreading alone."""

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Draw up to `n` rows; nearer ones only when too few are far."""
        rows = snapshot.random_state.permutation(snapshot.unlabeled)[: 20 * n]
        near = ~self._far_enough(snapshot, snapshot.latent.codes()[rows])
        return Candidates(rows=rows[np.argsort(near, kind="stable")][:n])


class PublishedHerding(BaseStrategy):
    """Uncertainty herding as published, to hold ours against.

    Codes are centred and of unit length. A label reaches as far as the two nearest labelled rows lie apart,
    or 1 before there are two. Doubt counts as it is, at the temperature with the least calibration error on
    the labels that the last query bought, which its network had not seen.

    Parameters
    ----------
    start : bool, default=False
        All rows count alike, and no network is asked (MaxHerding): for the first set.
    n_candidates : int, default=4000

    References
    ----------
    arXiv:2412.20644.
    """

    tasks = frozenset({"classification"})

    def __init__(self, start: bool = False, n_candidates: int = 4000):
        self.start = start
        self.n_candidates = n_candidates

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        """A start needs no label."""
        return frozenset() if self.start else frozenset({"labels", "logits"})

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Return True."""
        return True

    def candidates(self, snapshot: Snapshot, n: int) -> np.ndarray:
        """Return the rows to choose from."""
        return draw(snapshot, max(self.n_candidates, n))

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose up to `n` rows."""
        some = self.candidates(snapshot, n)
        n, doubt = min(n, len(some)), np.ones(len(some))
        if not self.start:
            logits = as_tensor(snapshot.network.logits(some)).double()
            calm = (logits / self._temperature(snapshot)).softmax(dim=1)
            doubt = 1 + as_numpy(snapshot.target.doubt(calm), dtype=torch.float64)
        codes, labeled = snapshot.latent.codes()[some], snapshot.latent.labeled_codes()
        middle = codes.mean(axis=0)
        points, known = (_unit(Z - middle) for Z in (codes, labeled))
        chosen = herd(points, doubt.clip(1e-6), known, n, snapshot.random_state, closeness=0.0)
        if not self.start:
            self._asked = (len(snapshot.labeled), some[chosen], logits[torch.as_tensor(chosen)])
        return Candidates(rows=some[chosen])

    def _temperature(self, snapshot: Snapshot) -> float:
        """Return the temperature at which the last network was as sure of its new rows as it was right."""
        asked: Any = getattr(self, "_asked", None)
        if asked is None or asked[0] >= len(snapshot.labeled):  # the first query of a campaign
            return 1.0
        _, rows, logits = asked
        known = {row: i for i, row in enumerate(snapshot.labeled)}
        at = [i for i, row in enumerate(rows) if row in known]
        labels = snapshot.target.encode(snapshot.y_labeled[[known[rows[i]] for i in at]])
        grid = np.exp(np.linspace(np.log(0.5), np.log(20), 60))
        errors = [_calibration_error((logits[at] / t).softmax(dim=1).numpy(), labels) for t in grid]
        return float(grid[int(np.argmin(errors))])


class Refine(PublishedHerding):
    """Four strategies ask for twice the rows each, out of a random part of the pool; herding chooses of them.

    REFINE, arXiv:2511.22344, in one step of refinement.
    """

    def candidates(self, snapshot: Snapshot, n: int) -> np.ndarray:
        """Return what the strategies ask for."""
        asked = []
        for name in ("margin", "badge", "typical", "kmeans"):
            strategy = make_strategy(name).set_params(n_candidates=max(2000, 4 * n))
            asked.append(strategy.query(snapshot, min(2 * n, len(snapshot.unlabeled))).rows)
        return np.unique(np.concatenate(asked))


def _unit(Z: np.ndarray) -> np.ndarray:
    return Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-12)


def _calibration_error(P: np.ndarray, labels: np.ndarray, n_bins: int = 10) -> float:
    """Return the expected calibration error."""
    sure, right = P.max(axis=1), P.argmax(axis=1) == labels
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, sure, n_bins) - np.bincount(bins, right, n_bins)
    return float(np.abs(gaps).sum() / len(labels))


def named_strategy(name: str) -> Any:
    """Return the strategy of a name; a name that is not known here is one of `make_strategy`."""
    if name in SKACTIVEML:
        pool = import_module("skactiveml.pool")  # optional
        kind, params, space, n_candidates = SKACTIVEML[name]
        given = {"clf": _probe(), "fit_clf": True} if name == "sk-dropquery" else None
        return SkactivemlStrategy(
            getattr(pool, kind)(**params), n_candidates, space=space, query_params=given
        )
    if name in SNN:
        return NearestNeighborStrategy(**SNN[name])
    made = {"random-far": RandomFarStrategy, "uherding": PublishedHerding, "refine": Refine}
    if name == "maxherding":
        return PublishedHerding(start=True)
    return made[name]() if name in made else name


def _probe() -> Any:
    """Return the linear probe that DropQuery asks, as published; the network cannot take a part of a row."""
    return import_module("skactiveml.classifier").SklearnClassifier(LogisticRegression(max_iter=300))
