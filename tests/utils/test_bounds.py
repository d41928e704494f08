"""Bounds as users write them, and rounded for float32."""

import numpy as np
import pytest
from scipy.optimize import Bounds as ScipyBounds

from skalss.utils.bounds import Bounds, range_of, read_bounds

LOW, HIGH = [0, -1, 2], [1, 1, 30]


@pytest.mark.parametrize(
    "bounds",
    [
        (LOW, HIGH),
        [LOW, HIGH],
        (np.array(LOW), np.array(HIGH)),
        list(zip(LOW, HIGH, strict=True)),
        np.array([LOW, HIGH]).T,
        ScipyBounds(LOW, HIGH),
    ],
    ids=["tuple", "list", "arrays", "pairs", "array of pairs", "scipy"],
)
def test_each_way_to_write_them(bounds):
    low, high = read_bounds(bounds, (3,))
    assert (low.tolist(), high.tolist()) == (LOW, HIGH)


@pytest.mark.parametrize("shape", [(3,), (2,), (2, 4, 4)])
def test_numbers_hold_for_all_features(shape):
    low, high = read_bounds((0, 255), shape)
    assert low.shape == high.shape == shape
    assert (low.max(), high.min()) == (0, 255)
    mixed, _ = read_bounds((0, np.full(shape, 7.0)), shape)
    assert mixed.shape == shape


def test_two_features_are_read_in_the_one_way_that_makes_sense():
    assert read_bounds([(0, 1), (0, 1)], (2,)).low.tolist() == [0, 0]
    assert read_bounds(([0, 0], [1, 2]), (2,)).high.tolist() == [1, 2]
    assert read_bounds((np.array([0, 1]), np.array([5, 10])), (2,)).high.tolist() == [5, 10]
    with pytest.raises(ValueError, match=r"can be read as \(low, high\) and as two pairs"):
        read_bounds(((0, 1), (5, 10)), (2,))


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ((LOW, [1, 1]), r"shape \(2,\), but a row"),
        (([0, 1], [2, 3]), r"shape \(2,\), but a row of X has 3 features"),
        ((LOW, [1, -2, 30]), "of feature 1 has low -1 above high -2"),
        ((1, 0), "low 1 above high 0"),
        ((LOW, [1, np.nan, 30]), "holds NaN"),
        ((None, 1), "holds NaN|must be"),
        (("a", "b"), "must be"),
        ([(0, 1)] * 4, r"shape \(4,\), but a row of X has 3 features"),
        ((0, 1, 2), "must be"),
        (5, "must be"),
        ({0, 1}, "must be"),
        ({"a": (0, 1)}, "must be"),
        ("unit", "must be"),
    ],
)
def test_what_is_refused(bounds, text):
    with pytest.raises((ValueError, TypeError), match=text):
        read_bounds(bounds, (3,))


def test_no_float32_within_lies_outside_of_the_float64():
    values = np.array([0.1, 1 / 3, -0.1, 1e-30, 1e9 + 1, -np.inf])
    bounds = Bounds(values, np.append(values[:-1] + 1000, np.inf))
    low, high = bounds.inward()
    assert low.dtype == high.dtype == np.float32
    assert (low.astype(float) >= bounds.low).all()
    assert (high.astype(float) <= bounds.high).all()
    constant = Bounds(np.array([0.1]), np.array([0.1])).inward()
    assert constant.low == constant.high == np.float32(0.1)


def test_the_range_of_a_pool():
    X = np.random.default_rng(0).normal(size=(50, 2, 3))
    low, high = range_of(X)
    np.testing.assert_array_equal(low, X.min(axis=0))
    np.testing.assert_array_equal(high, X.max(axis=0))
