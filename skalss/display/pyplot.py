"""The way to matplotlib, which is optional."""

from __future__ import annotations

from typing import Any


def pyplot(caller: str) -> Any:
    """Import matplotlib, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} draws with matplotlib, which is not installed. Install it with "
            '`pip install "skalss[plot]"`.'
        ) from error
    return plt
