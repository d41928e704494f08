"""Words that may be one."""

import pytest

from skalss.utils.spelling import looks_like, nearest

ALIKE = [
    "malignent",
    "Malignant",
    " malignant",
    "malignant ",
    "MALIGNANT",
    "maligant",
    "malginant",
    "malignantt",
]


@pytest.mark.parametrize("word", ALIKE)
def test_slips(word):
    assert looks_like(word, ["benign", "malignant"]) == "malignant"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("grade 2", "grade 3"),
        ("type A", "type B"),
        ("stage ii", "stage iii"),
        ("normal", "abnormal"),
        ("male", "female"),
        ("cat", "car"),
        ("digit 10", "digit 1"),
        ("1.5", "15"),
        ("+", "-"),
        ("", "a"),
    ],
)
def test_words_that_differ(one, other):
    assert looks_like(one, [other]) is None
    assert looks_like(other, [one]) is None


def test_the_same_word_is_no_slip():
    assert looks_like("ill", ["ill"]) is None


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("bening", ["benign", "x"], "benign"),
        ("7", [7, 8], 7),
        ("0.5", [0.5], 0.5),
        ("7", ["007", "x"], "007"),
        ("zebra", ["cat"], None),
    ],
)
def test_the_nearest_word(word, known, expected):
    assert nearest(word, known) == expected
