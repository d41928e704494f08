"""Codes, neighbours and decoding, as a strategy sees them."""

import pickle

import numpy as np
import pytest
import torch

from skalss.strategies import Encoded, MadePoints


@pytest.fixture
def view(world):
    return world.snapshot().latent


def with_codes(world, codes, **settings):
    return world.snapshot(latent=lambda: Encoded(world.latent_model, codes), **settings).latent


def test_codes_of_what_is_labelled(world, view):
    assert view.codes() is world.codes
    np.testing.assert_array_equal(view.labeled_codes(), world.codes[world.labeled])
    made = MadePoints(np.ones((2, 4), dtype=np.float32), world.X[:2])
    with_made = world.snapshot(made=made, y_labeled=np.r_[world.y[world.labeled], 3, 4]).latent
    np.testing.assert_array_equal(with_made.labeled_codes()[:40], world.codes[world.labeled])
    np.testing.assert_array_equal(with_made.labeled_codes()[40:], made.codes)


def test_refused_codes(world, view):
    assert view.refused_codes().shape == (0, 4)
    refused = world.codes[:3] + 1
    np.testing.assert_array_equal(world.snapshot(refused=refused).latent.refused_codes(), refused)


def test_only_rows_that_may_be_asked_are_neighbours(world, view):
    Z = world.codes[:20] + 0.1
    rows, distances = view.nearest(Z, 3)
    free = np.flatnonzero(~world.taken)
    gaps = np.linalg.norm(Z[:, None].astype(float) - world.codes[free][None], axis=2)
    np.testing.assert_array_equal(rows, free[gaps.argsort(axis=1)[:, :3]])
    np.testing.assert_allclose(distances, np.sort(gaps, axis=1)[:, :3], rtol=1e-3)


def test_fewer_rows_than_neighbours(world):
    taken = np.ones(150, dtype=bool)
    taken[[3, 77]] = False
    rows, distances = world.snapshot(taken=taken).latent.nearest(world.codes[:5], 20)
    assert rows.shape == distances.shape == (5, 2)
    assert set(rows.ravel()) == {3, 77}


def test_one_neighbour_by_default(world, view):
    free = np.flatnonzero(~world.taken)[:4]
    rows, distances = view.nearest(world.codes[free])
    assert rows[:, 0].tolist() == free.tolist()
    np.testing.assert_allclose(distances, 0, atol=1e-2)


# -- the size of a step ---------------------------------------------------------------------------


def test_spread_is_the_root_mean_square_deviation(world, view):
    assert view.spread() == pytest.approx(np.sqrt(world.codes.var(axis=0).mean()), rel=1e-5)
    np.testing.assert_allclose(view.scales(), world.codes.std(axis=0), rtol=1e-5)


def test_codes_that_are_all_alike_have_steps_of_one(world):
    view = with_codes(world, np.ones((150, 4), dtype=np.float32))
    assert view.spread() == 1
    assert view.scales().tolist() == [1, 1, 1, 1]


def test_a_component_that_does_not_vary_is_not_moved(world):
    codes = world.codes.copy()
    codes[:, 1] = 3
    assert with_codes(world, codes).scales()[1] == 0


# -- codes to rows --------------------------------------------------------------------------------


def test_decoding_is_that_of_the_model(world, view):
    decoded = view.decode(world.codes[:9].astype(np.float64))
    np.testing.assert_allclose(decoded, world.latent_model.inverse_transform(world.codes[:9]), rtol=1e-4)
    assert decoded.dtype == np.float32
    with torch.no_grad():
        same = view.decode_tensor(torch.as_tensor(world.codes[:9])).numpy()
    np.testing.assert_allclose(same, decoded, rtol=1e-5)


def test_many_codes_are_decoded_in_parts(world, view, monkeypatch):
    expected = view.decode(world.codes), view.edit(world.X, world.codes, world.codes + 1)
    monkeypatch.setattr("skalss.strategies.latent_view.chunk_rows", lambda shape: 7)
    found = view.decode(world.codes), view.edit(world.X, world.codes, world.codes + 1)
    for part, whole in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-4, atol=1e-4)


def test_an_edit_adds_what_decoding_changes(world, view):
    Z_from, Z_to = world.codes[:9], world.codes[:9] + 0.5
    change = view.decode(Z_to) - view.decode(Z_from)
    low, high = world.X.min(axis=0), world.X.max(axis=0)
    np.testing.assert_allclose(
        view.edit(world.X[:9], Z_from, Z_to), np.clip(world.X[:9] + change, low, high), atol=1e-4
    )


def test_an_edit_to_where_a_row_is_leaves_it_as_it_is(world, view):
    """Even a row whose values are outside of the range of the pool."""
    rows = world.X[:3] - 30
    np.testing.assert_allclose(view.edit(rows, world.codes[:3], world.codes[:3]), rows, atol=1e-4)


def test_an_edit_stays_in_the_range_of_the_pool(world, view):
    edited = view.edit(world.X[:9], world.codes[:9], 50 * world.codes[:9])
    assert (edited >= world.X.min(axis=0)).all()
    assert (edited <= world.X.max(axis=0)).all()


@pytest.mark.parametrize("edited", [False, True])
def test_decoding_has_a_gradient(edited, world, view):
    Z = torch.as_tensor(world.codes[:4]).requires_grad_()
    rows = view.decode_tensor(Z, (world.X[4:8], world.codes[4:8]) if edited else None)
    (gradient,) = torch.autograd.grad(rows.sum(), Z)
    assert gradient.abs().min() > 0


# -- the pool in its latent space -----------------------------------------------------------------


def test_the_index_is_built_once_and_not_pickled(world):
    encoded = Encoded(world.latent_model, world.codes)
    before = pickle.dumps(encoded)
    index = encoded.index()
    assert encoded.index() is index
    assert pickle.dumps(encoded) == before
    question = world.codes[:3], 2, np.ones(150, dtype=bool)
    found = pickle.loads(before).index().search(*question)
    for ours, expected in zip(found, index.search(*question), strict=True):
        np.testing.assert_array_equal(ours, expected)
