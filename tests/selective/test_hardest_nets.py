"""HardestRows with modules, heads, tasks and targets of other kinds."""

import numpy as np
import pytest
import torch
from torch import nn

from skalss.nets import MLP
from skalss.selective import HardestRows, SelectiveNetBinaryClassifier, SelectiveNetRegressor

from .watching import EXACT, assert_smallest_are_picked, fit_and_keep, gap, in_eval_mode

# -- modules and targets ---------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_parameters_of_fit_reach_the_module(start, make_net, data):
    class Scaled(MLP):
        def forward(self, X, scale):
            return scale * super().forward(X)

    params = {"module": Scaled, "module__input_dim": 5, "module__output_dim": 3, "max_epochs": 4}
    net = make_net(HardestRows(start=start), **params).fit(*data, scale=2.0)
    assert len(net.history) == 4


def test_rows_without_a_label_are_ignored_as_the_criterion_ignores_them(make_net, data):
    X, y = data[0], data[1].copy()
    y[::7] = -100  # torch's ignore_index
    net = make_net("mms", classes=[0, 1, 2], max_epochs=4).fit(X, y)
    assert np.isfinite(net.history[:, "train_loss"]).all()


# -- kinds of nets ---------------------------------------------------------------------------------


class Softmax(MLP):
    def forward(self, X):
        return super().forward(X).softmax(dim=1)


@pytest.mark.parametrize("score", ["mms", "margin", "entropy", "loss"])
def test_a_softmax_with_nll_loss_picks_the_rows_that_logits_pick(score, make_net, data):
    params = {"module__input_dim": 5, "module__output_dim": 3, "lr": 0.0}
    kept = []
    for module, criterion in ((MLP, nn.CrossEntropyLoss), (Softmax, nn.NLLLoss)):
        torch.manual_seed(0)
        net = make_net(HardestRows(score, **EXACT), module=module, criterion=criterion, **params)
        if module is MLP:
            net.set_params(module__hidden_layer_sizes=(100,))
        kept.append([s for s, _ in fit_and_keep(net, lambda net: None, *data)])
    for logits, probabilities in zip(*kept, strict=True):
        assert logits.rows.ids.tolist() == probabilities.rows.ids.tolist()
        if logits.picked is not None:
            assert set(logits.picked.tolist()) == set(probabilities.picked.tolist())


class NoHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Conv1d(1, 3, 5)

    def forward(self, X):
        return self.last(X[:, None]).squeeze(2)


def test_without_a_last_linear_layer_there_is_no_mms_but_a_margin(make_net, data):
    with pytest.raises(ValueError, match=r"no nn\.Linear as wide as its output.*Pass score='margin'"):
        make_net("mms", module=NoHead).fit(*data)
    kept = fit_and_keep(make_net(HardestRows("margin", **EXACT), module=NoHead), gap, *data)
    for selection, values in kept:
        if selection.picked is not None:
            assert_smallest_are_picked(values, selection.picked)


def test_a_head_that_is_named_is_the_one_that_weighs(make_net, data):
    class Twin(nn.Module):
        """Its second head never runs, and is much shorter in one class."""

        def __init__(self):
            super().__init__()
            self.head, self.other = nn.Linear(5, 3), nn.Linear(5, 3)
            with torch.no_grad():
                self.other.weight[0] = 100.0

        def forward(self, X):
            return self.head(X)

    def by_the_other(net):
        z, weight = in_eval_mode(net), net.module_.other.weight.detach()
        top = z.topk(2, dim=1)
        return (top.values[:, 0] - top.values[:, 1]) / (
            weight[top.indices[:, 0]] - weight[top.indices[:, 1]]
        ).norm(dim=1)

    kept = fit_and_keep(make_net(HardestRows(head="other", **EXACT), module=Twin), by_the_other, *data)
    for selection, values in kept:
        if selection.picked is not None:
            assert_smallest_are_picked(values, selection.picked)


@pytest.mark.parametrize(("head", "got"), [("classifier", "no layer"), ("body.2", "ReLU")])
def test_a_wrong_name_of_the_head_is_refused_with_those_there_are(head, got, make_net, data):
    net = make_net(HardestRows(head=head))
    with pytest.raises(ValueError, match=rf"head='{head}' names {got}; .*\['body.1', 'head'\]. Give one"):
        net.fit(*data)


def test_a_head_of_another_width_is_refused(make_net, data):
    with pytest.raises(ValueError, match=r"one row for each of the 3 classes, got shape \(8, 5\)"):
        make_net(HardestRows(head="body.1")).fit(*data)


def squared_error(output, y):
    return (output - y).square().sum(dim=1)


@pytest.mark.parametrize("selector", ["loss", HardestRows(squared_error)], ids=["loss", "callable"])
def test_a_regressor_trains_on_the_rows_of_largest_error(selector, make_net, data):
    X, _ = data
    y = (X[:, :1] * X[:, 1:2]).astype(np.float32)
    net = make_net(
        selector,
        kind=SelectiveNetRegressor,
        criterion=nn.MSELoss,
        module__output_dim=1,
        lr=0.005,
        **{f"selector__{name}": value for name, value in EXACT.items()},
    )
    kept = fit_and_keep(net, lambda net: -squared_error(in_eval_mode(net), net.selection_.y), X, y)
    chosen = [(s, values) for s, values in kept if s.picked is not None]
    assert len(chosen) >= 12
    for selection, values in chosen:
        assert_smallest_are_picked(values, selection.picked)


def test_the_default_selector_of_a_regressor_is_the_loss(make_net, data):
    X, _ = data
    net = SelectiveNetRegressor(MLP, module__input_dim=5, verbose=0, max_epochs=1).fit(X, X[:, :1])
    assert net.selector_.score == "loss"


@pytest.mark.parametrize("output", ["column", "vector"])
def test_one_logit_of_a_binary_net(output, make_net, data):
    class OneLogit(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(5, 1)

        def forward(self, X):
            return self.head(X) if output == "column" else self.head(X).squeeze(1)

    X, y = data
    net = make_net(
        HardestRows(**EXACT),
        kind=SelectiveNetBinaryClassifier,
        module=OneLogit,
        criterion=nn.BCEWithLogitsLoss,
    )
    kept = fit_and_keep(net, lambda net: in_eval_mode(net).abs().reshape(-1), X, (y > 0).astype(np.float32))
    chosen = [(s, values) for s, values in kept if s.picked is not None]
    assert len(chosen) >= 12
    for selection, values in chosen:
        assert_smallest_are_picked(values, selection.picked)
    assert net.predict(X).shape == (160,)


@pytest.mark.parametrize(
    "selector", [HardestRows(class_balance=True), "hard_negatives"], ids=["mms", "negatives"]
)
def test_classes_of_a_binary_net_are_balanced_too(selector, make_net, data, watch):
    """Its targets are 0.0 and 1.0."""
    X, y = data
    net = make_net(
        selector,
        kind=SelectiveNetBinaryClassifier,
        criterion=nn.BCEWithLogitsLoss,
        module__output_dim=1,
        watch=watch,
        selector__end=1.0,
    )
    net.fit(X, (y > 0).astype(np.float32))
    for selection, (_, y_batch) in zip(watch.selections, watch.batches, strict=True):
        if selection.picked is not None:
            assert 7 <= y_batch.sum() <= 9


@pytest.mark.parametrize("selector", ["mms", "margin", "entropy", "prune"])
def test_a_regressor_refuses_what_needs_classes(selector, make_net, data):
    """A single output is read as a logit, which a value is not."""
    X, _ = data
    net = make_net(selector, kind=SelectiveNetRegressor, criterion=nn.MSELoss, module__output_dim=1)
    with pytest.raises((TypeError, ValueError), match="loss"):
        net.fit(X, X[:, :1])
