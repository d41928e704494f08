"""Wrong data and parameters: refused by an error that says what would do, before a label is bought."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator

from skalss import (
    AdaptiveLatentSampler,
    MaxCost,
    MaxFailures,
    MaxRounds,
    PredictionsAgree,
    ScoreReached,
    TaskNet,
)
from skalss.latent import VAE, LinearLatent
from skalss.nets import LeNet, net_classifier, net_regressor
from skalss.oracles import BaseOracle, FunctionOracle
from skalss.strategies import InterpolationStrategy, NearestNeighborStrategy, UncertaintyStrategy

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:60], DIGITS_Y[:60]


def make_sampler(**params):
    defaults = {
        "estimator": net_classifier(max_epochs=2),
        "latent_model": LinearLatent(4),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 30,
        "random_state": 0,
    }
    return AdaptiveLatentSampler(**{**defaults, **params})


class Counting(BaseOracle):
    """Counts what is bought of it."""

    def __init__(self):
        self.n_asked = 0

    def label(self, X, ids):
        self.n_asked += len(ids)
        return [(id_, int(Y[id_])) for id_ in ids]


def changed(index, value):
    rows = X.copy()
    rows[index] = value
    return rows


BAD_X = {
    "NaN": (changed((3, 3), np.nan), ValueError, "Input X contains NaN"),
    "infinity": (changed((3, 3), np.inf), ValueError, "Input X contains infinity"),
    "no rows": (X[:0], ValueError, r"Found array with 0 sample\(s\)"),
    "no features": (X[:, :0], ValueError, r"Found array with 0 feature\(s\)"),
    "1-D": (X[:, 0], ValueError, "Expected 2D array, got 1D array instead"),
    "text": (X.astype(str), (ValueError, TypeError), "numeric|str"),
    "complex": (X.astype(complex), ValueError, "Complex data not supported"),
    "objects": (np.full((60, 2), {}, dtype=object), (ValueError, TypeError), "dict|convert|number"),
}


@pytest.mark.parametrize(("bad", "error", "message"), BAD_X.values(), ids=BAD_X)
def test_rows(bad, error, message):
    oracle = Counting()
    with pytest.raises(error, match=message):
        make_sampler(oracle=oracle).fit(bad)
    with pytest.raises(error, match=message):
        make_sampler().fit(bad, np.resize(Y, len(bad)))
    assert oracle.n_asked == 0
    fitted = make_sampler().fit(X, Y)
    with pytest.raises((ValueError, TypeError)):
        fitted.predict(bad)


def test_rows_of_another_width_in_predict():
    fitted = make_sampler().fit(X, Y)
    for method in ("predict", "predict_proba"):
        with pytest.raises(ValueError, match="X has 63 features, but AdaptiveLatentSampler is expecting 64"):
            getattr(fitted, method)(X[:, :63])


def test_images_of_another_size_in_predict():
    images = X.reshape(60, 1, 8, 8)
    fitted = make_sampler(estimator=net_classifier(LeNet, max_epochs=2)).fit(images, Y)
    with pytest.raises(ValueError, match=r"\(1, 8, 6\)"):
        fitted.predict(images[..., :6])


BAD_Y = {
    "none": (None, ValueError, "requires y to be passed, but the target y is None.*or set oracle="),
    "short": (Y[:-1], ValueError, r"inconsistent numbers of samples: \[60, 59\]"),
    "two columns": (np.stack([Y, Y], axis=1), ValueError, "0 and 1, one column for each class, got"),
    "continuous": (Y + 0.5, ValueError, "Unknown label type: .?continuous.* pass a regressor as estimator"),
    "NaN": (np.where(np.arange(60) == 3, np.nan, Y), ValueError, "y is the answer key.*1 of 60 are missing"),
}


@pytest.mark.parametrize(("bad", "error", "message"), BAD_Y.values(), ids=BAD_Y)
def test_labels(bad, error, message):
    with pytest.raises(error, match=message):
        make_sampler().fit(X, bad)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.where(np.arange(60) == 3, np.inf, Y), "Input y contains infinity"),
        (np.array([f"d{i}" for i in Y]), "could not convert string to float|must be a number|dtype"),
    ],
)
def test_regression_targets(bad, message):
    with pytest.raises(ValueError, match=message):
        make_sampler(estimator=net_regressor(max_epochs=2)).fit(X, bad)


def test_a_label_of_the_key_outside_classes():
    with pytest.raises(ValueError, match=r"The label .*5.* is outside classes: \[0, 1, 2, 3, 4\]"):
        make_sampler(classes=range(5)).fit(X, Y)


BAD_PARAMETERS = {
    **{
        f"{name}={value!r}": (
            {name: value},
            error,
            rf"{name} must be a whole number of at least 1.* got {value!r}",
        )
        for name, value, error in [
            ("n_initial", 0, ValueError),
            ("n_initial", "7", TypeError),
            ("n_per_round", -3, ValueError),
            ("n_per_round", 2.5, TypeError),
            ("max_labels", 0, ValueError),
            ("max_labels", True, TypeError),
        ]
    },
    "max_labels=None": ({"max_labels": None}, TypeError, "max_labels must be a whole number.* got None"),
    "stop": ({"stop": "max_rounds"}, TypeError, "stop must be a stopping rule or several.*got 'max_rounds'"),
    "stop, a class": ({"stop": MaxRounds}, TypeError, "stop must be a stopping rule or several of them.*got"),
    "stop, a number": (
        {"stop": [3]},
        TypeError,
        r"stop must be a stopping rule or several of them, such as MaxRounds\(8\), got 3",
    ),
    "stop, a class among them": ({"stop": [MaxRounds]}, TypeError, "stop must be a stopping rule"),
    **{
        f"stop={rule!r}": ({"stop": rule}, error, message)
        for rule, error, message in [
            (MaxRounds(0), ValueError, "max_rounds must be a whole number of at least 1.* got 0"),
            (MaxRounds(2.5), TypeError, "max_rounds must be a whole number of at least 1.* got 2.5"),
            (MaxFailures(-1), ValueError, "max_failures must be a whole number of at least 0, got -1"),
            (MaxFailures(1.5), TypeError, "max_failures must be .* got 1.5"),
            (MaxCost(0), ValueError, "max_cost must be a finite number above 0, got 0"),
            (MaxCost("9"), TypeError, "max_cost must be a finite number above 0, got '9'"),
            (ScoreReached(None), TypeError, "score must be a finite number, got None"),
            (
                ScoreReached(0.9),
                ValueError,
                r"ScoreReached\(score=0.9\) needs held-out rows.*X_val and y_val",
            ),
            (PredictionsAgree(0), ValueError, r"agreement must lie in \(0, 1\], got 0.*such as 0.99"),
            (PredictionsAgree(99), ValueError, r"agreement must lie in \(0, 1\], got 99"),
            (PredictionsAgree("kappa"), TypeError, "agreement must be a finite number, got 'kappa'"),
            (
                PredictionsAgree(0.9, n_rounds=0),
                ValueError,
                "n_rounds must be a whole number of at least 1",
            ),
        ]
    },
    **{
        f"control_share={value!r}": (
            {"control_share": value},
            error,
            f"control_share must {text}.* got {value}",
        )
        for value, error, text in [
            (1.0, ValueError, r"lie in \[0, 1\)"),
            (-0.1, ValueError, r"lie in \[0, 1\)"),
            (float("nan"), ValueError, "be a finite number"),
            (None, TypeError, "be a finite number"),
            (True, TypeError, "be a finite number"),
        ]
    },
    "control_share says what would do": (
        {"control_share": 10},
        ValueError,
        "such as 0.1, or 0 for none; for random rows alone set strategy='random'",
    ),
    "train_on": (
        {"train_on": "pixels"},
        ValueError,
        r"train_on must be one of \['original', 'decoded', 'both'\], got 'pixels'",
    ),
    "initial": ({"initial": "mms"}, ValueError, "initial must be one of .*'kmeans'.* got 'mms'"),
    "strategy": ({"strategy": "bald"}, ValueError, r"strategy must be one of \['auto', .* got 'bald'"),
    "strategy class": ({"strategy": NearestNeighborStrategy}, TypeError, "or a BaseStrategy object, got"),
    "step": (
        {"strategy": NearestNeighborStrategy(step=0)},
        ValueError,
        "step must be a finite number above 0, got 0",
    ),
    "n_steps": ({"strategy": InterpolationStrategy(n_steps=0)}, ValueError, "n_steps must be a whole number"),
    "score": ({"strategy": UncertaintyStrategy("bald")}, ValueError, "score must be one of"),
    "device": (
        {"estimator": TaskNet(device="gpu0")},
        ValueError,
        "device must be 'auto', a torch device or its name .* got 'gpu0'",
    ),
    "a forest has no features": (
        {"estimator": RandomForestClassifier(), "strategy": "badge"},
        ValueError,
        r"BadgeStrategy\(\) needs the input of a last linear layer, which .*RandomForest.* Choose",
    ),
    "a forest has no gradients": (
        {"estimator": RandomForestClassifier(), "strategy": "snn"},
        ValueError,
        "needs gradients of the loss, which",
    ),
    "estimator module": ({"estimator": LeNet()}, TypeError, "estimator must be a skorch.*LeNet"),
    "estimator transformer": ({"estimator": PCA()}, TypeError, "estimator must be a skorch.*PCA"),
    "narrow net": (
        {"estimator": net_classifier(module__output_dim=2), "classes": range(10)},
        ValueError,
        "10 classes need width 10",
    ),
    "narrow net in a TaskNet": (
        {"estimator": TaskNet(net_classifier(module__output_dim=2)), "classes": range(10)},
        ValueError,
        "10 classes need width 10",
    ),
    "latent model without decode": (
        {"latent_model": PCA(4), "strategy": "snn"},
        ValueError,
        r"NearestNeighborStrategy\(\) decodes codes. PCA\(n_components=4\) has no decoder. Use a strategy",
    ),
    "latent model by name": ({"latent_model": "vae"}, TypeError, "latent_model"),
    "latent model frozen too soon": ({"latent_model": FrozenEstimator(VAE())}, ValueError, "fitted"),
    "scoring": ({"scoring": "acuracy"}, ValueError, "acuracy"),
    "random_state": ({"random_state": "seed"}, ValueError, "'seed' cannot be used to seed"),
    "oracle": ({"oracle": 3}, TypeError, "oracle must be a BaseOracle, a callable or None, got 3"),
    "si with a lookup": ({"strategy": "si"}, ValueError, "labels of generated points"),
    "one class named": ({"classes": "cat"}, (ValueError, TypeError), "classes"),
}


@pytest.mark.parametrize(("params", "error", "message"), BAD_PARAMETERS.values(), ids=BAD_PARAMETERS)
def test_parameters(params, error, message):
    oracle = Counting()
    with pytest.raises(error, match=message):
        make_sampler(**{"oracle": oracle, **params}).fit(X)
    assert oracle.n_asked == 0, "labels were bought before the error"


BAD_FIT = {
    "X_val alone": ({"X_val": X}, "fit got X_val without y_val; pass both, or neither"),
    "y_val alone": ({"y_val": Y}, "fit got y_val without X_val; pass both, or neither"),
    "X_val and y_val differ": ({"X_val": X, "y_val": Y[:5]}, "inconsistent numbers of samples"),
    "X_val of another width": ({"X_val": X[:, :9], "y_val": Y}, "X has 9 features, but .* expecting 64"),
    "sample_id too short": ({"sample_id": np.arange(59)}, "sample_id has 59 entries, X has 60 rows"),
    "sample_id twice": (
        {"sample_id": [0, 0, *range(2, 60)]},
        "a different id for each row, got .*0.* or twice",
    ),
    "sample_id missing": ({"sample_id": [None, *range(1, 60)]}, "a different id for each row.*missing"),
    "labeled as rows": (
        {"labeled": np.arange(5)},
        r"bool mask of shape \(60,\).*got dtype int64 and shape \(5,\).*np.isin",
    ),
    "labeled as 0 and 1": (
        {"labeled": np.zeros(60, dtype=int)},
        "labeled must be a bool mask.*got dtype int64",
    ),
    "labeled too short": ({"labeled": np.zeros(59, dtype=bool)}, r"got dtype bool and shape \(59,\)"),
    "labeled without y": (
        {"labeled": np.ones(60, dtype=bool)},
        "labeled marks rows whose y is missing; pass their labels in y, or unmark them",
    ),
    "labeled where y is missing": (
        {"labeled": np.arange(60) < 5, "y": np.where(np.arange(60) < 4, Y, np.nan)},
        "labeled marks rows whose y is missing",
    ),
    "known labels outside classes": (
        {"y": pd.Series([99] + [None] * 59, dtype=object)},
        "The label 99 is outside classes",
    ),
    "known labels too few": ({"y": Y[:20]}, "inconsistent numbers of samples"),
    "known labels continuous": ({"y": np.where(np.arange(60) < 9, Y + 0.5, np.nan)}, "Unknown label type"),
}


@pytest.mark.parametrize(("params", "message"), BAD_FIT.values(), ids=BAD_FIT)
def test_fit_parameters(params, message):
    oracle = Counting()
    y = params.get("y")
    rest = {name: value for name, value in params.items() if name != "y"}
    with pytest.raises((ValueError, TypeError), match=message):
        make_sampler(oracle=oracle, classes=range(10)).fit(X, y, **rest)
    assert oracle.n_asked == 0, "labels were bought before the error"


@pytest.mark.parametrize("n_rows", [1, 2, 5])
@pytest.mark.parametrize("strategy", ["snn", "random", "entropy"])
def test_a_tiny_pool_is_no_error(n_rows, strategy):
    fitted = make_sampler(strategy=strategy, n_initial=1, n_per_round=1).fit(X[:n_rows], Y[:n_rows])
    assert fitted.n_labels_ == n_rows
    assert fitted.stop_reason_ == "pool exhausted"
    assert fitted.predict(X).shape == (60,)


@pytest.mark.parametrize("constant", [0.0, 7.0])
@pytest.mark.parametrize("strategy", ["snn", "entropy"])
def test_identical_rows_are_no_error(constant, strategy):
    fitted = make_sampler(strategy=strategy).fit(np.full((60, 5), constant), Y)
    assert fitted.n_labels_ == 30
    assert np.isfinite(fitted.predict_proba(np.zeros((3, 5)))).all()


def test_constant_targets_are_no_error():
    fitted = make_sampler(estimator=net_regressor(max_epochs=2)).fit(X, np.full(60, 3.5))
    np.testing.assert_allclose(fitted.predict(X), 3.5, atol=2)


@pytest.mark.parametrize("frame", [False, True])
def test_extra_columns_of_numbers_as_objects_pass(frame):
    rows = X.astype(object)
    rows = pd.DataFrame(rows) if frame else rows
    assert make_sampler(strategy="random").fit(rows, Y).n_labels_ == 30


@pytest.mark.parametrize("factor", [1e25, 1e150, 1e300])
@pytest.mark.parametrize("what", ["X", "y"])
def test_numbers_beyond_the_range_of_the_network(what, factor):
    data = {"X": X, "y": Y / 10}
    data[what] = data[what] * factor
    with pytest.raises(ValueError, match=rf"{what} must hold values between -1e\+19 and 1e\+19"):
        make_sampler(estimator=net_regressor(max_epochs=2)).fit(data["X"], data["y"])
    fitted = make_sampler(estimator=net_regressor(max_epochs=2)).fit(X, Y)
    with pytest.raises(ValueError, match="must hold values between"):
        fitted.score(data["X"], data["y"])


def test_numbers_within_the_range_of_the_network():
    fitted = make_sampler(estimator=net_regressor(max_epochs=2)).fit(X * 1e16, Y * 1e16)
    assert np.isfinite(fitted.predict(X * 1e16)).all()


@pytest.mark.parametrize("shape", [(60, 0, 8, 8), (60, 1, 0, 8)])
def test_images_without_a_value(shape):
    with pytest.raises(ValueError, match=r"X has rows of shape .* which hold no value|0 feature"):
        make_sampler().fit(np.zeros(shape), Y)


def test_small_integers_of_numpy_are_as_good_as_others():
    known = {"y": Y, "labeled": np.arange(60) < 20}  # more than n_initial: the difference is below 0
    rounds = []
    for kind in (int, np.uint8):
        sizes = {"n_initial": kind(10), "n_per_round": kind(5), "max_labels": kind(15)}
        fitted = make_sampler(strategy="random", oracle=Counting(), control_share=0.4, **sizes).fit(
            X, **known
        )
        rounds.append(fitted.queries_[["round", "id"]])
    pd.testing.assert_frame_equal(*rounds)


def test_a_setting_that_cannot_be_copied_is_named():
    with pytest.raises(TypeError, match="scoring must be something that can be copied, got <generator"):
        make_sampler(scoring=(score for score in ["accuracy"])).fit(X, Y)


def test_a_limit_below_the_first_price_is_named():
    oracle = FunctionOracle(lambda rows: [0] * len(rows), cost=3.0)
    with pytest.raises(ValueError, match="the campaign ended by 'max_cost' before one was bought"):
        make_sampler(oracle=oracle, stop=MaxCost(2.0)).fit(X)
