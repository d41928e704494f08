"""What a caller has set for the thread or the process changes no result, and nothing of it is changed."""

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import joblib
import numpy as np
import pytest
import sklearn
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.display import LatentSpaceDisplay
from skalss.latent import VAE, LevelSetLatent, LinearLatent
from skalss.nets import MLP, net_classifier, net_regressor
from skalss.oracles import FunctionOracle
from skalss.selective import SelectiveNetClassifier
from skalss.strategies import InterpolationStrategy
from skalss.utils.surroundings import ignoring

from .sampling import X, Y, label_of


@contextmanager
def _set(setter, value, before):
    setter(value)
    try:
        yield
    finally:
        setter(before)


@contextmanager
def _numpy_raises():
    before = np.seterr(all="raise")
    try:
        yield
    finally:
        np.seterr(**before)


SETTINGS = {
    "default device": lambda: _set(torch.set_default_device, "meta", None),
    "default dtype": lambda: _set(torch.set_default_dtype, torch.float64, torch.float32),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "deterministic": lambda: _set(torch.use_deterministic_algorithms, True, False),
    "NumPy raises": _numpy_raises,
    "pandas output": lambda: sklearn.config_context(transform_output="pandas"),
    "array API": lambda: sklearn.config_context(array_api_dispatch=True),
    "metadata routing": lambda: sklearn.config_context(enable_metadata_routing=True),
    "other settings of scikit-learn": lambda: sklearn.config_context(
        assume_finite=True, working_memory=1, print_changed_only=False, skip_parameter_validation=True
    ),
}


def _sampled(estimator, y=Y, **settings):
    settings = {"n_initial": 20, "n_per_round": 15, "max_labels": 50, "random_state": 0, **settings}
    made = AdaptiveLatentSampler(estimator, **settings).fit(X, y)
    return np.hstack([made.labeled_indices_, np.ravel(made.predict(X)).astype(float)])


def _net():
    return net_classifier(max_epochs=3)


def _selective(selector="mms"):
    net = SelectiveNetClassifier(
        MLP, selector=selector, criterion=torch.nn.CrossEntropyLoss, max_epochs=3, batch_size=16, lr=0.05
    )
    return TaskNet(net, random_state=0).fit(X, Y).predict_proba(X)


def _made_points():
    """Points of a warm-started network, and of a committee on edited rows."""
    oracle = FunctionOracle(lambda rows: np.asarray(rows)[:, 20].astype(float))
    edits = InterpolationStrategy(climb="disagreement", residual=True, n_candidates=30, n_members=2)
    settings = {"n_initial": 20, "n_per_round": 10, "max_labels": 40, "oracle": oracle, "random_state": 0}
    latent = LevelSetLatent(3, image_shape=(1, 8, 8))
    edited = AdaptiveLatentSampler(net_regressor(max_epochs=2), latent, edits, **settings).fit(X)
    paper = AdaptiveLatentSampler.paper(
        "si", estimator=net_regressor(max_epochs=2), latent_model=LinearLatent(3), **settings
    ).fit(X)
    return np.vstack([edited.X_generated_, paper.X_generated_])


def _plane():
    fitted = AdaptiveLatentSampler(_net(), LinearLatent(4), initial="kmeans", max_labels=20, random_state=0)
    return LatentSpaceDisplay.from_estimator(fitted.fit(X, Y), X).pool


QUICK = {
    "auto": lambda: _sampled(_net(), latent_model=LinearLatent(4), pseudo_labels="spread"),
    "VAE": lambda: _sampled(_net(), latent_model=VAE(3, max_epochs=2), strategy="snn", train_on="both"),
    "values": lambda: _sampled(net_regressor(max_epochs=2), X[:, 20].astype(float)),
    "chosen rows": _selective,
}
NAMES = "mms margin entropy least_confident badge coreset kmeans typical committee random"
SLOW = {
    "forest": lambda: _sampled(RandomForestClassifier(5), latent_model=LinearLatent(4)),
    "made points": _made_points,
    "plane": _plane,
    **{s: partial(_selective, s) for s in ("prune", "loss", "hard_negatives", "random")},
    **{
        f"{name} rows": partial(_sampled, _net(), strategy=name, latent_model=LinearLatent(4))
        for name in NAMES.split()
    },
}
ALL = {**QUICK, **SLOW}


@pytest.fixture(scope="module")
def usual():
    """Results with nothing set, each computed once."""
    known = {}
    return lambda name: known.setdefault(name, ALL[name]()) if name not in known else known[name]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
def test_results_do_not_depend_on_settings(name, setting, usual):
    expected = usual(name)
    with SETTINGS[setting]():
        found = ALL[name]()
    np.testing.assert_array_equal(found, expected)


# -- threads ------------------------------------------------------------------------------------------


def _fits():
    return [
        lambda: TaskNet(_net(), random_state=3).fit(X, Y).predict_proba(X),
        lambda: VAE(3, max_epochs=2, random_state=3).fit(X).encode_rows(X),
        lambda: _sampled(_net(), latent_model=LinearLatent(4)),
    ]


def _in_threads(functions):
    with ThreadPoolExecutor(4) as pool:
        return [future.result(timeout=120) for future in [pool.submit(f) for f in functions]]


def test_fits_in_threads_do_not_mind_a_thread_that_seeds_torch():
    alone, over = [fit() for fit in _fits()], threading.Event()

    def seed_all_the_time():
        while not over.wait(0.0003):
            torch.manual_seed(0)
            np.random.seed(0)  # noqa: NPY002

    other = threading.Thread(target=seed_all_the_time)
    other.start()
    try:
        together = _in_threads(_fits() * 3)
    finally:
        over.set()
        other.join()
    for found, expected in zip(together, alone * 3, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_grid_search_in_threads():
    grid = GridSearchCV(TaskNet(_net(), random_state=0), {"min_epoch_rows": [None, 90]}, cv=2)
    alone = grid.fit(X, Y % 2).cv_results_["mean_test_score"]
    with joblib.parallel_config("threading", n_jobs=3):
        together = grid.fit(X, Y % 2).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(together, alone)


def test_an_oracle_may_fit_in_threads():
    def function(rows):
        _in_threads([lambda: TaskNet(_net(), random_state=0).fit(X, Y)] * 2)
        return label_of(rows)

    made = AdaptiveLatentSampler(
        _net(), LinearLatent(4), oracle=function, n_initial=10, n_per_round=10, max_labels=20, random_state=0
    )
    assert made.fit(X).n_labels_ == 20


def test_threads_share_a_fitted_network():
    net = TaskNet(_net(), random_state=0).fit(X, Y)
    rows = [np.repeat(X[i : i + 1], 400, axis=0) for i in range(12)]
    for features, row in zip(_in_threads([lambda r=r: net.features(r) for r in rows]), rows, strict=True):
        np.testing.assert_array_equal(features, net.features(row))


class Breaks(torch.nn.Module):
    """Draws, and then raises, once it is trained."""

    def __init__(self, output_dim=10):
        super().__init__()
        self.head = torch.nn.Linear(64, output_dim)

    def forward(self, X):
        if self.training:
            torch.rand(3)
            raise ArithmeticError("in training")
        return self.head(X)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_callers_generators_and_settings_stay_when_a_fit_raises(dtype):
    with _set(torch.set_default_dtype, dtype, torch.float32):
        before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        with pytest.raises(ArithmeticError):
            TaskNet(net_classifier(Breaks), random_state=0).fit(X, Y)
        assert torch.equal(torch.get_rng_state(), before)
        np.testing.assert_array_equal(np.random.get_state()[1], numpys)  # noqa: NPY002
        assert torch.get_default_dtype() == dtype
    TaskNet(_net(), random_state=0).fit(X[:20], Y[:20])  # nobody holds a lock any more


def test_filters_of_warnings_stay_whatever_threads_do():
    before, inside = list(warnings.filters), threading.Event()

    def ignore(seconds):
        with ignoring(ConvergenceWarning):
            inside.set()
            time.sleep(seconds)

    other = threading.Thread(target=ignore, args=[0.05])
    other.start()
    inside.wait()
    ignore(0.1)  # without turns, this would put back what the other had set
    other.join()
    assert warnings.filters == before
