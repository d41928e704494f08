"""Single values as JSON that keeps their type."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

SCALARS = (bool, int, float, str)


def to_json(value: object, what: str = "label") -> str:
    """Write an id or a label so that its type comes back with it.

    Examples
    --------
    >>> to_json(np.int64(3)), to_json(3.0), to_json("3")
    ('3', '3.0', '"3"')
    >>> from_json('3.0')
    3.0
    """
    scalar = value.item() if isinstance(value, np.generic) else value
    if type(scalar) not in SCALARS:
        raise ValueError(
            f"A ledger keeps each {what} as a bool, int, float or str, got {value!r} of type "
            f"{type(value).__name__}. Turn it into one of these, such as str(value)."
        )
    if isinstance(scalar, float) and not math.isfinite(scalar):
        raise ValueError(f"A ledger keeps no {what} that is not finite, got {value!r}.")
    try:
        if isinstance(scalar, str):
            scalar.encode()
        return json.dumps(scalar)
    except ValueError as error:  # half a surrogate pair, or thousands of digits
        raise ValueError(f"This {what} cannot be written down: {error}.") from error


def from_json(text: str) -> Any:
    """Read an id or a label back, of the type it was written with."""
    return json.loads(text)
