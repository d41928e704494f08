"""Ids stay what they are."""

import uuid
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch

from skalss.utils.ids import first_twin, id_array, positions_in

BIG = 2**53 + 1  # no float
KEPT = {
    "nullable whole numbers": (pd.array([BIG, 7], dtype="Int64"), [BIG, 7]),
    "nullable text": (pd.Series(["007", "x"], dtype="string"), ["007", "x"]),
    "nullable bool": (pd.array([True, False], dtype="boolean"), [True, False]),
    "beyond 64 bits": ([2**70, -1], [2**70, -1]),
    "signed and unsigned": ([2**63, -1], [2**63, -1]),
    "numpy's in a list": ([np.int64(BIG), np.int64(7)], [BIG, 7]),
    "objects": (np.array([BIG, 7], dtype=object), [BIG, 7]),
    "numbers and text": ([1, "1"], [1, "1"]),
    "whole numbers and floats": ([BIG, 2.5], [BIG, 2.5]),
    "text that ends in a NUL": (["a\0", "a"], ["a\0", "a"]),
    "categories": (pd.Categorical([BIG, 7]), [BIG, 7]),
    "index": (pd.Index(["b", "a"]), ["b", "a"]),
    "a range": (range(5, 7), [5, 6]),
    "a column": (pd.DataFrame({"id": ["b", "a"]}), ["b", "a"]),
    "tuples": ([(1, 2), (3, 4)], [(1, 2), (3, 4)]),
    "several levels": (pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]), [(1, "a"), (2, "b")]),
    "UUIDs": ([uuid.UUID(int=2), uuid.UUID(int=1)], [uuid.UUID(int=2), uuid.UUID(int=1)]),
    "bytes": ([b"a\0", b"a"], [b"a\0", b"a"]),
    "fractions": ([Fraction(1, 3), Fraction(1, 7)], [Fraction(1, 3), Fraction(1, 7)]),
    "a tensor": (torch.tensor([BIG, 7]), [BIG, 7]),
    "dates": (pd.date_range("2020", periods=2), list(pd.date_range("2020", periods=2))),
    "dates of a place": (pd.date_range("2020", periods=2, tz="Asia/Tokyo"),) * 2,
}


@pytest.mark.parametrize(("ids", "expected"), KEPT.values(), ids=KEPT)
def test_each_id_stays_what_it_is(ids, expected):
    array = id_array(ids)
    assert array.shape == (2,)
    assert [type(i) for i in array.tolist()] == [type(i) for i in expected] or array.dtype.kind == "M"
    assert list(array) == list(expected)
    assert positions_in(array, array[::-1]).tolist() == [1, 0]
    assert positions_in(array, id_array(list(expected))).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ("ab", "a sequence with one id for each row"),
        ({"a", "b"}, "a sequence with one id"),
        (3, "a sequence with one id"),
        ([1, None], "got None missing"),
        (pd.array([1, None], dtype="Int64"), "got <NA> missing"),
        (np.array([1, np.nan]), "got .*nan.* missing"),
        (pd.Categorical(["a", None]), "got nan missing"),
        (pd.to_datetime(pd.Series(["2020", None])), "missing"),
        (np.ma.masked_array([1, 2], [False, True]), "ids are missing"),
        ([[1], [2, 3]], "can be hashed"),
        (np.zeros((2, 2)), r"shape \(n_samples,\), got \(2, 2\)"),
    ],
)
def test_what_is_no_id(ids, message):
    with pytest.raises(ValueError, match=f"sample_id .*{message}"):
        id_array(ids)


def test_a_whole_number_is_not_found_by_its_float():
    assert positions_in(np.array([BIG, BIG - 1]), np.array([float(BIG - 1)])).tolist() == [1]
    assert positions_in(id_array([1, "1"]), np.array(["1", "2"])).tolist() == [1, -1]


@pytest.mark.parametrize(("ids", "twin"), [([1, True], True), ([1.0, 1], 1), (["a", "b", "a"], "a")])
def test_ids_that_a_dict_cannot_tell_apart(ids, twin):
    assert first_twin(id_array(ids)) == twin
    assert first_twin(id_array(["a", "b"])) is None
