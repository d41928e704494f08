"""Values that a careless or hostile caller passes in place of a good one.

Each is made from the good value it replaces: most look at it not at all, those of `ARRAYS` bend it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix

Bend = Callable[[Any], Any]


class Text(str):
    """A text of a class of its own."""


class Whole(int):
    """A whole number of a class of its own."""


class Odd:
    """An object whose every question is answered by an error."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("this object cannot be compared")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise RuntimeError("this object has no truth")


def _nested_in_itself() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


ANYTHING: dict[str, Bend] = {
    # numbers
    "0": lambda good: 0,
    "1": lambda good: 1,
    "-1": lambda good: -1,
    "-5": lambda good: -5,
    "2**31": lambda good: 2**31,
    "2**63": lambda good: 2**63,
    "10**400": lambda good: 10**400,
    "-10**400": lambda good: -(10**400),
    "0.5": lambda good: 0.5,
    "-0.5": lambda good: -0.5,
    "2.0": lambda good: 2.0,
    "1e-320": lambda good: 1e-320,
    "1e-30": lambda good: 1e-30,
    "1e30": lambda good: 1e30,
    "1e308": lambda good: 1e308,
    "NaN": lambda good: math.nan,
    "inf": lambda good: math.inf,
    "-inf": lambda good: -math.inf,
    "complex": lambda good: 1 + 2j,
    "Decimal": lambda good: Decimal("0.5"),
    "Decimal NaN": lambda good: Decimal("NaN"),
    "Fraction": lambda good: Fraction(1, 3),
    "np.int64": lambda good: np.int64(2),
    "np.uint8": lambda good: np.uint8(2),
    "np.float32": lambda good: np.float32(0.5),
    "np.float64 NaN": lambda good: np.float64("nan"),
    "int subclass": lambda good: Whole(2),
    "0-d array": lambda good: np.array(2),
    "0-d array NaN": lambda good: np.array(np.nan),
    "1-element array": lambda good: np.array([2]),
    "0-d tensor": lambda good: torch.tensor(2),
    # truth values
    "True": lambda good: True,
    "False": lambda good: False,
    "np.True_": lambda good: np.True_,
    "np.False_": lambda good: np.False_,
    # text
    "'False'": lambda good: "False",
    "'3'": lambda good: "3",
    "'auto'": lambda good: "auto",
    "''": lambda good: "",
    "text": lambda good: "mss",
    "text with NUL": lambda good: "a\0b",
    "half a surrogate": lambda good: "\ud800",
    "long text": lambda good: "x" * 5000,
    "str subclass": lambda good: Text("auto"),
    "np.str_": lambda good: np.str_("auto"),
    "bytes": lambda good: b"auto",
    # nothing, containers, objects
    "None": lambda good: None,
    "Ellipsis": lambda good: ...,
    "NotImplemented": lambda good: NotImplemented,
    "pd.NA": lambda good: pd.NA,
    "pd.NaT": lambda good: pd.NaT,
    "datetime": lambda good: datetime(2020, 1, 1),
    "np.datetime64": lambda good: np.datetime64("2020-01-01"),
    "[]": lambda good: [],
    "()": lambda good: (),
    "{}": lambda good: {},
    "set()": lambda good: set(),
    "[None]": lambda good: [None],
    "[NaN]": lambda good: [math.nan],
    "nested list": lambda good: [[1, [2]], 3],
    "list in itself": lambda good: _nested_in_itself(),
    "dict": lambda good: {"a": 1},
    "set": lambda good: {1, "a"},
    "generator": lambda good: (i for i in range(3)),
    "range": lambda good: range(3),
    "lambda": lambda good: lambda *args, **kwargs: None,
    "builtin": lambda good: len,
    "module": lambda good: math,
    "object()": lambda good: object(),
    "odd object": lambda good: Odd(),
    "class int": lambda good: int,
    "its class": lambda good: type(good),
    "in a list": lambda good: [good],
    "in a 0-d array": lambda good: _in_array(good),
    "empty array": lambda good: np.empty(0),
    "empty object array": lambda good: np.empty((0, 3), dtype=object),
    "object array": lambda good: np.array([None, "a", 1.0], dtype=object),
    "Series with an odd index": lambda good: pd.Series([1, 2], index=["b", "b"]),
    "DataFrame": lambda good: pd.DataFrame({"a": [1.0, 2.0], 3: ["x", None]}),
    "nn.Module": lambda good: torch.nn.Linear(2, 2),
}


def _in_array(good: Any) -> np.ndarray:
    made = np.empty((), dtype=object)
    made[()] = good
    return made


def _with(good: Any, value: Any) -> np.ndarray:
    """Put a value in the middle of a copy."""
    made = np.array(good, dtype=float if isinstance(value, float) else object)
    made.flat[made.size // 2] = value
    return made


def _framed(good: Any, index: Any) -> pd.DataFrame | pd.Series:
    array = np.asarray(good)
    if array.ndim == 1:
        return pd.Series(array, index=index(len(array)))
    return pd.DataFrame(array.reshape(len(array), -1), index=index(len(array)))


ARRAYS: dict[str, Bend] = {
    "x 1e300": lambda good: np.asarray(good, dtype=float) * 1e300,
    "x 1e305": lambda good: np.asarray(good, dtype=float) * 1e305,
    "x 1e38": lambda good: np.asarray(good, dtype=float) * 1e38,
    "x 1e20": lambda good: np.asarray(good, dtype=float) * 1e20,
    "x 1e-300": lambda good: np.asarray(good, dtype=float) * 1e-300,
    "+ 1e300": lambda good: np.asarray(good, dtype=float) + 1e300,
    "one large column": lambda good: np.asarray(good, dtype=float) * _first_column(good),
    "constant": lambda good: np.full(np.shape(good), 3.5),
    "zeros": lambda good: np.zeros(np.shape(good)),
    "one row": lambda good: good[:1],
    "no rows": lambda good: good[:0],
    "one row less": lambda good: good[:-1],
    "one column": lambda good: np.asarray(good)[:, :1],
    "no columns": lambda good: np.asarray(good)[:, :0],
    "one column less": lambda good: np.asarray(good)[:, :-1],
    "one axis more": lambda good: np.asarray(good)[..., None],
    "one axis more, in front": lambda good: np.asarray(good)[None],
    "flat": lambda good: np.asarray(good).ravel(),
    "two columns": lambda good: np.stack([np.asarray(good)] * 2, axis=-1),
    "transposed": lambda good: np.asarray(good).T,
    "images without channels": lambda good: np.zeros((len(good), 0, 8, 8), dtype=np.float32),
    "images without pixels": lambda good: np.zeros((len(good), 1, 0, 8), dtype=np.float32),
    "images of one pixel": lambda good: np.ones((len(good), 1, 1, 1), dtype=np.float32),
    "a NaN": lambda good: _with(good, math.nan),
    "an inf": lambda good: _with(good, math.inf),
    "a None": lambda good: _with(good, None),
    "a text": lambda good: _with(good, "a"),
    "a 10**400": lambda good: _with(good, 10**400),
    "a list": lambda good: np.asarray(good).tolist(),
    "ragged": lambda good: [*np.asarray(good).tolist()[:-1], [1, 2, 3]],
    "objects": lambda good: np.asarray(good).astype(object),
    "texts": lambda good: np.asarray(good).astype(str),
    "bytes of it": lambda good: np.asarray(good).astype("S8"),
    "complex": lambda good: np.asarray(good).astype(complex),
    "bools": lambda good: np.asarray(good).astype(bool),
    "int8": lambda good: np.asarray(good).astype(np.int8),
    "uint64": lambda good: np.abs(np.asarray(good)).astype(np.uint64),
    "float16": lambda good: np.asarray(good).astype(np.float16),
    "longdouble": lambda good: np.asarray(good).astype(np.longdouble),
    "dates": lambda good: np.asarray(good).astype(int).astype("datetime64[s]"),
    "big-endian": lambda good: np.asarray(good).astype(">f8"),
    "Fortran order": lambda good: np.asfortranarray(good),
    "backwards": lambda good: np.asarray(good)[::-1],
    "read-only": lambda good: _read_only(good),
    "masked": lambda good: np.ma.masked_array(good, mask=np.asarray(good, dtype=float) > 0),
    "structured": lambda good: np.array([(1, 2.0)] * len(good), dtype=[("a", int), ("b", float)]),
    "sparse": lambda good: csr_matrix(np.asarray(good, dtype=float)),
    "tensor": lambda good: torch.as_tensor(np.asarray(good)),
    "tensor with a gradient": lambda good: torch.as_tensor(np.asarray(good, dtype=float)).requires_grad_(),
    "tensor in bfloat16": lambda good: torch.as_tensor(np.asarray(good, dtype=float)).bfloat16(),
    "pandas, an index of text": lambda good: _framed(good, lambda n: [f"r{i}" for i in range(n)]),
    "pandas, an index twice": lambda good: _framed(good, lambda n: [7] * n),
    "pandas, backwards": lambda good: _framed(good, lambda n: range(n, 0, -1)),
    "pandas, nullable": lambda good: _framed(good, range).convert_dtypes(),
    "pandas, categories": lambda good: _framed(good, range).astype("category"),
}


def _first_column(good: Any) -> np.ndarray:
    factor = np.ones(np.shape(good))
    factor[..., 0] = 1e300
    return factor


def _read_only(good: Any) -> np.ndarray:
    made = np.array(good)
    made.flags.writeable = False
    return made


def is_array(good: object) -> bool:
    """Whether a good value can be bent as an array is."""
    return isinstance(good, np.ndarray | torch.Tensor | pd.DataFrame) and np.ndim(good) > 0


def values_for(good: object) -> Mapping[str, Bend]:
    """Return the values to try in place of a good one, by name."""
    return (
        {**ANYTHING, **{f"X {name}": bend for name, bend in ARRAYS.items()}} if is_array(good) else ANYTHING
    )
