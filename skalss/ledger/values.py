"""Labels, ids and rows as a file keeps them: typed scalars, arrays, hashes. Nothing is ever pickled."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np


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


def seal(values: Iterable[Any]) -> int:
    """Return the checksum of a line, which SQLite itself does not keep."""
    return zlib.crc32("\x1f".join(map(repr, values)).encode())
