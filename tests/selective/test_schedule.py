import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from skalss.nets import MLP
from skalss.network.loader import TensorLoader
from skalss.selective import EarlyDropLR, PruneEasyRows


class Rates(Callback):
    """Keeps the learning rates of every update, group by group, at the time of the step."""

    def on_train_begin(self, net, **kwargs):
        self.rates, self.epochs = [], []

    def on_grad_computed(self, net, *args, **kwargs):
        self.rates.append([group["lr"] for group in net.optimizer_.param_groups])
        self.epochs.append(len(net.history))


def fit(net, X, y, schedule, method="fit"):
    rates = Rates()
    net.set_params(callbacks=[("schedule", schedule), ("rates", rates)])
    getattr(net, method)(X, y)
    return np.array(rates.rates), np.array(rates.epochs)


# -- the shape ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("progress", "scale"),
    [
        (0.0, 0.001),
        (0.00001, 0.001),
        (0.05, 0.5),
        (0.0999, 0.999),
        (0.1, 1.0),
        (0.4999, 1.0),
        (0.5, 0.1),
        (0.74, 0.1),
        (0.75, 0.01),
        (1.0, 0.01),
    ],
)
def test_scale_of_drops_by_hand(progress, scale):
    assert EarlyDropLR(drops=(0.5, 0.75), factor=0.1, warmup=0.1).scale(progress) == pytest.approx(scale)


@pytest.mark.parametrize(
    ("progress", "scale"),
    [
        (0.0, 0.001),
        (0.1, 0.5),
        (0.2, 1.0),
        (0.4, 0.75),
        (0.6, 0.5),
        (0.9, 0.125),
        (0.9999, 0.001),
        (1.0, 0.001),
    ],
)
def test_scale_of_a_linear_fall_by_hand(progress, scale):
    assert EarlyDropLR(warmup=0.2).scale(progress) == pytest.approx(scale)


@pytest.mark.parametrize("warmup", [0.0, 0.1, 1.0])
def test_the_scale_is_never_zero_nor_above_one(warmup):
    for drops in ("linear", (0.5, 0.7)):
        scales = [EarlyDropLR(drops, warmup=warmup).scale(p) for p in np.linspace(0, 1, 101)]
        assert min(scales) > 0
        assert max(scales) == 1 or warmup == 1.0
        assert max(scales) <= 1


def test_without_warmup_or_drops_the_rate_stays():
    constant = EarlyDropLR(drops=(), warmup=0.0)
    assert {constant.scale(p) for p in np.linspace(0, 1, 11)} == {1.0}
    assert EarlyDropLR(drops=(0.5,), factor=0.5, warmup=0.0).scale(0.0) == 1.0
    assert EarlyDropLR(drops=[1.0], factor=0.5).scale(1.0) == 0.5


def test_published_drops():
    """A tenth after 24,992, 27,335 and 29,678 updates of 64 rows, in epochs of 50,000 rows; 40 in all."""
    schedule = EarlyDropLR.paper()
    assert (schedule.factor, schedule.warmup) == (0.1, 0.0)
    updates = 40 * 50_000 / 64
    for update, before, after in ((24_992, 1, 0.1), (27_335, 0.1, 0.01), (29_678, 0.01, 0.001)):
        assert schedule.scale((update - 100) / updates) == pytest.approx(before)
        assert schedule.scale((update + 100) / updates) == pytest.approx(after)


# -- the rates of a training ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "loader"),
    [("plain", DataLoader), (None, TensorLoader), ("mms", DataLoader), ("random", TensorLoader)],
)
@pytest.mark.parametrize(
    "schedule", [EarlyDropLR(), EarlyDropLR((0.5, 0.8), factor=0.1, warmup=0.2)], ids=["linear", "drops"]
)
def test_the_rate_of_each_update_follows_the_scale(schedule, selector, loader, make_net, data):
    kind = {"kind": NeuralNetClassifier} if selector == "plain" else {}
    net = make_net(selector, max_epochs=4, iterator_train=loader, **kind)
    rates, _ = fit(net, *map(torch.from_numpy, data), schedule)
    expected = [0.05 * schedule.scale(i / 40) for i in range(40)]
    np.testing.assert_allclose(rates[:, 0], expected, rtol=1e-9)
    assert len(set(rates[:, 0])) >= 6


def test_a_pruned_epoch_ends_early_but_the_next_starts_in_time(make_net, data):
    net = make_net(PruneEasyRows(end=1.0), max_epochs=12)
    schedule = EarlyDropLR(drops=(0.5, 0.75), factor=0.1, warmup=0.0)
    rates, epochs = fit(net, *data, schedule)
    assert set(rates[epochs <= 6, 0]) == {0.05}
    np.testing.assert_allclose(rates[(epochs > 6) & (epochs <= 9), 0], 0.005)
    np.testing.assert_allclose(rates[epochs > 9, 0], 0.0005)
    assert len(rates) < 120


def test_each_parameter_group_keeps_its_proportion(make_net, data):
    net = make_net("mms", optimizer__param_groups=[("head*", {"lr": 0.5})], max_epochs=4)
    schedule = EarlyDropLR(drops=(0.5,), factor=0.1, warmup=0.1)
    rates, _ = fit(net, *data, schedule)
    scales = np.array([schedule.scale(i / 40) for i in range(40)])
    np.testing.assert_allclose(np.sort(rates, axis=1), np.outer(scales, [0.05, 0.5]), rtol=1e-9)


def test_every_optimizer_of_a_net_is_scheduled(make_net, data):
    class Two(NeuralNetClassifier):
        def initialize_optimizer(self, *args, **kwargs):
            super().initialize_optimizer(*args, **kwargs)
            self.second_ = torch.optim.SGD(self.module_.head.parameters(), lr=0.2)
            return self

    seen = []

    class Second(Callback):
        def on_grad_computed(self, net, *args, **kwargs):
            seen.append(net.second_.param_groups[0]["lr"])

    net = make_net("plain", kind=Two, max_epochs=2)
    net.set_params(callbacks=[("s", EarlyDropLR(drops=(0.5,), factor=0.1, warmup=0.0)), ("seen", Second())])
    net.fit(*data)
    assert set(seen[:10]) == {0.2}
    np.testing.assert_allclose(seen[-10:], 0.02)


@pytest.mark.parametrize("kind", ["plain", "mms"])
def test_rates_are_given_back_and_a_further_training_starts_anew(kind, make_net, data):
    net = make_net(kind, max_epochs=2, **({"kind": NeuralNetClassifier} if kind == "plain" else {}))
    rates = Rates()
    net.set_params(callbacks=[("schedule", EarlyDropLR()), ("rates", rates)])
    net.partial_fit(*data)
    first = rates.rates
    assert net.optimizer_.param_groups[0]["lr"] == 0.05
    net.partial_fit(*data)
    assert rates.epochs == [3] * 10 + [4] * 10
    assert rates.rates == first
    assert net.optimizer_.param_groups[0]["lr"] == 0.05


def test_the_epochs_asked_of_partial_fit_count(make_net, data):
    net = make_net("mms", max_epochs=50)
    rates = Rates()
    net.set_params(
        callbacks=[("schedule", EarlyDropLR(drops=(0.5,), factor=0.1, warmup=0.0)), ("rates", rates)]
    )
    net.partial_fit(*data, epochs=4)
    np.testing.assert_allclose(np.array(rates.rates)[:, 0], [0.05] * 20 + [0.005] * 20)


@pytest.mark.parametrize("params", [{"batch_size": -1}, {"batch_size": 1000}])
def test_one_update_an_epoch(params, make_net, data):
    schedule = EarlyDropLR(drops=(0.5,), factor=0.1, warmup=0.0)
    rates, _ = fit(make_net("mms", max_epochs=4, **params), *data, schedule)
    np.testing.assert_allclose(rates[:, 0], [0.05, 0.05, 0.005, 0.005])


def test_a_batch_size_of_the_loader_alone(make_net, data):
    schedule = EarlyDropLR(drops=(0.5,), factor=0.1, warmup=0.0)
    net = make_net("mms", max_epochs=1, batch_size=128, iterator_train__batch_size=16)
    rates, _ = fit(net, *data, schedule)
    np.testing.assert_allclose(rates[:, 0], [0.05] * 5 + [0.005] * 5)


def test_rows_held_out_do_not_count(make_net, data):
    schedule = EarlyDropLR(drops=(0.5,), factor=0.1, warmup=0.0)
    rates, _ = fit(make_net("mms", train_split=ValidSplit(2, stratified=True), max_epochs=1), *data, schedule)
    np.testing.assert_allclose(rates[:, 0], [0.05] * 3 + [0.005] * 2)  # 80 rows


def test_a_stream_is_as_long_as_the_epoch_before(make_net, data):
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(list(zip(*data, strict=True)))

    net = make_net("mms", max_epochs=3, classes=[0, 1, 2], iterator_train__shuffle=False)
    schedule = EarlyDropLR(drops=(0.5,), factor=0.1, warmup=0.0)
    rates, epochs = fit(net, Stream(), None, schedule)
    assert set(rates[epochs == 1, 0]) == {0.05}
    np.testing.assert_allclose(rates[epochs == 2, 0], [0.05] * 5 + [0.005] * 5)
    np.testing.assert_allclose(rates[epochs == 3, 0], 0.005)


def test_rates_are_given_back_after_ctrl_c(make_net, data):
    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    net = make_net("mms")
    net.set_params(callbacks=[("schedule", EarlyDropLR(warmup=1.0)), ("interrupt", Interrupt())]).fit(*data)
    assert len(net.history) == 1
    assert net.optimizer_.param_groups[0]["lr"] == 0.05


# -- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"drops": (0.5, 1.2)}, ValueError, r"drops must lie in \[0, 1\], got 1\.2"),
        ({"drops": (0.7, 0.5)}, ValueError, r"drops must ascend, got .*drops=\(0\.7, 0\.5\)"),
        ({"drops": ("half",)}, TypeError, "drops must be a finite number .*, got 'half'"),
        ({"drops": 0.5}, (TypeError, ValueError), "drops"),
        (
            {"drops": "cosine"},
            ValueError,
            r"drops must be one of \['linear'\] or shares of the training, got 'cosine'",
        ),
        ({"drops": (0.5,), "factor": 0}, ValueError, "factor must be above 0 .* got factor=0"),
        ({"drops": (0.5,), "factor": -0.1}, ValueError, r"factor must be above 0 .* got factor=-0\.1"),
        ({"factor": "0.1"}, TypeError, r"factor must be a finite number, got '0\.1'"),
        ({"factor": float("inf")}, ValueError, "factor must be a finite number, got inf"),
        ({"warmup": 2}, ValueError, r"warmup must lie in \[0, 1\], got 2"),
        ({"warmup": None}, TypeError, "warmup must be a finite number .*, got None"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused_before_training(params, error, match, make_net, data):
    net = make_net("mms", callbacks=[EarlyDropLR(**params)])
    with pytest.raises(error, match=match):
        net.fit(*data)
    assert len(net.history) == 0


def test_parameters_are_set_through_the_net_and_cloned(make_net, data):
    net = make_net("mms", callbacks=[("schedule", EarlyDropLR())], callbacks__schedule__warmup=0.5)
    net.fit(*data)
    assert dict(net.callbacks_)["schedule"].warmup == 0.5
    schedule = EarlyDropLR(drops=(0.1,), factor=0.3, warmup=0.0)
    assert clone(schedule).get_params() == {"drops": (0.1,), "factor": 0.3, "warmup": 0.0}
    again = pickle.loads(pickle.dumps(net))
    assert again.partial_fit(*data).optimizer_.param_groups[0]["lr"] == 0.05


def test_other_optimizers_are_scheduled_too(make_net, data):
    net = NeuralNetClassifier(
        MLP,
        module__input_dim=5,
        module__output_dim=3,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.LBFGS,
        lr=0.1,
        max_epochs=2,
        batch_size=80,
        train_split=None,
        verbose=0,
    )
    rates, epochs = fit(net, *data, EarlyDropLR(drops=(0.5,), factor=0.1, warmup=0.0))
    assert set(rates[epochs == 1, 0]) == {0.1}
    np.testing.assert_allclose(rates[epochs == 2, 0], 0.01)
