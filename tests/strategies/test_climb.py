"""The latent climb that SNN and SI share."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from skalss.strategies import Encoded, InterpolationStrategy, NearestNeighborStrategy

PLAIN = {"step": 1.0, "n_steps": 1, "stop_at_flip": False, "start_once": False, "min_distance": None}
KINDS = [NearestNeighborStrategy, InterpolationStrategy]
each_kind = pytest.mark.parametrize("kind", KINDS)


def _loss(world, Z, y):
    """Task loss of each row, at decoded codes."""
    rows = world.latent_model.inverse_transform(Z)
    if world.task == "classification":
        P = world.network.predict_proba(rows)
        return -np.log(P[np.arange(len(y)), y])
    return np.square(world.network.predict(rows) - y)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(
    "params",
    [{**PLAIN, "step": 0.2}, {**PLAIN, "step": 0.2, "n_steps": 5}, {**PLAIN, "step": 0.5, "n_steps": 10}],
    ids=["one step", "five", "ten"],
)
def test_a_climb_raises_the_task_loss(task, params, world_of):
    world = world_of(task)
    snapshot = world.snapshot()
    Z, y = snapshot.latent.labeled_codes(), snapshot.y_labeled
    climbed = NearestNeighborStrategy(**params)._climb(snapshot, Z, y)
    before, after = _loss(world, Z, y), _loss(world, climbed, y)
    assert after.mean() > 1.05 * before.mean()
    assert np.mean(after > before) > 0.9


def test_a_climb_is_steeper_than_chance(world):
    snapshot = world.snapshot()
    Z, y = snapshot.latent.labeled_codes(), snapshot.y_labeled
    climbed = NearestNeighborStrategy(**{**PLAIN, "step": 0.3})._climb(snapshot, Z, y)
    direction = np.random.default_rng(0).standard_normal(Z.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    by_chance = Z + 0.3 * snapshot.latent.spread() * direction.astype(np.float32)
    assert _loss(world, climbed, y).mean() > _loss(world, by_chance, y).mean()


def test_interpolation_asks_for_harder_points_than_it_starts_from(world):
    snapshot = world.snapshot()
    candidates = InterpolationStrategy(**PLAIN).query(snapshot, 20)
    y = snapshot.y_labeled[candidates.starts]
    start = snapshot.latent.labeled_codes()[candidates.starts]
    assert _loss(world, candidates.codes, y).mean() > _loss(world, start, y).mean()


@pytest.mark.parametrize("step", [0.01, 1.0, 3.0])
def test_one_step_is_exactly_as_long_as_asked(step, world):
    snapshot = world.snapshot()
    Z = snapshot.latent.labeled_codes()
    climbed = NearestNeighborStrategy(**{**PLAIN, "step": step})._climb(snapshot, Z, snapshot.y_labeled)
    np.testing.assert_allclose(
        np.linalg.norm(climbed - Z, axis=1), step * snapshot.latent.spread(), rtol=2e-3
    )


def test_one_step_goes_along_the_gradient(world):
    snapshot = world.snapshot()
    Z, y = snapshot.latent.labeled_codes(), snapshot.y_labeled
    gradient, _ = snapshot.network.loss_gradient(Z, y)
    climbed = NearestNeighborStrategy(**PLAIN)._climb(snapshot, Z, y)
    cosine = (
        np.sum((climbed - Z) * gradient, axis=1) / np.linalg.norm(gradient, axis=1) / snapshot.latent.spread()
    )
    np.testing.assert_allclose(cosine, 1, rtol=1e-3)


def test_many_steps_go_no_further_than_their_sum(world):
    snapshot = world.snapshot()
    Z = snapshot.latent.labeled_codes()
    strategy = NearestNeighborStrategy(**{**PLAIN, "step": 0.25, "n_steps": 6})
    gone = (
        np.linalg.norm(strategy._climb(snapshot, Z, snapshot.y_labeled) - Z, axis=1)
        / snapshot.latent.spread()
    )
    assert gone.max() <= 1.5 * 1.001
    assert gone.min() > 0.25


def test_spread_is_the_root_mean_square_deviation(world):
    assert world.snapshot().latent.spread() == pytest.approx(
        np.sqrt(world.codes.var(axis=0).mean()), rel=1e-5
    )


def test_the_climb_does_not_depend_on_the_unit_of_the_codes(world, make_world):
    """Codes a hundred times as large give steps a hundred times as long."""

    class Stretched:
        def decode(self, Z):
            return world.latent_model.decode(Z / 100)

    snapshot = world.snapshot(latent=lambda: Encoded(Stretched(), 100 * world.codes))
    plain = world.snapshot()
    strategy, y = NearestNeighborStrategy(**PLAIN), plain.y_labeled
    stretched = strategy._climb(snapshot, snapshot.latent.labeled_codes(), y)
    expected = strategy._climb(plain, plain.latent.labeled_codes(), y)
    np.testing.assert_allclose(stretched / 100, expected, rtol=1e-3, atol=1e-3)


def test_stop_at_flip_leaves_rows_where_they_flipped(world):
    snapshot = world.snapshot()
    Z, y = snapshot.latent.labeled_codes(), snapshot.y_labeled
    params = {**PLAIN, "step": 0.5, "n_steps": 30}
    stopped = NearestNeighborStrategy(**{**params, "stop_at_flip": True})._climb(snapshot, Z, y)
    not_stopped = NearestNeighborStrategy(**params)._climb(snapshot, Z, y)
    predicted = world.network.predict(world.latent_model.inverse_transform(stopped))
    at_start = world.network.predict(world.latent_model.inverse_transform(Z))
    flipped = predicted != y
    assert flipped.mean() > 0.8
    # Rows that were wrong from the start do not move.
    np.testing.assert_array_equal(stopped[at_start != y], Z[at_start != y])
    # A row that flips stands one step past its last unflipped place, where every longer climb passed.
    one_less = Z
    for n_steps in range(1, 31):
        now = NearestNeighborStrategy(**{**params, "n_steps": n_steps, "stop_at_flip": True})._climb(
            snapshot, Z, y
        )
        unflipped_before = world.network.predict(world.latent_model.inverse_transform(one_less)) == y
        moved = np.abs(now - one_less).max(axis=1) > 0
        assert not (moved & ~unflipped_before).any()
        one_less = now
    assert np.linalg.norm(stopped - Z, axis=1).mean() < np.linalg.norm(not_stopped - Z, axis=1).mean()


def test_stop_at_flip_spares_the_network(world):
    y = world.snapshot().y_labeled
    rows = []
    for stop in (True, False):
        world.counting_net.rows.clear()
        snapshot = world.snapshot()
        strategy = NearestNeighborStrategy(**{**PLAIN, "n_steps": 20, "stop_at_flip": stop})
        strategy._climb(snapshot, snapshot.latent.labeled_codes(), y)
        rows.append(world.counting_net.rows["loss_gradient"])
    assert rows[0] < rows[1] == 20 * 40


def test_stop_at_flip_has_no_effect_in_regression(world_of):
    snapshot = world_of("regression").snapshot()
    Z, y = snapshot.latent.labeled_codes(), snapshot.y_labeled
    climbs = [
        NearestNeighborStrategy(**{**PLAIN, "n_steps": 5, "stop_at_flip": stop})._climb(snapshot, Z, y)
        for stop in (True, False)
    ]
    np.testing.assert_array_equal(*climbs)


@each_kind
def test_start_once_prefers_starts_not_used_before(kind, world):
    used = np.zeros(40, dtype=bool)
    used[:25] = True
    snapshot = world.snapshot(starts_used=used)
    candidates = kind(**{**PLAIN, "start_once": True}).query(snapshot, 10)
    from_unused = candidates.starts[candidates.starts >= 0] >= 25
    assert from_unused.all()
    without = kind(**PLAIN).query(world.snapshot(starts_used=used), 10)
    assert (without.starts < 25).any()


@each_kind
def test_start_once_falls_back_on_used_starts(kind, world):
    used = np.ones(40, dtype=bool)
    used[7] = False
    candidates = kind(**{**PLAIN, "start_once": True}).query(world.snapshot(starts_used=used), 10)
    assert 7 in candidates.starts
    assert len(candidates.starts) == 10


def _to_labelled(codes, labeled):
    return np.linalg.norm(codes[:, None].astype(float) - labeled[None], axis=2).min(axis=1)


@pytest.mark.parametrize("min_distance", ["median", 0.4, 0.8])
def test_min_distance_passes_near_rows_over(min_distance, world):
    snapshot = world.snapshot()
    labeled = snapshot.latent.labeled_codes()
    if min_distance == "median":
        gaps = np.linalg.norm(labeled[:, None].astype(float) - labeled[None], axis=2)
        np.fill_diagonal(gaps, np.inf)
        smallest = np.median(gaps.min(axis=1))
    else:
        smallest = min_distance * snapshot.latent.spread()
    strategy = NearestNeighborStrategy(**{**PLAIN, "step": 0.1, "min_distance": min_distance})
    candidates = strategy.query(snapshot, 20)
    by_climb = ~np.isnan(candidates.scores)
    assert by_climb.sum() >= 10
    assert _to_labelled(world.codes[candidates.rows[by_climb]], labeled).min() > smallest * 0.999
    # It makes a difference: without it near rows are asked.
    free = NearestNeighborStrategy(**{**PLAIN, "step": 0.1}).query(world.snapshot(), 20)
    assert _to_labelled(world.codes[free.rows], labeled).min() < smallest


def test_min_distance_of_interpolated_points(world):
    snapshot = world.snapshot()
    candidates = InterpolationStrategy(**{**PLAIN, "step": 1.0, "min_distance": 0.6}).query(snapshot, 10)
    distance = _to_labelled(candidates.codes, snapshot.latent.labeled_codes())
    assert distance.min() > 0.6 * snapshot.latent.spread() * 0.999
    free = InterpolationStrategy(**PLAIN).query(world.snapshot(), 40)
    assert _to_labelled(free.codes, snapshot.latent.labeled_codes()).min() < 0.6 * snapshot.latent.spread()


def test_with_one_labelled_row_the_median_refuses_nothing(world):
    strategy = NearestNeighborStrategy(**{**PLAIN, "min_distance": "median"})
    candidates = strategy.query(world.snapshot(labeled=world.labeled[:1]), 2)
    assert not np.isnan(candidates.scores).any()


def test_all_refused_is_filled_up_by_chance(world):
    strategy = NearestNeighborStrategy(min_distance=1e6)
    candidates = strategy.query(world.snapshot(), 12)
    assert len(set(candidates.rows)) == 12
    assert np.isnan(candidates.scores).all()
    assert (candidates.starts == -1).all()
    other = strategy.query(world.snapshot(seed=1), 12)
    assert set(other.rows) != set(candidates.rows)


def test_snn_takes_the_nearest_row_to_where_the_climb_arrives(world):
    snapshot = world.snapshot()
    strategy = NearestNeighborStrategy(**PLAIN)
    candidates = strategy.query(snapshot, 10)
    climbed = strategy._climb(
        world.snapshot(),
        snapshot.latent.labeled_codes()[candidates.starts],
        snapshot.y_labeled[candidates.starts],
    )
    free = snapshot.unlabeled
    distance = np.linalg.norm(climbed[:, None].astype(float) - world.codes[free][None], axis=2)
    picked: list[int] = []
    for row in distance:  # each start in turn takes the nearest that is not taken yet
        picked.append(next(i for i in free[row.argsort()].tolist() if i not in picked))
    assert candidates.rows.tolist() == picked
    np.testing.assert_allclose(
        candidates.scores, np.linalg.norm(climbed - world.codes[picked], axis=1), rtol=1e-3, atol=1e-3
    )


def test_rows_that_collide_are_replaced(world):
    """All climbs arrive at one place: each still gets a row of its own."""
    codes = np.zeros((150, 4), dtype=np.float32)
    codes[0] = 1  # some spread
    snapshot = world.snapshot(latent=lambda: Encoded(world.latent_model, codes))
    candidates = NearestNeighborStrategy(**{**PLAIN, "step": 1e-6}).query(snapshot, 30)
    assert len(set(candidates.rows)) == 30


class Saturated:
    """A network that is sure of everything: the loss has no slope."""

    def loss_gradient(self, decode, Z, y):
        return np.zeros_like(Z), y.copy()


@each_kind
def test_a_saturated_loss_still_gives_candidates(kind, world):
    snapshot = world.snapshot(network=Saturated)
    with np.errstate(all="raise"):
        candidates = kind(**PLAIN).query(snapshot, 60)
    if kind is InterpolationStrategy:
        assert np.isfinite(candidates.codes).all()
        start = snapshot.latent.labeled_codes()[candidates.starts]
        assert np.linalg.norm(candidates.codes - start, axis=1).min() > 0
    assert len(np.unique(candidates.starts[candidates.starts >= 0])) > 30


class NotANumber:
    def loss_gradient(self, decode, Z, y):
        gradient = np.ones_like(Z)
        gradient[::2] = np.nan
        return gradient, y.copy()


@each_kind
def test_a_gradient_that_is_no_number_gives_a_random_direction(kind, world):
    snapshot = world.snapshot(network=NotANumber)
    Z = snapshot.latent.labeled_codes()
    climbed = kind(**PLAIN)._climb(snapshot, Z, snapshot.y_labeled)
    np.testing.assert_allclose(np.linalg.norm(climbed - Z, axis=1), snapshot.latent.spread(), rtol=1e-3)


class Tiny:
    """Gradients that float32 can hold, but not their squares."""

    def loss_gradient(self, decode, Z, y):
        gradient = np.zeros_like(Z)
        gradient[:, 1] = 1e-30
        return gradient, y.copy()


@each_kind
def test_a_tiny_gradient_still_points_uphill(kind, world):
    snapshot = world.snapshot(network=Tiny)
    Z = snapshot.latent.labeled_codes()
    climbed = kind(**PLAIN)._climb(snapshot, Z, snapshot.y_labeled)
    np.testing.assert_allclose((climbed - Z)[:, 1], snapshot.latent.spread(), rtol=1e-3)


def test_more_points_than_starts(world):
    snapshot = world.snapshot(labeled=world.labeled[:3])
    candidates = InterpolationStrategy(**PLAIN).query(snapshot, 50)
    assert len(np.unique(candidates.codes, axis=0)) == 50
    assert set(candidates.starts) == {0, 1, 2}


def test_points_that_never_leave_their_start_are_made_anyway(world):
    """Every labelled row is flipped from the start, so no climb moves."""
    wrong = (world.y[world.labeled] + 1) % 10
    snapshot = world.snapshot(y_labeled=wrong)
    candidates = InterpolationStrategy(stop_at_flip=True).query(snapshot, 10)
    assert len(np.unique(candidates.codes, axis=0)) == 10
    assert _to_labelled(candidates.codes, snapshot.latent.labeled_codes()).min() > 0


def test_loss_of_the_climb_is_the_nets_own(world):
    """The helper above and scikit-learn agree, so that the tests here test what they say."""
    y = world.y[world.labeled]
    Z = world.codes[world.labeled]
    P = world.network.predict_proba(world.latent_model.inverse_transform(Z))
    assert _loss(world, Z, y).mean() == pytest.approx(log_loss(y, P, labels=np.arange(10)), rel=1e-4)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"step": 0}, ValueError, "step must be a finite number above 0, got 0"),
        ({"step": -1.0}, ValueError, "step must be a finite number above 0, got -1.0"),
        ({"step": "1"}, TypeError, "step must be a finite number above 0, got '1' of type str"),
        ({"step": float("nan")}, ValueError, "step must be a finite number above 0, got nan"),
        ({"step": float("inf")}, ValueError, "step must be a finite number above 0.*, got inf"),
        ({"n_steps": 0}, ValueError, "n_steps must be a whole number of at least 1, got 0"),
        ({"n_steps": 2.5}, TypeError, "n_steps must be a whole number of at least 1, got 2.5"),
        ({"min_distance": "mean"}, TypeError, "min_distance must be .* or 'median' or None, got 'mean'"),
        ({"min_distance": 0}, ValueError, "min_distance must be .* or 'median' or None, got 0"),
        ({"min_distance": -2}, ValueError, "min_distance must be .* got -2"),
    ],
)
@each_kind
def test_wrong_parameters_are_refused_by_check(kind, params, error, message):
    with pytest.raises(error, match=message):
        kind(**params).check()


@pytest.mark.gpu
@each_kind
def test_on_an_accelerator(kind, world):
    device = torch.accelerator.current_accelerator()
    candidates = kind().query(world.snapshot(device=device), 10)
    assert len(candidates.codes if candidates.rows is None else candidates.rows) == 10
