import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_digits, make_blobs, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from skalss import TaskNet
from skalss.nets import MLP, LeNet, ResNet8, net_classifier, net_regressor
from skalss.network.loader import TensorLoader
from skalss.scores import mms
from skalss.selective import (
    HardestRows,
    SelectiveNetBinaryClassifier,
    SelectiveNetClassifier,
    SelectiveNetRegressor,
)

X, Y = make_blobs(90, n_features=5, centers=3, random_state=0)
Y_TWO = (Y > 0).astype(int)
X_REG, Y_REG = make_regression(90, n_features=5, noise=1.0, random_state=0)
DIGITS = load_digits().images[:120, None].astype(np.float32)  # (n, 1, 8, 8)
DIGITS_Y = load_digits().target[:120]
FAST = {"max_epochs": 5}


def binary_net(module=MLP, **params):
    return NeuralNetBinaryClassifier(module, **{"verbose": 0, "lr": 0.1, **FAST, **params})


NETS = {
    "classifier": (net_classifier(**FAST), X, Y),
    "one hidden layer less": (net_classifier(module__hidden_layer_sizes=(), **FAST), X, Y),
    "strings": (net_classifier(**FAST), X, np.array(["a", "b", "c"])[Y]),
    "binary": (binary_net(), X, Y_TWO),
    "regressor": (net_regressor(**FAST), X_REG, Y_REG),
    "images": (net_classifier(LeNet, **FAST), DIGITS, DIGITS_Y),
    "batch normalisation": (net_classifier(ResNet8, max_epochs=1), DIGITS[:40], DIGITS_Y[:40]),
}
every_net = pytest.mark.parametrize(("net", "X", "y"), NETS.values(), ids=NETS)
classifiers = pytest.mark.parametrize(
    ("net", "X", "y"),
    [v for k, v in NETS.items() if k != "regressor"],
    ids=[k for k in NETS if k != "regressor"],
)


class Uneasy(nn.Module):
    """Registers its layers out of order, one of them never run, and ends in a softmax."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.top = nn.Linear(8, output_dim)
        self.bottom = nn.Linear(input_dim, 8)
        self.unused = nn.Linear(8, output_dim)

    def forward(self, X):
        return self.top(self.bottom(X).relu()).softmax(dim=1)


class NoHead(nn.Module):
    """Ends in a convolution: there is no last linear layer."""

    def __init__(self, output_dim):
        super().__init__()
        self.last = nn.Conv1d(1, output_dim, 5)

    def forward(self, X):
        return self.last(X[:, None]).squeeze(2)


# -- shapes, labels, units ------------------------------------------------------------------------


@every_net
def test_predictions_have_the_shape_and_values_of_y(net, X, y):
    model = TaskNet(net, random_state=0).fit(X, y)
    predicted = model.predict(X[:7])
    assert predicted.shape == (7,)
    if is_classifier(model):
        assert predicted.dtype == y.dtype
        assert set(predicted) <= set(y)
        np.testing.assert_array_equal(model.classes_, np.unique(y))
        assert model.score(X, y) == np.mean(model.predict(X) == y)
    else:
        assert is_regressor(model)
        assert np.issubdtype(predicted.dtype, np.floating)


@classifiers
def test_probabilities_sum_to_one_and_agree_with_predict(net, X, y):
    model = TaskNet(net, random_state=0).fit(X, y)
    P = model.predict_proba(X)
    assert P.shape == (len(X), len(np.unique(y)))
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)
    assert (P >= 0).all()
    np.testing.assert_array_equal(model.classes_[P.argmax(axis=1)], model.predict(X))


def test_a_regressor_has_no_probabilities():
    assert not hasattr(TaskNet(net_regressor()), "predict_proba")
    assert hasattr(TaskNet(net_classifier()), "predict_proba")
    assert hasattr(TaskNet(), "predict_proba")


@every_net
def test_it_learns(net, X, y):
    if "ResNet8" in str(net.module):
        net = clone(net).set_params(max_epochs=20)
    else:
        net = clone(net).set_params(max_epochs=60)
    assert TaskNet(net, random_state=0).fit(X, y).score(X, y) > 0.8


def test_regression_targets_are_standardised_inside():
    net = net_regressor(max_epochs=20)
    plain = TaskNet(net, random_state=0).fit(X_REG, Y_REG)
    scaled = TaskNet(net, random_state=0).fit(X_REG, 1000 * Y_REG + 5)
    np.testing.assert_allclose(
        scaled.predict(X_REG), 1000 * plain.predict(X_REG) + 5, rtol=1e-3, atol=1e-3 * 1000 * Y_REG.std()
    )


@pytest.mark.parametrize("y", [np.full(30, 3.0), np.full(30, 1e8) + np.arange(30)])
def test_regression_on_a_constant_or_far_away_target(y):
    predicted = TaskNet(net_regressor(**FAST), random_state=0).fit(X_REG[:30], y).predict(X_REG)
    np.testing.assert_allclose(predicted, y[0], rtol=1e-6, atol=3.0)


def test_units_of_the_input_do_not_matter():
    far = X.astype(np.float64) * 1e4 + 1e7
    near_model, far_model = (TaskNet(net_classifier(**FAST), random_state=0).fit(a, Y) for a in (X, far))
    np.testing.assert_allclose(far_model.predict_proba(far), near_model.predict_proba(X), atol=1e-3)


def test_uint8_equals_the_same_in_the_unit_range():
    bytes_ = (DIGITS * 15).astype(np.uint8)
    unit = bytes_.astype(np.float32) / np.float32(255)
    net = net_classifier(LeNet, **FAST)
    from_bytes, from_unit = (TaskNet(net, random_state=0).fit(a, DIGITS_Y) for a in (bytes_, unit))
    np.testing.assert_allclose(from_bytes.predict_proba(bytes_), from_unit.predict_proba(unit), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, np.float64, bool, ">f4"])
def test_any_numeric_dtype(dtype):
    as_given = DIGITS.reshape(120, 64).astype(dtype)
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(as_given, DIGITS_Y)
    expected = TaskNet(net_classifier(**FAST), random_state=0).fit(as_given.astype(np.float64), DIGITS_Y)
    np.testing.assert_allclose(
        model.predict_proba(as_given), expected.predict_proba(as_given.astype(np.float64)), atol=1e-3
    )


def test_read_only_reversed_and_tensor_input():
    frozen = X.copy()
    frozen.flags.writeable = False
    expected = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y).predict_proba(X)
    for same, y in ((frozen, Y), (X[::-1][::-1], Y), (torch.from_numpy(X), torch.from_numpy(Y))):
        model = TaskNet(net_classifier(**FAST), random_state=0).fit(same, y)
        np.testing.assert_array_equal(model.predict_proba(same), expected)


# -- classes --------------------------------------------------------------------------------------


def test_a_class_missing_from_y_but_named():
    model = TaskNet(net_classifier(**FAST), random_state=0)
    model.partial_fit(X[Y < 2], np.array(["a", "b"])[Y[Y < 2]], classes=["c", "a", "b"])
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])
    assert model.predict_proba(X).shape == (90, 3)
    model.partial_fit(X, np.array(["a", "b", "c"])[Y])
    assert model.predict_proba(X).shape == (90, 3)


def test_a_label_outside_the_classes_is_refused():
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X[Y < 2], Y[Y < 2])
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"outside classes: \[2\]; known are \[0, 1\]\. Name every label"):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("net", [net_classifier(**FAST), binary_net()], ids=["two outputs", "one output"])
def test_one_class_so_far(net):
    model = TaskNet(net, random_state=0).fit(X[:10], np.full(10, "only"))
    assert set(model.predict(X)) == {"only"}
    np.testing.assert_allclose(model.predict_proba(X), np.ones((90, 1)))


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


# -- the caller's things stay as they are ----------------------------------------------------------


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
    first = TaskNet(clone(net).set_params(train_split=None, max_epochs=30), random_state=0).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)
    second = clone(first).fit(X, y)
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert first.score(X, y) > 0.7
    assert first.net_.iterator_train is TensorLoader
    rows = [sum(batch["train_batch_size"] for batch in epoch["batches"]) for epoch in first.net_.history]
    assert max(rows) <= 6 * 17
    assert len(first.partial_fit(X, y).net_.history) == 60


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


def test_random_state_as_an_object():
    models = [TaskNet(net_classifier(**FAST), random_state=np.random.RandomState(3)).fit(X, Y) for _ in "ab"]
    np.testing.assert_array_equal(models[0].logits(X), models[1].logits(X))


# -- the last layer -------------------------------------------------------------------------------


@every_net
def test_logits_are_those_of_the_module(net, X, y):
    model = TaskNet(net, random_state=0).fit(X, y)
    module = model.net_.module_.eval()
    with torch.no_grad():
        output = module(model.scaling_(torch.from_numpy(np.asarray(X)))).numpy()
    logits = model.logits(X)
    np.testing.assert_allclose(logits[:, -output.shape[1] :], output, rtol=1e-4, atol=1e-5)


@every_net
def test_features_times_weights_are_the_logits(net, X, y):
    model = TaskNet(net, random_state=0).fit(X, y)
    head = model.net_.module_.get_submodule(model.head_name_)
    bias = head.bias.detach().numpy()
    logits = model.logits(X)
    bias = np.concatenate([np.zeros(logits.shape[1] - len(bias), np.float32), bias])
    np.testing.assert_allclose(model.embed(X) @ model.head_weight().T + bias, logits, rtol=1e-3, atol=1e-3)


def test_head_is_the_last_layer_run_not_the_last_registered():
    net = net_classifier(Uneasy, criterion=nn.NLLLoss, **FAST)
    model = TaskNet(net, random_state=0).fit(X, Y)
    assert model.head_name_ == "top"
    features = model.embed(X)
    top = model.net_.module_.top
    np.testing.assert_allclose(
        features @ top.weight.detach().numpy().T + top.bias.detach().numpy(), model.logits(X), atol=1e-4
    )


def test_without_a_head():
    model = TaskNet(net_classifier(NoHead, **FAST), random_state=0).fit(X, Y)
    assert model.head_name_ is None
    np.testing.assert_allclose(model.logits(X), np.log(model.predict_proba(X)), atol=1e-5)
    for method in (model.head_weight, lambda: model.embed(X)):
        with pytest.raises(ValueError, match="NoHead runs no nn.Linear as wide as its output.*'margin'"):
            method()


def test_no_hook_stays_behind():
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y)
    model.logits(X)
    model.embed(X)
    assert not any(module._forward_hooks for module in model.net_.module_.modules())


# -- gradients ------------------------------------------------------------------------------------


def _decoder(width_in, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(width_in, int(np.prod(shape)), generator=generator)
    return lambda Z: (Z @ weight.to(Z)).reshape(-1, *shape)


def _loss_in_float64(model, decode, z, y):
    """The net's loss of one row, written out."""
    module = model.net_.module_.double().eval()
    with torch.no_grad():
        rows = decode(z[None])
        rows = (rows - model.scaling_.shift) / model.scaling_.scale
        output = module(rows)
        if is_regressor(model):
            target = (torch.tensor(y) - model._y_mean) / model._y_scale
            loss = (output.reshape(-1) - target).square().sum()
        else:
            target = int(np.searchsorted(model.classes_, y))
            if isinstance(model.net_, NeuralNetBinaryClassifier):
                both = torch.cat([torch.zeros(1), output.reshape(-1)])
            else:
                both = output[0]
            loss = -both.log_softmax(dim=0)[target]
    model.net_.module_.float()
    return loss.item()


@every_net
def test_loss_gradient_agrees_with_finite_differences(net, X, y):
    model = TaskNet(net, random_state=0).fit(X, y)
    decode = _decoder(3, X.shape[1:])
    Z = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32) / 3
    wrong = np.roll(y, 1)[:4]
    gradient, prediction = model.loss_gradient(decode, Z, wrong)
    assert gradient.shape == Z.shape
    assert gradient.dtype == np.float32
    rows = decode(torch.from_numpy(Z)).numpy()
    if is_classifier(model):
        np.testing.assert_array_equal(prediction, model.predict(rows))
    else:
        np.testing.assert_allclose(prediction, model.predict(rows), rtol=1e-4, atol=1e-4)
    step = 1e-6
    slopes = np.empty((4, 3))
    for i in range(4):
        for j in range(3):
            ahead, behind = (torch.from_numpy(Z[i]).double() for _ in "ab")
            ahead[j] += step
            behind[j] -= step
            slopes[i, j] = (
                _loss_in_float64(model, decode, ahead, wrong[i])
                - _loss_in_float64(model, decode, behind, wrong[i])
            ) / (2 * step)
    np.testing.assert_allclose(gradient, slopes, rtol=2e-2, atol=2e-3 * np.abs(slopes).max())
    assert np.abs(slopes).max() > 1e-4


@every_net
def test_a_rows_gradient_does_not_depend_on_the_others(net, X, y, monkeypatch):
    model = TaskNet(net, random_state=0).fit(X, y)
    decode = _decoder(3, X.shape[1:])
    Z = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)
    together, predictions = model.loss_gradient(decode, Z, y[:12])
    alone = [model.loss_gradient(decode, Z[i : i + 1], y[i : i + 1]) for i in range(12)]
    scale = np.abs(together).max()
    np.testing.assert_allclose(together, np.concatenate([g for g, _ in alone]), rtol=1e-3, atol=1e-5 * scale)
    monkeypatch.setattr("skalss.network.tasknet.FORWARD_ROWS", 5)
    np.testing.assert_allclose(
        together, model.loss_gradient(decode, Z, y[:12])[0], rtol=1e-3, atol=1e-5 * scale
    )


@pytest.mark.parametrize("reduction", ["sum", "none", "mean"])
def test_loss_gradient_with_any_reduction(reduction):
    """Of the sum over rows, whatever the criterion does with it."""
    models = [
        TaskNet(net_classifier(criterion__reduction=r, lr=0.0, **FAST), random_state=0)
        for r in (reduction, "mean")
    ]
    if reduction == "none":
        models[0].estimator.set_params(criterion__reduction="mean")
    decode = _decoder(3, (5,))
    Z = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    fitted = [model.fit(X, Y) for model in models]
    if reduction == "none":
        fitted[0].net_.criterion_.reduction = "none"
    gradients = [model.loss_gradient(decode, Z, Y[:6])[0] for model in fitted]
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


def test_loss_gradient_trains_nothing():
    model = TaskNet(net_classifier(ResNet8, max_epochs=1), random_state=0).fit(DIGITS[:40], DIGITS_Y[:40])
    before = {k: v.clone() for k, v in model.net_.module_.state_dict().items()}
    gradients = [p.grad.clone() for p in model.net_.module_.parameters()]
    model.loss_gradient(_decoder(3, (1, 8, 8)), np.ones((4, 3)), DIGITS_Y[:4])
    assert all(torch.equal(v, before[k]) for k, v in model.net_.module_.state_dict().items())
    left = [p.grad for p in model.net_.module_.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(gradients, left, strict=True))


# -- batches --------------------------------------------------------------------------------------


@every_net
def test_chunks_do_not_change_anything(net, X, y, monkeypatch):
    model = TaskNet(net, random_state=0).fit(X, y)
    whole = model.predict(X), model.logits(X), model.embed(X)
    monkeypatch.setattr("skalss.network.tasknet.chunk_rows", lambda shape: 7)
    monkeypatch.setattr("skalss.network.tasknet.FORWARD_ROWS", 3)
    np.testing.assert_allclose(model.logits(X), whole[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.embed(X), whole[2], rtol=1e-4, atol=1e-4)
    if is_classifier(model):
        np.testing.assert_array_equal(model.predict(X), whole[0])


@pytest.mark.parametrize("n_rows", [1, 33])
def test_a_lone_row_does_not_break_batch_normalisation(n_rows):
    net = net_classifier(
        nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), batch_size=32, max_epochs=2
    )
    if n_rows == 1:
        net = net_classifier(**FAST)  # nothing can normalise a single row
    model = TaskNet(net, random_state=0).fit(X[:n_rows], Y[:n_rows])
    assert np.isfinite(model.logits(X)).all()


def test_the_tensor_loader_is_the_default_and_shuffles():
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y)
    assert model.net_.iterator_train is TensorLoader
    assert model.net_.iterator_valid is TensorLoader
    assert model.net_.iterator_train__shuffle is True


@pytest.mark.parametrize("shuffle", [True, False])
def test_shuffling_the_user_asked_for_is_kept(shuffle):
    net = net_classifier(iterator_train__shuffle=shuffle, **FAST)
    model = TaskNet(net, random_state=0).fit(X, Y)
    assert model.net_.iterator_train is TensorLoader
    assert model.net_.iterator_train__shuffle is shuffle


def test_a_data_loader_with_its_own_settings_stays():
    net = net_classifier(iterator_train__num_workers=0, **FAST)
    model = TaskNet(net, random_state=0).fit(X, Y)
    assert model.net_.iterator_train is DataLoader
    assert model.net_.iterator_valid is TensorLoader
    assert model.net_.iterator_train__shuffle is True
    same = TaskNet(net, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(model.logits(X), same.logits(X))


def test_a_custom_iterator_stays():
    class Loader(DataLoader):
        pass

    model = TaskNet(net_classifier(iterator_train=Loader, **FAST), random_state=0).fit(X, Y)
    assert model.net_.iterator_train is Loader
    assert np.isfinite(model.logits(X)).all()


class Count(Callback):
    """Counts the rows of each epoch."""

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        net.history.record("n_train", len(dataset_train))
        net.history.record("n_valid", 0 if dataset_valid is None else len(dataset_valid))


@pytest.mark.parametrize("kind", ["unset", "skorch's default"])
@pytest.mark.parametrize(
    ("net_type", "X", "y"),
    [
        (NeuralNetClassifier, X, Y),
        (NeuralNetRegressor, X_REG, Y_REG),
        (NeuralNetBinaryClassifier, X, Y_TWO),
    ],
    ids=["classifier", "regressor", "binary"],
)
def test_the_default_train_split_is_dropped(net_type, X, y, kind):
    stratified = net_type is not NeuralNetRegressor
    given = {"train_split": ValidSplit(5, stratified=stratified)} if kind != "unset" else {}
    criterion = {"criterion": nn.CrossEntropyLoss} if net_type is NeuralNetClassifier else {}
    net = net_type(MLP, callbacks=[Count()], **given, **criterion, **FAST)
    model = TaskNet(net, random_state=0).fit(X, y)
    assert model.net_.train_split is None
    assert model.net_.history[:, "n_train"] == [90] * 5


def test_an_explicit_train_split_is_kept():
    split = ValidSplit(3, stratified=True)
    model = TaskNet(net_classifier(train_split=split, callbacks=[Count()], **FAST), random_state=0).fit(X, Y)
    assert model.net_.history[:, "n_train"] == [60] * 5
    assert model.net_.history[:, "n_valid"] == [30] * 5
    assert "valid_loss" in model.net_.history[0]


# -- estimator manners ----------------------------------------------------------------------------


def test_partial_fit_goes_on():
    model = TaskNet(net_classifier(**FAST), random_state=0).partial_fit(X, Y)
    early = model.net_.history[-1, "train_loss"]
    net = model.net_
    model.partial_fit(X, Y)
    assert model.net_ is net
    assert len(net.history) == 10
    assert net.history[-1, "train_loss"] < early
    model.fit(X, Y)
    assert model.net_ is not net
    assert len(model.net_.history) == 5


def test_partial_fit_keeps_the_scaling_and_units_of_the_first_call():
    model = TaskNet(net_regressor(**FAST), random_state=0).partial_fit(X_REG, Y_REG)
    scaling, mean = model.scaling_, model._y_mean
    model.partial_fit(X_REG + 100, Y_REG + 1000)
    assert model.scaling_ is scaling
    assert model._y_mean == mean


@every_net
def test_pickle_and_clone(net, X, y):
    model = TaskNet(net, random_state=0).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.logits(X), model.logits(X))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    fresh = clone(model)
    assert not hasattr(fresh, "net_")
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    np.testing.assert_array_equal(fresh.fit(X, y).logits(X), model.logits(X))


def test_data_frame_columns_are_checked():
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(frame, Y)
    np.testing.assert_array_equal(model.feature_names_in_, list("abcde"))
    np.testing.assert_array_equal(
        model.predict(frame), TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y).predict(X)
    )
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(frame[list("edcba")], Y)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "logits", "embed"])
def test_wrong_width_is_refused_everywhere(method):
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="X has 4 features, but TaskNet is expecting 5 features"):
        getattr(model, method)(X[:, :4])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "logits", "embed"])
def test_images_of_another_size_are_refused_everywhere(method):
    model = TaskNet(net_classifier(LeNet, **FAST), random_state=0).fit(DIGITS, DIGITS_Y)
    with pytest.raises(ValueError, match=re.escape("(1, 8, 6)")):
        getattr(model, method)(DIGITS[..., :6])


@pytest.mark.parametrize("method", ["predict", "logits", "embed", "head_weight"])
def test_not_fitted(method):
    arguments = () if method == "head_weight" else (X,)
    with pytest.raises(NotFittedError):
        getattr(TaskNet(), method)(*arguments)


def test_grid_search_reaches_the_net():
    search = GridSearchCV(
        TaskNet(net_classifier(**FAST), random_state=0), {"estimator__lr": [1e-7, 0.01]}, cv=2
    ).fit(X, Y)
    assert search.best_params_ == {"estimator__lr": 0.01}


def test_quiet(capfd):
    TaskNet(NeuralNetClassifier(MLP, criterion=nn.CrossEntropyLoss, verbose=1, **FAST)).fit(X, Y).predict(X)
    assert capfd.readouterr() == ("", "")


# -- rehearse -------------------------------------------------------------------------------------


def test_rehearse_raises_like_fit_and_leaves_no_trace():
    TaskNet(net_classifier(**FAST)).rehearse(X[:2], [0, 1, 2])
    model = TaskNet(net_classifier(module__output_dim=2, **FAST))
    with pytest.raises(ValueError, match="3 classes need width 3"):
        model.rehearse(X[:2], [0, 1, 2])
    assert not hasattr(model, "net_")
    module = MLP(5, 3)
    state = torch.get_rng_state()
    before = [p.clone() for p in module.parameters()]
    TaskNet(net_classifier(module, **FAST)).rehearse(X[:2], [0, 1, 2])
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


@pytest.mark.gpu
@every_net
def test_on_an_accelerator(net, X, y):
    model = TaskNet(net, random_state=0).fit(X, y)  # device="auto"
    accelerator = torch.accelerator.current_accelerator()
    assert {p.device.type for p in model.net_.module_.parameters()} == {accelerator.type}
    on_cpu = TaskNet(net, device="cpu", random_state=0).fit(X, y)
    assert {p.device.type for p in on_cpu.net_.module_.parameters()} == {"cpu"}
    for output in (model.predict(X), model.logits(X), model.embed(X), model.head_weight()):
        assert isinstance(output, np.ndarray)
    Z = np.ones((4, 3), dtype=np.float32)
    gradient, _ = model.loss_gradient(_decoder(3, X.shape[1:]), Z, y[:4])
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("offset", [0, 1e5, 1e9])
def test_an_offset_of_the_target_does_not_matter(offset):
    y = X[:, 0] * 2
    model = TaskNet(net_regressor(max_epochs=30), random_state=0).fit(X, y + offset)
    assert model.score(X, y + offset) > 0.9


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


def test_sample_weight_in_score():
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y)
    right = model.predict(X) == Y
    assert model.score(X, Y, sample_weight=right) == 1.0


def test_early_stopping_given_as_a_class_keeps_its_split():
    net = NeuralNetClassifier(MLP, criterion=nn.CrossEntropyLoss, callbacks=[EarlyStopping], max_epochs=2)
    assert "valid_loss" in TaskNet(net, random_state=0).fit(X, Y).net_.history[-1]
