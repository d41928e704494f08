"""Pools to try things on: small ones that need no download, and the images the papers report on."""

from .assay import load_scratch_assay
from .images import load_digits_pool, load_images
from .vessels import make_vessel_masks, make_vessels

__all__ = ["load_digits_pool", "load_images", "load_scratch_assay", "make_vessel_masks", "make_vessels"]
