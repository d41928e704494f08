"""A state in one file: numbers as safetensors hold them, all else as JSON. No pickle, no code.

Values are nested dicts and lists of numbers, text, arrays, tensors and tables. In the JSON, what JSON has no
word for is a dict with a single key that begins with "@".
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from .files import writing
from .scaling import Scaling
from .surroundings import usual_numerics

FORMAT = 1
KIND = "skalss sampler"
_STATE = "@state"  # the tensor with the bytes of the JSON
_TEXT_KINDS = "UO"  # arrays that are written into the JSON, entry by entry
_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_SCALARS = ("bool", "float16", "float32", "float64", "str", *_INTEGERS)
_FRAME_DTYPES = ("object", "str", "string")


def write(path: str | os.PathLike, state: dict[str, Any]) -> None:
    """Write a state; a crash leaves the old file or the new one.

    Raises
    ------
    TypeError
        If the state holds what cannot be written without pickle, by its name.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_encode(state, "", tensors), allow_nan=False)
    tensors[_STATE] = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    header = {"kind": KIND, "format": str(FORMAT), "digest": _digest(tensors)}
    with writing(path) as file:
        file.write(save(tensors, metadata=header))


@usual_numerics()
def read(path: str | os.PathLike) -> dict[str, Any]:
    """Read a state back.

    Raises
    ------
    ValueError
        If the file is none of ours, of a newer format, cut short or damaged.
    """
    content = Path(path).read_bytes()
    header = _header(content)
    if header.get("kind") != KIND:
        raise ValueError(
            f"{path} is not a saved sampler, or is damaged. Pass what AdaptiveLatentSampler.save wrote."
        )
    if not header.get("format", "").isdecimal() or int(header["format"]) > FORMAT:
        raise ValueError(
            f"{path} has format {header.get('format')}, this version reads up to {FORMAT}. Upgrade skalss."
        )
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ValueError(f"{path} is cut short or damaged: {error}. Load another copy.") from error
    if header.get("digest") != _digest(tensors):
        raise ValueError(f"{path} is damaged: its content is not what was written. Load another copy.")
    text = tensors.pop(_STATE).numpy().tobytes()
    return _decode(json.loads(text), tensors)


def _header(content: bytes) -> dict[str, str]:
    """Read the text at the head of a safetensors file, before its numbers; empty if there is none."""
    length = int.from_bytes(content[:8], "little")
    try:
        found = json.loads(content[8 : 8 + length])["__metadata__"]
    except (ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(tensors: dict[str, Tensor]) -> str:
    """Hash all content, since safetensors itself does not notice a changed number."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        if tensor.numel():  # an empty one cannot be viewed as bytes
            digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


# -- values to JSON and back ----------------------------------------------------------------------


def _encode(value: object, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return what JSON can hold; numbers of arrays go into `tensors`."""
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
        return {"@scaling": _encode(vars(value), name, tensors)}
    if isinstance(value, list | tuple):
        items = [_encode(item, f"{name}[{i}]", tensors) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"@tuple": items}
    if isinstance(value, dict) and all(isinstance(k, str) and not k.startswith("@") for k in value):
        return {k: _encode(item, f"{name}.{k}" if name else k, tensors) for k, item in value.items()}
    raise TypeError(
        f"{name} holds {value!r} of type {type(value).__name__}, which cannot be saved without pickle. Use "
        "labels and ids that are numbers or text, or pickle the sampler, if you trust where it is read."
    )


def _encode_scalar(value: np.generic, name: str) -> Any:
    type_name = type(value).__name__.rstrip("_")  # bool_ in some versions of NumPy
    if type_name not in _SCALARS:
        raise TypeError(f"{name} holds {value!r}, which cannot be saved without pickle. Use numbers or text.")
    plain = value.item()
    return {"@numpy": [type_name, _encode(plain, name, {})]}


def _encode_array(array: np.ndarray, name: str, tensors: dict[str, Tensor]) -> Any:
    if array.dtype.kind in _TEXT_KINDS:
        items = [_encode(item, name, tensors) for item in array.ravel().tolist()]
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
            values = [_encode(value, f"{name}.{column}", tensors) for value in series]
        else:
            raise TypeError(
                f"Column {column!r} of {name} has the type {series.dtype}, which cannot be saved without "
                "pickle. Use ids and labels that are numbers or text."
            )
        columns.append([_encode(column, f"{name} column {i}", tensors), str(series.dtype), values])
    return {"@frame": {"length": len(frame), "columns": columns}}


def _decode(value: object, tensors: dict[str, Tensor]) -> Any:
    """Undo `_encode`."""
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    word = next(iter(value), "")
    if not word.startswith("@"):
        return {key: _decode(item, tensors) for key, item in value.items()}
    content = value[word]
    if word == "@float":
        return float(content)
    if word == "@tensor":
        return tensors[content]
    if word == "@numbers":
        return tensors[content].numpy().copy()
    if word == "@tuple":
        return tuple(_decode(content, tensors))
    if word == "@scaling":
        return Scaling(**_decode(content, tensors))
    if word == "@numpy":
        return _decode_scalar(content, tensors)
    if word == "@array":
        return _decode_array(content, tensors)
    if word == "@frame":
        return _decode_frame(content, tensors)
    raise ValueError(f"The file holds {word!r}, which this version does not know. Load another copy.")


def _decode_scalar(content: Any, tensors: dict[str, Tensor]) -> Any:
    type_name, plain = content
    if type_name not in _SCALARS:
        raise ValueError(f"The file names the type {type_name!r}, which is none of numbers and text.")
    return np.dtype(type_name).type(_decode(plain, tensors))


def _decode_array(content: Any, tensors: dict[str, Tensor]) -> np.ndarray:
    dtype = np.dtype(content["dtype"])
    if dtype.kind not in _TEXT_KINDS:
        raise ValueError(f"The file names the type {dtype} for an array of text or mixed values.")
    items = _decode(content["items"], tensors)
    array = np.empty(len(items), dtype=dtype)
    array[:] = items
    return array.reshape(content["shape"])


def _decode_frame(content: Any, tensors: dict[str, Tensor]) -> pd.DataFrame:
    frame = pd.DataFrame(index=pd.RangeIndex(content["length"]))
    for column, dtype, values in content["columns"]:
        decoded = _decode(values, tensors)
        if isinstance(decoded, list) and dtype not in _FRAME_DTYPES:
            raise ValueError(f"The file names the type {dtype!r} for a column of text or mixed values.")
        kind = dtype if isinstance(decoded, list) else decoded.dtype
        frame[_decode(column, tensors)] = pd.Series(decoded, index=frame.index, dtype=kind)
    return frame
