"""A state in one file: numbers as safetensors hold them, all else as JSON. No pickle, no code."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from .files import writing
from .store_values import decode, encode
from .surroundings import usual_numerics

FORMAT = 1
KIND = "skalss sampler"
_STATE = "@state"  # the tensor with the bytes of the JSON
_LONGEST_HEADER = 2**21  # bytes; a net of 10,000 weights has one of about 1 MB


def write(path: str | os.PathLike, state: dict[str, Any], *, kind: str = KIND) -> None:
    """Write a state; a crash leaves the old file or the new one.

    Parameters
    ----------
    path : str or path
    state : dict
        What `store_values.encode` takes.
    kind : str, default="skalss sampler"
        What the file is.

    Raises
    ------
    TypeError
        If the state holds what cannot be written without pickle, by its name.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(encode(state, "", tensors), allow_nan=False)
    tensors[_STATE] = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    header = {"kind": kind, "format": str(FORMAT), "digest": _digest(tensors)}
    with writing(path) as file:
        file.write(save(tensors, metadata=header))


def check(value: object) -> None:
    """Refuse what `write` would.

    Raises
    ------
    TypeError
    """
    encode(value, "", {})


@usual_numerics()
def read(path: str | os.PathLike, *, kind: str = KIND) -> dict[str, Any]:
    """Read a state back. A file that is none of ours takes no more memory than it is long.

    Parameters
    ----------
    path : str or path
    kind : str, default="skalss sampler"
        What the file must be.

    Raises
    ------
    ValueError
        If the file is of another kind, of a newer format, cut short, damaged or forged.
    """
    header = _header(Path(path))
    if header.get("kind") != kind:
        written = "AdaptiveLatentSampler.save" if kind == KIND else "this version of skalss"
        raise ValueError(
            f"{path} is not a saved {kind.removeprefix('skalss ')}, or is damaged. Pass what {written} wrote."
        )
    format_ = str(header.get("format", ""))
    if not (format_.isascii() and format_.isdecimal()) or int(format_[:9]) > FORMAT:
        raise ValueError(
            f"{path} has format {format_[:20]}, this version reads up to {FORMAT}. Upgrade skalss."
        )
    try:
        tensors = load(Path(path).read_bytes())
        digest = _digest(tensors)
    except (SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is cut short or damaged: {error}. Load another copy.") from error
    if header.get("digest") != digest:
        raise ValueError(f"{path} is damaged: its content is not what was written. Load another copy.")
    return _state(path, tensors)


def _state(path: str | os.PathLike, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Read the JSON; whoever forges a file also makes its digest right."""
    try:
        state = decode(json.loads(tensors.pop(_STATE).numpy().tobytes()), tensors)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as e:
        fault = str(e)[:200] or type(e).__name__
        raise ValueError(f"{path} is damaged or forged: {fault} Load another copy.") from e
    if not isinstance(state, dict):
        raise ValueError(f"{path} is damaged or forged: it holds no state. Load another copy.")
    return state


def _header(path: Path) -> dict[str, Any]:
    """Read the text at the head of a safetensors file, before its numbers; empty if there is none."""
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device may have no end
        return {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= _LONGEST_HEADER else b""
    try:
        found = json.loads(text)["__metadata__"]
    except (ValueError, KeyError, TypeError, RecursionError):
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
