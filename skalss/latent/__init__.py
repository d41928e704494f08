"""Latent models: X ↔ Z, with a `decode` that gradients flow through; labels spread over codes."""

from .base import BaseLatentModel
from .conv_vae import ConvVAE
from .level_set import LevelSetLatent
from .linear import LinearLatent
from .pretrained import PretrainedLatent
from .pseudo_labels import LabelSpreader, PseudoLabels
from .vae import VAE

__all__ = [
    "VAE",
    "BaseLatentModel",
    "ConvVAE",
    "LabelSpreader",
    "LevelSetLatent",
    "LinearLatent",
    "PretrainedLatent",
    "PseudoLabels",
]
