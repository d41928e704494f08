"""The contract of a selector as an estimator: its parameters, set alone and through the net."""

from itertools import islice

import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skalss.selective import BaseSelector, HardestRows, HardNegatives, PruneEasyRows, RandomRows
from skalss.selective.net import SELECTORS, make_selector

from .selectors import each_selector, is_pruner, sizes


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
    value = 0.5 if is_pruner(selector) else 3.5
    net.set_params(**{f"selector__{name}": value}, lr=0.01)
    assert net.fit(*data).selector_.get_params()[name] == value
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
    ("mms", {"score": None}, TypeError, "score must be one of .* got None"),
    ("mms", {"when": "often"}, ValueError, r"when must be one of \['pays', 'always'\], got 'often'"),
    ("mms", {"rho": -0.1}, ValueError, "rho must be a finite number of at least 0, got -0.1"),
    ("mms", {"rho": "auto"}, TypeError, "rho must be a finite number of at least 0, got 'auto'"),
    ("mms", {"bias": True}, TypeError, r"bias must be one of \['exclude', 'include'\], got True"),
    (
        "mms",
        {"score_dtype": "half"},
        ValueError,
        r"dtype must be one of \['auto', 'float32', 'bfloat16'\], got 'half'",
    ),
    ("mms", {"score_chunk": 0}, ValueError, "score_chunk must be a whole number of at least 1, got 0"),
    ("mms", {"score_chunk": 2.5}, TypeError, "score_chunk must be a whole number of at least 1, got 2.5"),
    ("hard_negatives", {"ramp_epochs": 0}, ValueError, "ramp_epochs must be a whole number of at least 1"),
    (
        "hard_negatives",
        {"score_dtype": "half"},
        ValueError,
        r"dtype must be one of \['auto', 'float32', 'bfloat16'\], got",
    ),
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
    with pytest.raises(
        ValueError, match=f"selector must be one of {known} or an object, or None, got '{name}'"
    ):
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
            yield from islice(iterator, 0, None, 2)

    net = make_net(EverySecondBatch()).fit(*data)
    assert sizes(net) == [[16] * 5] * 2
    with pytest.raises(NotImplementedError):
        next(iter([BaseSelector().select(net, [])]))
