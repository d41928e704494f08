"""TaskNet around nets of other kinds, those that do not fit, and what it leaves untouched."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.dataset import ValidSplit
from torch import nn

from skalss import TaskNet
from skalss.nets import MLP, LeNet, net_classifier, net_regressor
from skalss.network.loader import TensorLoader
from skalss.scores import mms
from skalss.selective import (
    HardestRows,
    SelectiveNetBinaryClassifier,
    SelectiveNetClassifier,
    SelectiveNetRegressor,
)

from .nets import DIGITS, DIGITS_Y, FAST, X_REG, Y_REG, Y_TWO, Uneasy, X, Y, binary_net, every_net

# -- the binary net -------------------------------------------------------------------------------


class OneLogit(nn.Module):
    """Returns a vector, as skorch's documentation has it."""

    def __init__(self, input_dim):
        super().__init__()
        self.head = nn.Linear(input_dim, 1)

    def forward(self, X):
        return self.head(X).squeeze(-1)


@pytest.mark.parametrize("module", [MLP, OneLogit])
def test_binary_net_is_consistent(module):
    y = np.array(["no", "yes"])[Y_TWO]
    model = TaskNet(binary_net(module), random_state=0).fit(X, y)
    logits, P = model.logits(X), model.predict_proba(X)
    assert logits.shape == P.shape == (90, 2)
    np.testing.assert_array_equal(logits[:, 0], 0)
    np.testing.assert_allclose(P, torch.from_numpy(logits).softmax(dim=1), atol=1e-5)
    np.testing.assert_array_equal(model.predict(X), model.classes_[logits.argmax(axis=1)])
    # The boundary is where the one logit is 0, at distance |z| / |w| of the features.
    weight = model.head_weight()
    assert weight.shape[0] == 2
    np.testing.assert_array_equal(weight[0], 0)
    scores = mms(torch.from_numpy(logits), torch.from_numpy(weight)).numpy()
    np.testing.assert_allclose(scores, np.abs(logits[:, 1]) / np.linalg.norm(weight[1]), rtol=1e-5)


def test_binary_net_learns():
    net = binary_net(max_epochs=60)
    assert TaskNet(net, random_state=0).fit(X, Y_TWO).score(X, Y_TWO) > 0.9


def test_binary_net_with_three_classes_is_refused():
    with pytest.raises(ValueError, match=r"serves 2 classes, got 3\. Use NeuralNetClassifier"):
        TaskNet(binary_net()).fit(X, Y)


def test_a_binary_net_that_ends_in_a_sigmoid():
    class Sigmoid(nn.Module):
        def __init__(self, input_dim=1, output_dim=1):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(input_dim, output_dim), nn.Sigmoid())

        def forward(self, X):
            return self.layers(X)

    net = NeuralNetBinaryClassifier(Sigmoid, criterion=nn.BCELoss, max_epochs=5, threshold=0.6)
    y = (X[:, 0] > np.median(X[:, 0])).astype(int)
    model = TaskNet(net, random_state=0).fit(X, y)
    predicted = model.predict(X)
    np.testing.assert_array_equal(predicted, model.predict_proba(X)[:, 1] > 0.6)
    _, at_codes = model.loss_gradient(lambda Z: Z, X.astype(np.float32), y)
    np.testing.assert_array_equal(at_codes, predicted)


# -- nets that do not fit the task ----------------------------------------------------------------


def test_logits_into_nll_loss_are_refused():
    net = NeuralNetClassifier(MLP, **FAST)
    with pytest.raises(ValueError, match="NLLLoss takes probabilities.*CrossEntropyLoss.*softmax"):
        TaskNet(net, random_state=0).fit(X, Y)


def test_nll_loss_with_a_softmax_is_fine():
    model = TaskNet(NeuralNetClassifier(Uneasy, lr=0.1, **FAST), random_state=0).fit(X, Y)
    np.testing.assert_allclose(
        model.predict_proba(X), torch.from_numpy(model.logits(X)).softmax(dim=1), rtol=1e-4, atol=1e-6
    )


def test_a_net_too_narrow_is_refused():
    net = net_classifier(module__output_dim=2, **FAST)
    with pytest.raises(ValueError, match=r"shape \('n', 2\), but 3 classes need width 3.*output_dim"):
        TaskNet(net).fit(X, Y)


def test_a_regressor_of_two_outputs_is_refused():
    with pytest.raises(ValueError, match=r"shape \('n', 2\), but a regressor needs width 1"):
        TaskNet(net_regressor(module__output_dim=2)).fit(X_REG, Y_REG)


def test_a_binary_net_of_two_outputs_is_refused():
    with pytest.raises(ValueError, match=r"shape \('n', 2\), but a binary classifier needs width 1"):
        TaskNet(binary_net(module__output_dim=2)).fit(X, Y_TWO)


def test_a_map_of_outputs_is_refused():
    net = net_classifier(nn.Conv2d, module__in_channels=1, module__out_channels=10, module__kernel_size=3)
    with pytest.raises(ValueError, match=r"shape \('n', 10, 6, 6\)"):
        TaskNet(net).fit(DIGITS, DIGITS_Y)


@pytest.mark.parametrize("estimator", [MLP(), "net", 3])
def test_what_is_no_net_is_refused(estimator):
    with pytest.raises(TypeError, match="NeuralNetClassifier|estimator"):
        TaskNet(estimator).fit(X, Y)


@pytest.mark.parametrize("width", [4, 10])
def test_wider_than_the_classes_is_fine_and_kept(width):
    model = TaskNet(net_classifier(module__output_dim=width, **FAST), random_state=0).fit(X, Y)
    assert model.net_.module_.head.out_features == width
    P = model.predict_proba(X)
    assert P.shape == (90, 3)
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(model.classes_[P.argmax(axis=1)], model.predict(X))


def test_dimensions_are_filled_in_where_the_module_takes_them():
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(DIGITS, DIGITS_Y)
    first = next(m for m in model.net_.module_.modules() if isinstance(m, nn.Linear))
    assert (first.in_features, model.net_.module_.head.out_features) == (64, 10)
    images = TaskNet(net_classifier(LeNet, **FAST), random_state=0).fit(DIGITS, DIGITS_Y)
    assert images.net_.module_.input_shape == (1, 8, 8)


def test_dimensions_the_user_set_stay():
    net = net_classifier(LeNet, module__input_shape=(1, 8, 8), **FAST)
    flat = TaskNet(net, random_state=0).fit(DIGITS.reshape(120, 64), DIGITS_Y)
    assert flat.net_.module_.input_shape == (1, 8, 8)


# -- the caller's things stay as they are ---------------------------------------------------------


def test_a_module_instance_is_not_trained():
    module = MLP(5, 3)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    model = TaskNet(net_classifier(module, **FAST), random_state=0).fit(X, Y)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    trained = model.net_.module_.state_dict()
    assert not any(torch.equal(value, before[name]) for name, value in trained.items())


def test_a_module_instance_is_where_each_fit_starts():
    module = MLP(5, 3)
    # With no step taken, the fitted weights are those of the instance.
    net = net_classifier(module, lr=0.0, **FAST)
    model = TaskNet(net, random_state=0).fit(X, Y)
    before = module.state_dict()
    assert all(torch.equal(v, before[name]) for name, v in model.net_.module_.state_dict().items())


@every_net
def test_generators_and_parameters_of_the_caller_are_untouched(net, X, y):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the legacy generator is what must not move
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    params = {k: v for k, v in net.get_params().items() if "callbacks" not in k}
    model = TaskNet(net, random_state=0).fit(X, y)
    model.predict(X)
    model.logits(X)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    after = net.get_params()
    assert {k: after[k] for k in params} == params
    assert not net.initialized_


@every_net
def test_same_seed_same_net_whatever_the_global_seed(net, X, y):
    torch.manual_seed(1)
    first = TaskNet(net, random_state=7).fit(X, y)
    torch.manual_seed(2)
    second = TaskNet(net, random_state=7).fit(X, y)
    other = TaskNet(net, random_state=8).fit(X, y)
    np.testing.assert_array_equal(first.logits(X), second.logits(X))
    assert not np.array_equal(first.logits(X), other.logits(X))


# -- nets that choose their rows ------------------------------------------------------------------


def selective_net(selector="mms", kind=SelectiveNetClassifier, **params):
    settings = {} if kind is not SelectiveNetClassifier else {"criterion": nn.CrossEntropyLoss}
    return kind(MLP, **{"selector": selector, "lr": 0.1, "batch_size": 16, **settings, **FAST, **params})


SELECTIVE = {
    **{name: (selective_net(name), X, Y) for name in ("mms", "loss", "hard_negatives", "random", "prune")},
    "None": (selective_net(None), X, Y),
    "binary": (selective_net(kind=SelectiveNetBinaryClassifier), X, Y_TWO),
    "regressor": (selective_net("loss", kind=SelectiveNetRegressor, lr=0.02), X_REG, Y_REG),
}
each_selective = pytest.mark.parametrize(("net", "X", "y"), SELECTIVE.values(), ids=SELECTIVE)


@each_selective
def test_a_net_that_chooses_its_rows(net, X, y):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = TaskNet(clone(net).set_params(train_split=None, max_epochs=20), random_state=0).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    second = clone(first).fit(X, y)
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert first.score(X, y) > 0.7
    assert first.net_.iterator_train is TensorLoader
    rows = [sum(batch["train_batch_size"] for batch in epoch["batches"]) for epoch in first.net_.history]
    assert max(rows) <= 6 * 17
    assert len(first.partial_fit(X, y).net_.history) == 40


@each_selective
def test_all_rows_are_trained_on_by_default_also_of_those(net, X, y):
    """Its signature does not tell skorch's default split, which is left out all the same."""
    model = TaskNet(net, random_state=0).fit(X, y)
    assert model.net_.train_split is None
    few = slice(0, 4)
    assert TaskNet(net, random_state=0).fit(X[few], y[few]).predict(X).shape == (90,)


def test_a_split_of_the_users_own_stays_also_of_those():
    model = TaskNet(selective_net(train_split=ValidSplit(3)), random_state=0).fit(X, Y)
    assert model.net_.train_split.cv == 3


def test_parameters_of_a_selector_are_reached():
    model = TaskNet(selective_net(HardestRows(), train_split=None), random_state=0)
    search = GridSearchCV(model, {"estimator__selector__pool_factor": [1, 2]}, cv=2, error_score="raise")
    best = search.fit(X, Y).best_estimator_
    assert best.net_.selector_.pool_factor == search.best_params_["estimator__selector__pool_factor"]


def test_a_net_that_chooses_its_rows_is_pickled():
    model = TaskNet(selective_net(train_split=None), random_state=0).fit(X, Y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(
        again.partial_fit(X, Y).predict_proba(X), model.partial_fit(X, Y).predict_proba(X)
    )
