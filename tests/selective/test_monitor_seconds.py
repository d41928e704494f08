"""MarginMonitor: seconds, what selection cost, the warning, and parameters."""

import pickle
import re
import warnings
from types import SimpleNamespace

import pytest
import torch
from sklearn.base import clone
from skorch.dataset import ValidSplit
from torch import nn

from skalss.selective import HardestRows, MarginMonitor, SelectiveNetRegressor

from .watching import EXACT, fit_monitored


class Clock:
    """Goes on by the same time with every look at it."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self, device=None):
        self.now += self.step
        return self.now


@pytest.fixture
def set_clocks(monkeypatch):
    """Let every choice, every step and every batch loaded take a time of its own."""

    def set_(scoring, training, loading=0.0, recalibrating=0.0):
        monkeypatch.setattr("skalss.selective.net.seconds", Clock(recalibrating))
        for module in ("base", "prune"):
            monkeypatch.setattr(f"skalss.selective.{module}.seconds", Clock(scoring))
        monkeypatch.setattr("skalss.selective.monitor.seconds", Clock(training))
        monkeypatch.setattr("skalss.selective.rows.time", SimpleNamespace(perf_counter=Clock(loading)))
        monkeypatch.setattr("skalss.selective.net.time", SimpleNamespace(perf_counter=Clock(0.0)))

    return set_


# -- seconds and the warning -----------------------------------------------------------------------


def test_seconds_are_added_up_and_give_the_cost(make_net, data, set_clocks):
    set_clocks(scoring=0.5, training=2.0)
    for record in fit_monitored(make_net(HardestRows(**EXACT)), *data):
        assert record["seconds_scoring"] == pytest.approx(10 * 0.5)
        assert record["seconds_training"] == pytest.approx(10 * 2.0)
        assert record["selection_cost"] == pytest.approx(1.25)


def test_averaging_batch_normalisation_anew_is_a_cost(make_net, data, set_clocks):
    set_clocks(scoring=0.5, training=2.0, recalibrating=7.0)
    for record in fit_monitored(make_net(HardestRows(**EXACT)), *data):
        assert record["seconds_scoring"] == pytest.approx(10 * 0.5 + 7.0)
        assert record["selection_cost"] == pytest.approx((20 + 5 + 7) / 20)


def test_the_table_fits_a_line(make_net, data, capsys):
    params = {"train_split": ValidSplit(4), "callbacks": [MarginMonitor(warn=False)], "verbose": 1}
    make_net("mms", **params).fit(*data).partial_fit(*data)
    lines = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out).splitlines()
    assert "selection_cost" in lines[0]
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    "selector", [HardestRows(**EXACT), "random", "prune"], ids=["mms", "random", "prune"]
)
def test_loading_a_batch_as_it_comes_is_no_cost_of_selection(selector, make_net, data, set_clocks):
    set_clocks(scoring=0.5, training=2.0, loading=0.25)
    for record in fit_monitored(make_net(selector), *data):
        assert record["selection_cost"] == pytest.approx((2 + 0.5) / (2 + 0.25), rel=0.02)


def test_a_selection_that_cost_more_than_it_gave_is_told(make_net, data, set_clocks):
    set_clocks(scoring=9.0, training=1.0)
    net = make_net(HardestRows(**EXACT), callbacks=[MarginMonitor()])
    with pytest.warns(
        UserWarning,
        match=r"took 10\.00 times as long .*measured seconds.* only \d\.\d\d times as hard.*'prune' or None",
    ):
        net.fit(*data)


@pytest.mark.parametrize("case", ["pays", "warn=False", "prune", "None", "regressor"])
def test_no_warning_without_a_reason(case, make_net, data, set_clocks):
    set_clocks(scoring=0.0 if case == "pays" else 9.0, training=1.0)
    X, y = data
    monitor = MarginMonitor(warn=case != "warn=False")
    selector = {"prune": "prune", "None": None, "regressor": "loss"}.get(case, HardestRows(**EXACT))
    if case == "regressor":
        net = make_net(
            selector, kind=SelectiveNetRegressor, criterion=nn.MSELoss, module__output_dim=1, lr=0.001
        )
        y = X[:, :1]
    else:
        net = make_net(selector)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.set_params(callbacks=[monitor]).fit(X, y)


def test_the_balance_is_that_of_the_epochs_with_selection(make_net, data, set_clocks):
    """Uniform epochs cost nothing and give nothing; they must not hide that the others did not pay."""
    set_clocks(scoring=9.0, training=1.0)
    net = make_net(HardestRows(when="always", end=0.25), callbacks=[MarginMonitor()], max_epochs=8)
    with pytest.warns(UserWarning, match=r"took 10\.00 times as long"):
        net.fit(*data)
    with warnings.catch_warnings():  # a training without selection has nothing to tell
        warnings.simplefilter("error")
        net.set_params(selector=None).partial_fit(*data)


# -- parameters ------------------------------------------------------------------------------------


def test_clone_and_pickle(make_net, data):
    assert clone(MarginMonitor(warn=False)).get_params() == {"warn": False}
    net = make_net("mms", callbacks=[("monitor", MarginMonitor())], callbacks__monitor__warn=False).fit(*data)
    again = pickle.loads(pickle.dumps(net)).partial_fit(*data)
    assert len(again.history[:, "margin_median"]) == 4


def test_a_monitor_does_not_carry_the_network_along(make_net, data):
    """skorch moves the weights of a net to the device that is there; a second copy would stay behind."""
    net = make_net(
        "mms", module__hidden_layer_sizes=(10_000,), callbacks=[("monitor", MarginMonitor(warn=False))]
    )
    net.fit(*data)
    assert len(pickle.dumps(dict(net.callbacks_)["monitor"])) < 20_000


@pytest.mark.gpu
def test_on_an_accelerator(make_net, data):
    accelerator = torch.accelerator.current_accelerator()
    for selector in ("mms", "prune", None):
        net = make_net(selector, device=accelerator.type)
        for record in fit_monitored(net, *data):
            assert sum(record["class_counts"]) == sum(
                b["train_batch_size"] for b in net.history[0]["batches"]
            )
            assert record["margin_median"] > 0
