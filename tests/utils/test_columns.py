"""Ids and labels of any container come as a NumPy array, none of them changed."""

import array_api_strict as xp
import numpy as np
import pandas as pd
import pytest
import torch

from skalss.utils.columns import to_column
from skalss.utils.tensors import to_host

BIG = 2**53 + 1  # no float is this number


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([BIG, 2], [BIG, 2]),
        ((BIG, None), [BIG, None]),
        ([BIG, 0.5], [BIG, 0.5]),
        (range(2, 5), [2, 3, 4]),
        (iter(["7", "007"]), ["7", "007"]),
        (["a\0", "b"], ["a\0", "b"]),
        ([1, "1", True], [1, "1", True]),
        ([torch.tensor(BIG), torch.tensor(3)], [BIG, 3]),
        (torch.tensor([BIG, 4]), [BIG, 4]),
        (torch.tensor([0.5, 2.0], requires_grad=True), [0.5, 2.0]),
        (torch.tensor([0.5, 2.0], dtype=torch.bfloat16), [0.5, 2.0]),
        (torch.tensor([1 + 2j]).conj().imag, [-2.0]),
        (torch.tensor([0, 7]).to_sparse(), [0, 7]),
        (xp.asarray([BIG, 1]), [BIG, 1]),
        (xp.asarray([5, 6], device=xp.Device("device1")), [5, 6]),
        (np.array([5, BIG], dtype=">i8"), [5, BIG]),
        (np.ma.array([5, 6], mask=[0, 0]), [5, 6]),
        (np.ma.array([BIG, 6], mask=[0, 1]), [BIG, None]),
        (pd.Series([BIG, 5], dtype="Int64"), [BIG, 5]),
        (pd.Categorical([BIG, 5]), [BIG, 5]),
        (pd.Series([BIG, 5], dtype="Sparse[int]"), [BIG, 5]),
        (pd.array([True, False], dtype="boolean"), [True, False]),
        (pd.Index(["x", "y"], dtype="string"), ["x", "y"]),
        (pd.DataFrame({"label": ["x", "y"]}), ["x", "y"]),
        (np.array(["x", 3], dtype=object), ["x", 3]),
    ],
    ids=lambda value: f"{type(value).__module__}.{type(value).__name__}",
)
def test_values_stay_what_they_are(values, expected):
    column = to_column(values)
    assert type(column) is np.ndarray
    assert column.tolist() == expected
    assert [type(value) for value in column.tolist()] == [type(value) for value in expected]


@pytest.mark.parametrize(
    "values",
    [pd.Series([BIG, None], dtype="Int64"), pd.Categorical([BIG, None]), [BIG, float("nan")], [BIG, pd.NA]],
    ids=["nullable", "categorical", "list with NaN", "list with NA"],
)
def test_what_is_missing_leaves_the_others_whole(values):
    column = to_column(values)
    assert column[0] == BIG
    assert pd.isna(column).tolist() == [False, True]


@pytest.mark.parametrize("values", ["abc", {3: "a"}, {3, 4}, 5, None], ids=repr)
def test_what_has_no_order_of_rows_is_no_column(values):
    assert to_column(values).shape == ()


def test_shapes_and_dtypes_are_kept():
    assert to_column([[1], [2]]).shape == (2, 1)
    assert to_column(torch.zeros(3, 1)).shape == (3, 1)
    assert to_column([1, 2.5]).dtype == np.float64
    assert to_column(np.float32([1, 2])).dtype == np.float32
    assert to_column([np.float32(0.1)] * 2).dtype == np.float32


class Exported:
    """Stands for a column of PyArrow, whose own array of whole numbers with a gap is of floats."""

    def to_pylist(self):
        return [BIG, None]

    def __iter__(self):
        return iter(self.to_pylist())

    def __array__(self, dtype=None, copy=None):
        return np.array([BIG, np.nan])


def test_columns_of_other_libraries():
    assert to_column(Exported()).tolist() == [BIG, None]


def test_what_a_mask_hides_stays_hidden():
    hidden = np.ma.array([[1.0, 2.0]], mask=[[False, True]])
    np.testing.assert_array_equal(to_host(hidden), [[1.0, np.nan]])
    rows = [torch.ones(2, requires_grad=True), torch.zeros(2)]
    np.testing.assert_array_equal(np.asarray(to_host(rows)), [[1, 1], [0, 0]])
