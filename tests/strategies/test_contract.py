"""The contract of a strategy, asked of every one in cases.py."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skalss.strategies import (
    AdaptiveStrategy,
    BaseStrategy,
    Candidates,
    CommitteeStrategy,
    CoreSetStrategy,
    Encoded,
    InterpolationStrategy,
    LargestClusterStrategy,
    MadePoints,
    NearestNeighborStrategy,
    RandomStrategy,
    UncertaintyStrategy,
    make_strategy,
)
from skalss.targets import TASKS

from .cases import PLAIN_CLIMB, STRATEGIES, each_point_strategy, each_pool_strategy, each_strategy

# Of all rows they choose the same ones whatever the seed.
SURE = (AdaptiveStrategy, CoreSetStrategy, CommitteeStrategy, LargestClusterStrategy, UncertaintyStrategy)


def check_scores_and_starts(candidates, n, n_labeled):
    for values in (candidates.scores, candidates.starts):
        assert values is None or values.shape == (n,)
    if candidates.starts is not None:
        assert -1 <= candidates.starts.min() <= candidates.starts.max() < n_labeled


def chosen_by(strategy, snapshot, n=10):
    candidates = strategy.query(snapshot, n)
    return candidates.rows if candidates.codes is None else candidates.codes


@each_pool_strategy
def test_query_returns_distinct_rows_that_may_be_asked(strategy, task, model, world_of):
    world = world_of(task, model)
    taken = world.taken.copy()
    taken[np.flatnonzero(~taken)[::11]] = True  # pending
    n_free = int((~taken).sum())
    for n in (1, 7, n_free + 1):
        candidates = strategy.query(world.snapshot(taken=taken), n)
        assert isinstance(candidates, Candidates)
        assert candidates.codes is None
        assert np.issubdtype(candidates.rows.dtype, np.integer)
        assert len(set(candidates.rows.tolist())) == len(candidates.rows) == min(n, n_free)
        assert not taken[candidates.rows].any()
        check_scores_and_starts(candidates, min(n, n_free), len(world.labeled))


@each_point_strategy
def test_query_returns_distinct_points(strategy, task, model, world_of):
    world = world_of(task, model)
    for n in (1, 7, 41, 90):
        candidates = strategy.query(world.snapshot(), n)
        assert candidates.rows is None
        assert candidates.codes.shape == (n, 4)
        assert candidates.codes.dtype == np.float32
        assert np.isfinite(candidates.codes).all()
        together = np.concatenate([candidates.codes, world.codes[world.labeled]])
        assert len(np.unique(together, axis=0)) == n + len(world.labeled)
        check_scores_and_starts(candidates, n, len(world.labeled))


@each_strategy
def test_one_labelled_row_is_enough(strategy, task, model, world_of):
    world = world_of(task, model)
    chosen = chosen_by(strategy, world.snapshot(labeled=world.labeled[:1]), 5)
    assert len(np.unique(chosen, axis=0)) == 5


@each_strategy
def test_made_points_are_labelled_rows_too(strategy, task, model, world_of):
    world = world_of(task, model)
    codes = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    y = np.concatenate([world.y[world.labeled], world.y[:3]])
    snapshot = world.snapshot(made=MadePoints(codes, world.X[:3]), y_labeled=y)
    assert len(chosen_by(strategy, snapshot, 50)) == 50


@each_strategy
def test_the_seed_decides(strategy, task, model, world_of):
    world = world_of(task, model)
    torch.manual_seed(1)
    first = chosen_by(strategy, world.snapshot(seed=0))
    torch.manual_seed(2)
    np.testing.assert_array_equal(chosen_by(strategy, world.snapshot(seed=0)), first)
    if not isinstance(strategy, SURE) or (strategy.n_candidates or 4000) < len(world.X):
        assert not np.array_equal(chosen_by(strategy, world.snapshot(seed=1)), first)


@each_strategy
def test_a_query_leaves_everything_else_alone(strategy, task, model, world_of):
    """Arrays are read-only: a strategy that writes into one raises."""
    world = world_of(task, model)
    codes, labeled, y = world.codes.copy(), world.labeled.copy(), world.y[world.labeled].copy()
    taken, used = world.taken.copy(), np.zeros(len(labeled), dtype=bool)
    for array in (codes, labeled, y, taken, used):
        array.flags.writeable = False
    snapshot = world.snapshot(
        latent=lambda: Encoded(world.latent_model, codes),
        y_labeled=y,
        labeled=labeled,
        taken=taken,
        starts_used=used,
    )
    predicted, state = world.network.predict(world.X), pickle.dumps(vars(strategy))
    np.random.seed(3)  # noqa: NPY002 - the legacy generator is what must not move
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    strategy.query(snapshot, 10)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert pickle.dumps(vars(strategy)) == state
    np.testing.assert_array_equal(world.network.predict(world.X), predicted)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_is_an_estimator(strategy):
    assert isinstance(strategy, BaseStrategy)
    assert str(clone(strategy)) == str(strategy)
    assert strategy.tasks <= TASKS
    for task in strategy.tasks:
        assert make_strategy(strategy, task) is strategy  # its parameters are checked there


# -- what a query costs ---------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [NearestNeighborStrategy(), InterpolationStrategy()], ids=str)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_climb_looks_at_a_fixed_number_of_rows_however_large_the_pool(strategy, task, world_of):
    world = world_of(task)
    for snapshot in (world.snapshot(), world.large_snapshot()):
        world.counting_net.rows.clear()
        if not strategy.generates_points:  # else the labelled rows are, lest a point repeats one
            snapshot.X = None  # no row of the pool is read
        strategy.query(snapshot, 10)
        assert set(world.counting_net.rows) == {"loss_gradient"}
        assert world.counting_net.rows["loss_gradient"] <= 2 * 10 * strategy.n_steps


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
    assert counts[world.labeled].sum() == 0
    # Half of the free rows come each time.
    assert np.abs(counts[~world.taken] - 150).max() < 5 * np.sqrt(300 * 0.25)
