"""Arrays as bytes: dtype, shape and numbers, never a pickle."""

from __future__ import annotations

import io
import math
from typing import Any, overload

import numpy as np


@overload
def pack(array: None) -> None: ...
@overload
def pack(array: np.ndarray) -> bytes: ...
def pack(array: Any) -> bytes | None:
    """Write an array in NumPy's own format; None stays None.

    Examples
    --------
    >>> import numpy as np
    >>> unpack(pack(np.array([[1, 2]], dtype=np.uint8)))
    array([[1, 2]], dtype=uint8)
    """
    if array is None:
        return None
    file = io.BytesIO()
    np.save(file, np.asarray(array), allow_pickle=False)
    return file.getvalue()


@overload
def unpack(blob: None) -> None: ...
@overload
def unpack(blob: bytes) -> np.ndarray: ...
def unpack(blob: bytes | None) -> np.ndarray | None:
    """Read an array back.

    Raises
    ------
    ValueError
        If it is none, or holds objects.
    """
    if blob is None:
        return None
    shape, in_columns, dtype, start = header_of(blob)
    return np.array(np.ndarray(shape, dtype, blob, start, order="F" if in_columns else "C"))


def header_of(blob: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Read what an array in NumPy's own format says of itself, without making the array.

    Parameters
    ----------
    blob : bytes
        As `pack` returns them.

    Returns
    -------
    shape : tuple of int
    in_columns : bool
        Whether the first axis runs fastest.
    dtype : dtype
        Of numbers or bools.
    start : int
        Where the numbers begin.

    Raises
    ------
    ValueError
        If it is no array, holds anything but numbers, or has another length than it says.
    """
    if not isinstance(blob, bytes):
        raise ValueError(f"Not an array in NumPy's format, but {type(blob).__name__}.")
    file = io.BytesIO(blob)
    try:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"the format {version} is none of numbers")
        shape, in_columns, dtype = _HEADERS[version](file)
    except Exception as error:  # whatever NumPy's reader makes of bytes that nobody wrote as an array
        raise ValueError(f"Not an array in NumPy's format: {error}") from error
    if dtype.kind not in "biufc":
        raise ValueError(f"An array of numbers was expected, got one of dtype {dtype}.")
    size, start = math.prod(shape) * dtype.itemsize, file.tell()
    if any(n < 0 for n in shape) or size != len(blob) - start:
        raise ValueError(f"An array of shape {shape} and dtype {dtype} was cut short, or is none.")
    return shape, in_columns, dtype, start


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
