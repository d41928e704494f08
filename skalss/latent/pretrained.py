"""Any pair of torch modules as a latent model."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..utils.checks import check_positive_int
from ..utils.devices import resolve_device
from ..utils.tensors import as_tensor, load_module_state, module_state
from .base import BaseLatentModel


class PretrainedLatent(BaseLatentModel):
    """A latent model around an encoder and a decoder that are already trained.

    `fit` trains nothing: it copies the modules, freezes the copies in evaluation mode and tries them on a
    few rows. The modules get rows in X's units and trailing shape, as float32: put any scaling inside them.

    Parameters
    ----------
    encoder : nn.Module, default=None
        Rows to codes (n, d), or to a tuple that starts with them, such as (mean, log-variance). None
        flattens rows: codes are then the raw features.
    decoder : nn.Module, default=None
        Codes to rows of X's trailing shape. None gives codes that shape.
    batch_size : int, default=1024
        Rows per call of a module in `transform`, `inverse_transform` and `fit`.
    device : str or torch.device, default="auto"
        Where the copies live; "auto" is the accelerator if there is one.

    Attributes
    ----------
    encoder_, decoder_ : nn.Module
        The frozen copies.
    reconstruction_error_ : float
        Mean squared error per feature, in squared units of X.
    n_features_in_ : int
        Size of the second axis of X.

    Raises
    ------
    TypeError
        In `fit`: if encoder or decoder is no module.
    ValueError
        In `fit`: if the modules' outputs do not have the shapes above.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from skalss.latent import PretrainedLatent
    >>> PretrainedLatent(nn.Identity(), nn.Identity()).fit_transform(np.eye(3)).shape
    (3, 3)
    """

    def __init__(
        self,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        *,
        batch_size: int = 1024,
        device: torch.device | str = "auto",
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.batch_size = batch_size
        self.device = device

    def _fit(self, X: np.ndarray) -> None:
        check_positive_int("batch_size", self.batch_size)
        self._copy_modules(X.shape[1:])
        self._dry_run(as_tensor(X[:2]))

    def _copy_modules(self, row_shape: tuple[int, ...]) -> None:
        self._device = resolve_device(self.device)
        encoder = nn.Flatten() if self.encoder is None else self.encoder
        decoder = nn.Unflatten(1, row_shape) if self.decoder is None else self.decoder
        self.encoder_ = _frozen("encoder", encoder, self._device)
        self.decoder_ = _frozen("decoder", decoder, self._device)

    def rehearse(self, X: np.ndarray) -> None:
        """Fit a few rows."""
        self.fit_rows(X)

    def _own_state(self) -> dict[str, Any]:
        return {"encoder": module_state(self.encoder_), "decoder": module_state(self.decoder_)}

    def _take_own_state(self, state: dict[str, Any]) -> None:
        self._copy_modules(self._row_shape)
        load_module_state(self.encoder_, state["encoder"])
        load_module_state(self.decoder_, state["decoder"])

    @torch.no_grad()
    def _dry_run(self, x: Tensor) -> None:
        rows = f"rows of shape {tuple(x.shape)}"
        codes = _call("encoder", self.encoder_, x.to(self._device, torch.float32))
        mean = codes[0] if isinstance(codes, tuple | list) and codes else codes
        if not isinstance(mean, Tensor) or mean.ndim != 2 or len(mean) != len(x):
            raise ValueError(
                f"encoder must return codes of shape ({len(x)}, d), or a tuple that starts with them, for "
                f"{rows}; got {_describe(mean)}. End the encoder with nn.Flatten(), or wrap it to return the "
                "mean."
            )
        decoded = _call("decoder", self.decoder_, mean.float())
        if not isinstance(decoded, Tensor) or decoded.shape != x.shape:
            raise ValueError(
                f"decoder must return {rows} for codes of shape {tuple(mean.shape)}; got "
                f"{_describe(decoded)}. End the decoder with nn.Unflatten(1, {tuple(x.shape[1:])}), "
                "or pass X in the shape it returns."
            )
        self._n_features_out = mean.shape[1]

    def _encode(self, x: Tensor) -> Tensor:
        codes = self.encoder_(x.to(self._device, torch.float32))
        return (codes[0] if isinstance(codes, tuple | list) else codes).float()

    def _decode(self, Z: Tensor) -> Tensor:
        return self.decoder_(Z)

    def _chunk_rows(self) -> int:
        return self.batch_size


def _frozen(name: str, module: nn.Module, device: torch.device) -> nn.Module:
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"{name} must be a torch nn.Module, got {type(module).__name__}. Wrap a function in one."
        )
    return copy.deepcopy(module).to(device, torch.float32).eval().requires_grad_(False)


def _call(name: str, module: nn.Module, x: Tensor) -> Any:
    try:
        return module(x)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{name} failed on an input of shape {tuple(x.shape)}: {error}. "
            "Pass X in the shape the encoder was trained on, and codes as wide as the decoder takes."
        ) from error


def _describe(output: Tensor | tuple[Tensor, ...]) -> str:
    return f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
