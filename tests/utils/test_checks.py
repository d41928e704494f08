"""The checks of parameters: what each refuses, and in which words."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from skalss.utils import checks

MILLION = 10**6


@pytest.mark.parametrize(
    ("check", "value", "error", "message"),
    [
        (checks.check_positive_int, 10**400, ValueError, r"n must be at most 9223372036854775807, got 1000"),
        (
            checks.check_positive_int,
            np.True_,
            TypeError,
            "n must be a whole number of at least 1, got np.True_",
        ),
        (checks.check_count, "0", TypeError, "n must be a whole number of at least 0, got '0' of type str"),
        (checks.check_real, 10**400, ValueError, "n must be a finite number, got 1000"),
        (
            checks.check_number,
            Fraction(10**400),
            ValueError,
            r"n must be a finite number above 0, got Fraction",
        ),
        (checks.check_share, True, TypeError, r"n must be a finite number in \[0, 1\], got True"),
        (checks.check_flag, "False", TypeError, "n must be True or False, got 'False' of type str"),
        (checks.check_flag, 0, TypeError, "n must be True or False, got 0 of type int"),
        (checks.check_text, None, TypeError, "n must be a text, got None"),
        (checks.check_text, "\ud83d", ValueError, "that can be written in UTF-8"),
        (checks.check_callable, dict, TypeError, "n must be callable, got <class 'dict'>"),
        (checks.check_mapping, [("a", 1)], TypeError, r"n must be a dict, got \[\('a', 1\)\]"),
        (checks.check_path, b"file", TypeError, "n must be a path, as a text or a pathlib.Path, got b'file'"),
        (checks.check_path, "a\0b", ValueError, "without odd characters"),
        (checks.check_path, "", ValueError, "got ''"),
        (checks.check_tensor, np.ones(2), TypeError, "n must be a torch tensor.*torch.as_tensor"),
        (checks.check_sizes, "64", TypeError, r"n must be a sequence .* such as \(256,\), got '64'"),
        (checks.check_sizes, [8, True], TypeError, "every entry of n must be a whole number.*got True"),
    ],
)
def test_what_is_refused(check, value, error, message):
    with pytest.raises(error, match=message):
        check("n", value)


def test_a_number_that_python_does_not_write_out_is_refused_too():
    with pytest.raises(ValueError, match="n must be a finite number, got an object of type int"):
        checks.check_real("n", -(10**5000))


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.check_positive_int, np.uint8(3)),
        (checks.check_number, np.float32(0.5)),
        (checks.check_share, Fraction(1, 3)),
        (checks.check_flag, np.False_),
        (checks.check_text, np.str_("a")),
        (checks.check_path, Path("a")),
        (checks.check_sizes, range(1, 3)),
    ],
)
def test_what_passes(check, value):
    check("n", value)


def test_a_word_names_the_one_that_is_spelt_most_like_it():
    with pytest.raises(
        ValueError, match=r"must be one of \['margin', 'entropy'\] or None, got 'magin'.*'margin'\?"
    ):
        checks.check_choice("score", "magin", ("margin", "entropy"), also="None")
    with pytest.raises(TypeError, match="score must be one of .* got array"):
        checks.check_choice("score", np.array(["margin", "entropy"]), ("margin", "entropy"))


@pytest.mark.parametrize("seed", [-1, 2**32, 10**400, True, "0", {}, 1.0])
def test_what_is_no_seed(seed):
    with pytest.raises(ValueError, match="random_state must be"):
        checks.checked_random_state(seed)


def test_a_seed_is_that_of_scikit_learn():
    assert checks.checked_random_state(7).randint(MILLION) == np.random.RandomState(7).randint(MILLION)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.array([[0.0, -3e200]]), r"X must hold values between -1e\+19 and 1e\+19, got 3e\+200"),
        (np.zeros((2, 0, 4, 4)), r"X has rows of shape \(0, 4, 4\), which hold no value"),
    ],
)
def test_rows_that_no_network_can_take(X, message):
    with pytest.raises(ValueError, match=message):
        checks.checked_rows("X", X)


def test_rows_in_extended_precision_become_floats():
    assert checks.checked_rows("X", np.ones((2, 2), dtype=np.longdouble)).dtype == np.float64


@pytest.mark.parametrize("mask", [[True, False], torch.tensor([True, False]), np.array([[True], [False]])])
def test_masks_of_any_kind(mask):
    assert checks.checked_mask("mask", mask, 2).tolist() == [True, False]


@pytest.mark.parametrize("mask", ["10", [1, 0], {True, False}, [True], [[True], [True, False]], None])
def test_what_is_no_mask(mask):
    with pytest.raises(ValueError, match=r"mask must be a bool mask of shape \(2,\).*np.isin"):
        checks.checked_mask("mask", mask, 2)


@pytest.mark.parametrize("positions", [[0, 9], [-1], [0.0], ["a"], [True], 3])
def test_what_are_no_positions(positions):
    with pytest.raises(ValueError, match="rows must hold positions of rows, whole numbers from 0 to 4, got"):
        checks.checked_positions("rows", positions, 5)
