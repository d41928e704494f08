from itertools import chain

import numpy as np
import pandas as pd
import pytest

from skalss.oracles import ABSTAIN, AnswerKey
from skalss.oracles.base import answer_chunks

ROWS = np.zeros((2, 1))  # a key does not look at rows


def answers(key, ids):
    pairs = chain.from_iterable(answer_chunks(key.label(ROWS, np.asarray(ids))))
    return [answer for _, answer in pairs]


def test_by_position():
    key = AnswerKey([10, 11, 12])
    assert answers(key, [2, 0]) == [12, 10]
    assert list(key.label(ROWS, np.array([1, 2]))) == [[(1, 11), (2, 12)]]  # they arrive together


@pytest.mark.parametrize("ids", [["x", "y", "z"], [7, 5, 3], pd.Series(["x", "y", "z"], index=[5, 6, 7])])
def test_by_id(ids):
    key = AnswerKey(pd.Series([10, 11, 12], index=[3, 4, 5]), sample_id=ids)
    first, _, last = list(ids)
    assert answers(key, [last, first]) == [12, 10]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_a_missing_label_is_an_abstention(missing):
    assert answers(AnswerKey(["a", missing, "b"]), [1, 2]) == [ABSTAIN, "b"]
    assert answers(AnswerKey([1.0, np.nan, 2.0]), [1, 2]) == [ABSTAIN, 2.0]


@pytest.mark.parametrize(
    ("sample_id", "asked", "first"),
    [(None, [0, 3], "3"), (None, [-1], "-1"), (["a", "b", "c"], ["a", "z"], "'z'"), ([5, 6, 7], [0], "0")],
)
def test_unknown_ids_are_refused(sample_id, asked, first):
    with pytest.raises(
        ValueError, match=rf"no label for 1 id\(s\), the first is .*{first}.*sample_id that fit"
    ):
        answers(AnswerKey([10, 11, 12], sample_id), asked)


def test_an_id_twice_is_refused():
    key = AnswerKey([10, 11, 12], sample_id=["a", "b", "b"])
    with pytest.raises(ValueError, match="got the id 'b' twice"):
        answers(key, ["a"])
    with pytest.raises(ValueError, match="got the id 'b' twice"):
        key.check_pool(np.array(["a", "b"]), 2)


def test_pool_checks():
    AnswerKey([1, 2, 3]).check_pool(None, 3)
    AnswerKey([1, 2, 3], ["a", "b", "c"]).check_pool(np.array(["c", "a"]), 2)
    AnswerKey([1, 2, 3]).check_pool(np.array([2, 0]), 2)


@pytest.mark.parametrize(
    ("key", "sample_id", "n_rows", "message"),
    [
        (AnswerKey([1, 2, 3]), None, 2, "holds 3 labels, but the pool has 2 rows.*Pass sample_id="),
        (AnswerKey([1, 2, 3]), None, 4, "holds 3 labels, but the pool has 4 rows.*cross-validation"),
        (AnswerKey([1, 2], ["a", "b"]), None, 2, "holds labels by id, but the pool's rows have none"),
        (AnswerKey([1, 2], ["a"]), np.array(["a"]), 1, "got 2 labels and 1 ids; give each label one id"),
        (AnswerKey([1, 2], ["a", "b"]), np.array(["a", "c"]), 2, "no label for 1 id.*'c'"),
        (AnswerKey([1, 2]), np.array([0, 2]), 2, r"no label for 1 id\(s\), the first is .*2"),
    ],
)
def test_pools_it_cannot_serve(key, sample_id, n_rows, message):
    with pytest.raises(ValueError, match=message):
        key.check_pool(sample_id, n_rows)
