"""Strategies that benchmarks know by a name of their own, besides those of `make_strategy`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from ..strategies import Candidates, NearestNeighborStrategy, SkactivemlStrategy, Snapshot

# Of scikit-activeml: the strategy, the space it sees, and the rows it chooses from. Those that need memory
# for the square of the rows, or minutes for a query, see a random part of the pool.
SKACTIVEML: dict[str, tuple[str, dict[str, Any], str, int | None]] = {
    "sk-margin": ("UncertaintySampling", {"method": "margin_sampling"}, "features", None),
    "sk-badge": ("Badge", {}, "features", 10_000),
    "sk-coreset": ("CoreSet", {}, "features", 10_000),
    "sk-typiclust": ("TypiClust", {}, "codes", 10_000),
    "sk-probcover": ("ProbCover", {}, "codes", 10_000),
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


def named_strategy(name: str) -> Any:
    """Return the strategy of a name; a name that is not known here is one of `make_strategy`."""
    if name in SKACTIVEML:
        pool = import_module("skactiveml.pool")  # optional
        kind, params, space, n_candidates = SKACTIVEML[name]
        return SkactivemlStrategy(getattr(pool, kind)(**params), n_candidates, space=space)
    if name in SNN:
        return NearestNeighborStrategy(**SNN[name])
    return RandomFarStrategy() if name == "random-far" else name
