"""MarginMonitor: what it writes into the history, by hand."""

import json
import pickle

import numpy as np
import pytest
import torch
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

from .watching import EXACT, fit_monitored

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
    records = fit_monitored(net, X, y, watch)
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
    records = fit_monitored(net, *data, watch)
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
    everything = fit_monitored(make_net("random"), *data, selector__pool_factor=1)
    assert [record["rows_used"] for record in everything] == [1.0, 1.0]


def test_rows_used_is_counted_anew_by_each_training(make_net, data, watch):
    X, y = data
    net = make_net(HardestRows(**EXACT), max_epochs=1)
    fit_monitored(net, X, y, watch)
    for n_rows in (160, 40, 160):
        net.partial_fit(X[:n_rows], y[:n_rows])
        assert net.history[-1, "rows_used"] == pytest.approx(len(torch.cat(watch.ids).unique()) / n_rows)


@pytest.mark.parametrize(
    "selector", ["mms", "margin", "entropy", "loss", "hard_negatives", "random", "prune", None]
)
def test_every_selector_is_watched(selector, make_net, data):
    """Classes add up to the rows trained on, and each number is one."""
    net = make_net(selector, max_epochs=4)
    for record, epoch in zip(fit_monitored(net, *data), net.history, strict=True):
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
    for record in fit_monitored(make_net(selector, max_epochs=1), *data):
        assert record["selection_gain"] == pytest.approx(1.0)
        assert record["error_pool"] == pytest.approx(record["error_selected"])


def test_a_plain_skorch_net_is_watched(make_net, data):
    plain = fit_monitored(make_net("plain", kind=NeuralNetClassifier), *data)
    torch.manual_seed(0)
    plain = fit_monitored(make_net("plain", kind=NeuralNetClassifier), *data)
    torch.manual_seed(0)
    none = fit_monitored(make_net(None), *data)
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
            fit_monitored(net, *data)
        else:
            net.fit(*data)
        nets.append(net)
    assert_same_weights(*nets)


def test_a_regressor_has_seconds_but_no_margins(make_net, data):
    X, _ = data
    net = make_net("loss", kind=SelectiveNetRegressor, criterion=nn.MSELoss, module__output_dim=1, lr=0.001)
    for record in fit_monitored(net, X, X[:, :1]):
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
    (record,) = fit_monitored(net, X, (y > 0).astype(np.float32))
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
        records.append(fit_monitored(net, data[0] / 4, data[1]))
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
    records = fit_monitored(make_net(HardestRows(**EXACT), train_split=ValidSplit(4, stratified=True)), *data)
    assert [sum(record["class_counts"]) for record in records] == [128, 128]


@pytest.mark.parametrize("selector", ["mms", "prune", "random"])
@pytest.mark.parametrize("loader", ["tensors", "function"])
def test_rows_used_needs_positions(selector, loader, make_net, data):
    def function(dataset, **kwargs):
        return list(torch.utils.data.DataLoader(dataset, **kwargs))

    if selector == "prune" and loader == "function":
        pytest.skip("refused")
    net = make_net(selector, iterator_train=TensorLoader if loader == "tensors" else function)
    record = fit_monitored(net, *map(torch.from_numpy, data))[-1]
    assert (record["rows_used"] is None) == (loader == "function")


def test_the_history_goes_to_a_file_and_back(make_net, data, tmp_path):
    for i, selector in enumerate(["mms", "prune", None]):
        net = make_net(selector)
        fit_monitored(net, *data)
        net.history.to_file(str(tmp_path / f"{i}.json"))
        assert History.from_file(str(tmp_path / f"{i}.json"))[:, COLUMNS] == net.history[:, COLUMNS]
        json.dumps(net.history.to_list(), allow_nan=False)
