"""The pool: labels that are known from the start, and checks."""

import numpy as np
import pandas as pd
import pytest

from skalss.oracles import AnswerKey

from .digits import X, Y, make_sampler


@pytest.mark.parametrize(
    ("missing", "strings"), [(np.nan, False), (np.nan, True), (None, True), (pd.NA, False)], ids=str
)
def test_given_labels_are_free(missing, strings):
    labels = np.array([f"digit {i}" for i in Y]) if strings else Y
    y = labels.astype(object)
    y[6:] = missing
    seen = []

    def function(rows):
        seen.append(len(rows))
        return labels[[int(np.flatnonzero((row == X).all(axis=1))[0]) for row in rows]]

    sampler = make_sampler(oracle=function, classes=None).fit(X, y)
    assert sum(seen) == 30
    assert seen[0] == 4  # n_initial counts those that are known
    assert (sampler.n_labels_, sampler.n_queries_) == (30, 30)
    assert sampler.labeled_indices_[:6].tolist() == list(range(6))
    assert len(sampler.labeled_indices_) == 36
    assert not set(range(6)) & set(sampler.queries_["position"])
    assert set(sampler.classes_) <= set(labels)


def test_missing_labels_in_a_list_of_strings():
    """numpy would turn the NaN into the text 'nan'."""
    y = ["a", "b"] * 5 + [np.nan] * 110
    sampler = make_sampler(oracle=lambda rows: ["a"] * len(rows), classes=None).fit(X, y)
    assert sampler.classes_.tolist() == ["a", "b"]
    assert sampler.labeled_indices_[:10].tolist() == list(range(10))
    assert sampler.n_labels_ == 30


def test_labeled_marks_rows_of_the_answer_key_as_free():
    labeled = np.zeros(120, dtype=bool)
    labeled[50:70] = True
    sampler = make_sampler().fit(X, Y, labeled=labeled)
    assert sampler.labeled_indices_[:20].tolist() == list(range(50, 70))
    assert sampler.n_labels_ == 30
    assert sampler.n_rounds_ == 3  # more than n_initial are known: the strategy starts at once
    assert "RandomStrategy" not in set(sampler.queries_["strategy"])


def test_labeled_unmarks_known_rows():
    """With an oracle, `labeled` decides which known labels are used."""
    labeled = np.arange(120) < 12
    sampler = make_sampler(oracle=AnswerKey(Y), classes=None).fit(X, Y.astype(float), labeled=labeled)
    assert sampler.labeled_indices_[:12].tolist() == list(range(12))
    assert sampler.n_labels_ == 30


def test_an_oracle_with_nothing_left_to_ask_is_told():
    with pytest.warns(UserWarning, match="label for every row, so there is nothing to ask.*labeled="):
        make_sampler(oracle=AnswerKey(Y)).fit(X, Y)


def test_everything_given_buys_nothing():
    sampler = make_sampler().fit(X, Y, labeled=np.ones(120, dtype=bool))
    assert (sampler.n_labels_, sampler.n_queries_) == (0, 0)
    assert sampler.stop_reason_ == "pool exhausted"
    assert sampler.score(X, Y) > 0.15
