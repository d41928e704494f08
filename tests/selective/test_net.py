import copy
import importlib.util
import shutil

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
)
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader, WeightedRandomSampler

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

SELECTORS = ["mms", "loss", "hard_negatives", "random", "prune"]
each_selector = pytest.mark.parametrize("selector", SELECTORS)


def untimed(history):
    return [
        {name: value for name, value in epoch.items() if name not in ("dur", "batches")} for epoch in history
    ]


def batches(history):
    return [epoch["batches"] for epoch in history]


# -- no selector: plain skorch --------------------------------------------------------------------


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


# -- predictions ----------------------------------------------------------------------------------


@each_selector
def test_it_predicts_as_a_plain_net_of_the_same_weights(selector, make_net, data):
    X, _ = data
    net = make_net(selector, dtype="bfloat16").fit(*data)
    plain = make_net("plain", kind=NeuralNetClassifier).initialize()
    plain.module_.load_state_dict(net.module_.state_dict())
    np.testing.assert_array_equal(net.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    assert net.predict_proba(X).dtype == np.float32


# -- precision and layout -------------------------------------------------------------------------


class Nosy(nn.Linear):
    """Notes in which mode and precision it computes."""

    seen: list = []

    def forward(self, X):
        output = super().forward(X)
        Nosy.seen.append((self.training, output.dtype))
        return output


@each_selector
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
    with pytest.raises(ValueError, match="dtype must be 'auto', 'float32' or 'bfloat16', got 'float16'"):
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


# -- skorch's facilities --------------------------------------------------------------------------


class Accumulating(SelectiveNetClassifier):
    """skorch's recipe: a step of the optimizer for every second batch."""

    n_steps = 0

    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs) / 2

    def train_step(self, batch, **fit_params):
        n_batches = len(self.history[-1, "batches"])
        step = self.train_step_single(batch, **fit_params)
        if n_batches % 2 == 0:
            self.optimizer_.step()
            self.optimizer_.zero_grad()
            self.n_steps += 1
        return step


@each_selector
def test_gradients_may_be_accumulated(selector, make_net, data):
    X, y = data
    net = make_net(selector, kind=Accumulating, max_epochs=8, lr=0.1).fit(X, y)
    n_batches = net.history[:, "train_batch_count"]
    assert net.n_steps == sum(n // 2 for n in n_batches)
    assert net.score(X, y) > 0.7
    first = np.mean([b["train_loss"] for b in net.history[0]["batches"]][:1])
    assert 0.1 < first < 3  # half the loss of an untrained net


@each_selector
def test_gradients_are_clipped(selector, make_net, data):
    norms = []

    class Norm(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms.append(torch.cat([p.grad.flatten() for _, p in named_parameters]).norm().item())

    callbacks = [("clip", GradientNormClipping(0.05)), ("norm", Norm())]
    net = make_net(selector, callbacks=callbacks).fit(*data)
    assert len(norms) == sum(net.history[:, "train_batch_count"])
    assert max(norms) == pytest.approx(0.05, rel=1e-4)


@each_selector
def test_an_optimizer_that_looks_more_than_once(selector, make_net, data, watch):
    """LBFGS computes the loss of one batch several times; the choice is made once."""
    looks = []

    class Looks(Callback):
        def on_grad_computed(self, net, *args, **kwargs):
            looks.append(net.selection_)

    X, y = data
    params = {"optimizer__line_search_fn": "strong_wolfe", "lr": 0.05}  # a step of fixed length may diverge
    net = make_net(selector, optimizer=torch.optim.LBFGS, batch_size=40, watch=watch, **params)
    net.set_params(callbacks=[("looks", Looks()), ("watch", watch)]).fit(X, y)
    assert net.history[:, "train_batch_count"] == [4, 4]
    assert len(looks) > 3 * 8
    assert [s for i, s in enumerate(looks) if i == 0 or s is not looks[i - 1]] == watch.selections
    assert net.score(X, y) > 0.9


@each_selector
def test_scores_of_the_training_rows_are_those_of_the_rows_trained_on(selector, make_net, data):
    right = {}

    class Right(Callback):
        def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
            if training:
                right.setdefault(len(net.history), []).extend((y_pred.argmax(dim=1) == batch[1]).tolist())

    scoring = EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False)
    X, y = data
    net = make_net(
        selector,
        callbacks=[("right", Right()), ("scoring", scoring)],
        max_epochs=4,
        classes=[0, 1, 2],
        selector__end=1.0,
    ).fit(X, y)
    for epoch, score in enumerate(net.history[:, "train_acc"]):
        assert score == pytest.approx(np.mean(right[epoch + 1]))


@each_selector
def test_stopping_early_and_the_best_epoch(selector, make_net, data, tmp_path):
    stopping = EarlyStopping(patience=2, threshold=10.0, threshold_mode="abs")  # nothing is an improvement
    net = make_net(
        selector,
        callbacks=[("best", Checkpoint(dirname=str(tmp_path))), ("stop", stopping)],
        train_split=ValidSplit(4, stratified=True),
        max_epochs=20,
    ).fit(*data)
    assert len(net.history) == 3
    best = int(np.argmin(net.history[:, "valid_loss"]))
    fresh = make_net(selector).initialize()
    fresh.load_params(checkpoint=dict(net.callbacks_)["best"])
    X_valid, y_valid = zip(*net.get_split_datasets(*data)[1], strict=True)
    loss = nn.functional.cross_entropy(fresh.forward(np.stack(X_valid)), torch.from_numpy(np.array(y_valid)))
    assert loss.item() == pytest.approx(net.history[best, "valid_loss"], rel=1e-3)
    assert net.selection_ is None


def test_a_schedule_of_torch_by_updates(make_net, data):
    rates = []

    class Rates(Callback):
        def on_batch_begin(self, net, training=False, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    schedule = LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=10, gamma=0.1, step_every="batch")
    make_net("mms", callbacks=[Rates(), schedule]).fit(*data)
    np.testing.assert_allclose(rates, [0.05] * 10 + [0.005] * 10)


@each_selector
def test_samplers_and_collating_of_the_users_own(selector, make_net, data, watch):
    X, y = data
    sampler = WeightedRandomSampler(np.where(y == 0, 1.0, 0.0), num_samples=96)

    def collate(samples):
        X, y = torch.utils.data.default_collate(samples)
        return 2 * X, y

    net = make_net(selector, watch=watch, iterator_train__sampler=sampler, iterator_train__collate_fn=collate)
    net.set_params(iterator_train__shuffle=False).fit(X, y)
    for (X_batch, y_batch), ids in zip(watch.batches, watch.ids, strict=True):
        assert (y_batch == 0).all()
        np.testing.assert_array_equal(X_batch, 2 * X[ids])


@pytest.mark.slow
@each_selector
def test_a_loader_with_workers(selector, make_net, data, watch):
    X, y = data
    make_net(selector, watch=watch, iterator_train__num_workers=2, max_epochs=1).fit(X, y)
    for (X_batch, y_batch), ids in zip(watch.batches, watch.ids, strict=True):
        np.testing.assert_array_equal(X_batch, X[ids])
        np.testing.assert_array_equal(y_batch, y[ids])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.skipif(importlib.util.find_spec("torch._inductor") is None, reason="torch has no compiler here")
@pytest.mark.parametrize("selector", ["mms", "prune"])
def test_a_compiled_net(selector, make_net, data):
    X, y = data
    net = make_net(selector, compile=True, max_epochs=4, lr=0.1, batch_size=32).fit(X, y)
    assert hasattr(net.module_, "_orig_mod")
    assert net.score(X, y) > 0.7
    plain = net.module_._orig_mod
    with torch.no_grad():
        expected = plain.eval()(torch.from_numpy(X)).softmax(dim=1)
    np.testing.assert_allclose(net.predict_proba(X), expected, rtol=1e-3, atol=1e-5)
    rows = [sum(b["train_batch_size"] for b in epoch["batches"]) for epoch in net.history]
    assert max(rows) == 160


@pytest.mark.parametrize("loader", [DataLoader, TensorLoader])
def test_the_loader_is_the_one_asked_for(loader, make_net, data):
    net = make_net("mms", iterator_train=loader)
    seen = []
    get_iterator = net.get_iterator

    def note(dataset, training=False):
        iterator = get_iterator(dataset, training=training)
        seen.append((type(iterator), training))
        return iterator

    net.get_iterator = note
    net.fit(*map(torch.from_numpy, data))
    assert (loader, True) in seen


# -- on an accelerator ----------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.parametrize(
    "selector", [*SELECTORS, HardestRows(class_balance=True), PruneEasyRows(end=1.0)], ids=str
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
