"""Latent models: X ↔ Z, with a `decode` that gradients flow through; labels spread over codes."""

from __future__ import annotations

from ..utils.checks import check_positive_int
from .base import BaseLatentModel, can_decode, no_decoder
from .contrastive import ContrastiveLatent
from .conv_vae import ConvVAE
from .hubs import MANY_HUBS, Geometry, find_geometry
from .level_set import LevelSetLatent
from .linear import LinearLatent
from .pretrained import PretrainedLatent
from .pseudo_labels import LabelSpreader, PseudoLabels
from .vae import VAE

__all__ = [
    "MANY_HUBS",
    "VAE",
    "BaseLatentModel",
    "ContrastiveLatent",
    "ConvVAE",
    "Geometry",
    "LabelSpreader",
    "LevelSetLatent",
    "LinearLatent",
    "PretrainedLatent",
    "PseudoLabels",
    "can_decode",
    "default_latent_model",
    "find_geometry",
    "no_decoder",
]


def default_latent_model(n_dimensions: int) -> BaseLatentModel:
    """Return what is fitted where no latent model is given.

    Parameters
    ----------
    n_dimensions : int
        Of the array of rows: 2 for flat ones.

    Returns
    -------
    model : VAE or ConvVAE
    """
    check_positive_int("n_dimensions", n_dimensions)
    return VAE() if n_dimensions == 2 else ConvVAE()
