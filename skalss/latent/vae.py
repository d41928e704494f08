"""A dense variational autoencoder."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn

from ..utils.checks import check_sizes
from .base_vae import BaseVAE
from .elbo import VaeNet, widths


class VAE(BaseVAE):
    """Variational autoencoder with dense layers.

    Rows are scaled inside (see `likelihood`) and codes are the posterior mean. Images are accepted:
    flattened for the network, given back in their shape by `decode`.

    Parameters
    ----------
    n_components : int, default=16
        Width of the codes.
    hidden_layer_sizes : sequence of int, default=(256,)
        Widths of the encoder's hidden layers; the decoder has them in reverse.
    likelihood : {"auto", "bernoulli", "gaussian"}, default="auto"
        Of rows given codes. Bernoulli takes values in [0, 1] or bytes of images; "auto" takes it for
        those if at least three quarters of the values lie within 0.05 of 0 or 1, as ink on paper does, and
        for all others a Gaussian with one learned variance.
    beta : float, default=1.0
        Weight of the KL divergence; 0 gives a noisy autoencoder, large values collapse the codes.
    lr : float, default=1e-3
        Learning rate of Adam.
    max_epochs : int, default=50
        Passes over X, or over as many of its rows as `max_steps` allows.
    max_steps : int, default=None
        Steps of training at most, however many rows X has: if `max_epochs` passes take more, an epoch takes
        fewer rows, drawn anew until all have come. None: so many that an epoch has up to 100,000 rows.
    batch_size : int, default=256
        Rows per step.
    early_stopping : bool, default=True
        Hold out min(10 %, 2,000) rows, stop after 5 epochs without a lower loss on them, and keep the best
        weights. With fewer than 20 rows none are held out and the training loss decides.
    dtype : {"auto", "float32", "bfloat16"}, default="auto"
        What the layers are trained in; "auto" is bfloat16 where the device has it in hardware. Parameters,
        losses and codes are float32 in any case.
    device : str or torch.device, default="auto"
        Where the network lives, also when pickled; "auto" is the accelerator if there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the order of rows and the noise; torch's own generators are left alone.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    history_ : list of dict
        Per epoch: epoch, loss, reconstruction, kl and valid_loss (NaN without held-out rows), the losses
        in nats per row.
    likelihood_ : str
        The likelihood in use.
    reconstruction_error_ : float
        Mean squared error per feature, in squared units of X.
    kl_ : float
        Mean KL divergence of the posterior from the prior, in nats per row.
    n_active_units_ : int
        Codes whose posterior mean has a variance above 0.01 over the rows [2]_.
    n_features_in_ : int
        Size of the second axis of X.

    Raises
    ------
    ValueError
        In `fit`: if a parameter is out of range, if X does not fit the likelihood, if the loss is not finite.

    Warns
    -----
    ConvergenceWarning
        If the posterior has collapsed: the codes say next to nothing about X.

    References
    ----------
    .. [1] Kingma and Welling, "Auto-Encoding Variational Bayes", arXiv:1312.6114.
    .. [2] Burda et al., "Importance Weighted Autoencoders", arXiv:1509.00519.
    .. [3] Rybkin et al., "Simple and Effective VAE Training with Calibrated Decoders", arXiv:2006.13202.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skalss.latent import VAE
    >>> X = load_digits().data
    >>> VAE(n_components=8, max_epochs=5, random_state=0).fit_transform(X).shape
    (1797, 8)
    """

    def __init__(
        self,
        n_components: int = 16,
        *,
        hidden_layer_sizes: Any = (256,),
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
        self.hidden_layer_sizes = hidden_layer_sizes
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
        check_sizes("hidden_layer_sizes", self.hidden_layer_sizes, empty=True)

    def _build(self, shape: tuple[int, ...]) -> VaeNet:
        n_features = math.prod(shape)
        hidden = check_sizes("hidden_layer_sizes", self.hidden_layer_sizes, empty=True)
        encoder = _dense(n_features, *hidden, 2 * self.n_components)
        decoder = _dense(self.n_components, *hidden[::-1], n_features)
        return VaeNet(nn.Sequential(nn.Flatten(), *encoder), nn.Sequential(*decoder, nn.Unflatten(1, shape)))


def _dense(*sizes: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for n_in, n_out in widths(*sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers[:-1]  # the output is linear
