"""The contract of a selector, asked of every one: list a new selector in `selectors.py` and it is tested."""

import pickle

import numpy as np
import pytest
import torch
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from skalss.network.loader import TensorLoader
from skalss.selective import BaseSelector

from .selectors import (
    ALWAYS,
    as_tensors,
    each_pool_selector,
    each_pruner,
    each_selector,
    each_setting,
    is_pruner,
    sizes,
)

# -- an epoch --------------------------------------------------------------------------------------


each_data_set = pytest.mark.parametrize(("loader", "n_rows"), [(DataLoader, 150), (TensorLoader, 144)])


@each_pool_selector
@each_data_set
def test_an_epoch_has_as_many_updates_as_a_pass_has_batches(selector, loader, n_rows, make_net, data, watch):
    X, y = as_tensors(data)
    net = make_net(selector, watch=watch, iterator_train=loader, max_epochs=5).fit(X[:n_rows], y[:n_rows])
    n_updates = -(-n_rows // 16)
    assert [len(epoch) for epoch in sizes(net)] == [n_updates] * 5
    assert net.history[:, "train_batch_count"] == [n_updates] * 5
    assert [len(batch[1]) for batch in watch.batches] == sum(sizes(net), [])
    assert set(sum(sizes(net), [])) <= {16, n_rows % 16 or 16}  # a pass may end with a smaller batch
    assert any(s.picked is not None for s in watch.selections)
    assert all(len(s.picked) == 16 for s in watch.selections if s.picked is not None)
    assert np.isfinite(net.history[:, "train_loss"]).all()


@pytest.mark.parametrize("selector", ALWAYS.values(), ids=ALWAYS)
@each_data_set
def test_batches_are_full_where_each_is_chosen_from_a_pool(selector, loader, n_rows, make_net, data):
    X, y = as_tensors(data)
    net = make_net(selector, selector__end=1.0, iterator_train=loader).fit(X[:n_rows], y[:n_rows])
    assert sizes(net) == [[16] * -(-n_rows // 16)] * 2


@each_pruner
@each_data_set
def test_a_pruned_epoch_has_at_most_the_updates_of_a_pass_and_full_batches(
    selector, loader, n_rows, make_net, data, watch
):
    X, y = as_tensors(data)
    net = make_net(selector, watch=watch, iterator_train=loader, max_epochs=8).fit(X[:n_rows], y[:n_rows])
    n_updates = -(-n_rows // 16)
    for epoch in sizes(net):
        *full, last = epoch
        assert len(epoch) <= n_updates
        assert set(full) <= {16}
        assert 2 <= last <= 17
    assert sum(sizes(net)[0]) == sum(sizes(net)[-1]) == n_rows
    assert min(map(sum, sizes(net))) < n_rows
    assert [len(batch[1]) for batch in watch.batches] == sum(sizes(net), [])


@each_setting
def test_batches_are_distinct_rows_of_the_data_with_their_labels(selector, make_net, data, watch):
    X, y = data
    make_net(selector, watch=watch, max_epochs=4).fit(X, y)
    for (X_batch, y_batch), ids in zip(watch.batches, watch.ids, strict=True):
        assert len(ids.unique()) == len(ids)
        np.testing.assert_array_equal(X_batch.numpy(), X[ids])
        np.testing.assert_array_equal(y_batch.numpy(), y[ids])


@each_setting
def test_rows_of_a_held_out_part_are_never_trained_on(selector, make_net, data, watch):
    X, y = data
    net = make_net(selector, watch=watch, train_split=ValidSplit(4, stratified=True)).fit(X, y)
    held_out = {row.tobytes() for row in np.stack([x for x, _ in net.get_split_datasets(X, y)[1]])}
    trained = {row.numpy().tobytes() for X_batch, _ in watch.batches for row in X_batch}
    assert len(held_out) == 40
    assert not held_out & trained
    assert max(ids.max() for ids in watch.ids) < 120
    assert len(net.history[:, "valid_loss"]) == 2


@each_setting
@pytest.mark.parametrize("n_rows", [2, 16, 17, 30])
def test_fewer_rows_than_a_pool_or_a_batch(selector, n_rows, make_net, data):
    X, y = data
    net = make_net(selector, max_epochs=4).fit(X[:n_rows], y[:n_rows])
    for epoch in sizes(net):
        assert len(epoch) == (1 if n_rows < 18 and is_pruner(selector) else -(-n_rows // 16))
        assert all(1 <= size <= min(n_rows, 17) for size in epoch)
    assert sizes(net)[0][0] >= min(n_rows, 16)


@each_setting
def test_a_batch_size_of_minus_one_takes_all_rows(selector, make_net, data):
    net = make_net(selector, batch_size=-1).fit(*data)
    assert sizes(net) == [[160], [160]]


def easy_rows(n_rows):
    """Three classes far apart: soon every row is easy."""
    y = np.arange(n_rows) % 3
    return 10 * np.eye(3, 5, dtype=np.float32)[y], y


@each_setting
@pytest.mark.parametrize("n_rows", [10, 40])
def test_few_rows_all_of_them_easy(selector, n_rows, make_net):
    """No update is without a row, nor has it a single one, which batch normalisation cannot train on."""
    module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    n_epochs = 400 // n_rows
    X, y = easy_rows(n_rows)
    net = make_net(selector, module=module, max_epochs=n_epochs).fit(X, y)
    assert len(net.history) == n_epochs
    assert min(map(len, sizes(net))) >= 1
    assert np.isfinite(net.history[:, "train_loss"]).all()


# -- it learns, and repeats itself -----------------------------------------------------------------


@each_selector
def test_it_learns(selector, make_net, data):
    X, y = data
    assert make_net(selector, lr=0.1, max_epochs=6).fit(X, y).score(X, y) > 0.85


@each_selector
def test_the_seed_decides(selector, make_net, data, assert_same_weights):
    nets = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        nets.append(make_net(selector, max_epochs=4, module__dropout=0.2).fit(*data))
    assert_same_weights(nets[0], nets[1])
    assert nets[0].history[:, "train_loss"] == nets[1].history[:, "train_loss"]
    with pytest.raises(AssertionError):
        assert_same_weights(nets[0], nets[2])


@each_selector
def test_training_continues_after_pickling_as_without(selector, make_net, data, assert_same_weights):
    net = make_net(selector, max_epochs=3).fit(*data)
    other = pickle.loads(pickle.dumps(net))
    assert_same_weights(net, other)
    for each in (net, other):
        torch.manual_seed(5)
        each.partial_fit(*data)
        assert len(each.history) == 6
        assert each.history[-1]["train_batch_count"] <= 10
    assert_same_weights(net, other)


@each_selector
def test_a_fit_forgets_the_one_before(selector, make_net, data, assert_same_weights):
    X, y = data
    used, fresh = make_net(selector, max_epochs=4), make_net(selector, max_epochs=4)
    used.fit(X[:60], y[:60])
    for net in (used, fresh):
        torch.manual_seed(7)
        net.fit(X, y)
    assert_same_weights(used, fresh)


@each_selector
def test_nothing_of_the_training_hangs_on_the_net_or_the_users_selector(selector, make_net, data):
    net = make_net(selector)
    before = pickle.dumps(selector)
    net.fit(*data)
    assert net.selection_ is None
    assert net.selector is selector
    assert pickle.dumps(selector) == before
    assert isinstance(net.selector_, BaseSelector)
    assert net.selector_ is not selector


@each_selector
def test_a_fitted_selector_does_not_carry_the_network_along(selector, make_net, data):
    """skorch moves the weights of a net to the device that is there; a second copy would stay behind."""
    net = make_net(selector, module__hidden_layer_sizes=(10_000,)).fit(*data)
    assert len(pickle.dumps(net.selector_)) < 20_000


@each_selector
def test_an_interrupted_training_leaves_a_net_that_works(selector, make_net, data):
    net = make_net(selector, max_epochs=5)
    step, calls = net.train_step, []

    def interrupted(batch, **kwargs):
        calls.append(batch)
        if len(calls) == 13:
            raise KeyboardInterrupt
        return step(batch, **kwargs)

    net.train_step = interrupted
    net.fit(*data)
    assert net.selection_ is None
    assert len(net.history) == 2
    assert net.partial_fit(*data).predict(data[0]).shape == (160,)
