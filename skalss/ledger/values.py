"""Labels, ids and rows as a file keeps them: typed scalars, arrays, hashes. Nothing is ever pickled."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..targets import BaseTarget
from ..utils.arrays import header_of
from ..utils.scalars import SCALARS


def to_text(text: Any) -> str:
    """Return a remark, such as a reason, as text that any file can hold."""
    return str(text).encode(errors="backslashreplace").decode()


def content_of(row: Any) -> str:
    """Hash the dtype, shape and values of a row: 32 hex digits.

    Examples
    --------
    >>> content_of(np.array([1.0, 2.0])) == content_of(np.array([1.0, 2.0]))
    True
    >>> content_of(np.array([1.0, 2.0])) == content_of(np.array([1, 2]))
    False
    """
    row = np.ascontiguousarray(row)
    digest = hashlib.blake2b(f"{row.dtype.str}{row.shape}".encode(), digest_size=16)
    digest.update(row.tobytes())
    return digest.hexdigest()


def fault_of_label(text: object, target: BaseTarget) -> str | None:
    """Say why the text or bytes in a file are no label of a kind; None if they are. No array is made.

    Whether a campaign can use the label, `BaseTarget.check` says.
    """
    if target.is_map:
        try:
            shape, _, dtype, _ = header_of(text)  # type: ignore[arg-type]
        except ValueError as error:
            return str(error)
        usable = dtype.kind in "biuf" and len(shape) > 0 and 0 not in shape
        return None if usable else f"an array of shape {shape} and dtype {dtype}"
    if not isinstance(text, str):
        return f"{type(text).__name__} in the place of text"
    try:
        label = target.from_text(text)
    except (ValueError, TypeError, RecursionError) as error:
        return str(error)
    parts = label if isinstance(label, tuple) else (label,)
    return None if all(type(part) in SCALARS for part in parts) else f"a {type(label).__name__}"


def seal(values: Iterable[Any]) -> int:
    """Return the checksum of a line, which SQLite itself does not keep."""
    return zlib.crc32("\x1f".join(map(repr, values)).encode())
