"""Arrays as bytes: dtype, shape and numbers, never a pickle."""

from __future__ import annotations

import io
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
    return None if blob is None else np.load(io.BytesIO(blob), allow_pickle=False)
