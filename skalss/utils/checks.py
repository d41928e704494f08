"""Checks of parameters, each with the value got, what is allowed and the next step."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence


def check_positive_int(name: str, value: object, *, also: str = "") -> None:
    """Refuse what is not a whole number of at least 1."""
    allowed = "a whole number of at least 1" + (f", or {also}" if also else "")
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be {allowed}, got {value!r} of type {type(value).__name__}.")
    if value < 1:
        raise ValueError(f"{name} must be {allowed}, got {value!r}.")


def check_count(name: str, value: object) -> None:
    """Refuse what is not a whole number of at least 0."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} must be a whole number of at least 0, got {value!r}.")


def check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse what is none of the words allowed."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {list(allowed)}, got {value!r}.")


def checked_shape(name: str, value: object) -> tuple[int, ...]:
    """Return a shape read from a file; refuse what is none.

    Raises
    ------
    ValueError
    """
    if not isinstance(value, list | tuple) or not value or not all(type(n) is int and n > 0 for n in value):
        raise ValueError(f"{name} must be whole numbers of at least 1, got {str(value)[:50]}.")
    return tuple(value)


def check_real(name: str, value: object, *, also: str = "") -> None:
    """Refuse what is not a finite number."""
    allowed = "a finite number" + (f", or {also}" if also else "")
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be {allowed}, got {value!r} of type {type(value).__name__}.")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be {allowed}, got {value!r}.")


def check_number(name: str, value: object, *, zero: bool = False, also: str = "") -> None:
    """Refuse what is not a finite number above 0, or at least 0 with `zero`."""
    allowed = f"a finite number {'of at least' if zero else 'above'} 0" + (f", or {also}" if also else "")
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be {allowed}, got {value!r} of type {type(value).__name__}.")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be {allowed}, got {value!r}.")


def check_share(name: str, value: float) -> None:
    """Refuse what does not lie in [0, 1]."""
    check_real(name, value)
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value!r}.")
