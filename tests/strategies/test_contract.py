"""The contract of a strategy, asked of every one: list a new strategy here and it is tested."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skalss.strategies import (
    AdaptiveStrategy,
    BadgeStrategy,
    BaseStrategy,
    Candidates,
    CommitteeStrategy,
    CoreSetStrategy,
    Encoded,
    InterpolationStrategy,
    KMeansStrategy,
    LargestClusterStrategy,
    MadePoints,
    NearestNeighborStrategy,
    RandomCodesStrategy,
    RandomStrategy,
    SkactivemlStrategy,
    TypicalStrategy,
    UncertaintyStrategy,
    make_strategy,
)

try:
    from skactiveml import pool as theirs
except ImportError:  # it is optional
    SKACTIVEML = []
else:
    SKACTIVEML = [
        SkactivemlStrategy(theirs.RandomSampling(), space="codes"),
        SkactivemlStrategy(theirs.TypiClust(), n_candidates=30),
        SkactivemlStrategy(theirs.Badge()),
        SkactivemlStrategy(theirs.QueryByCommittee(), 30, n_members=2, space="original"),
    ]

PLAIN_CLIMB = {"step": 1.0, "n_steps": 1, "stop_at_flip": False, "start_once": False, "min_distance": None}
POOL_STRATEGIES = [
    RandomStrategy(),
    AdaptiveStrategy(),
    AdaptiveStrategy(n_candidates=15, power=0),
    NearestNeighborStrategy(),
    NearestNeighborStrategy(**PLAIN_CLIMB),
    NearestNeighborStrategy(step=1e-3, min_distance=0.3),
    NearestNeighborStrategy(min_distance=1e6),  # refuses every row
    KMeansStrategy(),
    KMeansStrategy(n_candidates=15),
    TypicalStrategy(),
    TypicalStrategy(max_clusters=3, n_candidates=15),
    CoreSetStrategy(),
    CoreSetStrategy("features"),
    CoreSetStrategy(n_candidates=20),
    BadgeStrategy(),
    BadgeStrategy(n_candidates=15),
    CommitteeStrategy(),
    CommitteeStrategy(n_members=2, n_candidates=15),
    LargestClusterStrategy(),
    LargestClusterStrategy(n_candidates=15),
    LargestClusterStrategy(space="codes"),
    *SKACTIVEML,
    UncertaintyStrategy("mms", n_candidates=20),
    *(UncertaintyStrategy(score) for score in ("mms", "margin", "entropy", "least_confident")),
]
POINT_STRATEGIES = [
    InterpolationStrategy(),
    InterpolationStrategy(**PLAIN_CLIMB),
    InterpolationStrategy(min_distance=1e6),
    InterpolationStrategy(residual=True),
    InterpolationStrategy(climb="disagreement", n_members=2, residual=True),
    InterpolationStrategy(climb="disagreement", n_members=2, n_steps=2),
    InterpolationStrategy(climb="random", on_refusal="nearest"),
    InterpolationStrategy(climb="random", residual=True, n_candidates=60),
    RandomCodesStrategy(),
    RandomCodesStrategy("latin_hypercube"),
]


def _tasks(strategies):
    cases = [(s, task) for s in strategies for task in sorted(s.tasks)]
    return pytest.mark.parametrize(("strategy", "task"), cases, ids=lambda value: str(value))


each_pool_strategy, each_point_strategy = _tasks(POOL_STRATEGIES), _tasks(POINT_STRATEGIES)
each_strategy = _tasks(POOL_STRATEGIES + POINT_STRATEGIES)


@each_pool_strategy
@pytest.mark.parametrize("n", [1, 7, 60, 110, 111, 1000])
def test_query_returns_distinct_rows_that_may_be_asked(strategy, task, n, world_of):
    world = world_of(task)
    taken = np.zeros(150, dtype=bool)
    taken[world.labeled] = True
    free = np.flatnonzero(~taken)
    pending = free[::11]
    taken[pending] = True
    snapshot = world.snapshot(taken=taken)
    candidates = strategy.query(snapshot, n)
    assert isinstance(candidates, Candidates)
    assert candidates.codes is None
    picked = candidates.rows.tolist()
    assert np.issubdtype(candidates.rows.dtype, np.integer)
    assert len(set(picked)) == len(picked) == min(n, len(free) - len(pending))
    assert set(picked) <= set(snapshot.unlabeled)
    assert not set(picked) & (set(pending) | set(world.labeled))


@each_point_strategy
@pytest.mark.parametrize("n", [1, 7, 41, 150])
def test_query_returns_distinct_points(strategy, task, n, world_of):
    world = world_of(task)
    candidates = strategy.query(world.snapshot(), n)
    assert candidates.rows is None
    assert candidates.codes.shape == (n, 4)
    assert candidates.codes.dtype == np.float32
    assert np.isfinite(candidates.codes).all()
    together = np.concatenate([candidates.codes, world.codes[world.labeled]])
    assert len(np.unique(together, axis=0)) == n + len(world.labeled)


@each_strategy
@pytest.mark.parametrize("n", [1, 10])
def test_scores_and_starts_go_with_the_candidates(strategy, task, n, world_of):
    snapshot = world_of(task).snapshot()
    candidates = strategy.query(snapshot, n)
    for values in (candidates.scores, candidates.starts):
        assert values is None or values.shape == (n,)
    if candidates.starts is not None:
        assert candidates.starts.max() < len(snapshot.y_labeled)
        assert candidates.starts.min() >= -1


@each_strategy
def test_one_labelled_row_is_enough(strategy, task, world_of):
    world = world_of(task)
    snapshot = world.snapshot(labeled=world.labeled[:1])
    candidates = strategy.query(snapshot, 5)
    chosen = candidates.rows if candidates.codes is None else candidates.codes
    assert len(np.unique(chosen, axis=0)) == 5


@each_strategy
def test_generated_points_are_labelled_rows_too(strategy, task, world_of):
    """Their codes stand after those of pool rows."""
    world = world_of(task)
    generated = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    y = np.concatenate([world.y[world.labeled], world.y[:3]])
    snapshot = world.snapshot(
        made=MadePoints(generated, world.X[:3]),
        y_labeled=y,
        starts_used=np.zeros(43, dtype=bool),
    )
    assert snapshot.latent.labeled_codes().shape == (43, 4)
    candidates = strategy.query(snapshot, 50)
    assert len(candidates.rows if candidates.codes is None else candidates.codes) == 50


@each_strategy
def test_the_seed_decides(strategy, task, world_of):
    world = world_of(task)

    def query(seed):
        candidates = strategy.query(world.snapshot(seed=seed), 10)
        return candidates.codes if candidates.rows is None else candidates.rows

    torch.manual_seed(1)
    first = query(0)
    torch.manual_seed(2)
    np.testing.assert_array_equal(query(0), first)
    many = isinstance(strategy, CoreSetStrategy | CommitteeStrategy | LargestClusterStrategy)
    looks_at_all = many and (strategy.n_candidates or 4000) >= len(world.X)
    if not isinstance(strategy, UncertaintyStrategy) and not looks_at_all:
        assert not np.array_equal(query(1), first)


@each_strategy
def test_global_generators_are_untouched(strategy, task, world_of):
    np.random.seed(3)  # noqa: NPY002 - the legacy generator is what must not move
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    strategy.query(world_of(task).snapshot(), 10)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@each_strategy
def test_a_query_changes_neither_strategy_nor_world(strategy, task, world_of):
    world = world_of(task)
    codes, logits = world.codes.copy(), world.network.logits(world.X)
    state = pickle.dumps(vars(strategy))
    strategy.query(world.snapshot(), 10)
    assert pickle.dumps(vars(strategy)) == state
    np.testing.assert_array_equal(world.codes, codes)
    np.testing.assert_array_equal(world.network.logits(world.X), logits)


@each_strategy
def test_read_only_arrays_will_do(strategy, task, world_of):
    world = world_of(task)
    codes, labeled, y = world.codes.copy(), world.labeled.copy(), world.y[world.labeled].copy()
    taken, used = np.zeros(150, dtype=bool), np.zeros(40, dtype=bool)
    taken[labeled] = True
    for array in (codes, labeled, y, taken, used):
        array.flags.writeable = False
    snapshot = world.snapshot(
        latent=lambda: Encoded(world.latent_model, codes),
        y_labeled=y,
        labeled=labeled,
        taken=taken,
        starts_used=used,
    )
    expected, got = strategy.query(world.snapshot(), 10), strategy.query(snapshot, 10)
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b)


@each_strategy
def test_is_an_estimator(strategy, task):
    assert isinstance(strategy, BaseStrategy)
    assert str(clone(strategy)) == str(strategy)
    assert make_strategy(strategy, task) is strategy
    strategy.check()


def _refuse(*args, **kwargs):
    raise AssertionError("asked for what it does not need")


def test_random_needs_neither_network_nor_codes(world):
    snapshot = world.snapshot(network=_refuse, latent=_refuse, X=None, taken=world.taken)
    assert len(RandomStrategy().query(snapshot, 10).rows) == 10


@pytest.mark.parametrize("score", ["mms", "margin", "entropy", "least_confident"])
def test_uncertainty_needs_no_codes(score, world):
    snapshot = world.snapshot(latent=_refuse)
    assert len(UncertaintyStrategy(score).query(snapshot, 10).rows) == 10


@pytest.mark.parametrize("strategy", [NearestNeighborStrategy(), InterpolationStrategy()], ids=str)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_climb_looks_at_a_fixed_number_of_rows_however_large_the_pool(strategy, task, make_world):
    seen = []
    for n_rows in (150, 1500):
        world = make_world(task, n_rows)
        strategy.query(world.snapshot(X=None, taken=world.taken), 10)  # X=None: no row of the pool is read
        assert set(world.counting_net.rows) == {"loss_gradient"}
        seen.append(world.counting_net.rows["loss_gradient"])
        assert seen[-1] <= 2 * 10 * strategy.n_steps
    assert seen[1] <= 2 * 10 * strategy.n_steps


def test_the_published_climb_looks_at_each_start_once(world):
    for strategy in (NearestNeighborStrategy(**PLAIN_CLIMB), InterpolationStrategy(**PLAIN_CLIMB)):
        world.counting_net.rows.clear()
        strategy.query(world.snapshot(), 10)
        assert world.counting_net.rows == {"loss_gradient": 10}


def test_random_is_uniform(world):
    counts = np.zeros(150)
    rng = np.random.RandomState(0)
    for _ in range(300):
        counts[RandomStrategy().query(world.snapshot(random_state=rng), 55).rows] += 1
    free = np.setdiff1d(np.arange(150), world.labeled)
    assert counts[world.labeled].sum() == 0
    assert np.abs(counts[free] - 150).max() < 5 * np.sqrt(300 * 0.25)  # half of the free rows each time
