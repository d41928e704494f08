"""Nearest codes."""

from .exact import nearest_codes

__all__ = ["nearest_codes"]
