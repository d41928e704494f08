"""Scores, features, gradients and a committee, as a strategy sees them."""

import numpy as np
import pytest
import torch

from skalss.strategies import MadePoints

from .measures import N_MEMBERS, disagreement_of

each_task = pytest.mark.parametrize("task", ["classification", "regression"])


def slope_along(function, Z, direction, step=1e-2):
    return (function(Z + step * direction) - function(Z - step * direction)) / (2 * step)


@each_task
def test_scores_and_features_are_those_of_the_network(task, world_of):
    world = world_of(task)
    view, rows = world.snapshot().network, np.array([7, 3, 7, 100])
    features, logits = view.features_and_logits(rows)
    np.testing.assert_array_equal(features, world.network.features(world.X[rows]))
    np.testing.assert_array_equal(logits, world.network.logits(world.X[rows]))
    np.testing.assert_array_equal(view.features(rows), features)
    np.testing.assert_array_equal(view.logits(rows), logits)
    np.testing.assert_array_equal(view.features_of(world.X[rows]), features)
    np.testing.assert_array_equal(view.head_weight(), world.network.head_weight())
    assert view.n_rows == 4 * 4


@pytest.mark.parametrize("model", ["forest", "linear"])
def test_scores_of_an_estimator_of_scikit_learn_are_logarithms_of_probabilities(model, world_of):
    world = world_of("classification", model)
    logits = world.snapshot().network.logits(np.arange(9))
    P = torch.as_tensor(logits).softmax(dim=1).numpy()
    np.testing.assert_allclose(P, world.network.predict_proba(world.X[:9]), atol=1e-6)


def test_what_it_can(world, world_of):
    view = world.snapshot().network
    assert all(view.can(ability) for ability in ("logits", "features", "gradient"))
    forest = world_of("classification", "forest").snapshot().network
    assert [forest.can(ability) for ability in ("logits", "features", "gradient")] == [True, False, False]


def test_rows_pass_in_parts(world, monkeypatch):
    expected = world.snapshot().network.features_and_logits(np.arange(20))
    monkeypatch.setattr("skalss.strategies.network_view.chunk_rows", lambda shape: 7)
    found = world.snapshot().network.features_and_logits(np.arange(20))
    for part, whole in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-4, atol=1e-5)


def test_of_many_labelled_rows_a_part_is_looked_at(world):
    snapshot = world.snapshot()
    every = world.network.features(world.X[world.labeled])
    some = snapshot.network.labeled_features(limit=15)
    assert len(some) == snapshot.network.n_rows == 15
    places = [np.flatnonzero((every == row).all(axis=1))[0] for row in some]
    assert (np.diff(places) > 0).all()
    np.testing.assert_array_equal(world.snapshot().network.labeled_features(), every)


def test_made_points_are_labelled_too(world):
    snapshot = world.snapshot(
        y_labeled=np.concatenate([world.y[world.labeled], [3, 4]]),
        made=MadePoints(world.codes[-2:], world.X[-2:]),
    )
    expected = world.network.features(np.concatenate([world.X[world.labeled], world.X[-2:]]))
    np.testing.assert_allclose(snapshot.network.labeled_features(), expected, rtol=1e-5, atol=1e-6)
    assert snapshot.network.n_rows == 42


def test_pool_and_labelled_rows_have_the_same_projections(world_of):
    world = world_of("regression")
    made = MadePoints(world.codes[-2:], world.X[-2:])
    snapshot = world.snapshot(y_labeled=np.concatenate([world.y[world.labeled], [3, 4]]), made=made)
    view = snapshot.network
    of_labeled = view.labeled_gradients()
    assert view.n_rows == 3 * 42
    rows = np.concatenate([world.labeled, [len(world.X) - 2, len(world.X) - 1]])
    np.testing.assert_allclose(view.gradients(rows), of_labeled, rtol=1e-4, atol=1e-5)
    assert view.n_rows == 2 * 3 * 42
    assert len(view.labeled_gradients(limit=15)) == 15
    other = world.snapshot(seed=1).network.gradients(rows)
    assert not np.allclose(other, of_labeled)


# -- a committee ----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["net", "forest", "linear"])
@each_task
def test_a_committee_says_what_its_members_predict(task, model, world_of):
    world = world_of(task, model)
    view, rows = world.snapshot().network, np.arange(5, 12)
    said = view.committee(rows, 3)
    name = "predict_proba" if task == "classification" else "predict"
    for i in range(3):
        np.testing.assert_allclose(said[i], getattr(world.member(i), name)(world.X[rows]), rtol=1e-5)
    assert said.shape == ((3, 7, 10) if task == "classification" else (3, 7))
    assert view.n_rows == 21


def test_members_are_trained_once_a_round_and_only_as_many_as_are_asked(world):
    trained = []
    view = world.snapshot(member=lambda number: trained.append(number) or world.member(number)).network
    view.committee(np.arange(3), 2)
    view.disagreement_gradient(world.codes[:2], 2)
    assert trained == [0, 1]
    assert len(view.committee(np.arange(3), 4)) == 4
    assert len(view.committee(np.arange(3), 2)) == 2
    assert trained == [0, 1, 2, 3]
    assert world.counting_net.rows == {}  # the network itself is not needed


def test_without_a_committee(world):
    view = world.snapshot(member=None).network
    with pytest.raises(ValueError, match="made without a committee; pass member="):
        view.committee(np.arange(3), 2)
    with pytest.raises(ValueError, match="made without a committee; pass member="):
        view.disagreement_gradient(world.codes[:3], 2)


# -- gradients ------------------------------------------------------------------------------------


@each_task
def test_the_gradient_of_the_loss_agrees_with_finite_differences(task, world_of):
    world = world_of(task)
    snapshot, Z, y = world.snapshot(), world.codes[:6], world.y[60:66]
    gradient, predicted = snapshot.network.loss_gradient(Z, y)
    np.testing.assert_array_equal(predicted, world.network.predict(snapshot.latent.decode(Z)))
    assert snapshot.network.n_rows == 3 * 6

    def loss(Z):
        rows = snapshot.latent.decode(Z)
        if task == "classification":
            return -np.log(world.network.predict_proba(rows).astype(float)[np.arange(6), y])
        target = world.network.target_  # a network learns standardised values
        gaps = target.encode(world.network.predict(rows)) - target.encode(y)
        return np.square(gaps.astype(float))

    direction = np.random.default_rng(0).normal(size=Z.shape).astype(np.float32)
    slope = slope_along(loss, Z, direction)
    np.testing.assert_allclose(
        (gradient * direction).sum(axis=1), slope, rtol=0.1, atol=0.02 * np.abs(slope).max()
    )


@each_task
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
    slope = slope_along(at, Z, direction)
    np.testing.assert_allclose(
        (gradient * direction).sum(axis=1), slope, rtol=0.1, atol=0.02 * np.abs(slope).max()
    )
    assert snapshot.network.n_rows == 3 * N_MEMBERS * 4


@pytest.mark.parametrize("edited", [False, True])
def test_gradients_are_taken_in_parts(edited, world, monkeypatch):
    given = (world.X[:9], world.codes[:9]) if edited else None
    Z = world.codes[:9] + np.float32(0.5)
    expected = world.snapshot().network.disagreement_gradient(Z, 2, edited=given)
    monkeypatch.setattr("skalss.strategies.network_view.FORWARD_ROWS", 4)
    found = world.snapshot().network.disagreement_gradient(Z, 2, edited=given)
    for part, whole in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-3, atol=1e-5)
