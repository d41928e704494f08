import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skalss.latent import VAE, ConvVAE
from skalss.utils.devices import supports_bf16

DIGITS = load_digits().data  # values 0 to 16
UNIT = DIGITS / 16
SOME = UNIT[:200]

pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")  # tiny budgets

VAES = [
    VAE(random_state=0),
    ConvVAE(hidden_channels=(8, 16), image_shape=(1, 8, 8), lr=3e-3, random_state=0),
]

both_vaes = pytest.mark.parametrize("vae", VAES, ids=lambda vae: type(vae).__name__)


def total_variance(X):
    """Squared error per feature of the mean row."""
    return X.var(axis=0, dtype=np.float64).mean()


@pytest.mark.parametrize(
    ("vae", "X", "likelihood", "share"),
    [
        (VAES[0], UNIT, "bernoulli", 0.65),
        (VAES[0], DIGITS, "gaussian", 0.3),
        (VAES[1], UNIT, "gaussian", 0.3),
    ],
    ids=["VAE, Bernoulli", "VAE, 0 to 16", "ConvVAE, Gaussian"],
)
def test_digits_are_learned(vae, X, likelihood, share, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        vae = clone(vae).set_params(random_state=seed, likelihood=likelihood).fit(X)
    assert vae.reconstruction_error_ < share * total_variance(X)
    losses = [record["loss"] for record in vae.history_]
    valid_losses = [record["valid_loss"] for record in vae.history_]
    assert losses[-1] < 0.75 * losses[0]
    assert min(valid_losses) < 0.95 * valid_losses[0]
    assert vae.n_active_units_ >= 8
    assert vae.kl_ > 1


@pytest.mark.parametrize(
    ("X", "likelihood"),
    [
        ((UNIT > 0.5).astype(float), "bernoulli"),
        ((UNIT > 0.5).astype(np.uint8) * 255, "bernoulli"),
        (UNIT, "gaussian"),  # shades of grey
        ((UNIT * 255).astype(np.uint8), "gaussian"),
        (DIGITS, "gaussian"),
        ((UNIT > 0.5) * 16.0, "gaussian"),  # two values, but outside [0, 1]
    ],
    ids=["binary", "binary bytes", "grey", "grey bytes", "0 to 16", "0 or 16"],
)
def test_the_likelihood_suits_the_data(X, likelihood):
    assert VAE(max_epochs=1, random_state=0).fit(X).likelihood_ == likelihood


def test_uint8_is_decoded_to_bytes():
    X = (DIGITS * 15).astype(np.uint8)
    vae = VAE(likelihood="bernoulli", random_state=0).fit(X)
    back = vae.inverse_transform(vae.transform(X))
    assert 0 <= back.min() < 30
    assert 150 < back.max() <= 255
    assert vae.reconstruction_error_ < 0.7 * total_variance(X)


def test_history_adds_up():
    vae = VAE(max_epochs=3, beta=2.0, random_state=0).fit(UNIT)
    assert [record["epoch"] for record in vae.history_] == [1, 2, 3]
    for record in vae.history_:
        assert set(record) == {"epoch", "loss", "reconstruction", "kl", "valid_loss"}
        assert record["loss"] == pytest.approx(record["reconstruction"] + 2 * record["kl"], rel=1e-5)


def test_random_state_decides():
    first, second = (VAE(max_epochs=2, random_state=seed).fit(SOME).transform(SOME) for seed in (0, 1))
    assert not np.allclose(first, second)


def test_a_larger_beta_lowers_the_kl():
    low, high = (VAE(beta=beta, max_epochs=10, random_state=0).fit(UNIT).kl_ for beta in (0.2, 2.0))
    assert high < low / 2


def test_collapse_is_told():
    with pytest.warns(
        ConvergenceWarning, match=r"collapsed: 0 of 16 codes .* Lower beta \(now 1000\)"
    ) as caught:
        VAE(beta=1000, max_epochs=5, random_state=0).fit(UNIT)
    assert caught[0].filename == __file__  # points at the caller of fit


def test_an_explicit_gaussian_takes_unit_range():
    vae = VAE(likelihood="gaussian", max_epochs=10, random_state=0).fit(UNIT)
    assert vae.likelihood_ == "gaussian"
    assert vae.reconstruction_error_ < 0.5 * total_variance(UNIT)


def test_an_explicit_bernoulli_refuses_other_ranges():
    with pytest.raises(
        ValueError, match=r"takes values in \[0, 1\] or bytes of images, got values in \[0.0, 16.0\]. Scale X"
    ):
        VAE(likelihood="bernoulli").fit(DIGITS)


def test_early_stopping_keeps_the_best_weights():
    # Few rows and long training overfit, so the last epoch is not the best.
    vae = VAE(lr=0.01, max_epochs=200, random_state=0).fit(SOME)
    valid_losses = [record["valid_loss"] for record in vae.history_]
    assert len(valid_losses) < 200
    best = int(np.argmin(valid_losses)) + 1
    assert len(valid_losses) == best + 5
    # The same seed stopped at the best epoch gives the same weights.
    at_best = clone(vae).set_params(max_epochs=best).fit(SOME)
    np.testing.assert_allclose(vae.transform(SOME), at_best.transform(SOME), rtol=1e-5, atol=1e-6)


def test_without_early_stopping_every_row_trains_for_every_epoch():
    vae = VAE(lr=0.01, max_epochs=40, early_stopping=False, random_state=0).fit(SOME)
    assert len(vae.history_) == 40
    assert all(np.isnan(record["valid_loss"]) for record in vae.history_)


def test_too_few_rows_to_hold_out():
    vae = VAE(max_epochs=3, random_state=0).fit(SOME[:19])
    assert np.isnan(vae.history_[0]["valid_loss"])
    vae = VAE(max_epochs=3, random_state=0).fit(SOME[:20])
    assert np.isfinite(vae.history_[0]["valid_loss"])


def test_linear_network():
    vae = VAE(hidden_layer_sizes=(), lr=5e-3, max_epochs=15, random_state=0).fit(DIGITS)
    assert vae.reconstruction_error_ < 0.5 * total_variance(DIGITS)


@both_vaes
@pytest.mark.skipif(not supports_bf16(torch.device("cpu")), reason="no bfloat16 in this processor")
def test_bfloat16_trains_as_well_as_float32(vae):
    losses = []
    for dtype in ("float32", "bfloat16"):
        fitted = clone(vae).set_params(dtype=dtype, max_epochs=5, device="cpu").fit(UNIT)
        for module in (fitted.encoder_, fitted.decoder_):
            assert all(p.dtype == torch.float32 for p in module.parameters())
        losses.append(fitted.history_[-1]["valid_loss"])
    assert losses[0] != losses[1]  # the two did compute differently
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_progress_is_shown_only_when_asked_for(capfd):
    VAE(max_epochs=2, random_state=0).fit(SOME)
    out, err = capfd.readouterr()
    assert out + err == ""
    VAE(max_epochs=2, random_state=0, verbose=1).fit(SOME)
    assert "loss=" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("parameters", "error", "text"),
    [
        ({"n_components": 0}, ValueError, "n_components must be a whole number of at least 1, got 0"),
        ({"n_components": 2.5}, TypeError, "n_components must be a whole number of at least 1, got 2.5"),
        ({"max_epochs": 0}, ValueError, "max_epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": -1}, ValueError, "batch_size must be a whole number of at least 1, got -1"),
        ({"batch_size": True}, TypeError, "batch_size must be a whole number of at least 1, got True"),
        ({"lr": 0}, ValueError, "lr must be a finite number above 0, got 0"),
        ({"lr": "fast"}, TypeError, "lr must be a finite number above 0, got 'fast'"),
        ({"beta": -0.5}, ValueError, "beta must be a finite number of at least 0, got -0.5"),
        ({"beta": np.nan}, ValueError, "beta must be a finite number of at least 0, got nan"),
        ({"likelihood": "poisson"}, ValueError, "likelihood must be one of .*'gaussian'.*, got 'poisson'"),
        (
            {"dtype": "float16"},
            ValueError,
            r"dtype must be one of \['auto', 'float32', 'bfloat16'\], got 'float16'",
        ),
        ({"device": "toaster"}, ValueError, "device must be 'auto'.* got 'toaster'"),
    ],
)
@both_vaes
def test_bad_parameters(vae, parameters, error, text):
    with pytest.raises(error, match=text):
        clone(vae).set_params(**parameters).fit(SOME)


@pytest.mark.parametrize(
    ("sizes", "error", "text"),
    [
        (256, TypeError, r"hidden_layer_sizes must be a sequence of .* such as \(256,\), got 256"),
        (
            (64, 0),
            ValueError,
            "every entry of hidden_layer_sizes must be a whole number of at least 1, got 0",
        ),
    ],
)
def test_bad_hidden_sizes(sizes, error, text):
    with pytest.raises(error, match=text):
        VAE(hidden_layer_sizes=sizes).fit(SOME)


def test_a_diverging_fit_says_so():
    with pytest.raises(ValueError, match=r"The loss is (nan|inf) after epoch 1 with lr=1e\+30.*Lower lr"):
        VAE(lr=1e30, random_state=0).fit(DIGITS)
