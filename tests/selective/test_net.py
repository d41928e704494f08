"""Nets that choose their rows: plain skorch without a selector, predictions, precision, accelerators."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, EpochScoring, GradientNormClipping
from skorch.dataset import ValidSplit
from torch import nn

from skalss.nets import MLP, LeNet, ResNet8
from skalss.network.loader import TensorLoader
from skalss.selective import (
    EarlyDropLR,
    HardestRows,
    MarginMonitor,
    PruneEasyRows,
    SelectiveNetBinaryClassifier,
    SelectiveNetClassifier,
    SelectiveNetRegressor,
)

from .selectors import NAMES, each_name


def untimed(history):
    return [
        {name: value for name, value in epoch.items() if name not in ("dur", "batches")} for epoch in history
    ]


def batches(history):
    return [epoch["batches"] for epoch in history]


# -- no selector: plain skorch ---------------------------------------------------------------------


class Normalised(nn.Module):
    """Batch normalisation and dropout: statistics and random numbers that a pass more would move."""

    def __init__(self, n_outputs=3, softmax=False):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, n_outputs)
        )
        self.softmax = softmax

    def forward(self, X):
        z = self.layers(X)
        return z.softmax(dim=1) if self.softmax else z


PAIRS = {
    "classifier": (SelectiveNetClassifier, NeuralNetClassifier),
    "binary": (SelectiveNetBinaryClassifier, NeuralNetBinaryClassifier),
    "regressor": (SelectiveNetRegressor, NeuralNetRegressor),
}


PLAIN_PARAMS = {
    "defaults": {},
    "shuffled": {"iterator_train__shuffle": True},
    "tensors": {"iterator_train": TensorLoader, "iterator_train__shuffle": True},
    "validation": {"train_split": ValidSplit(4)},
    "adam": {"optimizer": torch.optim.Adam, "lr": 0.01, "iterator_train__shuffle": True},
    "clipping": {"callbacks": [GradientNormClipping(0.1)], "iterator_train__drop_last": True},
    "scoring": {"callbacks": [EpochScoring("neg_mean_squared_error", on_train=True, name="mse")]},
}


def twins(task, data, **params):
    """A net of ours without a selector and skorch's own, trained alike; and the generator after each."""
    X, y = map(torch.from_numpy, data)
    n_outputs, y = {
        "classifier": (3, y),
        "binary": (1, (y > 0).float()),
        "regressor": (1, X[:, :1] / 3),
    }[task]
    settings = {
        "module__n_outputs": n_outputs,
        "lr": 0.05,
        "batch_size": 16,
        "max_epochs": 3,
        "train_split": None,
        "verbose": 0,
    }
    if task == "classifier":
        settings["criterion"] = nn.CrossEntropyLoss
    nets, states = [], []
    for kind in PAIRS[task]:
        torch.manual_seed(0)
        ours = {"selector": None} if kind is PAIRS[task][0] else {}
        net = kind(Normalised, **{**settings, **ours, **copy.deepcopy(params)})
        net.fit(X, y)
        net.partial_fit(X[:50], y[:50])
        nets.append(net)
        states.append(torch.get_rng_state())
    return nets, states, X


def assert_twins(nets, states, X, assert_same_weights):
    ours, plain = nets
    assert_same_weights(ours, plain)
    assert untimed(ours.history) == untimed(plain.history)
    assert batches(ours.history) == batches(plain.history)
    assert torch.equal(*states)
    np.testing.assert_array_equal(ours.predict(X), plain.predict(X))
    np.testing.assert_array_equal(ours.predict_proba(X), plain.predict_proba(X))
    before, after = (net.optimizer_.state_dict() for net in nets)
    assert str(before) == str(after)


@pytest.mark.parametrize(
    ("task", "params"),
    [*(("classifier", name) for name in PLAIN_PARAMS)]
    + [("binary", "shuffled"), ("binary", "validation"), ("regressor", "defaults"), ("regressor", "tensors")],
)
def test_without_a_selector_it_is_skorch_bit_by_bit(task, params, data, assert_same_weights):
    assert_twins(*twins(task, data, **PLAIN_PARAMS[params]), assert_same_weights)


def test_without_a_selector_it_takes_probabilities_as_skorch_does(data, assert_same_weights):
    params = {"criterion": nn.NLLLoss, "module__softmax": True}
    assert_twins(*twins("classifier", data, **params), assert_same_weights)


def test_without_a_selector_other_settings_of_one_are_ignored(make_net, data, assert_same_weights):
    nets = []
    for params in ({}, {"selector__pool_factor": 7, "selector__nonsense": 1}):
        torch.manual_seed(0)
        nets.append(make_net(None, **params).fit(*data))
    assert_same_weights(*nets)
    assert nets[1].selector_ is None


@pytest.mark.parametrize("params", [{"dtype": "bfloat16"}, {"selector": "mms"}], ids=["dtype", "selector"])
def test_what_is_asked_for_does_make_a_difference(params, data):
    """The comparison of twins above is one that can fail."""
    (ours, plain), _, _ = twins("classifier", data)
    torch.manual_seed(0)
    other = copy.deepcopy(ours).set_params(**params).fit(*map(torch.from_numpy, data))
    torch.manual_seed(0)
    plain.fit(*map(torch.from_numpy, data))
    assert untimed(other.history) != untimed(plain.history)


# -- predictions -----------------------------------------------------------------------------------


@each_name
def test_it_predicts_as_a_plain_net_of_the_same_weights(selector, make_net, data):
    X, _ = data
    net = make_net(selector, dtype="bfloat16").fit(*data)
    plain = make_net("plain", kind=NeuralNetClassifier).initialize()
    plain.module_.load_state_dict(net.module_.state_dict())
    np.testing.assert_array_equal(net.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    assert net.predict_proba(X).dtype == np.float32


# -- precision and layout --------------------------------------------------------------------------


class Nosy(nn.Linear):
    """Notes in which mode and precision it computes."""

    seen: list = []

    def forward(self, X):
        output = super().forward(X)
        Nosy.seen.append((self.training, output.dtype))
        return output


@each_name
def test_bfloat16_is_for_training_only(selector, make_net, data):
    Nosy.seen = []
    outputs = []

    class Keep(Callback):
        def on_batch_end(self, net, training=False, y_pred=None, **kwargs):
            if training:
                outputs.append(y_pred.dtype)

    net = make_net(
        selector,
        module=Nosy,
        module__in_features=5,
        module__out_features=3,
        dtype="bfloat16",
        callbacks=[Keep()],
        **({"selector__score_dtype": "float32"} if selector in ("mms", "loss", "hard_negatives") else {}),
    )
    X, y = data
    net.fit(X, y).predict(X)
    assert {dtype for training, dtype in Nosy.seen if training} == {torch.bfloat16}
    assert {dtype for training, dtype in Nosy.seen if not training} == {torch.float32}
    assert set(outputs) == {torch.float32}
    assert {p.dtype for p in net.module_.parameters()} == {torch.float32}
    assert np.isfinite(net.history[:, "train_loss"]).all()
    assert net.score(X, y) > 0.5


@pytest.mark.parametrize(("dtype", "learns"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_dtype_of_a_fitted_net_may_be_changed(dtype, learns, make_net, data):
    net = make_net("mms", module=Nosy, module__in_features=5, module__out_features=3).fit(*data)
    optimizer = net.optimizer_
    net.set_params(dtype=dtype)
    assert net.optimizer_ is optimizer  # nothing is initialised anew
    Nosy.seen = []
    net.partial_fit(*data)
    assert {dtype for training, dtype in Nosy.seen if training} == {learns}


def test_tuples_come_back_as_float32(make_net, data):
    class Two(MLP):
        def forward(self, X):
            return super().forward(X), torch.arange(len(X)), X

    class NetOfTwo(SelectiveNetClassifier):
        def get_loss(self, y_pred, *args, **kwargs):
            assert [part.dtype for part in y_pred] == [torch.float32, torch.int64, torch.float32]
            return super().get_loss(y_pred[0], *args, **kwargs)

    params = {"module": Two, "module__input_dim": 5, "module__output_dim": 3, "kind": NetOfTwo}
    net = make_net("mms", dtype="bfloat16", **params).fit(*data)
    assert np.isfinite(net.history[:, "train_loss"]).all()


def test_an_unknown_dtype_is_refused(make_net, data):
    with pytest.raises(
        ValueError, match=r"dtype must be one of \['auto', 'float32', 'bfloat16'\], got 'float16'"
    ):
        make_net("mms", dtype="float16").fit(*data)


@pytest.mark.parametrize("selector", ["mms", "prune", None])
def test_channels_last_changes_the_layout_and_hardly_the_numbers(selector, make_net):
    X, y = torch.randn(64, 3, 8, 8), torch.randint(3, (64,))
    params = {"module__input_shape": (3, 8, 8), "module__output_dim": 3, "lr": 0.01, "module": ResNet8}
    losses = []
    for channels_last in (False, True):
        torch.manual_seed(0)
        net = make_net(selector, channels_last=channels_last, **params).fit(X, y)
        weight = net.module_.stages[1].body[0].weight
        assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last
        losses.append(net.history[:, "train_loss"])
    np.testing.assert_allclose(*losses, rtol=1e-2)
    net.set_params(module__output_dim=4)
    assert net.module_.stages[1].body[0].weight.is_contiguous(memory_format=torch.channels_last)


# -- on an accelerator -----------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize(
    "selector", [*NAMES, HardestRows(class_balance=True), PruneEasyRows(end=1.0)], ids=str
)
def test_on_an_accelerator(selector, make_net, data, watch):
    device = torch.accelerator.current_accelerator().type
    X, y = data
    net = make_net(selector, device=device, watch=watch, max_epochs=6, lr=0.1).fit(X, y)
    assert {p.device.type for p in net.module_.parameters()} == {device}
    assert net.score(X, y) > 0.7
    for (X_batch, y_batch), ids in zip(watch.batches, watch.ids, strict=True):
        assert ids.device.type == "cpu"
        np.testing.assert_array_equal(X_batch.cpu(), X[ids])
        np.testing.assert_array_equal(y_batch.cpu(), y[ids])


@pytest.mark.gpu
@pytest.mark.parametrize("params", [{"dtype": "auto"}, {"channels_last": True}], ids=str)
def test_precision_and_layout_on_an_accelerator(params, make_net):
    device = torch.accelerator.current_accelerator().type
    X, y = torch.randn(64, 1, 8, 8), torch.randint(3, (64,))
    net = make_net(
        "mms",
        module=LeNet,
        module__input_shape=(1, 8, 8),
        module__output_dim=3,
        device=device,
        **params,
    ).fit(X, y)
    assert np.isfinite(net.history[:, "train_loss"]).all()


@pytest.mark.gpu
def test_rows_already_on_the_accelerator(make_net, data):
    device = torch.accelerator.current_accelerator().type
    X, y = (torch.from_numpy(a).to(device) for a in data)
    net = make_net("mms", device=device, iterator_train=TensorLoader).fit(X, y)
    assert net.history[:, "train_batch_count"] == [10, 10]


@pytest.mark.parametrize("kind", [EarlyDropLR, MarginMonitor])
def test_a_callback_that_was_used_can_be_cloned(kind, make_net, data):
    callback = kind()
    make_net(callbacks=[callback]).fit(*data)
    assert clone(callback).get_params() == kind().get_params()
