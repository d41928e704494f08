"""Every strategy, with the tasks and models it is tested on: list a new strategy here and it is tested."""

import pytest

from skalss.strategies import (
    AdaptiveStrategy,
    BadgeStrategy,
    CommitteeStrategy,
    CoreSetStrategy,
    InterpolationStrategy,
    KMeansStrategy,
    LargestClusterStrategy,
    NearestNeighborStrategy,
    RandomCodesStrategy,
    RandomStrategy,
    SkactivemlStrategy,
    TypicalStrategy,
    UncertaintyStrategy,
)

try:
    from skactiveml import pool as theirs
except ImportError:  # it is optional
    SKACTIVEML, SKACTIVEML_ANY_MODEL = [], []
else:
    SKACTIVEML_ANY_MODEL = [
        SkactivemlStrategy(theirs.UncertaintySampling(), 30, space="original"),
        SkactivemlStrategy(theirs.QueryByCommittee(), 30, n_members=2, space="original"),
    ]
    SKACTIVEML = [
        SkactivemlStrategy(theirs.RandomSampling(), space="codes"),
        SkactivemlStrategy(theirs.TypiClust(), n_candidates=30),
        SkactivemlStrategy(theirs.Badge()),
    ]

# As published: one step, and none of the options.
PLAIN_CLIMB = {"step": 1.0, "n_steps": 1, "stop_at_flip": False, "start_once": False, "min_distance": None}

# They ask what is trained, and any classifier or regressor can answer.
POOL_STRATEGIES_OF_ANY_MODEL = [
    AdaptiveStrategy(),
    CommitteeStrategy(n_members=2),
    LargestClusterStrategy(),
    UncertaintyStrategy("margin"),
    *SKACTIVEML_ANY_MODEL,
]
POOL_STRATEGIES = [
    *POOL_STRATEGIES_OF_ANY_MODEL,
    RandomStrategy(),
    AdaptiveStrategy(n_candidates=15, power=0),
    NearestNeighborStrategy(n_steps=3),
    NearestNeighborStrategy(**PLAIN_CLIMB),
    NearestNeighborStrategy(step=1e-3, n_steps=1, min_distance=0.3),
    NearestNeighborStrategy(n_steps=1, min_distance=1e6),  # refuses every row
    KMeansStrategy(),
    KMeansStrategy(n_candidates=15),
    TypicalStrategy(),
    TypicalStrategy(max_clusters=3, n_candidates=15),
    CoreSetStrategy(),
    CoreSetStrategy("features"),
    CoreSetStrategy(n_candidates=20),
    BadgeStrategy(),
    BadgeStrategy(n_candidates=15),
    CommitteeStrategy(n_members=2, n_candidates=15),
    LargestClusterStrategy(n_candidates=15),
    LargestClusterStrategy(space="codes"),
    *SKACTIVEML,
    UncertaintyStrategy("mms", n_candidates=20),
    *(UncertaintyStrategy(score) for score in ("mms", "entropy", "least_confident")),
]
POINT_STRATEGIES_OF_ANY_MODEL = [InterpolationStrategy(climb="random", residual=True, n_candidates=60)]
POINT_STRATEGIES = [
    *POINT_STRATEGIES_OF_ANY_MODEL,
    InterpolationStrategy(n_steps=3),
    InterpolationStrategy(**PLAIN_CLIMB),
    InterpolationStrategy(n_steps=1, min_distance=1e6),
    InterpolationStrategy(n_steps=2, residual=True),
    InterpolationStrategy(climb="disagreement", n_members=2, n_steps=3, residual=True),
    InterpolationStrategy(climb="disagreement", n_members=2, n_steps=2),
    InterpolationStrategy(climb="random", on_refusal="nearest"),
    RandomCodesStrategy(),
    RandomCodesStrategy("latin_hypercube"),
]
STRATEGIES = POOL_STRATEGIES + POINT_STRATEGIES


COMMON = ("classification", "regression")
SEVERAL_VALUES = "several values"  # a regression, too
# One of each class, and mms, which weighs by the last layer: with labels of other kinds.
OF_OTHER_KINDS = [*{type(s): s for s in reversed(STRATEGIES)}.values(), UncertaintyStrategy("mms")]


def each(strategies, of_any_model=()):
    """Run a test over strategies and their tasks with a network, and over some with other models."""
    cases = [(s, task, "net") for s in strategies for task in COMMON if task in s.tasks]
    for model in ("forest", "linear"):
        cases += [(s, task, model) for s in of_any_model for task in COMMON if task in s.tasks]
    for strategy in [s for s in OF_OTHER_KINDS if s in strategies]:
        kinds = sorted(strategy.tasks - set(COMMON))
        kinds += [SEVERAL_VALUES] if strategy.tasks >= {"regression", "field regression"} else []
        cases += [(strategy, kind, "net") for kind in kinds]
        if strategy in of_any_model and "multilabel" in strategy.tasks:
            cases.append((strategy, "multilabel", "forest"))
    names = [f"{model}-{task}-{strategy}" for strategy, task, model in cases]
    return pytest.mark.parametrize(("strategy", "task", "model"), cases, ids=names)


each_pool_strategy = each(POOL_STRATEGIES, POOL_STRATEGIES_OF_ANY_MODEL)
each_point_strategy = each(POINT_STRATEGIES, POINT_STRATEGIES_OF_ANY_MODEL)
each_strategy = each(STRATEGIES, POOL_STRATEGIES_OF_ANY_MODEL + POINT_STRATEGIES_OF_ANY_MODEL)
