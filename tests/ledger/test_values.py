"""Values of a ledger as text and bytes."""

import numpy as np
import pandas as pd
import pytest

from skalss.utils.arrays import pack, unpack
from skalss.utils.scalars import from_json, to_json


@pytest.mark.parametrize(
    "value", [0, -3, 2**80, 1.5, -0.0, 1e300, True, False, "", "3", "a\nb\x00", "Größe 漢字 \N{SNAKE}"]
)
def test_scalars_come_back_with_their_type(value):
    back = from_json(to_json(value))
    assert type(back) is type(value)
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.int8(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True), (np.str_("a"), "a")],
)
def test_numpy_scalars_become_those_of_python(value, expected):
    back = from_json(to_json(value))
    assert (type(back), back) == (type(expected), expected)


@pytest.mark.parametrize(
    "value",
    [b"a", 1j, (1, 2), [1], {"a": 1}, np.datetime64("2020"), np.array([1]), pd.Timestamp(0), object()],
)
def test_what_is_no_scalar_is_refused(value):
    with pytest.raises(ValueError, match="keeps each label as a bool, int, float or str, got"):
        to_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", 10**5000], ids=range(4))
def test_what_cannot_be_written_is_refused(value):
    with pytest.raises(ValueError, match="not finite|cannot be written down"):
        to_json(value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">i4", np.bool_, np.uint8])
def test_arrays_come_back(dtype):
    array = (np.arange(6).reshape(2, 3) - 2).astype(dtype)
    back = unpack(pack(array))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_no_array_of_objects_is_written_or_read():
    with pytest.raises(ValueError, match="allow_pickle"):
        pack(np.array([object()]))
