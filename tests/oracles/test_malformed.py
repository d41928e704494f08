"""Whatever a function returns or raises: a state that is handled or a clear error, within the budget."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skalss import AdaptiveLatentSampler, Campaign, MaxCost, MaxFailures, OracleError
from skalss.nets import net_classifier
from skalss.oracles import ABSTAIN, Failed, FunctionOracle
from skalss.oracles import calls as calls_module
from skalss.oracles.base import answer_chunks

X = np.arange(12.0)[:, None]
# 500 examples in all: those of the campaign make a network each, and are the slower ones.


class Caught(Exception):
    """Named in `catch`."""


class Uncaught(Exception):
    """Not named in `catch`."""


scalars = st.one_of(
    st.sampled_from(["a", "b", "", "nan", 0, 1, 2, -3, True, 1.5, 10**30, 1 + 2j, b"a"]),
    st.sampled_from([None, ABSTAIN, pd.NA, pd.NaT, float("nan"), math.inf, np.float32("nan"), np.int8(1)]),
    st.sampled_from([Failed("why"), Failed("why", charged=True), Failed, object(), int, len]),
)
arrays = st.sampled_from(
    [
        np.array([]),
        np.array(1),
        np.zeros((2, 2)),
        np.array(["a"]),
        np.array([None], dtype=object),
        np.array([[1]]),
        torch.tensor([0, 1]),
        torch.tensor(1.0),
        pd.Series(["a", "b"]),
        pd.DataFrame({"p": [1], "q": [2]}),
        pd.DataFrame(),
        {"a": 1},
        {"a", "b"},
        (),
        range(3),
        ((),),
    ]
)
answers = st.one_of(scalars, arrays, st.lists(scalars, max_size=5))
generators = st.builds(lambda items: iter(items), st.lists(scalars, max_size=3))
errors = st.sampled_from([Caught("no"), Uncaught("bug"), ValueError("bad"), StopIteration(), KeyError(1)])
# What a batch of n rows gets back: something of any length, or one answer a row of any kind.
returned = st.one_of(answers, generators, st.lists(answers, min_size=4, max_size=4), errors)


class Script:
    """Returns or raises one thing after the other; without more, a label for each row."""

    def __init__(self, items, per_row):
        self.items, self.per_row = list(items), per_row

    def __call__(self, rows):
        label = "a" if self.per_row else ["a"] * len(rows)
        item = self.items.pop(0) if self.items else label
        if isinstance(item, Exception):
            raise item
        return item


def is_clear(error):
    """Whether an error is what the function raised, or says what it should have returned."""
    if isinstance(error, RuntimeError):  # Python's own word for a StopIteration inside of a generator
        return "StopIteration" in str(error)
    return isinstance(error, Uncaught | KeyError) or str(error) == "bad" or "one answer a row" in str(error)


def handled(answer):
    return not (answer is None or (isinstance(answer, float) and math.isnan(answer)))


@settings(max_examples=190, deadline=None)
@given(
    items=st.lists(returned, max_size=6),
    per_row=st.booleans(),
    retries=st.integers(0, 2),
    charge=st.booleans(),
)
def test_an_oracle_alone(items, per_row, retries, charge):
    oracle = FunctionOracle(
        Script(items, per_row),
        per_row=per_row,
        catch=Caught,
        retries=retries,
        backoff=0,
        charge_failures=charge,
    )
    arrived, error = [], None
    try:
        for pairs in answer_chunks(oracle.label(X[:4], np.arange(4))):
            arrived += pairs
    except Exception as raised:
        error = raised
    assert error is not None or len(arrived) == 4
    assert error is None or is_clear(error), repr(error)
    ids = [id_ for id_, _ in arrived]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(range(4))
    assert all(handled(answer) for _, answer in arrived)


@settings(max_examples=60, deadline=None)
@given(
    items=st.lists(returned, max_size=8),
    per_row=st.booleans(),
    charge=st.booleans(),
    max_labels=st.integers(1, 12),
    max_cost=st.sampled_from([0.5, 3.0, 7.5, 100.0]),
    max_failures=st.integers(0, 4),
)
def test_a_campaign(items, per_row, charge, max_labels, max_cost, max_failures):
    campaign = CAMPAIGNS(
        FunctionOracle(
            Script(items, per_row),
            per_row=per_row,
            catch=Caught,
            charge_failures=charge,
            cost=1 + np.arange(12) % 3,
        ),
        max_labels=max_labels,
        stop=[MaxCost(max_cost), MaxFailures(max_failures)],
    )
    for _ in range(len(items) + 1):  # whoever mends the function goes on
        broke_down = runs_into_an_error(campaign)
        assert_within_budget(campaign, max_labels, max_cost)
        if not broke_down:
            break
    assert not broke_down
    assert campaign.stop_reason in ("max_labels", "max_cost", "max_failures", "pool exhausted")
    assert not campaign.records.pending
    assert campaign.queries.query("state == 'labeled'")["label"].isin(["a", "b"]).all()


def CAMPAIGNS(oracle, **budget):
    sampler = AdaptiveLatentSampler(
        net_classifier(max_epochs=1),
        strategy="random",
        oracle=oracle,
        classes=["a", "b"],
        n_initial=4,
        n_per_round=4,
        random_state=0,
        **budget,
    )
    return Campaign(sampler, X)


def runs_into_an_error(campaign):
    try:
        campaign.run()
    except OracleError as error:
        if error.campaign is campaign and len(str(error)) > 20:
            return True
        raise AssertionError("The error does not carry the campaign, or says nothing") from error
    return False


def assert_within_budget(campaign, max_labels, max_cost):
    queries = campaign.queries
    paid = queries[queries["charged"].astype(bool)]
    assert len(paid) == campaign.records.n_paid <= max_labels
    assert paid["cost"].sum() <= max_cost
    # What is pending could still be paid.
    open_ = queries[queries["state"] == "pending"]
    assert len(paid) + len(open_) <= max_labels
    assert paid["cost"].sum() + open_["cost"].sum() <= max_cost


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_waits_are_not_part_of_these_tests(n_jobs, monkeypatch):
    """With `backoff=0` nothing waits, so that hundreds of examples run quickly."""
    seconds = []
    monkeypatch.setattr(calls_module, "sleep", seconds.append)
    oracle = FunctionOracle(lambda rows: 1 / 0, catch=ZeroDivisionError, retries=2, backoff=0, n_jobs=n_jobs)
    assert len(list(oracle.label(X[:2], np.arange(2)))) == 2
    assert seconds == [0, 0]
