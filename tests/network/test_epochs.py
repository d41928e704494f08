"""Epochs of labelled and pseudo-labelled rows: which rows a net is trained on, and what is left behind."""

import re

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch import NeuralNetBinaryClassifier
from skorch.callbacks import Callback
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch.utils.data import DataLoader, RandomSampler

from skalss import TaskNet
from skalss.nets import MLP, net_classifier, net_regressor
from skalss.network.epochs import MIN_ROWS, EpochSampler, Pseudo, drawing_epochs
from skalss.network.loader import TensorLoader
from skalss.selective import SelectiveNetBinaryClassifier, SelectiveNetClassifier

X, Y = make_blobs(60, n_features=4, centers=3, random_state=0)
X = X.astype(np.float32)
X_MORE, Y_MORE = X + 0.01, Y  # pseudo-labelled; told from the others by their content
PSEUDO = Pseudo(X_MORE, Y_MORE, until=0.5)


# -- which rows an epoch takes --------------------------------------------------------------------


def epochs(n, *args, **kwargs):
    numbers = iter(range(n))
    sampler = EpochSampler(*args, **kwargs, epoch=lambda: next(numbers))
    return [list(sampler) for _ in range(n)]


def test_half_is_pseudo_labelled_at_first_and_none_later(seed):
    torch.manual_seed(seed)
    for i, rows in enumerate(epochs(6, 20, n_pseudo=50, min_rows=64, n_mixed=4)):
        assert len(rows) == 64
        assert sum(row >= 20 for row in rows) == (32 if i < 4 else 0)
        assert set(rows) <= set(range(70))


@pytest.mark.parametrize(
    ("n_labeled", "min_rows", "n"), [(20, 1, 20), (20, 64, 64), (20, 20, 20), (7, 15, 15)]
)
@pytest.mark.parametrize("n_pseudo", [0, 50])
def test_an_epoch_has_as_many_rows_as_are_labelled_or_wanted(n_labeled, min_rows, n, n_pseudo):
    sampler = EpochSampler(n_labeled, n_pseudo, min_rows, n_mixed=1)
    assert [len(sampler), len(list(sampler)), len(list(sampler))] == [n, n, n]


def test_no_row_comes_twice_before_all_have_come(seed):
    torch.manual_seed(seed)
    mixed, plain = epochs(2, 20, n_pseudo=12, min_rows=100, n_mixed=1)
    labelled, pseudo = np.bincount(mixed, minlength=32)[:20], np.bincount(mixed, minlength=32)[20:]
    assert labelled.sum() == pseudo.sum() == 50
    assert set(labelled) == {2, 3}
    assert set(pseudo) == {4, 5}
    assert set(np.bincount(plain)) == {5}
    for i in range(0, 100, 20):
        assert sorted(plain[i : i + 20]) == list(range(20))


def test_rows_are_shuffled_and_the_kinds_mixed():
    torch.manual_seed(0)
    first, second = epochs(2, 100, n_pseudo=100, n_mixed=2)
    assert first != second
    assert first != sorted(first)
    assert 15 < sum(row >= 100 for row in first[:50]) < 35


def test_passes_of_one_epoch_are_alike():
    number = 0
    sampler = EpochSampler(20, 50, 64, n_mixed=1, epoch=lambda: number)
    assert [sum(row >= 20 for row in sampler) for _ in range(3)] == [32] * 3
    number = 1
    assert [sum(row >= 20 for row in sampler) for _ in range(3)] == [0] * 3


def test_without_pseudo_labelled_rows_nothing_is_mixed():
    assert all(set(rows) <= set(range(20)) for rows in epochs(3, 20, min_rows=40, n_mixed=3))


def test_torchs_generator_draws():
    torch.manual_seed(3)
    one = epochs(2, 20, n_pseudo=30, min_rows=50, n_mixed=1)
    torch.manual_seed(3)
    assert epochs(2, 20, n_pseudo=30, min_rows=50, n_mixed=1) == one


# -- what a net is trained on ---------------------------------------------------------------------


class Rows(Callback):
    """Writes down the rows of each epoch, and those held out."""

    def initialize(self):
        self.epochs_, self.valid_ = [], []
        return self

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.epochs_.append([])
        if dataset_valid is not None:
            self.valid_ = np.concatenate([np.asarray(x).reshape(1, -1) for x, _ in dataset_valid])

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.epochs_[-1].append(np.asarray(batch[0]))


def train(net, pseudo=PSEUDO, n=60, y=Y, min_rows=None):
    """Train on from where the net is; return it, the rows of each epoch, and those held out."""
    if not net.initialized_:
        torch.manual_seed(0)
        net.set_params(callbacks=[("rows", Rows())]).initialize()
    extra = None if pseudo is None else (torch.as_tensor(pseudo.X), torch.as_tensor(pseudo.y))
    until = 0.0 if pseudo is None else pseudo.until
    given = torch.as_tensor(X[:n]), torch.as_tensor(y[:n])
    with drawing_epochs(net, *given, extra, until, min_rows) as drawn:
        net.partial_fit(*drawn)
    seen = dict(net.callbacks_)["rows"]
    return net, [np.concatenate(epoch) for epoch in seen.epochs_], np.reshape(seen.valid_, (-1, 4))


def which(rows, of):
    """Position of each row in `of`, -1 where it is none of them."""
    gaps = np.abs(np.asarray(rows)[:, None] - of[None]).max(axis=2)
    return np.where(gaps.min(axis=1) < 1e-4, gaps.argmin(axis=1), -1)


def share_of_pseudo(epoch):
    return (which(epoch, X_MORE) >= 0).mean()


def make_net(cls=None, **params):
    params = {"max_epochs": 4, "batch_size": 16, "module__input_dim": 4, **params}
    if cls is None:
        return net_classifier(**{"module__output_dim": 3, **params})
    params = {"train_split": None, "verbose": 0, "lr": 0.05, "iterator_train": TensorLoader, **params}
    return cls(MLP, **params)


def cross_entropy(cls, **params):
    return make_net(cls, criterion=torch.nn.CrossEntropyLoss, module__output_dim=3, **params)


NETS = {
    "classifier": make_net,
    "data loader": lambda: make_net(iterator_train=DataLoader, iterator_train__num_workers=0),
    "drop last": lambda: make_net(iterator_train__drop_last=False),
    "selective mms": lambda: cross_entropy(SelectiveNetClassifier, selector="mms"),
    "selective prune": lambda: cross_entropy(SelectiveNetClassifier, selector="prune"),
    "selective none": lambda: cross_entropy(SelectiveNetClassifier, selector=None),
}


@pytest.mark.parametrize("make", NETS.values(), ids=NETS)
def test_nets_train_on_both_kinds_and_then_on_labels_alone(make):
    net, epochs, _ = train(make(), n=20)
    assert len(epochs) == 4
    for epoch in epochs[:2]:
        assert 0.2 < share_of_pseudo(epoch) < 0.8  # a selective net takes what is hard
    for epoch in epochs[2:]:
        assert share_of_pseudo(epoch) == 0
    assert net.score(X, Y) > 0.8


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_net(NeuralNetBinaryClassifier),
        lambda: make_net(SelectiveNetBinaryClassifier, selector="mms"),
        lambda: make_net(SelectiveNetBinaryClassifier, selector="prune"),
    ],
    ids=["plain", "mms", "prune"],
)
def test_binary_nets_train_with_it(make):
    y = (Y > 0).astype(np.float32)
    net, epochs, _ = train(make().set_params(max_epochs=6), Pseudo(X_MORE, y, 0.5), y=y)
    assert share_of_pseudo(epochs[0]) > 0
    assert net.score(X, y) > 0.7


def test_an_epoch_has_512_rows_and_half_of_them_pseudo_labels():
    _, epochs, _ = train(make_net())
    assert [len(epoch) for epoch in epochs] == [MIN_ROWS] * 4
    assert [share_of_pseudo(epoch) for epoch in epochs] == [0.5, 0.5, 0, 0]
    assert set(which(epochs[0], X)) == set(range(-1, 60))
    assert set(which(epochs[0], X_MORE)) == set(range(-1, 60))


@pytest.mark.parametrize(("until", "n_mixed"), [(0.0, 0), (0.25, 1), (0.7, 3), (1.0, 4)])
def test_until_is_a_share_of_the_epochs(until, n_mixed):
    _, epochs, _ = train(make_net(), Pseudo(X_MORE, Y_MORE, until), min_rows=32)
    assert [share_of_pseudo(epoch) > 0 for epoch in epochs] == [i < n_mixed for i in range(4)]
    assert len(epochs[0]) == 60


@pytest.mark.parametrize(("min_epoch_rows", "updates"), [(None, 4), (10, 4), (60, 4), (64, 4), (320, 20)])
def test_min_epoch_rows_gives_that_many_updates(min_epoch_rows, updates):
    task_net = TaskNet(net_classifier(max_epochs=4, batch_size=16), min_epoch_rows=min_epoch_rows)
    assert task_net.fit(X, Y).net_.history[:, "train_batch_count"] == [updates] * 4
    _, epochs, _ = train(make_net(), None, min_rows=min_epoch_rows)
    assert [len(epoch) for epoch in epochs] == [max(60, min_epoch_rows or 0)] * 4


def test_min_epoch_rows_serves_regression():
    task_net = TaskNet(net_regressor(max_epochs=3, batch_size=16), min_epoch_rows=160, random_state=0)
    task_net.fit(X, X[:, 0])
    assert task_net.net_.history[:, "train_batch_count"] == [10] * 3


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (2.5, TypeError), (True, TypeError)])
def test_a_wrong_min_epoch_rows_is_refused(wrong, error):
    with pytest.raises(error, match=r"min_epoch_rows must be a whole number of at least 1, or None"):
        TaskNet(min_epoch_rows=wrong).fit(X, Y)


def test_continued_training_draws_anew():
    net, *_ = train(make_net())
    _, epochs, _ = train(net)
    assert len(net.history) == 8
    assert [share_of_pseudo(epoch) > 0 for epoch in epochs[-4:]] == [True, True, False, False]


# -- held-out rows --------------------------------------------------------------------------------


@pytest.mark.parametrize("pseudo", [PSEUDO, None], ids=["pseudo", "labels alone"])
def test_held_out_rows_are_labelled_and_not_trained_on(pseudo):
    net, epochs, valid = train(make_net(train_split=ValidSplit(4, stratified=True)), pseudo, min_rows=256)
    held_out = which(valid, X)
    assert len(held_out) == 15
    assert (held_out >= 0).all()
    assert (which(valid, X_MORE) == -1).all()
    for epoch in epochs:
        assert not set(which(epoch, X)) & set(held_out)
        assert len(epoch) == 256
    assert len(net.history[:, "valid_acc"]) == 4
    assert vars(net.train_split) == vars(ValidSplit(4, stratified=True))


def test_rows_held_out_by_the_user_stay_so():
    given = Dataset(torch.ones(5, 4), torch.zeros(5, dtype=torch.long))
    net, epochs, valid = train(make_net(train_split=predefined_split(given)))
    assert len(valid) == 5
    assert set(which(epochs[-1], X)) == set(range(60))
    assert len(net.history[:, "valid_acc"]) == 4


# -- what is left behind --------------------------------------------------------------------------


def parameters(net):
    names = ["train_split", "iterator_train", "iterator_train__sampler", "iterator_train__shuffle"]
    return {name: getattr(net, name, None) for name in names}


@pytest.mark.parametrize("fails", [False, True], ids=["trained", "failed"])
def test_the_net_gets_its_parameters_back(fails):
    net = make_net(train_split=ValidSplit(4), iterator_train=TensorLoader, iterator_train__shuffle=True)
    net.initialize()
    before = parameters(net)
    rows, y = torch.as_tensor(X), torch.as_tensor(Y)
    try:
        with drawing_epochs(net, rows, y, (rows, y), 0.5, None) as (rows_drawn, y_drawn):
            assert len(rows_drawn) == len(y_drawn) == 45 + 60
            assert isinstance(net.iterator_train__sampler, EpochSampler)
            assert not net.iterator_train__shuffle
            if fails:
                raise RuntimeError("out of memory")
    except RuntimeError:
        assert fails
    assert parameters(net) == before


def test_a_training_that_breaks_down_leaves_the_net_as_it_was():
    class Breaks(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("out of memory")

    net = net_classifier(max_epochs=4, batch_size=16, callbacks=[("breaks", Breaks())])
    task_net = TaskNet(net, min_epoch_rows=512, random_state=0)
    with pytest.raises(RuntimeError, match="out of memory"):
        task_net.fit(X, Y)
    assert task_net.net_.iterator_train__sampler is None
    assert task_net.net_.iterator_train__shuffle
    task_net.net_.set_params(callbacks__breaks=None)
    task_net.net_.initialize_callbacks()
    task_net.set_params(min_epoch_rows=None).partial_fit(X, Y)
    assert task_net.net_.history[-1]["train_batch_count"] == 4


@pytest.mark.parametrize("min_rows", [None, 1, 60])
def test_without_either_a_training_is_what_it_was(min_rows):
    """The same weights as by the net alone, which knows nothing of epochs drawn."""
    drawn, *_ = train(make_net(), None, min_rows=min_rows)
    torch.manual_seed(0)
    alone = make_net().initialize()
    alone.partial_fit(torch.as_tensor(X), torch.as_tensor(Y))
    for one, other in zip(drawn.module_.parameters(), alone.module_.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_same_seed_gives_the_same_weights():
    one, other = (train(make_net())[0].module_.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


# -- what it cannot do ----------------------------------------------------------------------------


class OwnLoader:
    def __init__(self, dataset, batch_size=1, shuffle=False):
        self.dataset = dataset

    def __iter__(self):
        yield from DataLoader(self.dataset, batch_size=8)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            make_net(iterator_train=OwnLoader),
            r"need a DataLoader as iterator_train, got .*OwnLoader.*train without them",
        ),
        (
            make_net(iterator_train__sampler=RandomSampler(range(20)), iterator_train__shuffle=False),
            r"draw the rows of an epoch, and the net has iterator_train__sampler\. Leave it out",
        ),
    ],
    ids=["loader", "sampler"],
)
def test_what_draws_rows_itself_is_refused(net, message):
    with pytest.raises(ValueError, match=re.compile(message)):
        TaskNet(net, min_epoch_rows=64).fit(X[:20], Y[:20])
    with pytest.raises(ValueError, match=re.compile(message)):
        train(net, n=20)


def test_own_loaders_train_where_no_row_is_drawn():
    task_net = TaskNet(make_net(iterator_train=OwnLoader), min_epoch_rows=10).fit(X, Y)
    assert task_net.score(X, Y) > 0.5
