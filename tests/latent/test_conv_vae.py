import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from skalss.latent import ConvVAE

IMAGES = load_digits().images[:100, None] / 16
TINY = ConvVAE(4, hidden_channels=(4, 8), max_epochs=2, random_state=0)

pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 5, 7), (1, 28, 28), (3, 32, 32), (2, 6, 31), (1, 1, 9)])
def test_any_height_and_width(shape):
    X = np.random.default_rng(0).random((30, *shape))
    vae = clone(TINY).fit(X)
    assert vae.inverse_transform(vae.transform(X)).shape == X.shape


def test_flat_rows_with_a_shape_are_the_images():
    flat = IMAGES.reshape(100, 64)
    on_flat, on_images = clone(TINY).set_params(image_shape=(1, 8, 8)).fit(flat), clone(TINY).fit(IMAGES)
    Z = on_flat.transform(flat)
    np.testing.assert_array_equal(Z, on_images.transform(IMAGES))
    back = on_flat.inverse_transform(Z)
    assert back.shape == (100, 64)
    np.testing.assert_array_equal(back, on_images.inverse_transform(Z).reshape(100, 64))


def test_flat_rows_without_a_shape_are_one_pixel_high():
    flat = IMAGES.reshape(100, 64)
    signal = clone(TINY).fit(flat)
    as_images = clone(TINY).fit(flat[:, None, None])
    np.testing.assert_array_equal(signal.transform(flat), as_images.transform(flat[:, None, None]))


def test_flat_features_of_different_units_are_scaled_one_by_one():
    rng = np.random.default_rng(0)
    scale = np.array([1e-3, 1.0, 1e3, 1e6])
    X = rng.standard_normal((300, 1)) * scale + scale * 10  # one hidden cause, four units
    vae = ConvVAE(2, hidden_channels=(16,), lr=0.01, random_state=0).fit(X)
    error = np.square(X - vae.inverse_transform(vae.transform(X))).mean(axis=0)
    assert (error < 0.2 * X.var(axis=0)).all()


@pytest.mark.parametrize("hidden", [(8,), (4, 8, 8)])
def test_any_depth(hidden):
    vae = clone(TINY).set_params(hidden_channels=hidden).fit(IMAGES)
    assert vae.inverse_transform(vae.transform(IMAGES)).shape == IMAGES.shape


@pytest.mark.parametrize(
    ("image_shape", "X"),
    [
        ((1, 8, 7), IMAGES.reshape(100, 64)),
        ((8, 8), IMAGES.reshape(100, 64)),
        ((1, 4, 16), IMAGES),
        ((1, 8, 8), IMAGES[:, 0]),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(image_shape, X):
    with pytest.raises(ValueError, match=r"image_shape must be \(n_channels, height, width\).*got \("):
        clone(TINY).set_params(image_shape=image_shape).fit(X)


def test_images_without_channels_are_refused():
    with pytest.raises(ValueError, match=r"got rows of shape \(8, 8\). Pass X\[:, None\]"):
        clone(TINY).fit(IMAGES[:, 0])


@pytest.mark.parametrize(
    ("channels", "error", "text"),
    [
        ((), ValueError, "at least one entry"),
        (8, TypeError, "hidden_channels must be a sequence of whole numbers .* got 8"),
        ((8, -1), ValueError, "every entry of hidden_channels must be a whole number of at least 1, got -1"),
    ],
)
def test_bad_hidden_channels(channels, error, text):
    with pytest.raises(error, match=text):
        clone(TINY).set_params(hidden_channels=channels).fit(IMAGES)
