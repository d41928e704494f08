import json
import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch import NeuralNetClassifier
from skorch.dataset import ValidSplit
from skorch.history import History
from torch import nn

from skalss.network.loader import TensorLoader
from skalss.selective import (
    HardestRows,
    MarginMonitor,
    Selection,
    SelectiveNetBinaryClassifier,
    SelectiveNetRegressor,
)
from skalss.selective.monitor import COLUMNS
from skalss.selective.rows import Rows

EXACT = {"when": "always", "end": 1.0, "score_dtype": "float32"}
IDENTITY = torch.eye(3, 5)


class Linear(nn.Module):
    """Logits are the first three columns: what a row says can be read off it."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 3, bias=False)
        with torch.no_grad():
            self.head.weight.copy_(IDENTITY)

    def forward(self, X):
        return self.head(X)


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

    def set_(scoring, training, loading=0.0):
        for module in ("base", "prune"):
            monkeypatch.setattr(f"skalss.selective.{module}.seconds", Clock(scoring))
        monkeypatch.setattr("skalss.selective.monitor.seconds", Clock(training))
        monkeypatch.setattr("skalss.selective.rows.time", SimpleNamespace(perf_counter=Clock(loading)))
        monkeypatch.setattr("skalss.selective.net.time", SimpleNamespace(perf_counter=Clock(0.0)))

    return set_


def fit(net, X, y, watch=None, **params):
    """Fit with a monitor that does not warn; give the records of the epochs."""
    callbacks = [("monitor", MarginMonitor(warn=False)), *([] if watch is None else [("watch", watch)])]
    net.set_params(callbacks=callbacks, **params)
    net.fit(X, y)
    return [{name: epoch[name] for name in COLUMNS} for epoch in net.history]


def numbers_by_hand(selections):
    """The columns of an epoch, row by row, in double precision. The weights are those of `Linear`."""
    smallest, medians, wrong, wrong_picked, pulls, pulls_picked, counts = (
        [],
        [],
        [],
        [],
        [],
        [],
        np.zeros(3, int),
    )
    for selection in selections:
        X, y = (a.double().numpy() for a in selection.rows.batch)
        z = X[:, :3]
        top = np.sort(z, axis=1)[:, ::-1]
        margins = (top[:, 0] - top[:, 1]) / np.sqrt(2)
        smallest.append(np.sort(margins)[:10].mean())
        medians.append(np.sort(margins)[(len(margins) - 1) // 2])
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        pull = np.linalg.norm(p - np.eye(3)[y.astype(int)], axis=1)
        error = z.argmax(axis=1) != y
        picked = slice(None) if selection.picked is None else selection.picked.numpy()
        wrong += error.tolist()
        pulls += pull.tolist()
        size = len(y)  # each update counts with the rows of its pool
        wrong_picked.append((size, error[picked].mean()))
        pulls_picked.append((size, pull[picked].mean()))
        counts += np.bincount(y[picked].astype(int), minlength=3)

    def average(sized):
        sizes, values = np.array(sized).T
        return (sizes * values).sum() / sizes.sum()

    return {
        "margin_smallest": np.mean(smallest),
        "margin_median": np.mean(medians),
        "error_pool": np.mean(wrong),
        "error_selected": average(wrong_picked),
        "selection_gain": average(pulls_picked) / np.mean(pulls),
        "class_counts": counts.tolist(),
    }


@pytest.mark.parametrize(
    "selector", [HardestRows(**EXACT), HardestRows("loss", **EXACT), None], ids=["mms", "loss", "None"]
)
def test_every_column_by_hand(selector, make_net, data, watch):
    y = data[1]
    X = np.random.default_rng(0).standard_normal((160, 5)).astype(np.float32)
    X[:, :3] += 2 * np.eye(3, dtype=np.float32)[y]
    net = make_net(selector, module=Linear, lr=0.0)
    records = fit(net, X, y, watch)
    selections = watch.selections
    if selector is None:
        selections = [Selection(Rows(batch)) for batch in watch.batches]
    for e, record in enumerate(records):
        expected = numbers_by_hand([s for s, i in zip(selections, watch.epochs, strict=True) if i == e + 1])
        for name, value in expected.items():
            np.testing.assert_allclose(record[name], value, rtol=1e-4, err_msg=name)
        assert sum(record["class_counts"]) == 160
    if selector is None:
        assert record["error_pool"] == record["error_selected"] > 0
        assert record["selection_gain"] == pytest.approx(1.0)
        assert record["rows_used"] is None
    else:
        assert record["error_selected"] > record["error_pool"] > 0
        assert record["selection_gain"] > 1.1


def test_rows_used_grows_to_all(make_net, data, watch):
    net = make_net(HardestRows(**EXACT), max_epochs=4)
    records = fit(net, *data, watch)
    used = set()
    for e, record in enumerate(records):
        used |= {
            i
            for ids, epoch in zip(watch.ids, watch.epochs, strict=True)
            if epoch == e + 1
            for i in ids.tolist()
        }
        assert record["rows_used"] == pytest.approx(len(used) / 160)
    assert 0 < records[0]["rows_used"] < records[-1]["rows_used"] < 1
    everything = fit(make_net("random"), *data, selector__pool_factor=1)
    assert [record["rows_used"] for record in everything] == [1.0, 1.0]


def test_rows_used_is_counted_anew_by_each_training(make_net, data, watch):
    X, y = data
    net = make_net(HardestRows(**EXACT), max_epochs=1)
    fit(net, X, y, watch)
    for n_rows in (160, 40, 160):
        net.partial_fit(X[:n_rows], y[:n_rows])
        assert net.history[-1, "rows_used"] == pytest.approx(len(torch.cat(watch.ids).unique()) / n_rows)


@pytest.mark.parametrize(
    "selector", ["mms", "margin", "entropy", "loss", "hard_negatives", "random", "prune", None]
)
def test_every_selector_is_watched(selector, make_net, data):
    """Classes add up to the rows trained on, and each number is one."""
    net = make_net(selector, max_epochs=4)
    for record, epoch in zip(fit(net, *data), net.history, strict=True):
        n_rows = sum(batch["train_batch_size"] for batch in epoch["batches"])
        assert sum(record["class_counts"]) == n_rows
        for name in ("margin_smallest", "margin_median", "error_pool", "error_selected", "selection_gain"):
            assert np.isfinite(record[name]), name
        assert 0 < record["margin_smallest"] < record["margin_median"]
        assert 0 <= record["error_pool"] <= 1
        assert record["seconds_training"] > 0
        assert record["selection_cost"] > 0
        assert (record["seconds_scoring"] > 0) == (selector is not None)
        assert (record["rows_used"] is None) == (selector is None)


@pytest.mark.parametrize("selector", ["random", "prune"])
def test_unselected_rows_are_as_hard_as_any(selector, make_net, data):
    """The pool of these is not scored: what is said of it is what is known of the rows trained on."""
    for record in fit(make_net(selector, max_epochs=1), *data):
        assert record["selection_gain"] == pytest.approx(1.0)
        assert record["error_pool"] == pytest.approx(record["error_selected"])


def test_a_plain_skorch_net_is_watched(make_net, data):
    plain = fit(make_net("plain", kind=NeuralNetClassifier), *data)
    torch.manual_seed(0)
    plain = fit(make_net("plain", kind=NeuralNetClassifier), *data)
    torch.manual_seed(0)
    none = fit(make_net(None), *data)
    untimed = [name for name in COLUMNS if "seconds" not in name]
    assert [{n: r[n] for n in untimed} for r in plain] == [{n: r[n] for n in untimed} for r in none]
    assert plain[0]["selection_cost"] == 1


@pytest.mark.parametrize("selector", ["mms", "prune", None])
def test_watching_changes_nothing(selector, make_net, data, assert_same_weights):
    module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
    nets = []
    for watched in (False, True):
        torch.manual_seed(0)
        net = make_net(selector, module=pickle.loads(pickle.dumps(module)), max_epochs=4)
        if watched:
            fit(net, *data)
        else:
            net.fit(*data)
        nets.append(net)
    assert_same_weights(*nets)


def test_a_regressor_has_seconds_but_no_margins(make_net, data):
    X, _ = data
    net = make_net("loss", kind=SelectiveNetRegressor, criterion=nn.MSELoss, module__output_dim=1, lr=0.001)
    for record in fit(net, X, X[:, :1]):
        nothing = {"margin_smallest", "margin_median", "error_pool", "error_selected", "class_counts"}
        assert {name for name, value in record.items() if value is None} == nothing | {"selection_gain"}
        assert record["seconds_scoring"] > 0
        assert 0 < record["rows_used"] <= 1


@pytest.mark.parametrize("selector", ["mms", None])
def test_a_binary_net_of_one_logit(selector, make_net, data):
    X, y = data
    net = make_net(
        selector,
        kind=SelectiveNetBinaryClassifier,
        criterion=nn.BCEWithLogitsLoss,
        module__output_dim=1,
        module__hidden_layer_sizes=(),
        lr=0.0,
        max_epochs=1,
        iterator_train__shuffle=False,
        batch_size=160,
    )
    (record,) = fit(net, X, (y > 0).astype(np.float32))
    with torch.no_grad():
        z = net.module_(torch.from_numpy(X)).reshape(-1)
    margins = (z.abs() / net.module_.head.weight.detach().norm()).sort().values
    assert record["margin_smallest"] == pytest.approx(margins[:10].mean().item(), rel=1e-4)
    assert record["margin_median"] == pytest.approx(margins[79].item(), rel=1e-4)
    assert record["error_pool"] == pytest.approx(np.mean((z > 0).numpy() != (y > 0)))
    assert record["class_counts"] == np.bincount(y > 0).tolist()


def test_probabilities_are_read_as_their_logits(make_net, data):
    class Softmax(Linear):
        def forward(self, X):
            return super().forward(X).softmax(dim=1)

    records = []
    for module, criterion in ((Linear, nn.CrossEntropyLoss), (Softmax, nn.NLLLoss)):
        torch.manual_seed(0)
        net = make_net(HardestRows(**EXACT), module=module, criterion=criterion, lr=0.0)
        records.append(fit(net, data[0] / 4, data[1]))
    for logits, probabilities in zip(*records, strict=True):
        for name in ("margin_smallest", "margin_median", "error_pool", "error_selected", "selection_gain"):
            assert probabilities[name] == pytest.approx(logits[name], rel=1e-3)


def test_parameters_of_fit_reach_the_module_that_is_watched(make_net, data):
    class Scaled(Linear):
        def forward(self, X, scale):
            return scale * super().forward(X)

    for selector in ("mms", "prune", None):
        net = make_net(selector, module=Scaled, callbacks=[MarginMonitor(warn=False)])
        net.fit(*data, scale=2.0)
        assert net.history[-1, "margin_median"] > 0


def test_validation_rows_are_not_counted(make_net, data):
    records = fit(make_net(HardestRows(**EXACT), train_split=ValidSplit(4, stratified=True)), *data)
    assert [sum(record["class_counts"]) for record in records] == [128, 128]


@pytest.mark.parametrize("selector", ["mms", "prune", "random"])
@pytest.mark.parametrize("loader", ["tensors", "function"])
def test_rows_used_needs_positions(selector, loader, make_net, data):
    def function(dataset, **kwargs):
        return torch.utils.data.DataLoader(dataset, **kwargs)

    if selector == "prune" and loader == "function":
        pytest.skip("refused")
    net = make_net(selector, iterator_train=TensorLoader if loader == "tensors" else function)
    record = fit(net, *map(torch.from_numpy, data))[-1]
    assert (record["rows_used"] is None) == (loader == "function")


def test_the_history_goes_to_a_file_and_back(make_net, data, tmp_path):
    for i, selector in enumerate(["mms", "prune", None]):
        net = make_net(selector)
        fit(net, *data)
        net.history.to_file(str(tmp_path / f"{i}.json"))
        assert History.from_file(str(tmp_path / f"{i}.json"))[:, COLUMNS] == net.history[:, COLUMNS]
        json.dumps(net.history.to_list(), allow_nan=False)


# -- seconds and the warning ----------------------------------------------------------------------


def test_seconds_are_added_up_and_give_the_cost(make_net, data, set_clocks):
    set_clocks(scoring=0.5, training=2.0)
    for record in fit(make_net(HardestRows(**EXACT)), *data):
        assert record["seconds_scoring"] == pytest.approx(10 * 0.5)
        assert record["seconds_training"] == pytest.approx(10 * 2.0)
        assert record["selection_cost"] == pytest.approx(1.25)


@pytest.mark.parametrize(
    "selector", [HardestRows(**EXACT), "random", "prune"], ids=["mms", "random", "prune"]
)
def test_loading_a_batch_as_it_comes_is_no_cost_of_selection(selector, make_net, data, set_clocks):
    set_clocks(scoring=0.5, training=2.0, loading=0.25)
    for record in fit(make_net(selector), *data):
        assert record["selection_cost"] == pytest.approx((2 + 0.5) / (2 + 0.25), rel=0.02)


def test_a_selection_that_cost_more_than_it_gave_is_told(make_net, data, set_clocks):
    set_clocks(scoring=9.0, training=1.0)
    net = make_net(HardestRows(**EXACT), callbacks=[MarginMonitor()])
    with pytest.warns(
        UserWarning, match=r"took 10\.00 times as long .* only \d\.\d\d times as hard.*'prune' or None"
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


# -- parameters -----------------------------------------------------------------------------------


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
        for record in fit(net, *data):
            assert sum(record["class_counts"]) == sum(
                b["train_batch_size"] for b in net.history[0]["batches"]
            )
            assert record["margin_median"] > 0
