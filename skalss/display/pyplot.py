"""The way to matplotlib, which is optional."""

from __future__ import annotations

from typing import Any

from ..utils.checks import check_mapping, show


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


def check_drawing(ax: Any = None, *, name: str = "ax", **styles: Any) -> None:
    """Refuse axes that are none, and styles that are no dict.

    Raises
    ------
    TypeError
    """
    if ax is not None and not hasattr(ax, "get_legend_handles_labels"):
        raise TypeError(
            f"{name} must be an Axes of matplotlib or None, got {show(ax)} of type {type(ax).__name__}."
        )
    for name_, style in styles.items():
        if style is not None:
            check_mapping(name_, style, also="None")
