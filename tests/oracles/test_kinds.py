"""Answers that are lists and arrays: each goes to its own row, as scalars do."""

from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch

from skalss.oracles import ABSTAIN, AnswerKey, Failed, FunctionOracle
from skalss.oracles.alignment import in_order_of_ids
from skalss.oracles.base import answer_chunks, read_answer, read_told

IDS = np.array([12, 90, 31])
FRAME = pd.DataFrame({"x": [40.0, 10.0, 30.0]}, index=[7, 3, 5])
VALUES = np.arange(6.0).reshape(3, 2)
TABLE = pd.DataFrame(VALUES, FRAME.index, ["p", "q"])
NAMES = [["car", "dog"], ["sky"], []]
MASKS = np.arange(12).reshape(3, 2, 2) % 3


def pairs(oracle, X, ids=IDS):
    found = dict(chain.from_iterable(answer_chunks(oracle.label(X, np.asarray(ids)))))
    return [found[id_] for id_ in ids]


def check(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one is other if other is ABSTAIN else np.array_equal(one, other)


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (VALUES, VALUES),
        (torch.tensor(VALUES), VALUES),
        (list(VALUES), VALUES),
        (VALUES.tolist(), VALUES),
        (TABLE, VALUES),
        (TABLE.sort_index(), VALUES),
        (TABLE.set_axis(IDS).sort_index(), VALUES),
        (pd.Series(list(VALUES), FRAME.index)[::-1], VALUES),
        (dict(zip(IDS[::-1], VALUES[::-1], strict=True)), VALUES),
        (NAMES, NAMES),
        (pd.Series(NAMES, FRAME.index).sort_index(), NAMES),
        (MASKS, MASKS),
        ([torch.tensor(mask) for mask in MASKS], MASKS),
        (dict(zip([5, 3, 7], MASKS[::-1], strict=True)), MASKS),
    ],
)
def test_a_batch_gets_one_answer_a_row(returned, expected):
    check(pairs(FunctionOracle(lambda X: returned), FRAME), expected)
    asked, told = in_order_of_ids(IDS, returned, lambda ids: FRAME.index)
    assert asked == IDS.tolist()
    check(told, expected)


@pytest.mark.parametrize("rows", [VALUES.tolist(), NAMES, MASKS, list(torch.tensor(MASKS))])
def test_a_function_of_one_row_returns_one_answer(rows):
    answers = iter(rows)
    check(pairs(FunctionOracle(lambda row: next(answers), per_row=True), FRAME), [np.asarray(r) for r in rows])


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (TABLE.reset_index(drop=True), "whose index does not tell which answer is whose"),
        (TABLE[:2], "got 3 rows and returned 2 answers"),
        (VALUES[0], "got 3 rows and returned 2 answers"),
        (["car", "dog"], "got 3 rows and returned 2 answers"),
        ({"car", "dog", "sky"}, "got 3 rows and returned a set"),
        (MASKS[:2], "got 3 rows and returned 2 answers"),
        ("car", "got 3 rows and returned a str"),
    ],
)
def test_answers_that_are_not_one_a_row_are_refused(returned, message):
    with pytest.raises(ValueError, match=message):
        pairs(FunctionOracle(lambda X: returned), FRAME)


GAPS = np.where(np.arange(3)[:, None] == 1, np.nan, VALUES)
HOLES = np.where(np.arange(3)[:, None, None] == 1, np.nan, MASKS)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (VALUES, VALUES),
        (GAPS, [VALUES[0], ABSTAIN, VALUES[2]]),
        (GAPS.tolist(), [VALUES[0], ABSTAIN, VALUES[2]]),
        (pd.DataFrame(GAPS), [VALUES[0], ABSTAIN, VALUES[2]]),
        (pd.DataFrame(GAPS).astype("Float64"), [VALUES[0], ABSTAIN, VALUES[2]]),
        (np.where([[0, 0], [1, 0], [0, 0]], np.nan, VALUES), np.where([[0, 0], [1, 0], [0, 0]], np.nan, VALUES)),
        (np.ma.masked_invalid(GAPS), [VALUES[0], ABSTAIN, VALUES[2]]),
        (NAMES, NAMES),
        ([["car"], None, []], [["car"], ABSTAIN, []]),
        (pd.Series([["car"], None, []]), [["car"], ABSTAIN, []]),
        (MASKS, MASKS),
        (HOLES, [MASKS[0], ABSTAIN, MASKS[2]]),
        ([MASKS[0], None, MASKS[2]], [MASKS[0], ABSTAIN, MASKS[2]]),
        (torch.tensor(MASKS), MASKS),
    ],
)
def test_a_key_of_lists_and_arrays(y, expected):
    found = pairs(AnswerKey(y), np.zeros((3, 1)), [0, 1, 2])
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, np.ndarray):
            np.testing.assert_array_equal(np.asarray(one, dtype=float), other)
        else:
            assert one is other or one == other
    assert pairs(AnswerKey(y, ["a", "b", "c"]), np.zeros((1, 1)), ["b"])[0] is not None


def test_a_table_of_labels_goes_by_its_index():
    key = AnswerKey(TABLE)
    check(pairs(key, np.zeros((2, 1)), [5, 7]), VALUES[[2, 0]])
    key.check_pool(np.array([7, 3, 5]), 3)
    with pytest.raises(ValueError, match="holds labels by id, but the pool's rows have none"):
        key.check_pool(None, 3)


@pytest.mark.parametrize("array", [np.full((2, 2), np.nan), [np.nan, np.nan], np.full(2, np.nan, np.float32)])
def test_nothing_but_nan_is_a_failure_and_no_label(array):
    assert read_answer(array) == Failed("the oracle returned nothing but nan")
    with pytest.raises(ValueError, match="The answer to id 3 is NaN"):
        read_told(array, 3)


def test_an_array_of_one_number_is_that_only_where_it_has_no_more_axes():
    assert read_answer(np.array([3])) == 3 == read_answer(torch.tensor(3))
    assert read_answer(np.array([[3]])).shape == (1, 1)
    masked = np.ma.masked_equal(np.array([[1.0, 2.0]]), 2.0)
    np.testing.assert_array_equal(read_answer(masked), [[1.0, np.nan]])
    both = np.ma.masked_equal(np.array([[1.0, 2.0], [2.0, 2.0]]), 2.0)
    found = pairs(FunctionOracle(lambda X: both), np.zeros((2, 1)), [0, 1])
    np.testing.assert_array_equal(found[0], [1.0, np.nan])  # nothing under a mask is taken for a value
    assert found[1] is ABSTAIN
