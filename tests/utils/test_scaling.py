import numpy as np
import pytest
import torch

from skalss.utils import scaling
from skalss.utils.scaling import centred, fit_scaling


def test_flat_rows_are_standardised_per_feature():
    X = np.random.default_rng(0).normal([5, -300, 0], [1, 50, 0], size=(1000, 3))
    scaled = fit_scaling(X)(torch.from_numpy(X))
    assert scaled.dtype == torch.float32
    np.testing.assert_allclose(scaled.mean(dim=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[:, :2].std(dim=0), 1, atol=1e-2)
    assert (scaled[:, 2] == 0).all()  # a constant feature stays finite


def test_images_are_standardised_per_channel():
    X = np.random.default_rng(0).normal(size=(50, 2, 6, 6)) * np.array([1, 20]).reshape(2, 1, 1) + 7
    scaling = fit_scaling(X)
    assert scaling.shift.shape == (2, 1, 1)
    np.testing.assert_allclose(scaling(torch.from_numpy(X)).mean(dim=(0, 2, 3)), 0, atol=1e-5)


def test_the_unit_range_stays_as_it_is():
    X = np.random.default_rng(0).random((20, 3))
    scaling = fit_scaling(X)
    assert scaling.unit_range
    np.testing.assert_array_equal(scaling(torch.from_numpy(X)), X.astype(np.float32))


@pytest.mark.parametrize(("high", "is_image"), [(255, True), (128, True), (127, False), (16, False)])
def test_bytes_of_an_image_and_small_counts(high, is_image):
    X = np.random.default_rng(0).integers(0, high + 1, size=(500, 4)).astype(np.uint8)
    X[0] = high
    scaling = fit_scaling(X)
    assert scaling.unit_range is is_image
    assert scaling(torch.from_numpy(X)).std() > (0.1 if is_image else 0.9)


def test_chunks_do_not_matter(monkeypatch):
    X = np.random.default_rng(0).normal(3, 2, size=(100, 5))
    whole = fit_scaling(X)
    monkeypatch.setattr(scaling, "chunk_rows", lambda shape: 7)
    pieces = fit_scaling(X)
    np.testing.assert_allclose(whole.shift, pieces.shift, rtol=1e-12)
    np.testing.assert_allclose(whole.scale, pieces.scale, rtol=1e-12)


@pytest.mark.parametrize("fit", [fit_scaling, centred])
def test_the_way_back(fit):
    X = np.random.default_rng(0).normal(100, 9, size=(30, 4))
    scaling = fit(X)
    np.testing.assert_allclose(scaling.inverse(scaling(torch.from_numpy(X))), X, rtol=1e-5)


def test_centred_has_one_scale_for_all_features():
    X = np.random.default_rng(0).normal([0, 50], [1, 3], size=(1000, 2))
    scaling = centred(X)
    assert scaling.scale.ndim == 0
    scaled = scaling(torch.from_numpy(X))
    np.testing.assert_allclose([scaled.mean(), scaled.std()], [0, 1], atol=1e-2)


def test_a_large_offset_is_taken_off_before_float32():
    X = np.random.default_rng(0).random((50, 2)) + 1e9
    scaled = fit_scaling(X)(torch.from_numpy(X))
    expected = (X - X.mean(axis=0)) / X.std(axis=0)
    np.testing.assert_allclose(scaled, expected, atol=1e-4)
    assert len(np.unique(scaled)) > 90


def test_gradients_pass_through():
    scaling = fit_scaling(np.random.default_rng(0).normal(0, [2, 4], size=(100, 2)))
    x = torch.zeros(3, 2, requires_grad=True)
    scaling(x).sum().backward()
    np.testing.assert_allclose(x.grad, 1 / scaling.scale.float().expand(3, 2), rtol=1e-6)
