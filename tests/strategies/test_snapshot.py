"""What a strategy may look at in one round, apart from the two views, which have files of their own."""

import numpy as np
import pytest
import torch

from skalss.strategies import Encoded, MadePoints, make_snapshot
from skalss.targets import Classes, Values


def refuse(*args):
    raise AssertionError("nothing was asked that needs it")


def bare(world, **settings):
    """Return a snapshot with as few arguments as there can be."""
    settings = {"latent": refuse, "network": refuse, **settings}
    return make_snapshot(world.X, world.labeled, world.y[world.labeled], **settings)


def test_looking_at_attributes_trains_nothing(world):
    snapshot = bare(world, known_structure=refuse)
    for name in dir(snapshot):
        getattr(snapshot, name)
    for view in (snapshot.latent, snapshot.network):
        for name in dir(view):
            getattr(view, name)
    assert snapshot.network.n_rows == 0


def test_each_model_is_asked_for_by_what_needs_it_alone(world):
    asked = []
    snapshot = world.snapshot(
        latent=lambda: asked.append("latent") or world.encoded,
        network=lambda: asked.append("network") or world.network,
    )
    snapshot.rows(np.arange(3))
    snapshot.labeled_rows(np.arange(3))
    assert asked == []
    snapshot.latent.codes()
    assert set(asked) == {"latent"}
    snapshot.network.logits(np.arange(3))
    assert set(asked) == {"latent", "network"}


def test_defaults(world):
    snapshot = bare(world)
    assert snapshot.unlabeled.tolist() == np.setdiff1d(np.arange(150), world.labeled).tolist()
    assert not snapshot.starts_used.any()
    assert len(snapshot.starts_used) == len(snapshot.y_labeled) == 40
    assert type(snapshot.target) is Classes
    assert snapshot.target.classes.tolist() == np.unique(world.y[world.labeled]).tolist()
    assert snapshot.device == torch.device("cpu")
    assert type(bare(world, target=Values()).target) is Values


def test_a_mask_names_the_same_rows(world):
    mask = np.isin(np.arange(len(world.X)), world.labeled)
    made = make_snapshot(world.X, mask, world.y[mask], latent=refuse, network=refuse)
    assert made.labeled.tolist() == np.flatnonzero(mask).tolist()
    assert made.unlabeled.tolist() == np.flatnonzero(~mask).tolist()


def test_the_target_knows_classes_that_no_label_has(world):
    target = bare(world, target=Classes(range(12))).target
    assert target.n_classes == 12
    assert target.encode(np.array([11])).tolist() == [11]


def test_without_labels_the_target_knows_none(world):
    none = np.arange(0)
    snapshot = make_snapshot(world.X, none, world.y[none], latent=refuse, network=refuse)
    assert snapshot.target.classes is None
    assert len(snapshot.unlabeled) == 150


def test_taken_rows_are_not_askable(world):
    taken = np.ones(150, dtype=bool)
    taken[[3, 77]] = False
    snapshot = bare(world, taken=taken)
    assert snapshot.unlabeled.tolist() == [3, 77]
    assert snapshot.askable.tolist() == (~taken).tolist()


@pytest.mark.parametrize("given", [7, np.random.RandomState(7)], ids=["number", "generator"])
def test_random_state(given, world):
    drawn = bare(world, random_state=given).random_state.randint(1000, size=5)
    assert drawn.tolist() == np.random.RandomState(7).randint(1000, size=5).tolist()


def test_rows(world):
    snapshot = bare(world)
    assert snapshot.rows(np.arange(150)) is world.X  # not a copy of a pool that may be large
    np.testing.assert_array_equal(snapshot.rows(np.array([5, 2, 5])), world.X[[5, 2, 5]])
    assert snapshot.rows(np.arange(0)).shape == (0, 64)


def test_labelled_rows_are_those_of_the_pool_and_then_made_points(world):
    made = MadePoints(world.codes[-2:], world.X[-2:] + 0.5)
    snapshot = world.snapshot(made=made, y_labeled=np.concatenate([world.y[world.labeled], [3, 4]]))
    np.testing.assert_array_equal(
        snapshot.labeled_rows([41, 0, 40]), [made.rows[1], world.X[world.labeled[0]], made.rows[0]]
    )
    np.testing.assert_array_equal(snapshot.labeled_rows(np.arange(3)), world.X[world.labeled[:3]])
    assert snapshot.labeled_rows(np.arange(0)).shape == (0, 64)


def test_made_points_between_the_values_of_bytes_are_not_rounded(world):
    made = MadePoints(world.codes[:1], world.X[:1] + 0.25)
    y = np.concatenate([world.y[world.labeled], [3]])
    snapshot = world.snapshot(X=world.X.astype(np.uint8), made=made, y_labeled=y)
    assert (snapshot.labeled_rows([40]) % 1 == 0.25).all()


# -- how clearly codes keep classes apart ---------------------------------------------------------


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).standard_normal((150, 4)).astype(np.float32)


def test_structure_is_measured_where_no_training_did(world, noise):
    assert world.snapshot().structure() > 0.15
    assert world.snapshot(latent=lambda: Encoded(world.latent_model, noise)).structure() < 0.1
    assert world.snapshot(known_structure=lambda: None).structure() == world.snapshot().structure()


def test_structure_that_the_training_found_is_taken(world):
    assert world.snapshot(latent=refuse, known_structure=lambda: 0.4).structure() == 0.4


def test_measuring_structure_uses_up_no_draw(world):
    snapshot = world.snapshot()
    snapshot.structure()
    assert snapshot.random_state.randint(1000) == world.snapshot().random_state.randint(1000)


@pytest.mark.parametrize("n_labeled", [0, 1])
def test_too_few_labels_show_no_structure(n_labeled, world):
    assert world.snapshot(labeled=world.labeled[:n_labeled]).structure() == 0
