"""Pools to try things on: small ones that need no download, and the images the papers report on."""

from .images import load_digits_pool, load_images
from .vessels import make_vessels

__all__ = ["load_digits_pool", "load_images", "make_vessels"]
