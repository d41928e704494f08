import numpy as np
import pytest
import torch

from skalss.datasets import make_vessels
from skalss.latent import LevelSetLatent, LinearLatent

VESSELS = make_vessels(60, random_state=0).X
GRID = np.arange(32) + 0.5


def discs(radius, x=16.0):
    """Discs with anti-aliased edges: images (n, 1, 32, 32)."""
    radius = np.atleast_1d(radius).reshape(-1, 1, 1, 1)
    gap = np.hypot(GRID[:, None] - 16, GRID[None] - x)
    return np.clip(0.5 + radius - gap, 0, 1).astype(np.float32)


def test_as_many_codes_as_rows_lose_hardly_anything():
    model = LevelSetLatent(60, random_state=0).fit(VESSELS)
    np.testing.assert_allclose(model.inverse_transform(model.transform(VESSELS)), VESSELS, atol=0.03)


def test_edges_move_where_pixels_would_fade():
    """Half way between a small disc and a large one lies a disc of the mean radius."""
    X = discs([6.0, 7.0, 8.0, 9.0])
    half = LevelSetLatent(3, cut=8.0).fit(X)
    middle = half.inverse_transform(half.transform(X[[0, 3]]).mean(axis=0, keepdims=True))
    np.testing.assert_allclose(middle, discs(7.5), atol=0.3)
    faded = LinearLatent(3).fit(X)
    faded = faded.inverse_transform(faded.transform(X[[0, 3]]).mean(axis=0, keepdims=True))
    assert np.abs(faded - discs(7.5)).max() > 0.4
    assert np.square(middle - discs(7.5)).mean() < 0.1 * np.square(faded - discs(7.5)).mean()


def test_edit_moves_the_edge_and_keeps_the_detail():
    X = discs([6.0, 7.0, 8.0, 9.0])
    model = LevelSetLatent(1, cut=8.0).fit(X)
    Z = torch.as_tensor(model.transform(X))
    holed = X[:1].copy()
    holed[0, 0, 13:19, 13:19] = 0  # a hole that one code cannot show
    Z_holed = torch.as_tensor(model.transform(holed))
    edited = model.edit(torch.as_tensor(holed), Z_holed, Z_holed + Z[1] - Z[0]).numpy()
    assert (edited[0, 0, 15:17, 15:17] < 0.1).all()
    around = discs(7.0) - discs(5.0)
    np.testing.assert_allclose(edited[around > 0.9], 1, atol=0.2)
    np.testing.assert_allclose(edited[discs(7.0) == 0], 0, atol=0.2)
    same = model.edit(torch.as_tensor(holed), Z_holed, Z_holed).numpy()
    np.testing.assert_allclose(same, holed, atol=0.03)


def test_bytes_and_flat_rows_are_the_same_shapes():
    model = LevelSetLatent(4, random_state=0).fit(VESSELS)
    as_bytes = np.round(255 * VESSELS).astype(np.uint8).reshape(60, -1)
    flat = LevelSetLatent(4, image_shape=(3, 32, 32), random_state=0).fit(as_bytes)
    np.testing.assert_allclose(flat.transform(as_bytes), model.transform(VESSELS), atol=0.1)
    decoded = flat.inverse_transform(flat.transform(as_bytes))
    assert decoded.shape == (60, 3072)
    assert decoded.min() >= 0
    assert 250 < decoded.max() <= 255


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"cut": 0.5}, "cut must be above 0.5, half a pixel, got 0.5"),
        ({"cut": "far"}, "cut must be"),
        ({"image_shape": (3, 16, 16)}, "image_shape must hold as many values as a row of X, 3072, got"),
        ({"n_components": 0}, "n_components must be a whole number of at least 1, got 0"),
    ],
)
def test_wrong_parameters(params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        LevelSetLatent(**params).fit(VESSELS)


def test_an_image_of_one_value_has_no_edge():
    X = np.concatenate([VESSELS[:5], np.zeros_like(VESSELS[:1]), np.ones_like(VESSELS[:1])])
    model = LevelSetLatent(6).fit(X)
    np.testing.assert_allclose(model.inverse_transform(model.transform(X))[-2:], X[-2:], atol=1e-3)
