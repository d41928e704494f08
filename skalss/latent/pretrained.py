"""A trained encoder as a latent model, with or without a decoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..utils.checks import check_verbose
from ..utils.devices import resolve_device
from ..utils.progress import showing_progress
from ..utils.tensors import as_tensor, load_module_state, module_state
from .base import BaseLatentModel
from .encoders import Encoder, codes_in, described, frozen, frozen_encoder, is_function, module_of
from .image_input import ImageInput, checked_batch_size, make_image_input


class PretrainedLatent(BaseLatentModel):
    """A latent model around an encoder that is already trained, and a decoder where there is one.

    `fit` trains nothing: it copies the modules, freezes the copies in evaluation mode and tries them on a
    few rows. The modules get rows in X's units and trailing shape, as float32, unless the parameters for
    images below say otherwise. With an encoder and no decoder there are no `decode` and `inverse_transform`;
    every strategy works that decodes nothing, which is all but ``"snn"``, ``"si"`` and ``"random_codes"``.

    Parameters
    ----------
    encoder : nn.Module or callable, default=None
        Rows to codes (n, d). A module, or the method of one such as ``net.forward_features``, is copied. Any
        other function gets a float32 tensor of rows on `device`, is called as it is, and may return an array
        or a tensor on any device; what modules it uses it has to put into evaluation mode itself. Of several
        outputs in a tuple, such as (mean, log-variance), the first counts; of an output of Hugging Face
        `image_embeds`, `pooler_output` or the mean over the tokens of `last_hidden_state`, whichever is
        there first. A feature map (n, c, h, w) is averaged over its positions. None flattens rows: codes are
        then the raw features.
    decoder : nn.Module, default=None
        Codes to rows of X's trailing shape. None: there is no decoder, or, without an encoder, the one that
        gives raw features their shape.
    image_size : int or tuple (height, width), default=None
        To which images are resized for the encoder: bilinear, with antialiasing, a batch at a time. None:
        they are not.
    mean, std : float or one for each channel, default=None
        Taken off, and divided by, after bytes (uint8) were brought to [0, 1]; other values must lie there. Of
        ImageNet: ``mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)``. None for both: values are left
        in X's units. Grey images get three equal channels where one of the two has three numbers, or the
        first convolution of a module takes three.
    batch_size : int or "auto", default="auto"
        Rows per call of a module in `transform`, `inverse_transform` and `fit`; "auto": as many as hold
        32 MiB as the encoder gets them, at most 1,024.
    device : str or torch.device, default="auto"
        Where the copies live, and where rows are resized; "auto" is the accelerator if there is one.
    verbose : int, default=0
        1 shows a progress bar of the rows that are encoded.

    Attributes
    ----------
    encoder_ : nn.Module or callable
        The frozen copy.
    decoder_ : nn.Module or None
        The frozen copy.
    reconstruction_error_ : float
        Mean squared error per feature, in squared units of X. Only with a decoder.
    n_features_in_ : int
        Size of the second axis of X.

    Raises
    ------
    TypeError
        In `fit`: if the encoder cannot be called, or the decoder is no module.
    ValueError
        In `fit`: if the outputs do not have the shapes above, or the parameters for images do not fit X. In
        `transform`: if codes are not finite.

    Notes
    -----
    A campaign knows a module by its weights. Of a function it knows the name, or where that says nothing, as
    for a lambda, the code and what it holds: codes of functions are not kept beside a ledger.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from skalss.latent import PretrainedLatent
    >>> PretrainedLatent(nn.Linear(3, 2)).fit_transform(np.eye(3)).shape
    (3, 2)
    >>> images = np.zeros((5, 1, 28, 28), dtype=np.uint8)
    >>> net = nn.Conv2d(3, 8, kernel_size=16, stride=16)
    >>> PretrainedLatent(net, image_size=64, mean=0.5, std=0.25).fit_transform(images).shape
    (5, 8)
    """

    _prepare: ImageInput = ImageInput()

    def __init__(
        self,
        encoder: Encoder | None = None,
        decoder: nn.Module | None = None,
        *,
        image_size: int | tuple[int, int] | None = None,
        mean: Any = None,
        std: Any = None,
        batch_size: int | str = "auto",
        device: torch.device | str = "auto",
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.image_size = image_size
        self.mean = mean
        self.std = std
        self.batch_size = batch_size
        self.device = device
        self.verbose = verbose

    @property
    def has_decoder(self) -> bool:
        """Whether codes can be turned into rows: with a decoder, or as raw features."""
        return self.decoder is not None or self.encoder is None

    @property
    def codes_may_be_kept(self) -> bool:
        """Whether all that decides the codes is known; of a function it is not."""
        return not is_function(self.encoder)

    def encode_rows(self, X: np.ndarray) -> np.ndarray:
        """Return the codes of rows that were checked already.

        Parameters
        ----------
        X : array of shape (n_samples, ...)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_codes), float32

        Raises
        ------
        ValueError
            If codes are not finite.
        """
        with showing_progress(self.verbose):
            Z = super().encode_rows(X)
        wrong = np.flatnonzero(~np.isfinite(Z).all(axis=1))
        if len(wrong):
            raise ValueError(
                f"encoder returned codes that are not finite for {len(wrong)} of {len(X)} rows, the first is "
                f"row {wrong[0]}. Check the units of X, and see mean and std."
            )
        return Z

    @property
    def has_encoder(self) -> bool:
        """Whether there is a module that a network may start from."""
        return isinstance(self.encoder, nn.Module)

    def _fit(self, X: np.ndarray) -> None:
        check_verbose(self.verbose)
        self._prepare = make_image_input(self.encoder, X, size=self.image_size, mean=self.mean, std=self.std)
        self._chunk_rows()  # refuses a wrong batch size
        self._copy_modules(X.shape[1:])
        self._dry_run(as_tensor(X[:2]))

    def _copy_modules(self, row_shape: tuple[int, ...]) -> None:
        self._device = resolve_device(self.device)
        encoder = nn.Flatten() if self.encoder is None else self.encoder
        decoder = (
            nn.Unflatten(1, row_shape) if self.encoder is None and self.decoder is None else self.decoder
        )
        self.encoder_ = frozen_encoder(encoder, self._device)
        self.decoder_ = None if decoder is None else frozen("decoder", decoder, self._device)

    def rehearse(self, X: np.ndarray) -> None:
        """Fit a few rows."""
        self.fit_rows(X)

    def _own_state(self) -> dict[str, Any]:
        parts = {"encoder": module_of(self.encoder_), "decoder": self.decoder_}
        found: dict[str, Any] = {k: {} if part is None else module_state(part) for k, part in parts.items()}
        return {**found, "divisor": self._prepare.divisor, "n_channels": self._prepare.n_channels}

    def _take_own_state(self, state: dict[str, Any]) -> None:
        n_channels, divisor = state.get("n_channels"), float(state.get("divisor", 1.0))
        like = np.zeros((1, *self._row_shape), dtype=np.uint8)  # the settings were checked with the rows
        made = make_image_input(self.encoder, like, size=self.image_size, mean=self.mean, std=self.std)
        self._prepare = ImageInput(made.size, n_channels, divisor, made.mean, made.std)
        self._copy_modules(self._row_shape)
        for part, name in ((module_of(self.encoder_), "encoder"), (self.decoder_, "decoder")):
            if part is not None:
                load_module_state(part, state[name])

    @torch.no_grad()
    def _dry_run(self, x: Tensor) -> None:
        given = self._given(x)
        output = self._call("encoder", self.encoder_, given)
        codes = codes_in(output, len(x))
        if codes is None:
            raise ValueError(
                f"encoder must return codes of shape ({len(x)}, d), a feature map ({len(x)}, d, h, w), or a "
                f"tuple that starts with one of them, for rows of shape {tuple(given.shape)}; got "
                f"{described(output)}. End the encoder with nn.Flatten(), or wrap it to return the mean."
            )
        if codes.shape[1] < 1:
            raise ValueError("encoder must return codes of at least one component, got none.")
        self._n_features_out = codes.shape[1]
        if self.decoder_ is None:
            return
        decoded = self._call("decoder", self.decoder_, codes.to(self._device))
        if not isinstance(decoded, Tensor) or decoded.shape != x.shape:
            raise ValueError(
                f"decoder must return rows of shape {tuple(x.shape)} for codes of shape "
                f"{tuple(codes.shape)}; got {described(decoded)}. End the decoder with "
                f"nn.Unflatten(1, {tuple(x.shape[1:])}), or pass X in the shape it returns."
            )

    def _call(self, name: str, part: Encoder, x: Tensor) -> Any:
        try:
            return part(x)
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
            way = "" if isinstance(part, nn.Module) else f" It gets a tensor on {x.device}; see device."
            raise ValueError(
                f"{name} failed on an input of shape {tuple(x.shape)}: {error}. "
                "Pass X in the shape the encoder was trained on, see image_size, and codes as wide as the "
                f"decoder takes.{way}"
            ) from error

    def _encode(self, x: Tensor) -> Tensor:
        codes = codes_in(self.encoder_(self._given(x)), len(x))
        if codes is None or codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"encoder returned no codes of shape ({len(x)}, {self._n_features_out}) for {len(x)} rows, "
                "as it did in fit. Let it return one code for each row."
            )
        return codes.to(self._device)

    def _given(self, x: Tensor) -> Tensor:
        """Return rows as the encoder gets them; bytes travel to the device as bytes."""
        return self._prepare((x if x.dtype == torch.uint8 else x.float()).to(self._device))

    def _decode(self, Z: Tensor) -> Tensor:
        assert self.decoder_ is not None
        return self.decoder_(Z)

    def _chunk_rows(self) -> int:
        return checked_batch_size(self.batch_size, self._prepare.shape(self._row_shape))
