"""The contract of a latent model, asked of every one: list a new model here and it is tested."""

import pickle
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from torch import nn

from skalss.latent import (
    VAE,
    BaseLatentModel,
    ContrastiveLatent,
    ConvVAE,
    LevelSetLatent,
    LinearLatent,
    PretrainedLatent,
)
from skalss.latent.rows import is_memory_mapped

IMAGES = load_digits().images[:200, None]  # (n, 1, 8, 8), values 0 to 16
FLAT = IMAGES.reshape(200, 64)

SHORT = {"max_epochs": 2, "random_state": 0}
MODELS = [
    VAE(4, hidden_layer_sizes=(32,), **SHORT),
    ConvVAE(4, hidden_channels=(4, 8), image_shape=(1, 8, 8), **SHORT),
    LinearLatent(4, random_state=0),
    LevelSetLatent(4, image_shape=(1, 8, 8), random_state=0),
    PretrainedLatent(),
]
pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
every_shape = pytest.mark.parametrize("X", [FLAT, IMAGES], ids=["flat", "images"])

CHECKED_MODELS = [
    VAE(),
    ConvVAE(hidden_channels=(4, 8), max_epochs=2),
    LinearLatent(),
    LevelSetLatent(),
    PretrainedLatent(nn.Identity(), nn.Identity()),
    PretrainedLatent(nn.Identity()),
    ContrastiveLatent(max_epochs=2),
]


FITTED = {}


def fitted(model, X=FLAT):
    """Fit a model once for all tests, which must leave it as it is."""
    key = type(model), X.shape
    if key not in FITTED:
        FITTED[key] = clone(model).fit(X)
    return FITTED[key]


@parametrize_with_checks(CHECKED_MODELS)
def test_estimator_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        pytest.fail(f"The check skips itself: {reason}")


@pytest.mark.parametrize("model", CHECKED_MODELS, ids=lambda model: type(model).__name__)
def test_no_estimator_check_is_missing(model):
    assert len(list(estimator_checks_generator(model, mark=None))) >= 46


@every_model
def test_is_a_latent_model(model):
    assert isinstance(model, BaseLatentModel)


@every_model
@every_shape
def test_round_trip_keeps_shape(model, X):
    model = fitted(model, X)
    Z = model.transform(X[:7])
    assert Z.shape == (7, len(model.get_feature_names_out()))
    assert Z.dtype == np.float32
    back = model.inverse_transform(Z)
    assert back.shape == X[:7].shape
    np.testing.assert_allclose(model.decode(torch.from_numpy(Z)).numpy(), back, rtol=1e-4, atol=1e-3)


@every_model
def test_chunks_do_not_change_codes(model, monkeypatch):
    model = fitted(model)
    whole = model.transform(FLAT)
    whole_back = model.inverse_transform(whole)
    monkeypatch.setattr("skalss.latent.base.chunk_rows", lambda shape: 7)
    np.testing.assert_allclose(model.transform(FLAT), whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.inverse_transform(whole), whole_back, rtol=1e-4, atol=1e-4)


@every_model
def test_data_frame_in_and_out(model):
    frame = pd.DataFrame(FLAT, index=np.arange(200) + 1000).add_prefix("pixel")
    model = clone(model).set_output(transform="pandas").fit(frame)
    codes = model.transform(frame[:5])
    assert list(codes.index) == [1000, 1001, 1002, 1003, 1004]
    assert list(codes.columns) == list(model.get_feature_names_out())
    assert codes.columns[0] == f"{type(model).__name__.lower()}0"
    plain = fitted(model).transform(FLAT[:5])
    np.testing.assert_allclose(codes.to_numpy(), plain, rtol=1e-5, atol=1e-5)


@every_model
@every_shape
def test_decode_gradient_agrees_with_finite_differences(model, X):
    """Row by row. Where a step of a row crosses a kink of the decoder the two differ: few rows do."""
    model = fitted(model, X)
    generator = torch.Generator().manual_seed(0)
    Z = torch.from_numpy(model.transform(X)).requires_grad_()
    weight = torch.randn(X.shape, generator=generator)
    direction = torch.randn(Z.shape, generator=generator)

    def objective(Z):
        return (model.decode(Z).double() * weight).flatten(1).sum(dim=1)

    (gradient,) = torch.autograd.grad(objective(Z).sum(), Z)
    step = 1e-3
    with torch.no_grad():
        ahead, behind = (objective(Z + sign * step * direction) for sign in (1, -1))
    slopes = (ahead - behind) / (2 * step)
    gaps = (gradient * direction).sum(dim=1) - slopes
    assert gaps.abs().median() < 0.01 * slopes.abs().median()
    assert slopes.abs().median() > 1e-3


@every_model
def test_public_decode_lets_gradients_through_and_trains_nothing(model):
    model = fitted(model)
    Z = torch.from_numpy(model.transform(FLAT[:3])).double().requires_grad_()
    decoded = model.decode(Z)
    assert decoded.dtype == torch.float32
    decoded.square().sum().backward()
    assert Z.grad.dtype == torch.float64
    assert (Z.grad.abs().sum(dim=1) > 0).all()
    modules = [value for value in vars(model).values() if isinstance(value, nn.Module)]
    assert not any(p.requires_grad for module in modules for p in module.parameters())
    assert not any(module.training for module in modules)


@every_model
@pytest.mark.parametrize("dtype", [np.int64, np.float16, ">f4", bool])
def test_any_numeric_dtype(model, dtype):
    X = (FLAT > 8).astype(bool) if dtype is bool else FLAT.astype(dtype)
    as_float = X.astype(np.float64)
    reference = clone(model).fit(as_float) if dtype is bool else fitted(model)
    model = clone(model).fit(X)
    np.testing.assert_allclose(model.transform(X), reference.transform(as_float), rtol=1e-2, atol=1e-2)


@every_model
def test_units_are_those_of_X(model):
    small, large = fitted(model), clone(model).fit(1000 * FLAT + 5000)
    back_small = small.inverse_transform(small.transform(FLAT))
    back_large = large.inverse_transform(large.transform(1000 * FLAT + 5000))
    varies = FLAT.std(axis=0) > 0  # a constant feature has no unit to scale by
    back_large = (back_large[:, varies] - 5000) / 1000
    np.testing.assert_allclose(back_large, back_small[:, varies], rtol=1e-2, atol=2e-2)
    assert abs(back_small.mean() - FLAT.mean()) < 1


@every_model
def test_reconstruction_error_is_the_squared_error_of_a_feature(model):
    model = fitted(model)
    back = model.inverse_transform(model.transform(FLAT))
    assert model.reconstruction_error_ == pytest.approx(np.square(FLAT - back).mean(), rel=1e-4, abs=1e-10)


@every_model
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_memory_map_is_not_copied_and_changes_nothing(model, dtype, tmp_path, monkeypatch):
    X = FLAT.astype(dtype)
    X.tofile(tmp_path / "pool.bin")
    mapped = np.memmap(tmp_path / "pool.bin", dtype=dtype, mode="r", shape=X.shape)
    seen = []
    # What a model learns from comes to `_fit`, which each kind of model writes; nothing public tells.
    fit = type(model)._fit
    monkeypatch.setattr(type(model), "_fit", lambda self, X: seen.append(X) or fit(self, X))
    on_disk, in_memory = clone(model).fit(mapped), clone(model).fit(X)
    assert is_memory_mapped(seen[0])
    assert seen[0].dtype == dtype
    assert not is_memory_mapped(seen[1])
    if isinstance(model, LinearLatent):  # batch-wise components are close, up to sign
        assert on_disk.reconstruction_error_ == pytest.approx(in_memory.reconstruction_error_, rel=0.05)
    else:
        np.testing.assert_array_equal(on_disk.transform(mapped), in_memory.transform(X))


@every_model
def test_same_seed_same_codes_and_callers_generators_untouched(model):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the legacy generator is what must not move
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = clone(model).fit(FLAT).transform(FLAT)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    torch.manual_seed(4)
    np.testing.assert_array_equal(clone(model).fit(FLAT).transform(FLAT), first)


@every_model
def test_pickle_gives_the_same_codes_and_rows(model):
    model = fitted(model)
    copy = pickle.loads(pickle.dumps(model))
    Z = model.transform(FLAT)
    np.testing.assert_array_equal(copy.transform(FLAT), Z)
    np.testing.assert_array_equal(copy.inverse_transform(Z), model.inverse_transform(Z))


@every_model
def test_frozen_estimator_is_still_a_latent_model(model):
    model = fitted(model)
    frozen = FrozenEstimator(model).fit(FLAT[:10], None)
    Z = frozen.transform(FLAT)
    np.testing.assert_array_equal(Z, model.transform(FLAT))
    assert torch.equal(frozen.decode(torch.from_numpy(Z)), model.decode(torch.from_numpy(Z)))
    assert clone(frozen).reconstruction_error_ == model.reconstruction_error_


@every_model
def test_rows_of_another_shape_are_refused(model):
    name = type(model).__name__
    flat = fitted(model)
    with pytest.raises(ValueError, match=f"X has 63 features, but {name} is expecting 64 features"):
        flat.transform(FLAT[:, :63])
    with pytest.raises(ValueError, match=rf"rows of shape \(1, 8, 8\), but {name} was fitted .* \(64,\)"):
        flat.transform(IMAGES)
    images = fitted(model, IMAGES)
    with pytest.raises(
        ValueError, match=rf"rows of shape \(1, 8, 7\), but {name}.*Reshape X to \(n_samples, 1, 8, 8\)"
    ):
        images.transform(IMAGES[..., :7])
    with pytest.raises(ValueError, match=r"rows of shape \(64,\)"):
        images.transform(FLAT)


@every_model
def test_wrong_codes_are_refused(model):
    with pytest.raises(NotFittedError):
        clone(model).decode(torch.zeros(1, 4))
    model = fitted(model)
    width = len(model.get_feature_names_out())
    with pytest.raises(
        ValueError, match=rf"Z must have shape \(n_samples, {width}\), got \(2, {width + 1}\)"
    ):
        model.decode(torch.zeros(2, width + 1))
    with pytest.raises(ValueError, match="Pass codes as transform gives them"):
        model.inverse_transform(np.zeros((2, width + 1)))
    with pytest.raises(TypeError, match="takes a torch tensor, got ndarray. Use inverse_transform"):
        model.decode(np.zeros((2, width)))


@every_model
def test_infinite_rows_are_refused(model):
    X = FLAT.copy()
    X[3, 3] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        clone(model).fit(X)


@pytest.mark.gpu
@every_model
@every_shape
def test_on_an_accelerator(model, X):
    model = clone(model).fit(X)  # device="auto"
    accelerator = torch.accelerator.current_accelerator()
    Z = model.transform(X)
    assert isinstance(Z, np.ndarray)
    on_cpu = torch.from_numpy(Z).requires_grad_()
    decoded = model.decode(on_cpu)
    assert decoded.device.type == accelerator.type
    decoded.sum().backward()
    assert on_cpu.grad.device.type == "cpu"
    on_device = torch.from_numpy(Z).to(accelerator).requires_grad_()
    model.decode(on_device).sum().backward()
    assert on_device.grad.device.type == accelerator.type
    assert model.inverse_transform(Z).shape == X.shape
