import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from skalss import TaskNet
from skalss.nets import net_classifier
from skalss.network.loader import TensorLoader
from skalss.selective import HardestRows
from skalss.selective.batchnorm import recalibrate
from skalss.utils.batchnorm import single_rows

BIASED = {
    "mms": HardestRows(end=1.0, when="always"),
    "hard_negatives": "hard_negatives",
}


class Normalised(nn.Module):
    """Statistics of the input itself, so that they can be told from the data alone."""

    def __init__(self, momentum=0.1):
        super().__init__()
        self.norm = nn.BatchNorm1d(5, momentum=momentum)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(5, 3)

    def forward(self, X):
        return self.head(self.dropout(self.norm(X)))


@pytest.fixture
def rows(data):
    X, y = data
    return 3 + X, y


def is_average(norm, X):
    """Whether the statistics are the plain average over equal batches; the mean is then that of all rows."""
    return torch.allclose(norm.running_mean, torch.from_numpy(X).mean(dim=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("selector", BIASED.values(), ids=BIASED)
@pytest.mark.parametrize("momentum", [0.1, 0.5])
def test_statistics_are_those_of_all_rows_after_a_biased_epoch(selector, momentum, make_net, rows):
    X, y = rows
    net = make_net(selector, module=Normalised, module__momentum=momentum, max_epochs=6)
    net.set_params(selector__end=1.0).fit(X, y)
    norm = net.module_.norm
    assert is_average(norm, X)
    assert norm.num_batches_tracked == 10
    assert norm.momentum == momentum
    # Batches of 16 hold nearly the variance of all rows.
    np.testing.assert_allclose(norm.running_var, X.var(axis=0, ddof=1), rtol=0.2)


@pytest.mark.parametrize(
    "selector",
    ["prune", None, HardestRows(end=0.5, when="always")],
    ids=["prune", "None", "uniform at the end"],
)
def test_statistics_of_an_epoch_without_bias_are_left_alone(selector, make_net, rows):
    X, y = rows
    net = make_net(selector, module=Normalised, max_epochs=16).fit(X, y)
    counted = int(net.module_.norm.num_batches_tracked)
    updates = net.history[:, "train_batch_count"]
    if isinstance(selector, HardestRows):
        # Eight epochs of ten chosen batches; of the plain ones four have them among the last 50 updates.
        assert counted == 10 + sum(updates[8 + 4 :])
    else:
        assert counted == sum(updates)
    assert not is_average(net.module_.norm, X)


def test_validation_already_sees_the_statistics_of_all_rows(make_net, rows):
    X, y = rows
    seen = []

    class Look(Callback):
        def on_batch_begin(self, net, training=False, **kwargs):
            if not training:
                seen.append(net.module_.norm.running_mean.clone())

    split = ValidSplit(2, stratified=True)
    net = make_net(BIASED["mms"], module=Normalised, train_split=split, callbacks=[Look()]).fit(X, y)
    held_in = np.stack([x for x, _ in net.get_split_datasets(X, y)[0]])
    for mean in seen:
        torch.testing.assert_close(mean, torch.from_numpy(held_in).mean(dim=0), rtol=1e-4, atol=1e-4)
    assert len(seen) > 4


class Named(Normalised):
    def forward(self, a, b=None, scale=1.0):
        return scale * super().forward(a if b is None else torch.cat([a, b], dim=1))


@pytest.mark.parametrize("names", [1, 2])
def test_named_inputs_and_parameters_of_fit(names, make_net, rows):
    X, y = rows
    named = {"a": X} if names == 1 else {"a": X[:, :2], "b": X[:, 2:]}
    net = make_net(BIASED["mms"], module=Named).fit(named, y, scale=2.0)
    assert is_average(net.module_.norm, X)
    assert net.module_.norm.num_batches_tracked == 10


def test_a_lone_row_is_passed_over(make_net, rows):
    X, y = rows
    for named in (X[:145], {"a": X[:145]}):
        net = make_net(BIASED["mms"], module=Named, iterator_train__shuffle=False).fit(named, y[:145])
        assert net.module_.norm.num_batches_tracked == 9
        assert is_average(net.module_.norm, X[:144])


def test_at_most_fifty_batches_are_looked_at(make_net, rows):
    X, y = rows
    net = make_net(BIASED["mms"], module=Normalised, batch_size=2, max_epochs=1).fit(X, y)
    assert net.module_.norm.num_batches_tracked == 50


def test_layers_that_are_frozen_or_keep_no_statistics_are_left_alone(make_net, rows):
    X, y = rows

    class Frozen(nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    module = nn.Sequential(
        Frozen(5), nn.BatchNorm1d(5, track_running_stats=False), nn.BatchNorm1d(5), nn.Linear(5, 3)
    )
    net = make_net(BIASED["mms"], module=module).fit(X, y)
    frozen, without, plain, _ = net.module_
    assert frozen.num_batches_tracked == 0
    assert torch.equal(frozen.running_mean, torch.zeros(5))
    assert without.running_mean is None
    assert plain.num_batches_tracked == 10


def test_weights_and_gradients_are_left_alone(make_net, rows, weights_of):
    net = make_net("mms", module=Normalised).initialize()
    X, y = map(torch.from_numpy, rows)
    for parameter in net.module_.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = weights_of(net)
    recalibrate(net, [(X[:80], y[:80]), (X[80:], y[80:])])
    for name, parameter in net.module_.named_parameters():
        assert torch.equal(parameter, before[name])
        assert torch.equal(parameter.grad, torch.ones_like(parameter))
    assert is_average(net.module_.norm, rows[0])


def test_without_batch_normalisation_no_batch_is_asked_for(make_net):
    def refuse():
        raise AssertionError("asked for a batch")
        yield

    recalibrate(make_net("mms").initialize(), refuse())


def test_ctrl_c_leaves_the_momentum(make_net, rows):
    net = make_net("mms", module=Normalised).initialize()

    def interrupted():
        yield tuple(map(torch.from_numpy, rows))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recalibrate(net, interrupted())
    assert net.module_.norm.momentum == 0.1


@pytest.mark.parametrize("loader", ["tensors", "function"])
def test_any_loader(loader, make_net, rows):
    def function(dataset, **kwargs):
        return torch.utils.data.DataLoader(dataset, **kwargs)

    iterator = TensorLoader if loader == "tensors" else function
    X, y = map(torch.from_numpy, rows)
    net = make_net(BIASED["mms"], module=Normalised, iterator_train=iterator).fit(X, y)
    assert is_average(net.module_.norm, rows[0])


# -- batches of one row ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 33])
@pytest.mark.parametrize("params", [{}, {"batch_size": 1}, {"selector__end": 0.2}], ids=str)
@pytest.mark.parametrize("selector", ["mms", "loss", "hard_negatives", "random", "prune"])
def test_a_batch_of_one_row_is_trained_on(selector, params, n_rows, make_net, data):
    X, y = (part[:n_rows] for part in data)
    net = make_net(selector, module=Normalised, classes=[0, 1, 2], max_epochs=3, **params).fit(X, y)
    assert sum(b["train_batch_size"] for b in net.history[-1]["batches"]) >= min(n_rows, 16)
    assert all(p.isfinite().all() for p in net.module_.parameters())
    with pytest.raises(ValueError, match="more than 1 value per channel"):  # torch is left as it is
        net.module_.train()(torch.zeros(1, 5))


@pytest.mark.parametrize("loader", [None, DataLoader])
@pytest.mark.parametrize("n_rows", [1, 33])
def test_a_batch_of_one_row_is_trained_on_by_a_task_net(n_rows, loader, data):
    params = {} if loader is None else {"iterator_train": loader, "iterator_train__num_workers": 0}
    X, y = (part[:n_rows] for part in data)
    model = TaskNet(net_classifier(Normalised, max_epochs=2, batch_size=16, **params)).fit(X, y)
    assert model.net_.history[-1]["batches"][-1]["train_batch_size"] == (1 if loader or n_rows == 1 else 17)


def test_other_batches_are_normalised_as_ever():
    layer, plain = (torch.nn.BatchNorm1d(3) for _ in "ab")
    X = torch.arange(12.0).reshape(4, 3)
    with single_rows(layer):
        torch.testing.assert_close(layer(X), plain(X))
        mean = layer.running_mean.clone()
        expected = (X[:1] - mean) / (layer.running_var + layer.eps).sqrt()
        torch.testing.assert_close(layer(X[:1]), expected)
        assert layer.training
        assert torch.equal(layer.running_mean, mean)
