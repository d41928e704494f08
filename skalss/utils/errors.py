"""Errors that say what failed and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def explaining(what: str, next_step: str = "") -> Iterator[None]:
    """Put in front of an error of the block what failed, and behind it what to do.

    Raises
    ------
    TypeError, ValueError
        A TypeError stays one; all others become a ValueError.
    """
    try:
        yield
    except Exception as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        text = f"{what}: {type(error).__name__}: {str(error).rstrip()}"
        raise kind(f"{text}{'' if text.endswith('.') else '.'} {next_step}".rstrip()) from error
