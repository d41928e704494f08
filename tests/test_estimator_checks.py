"""Every check of scikit-learn, none of them expected to fail. Latent models are checked in tests/latent."""

import numpy as np
import pytest
import sklearn
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from sklearn.utils.fixes import parse_version
from skorch import NeuralNetBinaryClassifier

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.latent import VAE, LinearLatent
from skalss.nets import MLP, net_classifier, net_regressor
from skalss.selective import SelectiveNetBinaryClassifier, SelectiveNetClassifier
from skalss.strategies import STRATEGIES


def _selective_net(selector, kind=SelectiveNetClassifier, criterion=torch.nn.CrossEntropyLoss):
    return kind(
        MLP,
        selector=selector,
        criterion=criterion,
        optimizer=torch.optim.Adam,
        lr=2e-2,
        batch_size=32,
        max_epochs=8,
        train_split=None,
    )


def _binary_net():
    return NeuralNetBinaryClassifier(MLP, optimizer=torch.optim.Adam, lr=2e-2, batch_size=32, max_epochs=8)


SHORT = {"lr": 3e-2, "max_epochs": 8}  # the defaults, which train longer, are checked on their own
CLASSIFIERS = [
    AdaptiveLatentSampler(),
    AdaptiveLatentSampler(net_classifier(**SHORT), LinearLatent()),
    TaskNet(),
    TaskNet(_selective_net("mms")),
    TaskNet(_selective_net("prune")),
    AdaptiveLatentSampler(RandomForestClassifier(10), LinearLatent()),
    TaskNet(_binary_net()),
    TaskNet(_selective_net("mms", SelectiveNetBinaryClassifier, torch.nn.BCEWithLogitsLoss)),
    AdaptiveLatentSampler(TaskNet(_binary_net()), LinearLatent()),
]
REGRESSORS = [
    AdaptiveLatentSampler(net_regressor(**SHORT), LinearLatent()),
    TaskNet(net_regressor(**SHORT)),
    AdaptiveLatentSampler(Ridge(), LinearLatent()),
]
# The repr of a set differs between processes, and test workers must agree on the names of tests.
IDS = [
    "sampler",
    "sampler of a classifier",
    "TaskNet",
    "TaskNet that chooses rows",
    "TaskNet that prunes rows",
    "sampler of a forest",
    "TaskNet of a binary net",
    "TaskNet of a binary net that chooses rows",
    "sampler of a binary net",
    "sampler of a regressor",
    "TaskNet of a regressor",
    "sampler of ridge regression",
]

# What scikit-learn asks of a classifier or regressor and of no other estimator, in every version we serve.
ONLY_CLASSIFIERS = {
    "check_classifier_data_not_an_array",
    "check_classifiers_classes",
    "check_classifiers_one_label",
    "check_classifiers_regression_target",
    "check_classifiers_train",
    "check_estimators_unfitted",
    "check_requires_y_none",
    "check_supervised_y_no_nan",
}
WEIGHED = {"check_class_weight_classifiers"}  # of an estimator with `class_weight`
ONLY_REGRESSORS = {
    "check_regressor_data_not_an_array",
    "check_regressors_int",
    "check_regressors_no_decision_function",
    "check_regressors_train",
    "check_requires_y_none",
    "check_supervised_y_no_nan",
}


@parametrize_with_checks(CLASSIFIERS + REGRESSORS)
def test_estimator_check(estimator, check, monkeypatch):
    monkeypatch.setattr("skalss.network.epochs.MIN_ROWS", 64)  # short epochs of pseudo-labelled rows
    check(estimator)  # a skip shows up as one; the test below allows none


class _ScalerToArrays(StandardScaler, auto_wrap_output_keys=None):
    """What the checks themselves scale with, some of which go on with ``X.tolist()`` or ``X[:, :-1]``."""

    def fit_transform(self, X):
        return np.asarray(super().fit_transform(X))


# They take a second together; the others do the same in many more.
QUICK = [CLASSIFIERS[2], REGRESSORS[2]]
BY_NAME = [
    AdaptiveLatentSampler(net(**SHORT), LinearLatent(), name)
    for net, task in [(net_classifier, "classification"), (net_regressor, "regression")]
    for name, make in STRATEGIES.items()
    if task in make().tasks and not make().generates_points
]
OTHERS = [e for e in CLASSIFIERS + REGRESSORS if e not in QUICK] + [LinearLatent(3), VAE(4, max_epochs=5)]


@pytest.mark.parametrize(
    "estimator",
    [*QUICK, *(pytest.param(e, marks=pytest.mark.slow) for e in OTHERS + BY_NAME)],
    ids=lambda e: f"{type(e).__name__} {getattr(e, 'strategy', '')}",
)
def test_estimator_checks_with_pandas_output_and_metadata_routing(estimator, monkeypatch):
    monkeypatch.setattr("skalss.network.epochs.MIN_ROWS", 64)
    monkeypatch.setattr("sklearn.utils.estimator_checks.StandardScaler", _ScalerToArrays)
    with sklearn.config_context(transform_output="pandas", enable_metadata_routing=True):
        for made, check in _checks(estimator):
            check(made)


def _checks(estimator):
    return list(estimator_checks_generator(estimator, mark=None))


def _name(check):
    return getattr(check, "func", check).__name__


@pytest.mark.parametrize(
    ("estimator", "expected", "at_least"),
    [(e, ONLY_CLASSIFIERS, 55) for e in CLASSIFIERS] + [(e, ONLY_REGRESSORS, 52) for e in REGRESSORS],
    ids=IDS,
)
def test_no_check_is_missing(estimator, expected, at_least):
    """With the wrong tags fewer checks run, and all of them pass."""
    checks = _checks(estimator)
    weighed = expected == ONLY_CLASSIFIERS and "class_weight" in estimator.get_params(deep=False)
    assert {_name(check) for _, check in checks} >= expected | (WEIGHED if weighed else set())
    if parse_version(sklearn.__version__) >= parse_version("1.9"):
        assert len(checks) >= at_least


@pytest.mark.parametrize("estimator", [CLASSIFIERS[0], REGRESSORS[0]], ids=["classifier", "regressor"])
def test_the_check_that_needs_the_array_api_is_not_skipped(estimator):
    """It is the one that skips itself without SCIPY_ARRAY_API=1, which conftest.py sets."""
    found = [check for e, check in _checks(estimator) if "array_api" in _name(check)]
    for check in found:
        check(estimator)  # raises SkipTest where it would be skipped
    if parse_version(sklearn.__version__) >= parse_version("1.9"):
        assert found


@pytest.mark.parametrize("estimator", CLASSIFIERS + REGRESSORS, ids=IDS)
def test_tags_follow_the_net(estimator):
    tags = get_tags(estimator)
    kind = "classifier" if estimator in CLASSIFIERS else "regressor"
    assert tags.estimator_type == kind
    assert tags.target_tags.required
    assert (tags.classifier_tags is None) == (kind == "regressor")
    assert (tags.regressor_tags is None) == (kind == "classifier")
    assert not tags.no_validation
    assert not tags.non_deterministic
    assert not tags._skip_test  # scikit-learn's name


def test_an_oracle_makes_y_optional():
    assert not get_tags(AdaptiveLatentSampler(oracle=len)).target_tags.required


def test_a_sampler_around_a_task_net_keeps_its_type():
    assert get_tags(AdaptiveLatentSampler(TaskNet(net_regressor()))).estimator_type == "regressor"
    assert get_tags(AdaptiveLatentSampler(TaskNet())).estimator_type == "classifier"
