"""Oracles that answer, break down or answer wrongly."""

import itertools
import pickle

import pytest

from skalss import Campaign, OracleAnswerError, OracleError
from skalss.oracles import AnswerKey, BaseOracle, FunctionOracle

from .digits import X, Y, assert_same_run, make_sampler


class Breaks(BaseOracle):
    """Answers `n_good` questions and then raises."""

    def __init__(self, n_good):
        self.n_good, self.n_answered = n_good, 0

    def label(self, X, ids):
        for id_ in ids:
            if self.n_answered == self.n_good:
                raise RuntimeError("connection lost")
            self.n_answered += 1
            yield id_, Y[id_]


@pytest.mark.parametrize("n_good", [0, 1, 10, 14])
def test_an_oracle_that_breaks_down_loses_no_answer(n_good):
    expected = make_sampler(oracle=AnswerKey(Y)).fit(X)
    with pytest.raises(OracleError, match="Breaks raised RuntimeError: connection lost") as caught:
        make_sampler(oracle=Breaks(n_good)).fit(X)
    campaign = caught.value.campaign
    assert f"The {n_good} answers that arrived are kept" in str(caught.value)
    assert campaign.records.n_paid == n_good
    assert isinstance(caught.value.__cause__, RuntimeError)
    if n_good:
        assert campaign.finish().n_labels_ == n_good
    # The open questions come first, under the same ids, and the rest follows as if nothing had happened.
    again = campaign.run(AnswerKey(Y)).finish()
    assert_same_run(again, expected, history=False)


def test_an_error_named_in_catch_does_not_stop_the_run():
    calls = itertools.count()

    def sometimes(x):
        if next(calls) % 10 == 9:
            raise OSError("no scan")
        return 1

    oracle = FunctionOracle(sometimes, per_row=True, catch=(OSError,))
    sampler = make_sampler(oracle=oracle).fit(X)
    assert sampler.stop_reason_ == "max_labels"
    assert sampler.queries_.query("state == 'failed'")["reason"].unique().tolist() == ["OSError: no scan"]


def test_an_oracle_error_survives_another_process():
    error = pickle.loads(pickle.dumps(OracleError("down", None)))
    assert str(error) == "down"


class Answers(BaseOracle):
    def __init__(self, function):
        self.function = function

    def label(self, X, ids):
        return self.function(X, ids)


WRONG_ANSWERS = {
    "too few": (
        lambda X, ids: [(i, 1) for i in ids[:-2]],
        "was asked 10 ids and left 2 without an answer",
        8,
    ),
    "none": (lambda X, ids: [], "was asked 10 ids and left 10 without an answer", 0),
    "unknown id": (lambda X, ids: [(ids[0], 1), (-7, 1)], "Answers: id -7 is not waiting", 1),
    "twice": (lambda X, ids: [(ids[0], 1), (ids[0], 1)], "is not waiting for an answer; 9 are", 1),
    "outside classes": (lambda X, ids: [(ids[0], 99)], "The label 99 is outside classes", 0),
}


@pytest.mark.parametrize(("function", "message", "n_kept"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_wrong_answers_of_an_oracle_are_value_errors(function, message, n_kept):
    with pytest.raises(ValueError, match=message) as caught:
        make_sampler(oracle=Answers(function)).fit(X)
    assert isinstance(caught.value, OracleAnswerError)
    assert isinstance(caught.value, OracleError)
    campaign = caught.value.campaign
    assert campaign.records.n_paid == n_kept
    assert campaign.run(AnswerKey(Y)).finish().n_labels_ == 30


@pytest.mark.parametrize("function", [lambda X, ids: None, lambda X, ids: list(ids), lambda X, ids: 3])
def test_an_oracle_that_returns_no_pairs_says_so(function):
    with pytest.raises(OracleError, match="Answers") as caught:
        make_sampler(oracle=Answers(function)).fit(X)
    assert caught.value.campaign.records.n_paid == 0


def test_a_function_with_too_few_answers():
    with pytest.raises(OracleError, match="got 10 rows and returned 3 answers"):
        make_sampler(oracle=lambda rows: [1, 2, 3]).fit(X)


def test_a_plain_callable_is_an_oracle_and_is_not_copied():
    class Counter:
        n_calls = 0

        def __call__(self, rows):
            self.n_calls += 1
            return [0] * len(rows)

        def __deepcopy__(self, memo):
            raise AssertionError("the user's own object must see the calls")

    counter = Counter()
    campaign = Campaign(make_sampler(), X)
    campaign.run(counter)
    assert counter.n_calls == 3


def test_all_rows_abstained_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no label to train on") as caught:
        make_sampler(oracle=lambda rows: [None] * len(rows)).fit(X)
    assert caught.value.campaign.records.n_paid == 30
