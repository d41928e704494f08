"""Small nets and rows for selective training, and a callback that sees every choice."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback
from torch import nn

from skalss.nets import MLP
from skalss.selective import SelectiveNetClassifier
from skalss.selective.rows import Rows

_X, _Y = make_blobs(160, n_features=5, centers=3, cluster_std=2.0, random_state=0)


class Watch(Callback):
    """Keeps the choice, the batch and the epoch of every update."""

    def on_train_begin(self, net, **kwargs):
        self.selections, self.batches, self.epochs = [], [], []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training:
            self.selections.append(net.selection_)
            self.batches.append(batch)
            self.epochs.append(len(net.history))

    @property
    def ids(self):
        """Positions of the rows of each batch."""
        return [s.rows.ids if s.picked is None else s.rows.ids[s.picked] for s in self.selections]


@pytest.fixture(autouse=True)
def _own_generator():
    """Start every test from the same state of torch's generator, and leave the outer one alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


@pytest.fixture(scope="session")
def data():
    """160 rows of three classes that overlap."""
    return _X.astype(np.float32), _Y


@pytest.fixture
def rows(data):
    """The first thirty rows as a batch."""
    X, y = data
    return Rows((torch.from_numpy(X[:30]), torch.from_numpy(y[:30])))


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def make_net():
    """Make a small net that has not been fitted: batches of 16, two epochs."""

    def make(selector="mms", *, kind=SelectiveNetClassifier, module=MLP, watch=None, **params):
        settings = {
            "criterion": nn.CrossEntropyLoss,
            "lr": 0.05,
            "batch_size": 16,
            "max_epochs": 2,
            "train_split": None,
            "verbose": 0,
            "iterator_train__shuffle": True,
            "callbacks": [] if watch is None else [("watch", watch)],
        }
        if module is MLP:
            settings |= {"module__input_dim": 5, "module__output_dim": 3, "module__hidden_layer_sizes": (8,)}
        if selector != "plain":  # for a net of skorch's own
            settings["selector"] = selector
        return kind(module, **{**settings, **params})

    return make


@pytest.fixture
def weights_of():
    """Return a copy of the weights and buffers of a fitted net."""
    return lambda net: {name: value.clone() for name, value in net.module_.state_dict().items()}


@pytest.fixture
def assert_same_weights(weights_of):
    def check(net, other):
        a, b = weights_of(net), weights_of(other)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)

    return check
