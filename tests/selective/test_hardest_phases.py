"""HardestRows: when a pool is scored, from `start` to `end` and while it pays; and the published set-up."""

import numpy as np
import pytest
import torch
from torch import nn

from skalss.nets import MLP
from skalss.selective import HardestRows, SelectiveNetClassifier

from .watching import fit_and_keep

# -- only while it pays ----------------------------------------------------------------------------


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


# -- the phases ------------------------------------------------------------------------------------


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


# -- the published set-up --------------------------------------------------------------------------


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
