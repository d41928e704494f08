"""CosineLR: to 0 in the steps that there are, and anew in each training."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback, Checkpoint
from torch.utils.data import DataLoader

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.nets import MLP, net_classifier
from skalss.network.epochs import Pseudo
from skalss.schedules import CosineLR
from skalss.selective import SelectiveNetClassifier

X, Y = make_blobs(90, n_features=4, centers=3, random_state=0)
X = X.astype(np.float32)
LR = 0.05


class Rates(Callback):
    """Notes the learning rate of each update."""

    def on_train_begin(self, net, **kwargs):
        self.trainings = [*getattr(self, "trainings", []), []]

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.trainings[-1].append(net.optimizer_.param_groups[0]["lr"])


def make_net(warmup=0.0, make=net_classifier, callbacks=(), **params):
    params = {"lr": LR, "batch_size": 16, "max_epochs": 3, "train_split": None, "verbose": 0, **params}
    return make(MLP, callbacks=[("lr", CosineLR(warmup)), ("rates", Rates()), *callbacks], **params)


def trainings(model):
    return dict(model.net_.callbacks_)["rates"].trainings


def cosine(n):
    return LR * (1 + np.cos(np.pi * np.arange(n) / n)) / 2


@pytest.mark.parametrize(
    ("params", "n_steps"),
    [
        ({}, 18),
        ({"max_epochs": 7}, 42),
        ({"batch_size": 89}, 3),  # the lone last row joins
        ({"batch_size": -1}, 3),
        ({"iterator_train__drop_last": True}, 15),
        ({"iterator_train": DataLoader, "iterator_train__num_workers": 0}, 18),
    ],
    ids=str,
)
def test_the_rate_falls_to_zero_in_the_steps_that_there_are(params, n_steps):
    model = TaskNet(make_net(**params), random_state=0).fit(X, Y)
    np.testing.assert_allclose(trainings(model)[0], cosine(n_steps), rtol=1e-6)


def test_it_knows_of_longer_epochs_and_pseudo_labels():
    longer = TaskNet(make_net(), min_epoch_rows=200).fit(X, Y)
    np.testing.assert_allclose(trainings(longer)[0], cosine(3 * 13), rtol=1e-6)
    mixed = TaskNet(make_net()).fit_rows(X[:20], Y[:20], pseudo=Pseudo(X, Y, until=0.5))
    np.testing.assert_allclose(trainings(mixed)[0], cosine(3 * 32), rtol=1e-6)


def test_it_rises_first():
    rates = trainings(TaskNet(make_net(warmup=0.5)).fit(X, Y))[0]
    np.testing.assert_allclose(rates[1:9], LR * np.arange(1, 9) / 9, rtol=1e-6)
    assert 0 < rates[0] < rates[1]
    np.testing.assert_allclose(rates[9:], cosine(9), rtol=1e-6)
    for warmup in (0.0, 0.5, 1.0):
        assert 0 <= CosineLR(warmup).scale(1.0) <= 1


def test_it_begins_anew_with_each_training():
    model = TaskNet(make_net(), warm_start=True).fit(X, Y)
    model.partial_fit(X[:40], Y[:40])
    model.fit(X, Y)
    for rates, n in zip(trainings(model), (18, 9, 18), strict=True):
        np.testing.assert_allclose(rates, cosine(n), rtol=1e-6)
    copy = pickle.loads(pickle.dumps(model)).fit(X, Y)
    np.testing.assert_allclose(trainings(copy)[-1], cosine(18), rtol=1e-6)
    copy.net_.set_params(lr=LR / 2)
    np.testing.assert_allclose(trainings(copy.fit(X, Y))[-1], cosine(18) / 2, rtol=1e-6)


class BreaksOff(Callback):
    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == 3 and len(net.history[-1]["batches"]) == 2:
            raise RuntimeError("power cut")


def test_it_begins_anew_after_a_training_that_broke_off():
    model = TaskNet(make_net(callbacks=[("off", BreaksOff())]), warm_start=True)
    with pytest.raises(RuntimeError, match="power cut"):
        model.fit(X, Y)
    model.net_.callbacks_ = [pair for pair in model.net_.callbacks_ if pair[0] != "off"]
    np.testing.assert_allclose(trainings(model.fit(X, Y))[-1], cosine(18), rtol=1e-6)


def test_it_begins_anew_with_the_optimizer_of_a_checkpoint(tmp_path):
    checkpoint = Checkpoint(monitor=lambda net: len(net.history) == 2, load_best=True, dirname=str(tmp_path))
    model = TaskNet(make_net(callbacks=[("best", checkpoint)]), warm_start=True).fit(X, Y)
    np.testing.assert_allclose(trainings(model.fit(X, Y))[-1], cosine(18), rtol=1e-6)


def test_all_parameter_groups_fall_alike():
    groups = [("head*", {"lr": 10 * LR})]
    net = make_net(optimizer=torch.optim.SGD, optimizer__param_groups=groups)
    model = TaskNet(net).fit(X, Y)
    np.testing.assert_allclose(trainings(model)[0], 10 * cosine(18), rtol=1e-6)
    assert [group["lr"] for group in model.net_.optimizer_.param_groups] == [10 * LR, LR]


@pytest.mark.parametrize("warm_start", [False, True])
def test_each_round_of_a_campaign_falls_to_zero(warm_start):
    sampler = AdaptiveLatentSampler(
        TaskNet(make_net(), warm_start=warm_start),
        strategy="margin",
        n_initial=32,
        n_per_round=16,
        max_labels=64,
        random_state=0,
    ).fit(X, Y)
    rounds = trainings(sampler.estimator_)
    assert len(rounds) == (3 if warm_start else 1)
    for rates, n_labels in zip(reversed(rounds), (64, 48, 32), strict=False):
        np.testing.assert_allclose(rates, cosine(3 * n_labels // 16), rtol=1e-6)


@pytest.mark.parametrize("selector", [None, "mms", "random"])
def test_selective_nets(selector):
    net = make_net(make=SelectiveNetClassifier, selector=selector, criterion=torch.nn.CrossEntropyLoss)
    rates = trainings(TaskNet(net, random_state=0).fit(X, Y))[0]
    np.testing.assert_allclose(rates, cosine(18), rtol=1e-6)


def test_the_later_of_two_schedules_wins():
    net = make_net(callbacks=[("other", CosineLR(0.5))])
    model = TaskNet(net, warm_start=True).fit(X, Y).fit(X, Y)
    for rates in trainings(model):
        np.testing.assert_allclose(rates[9:], cosine(9), rtol=1e-6)


def test_settings():
    assert clone(CosineLR(0.3)).get_params() == {"warmup": 0.3}
    with pytest.raises(ValueError, match=r"warmup must lie in \[0, 1\], got 2"):
        TaskNet(make_net(warmup=2)).fit(X, Y)
