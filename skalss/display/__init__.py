"""Displays: pictures of what was recorded, drawn with matplotlib (``pip install "skalss[plot]"``)."""

from .training import TrainingProgressDisplay

__all__ = ["TrainingProgressDisplay"]
