"""What a campaign asks of whatever it trains: the same of a network and of an estimator of scikit-learn."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skalss import TaskNet
from skalss.nets import MLP, net_classifier, net_regressor
from skalss.network import SklearnModel, check_task_model, make_task_model
from skalss.targets import Classes, Values

from .nets import X_REG, Y_REG, Y_TWO, X, Y, binary_net

FAST = {"max_epochs": 3}
HEADLESS = nn.Sequential(nn.Unflatten(1, (5, 1)), nn.Conv1d(5, 3, 1), nn.Flatten())
EVERYTHING = {"logits", "features", "gradient", "gradients"}
CASES = {
    "net": (net_classifier(**FAST), X, Y, EVERYTHING),
    "net with text": (net_classifier(**FAST), X, np.array(["b", "a", "c"])[Y], EVERYTHING),
    "net without a last layer": (net_classifier(HEADLESS, **FAST), X, Y, EVERYTHING - {"features"}),
    "binary net": (binary_net(max_epochs=3), X, Y_TWO, EVERYTHING),
    "net of values": (net_regressor(**FAST), X_REG, Y_REG, EVERYTHING),
    "forest": (RandomForestClassifier(5), X, Y, {"logits"}),
    "forest with text": (RandomForestClassifier(5), X, np.array(["b", "a", "c"])[Y], {"logits"}),
    "pipeline": (make_pipeline(StandardScaler(), LogisticRegression()), X, Y, {"logits"}),
    "no probabilities": (RidgeClassifier(), X, Y, set()),
    "forest of values": (RandomForestRegressor(5), X_REG, Y_REG, set()),
    "ridge": (Ridge(), X_REG, Y_REG, set()),
}


each = pytest.mark.parametrize("name", CASES)


def target_of(y):
    return Values() if y is Y_REG else Classes(np.unique(y))


def make(name, random_state=0):
    return make_task_model(CASES[name][0]).set_params(random_state=random_state)


@pytest.fixture(scope="module")
def fitted():
    """Return a function that fits a model once; tests must not train it on."""
    made = {}

    def fit(name):
        if name not in made:
            _, X, y, _ = CASES[name]
            made[name] = make(name).fit_rows(X, y, target=target_of(y))
        return made[name]

    return fit


# -- what every model can do ----------------------------------------------------------------------


@each
def test_abilities_are_known_before_anything_is_trained(name, fitted):
    _, X, y, abilities = CASES[name]
    model = make(name)
    before = set(vars(model))
    assert model.rehearse(X[:30], y[:30], target_of(y)).abilities == abilities
    assert set(vars(model)) == before
    assert fitted(name).abilities == abilities


@each
def test_predictions_are_labels_and_scored_by_the_metric(name, fitted):
    _, X, y, _ = CASES[name]
    model = fitted(name)
    predicted = model.predict(X)
    assert predicted.shape == y.shape
    assert y is Y_REG or set(predicted) <= set(y)
    metric, other, weight = r2_score if y is Y_REG else accuracy_score, np.roll(y, 7), np.arange(len(y))
    assert model.score(X, other) == pytest.approx(metric(other, predicted))
    expected = metric(other, predicted, sample_weight=weight)
    assert model.score(X, other, sample_weight=weight) == pytest.approx(expected)


@each
def test_the_target_is_that_of_the_campaign(name, fitted):
    y = CASES[name][2]
    model = fitted(name)
    assert type(model.target_) is type(target_of(y))
    assert hasattr(model, "classes_") == (y is not Y_REG)
    if y is not Y_REG:
        assert model.classes_.tolist() == np.unique(y).tolist()


@each
def test_the_seed_decides_and_global_generators_are_left_alone(name):
    _, X, y, _ = CASES[name]
    predicted = []
    for number in (1, 2):
        np.random.seed(number)  # noqa: NPY002 - the legacy generator is what must not move
        torch.manual_seed(number)
        before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
        predicted.append(make(name, random_state=5).fit_rows(X, y, target=target_of(y)).predict(X))
        np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
        assert torch.equal(torch.get_rng_state(), before[1])
    np.testing.assert_array_equal(*predicted)


@each
def test_the_users_estimator_is_not_changed(name, fitted):
    estimator = CASES[name][0]
    fitted(name)
    assert set(vars(estimator)) == set(vars(clone(estimator)))
    assert estimator.get_params().get("random_state") is None


@each
def test_copies(name, fitted):
    X, model = CASES[name][1], fitted(name)
    with pytest.raises(NotFittedError):
        clone(model).predict(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


@each
def test_one_label_is_enough(name):
    _, X, y, _ = CASES[name]
    model = make(name).fit_rows(X[:1], y[:1], target=target_of(y))
    if y is Y_REG:
        np.testing.assert_allclose(model.predict(X[:1]), y[:1], rtol=1e-3)
    else:  # few epochs leave another class a chance
        assert set(model.predict(X)) <= (set(y) if "net" in name else {y[0]})


# -- what it can do where its abilities say so ----------------------------------------------------


@each
def test_methods_are_there_for_the_abilities(name, fitted):
    _, X, y, abilities = CASES[name]
    model = fitted(name)
    if "logits" in abilities:
        logits = model.logits(X)
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()
        if y is not Y_REG:
            np.testing.assert_array_equal(model.classes_[logits.argmax(axis=1)], model.predict(X))
    if "features" in abilities:
        features, logits = model.features_and_logits(X)
        np.testing.assert_array_equal(features, model.features(X))
        np.testing.assert_array_equal(logits, model.logits(X))
        assert model.head_weight().shape[1] == features.shape[1]
    if "gradient" in abilities:
        said = model.predict(X) if y is Y_REG else model.predict_proba(X)
        found = model.forward(torch.as_tensor(X, dtype=torch.float32)).detach().numpy()
        np.testing.assert_allclose(found, said, rtol=1e-4, atol=1e-5)
        gradient, predicted = model.loss_gradient(lambda Z: Z, X[:4], y[:4])
        assert gradient.shape == (4, X.shape[1])
        if y is Y_REG:
            np.testing.assert_allclose(predicted, model.predict(X[:4]), rtol=1e-4)
        else:
            assert predicted.tolist() == model.predict(X[:4]).tolist()


@pytest.mark.parametrize(
    "name", ["net", "net with text", "forest", "forest with text", "pipeline", "no probabilities"]
)
def test_every_class_that_may_come_has_a_probability(name):
    _, X, y, abilities = CASES[name]
    classes = np.unique([*y, *(["z", "aa"] if y.dtype.kind == "U" else [-5, 99])])
    model = make(name).fit_rows(X, y, target=Classes(classes))
    assert model.classes_.tolist() == classes.tolist()
    assert set(model.predict(X)) <= set(classes)
    if "logits" in abilities:
        P = model.predict_proba(X)
        assert P.shape == model.logits(X).shape == (len(X), 5)
        np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(classes[P.argmax(axis=1)], model.predict(X))


@pytest.mark.parametrize("name", ["net", "forest"])
def test_one_class_so_far_leaves_room_for_another(name):
    """Class scores of one column would say nothing of which row is hard, and no strategy takes them."""
    X, ones = CASES[name][1], np.ones(90, dtype=int)
    model = make(name).fit_rows(X, ones, target=Classes())
    assert set(model.predict(X)) == {1}
    assert model.predict_proba(X).shape == (90, 1)
    assert model.logits(X).shape == (90, 2)


@each
def test_only_a_network_has_a_state_to_save(name):
    assert hasattr(make(name), "get_state") == ("net" in name)
    assert make(name).takes_pseudo_labels == ("net" in name)
    assert make(name).warm_start is False


# -- how one is made ------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [None, net_classifier(), TaskNet(net_regressor())], ids=str)
def test_a_net_has_a_task_net(estimator):
    check_task_model(estimator)
    made = make_task_model(estimator)
    assert isinstance(made, TaskNet)
    assert made is not estimator


@pytest.mark.parametrize("estimator", [Ridge(), RandomForestClassifier(), SklearnModel(Ridge())], ids=str)
def test_an_estimator_of_scikit_learn_has_a_model_of_its_own(estimator):
    check_task_model(estimator)
    made = make_task_model(estimator)
    assert isinstance(made, SklearnModel)
    assert made is not estimator
    assert not isinstance(made.estimator, SklearnModel)


@pytest.mark.parametrize(
    "wrong", [PCA(), MLP(5, 3), MLP, RandomForestClassifier, "forest", 3, TaskNet(Ridge())], ids=str
)
def test_what_is_no_classifier_or_regressor_is_refused(wrong):
    with pytest.raises(TypeError, match="estimator must be a skorch NeuralNetClassifier, .* got"):
        check_task_model(wrong)
