import numpy as np
import pandas as pd
import pytest
import torch

from skalss.oracles import AnswerKey, FunctionOracle

X = np.array([[1.0], [2.0], [4.0]])


def costs(cost, ids=(0, 1, 2), rows=X):
    return FunctionOracle(len, cost=cost).row_costs(rows, np.array(ids))


def test_without_costs_there_are_none():
    assert costs(None) is None
    assert AnswerKey([1, 2]).row_costs(X, np.arange(2)) is None


@pytest.mark.parametrize(
    "cost",
    [
        [1, 2, 4],
        (1.0, 2.0, 4.0),
        np.array([1, 2, 4]),
        {0: 1, 1: 2, 2: 4},
        pd.Series([4.0, 1.0, 2.0], index=[2, 0, 1]),
        lambda rows: rows[:, 0],
        lambda rows: [1, 2, 4],
        lambda rows: torch.tensor([1, 2, 4]),
    ],
    ids=["list", "tuple", "array", "mapping", "series", "function", "function of lists", "tensors"],
)
def test_each_kind_of_cost(cost):
    got = costs(cost)
    assert got.dtype == np.float64
    assert got.tolist() == [1.0, 2.0, 4.0]


def test_a_number_is_for_each_row():
    assert costs(2).tolist() == [2.0, 2.0, 2.0]
    assert costs(np.float32(0)).tolist() == [0.0, 0.0, 0.0]


def test_by_position_and_by_id():
    assert costs([1, 2, 4], ids=[2, 0], rows=X[[2, 0]]).tolist() == [4.0, 1.0]
    assert costs({"a": 1, "b": 2}, ids=["b", "a"], rows=X[:2]).tolist() == [2.0, 1.0]


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ({0: 1, 1: 2}, "no entry for the id .*2"),
        ([1, 2], "holds 2 numbers by position"),
        (lambda rows: [1, 2], r"shape \(2,\) for 3 rows"),
        (lambda rows: 1.0, r"shape \(\) for 3 rows"),
        (lambda rows: "dear", "must give numbers, got 'dear'"),
        (lambda rows: [1, None, "x"], "must give numbers"),
        ([1, -1, 2], "cost of id .*1.* is -1.0"),
        (float("nan"), "cost of id .*0.* is nan"),
        (float("inf"), "is inf"),
        ({0: 1, 1: np.nan, 2: 1}, "cost of id .*1.* is nan"),
    ],
)
def test_costs_that_cannot_be(cost, message):
    with pytest.raises(ValueError, match=message):
        costs(cost)


@pytest.mark.parametrize("cost", [[1, 2, 4], {0: 1}])
def test_made_points_need_a_function_or_a_number(cost):
    with pytest.raises(ValueError, match="generated-0.*function of the rows"):
        costs(cost, ids=["generated-0"], rows=X[:1])


def test_costs_of_another_pool_are_refused():
    FunctionOracle(len, cost=[1, 2, 4]).check_pool(None, 3)
    FunctionOracle(len, cost={0: 1}).check_pool(None, 3)
    with pytest.raises(ValueError, match="cost holds 3 numbers, but the pool has 4 rows"):
        FunctionOracle(len, cost=[1, 2, 4]).check_pool(None, 4)
