"""The contract of a selector over other batches, modules and loaders."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from skalss.nets import MLP
from skalss.selective import SelectiveNetClassifier

from .selectors import as_tensors, each_pool_selector, each_pruner, each_selector, sizes


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(5, 3)

    def forward(self, a, b, scale=1.0):
        return scale * self.head(torch.cat([a, b], dim=1))


@each_selector
def test_dict_inputs_and_parameters_of_fit(selector, make_net, data, assert_same_weights):
    X, y = data
    torch.manual_seed(3)
    net = make_net(selector, module=Named, max_epochs=4).fit({"a": X[:, :2], "b": X[:, 2:]}, y, scale=2.0)
    assert net.predict({"a": X[:, :2], "b": X[:, 2:]}).shape == (160,)
    torch.manual_seed(3)
    again = make_net(selector, module=Named, max_epochs=4)
    assert_same_weights(net, again.fit({"a": X[:, :2], "b": X[:, 2:]}, y, scale=2.0))


class Two(MLP):
    """Gives features beside its logits."""

    def forward(self, X):
        logits = super().forward(X)
        return logits, X


class NetOfTwo(SelectiveNetClassifier):
    """Trains on the first output, in the way that skorch recommends."""

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return super().get_loss(y_pred[0], y_true, *args, **kwargs)


@each_selector
def test_a_module_of_several_outputs(selector, make_net, data, assert_same_weights):
    """Trains as the same module of one output does."""
    params = {"module__input_dim": 5, "module__output_dim": 3, "max_epochs": 4}
    torch.manual_seed(3)
    two = make_net(selector, kind=NetOfTwo, module=Two, **params).fit(*data)
    torch.manual_seed(3)
    one = make_net(selector, module=MLP, module__hidden_layer_sizes=(100,), max_epochs=4).fit(*data)
    assert_same_weights(two, one)


class Unsized(DataLoader):
    """A loader that tells no length."""

    def __len__(self):
        raise TypeError("no length")


class Stream(IterableDataset):
    def __init__(self, X, y):
        self.rows = list(zip(X, y, strict=True))

    def __iter__(self):
        return iter(self.rows)


def loader_function(dataset, **kwargs):
    return DataLoader(dataset, **kwargs)


def list_of_batches(dataset, **kwargs):
    return list(DataLoader(dataset, **kwargs))


@each_pool_selector
@pytest.mark.parametrize("loader", ["function", "stream", "unsized"])
def test_rows_without_positions_or_length(selector, loader, make_net, data, watch):
    X, y = data
    params = {"watch": watch, "classes": [0, 1, 2], "max_epochs": 3}
    if loader == "stream":
        net = make_net(selector, iterator_train__shuffle=False, **params).fit(Stream(X, y), None)
    else:
        iterator = loader_function if loader == "function" else Unsized
        net = make_net(selector, iterator_train=iterator, **params).fit(X, y)
    assert sizes(net) == [[16] * 10] * 3
    assert all((s.rows.ids is None) == (loader == "stream") for s in watch.selections)
    known = {row.tobytes() for row in X}
    assert all(row.numpy().tobytes() in known for X_batch, _ in watch.batches for row in X_batch)


@each_pruner
def test_a_pruner_refuses_rows_without_positions(selector, make_net, data):
    X, y = data
    with pytest.raises(TypeError, match="PruneEasyRows must know rows again, but .*Stream.*such as 'mms'"):
        make_net(selector, iterator_train__shuffle=False, classes=[0, 1, 2]).fit(Stream(X, y), None)
    with pytest.raises(TypeError, match="iterator_train=<function list_of_batches.*Use a DataLoader"):
        make_net(selector, iterator_train=list_of_batches).fit(X, y)


@pytest.mark.parametrize("selector", ["mms", "random", "prune"])
def test_a_data_set_that_makes_its_own_batches(selector, make_net, data):
    """batch_size=None switches the loader's batches off, and with them the positions of rows."""
    X, y = as_tensors(data)

    class Batches(torch.utils.data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, i):
            return X[16 * i : 16 * i + 16], y[16 * i : 16 * i + 16]

    net = make_net(selector, iterator_train__batch_size=None, classes=[0, 1, 2])
    if selector == "prune":
        with pytest.raises(TypeError, match="must know rows again"):
            net.fit(Batches(), None)
    else:
        assert sizes(net.fit(Batches(), None)) == [[16] * 10] * 2
