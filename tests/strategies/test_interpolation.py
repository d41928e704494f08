"""What SI does beyond the climb of the loss, which test_climb.py has."""

import numpy as np
import pytest

from skalss.strategies import Encoded, InterpolationStrategy, MadePoints
from skalss.strategies.largest_cluster import farthest_of_largest

from .cases import PLAIN_CLIMB
from .measures import N_MEMBERS, disagreement_of, loss_of, to_labelled


def test_asks_for_harder_points_than_it_starts_from(world):
    snapshot = world.snapshot()
    candidates = InterpolationStrategy(**PLAIN_CLIMB).query(snapshot, 20)
    y = snapshot.y_labeled[candidates.starts]
    start = snapshot.latent.labeled_codes()[candidates.starts]
    assert loss_of(world, candidates.codes, y).mean() > loss_of(world, start, y).mean()


def test_min_distance_of_points(world):
    snapshot = world.snapshot()
    labeled, smallest = snapshot.latent.labeled_codes(), 0.6 * snapshot.latent.spread()
    candidates = InterpolationStrategy(**{**PLAIN_CLIMB, "min_distance": 0.6}).query(snapshot, 10)
    assert to_labelled(candidates.codes, labeled).min() > smallest * 0.999
    free = InterpolationStrategy(**PLAIN_CLIMB).query(world.snapshot(), 40)
    assert to_labelled(free.codes, labeled).min() < smallest


def test_more_points_than_starts(world):
    snapshot = world.snapshot(labeled=world.labeled[:3])
    candidates = InterpolationStrategy(**PLAIN_CLIMB).query(snapshot, 50)
    assert len(np.unique(candidates.codes, axis=0)) == 50
    assert set(candidates.starts) == {0, 1, 2}


def test_points_that_never_leave_their_start_are_made_anyway(world):
    """Every labelled row is flipped from the start, so no climb moves."""
    wrong = (world.y[world.labeled] + 1) % 10
    snapshot = world.snapshot(y_labeled=wrong)
    candidates = InterpolationStrategy(stop_at_flip=True).query(snapshot, 10)
    assert len(np.unique(candidates.codes, axis=0)) == 10
    assert to_labelled(candidates.codes, snapshot.latent.labeled_codes()).min() > 0


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_climb_of_disagreement_raises_it_and_needs_no_label(task, world_of):
    world = world_of(task)
    common = {"residual": True, "n_members": N_MEMBERS, "min_distance": None, "step": 0.2}
    snapshot = world.snapshot(y_labeled=world.y[world.labeled][::-1])
    made = InterpolationStrategy(climb="disagreement", n_steps=5, **common).query(snapshot, 30)
    plain = InterpolationStrategy(climb="random", n_steps=5, **common).query(world.snapshot(), 30)
    climbed, jittered = (disagreement_of(world, candidates.points).mean() for candidates in (made, plain))
    assert climbed > 1.2 * jittered
    same = InterpolationStrategy(climb="disagreement", n_steps=5, **common).query(world.snapshot(), 30)
    np.testing.assert_array_equal(made.codes, same.codes)
    assert made.starts is None


def test_residual_points_keep_what_the_decoder_loses(world):
    strategy = InterpolationStrategy(climb="random", n_steps=1, step=1e-3, residual=True, min_distance=None)
    made = strategy.query(world.snapshot(), 20)
    nearest = world.X[world.snapshot().latent.nearest(made.codes)[0][:, 0]]
    np.testing.assert_allclose(made.points, nearest, atol=0.1)
    decoded = world.latent_model.inverse_transform(made.codes)
    assert np.abs(decoded - nearest).max() > 4


def test_a_random_step_is_in_units_of_each_component_of_the_codes(world):
    """Else a component that hardly varies would be moved by many times its range."""
    deviations = world.codes.std(axis=0)
    assert deviations.max() > 1.2 * deviations.min()
    strategy = InterpolationStrategy(climb="random", n_steps=1, step=0.01, min_distance=None, bounds=None)
    snapshot = world.snapshot()
    made = strategy.query(snapshot, 60)
    moved = (made.codes - world.codes[snapshot.latent.nearest(made.codes)[0][:, 0]]) / deviations
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 0.01, rtol=1e-3)


@pytest.mark.parametrize("climb", ["random", "disagreement"])
def test_codes_that_are_all_alike_still_give_distinct_points(climb, world):
    """A VAE that collapsed; a step of no length would never leave the one code."""
    snapshot = world.snapshot(latent=lambda: Encoded(world.latent_model, np.zeros_like(world.codes)))
    made = InterpolationStrategy(climb=climb, n_members=2, step=0.5).query(snapshot, 20)
    assert len(np.unique(made.codes, axis=0)) == 20


def test_a_climb_of_disagreement_hardly_moves_what_hardly_varies(world):
    codes = world.codes.copy()
    codes[:, 0] *= 1e-3 / codes[:, 0].std()  # this component hardly varies
    snapshot = world.snapshot(latent=lambda: Encoded(world.latent_model, codes))
    strategy = InterpolationStrategy(climb="disagreement", n_steps=2, step=0.5, n_members=2, bounds=None)
    made = strategy.query(snapshot, 20)
    gaps = np.abs(made.codes[:, None, 0] - codes[None, :, 0]).min(axis=1)
    assert gaps.max() <= 1e-3 + 1e-5
    others = np.abs(made.codes[:, None, 1:] - codes[None, :, 1:]).max(axis=2).min(axis=1)
    assert np.median(others) > 1


def test_residual_points_stay_in_the_range_of_the_pool(world):
    strategy = InterpolationStrategy(climb="random", n_steps=10, step=2.0, residual=True)
    made = strategy.query(world.snapshot(), 40)
    assert (made.points >= world.X.min(axis=0)).all()
    assert (made.points <= world.X.max(axis=0)).all()
    assert (made.points == world.X.max(axis=0)).any()


def test_a_residual_climb_of_the_loss_edits_its_start(world):
    strategy = InterpolationStrategy(residual=True, step=1e-3, n_steps=1, min_distance=None)
    snapshot = world.snapshot()
    made = strategy.query(snapshot, 15)
    np.testing.assert_allclose(made.points, world.X[world.labeled[made.starts]], atol=0.1)


def test_labelled_generated_points_are_starts_too(world):
    y = np.concatenate([world.y[world.labeled], [3, 4]])
    rows, codes = world.X[-2:] + 0.5, world.codes[-2:]
    snapshot = world.snapshot(y_labeled=y, made=MadePoints(codes, rows))
    strategy = InterpolationStrategy(residual=True, min_distance=None)
    assert strategy.query(snapshot, 42).points.shape == (42, 64)


@pytest.mark.parametrize("climb", ["loss", "disagreement", "random"])
def test_a_share_of_random_rows_comes_first(climb, world):
    strategy = InterpolationStrategy(climb=climb, random_share=0.4, n_members=2)
    made = strategy.query(world.snapshot(), 10)
    assert len(made.rows) == len(set(made.rows)) == 4
    assert len(made.codes) == 6
    assert not set(made.rows) & set(world.labeled)
    for values in (made.scores, made.starts):
        assert values is None or len(values) == 10
    every = InterpolationStrategy(climb=climb, random_share=1.0).query(world.snapshot(), 10)
    assert len(every.rows) == 10
    assert len(every.codes) == 0


def test_of_many_points_those_are_asked_that_cover_the_features(world):
    strategy = InterpolationStrategy(climb="random", residual=True, n_candidates=80, min_distance=None)
    snapshot = world.snapshot()
    made = strategy.query(snapshot, 10)
    every = InterpolationStrategy(climb="random", residual=True, min_distance=None).query(
        world.snapshot(), 80
    )
    places = [np.flatnonzero((every.codes == code).all(axis=1)) for code in made.codes]
    assert all(len(place) == 1 for place in places)
    np.testing.assert_array_equal(made.points, every.points[np.concatenate(places)])
    centres = world.network.features(world.X[world.labeled])
    kept, _ = farthest_of_largest(world.network.features(every.points), centres, 10, np.random.RandomState(0))
    np.testing.assert_array_equal(np.concatenate(places), kept)
    assert snapshot.network.n_rows == 80 + len(world.labeled)


def test_rows_and_points_are_chosen_from_together(world):
    common = {"climb": "random", "residual": True, "random_share": 0.5, "min_distance": None}
    made = InterpolationStrategy(n_candidates=100, **common).query(world.snapshot(), 12)
    every = InterpolationStrategy(**common).query(world.snapshot(), 100)
    assert len(every.rows) == 50
    features = [world.network.features(rows) for rows in (world.X[every.rows], every.points)]
    centres = world.network.features(world.X[world.labeled])
    kept, _ = farthest_of_largest(np.concatenate(features), centres, 12, np.random.RandomState(0))
    assert set(made.rows) == set(every.rows[kept[kept < 50]])
    np.testing.assert_array_equal(made.codes, every.codes[kept[kept >= 50] - 50])
    assert len(made.rows) + len(made.codes) == len(made.scores) == 12
    assert 0 < len(made.rows) < 12


@pytest.mark.parametrize("climb", ["disagreement", "random"])
def test_a_pool_that_is_used_up_still_gives_starts(climb, world):
    taken = np.ones(len(world.X), dtype=bool)
    strategy = InterpolationStrategy(climb=climb, random_share=0.5, n_members=2, residual=True)
    made = strategy.query(world.snapshot(taken=taken), 200)
    assert made.rows is None
    assert made.points.shape == (200, 64)
    taken[-3:] = False
    made = strategy.query(world.snapshot(taken=taken), 200)
    assert len(made.rows) == 3
    assert made.points.shape == (197, 64)


def test_the_nearest_rows_stand_in_for_refused_points(world):
    refused = world.codes[world.snapshot().unlabeled[[5, 5, 9]]]
    strategy = InterpolationStrategy(on_refusal="nearest")
    made = strategy.query(world.snapshot(refused=refused), 10)
    snapshot = world.snapshot()
    assert made.rows[[0, 2]].tolist() == snapshot.unlabeled[[5, 9]].tolist()
    assert made.rows[1] in snapshot.latent.nearest(refused[1:2], 3)[0][0]  # twice the same point: two rows
    assert len(set(made.rows)) == 3
    assert len(made.codes) == 7
    assert len(strategy.query(world.snapshot(refused=refused), 2).rows) == 2
    assert InterpolationStrategy().query(world.snapshot(refused=refused), 10).rows is None


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            {"climb": "hill"},
            ValueError,
            r"climb must be one of \['loss', 'disagreement', 'random'\], got 'hill'",
        ),
        ({"random_share": 1.5}, ValueError, r"random_share must lie in \[0, 1\], got 1.5"),
        ({"random_share": -0.1}, ValueError, "random_share"),
        (
            {"on_refusal": "retry"},
            ValueError,
            r"on_refusal must be one of \['nearest'\] or None, got 'retry'",
        ),
        (
            {"n_candidates": 0},
            ValueError,
            "n_candidates must be a whole number of at least 1, or None, got 0",
        ),
        ({"n_members": 1}, ValueError, "n_members must be at least 2, got 1"),
        ({"n_steps": 0}, ValueError, "n_steps must be a whole number"),
    ],
)
def test_wrong_parameters(params, error, message):
    with pytest.raises(error, match=message):
        InterpolationStrategy(**params).check()


@pytest.mark.parametrize("random_share", [0.0, 0.5])
def test_a_step_too_short_to_leave_a_code_makes_no_points(random_share, world):
    strategy = InterpolationStrategy(step=1e-30, n_steps=1, random_share=random_share, bounds=None)
    found = strategy.query(world.snapshot(), 6)
    assert len(found.codes) == 0
    assert found.rows is None or len(found.rows) == round(6 * random_share)
