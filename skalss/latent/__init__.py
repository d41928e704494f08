"""Latent models: X ↔ Z, with a `decode` that gradients flow through.

Uses only `_torch` and `_scaling`.
"""

from .base import BaseLatentModel
from .conv_vae import ConvVAE
from .level_set import LevelSetLatent
from .linear import LinearLatent
from .pretrained import PretrainedLatent
from .vae import VAE

__all__ = ["VAE", "BaseLatentModel", "ConvVAE", "LevelSetLatent", "LinearLatent", "PretrainedLatent"]
