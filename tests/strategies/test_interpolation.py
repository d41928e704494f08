"""What SI does beyond the climb of the loss, which test_climb.py has."""

import numpy as np
import pytest
import torch

from skalss import AdaptiveLatentSampler, Campaign
from skalss.nets import net_regressor
from skalss.oracles import Abstain, FunctionOracle
from skalss.strategies import Encoded, InterpolationStrategy, MadePoints
from skalss.strategies.largest_cluster import farthest_of_largest

N_MEMBERS = 3


def disagreement_of(world, rows):
    """What the committee says of rows, by its public predictions."""
    members = [world.member(i) for i in range(N_MEMBERS)]
    name = "predict_proba" if world.task == "classification" else "predict"
    beliefs = torch.as_tensor(np.array([getattr(m, name)(rows) for m in members]).astype(float))
    return world.target.disagreement(beliefs).numpy()


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_forward_equals_predictions(task, world_of):
    world = world_of(task)
    name = "predict_proba" if task == "classification" else "predict"
    found = world.network.forward(torch.as_tensor(world.X[:9])).detach().numpy()
    np.testing.assert_allclose(found, getattr(world.network, name)(world.X[:9]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("residual", [False, True])
def test_the_gradient_of_disagreement_agrees_with_finite_differences(task, residual, world_of):
    world = world_of(task)
    snapshot, Z = world.snapshot(), world.codes[:4].astype(np.float32)
    edited = (world.X[4:8], world.codes[4:8]) if residual else None
    gradient, apart = snapshot.network.disagreement_gradient(Z, N_MEMBERS, edited=edited)

    def at(Z):
        rows = snapshot.latent.decode(Z) if edited is None else snapshot.latent.edit(*edited, Z)
        return disagreement_of(world, rows)

    np.testing.assert_allclose(apart, at(Z), rtol=1e-3)
    direction = np.random.default_rng(0).normal(size=Z.shape).astype(np.float32)
    step = 1e-2
    slope = (at(Z + step * direction) - at(Z - step * direction)) / (2 * step)
    np.testing.assert_allclose(
        (gradient * direction).sum(axis=1), slope, rtol=0.1, atol=0.02 * np.abs(slope).max()
    )
    assert snapshot.network.n_rows == 3 * N_MEMBERS * 4


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
    strategy = InterpolationStrategy(climb="random", n_steps=1, step=0.01, min_distance=None)
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
    strategy = InterpolationStrategy(climb="disagreement", n_steps=2, step=0.5, n_members=2)
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
    snapshot = world.snapshot(
        y_labeled=y, made=MadePoints(codes, rows), starts_used=np.zeros(len(y), dtype=bool)
    )
    np.testing.assert_array_equal(
        snapshot.labeled_rows([41, 0, 40]), [rows[1], world.X[world.labeled[0]], rows[0]]
    )
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
    kept, _ = farthest_of_largest(world.network.features(every.points), centres, 10)
    np.testing.assert_array_equal(np.concatenate(places), kept)
    assert snapshot.network.n_rows == 80 + len(world.labeled)


def test_rows_and_points_are_chosen_from_together(world):
    common = {"climb": "random", "residual": True, "random_share": 0.5, "min_distance": None}
    made = InterpolationStrategy(n_candidates=100, **common).query(world.snapshot(), 12)
    every = InterpolationStrategy(**common).query(world.snapshot(), 100)
    assert len(every.rows) == 50
    features = [world.network.features(rows) for rows in (world.X[every.rows], every.points)]
    centres = world.network.features(world.X[world.labeled])
    kept, _ = farthest_of_largest(np.concatenate(features), centres, 12)
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
            r"climb must be one of \('loss', 'disagreement', 'random'\), got 'hill'",
        ),
        ({"random_share": 1.5}, ValueError, r"random_share must lie in \[0, 1\], got 1.5"),
        ({"random_share": -0.1}, ValueError, "random_share"),
        ({"on_refusal": "retry"}, ValueError, "on_refusal must be 'nearest' or None, got 'retry'"),
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


# -- in a campaign --------------------------------------------------------------------------------


def bright(rows):
    """A simulator that refuses dark points made by the decoder."""
    rows = np.asarray(rows)
    return [
        Abstain("too dark") if r[20] < 5 and not np.allclose(r, np.round(r)) else float(r[20]) for r in rows
    ]


def make_campaign(world, **params):
    settings = {
        "strategy": InterpolationStrategy(
            climb="random", step=2.0, n_steps=1, residual=True, on_refusal="nearest"
        ),
        "oracle": FunctionOracle(bright),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 50,
        "random_state": 0,
        "latent_model": world.latent_model,
    }
    return Campaign(AdaptiveLatentSampler(net_regressor(max_epochs=2), **{**settings, **params}), world.X)


def test_each_refused_point_is_replaced_once_by_a_row_and_paid_once(world_of):
    world = world_of("regression")
    queries = make_campaign(world).run().queries
    assert len(queries) == 50  # refused ones are paid, too
    assert queries["id"].is_unique
    by_round = queries.groupby("round")
    refused = by_round.apply(lambda part: (part["state"] == "abstained").sum(), include_groups=False)
    rows = by_round.apply(lambda part: (part["kind"] == "pool").sum(), include_groups=False)
    assert refused.sum() > 4
    assert rows.tolist()[1:] == [0, *refused.tolist()[1:-1]]
    assert (queries.query("state == 'abstained'")["kind"] == "generated").all()


def test_a_point_that_is_refused_late_is_replaced_then(world_of):
    world = world_of("regression")
    campaign = make_campaign(world, oracle=None)
    first = campaign.ask()
    campaign.tell(first.ids, np.asarray(first.X)[:, 20])
    batch = campaign.ask()
    campaign.tell(batch.ids[:6], np.asarray(batch.X)[:6, 20])
    later = campaign.ask()
    assert [str(id_).startswith("generated") for id_ in later.ids] == [True] * 10
    campaign.tell(batch.ids[6:], [None] * 4)
    campaign.tell(later.ids, np.asarray(later.X)[:, 20])
    third = campaign.ask()
    assert sum(not str(id_).startswith("generated") for id_ in third.ids) == 4
    campaign.tell(third.ids, np.asarray([20.0] * 10))
    assert all(str(id_).startswith("generated") for id_ in campaign.ask().ids)


def test_what_was_asked_is_what_is_trained_on(world_of):
    world = world_of("regression")
    sampler = make_campaign(world).run().finish()
    made = sampler.queries_.query("kind == 'generated' and state == 'labeled'")
    assert len(sampler.X_generated_) == len(made)
    np.testing.assert_allclose(sampler.X_generated_[:, 20], made["label"].astype(float), rtol=1e-5)
