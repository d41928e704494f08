"""A latent model that learns what rows have in common without labels and without a decoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..augment import CorruptedViews, ImageViews
from ..nets import MLP, ResNet8, sized_module
from ..schedules import CosineLR
from ..utils.checks import (
    LARGEST_WIDTH,
    check_callable,
    check_number,
    check_positive_int,
    check_verbose,
    checked_random_state,
)
from ..utils.devices import resolve_device, resolve_dtype, warn_of_emulation
from ..utils.errors import explaining
from ..utils.progress import progress_bar
from ..utils.scaling import Scaling, fit_scaling
from ..utils.seeds import drawing_own, own_generator, seeded
from ..utils.tensors import check_weights_fit, load_module_state, module_state
from .base import BaseLatentModel
from .rows import Rows

_SAVED = ("_scaling", "history_")
WARM_UP = 0.1  # share of the steps in which the learning rate rises
WEIGHT_DECAY = 1e-4


class ContrastiveLatent(BaseLatentModel):
    """Codes that are alike for two views of one row, and unlike for views of different rows (SimCLR).

    A VAE's codes say what is needed to draw a row again; these say what stays when a row is cut, mirrored
    and recoloured, which is closer to what classes are where photographs are concerned. There is no decoder:
    it serves every strategy that decodes nothing. The network of a campaign may start from its weights:
    ``TaskNet(net, init_from_latent=True)``.

    Parameters
    ----------
    module : module class or factory, default=None
        Builds the encoder; sized by the data as modules of `TaskNet` are, with `input_shape` or `input_dim`.
        An instance is copied, and training starts from its weights. A layer named `head` is left out: codes
        are what enters it. None: `ResNet8` for images, an `MLP` for other rows.
    views : callable, default=None
        Changes a batch of scaled rows by chance and returns one of the same shape. `skalss.augment` has ready
        ones; None: `ImageViews()` for images, `CorruptedViews()` for other rows.
    n_projected : int, default=64
        Width in which views are compared, behind two more layers that only training has.
    temperature : float, default=0.2
        Of the softmax over similarities: the smaller, the more the nearest other rows count.
    lr : float, default=2e-3
        Largest learning rate of AdamW; it rises over a tenth of the steps, then falls to 0 by a cosine.
    max_epochs : int, default=30
        Passes over X.
    max_steps : int, default=10000
        Steps at most, however many rows there are.
    batch_size : int, default=256
        Rows per step; each is told apart from all others of the batch.
    dtype : {"auto", "float32", "bfloat16"}, default="auto"
        What the encoder is trained in; "auto" is bfloat16 where the device has it in hardware.
    device : str or torch.device, default="auto"
        Where the encoder lives; "auto" is the accelerator if there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the order of rows and the views; torch's own generators are left alone.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    encoder_ : nn.Module
        The trained encoder, without its head; it takes scaled rows.
    history_ : list of dict
        Per epoch: epoch, loss (cross entropy of finding the other view, in nats) and accuracy (how often it
        is the nearest of all).
    n_features_in_ : int
        Size of the second axis of X.

    Raises
    ------
    ValueError
        In `fit`: if a parameter is out of range, there are fewer than two rows, or the loss is not finite.

    References
    ----------
    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", arXiv:2002.05709.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skalss.latent import ContrastiveLatent
    >>> X = load_digits().data
    >>> ContrastiveLatent(max_epochs=2, random_state=0).fit_transform(X).shape
    (1797, 100)
    """

    encoder_: nn.Module

    def __init__(
        self,
        module: Callable[..., nn.Module] | None = None,
        *,
        views: Callable[[Tensor], Tensor] | None = None,
        n_projected: int = 64,
        temperature: float = 0.2,
        lr: float = 2e-3,
        max_epochs: int = 30,
        max_steps: int = 10_000,
        batch_size: int = 256,
        dtype: str = "auto",
        device: torch.device | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.module = module
        self.views = views
        self.n_projected = n_projected
        self.temperature = temperature
        self.lr = lr
        self.max_epochs = max_epochs
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.dtype = dtype
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @property
    def has_encoder(self) -> bool:
        """Whether there is a module that a network may start from."""
        return True

    def _check_parameters(self) -> None:
        for name in ("max_epochs", "max_steps", "batch_size"):
            check_positive_int(name, getattr(self, name))
        check_positive_int("n_projected", self.n_projected, most=LARGEST_WIDTH)
        check_number("temperature", self.temperature)
        check_number("lr", self.lr)
        check_verbose(self.verbose)
        for name in ("module", "views"):
            if getattr(self, name) is not None:
                check_callable(name, getattr(self, name), classes=name == "module")
        if self.batch_size < 2:
            raise ValueError("batch_size must be at least 2, got 1: a row is told apart from others.")

    def rehearse(self, X: np.ndarray) -> None:
        """Train for one step on a few rows."""
        self._check_parameters()
        self.set_params(max_epochs=1, max_steps=1, verbose=0)
        self.fit_rows(X)

    def _fit(self, X: np.ndarray) -> None:
        self._check_parameters()
        if len(X) < 2:
            raise ValueError(f"X must have at least 2 rows to tell apart, got n_samples={len(X)}.")
        self._device = resolve_device(self.device)
        compute = resolve_dtype(self.dtype, self._device)
        warn_of_emulation("dtype", self.dtype, self._device)
        self._scaling: Scaling = fit_scaling(X) if self._known_scaling is None else self._known_scaling
        seed = int(checked_random_state(self.random_state).randint(2**31 - 1))
        with seeded(seed, self._device), torch.enable_grad():
            rows = Rows(X, self._scaling, self._device)
            with drawing_own():
                encoder = _channels_last(self._build().to(self._device))
                # Also tells the width of the codes.
                self._n_features_out = self._try(encoder, rows.take(torch.arange(2)))
                projector = _projector(self._n_features_out, self.n_projected).to(self._device)
            self.history_ = self._train(encoder, projector, rows, compute)
        self.encoder_ = encoder.eval().requires_grad_(False)

    def _build(self) -> nn.Module:
        shape = self._row_shape
        module = self.module or (ResNet8 if len(shape) == 3 else MLP)
        with explaining(f"The encoder cannot be built of its module for rows of shape {shape}"):
            encoder = sized_module(module, shape).float()
        if isinstance(getattr(encoder, "head", None), nn.Module):
            encoder.head = nn.Identity()
        return encoder

    def _try(self, encoder: nn.Module, rows: Tensor) -> int:
        """Return the width of the codes, and refuse views and encoders that do not fit the rows."""
        with torch.no_grad(), drawing_own():
            views = self._views()(rows)
        if not isinstance(views, Tensor) or views.shape != rows.shape:
            raise ValueError(f"views must return a tensor of shape {tuple(rows.shape)}, got {_shown(views)}.")
        with torch.no_grad(), explaining(f"The encoder cannot take rows of shape {self._row_shape}"):
            codes = encoder.eval()(views)
        if not isinstance(codes, Tensor) or codes.ndim != 2 or len(codes) != len(rows):
            raise ValueError(
                f"The encoder must return codes of shape (n_samples, n_codes), got {_shown(codes)}. End "
                "its module with nn.Flatten(), or name its last layer `head`."
            )
        return codes.shape[1]

    def _views(self) -> Callable[[Tensor], Tensor]:
        if self.views is not None:
            return self.views
        return ImageViews() if len(self._row_shape) == 3 else CorruptedViews()

    def _train(
        self, encoder: nn.Module, projector: nn.Module, rows: Rows, compute: torch.dtype
    ) -> list[dict[str, float]]:
        """Train encoder and projector in place; return one record per epoch."""
        size = min(self.batch_size, len(rows))
        per_epoch = max(1, len(rows) // size)
        n_steps = min(self.max_steps, self.max_epochs * per_epoch)
        fused = True if self._device.type in ("cpu", "cuda") else None
        both = nn.ModuleList([encoder, projector]).train()
        optimizer = torch.optim.AdamW(both.parameters(), lr=self.lr, weight_decay=WEIGHT_DECAY, fused=fused)
        rate = CosineLR(WARM_UP).scale
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step / n_steps))
        views = self._views()
        history: list[dict[str, float]] = []
        sums, n_seen, step = torch.zeros(2, device=self._device), 0, 0
        with progress_bar("contrastive", total=n_steps, unit="step", verbose=self.verbose) as bar:
            while step < n_steps:
                order = torch.randperm(len(rows), generator=own_generator(), device="cpu")
                n_wanted = size * min(per_epoch, n_steps - step)
                for x in rows.batches(order[:n_wanted], size):
                    with torch.no_grad(), drawing_own():
                        pair = views(x), views(x)
                    loss, right = self._step(encoder, projector, *pair, compute)
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    optimizer.step()
                    schedule.step()
                    sums, n_seen, step = sums + torch.stack([loss.detach(), right]), n_seen + 1, step + 1
                    bar.update()
                mean = (sums / n_seen).tolist()
                self._check_finite(mean[0])
                history.append({"epoch": len(history) + 1, "loss": mean[0], "accuracy": mean[1]})
                bar.set_postfix(loss=mean[0])
                sums, n_seen = torch.zeros_like(sums), 0
        return history

    def _step(
        self, encoder: nn.Module, projector: nn.Module, one: Tensor, other: Tensor, compute: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        both = torch.cat([one, other])
        if both.ndim == 4:
            both = both.contiguous(memory_format=torch.channels_last)
        with torch.autocast(both.device.type, torch.bfloat16, enabled=compute == torch.bfloat16):
            projected = projector(encoder(both))
        return nt_xent(projected.float(), float(self.temperature))

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise ValueError(f"The loss is not finite with lr={self.lr}. Lower lr, or scale X.")

    def _encode(self, x: Tensor) -> Tensor:
        return self.encoder_(self._scaling(x).to(self._device)).float()

    def _own_state(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in _SAVED}, "encoder": module_state(self.encoder_)}

    def _take_own_state(self, state: dict[str, Any]) -> None:
        for name in _SAVED:
            setattr(self, name, state[name])
        check_weights_fit(self._build, state["encoder"])
        self._device = resolve_device(self.device)
        with seeded(0, self._device):
            encoder = _channels_last(self._build().to(self._device))
        load_module_state(encoder, state["encoder"])
        self.encoder_ = encoder.eval().requires_grad_(False)


def nt_xent(projected: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the loss of finding each view's other view among all, and how often it is the nearest.

    Parameters
    ----------
    projected : tensor of shape (2 n, width)
        First one view of each row, then the other, in the same order.
    temperature : float

    Returns
    -------
    loss : tensor
        Mean cross entropy, in nats: the normalised, temperature-scaled one of SimCLR.
    accuracy : tensor
    """
    n = len(projected) // 2
    unit = F.normalize(projected, dim=1)
    similar = unit @ unit.T / temperature
    similar.fill_diagonal_(-torch.inf)
    other = torch.arange(2 * n, device=projected.device).roll(n)
    return F.cross_entropy(similar, other), (similar.argmax(dim=1) == other).float().mean()


def _projector(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(n_in, n_in, bias=False), nn.BatchNorm1d(n_in), nn.ReLU(), nn.Linear(n_in, n_out)
    )


def _channels_last(module: nn.Module) -> nn.Module:
    """Lay convolutions out as they run fastest."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def _shown(output: object) -> str:
    return f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
