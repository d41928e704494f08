"""The latent climb that SNN and SI share, as the points that SI asks for show it."""

import numpy as np
import pytest
import torch

from skalss.strategies import Encoded, InterpolationStrategy, NearestNeighborStrategy

from .cases import PLAIN_CLIMB
from .measures import loss_of

KINDS = [NearestNeighborStrategy, InterpolationStrategy]
each_kind = pytest.mark.parametrize("kind", KINDS)


def climb(snapshot, **params):
    """Return the codes climbed to from each labelled row, in the order of the labels.

    Every row moves, unless `stop_at_flip` finds it flipped from the start: so each gives one point.
    """
    strategy = InterpolationStrategy(bounds=None, **{**PLAIN_CLIMB, **params})
    candidates = strategy.query(snapshot, len(snapshot.y_labeled))
    order = candidates.starts.argsort()
    assert candidates.starts[order].tolist() == list(range(len(order)))
    return candidates.codes[order]


def lengths(Z, snapshot):
    """Return how far each row has gone, in units of the spread."""
    return np.linalg.norm(Z - snapshot.latent.labeled_codes(), axis=1) / snapshot.latent.spread()


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(
    "params", [{"step": 0.2}, {"step": 0.2, "n_steps": 5}, {"step": 0.5, "n_steps": 10}], ids=str
)
def test_a_climb_raises_the_task_loss(task, params, world_of):
    world = world_of(task)
    snapshot = world.snapshot()
    y = snapshot.y_labeled
    before = loss_of(world, snapshot.latent.labeled_codes(), y)
    after = loss_of(world, climb(snapshot, **params), y)
    assert after.mean() > 1.05 * before.mean()
    assert np.mean(after > before) > 0.9


def test_a_climb_is_steeper_than_chance(world):
    snapshot = world.snapshot()
    Z, y = snapshot.latent.labeled_codes(), snapshot.y_labeled
    direction = np.random.default_rng(0).standard_normal(Z.shape)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    by_chance = Z + 0.3 * snapshot.latent.spread() * direction.astype(np.float32)
    assert loss_of(world, climb(snapshot, step=0.3), y).mean() > loss_of(world, by_chance, y).mean()


@pytest.mark.parametrize("step", [0.01, 1.0, 3.0])
def test_one_step_is_exactly_as_long_as_asked(step, world):
    snapshot = world.snapshot()
    np.testing.assert_allclose(lengths(climb(snapshot, step=step), snapshot), step, rtol=2e-3)


def test_one_step_goes_along_the_gradient(world):
    snapshot = world.snapshot()
    Z = snapshot.latent.labeled_codes()
    gradient, _ = snapshot.network.loss_gradient(Z, snapshot.y_labeled)
    cosine = np.sum((climb(snapshot) - Z) * gradient, axis=1) / np.linalg.norm(gradient, axis=1)
    np.testing.assert_allclose(cosine / snapshot.latent.spread(), 1, rtol=1e-3)


def test_many_steps_go_no_further_than_their_sum(world):
    snapshot = world.snapshot()
    gone = lengths(climb(snapshot, step=0.25, n_steps=6), snapshot)
    assert gone.max() <= 1.5 * 1.001
    assert gone.min() > 0.25


def test_the_climb_does_not_depend_on_the_unit_of_the_codes(world):
    """Codes a hundred times as large give steps a hundred times as long."""

    class Stretched:
        def decode(self, Z):
            return world.latent_model.decode(Z / 100)

    stretched = climb(world.snapshot(latent=lambda: Encoded(Stretched(), 100 * world.codes)))
    np.testing.assert_allclose(stretched / 100, climb(world.snapshot()), rtol=1e-3, atol=1e-3)


# -- where it stops -------------------------------------------------------------------------------


@pytest.fixture
def unflipped(world):
    """A snapshot whose labels are those that the network predicts at the decoded codes."""
    rows = world.latent_model.inverse_transform(world.codes[world.labeled])
    return lambda: world.snapshot(y_labeled=world.network.predict(rows))


def test_stop_at_flip_leaves_rows_where_they_flipped(unflipped, world):
    y, params = unflipped().y_labeled, {"step": 0.5, "stop_at_flip": True}
    before = unflipped().latent.labeled_codes()
    for n_steps in range(1, 9):  # a longer climb goes on from where a shorter one arrived
        now = climb(unflipped(), n_steps=n_steps, **params)
        still = world.network.predict(world.latent_model.inverse_transform(before)) == y
        moved = np.abs(now - before).max(axis=1) > 0
        np.testing.assert_array_equal(moved, still)
        before = now
    assert (~still).mean() > 0.5
    not_stopped = climb(unflipped(), n_steps=8, step=0.5)
    assert lengths(now, unflipped()).mean() < lengths(not_stopped, unflipped()).mean()


def test_stop_at_flip_spares_the_network(unflipped, world):
    rows = []
    for stop in (True, False):
        world.counting_net.rows.clear()
        climb(unflipped(), n_steps=20, stop_at_flip=stop)
        rows.append(world.counting_net.rows["loss_gradient"])
    assert rows[0] < rows[1] == 20 * 40


def test_stop_at_flip_has_no_effect_in_regression(world_of):
    world = world_of("regression")
    climbs = [climb(world.snapshot(), n_steps=5, stop_at_flip=stop) for stop in (True, False)]
    np.testing.assert_array_equal(*climbs)


# -- where it starts ------------------------------------------------------------------------------


@each_kind
def test_start_once_prefers_starts_not_used_before(kind, world):
    used = np.zeros(40, dtype=bool)
    used[:25] = True
    candidates = kind(**{**PLAIN_CLIMB, "start_once": True}).query(world.snapshot(starts_used=used), 10)
    assert (candidates.starts >= 25).all()
    without = kind(**PLAIN_CLIMB).query(world.snapshot(starts_used=used), 10)
    assert (without.starts < 25).any()


@each_kind
def test_start_once_falls_back_on_used_starts(kind, world):
    used = np.ones(40, dtype=bool)
    used[7] = False
    candidates = kind(**{**PLAIN_CLIMB, "start_once": True}).query(world.snapshot(starts_used=used), 10)
    assert 7 in candidates.starts
    assert len(candidates.starts) == 10


# -- gradients that lead nowhere ------------------------------------------------------------------


class Sure:
    """A network that is sure of everything: the loss has no slope."""

    def loss_gradient(self, decode, Z, y):
        return np.zeros_like(Z), y.copy()


class NotANumber:
    def loss_gradient(self, decode, Z, y):
        gradient = np.ones_like(Z)
        gradient[::2] = np.nan
        return gradient, y.copy()


class Tiny:
    """Gradients that float32 can hold, but not their squares."""

    def loss_gradient(self, decode, Z, y):
        gradient = np.zeros_like(Z)
        gradient[:, 1] = 1e-30
        return gradient, y.copy()


@each_kind
def test_a_saturated_loss_still_gives_candidates(kind, world):
    with np.errstate(all="raise"):
        candidates = kind(**PLAIN_CLIMB).query(world.snapshot(network=Sure), 60)
    assert len(candidates.starts) == 60
    assert len(np.unique(candidates.starts[candidates.starts >= 0])) > 30


@pytest.mark.parametrize("network", [Sure, NotANumber])
def test_without_a_gradient_the_direction_is_random(network, world):
    snapshot = world.snapshot(network=network)
    climbed = climb(snapshot)
    np.testing.assert_allclose(lengths(climbed, snapshot), 1, rtol=1e-3)
    assert (climb(world.snapshot(network=network, seed=1)) != climbed).any(axis=1).mean() >= 0.5


def test_a_tiny_gradient_still_points_uphill(world):
    snapshot = world.snapshot(network=Tiny)
    moved = climb(snapshot) - snapshot.latent.labeled_codes()
    np.testing.assert_allclose(moved[:, 1], snapshot.latent.spread(), rtol=1e-3)


# -- parameters -----------------------------------------------------------------------------------


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
