"""The contract of a selector, asked of every one: list a new selector here and it is tested."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from skalss.nets import MLP
from skalss.network.loader import TensorLoader
from skalss.selective import (
    BaseSelector,
    HardestRows,
    HardNegatives,
    PruneEasyRows,
    RandomRows,
    SelectiveNetClassifier,
)
from skalss.selective.net import SELECTORS, make_selector


def doubt(output, y):
    return -output.amax(dim=1)


ALWAYS = {  # each update chooses from a pool, between start and end
    "hard_negatives": "hard_negatives",
    "random": "random",
    "callable": HardestRows(doubt),
    "two and a half batches": HardestRows(when="always", pool_factor=2.5),
}
POOL_SELECTORS = ALWAYS | {"mms": "mms", "class_balance": HardestRows(class_balance=True)}
PRUNERS = {"prune": "prune", "prune more": PruneEasyRows(easy=0.8, skip=0.8)}
EVERY_SELECTOR = POOL_SELECTORS | PRUNERS
each_selector = pytest.mark.parametrize("selector", EVERY_SELECTOR.values(), ids=EVERY_SELECTOR)
each_pool_selector = pytest.mark.parametrize("selector", POOL_SELECTORS.values(), ids=POOL_SELECTORS)
each_pruner = pytest.mark.parametrize("selector", PRUNERS.values(), ids=PRUNERS)


def sizes(net):
    """Rows of each update, epoch by epoch, as the history has them."""
    return [[batch["train_batch_size"] for batch in epoch["batches"]] for epoch in net.history]


def as_tensors(data):
    return tuple(map(torch.from_numpy, data))


def is_pruner(selector):
    return isinstance(make_selector(selector), PruneEasyRows)


# -- an epoch -------------------------------------------------------------------------------------


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


@each_selector
def test_batches_are_distinct_rows_of_the_data_with_their_labels(selector, make_net, data, watch):
    X, y = data
    make_net(selector, watch=watch, max_epochs=4).fit(X, y)
    for (X_batch, y_batch), ids in zip(watch.batches, watch.ids, strict=True):
        assert len(ids.unique()) == len(ids)
        np.testing.assert_array_equal(X_batch.numpy(), X[ids])
        np.testing.assert_array_equal(y_batch.numpy(), y[ids])


@each_selector
def test_rows_of_a_held_out_part_are_never_trained_on(selector, make_net, data, watch):
    X, y = data
    net = make_net(selector, watch=watch, train_split=ValidSplit(4, stratified=True)).fit(X, y)
    held_out = {row.tobytes() for row in np.stack([x for x, _ in net.get_split_datasets(X, y)[1]])}
    trained = {row.numpy().tobytes() for X_batch, _ in watch.batches for row in X_batch}
    assert len(held_out) == 40
    assert not held_out & trained
    assert max(ids.max() for ids in watch.ids) < 120
    assert len(net.history[:, "valid_loss"]) == 2


@each_selector
@pytest.mark.parametrize("n_rows", [2, 16, 17, 30])
def test_fewer_rows_than_a_pool_or_a_batch(selector, n_rows, make_net, data):
    X, y = data
    net = make_net(selector, max_epochs=4).fit(X[:n_rows], y[:n_rows])
    for epoch in sizes(net):
        assert len(epoch) == (1 if n_rows < 18 and is_pruner(selector) else -(-n_rows // 16))
        assert all(1 <= size <= min(n_rows, 17) for size in epoch)
    assert sizes(net)[0][0] >= min(n_rows, 16)


@each_selector
def test_a_batch_size_of_minus_one_takes_all_rows(selector, make_net, data):
    net = make_net(selector, batch_size=-1).fit(*data)
    assert sizes(net) == [[160], [160]]


def easy_rows(n_rows):
    """Three classes far apart: soon every row is easy."""
    y = np.arange(n_rows) % 3
    return 10 * np.eye(3, 5, dtype=np.float32)[y], y


@each_selector
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


# -- it learns, and repeats itself ----------------------------------------------------------------


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


# -- other batches and modules --------------------------------------------------------------------


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
    assert all((s.rows.ids is None) == (loader != "unsized") for s in watch.selections)
    known = {row.tobytes() for row in X}
    assert all(row.numpy().tobytes() in known for X_batch, _ in watch.batches for row in X_batch)


@each_pruner
def test_a_pruner_refuses_rows_without_positions(selector, make_net, data):
    X, y = data
    with pytest.raises(TypeError, match="PruneEasyRows must know rows again, but .*Stream.*such as 'mms'"):
        make_net(selector, iterator_train__shuffle=False, classes=[0, 1, 2]).fit(Stream(X, y), None)
    with pytest.raises(TypeError, match="iterator_train=<function loader_function.*Use a DataLoader"):
        make_net(selector, iterator_train=loader_function).fit(X, y)


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


# -- parameters -----------------------------------------------------------------------------------


@each_selector
def test_clone_and_parameters(selector, make_net):
    net = make_net(selector, selector__end=0.75)
    params = net.get_params()
    assert params["selector__end"] == 0.75
    assert params["selector"] is selector
    twin = clone(net)
    assert type(twin) is type(net)
    assert twin.get_params()["selector__end"] == 0.75
    assert str(twin.get_params()["selector"]) == str(selector)
    assert net.get_params(deep=False)["selector__end"] == 0.75


@each_selector
@pytest.mark.parametrize("initialized", [False, True])
def test_parameters_set_through_the_net_count_from_the_next_fit(
    selector, initialized, make_net, data, weights_of, capsys
):
    net = make_net(selector, verbose=1)
    name, value = ("skip", 0.25) if is_pruner(selector) else ("pool_factor", 2)
    if initialized:
        net.initialize()
        before, optimizer = weights_of(net), net.optimizer_
    net.set_params(**{f"selector__{name}": value})
    if initialized:  # nothing is initialised anew
        assert capsys.readouterr().out == ""
        assert net.optimizer_ is optimizer
        assert all(torch.equal(v, before[k]) for k, v in weights_of(net).items())
    assert net.get_params()[f"selector__{name}"] == value
    net.set_params(verbose=0).partial_fit(*data)
    assert net.selector_.get_params()[name] == value
    if isinstance(selector, BaseSelector):
        assert selector.get_params()[name] != value
    net.set_params(**{f"selector__{name}": 0.5 if is_pruner(selector) else 3.5}, lr=0.01)
    assert net.fit(*data).selector_.get_params()[name] in (0.5, 3.5)
    assert net.lr == 0.01


def test_the_pool_factor_set_is_the_pool_looked_at(make_net, data, watch):
    selector = HardestRows(when="always", end=1.0)
    net = make_net(selector, watch=watch, selector__pool_factor=2)
    net.fit(*data)
    assert {len(s.rows) for s in watch.selections} == {32}
    net.set_params(selector=clone(selector).set_params(pool_factor=5)).fit(*data)
    assert {len(s.rows) for s in watch.selections} == {32}  # what is set through the net overrules the object
    net.set_params(selector__pool_factor=5).fit(*data)
    assert {len(s.rows) for s in watch.selections} == {80}


@each_selector
def test_grid_search_over_a_parameter(selector, make_net, data):
    name, values = (
        ("selector__skip", [0.0, 0.5]) if is_pruner(selector) else ("selector__pool_factor", [1, 2])
    )
    search = GridSearchCV(make_net(selector), {name: values}, cv=2, error_score="raise").fit(*data)
    key = name.removeprefix("selector__")
    assert search.best_estimator_.selector_.get_params()[key] == search.best_params_[name]
    assert search.best_params_[name] in values


def test_grid_search_over_selectors_and_none(make_net, data):
    grid = {"selector": [None, "mms", PruneEasyRows()], "selector__end": [0.5]}
    search = GridSearchCV(make_net(), grid, cv=2, error_score="raise").fit(*data)
    assert len(search.cv_results_["params"]) == 3
    assert search.best_score_ > 0.5


@each_selector
def test_is_an_estimator(selector):
    made = make_selector(selector)
    assert isinstance(made, BaseSelector)
    assert clone(made).get_params() == made.get_params()
    assert make_selector(made) is not made
    assert make_selector(made, end=0.5).end == 0.5
    assert str(made).startswith(type(made).__name__)


WRONG = [
    ({"pool_factor": 0.5}, ValueError, r"pool_factor must be at least 1, got 0\.5"),
    ({"pool_factor": "3"}, TypeError, "pool_factor must be a finite number, got '3'"),
    ({"pool_factor": float("nan")}, ValueError, "pool_factor must be a finite number, got nan"),
    ({"start": -0.1}, ValueError, r"start must lie in \[0, 1\], got -0\.1"),
    ({"end": 1.5}, ValueError, r"end must lie in \[0, 1\], got 1\.5"),
    ({"start": 0.6, "end": 0.5}, ValueError, r"start must not exceed end, got start=0\.6 and end=0\.5"),
]
WRONG_OF_ONE = [
    (HardestRows("hardest"), {}, ValueError, "score must be one of .*'mms'.* or a callable, got 'hardest'"),
    ("mms", {"score": None}, ValueError, "score must be one of .* got None"),
    ("mms", {"when": "often"}, ValueError, "when must be 'pays' or 'always', got 'often'"),
    ("mms", {"rho": -0.1}, ValueError, "rho must be a finite number of at least 0, got -0.1"),
    ("mms", {"rho": "auto"}, TypeError, "rho must be a finite number of at least 0, got 'auto'"),
    ("mms", {"bias": True}, ValueError, "bias must be 'exclude' or 'include', got True"),
    ("mms", {"score_dtype": "half"}, ValueError, "dtype must be 'auto', 'float32' or 'bfloat16', got 'half'"),
    ("mms", {"score_chunk": 0}, ValueError, "score_chunk must be a whole number of at least 1, got 0"),
    ("mms", {"score_chunk": 2.5}, TypeError, "score_chunk must be a whole number of at least 1, got 2.5"),
    ("hard_negatives", {"ramp_epochs": 0}, ValueError, "ramp_epochs must be a whole number of at least 1"),
    ("hard_negatives", {"score_dtype": "half"}, ValueError, "dtype must be 'auto', 'float32' or 'bfloat16'"),
    ("hard_negatives", {"score_chunk": 0}, ValueError, "score_chunk must be a whole number of at least 1"),
    ("prune", {"skip": 1}, ValueError, "skip must be below 1: some easy rows must stay .* got 1"),
    ("prune", {"skip": 1.0}, ValueError, "skip must be below 1"),
    ("prune", {"skip": -1}, ValueError, r"skip must lie in \[0, 1\], got -1"),
    ("prune", {"easy": 1.1}, ValueError, r"easy must lie in \[0, 1\], got 1\.1"),
    ("prune", {"easy": -0.5}, ValueError, r"easy must lie in \[0, 1\], got -0\.5"),
    ("prune", {"end": 7}, ValueError, r"end must lie in \[0, 1\], got 7"),
    ("prune", {"pool_factor": 2}, ValueError, "Invalid parameter 'pool_factor' for estimator PruneEasyRows"),
]
WRONG_CASES = [(s, *wrong) for s in ("mms", "hard_negatives", "random") for wrong in WRONG] + WRONG_OF_ONE


@pytest.mark.parametrize(
    ("selector", "params", "error", "match"),
    WRONG_CASES,
    ids=[f"{type(s).__name__ if not isinstance(s, str) else s} {p}" for s, p, _, _ in WRONG_CASES],
)
def test_wrong_parameters_are_refused_before_training(selector, params, error, match, make_net, data):
    net = make_net(selector, **{f"selector__{name}": value for name, value in params.items()}).initialize()
    with pytest.raises(error, match=match):
        net.partial_fit(*data)
    assert len(net.history) == 0


@each_selector
def test_a_parameter_there_is_none_of_is_refused_with_those_there_are(selector, make_net, data):
    net = make_net(selector, selector__nonsense=1).initialize()
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense' for estimator .*Valid .*'end'"):
        net.partial_fit(*data)
    assert len(net.history) == 0


def test_a_forgotten_underscore_is_told(make_net):
    with pytest.raises(ValueError, match="selector_pool_factor, did you mean selector__pool_factor"):
        make_net("mms", selector_pool_factor=2).initialize()


@pytest.mark.parametrize("name", ["hardest", "MMS", ""])
def test_an_unknown_name_is_refused_with_those_known(name, make_net, data):
    known = r"\['entropy', 'hard_negatives', 'loss', 'margin', 'mms', 'prune', 'random'\]"
    with pytest.raises(ValueError, match=f"selector must be one of {known}, an object or None, got '{name}'"):
        make_net(name).fit(*data)


@pytest.mark.parametrize(
    "thing", [HardestRows, 3, ["mms"], RandomRows.pick], ids=["class", "3", "list", "function"]
)
def test_what_is_no_selector_is_refused(thing, make_net, data):
    with pytest.raises(
        TypeError, match=r"selector must be one of .*, an object such as HardestRows\(\) or None"
    ):
        make_net(thing).fit(*data)


def test_every_name_makes_a_selector_of_its_own():
    made = {name: make_selector(name) for name in SELECTORS}
    assert {type(s) for s in made.values()} == {HardestRows, HardNegatives, RandomRows, PruneEasyRows}
    scores = {name: s.score for name, s in made.items() if isinstance(s, HardestRows)}
    assert scores == {name: name for name in ("mms", "margin", "entropy", "loss")}
    assert make_selector(None) is None
    assert make_selector(None, pool_factor=3) is None


def test_a_selector_of_the_users_own(make_net, data):
    """The base class says what is needed, and no more is."""

    class EverySecondBatch(BaseSelector):
        def select(self, net, iterator, **fit_params):
            assert net.numbered_
            for i, (batch, ids) in enumerate(iterator):
                assert len(batch[1]) == len(ids)
                if i % 2 == 0:
                    yield batch

    net = make_net(EverySecondBatch()).fit(*data)
    assert sizes(net) == [[16] * 5] * 2
    with pytest.raises(NotImplementedError):
        next(iter([BaseSelector().select(net, [])]))
