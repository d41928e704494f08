"""HardestRows: which rows of a pool are trained on, by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from skalss.selective import HardestRows
from skalss.selective.hardest import hardest, hardest_by_class

from .watching import EXACT, assert_smallest_are_picked, fit_and_keep, gap, in_eval_mode

# -- the rows picked, by hand ----------------------------------------------------------------------


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


# -- classes in turn -------------------------------------------------------------------------------


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


# -- rows met --------------------------------------------------------------------------------------


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


def test_of_equally_hard_rows_random_ones_are_trained_on():
    hard, y = torch.zeros(300), torch.arange(300) // 150
    hard[[7, 250]] = 1.0
    for pick in (lambda: hardest(hard, 40), lambda: hardest_by_class(hard, y, 40)):
        torch.manual_seed(0)
        before = torch.get_rng_state()
        first = pick()
        assert torch.equal(torch.get_rng_state(), before)  # what is drawn later stays as it was
        torch.manual_seed(1)
        second = pick()
        assert set(first[:2].tolist()) == {7, 250}
        assert len(set(first.tolist())) == 40
        assert torch.histc(first.float(), 4, 0, 300).min() >= 2
        assert len(set(first.tolist()) & set(second.tolist())) < 20
    assert hardest(torch.arange(9.0), 3).tolist() == [8, 7, 6]
