"""Values as JSON can hold them, and back: arrays and tensors by name beside it.

Values are nested dicts and lists of numbers, text, arrays, tensors and tables. What JSON has no word for is a
dict with a single key that begins with "@".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .scaling import Scaling

_TEXT_KINDS = "UO"  # arrays that are written into the JSON, entry by entry
_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_SCALARS = ("bool", "float16", "float32", "float64", "str", *_INTEGERS)
_FRAME_DTYPES = ("object", "str", "string")
_MOST_PADDING = 2**24  # bytes that a dtype of text may add to the text


def encode(value: object, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return what JSON can hold; numbers of arrays go into `tensors`.

    Raises
    ------
    TypeError
        If the value cannot be written without pickle, by its name.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"@float": repr(value)}
    if isinstance(value, np.generic):
        return _encode_scalar(value, name)
    if isinstance(value, np.ndarray):
        return _encode_array(value, name, tensors)
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"@tensor": name}
    if isinstance(value, pd.DataFrame):
        return _encode_frame(value, name, tensors)
    if isinstance(value, Scaling):
        return {"@scaling": encode(vars(value), name, tensors)}
    if isinstance(value, list | tuple):
        items = [encode(item, f"{name}[{i}]", tensors) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"@tuple": items}
    if isinstance(value, dict) and all(isinstance(k, str) and not k.startswith("@") for k in value):
        return {k: encode(item, f"{name}.{k}" if name else k, tensors) for k, item in value.items()}
    raise TypeError(
        f"{name} holds {value!r} of type {type(value).__name__}, which cannot be saved without pickle. Use "
        "labels and ids that are numbers or text, or pickle the sampler, if you trust where it is read."
    )


def _encode_scalar(value: np.generic, name: str) -> Any:
    type_name = type(value).__name__.rstrip("_")  # bool_ in some versions of NumPy
    if type_name not in _SCALARS:
        raise TypeError(f"{name} holds {value!r}, which cannot be saved without pickle. Use numbers or text.")
    plain = value.item()
    return {"@numpy": [type_name, encode(plain, name, {})]}


def _encode_array(array: np.ndarray, name: str, tensors: dict[str, Tensor]) -> Any:
    if array.dtype.kind in _TEXT_KINDS:
        items = [encode(item, name, tensors) for item in array.ravel().tolist()]
        return {"@array": {"dtype": array.dtype.str, "shape": list(array.shape), "items": items}}
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"{name} is an array of {array.dtype}, which cannot be saved. Use numbers or text.")
    native = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    tensors[name] = torch.from_numpy(native)
    return {"@numbers": name}


def _encode_frame(frame: pd.DataFrame, name: str, tensors: dict[str, Tensor]) -> Any:
    columns = []
    for i, column in enumerate(frame.columns):
        series = frame[column]
        if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
            values = _encode_array(series.to_numpy(), f"{name}.{column}", tensors)
        elif str(series.dtype) in _FRAME_DTYPES:
            values = [encode(value, f"{name}.{column}[{j}]", tensors) for j, value in enumerate(series)]
        else:
            raise TypeError(
                f"Column {column!r} of {name} has the type {series.dtype}, which cannot be saved without "
                "pickle. Use ids and labels that are numbers or text."
            )
        columns.append([encode(column, f"{name} column {i}", tensors), str(series.dtype), values])
    return {"@frame": {"length": len(frame), "columns": columns}}


def decode(value: object, tensors: dict[str, Tensor]) -> Any:
    """Undo `encode`. What it returns is no larger than what it was read from, whatever that says of sizes.

    Raises
    ------
    ValueError
        If it names what `encode` never writes.
    """
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    word = next(iter(value), "")
    if not word.startswith("@"):
        return {key: decode(item, tensors) for key, item in value.items()}
    if word not in _DECODERS or len(value) > 1:
        raise ValueError(f"The file holds {word!r}, which this version does not know. Load another copy.")
    return _DECODERS[word](value[word], tensors)


def _decode_float(content: Any, tensors: dict[str, Tensor]) -> float:
    if content not in ("nan", "inf", "-inf"):
        raise ValueError(f"The file holds {str(content)[:50]!r} for a number.")
    return float(content)


def _decode_scaling(content: Any, tensors: dict[str, Tensor]) -> Scaling:
    scaling = Scaling(**decode(content, tensors))
    if not (isinstance(scaling.shift, Tensor) and isinstance(scaling.scale, Tensor)):
        raise ValueError("The file holds a scaling without numbers.")
    return scaling


def _decode_scalar(content: Any, tensors: dict[str, Tensor]) -> Any:
    type_name, plain = content
    if type_name not in _SCALARS:
        raise ValueError(
            f"The file names the type {str(type_name)[:50]!r}, which is none of numbers and text."
        )
    plain = decode(plain, tensors)
    if not isinstance(plain, bool | int | float | str) or (type_name == "str") != isinstance(plain, str):
        raise ValueError(f"The file holds a value of type {type(plain).__name__} as {type_name}.")
    return np.dtype(type_name).type(plain)


def _decode_array(content: Any, tensors: dict[str, Tensor]) -> np.ndarray:
    dtype = np.dtype(str(content["dtype"]))
    if dtype.kind not in _TEXT_KINDS:
        raise ValueError(f"The file names the type {dtype} for an array of text or mixed values.")
    items, shape = decode(content["items"], tensors), content["shape"]
    if not isinstance(items, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"The file names the shape {str(shape)[:50]} for an array.")
    if dtype.kind == "U":
        _check_width(dtype, items)
    array = np.empty(len(items), dtype=dtype)
    array[:] = items
    return array.reshape(shape)


def _check_width(dtype: np.dtype, items: list[Any]) -> None:
    """Refuse a dtype of text far wider than the text: the array would be far larger than the file."""
    width = max((len(item) for item in items), default=0)
    if dtype.itemsize > 4 * width and dtype.itemsize * max(len(items), 1) > _MOST_PADDING:
        raise ValueError(f"The file names the type {dtype} for text of at most {width} characters.")


def _decode_frame(content: Any, tensors: dict[str, Tensor]) -> pd.DataFrame:
    length, columns = content["length"], content["columns"]
    if type(length) is not int or length < 0 or (length and not columns):
        raise ValueError(f"The file holds a table of {str(length)[:50]} rows and {len(columns)} columns.")
    made = {}
    for column, dtype, values in columns:
        decoded = decode(values, tensors)
        if len(decoded) != length:
            raise ValueError(f"The file holds a table of {length} rows with a column of {len(decoded)}.")
        if isinstance(decoded, list) and dtype not in _FRAME_DTYPES:
            raise ValueError(f"The file names the type {dtype!r} for a column of text or mixed values.")
        kind = dtype if isinstance(decoded, list) else decoded.dtype
        made[decode(column, tensors)] = pd.Series(decoded, index=pd.RangeIndex(length), dtype=kind)
    return pd.DataFrame(made, index=pd.RangeIndex(length))


_DECODERS: dict[str, Callable[[Any, dict[str, Tensor]], Any]] = {
    "@float": _decode_float,
    "@tensor": lambda content, tensors: tensors[content],
    "@numbers": lambda content, tensors: tensors[content].numpy().copy(),
    "@tuple": lambda content, tensors: tuple(decode(content, tensors)),
    "@scaling": _decode_scaling,
    "@numpy": _decode_scalar,
    "@array": _decode_array,
    "@frame": _decode_frame,
}
