"""What the dense and the convolutional VAE share: checks, likelihood, training and health."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from ..utils.checks import (
    LARGEST_WIDTH,
    check_choice,
    check_flag,
    check_number,
    check_positive_int,
    check_verbose,
    checked_random_state,
)
from ..utils.devices import resolve_device, resolve_dtype, warn_of_emulation
from ..utils.scaling import Scaling, centred, fit_scaling
from ..utils.seeds import drawing_own, seeded
from ..utils.surroundings import ignoring
from ..utils.tensors import as_tensor, check_weights_fit, load_module_state, module_state
from .base import BaseLatentModel
from .elbo import Trainer, VaeNet, kl_divergence
from .rows import Rows

LIKELIHOODS = ("auto", "bernoulli", "gaussian")
ACTIVE_VARIANCE = 0.01  # Burda et al., arXiv:1509.00519
NEAR_ENDS, BINARY_SHARE = 0.05, 0.75  # near an end: 0.90 of MNIST, 0.58 of the digits
COLLAPSED_KL = 0.05  # nats per row
_SAVED = ("_shape", "_scaling", "likelihood_", "history_", "kl_", "n_active_units_")


class BaseVAE(BaseLatentModel):
    """Abstract: a variational autoencoder whose network a concrete class builds."""

    n_components: int
    likelihood: str
    beta: float
    lr: float
    max_epochs: int
    max_steps: int | None
    batch_size: int
    early_stopping: bool
    dtype: str
    device: Any
    random_state: Any
    verbose: int

    @abstractmethod
    def _build(self, shape: tuple[int, ...]) -> VaeNet:
        """Return the untrained network for rows of `shape`."""

    def _network_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape the network reads rows in."""
        return row_shape

    def _scaled_view(self, X: np.ndarray) -> np.ndarray:
        """Return the view of X whose second axis is scaled: features, or channels."""
        return X

    def _fit(self, X: np.ndarray) -> None:
        self._check_parameters()
        self._device = resolve_device(self.device)
        compute = resolve_dtype(self.dtype, self._device)
        warn_of_emulation("dtype", self.dtype, self._device)
        self._shape = self._network_shape(X.shape[1:])
        view = self._scaled_view(X)
        known = self._known_scaling if view is X else None
        self._scaling: Scaling = fit_scaling(view) if known is None else known
        self.likelihood_ = self._choose_likelihood(X)
        if self.likelihood_ == "gaussian" and self._scaling.unit_range:
            self._scaling = centred(X)  # a Gaussian learns slowly from values of small spread
        seed = int(checked_random_state(self.random_state).randint(2**31 - 1))
        with seeded(seed, self._device), torch.enable_grad():
            with drawing_own():
                net = self._build(self._shape).to(self._device)
            trainer = Trainer(
                net=net,
                rows=Rows(X.reshape(-1, *self._shape), self._scaling, self._device),
                n_components=self.n_components,
                likelihood=self.likelihood_,
                beta=float(self.beta),
                lr=float(self.lr),
                max_epochs=int(self.max_epochs),
                max_steps=None if self.max_steps is None else int(self.max_steps),
                batch_size=int(self.batch_size),
                early_stopping=self.early_stopping,
                verbose=self.verbose,
                compute=compute,
                device=self._device,
            )
            self.history_ = trainer.run()
        self._net = net.eval().requires_grad_(False)
        self._n_features_out = self.n_components

    def rehearse(self, X: np.ndarray) -> None:
        """Train for one epoch on a few rows."""
        self._check_parameters()
        self.set_params(max_epochs=1, verbose=0)
        with ignoring(ConvergenceWarning):  # one epoch teaches no codes
            self.fit_rows(X)

    def _own_state(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in _SAVED}
        return {**own, "net": module_state(self._net)}

    def _take_own_state(self, state: dict[str, Any]) -> None:
        for name in _SAVED:
            setattr(self, name, state[name])
        if (self._shape, self._n_features_out) != (self._network_shape(self._row_shape), self.n_components):
            raise ValueError(f"The saved rows of shape {self._shape} do not fit {self}.")
        check_weights_fit(lambda: self._build(self._shape), state["net"])
        self._device = resolve_device(self.device)
        with seeded(0, self._device):
            net = self._build(self._shape).to(self._device)
        load_module_state(net, state["net"])
        self._net = net.eval().requires_grad_(False)

    @property
    def has_encoder(self) -> bool:
        """Whether there is a module that a network may start from."""
        return True

    @property
    def encoder_(self) -> torch.nn.Module:
        """The trained encoder; it takes scaled rows."""
        return self._net.encoder

    @property
    def decoder_(self) -> torch.nn.Module:
        """The trained decoder; it returns scaled rows, or their logits."""
        return self._net.decoder

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normal distribution of the codes of each row.

        Parameters
        ----------
        x : tensor of shape (n_samples, ...)
            In the units of the X fitted.

        Returns
        -------
        mean, log_variance : float32 tensors of shape (n_samples, n_codes)
            On the model's device.
        """
        scaled = self._scaling(x.reshape(-1, *self._shape))
        return self._net.posterior(scaled.to(self._device))

    def _encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    def _decode(self, Z: Tensor) -> Tensor:
        output = self._net.decoder(Z)
        scaled = torch.sigmoid(output) if self.likelihood_ == "bernoulli" else output
        return self._scaling.inverse(scaled).reshape(-1, *self._row_shape)

    def _report_health(self, X: np.ndarray) -> None:
        super()._report_health(X)
        with torch.no_grad():
            pieces = [self.posterior(as_tensor(rows)) for rows in self._health_rows(X)]
        means, log_variances = (torch.cat(tensors) for tensors in zip(*pieces, strict=True))
        if not bool(torch.isfinite(means).all()):
            raise ValueError(f"The codes are not finite after training with lr={self.lr}. Lower lr.")
        self.kl_ = float(kl_divergence(means, log_variances).mean())
        self.n_active_units_ = int((means.var(dim=0, correction=0) > ACTIVE_VARIANCE).sum())
        # A single row has no variance, so it says nothing.
        if len(X) > 1 and (self.n_active_units_ == 0 or self.kl_ < COLLAPSED_KL):
            warnings.warn(
                f"The posterior has collapsed: {self.n_active_units_} of {self.n_components} codes are "
                f"active and kl_ is {self.kl_:.3g} nats per row, so the codes say next to nothing about X. "
                f"Lower beta (now {self.beta}), raise max_epochs (now {self.max_epochs}) or "
                f"lr (now {self.lr}), or check the scale of X.",
                ConvergenceWarning,
                stacklevel=5,  # through fit, and fit_rows with its decorator
            )

    def _choose_likelihood(self, X: np.ndarray) -> str:
        if self.likelihood == "auto":
            return "bernoulli" if self._scaling.unit_range and self._is_near_binary(X) else "gaussian"
        if self.likelihood == "bernoulli" and not self._scaling.unit_range:
            raise ValueError(
                "likelihood='bernoulli' takes values in [0, 1] or bytes of images, got values in "
                f"[{X.min()}, {X.max()}]. Scale X to [0, 1], or pass likelihood='gaussian'."
            )
        return self.likelihood

    def _is_near_binary(self, X: np.ndarray) -> bool:
        """Whether most values lie at 0 or 1.

        For shades of grey in between, a Bernoulli's own entropy hides most of the misfit, and the codes
        stay empty: 2 nats a row on the 8 x 8 digits, where a Gaussian gives 18.
        """
        share = rows = 0.0
        for x in self._health_rows(X):
            scaled = self._scaling(as_tensor(x))
            share += float(((scaled < NEAR_ENDS) | (scaled > 1 - NEAR_ENDS)).float().mean()) * len(x)
            rows += len(x)
        return share / rows >= BINARY_SHARE

    def _check_parameters(self) -> None:
        check_positive_int("n_components", self.n_components, most=LARGEST_WIDTH)
        check_positive_int("max_epochs", self.max_epochs)
        if self.max_steps is not None:
            check_positive_int("max_steps", self.max_steps, also="None")
        check_positive_int("batch_size", self.batch_size)
        check_number("lr", self.lr)
        check_number("beta", self.beta, zero=True)
        check_choice("likelihood", self.likelihood, LIKELIHOODS)
        check_flag("early_stopping", self.early_stopping)
        check_verbose(self.verbose)
