"""A convolutional variational autoencoder."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from ..utils.checks import check_sizes
from .base_vae import BaseVAE
from .elbo import VaeNet, widths


class ConvVAE(BaseVAE):
    """Variational autoencoder with strided convolutions, for images of any height and width.

    Each hidden layer halves height and width; images are padded with zeros inside where they cannot be
    halved, and decoded images are cut back. All else is as in `VAE`.

    Parameters
    ----------
    n_components : int, default=16
        Width of the codes.
    hidden_channels : sequence of int, default=(32, 64)
        Channels of the encoder's hidden layers; the decoder has them in reverse.
    image_shape : tuple (n_channels, height, width), default=None
        How to read flat rows; `decode` then gives flat rows back. None takes the shape of X if that is 4-D,
        and reads flat rows as images one pixel high, (1, 1, n_features): right for signals, so pass the
        shape for flattened images.
    likelihood, beta, lr, max_epochs, max_steps, batch_size, early_stopping, dtype : optional
        As in `VAE`.
    device, random_state, verbose : optional
        As in `VAE`.

    Attributes
    ----------
    history_, likelihood_, reconstruction_error_, kl_, n_active_units_, n_features_in_
        As in `VAE`.

    Raises
    ------
    ValueError
        In `fit`, as in `VAE`, and if X and `image_shape` do not fit together.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skalss.latent import ConvVAE
    >>> X = load_digits().images[:, None]
    >>> ConvVAE(n_components=8, hidden_channels=(8, 16), lr=0.01, random_state=0).fit_transform(X).shape
    (1797, 8)
    """

    def __init__(
        self,
        n_components: int = 16,
        *,
        hidden_channels: Any = (32, 64),
        image_shape: Any = None,
        likelihood: str = "auto",
        beta: float = 1.0,
        lr: float = 1e-3,
        max_epochs: int = 50,
        max_steps: int | None = None,
        batch_size: int = 256,
        early_stopping: bool = True,
        dtype: str = "auto",
        device: torch.device | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_channels = hidden_channels
        self.image_shape = image_shape
        self.likelihood = likelihood
        self.beta = beta
        self.lr = lr
        self.max_epochs = max_epochs
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.dtype = dtype
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not check_sizes("hidden_channels", self.hidden_channels, empty=True):
            raise ValueError(
                "hidden_channels must have at least one entry, got (). Use VAE for no convolutions."
            )

    def _network_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.image_shape is None:
            if len(row_shape) == 3:
                return row_shape
            if len(row_shape) == 1:
                return (1, 1, *row_shape)
            raise ValueError(
                "X must have shape (n_samples, n_channels, height, width) or be flat, got rows of shape "
                f"{row_shape}. Pass X[:, None] for grey images, or image_shape=(n_channels, height, width)."
            )
        shape = check_sizes("image_shape", self.image_shape)
        flat_fits = len(row_shape) == 1 and math.prod(shape) == row_shape[0]
        if len(shape) != 3 or not (flat_fits or row_shape == shape):
            raise ValueError(
                f"image_shape must be (n_channels, height, width) with as many values as a row of X, got "
                f"{self.image_shape} for rows of shape {row_shape}. Pass the shape of one image, "
                "such as (1, 28, 28)."
            )
        return shape

    def _scaled_view(self, X: np.ndarray) -> np.ndarray:
        # Flat rows without a shape may hold features of different units: those are scaled one by one.
        return X if self.image_shape is None else X.reshape(-1, *self._shape)

    def _build(self, shape: tuple[int, ...]) -> VaeNet:
        n_channels, height, width = shape
        hidden = check_sizes("hidden_channels", self.hidden_channels)
        factor = 2 ** len(hidden)
        pad_h, pad_w = -height % factor, -width % factor
        inner = (hidden[-1], (height + pad_h) // factor, (width + pad_w) // factor)

        encoder: list[nn.Module] = [nn.ZeroPad2d((0, pad_w, 0, pad_h))]
        for n_in, n_out in widths(n_channels, *hidden):
            encoder += [nn.Conv2d(n_in, n_out, 4, stride=2, padding=1), nn.ReLU()]
        encoder += [nn.Flatten(), nn.Linear(math.prod(inner), 2 * self.n_components)]

        decoder: list[nn.Module] = [nn.Linear(self.n_components, math.prod(inner)), nn.Unflatten(1, inner)]
        for n_in, n_out in widths(*hidden[::-1], n_channels):
            decoder += [nn.ReLU(), nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1)]
        decoder.append(nn.ZeroPad2d((0, -pad_w, 0, -pad_h)))  # cuts the padding off again
        return VaeNet(nn.Sequential(*encoder), nn.Sequential(*decoder))
