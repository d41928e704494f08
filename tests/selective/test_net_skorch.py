"""Nets that choose their rows keep the facilities of skorch: callbacks, optimizers, loaders, compiling."""

import importlib.util
import shutil

import numpy as np
import pytest
import torch
from sklearn.base import clone
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

from skalss import TaskNet
from skalss.network.loader import TensorLoader
from skalss.selective import MarginMonitor, PruneEasyRows, SelectiveNetClassifier
from skalss.selective.base import Selection
from skalss.selective.rows import Rows

from .selectors import as_tensors, each_name


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


@each_name
def test_gradients_may_be_accumulated(selector, make_net, data):
    X, y = data
    net = make_net(selector, kind=Accumulating, max_epochs=8, lr=0.1).fit(X, y)
    n_batches = net.history[:, "train_batch_count"]
    assert net.n_steps == sum(n // 2 for n in n_batches)
    assert net.score(X, y) > 0.7
    first = np.mean([b["train_loss"] for b in net.history[0]["batches"]][:1])
    assert 0.1 < first < 3  # half the loss of an untrained net


@each_name
def test_gradients_are_clipped(selector, make_net, data):
    norms = []

    class Norm(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms.append(torch.cat([p.grad.flatten() for _, p in named_parameters]).norm().item())

    callbacks = [("clip", GradientNormClipping(0.05)), ("norm", Norm())]
    net = make_net(selector, callbacks=callbacks).fit(*data)
    assert len(norms) == sum(net.history[:, "train_batch_count"])
    assert max(norms) == pytest.approx(0.05, rel=1e-4)


@each_name
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


@each_name
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


@each_name
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


@each_name
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
@each_name
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
    plain = net.module_._orig_mod  # torch's name for what was compiled
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


# -- nets that are not one module called module_ ---------------------------------------------------


class TwoModules(SelectiveNetClassifier):
    """Makes its modules by itself, and calls them by other names."""

    def initialize_module(self):
        self.body_ = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.top_ = nn.Linear(8, 3)
        return self

    def infer(self, x, **fit_params):
        return self.top_(self.body_(x))


@pytest.mark.parametrize("selector", [None, "mms", "margin", "loss", "hard_negatives", "random", "prune"])
def test_modules_of_other_names(selector, make_net, data):
    X, y = data
    net = make_net(selector, kind=TwoModules, module=None, max_epochs=12, lr=0.2)
    net.set_params(callbacks=[MarginMonitor(warn=False)]).fit(X, y)
    assert net.score(X, y) > 0.8
    assert net.history[-1, "margin_median"] > 0


def test_modules_of_other_names_in_a_task_net(make_net, data):
    model = TaskNet(make_net(kind=TwoModules, module=None, max_epochs=12, lr=0.2), random_state=0)
    model.fit(*data)
    assert model.head_name_ == "top_"
    Z, P = model.features_and_logits(data[0][:4])
    weight, bias = model.head_weight(), model.net_.top_.bias.detach().numpy()
    np.testing.assert_allclose(Z @ weight.T + bias, P, atol=1e-5)
    again = TaskNet(make_net(kind=TwoModules, module=None)).set_state(model.get_state())
    np.testing.assert_allclose(again.predict_proba(data[0]), model.predict_proba(data[0]))


@each_name
def test_outputs_in_training_mode_after_a_fit(selector, make_net, data):
    X, y = data
    net = make_net(selector, iterator_train__shuffle=False).fit(X, y)
    np.testing.assert_allclose(net.forward(X, training=True).detach(), net.forward(X), atol=1e-6)
    assert sum(map(len, net.forward_iter(X, training=True))) == len(X)
    assert all(len(batch) == 2 for batch in net.get_iterator(net.get_dataset(X, y), training=True))


class Doubling(DataLoader):
    def __iter__(self):
        for X, y in super().__iter__():
            yield 2 * X, y


@each_name
def test_a_loader_that_changes_its_batches(selector, make_net, data, watch):
    X, y = data
    make_net(selector, watch=watch, iterator_train=Doubling).fit(X, y)
    for (X_batch, y_batch), ids in zip(watch.batches, watch.ids, strict=True):
        np.testing.assert_array_equal(X_batch, 2 * X[ids])
        np.testing.assert_array_equal(y_batch, y[ids])


@each_name
def test_a_batch_sampler_needs_no_other_setting(selector, make_net, data, watch):
    batches = [list(range(start, start + 20)) for start in (0, 60, 20)]
    net = make_net(selector, watch=watch, iterator_train__batch_sampler=batches)
    net.set_params(iterator_train__shuffle=False).fit(*data)
    assert set(torch.cat(watch.ids).tolist()) <= {i for batch in batches for i in batch}


# -- weights of samples, as skorch's documentation has them ----------------------------------------


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 3)

    def forward(self, rows, sample_weight=None):
        return self.head(rows)


class WeightedNet(SelectiveNetClassifier):
    def get_loss(self, y_pred, y_true, X, *args, **kwargs):
        losses = super().get_loss(y_pred, y_true, X, *args, **kwargs)
        return (X["sample_weight"] * losses).mean()


class FirstGradient(Callback):
    def on_train_begin(self, net, **kwargs):
        self.gradient_ = None

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if self.gradient_ is None:
            self.gradient_ = torch.cat([p.grad.flatten() for _, p in named_parameters])


@pytest.mark.parametrize(
    "selector", ["mms", "margin", "entropy", "loss", "hard_negatives", "random", "prune"]
)
def test_weights_of_samples_count_in_the_gradient(selector, make_net, data):
    X, y = data
    weights = np.random.default_rng(0).exponential(size=len(y)).astype(np.float32) ** 2
    first = FirstGradient()
    net = make_net(
        selector, kind=WeightedNet, module=Weighted, criterion__reduction="none", classes=[0, 1, 2], lr=1e-9
    )
    net.set_params(batch_size=len(y), callbacks=[("first", first)])  # a pool of all rows, all selected
    net.fit({"rows": X, "sample_weight": weights}, y)
    output = net.module_(torch.from_numpy(X))
    losses = nn.functional.cross_entropy(output, torch.from_numpy(y), reduction="none")
    loss = (torch.from_numpy(weights) * losses).mean()
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.module_.parameters()))])
    torch.testing.assert_close(first.gradient_, expected, rtol=1e-3, atol=1e-6)
    net = clone(net).set_params(batch_size=16, lr=0.1, max_epochs=6)
    net.fit({"rows": X, "sample_weight": weights}, y)
    assert np.mean(net.predict({"rows": X, "sample_weight": weights}) == y) > 0.7


def test_rows_that_stay_weigh_more_whatever_the_user_does_with_losses(make_net, data):
    X, y = as_tensors(data)
    net = make_net("prune", kind=WeightedNet, criterion__reduction="none").initialize()
    net.selector_ = PruneEasyRows()
    weights, twice = torch.rand(20), torch.tensor([1.0, 2.0]).repeat(10)
    net.selection_ = Selection(Rows((X[:20], y[:20]), weights=twice))
    output = net.module_(X[:20])
    loss = net.get_loss(output, y[:20], {"sample_weight": weights}, training=True)
    expected = (weights * twice * nn.functional.cross_entropy(output, y[:20], reduction="none")).mean()
    torch.testing.assert_close(loss, expected)
