import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skalss.nets import MLP
from skalss.selective import (
    HardestRows,
    SelectiveNetBinaryClassifier,
    SelectiveNetClassifier,
    SelectiveNetRegressor,
)
from skalss.selective.hardest import hardest_by_class

EXACT = {"when": "always", "end": 1.0, "score_dtype": "float32"}


class BeforeStep(Callback):
    """Keeps a function of the net as it is when a batch has been chosen, before the step."""

    def __init__(self, function):
        self.function = function

    def on_train_begin(self, net, **kwargs):
        self.kept = []

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.kept.append((net.selection_, self.function(net)))


def fit_and_keep(net, function, X, y):
    callback = BeforeStep(function)
    net.set_params(callbacks=[("keep", callback)])
    net.fit(X, y)
    return callback.kept


def assert_smallest_are_picked(values, picked):
    values, picked = np.asarray(values), np.asarray(picked)
    assert len(set(picked.tolist())) == len(picked)
    np.testing.assert_allclose(np.sort(values[picked]), np.sort(values)[: len(picked)], rtol=1e-4, atol=1e-5)
    assert values[picked].max() < values.max()


def in_eval_mode(net):
    X = net.selection_.rows.batch[0]
    with torch.no_grad():
        return net.module_.eval()(X)


# -- the rows picked, by hand ---------------------------------------------------------------------


def margins_by_hand(net, with_bias=False):
    """The gap of the two highest logits over the norm of the difference of their weights, row by row."""
    weight = net.module_.head.weight.detach().double().numpy()
    if with_bias:
        weight = np.column_stack([weight, net.module_.head.bias.detach().double().numpy()])
    margins = []
    for z in in_eval_mode(net).double().numpy():
        i, j = np.argsort(-z)[:2]
        margins.append((z[i] - z[j]) / np.sqrt(((weight[i] - weight[j]) ** 2).sum()))
    return margins


@pytest.mark.parametrize("bias", ["exclude", "include"])
def test_the_rows_of_smallest_minimal_margin_score_are_trained_on(bias, make_net, data):
    net = make_net(HardestRows(bias=bias, **EXACT), module__dropout=0.5)
    kept = fit_and_keep(net, lambda net: margins_by_hand(net, bias == "include"), *data)
    for selection, margins in kept:
        if len(margins) > 16:
            assert len(selection.picked) == 16
            assert_smallest_are_picked(margins, selection.picked)
    assert sum(s.picked is not None for s, _ in kept) >= 12


def test_whether_the_bias_counts_makes_a_difference(make_net, data):
    class Biased(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(5, 3)
            with torch.no_grad():
                self.head.weight.copy_(torch.eye(3, 5))
                self.head.bias.copy_(torch.tensor([0.0, 0.0, -4.0]))

        def forward(self, X):
            return self.head(X)

    params = {"module": Biased, "lr": 0.0, "max_epochs": 1}
    picked = []
    for bias in ("exclude", "include"):
        torch.manual_seed(0)
        net = make_net(HardestRows(bias=bias, **EXACT), **params)
        kept = fit_and_keep(net, lambda net, bias=bias: margins_by_hand(net, bias == "include"), *data)
        for selection, margins in kept:
            if selection.picked is not None:
                assert_smallest_are_picked(margins, selection.picked)
        picked.append([sorted(s.rows.ids[s.picked].tolist()) for s, _ in kept if s.picked is not None])
    assert picked[0] != picked[1]


def gap(net):
    top = in_eval_mode(net).double().topk(2, dim=1).values
    return top[:, 0] - top[:, 1]


def minus_entropy(net):
    p = in_eval_mode(net).double().softmax(dim=1)
    return (p * p.log()).sum(dim=1)


def minus_loss(net):
    z, y = in_eval_mode(net).double(), net.selection_.y
    return torch.stack([row[i] - row.exp().sum().log() for row, i in zip(z, y, strict=True)])


@pytest.mark.parametrize(
    ("score", "by_hand"),
    [("margin", gap), ("entropy", minus_entropy), ("loss", minus_loss)],
    ids=["margin", "entropy", "loss"],
)
def test_the_hardest_rows_by_other_scores_are_trained_on(score, by_hand, make_net, data):
    kept = fit_and_keep(make_net(HardestRows(score, **EXACT)), by_hand, *data)
    chosen = [(s, values) for s, values in kept if s.picked is not None]
    assert len(chosen) >= 12
    for selection, values in chosen:
        assert_smallest_are_picked(values, selection.picked)


def test_the_batch_is_the_rows_picked_and_the_output_is_that_of_the_pool(make_net, data, watch):
    X, y = data
    kept = fit_and_keep(make_net(HardestRows(**EXACT)), in_eval_mode, X, y)
    for selection, output in kept:
        assert len(selection.rows) in (16, 48, 64)
        if selection.picked is not None:
            torch.testing.assert_close(selection.output, output)
            assert selection.output.dtype == torch.float32
            np.testing.assert_array_equal(selection.rows.batch[0], X[selection.rows.ids])
            np.testing.assert_array_equal(selection.y, y[selection.rows.ids])
            assert selection.seconds > 0


def is_class_zero(output, y):
    hard = output.amax(dim=1)
    return torch.where(y == 0, torch.nan, hard)


def test_rows_with_a_score_of_nan_are_picked_last(make_net, data, watch):
    X, y = data
    net = make_net(HardestRows(is_class_zero, **EXACT), watch=watch, max_epochs=1).fit(X, y)
    for selection, (_, y_batch) in zip(watch.selections, watch.batches, strict=True):
        n_others = int((selection.y != 0).sum())
        if selection.picked is not None:
            assert (y_batch != 0).sum() == min(16, n_others)
    assert sum(s.picked is not None for s in watch.selections) >= 6
    only_nan = make_net(HardestRows(lambda output, y: y * torch.nan, **EXACT)).fit(X, y)
    assert [len(epoch["batches"]) for epoch in only_nan.history] == [10, 10]
    assert np.isfinite(net.history[:, "train_loss"]).all()


def test_a_network_that_has_diverged_goes_on_to_the_end(make_net, data):
    net = make_net("mms", lr=1e30, max_epochs=6).fit(*data)
    assert net.history[:, "train_batch_count"] == [10] * 6


def test_a_callable_sees_the_whole_pool_and_its_targets(make_net, data):
    seen = []

    def score(output, y):
        seen.append((output.shape, output.dtype, output.requires_grad, y.tolist()))
        return -output.amax(dim=1)

    X, y = data
    kept = fit_and_keep(make_net(HardestRows(score, **EXACT)), in_eval_mode, X, y)
    chosen = [(s, output) for s, output in kept if s.picked is not None]
    assert len(seen) == len(chosen)
    for (shape, dtype, graph, targets), (selection, output) in zip(seen, chosen, strict=True):
        assert (shape, dtype, graph) == ((len(selection.rows), 3), torch.float32, False)
        assert targets == y[selection.rows.ids].tolist()
        assert_smallest_are_picked(output.amax(dim=1), selection.picked)


# -- classes in turn ------------------------------------------------------------------------------


def round_robin(hard, y, n):
    """The hardest of each class, hardest class first; then the second of each, and so on."""
    order = sorted(range(len(y)), key=lambda i: -hard[i])
    turn = {i: sum(y[j] == y[i] for j in order[: order.index(i)]) for i in order}
    return sorted(order, key=lambda i: turn[i])[:n]


@pytest.mark.parametrize("n", [0, 1, 5, 16, 40])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 10])
def test_hardest_by_class_deals_the_classes_in_turn(n, n_classes, seed):
    generator = torch.Generator().manual_seed(seed)
    hard = torch.randperm(40, generator=generator).float()
    y = torch.randint(n_classes, (40,), generator=generator)
    y = y * 3 + 1  # classes with gaps
    assert hardest_by_class(hard, y, n).tolist() == round_robin(hard.tolist(), y.tolist(), n)


def test_hardest_by_class_by_hand():
    hard = torch.tensor([9.0, 8.0, 7.0, 1.0, 2.0, 5.0])
    y = torch.tensor([0, 0, 0, 1, 1, 2])
    assert hardest_by_class(hard, y, 6).tolist() == [0, 5, 4, 1, 3, 2]
    assert hardest_by_class(hard, y, 4).tolist() == [0, 5, 4, 1]


def test_balanced_batches_hold_each_class_alike(make_net, data, watch):
    X, y = data
    y = np.where(np.arange(160) % 8 == 0, 2, y % 2)  # class 2 is rare
    make_net(HardestRows(class_balance=True, **EXACT), watch=watch, max_epochs=3).fit(X, y)
    for selection, (_, y_batch) in zip(watch.selections, watch.batches, strict=True):
        if selection.picked is None:
            continue
        there, got = (torch.bincount(t, minlength=3) for t in (selection.y, y_batch))
        full = [int(g) for g, t in zip(got, there, strict=True) if g < t]
        assert max(full) - min(full) <= 1
        assert all(g == t for g, t in zip(got, there, strict=True) if g < min(full))
    assert any(s.picked is not None for s in watch.selections)


@pytest.mark.parametrize(
    "y", [torch.full((40,), 0.5), torch.zeros(40, 1, dtype=int)], ids=["float", "column"]
)
def test_targets_that_are_no_classes_cannot_be_balanced(y):
    with pytest.raises(
        ValueError, match=r"class numbers of shape \(n_rows,\), got torch\.(float32|int64) of shape"
    ):
        hardest_by_class(torch.zeros(40), y, 3)


# -- rows met -------------------------------------------------------------------------------------


def rows_met(net, X, y):
    """How often each of 144 rows was in a pool or a batch, over the last ten of sixteen epochs."""
    counts = np.zeros(144)
    kept = fit_and_keep(net, lambda net: len(net.history), X[:144], y[:144])
    for selection, epoch in kept:
        if epoch > 6:
            counts[selection.rows.ids] += 1
    return counts


@pytest.mark.parametrize("when", ["always", "pays"])
def test_every_row_is_met(when, make_net, data):
    """With rho out of reach only one pool an epoch is scored."""
    net = make_net(HardestRows(when=when, rho=1e6, end=1.0), max_epochs=16)
    counts = rows_met(net, *data)
    if when == "always":
        assert set(counts) == {30}  # three passes an epoch
    else:
        assert counts.min() > counts.mean() / 3


def test_no_row_is_passed_over_where_the_order_never_changes(make_net, data):
    """A look reads ahead; what it has read and not used is trained on next."""
    net = make_net(HardestRows(rho=1e6, end=1.0), max_epochs=16, iterator_train__shuffle=False)
    assert rows_met(net, *data).min() > 0


def test_with_a_callable_every_row_is_met_alike(make_net, data):
    selector = HardestRows(lambda output, y: output[:, 0], end=1.0)
    assert set(rows_met(make_net(selector, max_epochs=16), *data)) == {30}


# -- only while it pays ---------------------------------------------------------------------------


def gains(net, X, y):
    """Whether each update selected; and of those that did, how much harder the chosen rows pulled."""
    return fit_and_keep(net, lambda net: None, X, y)


def pull_ratio(selection):
    p = selection.output.softmax(dim=1)
    pull = (p - torch.nn.functional.one_hot(selection.y, 3)).norm(dim=1)
    return float(pull[selection.picked].mean() / pull.mean())


def test_a_pool_is_scored_while_its_hardest_rows_pull_hard_enough(make_net, data):
    X, y = data
    net = make_net(HardestRows(pool_factor=3, rho=0.1, end=1.0), lr=0.2, max_epochs=30)
    kept = gains(net, X[:144], y[:144])
    gain, seen = 0.0, set()
    for i, (selection, _) in enumerate(kept):
        chosen = selection.picked is not None
        if i % 9 == 0:
            assert chosen  # the first update of an epoch looks
        elif len(selection.rows) > 16 or not chosen:
            pays = gain >= 1.3
            assert chosen == pays or len(selection.rows) == 16  # the tail of a pass leaves no choice
            seen.add(pays)
        if chosen:
            gain = pull_ratio(selection) if gain == 0 else gain + 0.2 * (pull_ratio(selection) - gain)
    assert seen == {True, False}


@pytest.mark.parametrize(("rho", "share"), [(0.0, 1.0), (1e6, 1 / 9)])
def test_the_price_of_scoring_decides(rho, share, make_net, data):
    X, y = data
    kept = gains(make_net(HardestRows(rho=rho, end=1.0), max_epochs=4), X[:144], y[:144])
    chosen = [s.picked is not None for s, _ in kept]
    assert np.mean(chosen) == pytest.approx(share, abs=0.05)


def test_one_update_in_32_looks(make_net, data):
    X, y = data
    net = make_net(HardestRows(rho=1e6, end=1.0), batch_size=2, max_epochs=1, lr=0.01)
    kept = gains(net, X, y)
    assert [i for i, (s, _) in enumerate(kept) if s.picked is not None] == [0, 32, 64]


def test_the_decision_is_the_same_for_the_same_seed(make_net, data, assert_same_weights):
    nets = []
    for _ in range(2):
        torch.manual_seed(3)
        nets.append(make_net(HardestRows(rho=0.1), max_epochs=10, lr=0.1).fit(*data))
    assert_same_weights(*nets)


def test_a_row_that_cannot_be_scored_does_not_end_selection(make_net, data):
    """Its features are broken; it comes last, and the others are chosen among as before."""
    X, y = (a.copy() for a in data)
    X[7] = np.nan
    net = make_net(HardestRows(rho=0.0, end=1.0), max_epochs=4)
    kept = [s for s, _ in gains(net, X[:144], y[:144])]
    assert all(7 not in s.rows.ids[s.picked] for s in kept if s.picked is not None)
    assert np.isfinite(net.history[:, "train_loss"]).all()
    assert all(s.picked is not None for s in kept)


# -- modules and targets --------------------------------------------------------------------------


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


# -- the phases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"), [(0.0, 1.0), (0.0, 0.9), (0.25, 0.75), (0.3, 0.61), (0.5, 0.5), (1.0, 1.0), (0.0, 0.0)]
)
def test_rows_are_selected_between_start_and_end(start, end, make_net, data, watch):
    X, y = data
    net = make_net(HardestRows(when="always", start=start, end=end), watch=watch, max_epochs=4).fit(
        X[:144], y[:144]
    )
    assert net.history[:, "train_batch_count"] == [9] * 4
    n_selected = 0
    for i, (selection, epoch) in enumerate(zip(watch.selections, watch.epochs, strict=True)):
        assert epoch == i // 9 + 1
        progress = i / 36
        if start <= progress < end:
            assert (selection.picked is None) == (len(selection.rows) == 16)  # a tail has nothing to choose
            n_selected += selection.picked is not None
        else:
            assert selection.picked is None
            assert selection.output is None
    assert n_selected >= 0.8 * 36 * (end - start)


def test_the_epochs_of_each_training_are_counted_anew(make_net, data, watch):
    net = make_net(HardestRows(when="always", end=0.5), watch=watch, max_epochs=4)
    for _ in range(2):
        net.partial_fit(*data)
        chosen = [s.picked is not None for s in watch.selections]
        assert any(chosen[:20])
        assert not any(chosen[20:])
        assert len(chosen) == 40


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.5), (0.5, 1.0), (0.3, 0.55)])
def test_every_row_is_trained_on_alike_in_the_uniform_phases(start, end, make_net, data, watch):
    """Easy rows too: the end of the training is to undo the bias towards the hard ones."""
    X, y = data
    net = make_net(HardestRows(start=start, end=end), watch=watch, max_epochs=20, lr=0.02)
    net.fit(X, y)
    for epoch in range(20):
        if start < (epoch + 1) / 20 and epoch / 20 < end:
            continue
        seen = torch.cat([i for i, e in zip(watch.ids, watch.epochs, strict=True) if e == epoch + 1])
        assert [b["train_batch_size"] for b in net.history[epoch]["batches"]] == [16] * 10
        assert sorted(seen.tolist()) == list(range(160))


# -- kinds of nets --------------------------------------------------------------------------------


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


# -- the published set-up -------------------------------------------------------------------------


def test_published_parameters():
    net = SelectiveNetClassifier.paper(MLP)
    assert net.selector.get_params() == {
        "score": "mms",
        "pool_factor": 10,
        "start": 0.0,
        "end": 1.0,
        "when": "always",
        "rho": HardestRows().rho,
        "head": None,
        "bias": "include",
        "score_dtype": "float32",
        "score_chunk": HardestRows().score_chunk,
        "class_balance": False,
    }
    params = net.get_params(deep=False)
    assert (params["lr"], params["batch_size"], params["iterator_train__shuffle"]) == (0.1, 64, True)
    assert (params["optimizer__momentum"], params["optimizer__weight_decay"]) == (0.9, 1e-4)
    assert (net.optimizer, net.criterion, net.dtype) == (torch.optim.SGD, nn.CrossEntropyLoss, "float32")
    other = SelectiveNetClassifier.paper(MLP, lr=0.2, selector=None, optimizer__momentum=0.5)
    assert (other.lr, other.selector, other.optimizer__momentum) == (0.2, None, 0.5)


def test_a_published_run_takes_64_of_640(watch):
    torch.manual_seed(0)
    X, y = torch.randn(1280, 5), torch.randint(3, (1280,))
    net = SelectiveNetClassifier.paper(
        MLP,
        module__input_dim=5,
        module__output_dim=3,
        max_epochs=2,
        train_split=None,
        verbose=0,
        callbacks=[("watch", watch)],
    ).fit(X, y)
    assert net.history[:, "train_batch_count"] == [20, 20]
    assert {(len(s.rows), len(s.picked)) for s in watch.selections} == {(640, 64)}
