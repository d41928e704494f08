"""Images as a pretrained encoder wants them: resized, with its number of channels, in its units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..utils.checks import check_positive_int, check_real, check_sizes, is_whole, show
from ..utils.tensors import chunk_rows, chunks

_CHUNK_VALUES = 2**23  # 32 MiB as float32
_MOST_ROWS = 1024


@dataclass(frozen=True)
class ImageInput:
    """Turns rows, on their device, into what an encoder gets.

    Attributes
    ----------
    size : tuple (height, width) or None
        None: as they are.
    n_channels : int or None
        To which a single channel is repeated; None: not.
    divisor : float
        Brings the values to [0, 1].
    mean, std : tuple of float or None
        Of each channel, or of all; None: values are left as they are.
    """

    size: tuple[int, int] | None = None
    n_channels: int | None = None
    divisor: float = 1.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return float32 rows as the encoder gets them."""
        x = x.to(torch.float32)
        if self.size is not None and x.shape[2:] != self.size:
            x = interpolate(x, self.size, mode="bilinear", antialias=True, align_corners=False)
        if self.n_channels is not None:
            x = x.repeat(1, self.n_channels, 1, 1)
        if self.mean is None or self.std is None:
            return x
        mean, std = (x.new_tensor(part)[:, None, None] for part in (self.mean, self.std))
        return (x / self.divisor - mean) / std

    def shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a row as the encoder gets it."""
        if len(row_shape) != 3:
            return row_shape
        return (self.n_channels or row_shape[0], *(self.size or row_shape[1:]))


def make_image_input(encoder: Any, X: np.ndarray, *, size: Any, mean: Any, std: Any) -> ImageInput:
    """Check the settings against the rows, and return what is done with these.

    Parameters
    ----------
    encoder : module, callable or None
    X : array of shape (n_samples, ...)
        Read in chunks, where its range matters.
    size, mean, std
        As in `PretrainedLatent`.

    Returns
    -------
    prepare : ImageInput

    Raises
    ------
    ValueError, TypeError
        If a setting is wrong, or does not fit the rows.
    """
    scaled = mean is not None or std is not None
    repeated = _wants_three(encoder, mean, std) and X.ndim == 4 and X.shape[1] == 1
    if size is None and not scaled:
        return ImageInput(n_channels=3 if repeated else None)
    if X.ndim != 4:
        raise ValueError(
            f"image_size, mean and std are for images, and X has rows of shape {X.shape[1:]}. Reshape X to "
            "(n_samples, n_channels, height, width)."
        )
    height_width = None if size is None else _checked_size(size)
    n_channels = 3 if repeated else X.shape[1]
    if not scaled:
        return ImageInput(height_width, 3 if repeated else None)
    return ImageInput(
        height_width,
        3 if repeated else None,
        divisor=_divisor(X),
        mean=_of_channels("mean", 0.0 if mean is None else mean, n_channels),
        std=_of_channels("std", 1.0 if std is None else std, n_channels, positive=True),
    )


def checked_batch_size(batch_size: Any, shape: tuple[int, ...]) -> int:
    """Return how many rows of a shape an encoder gets at a time: "auto", or as many as are asked for."""
    if isinstance(batch_size, str) and batch_size == "auto":
        return max(1, min(_MOST_ROWS, _CHUNK_VALUES // max(1, int(np.prod(shape)))))
    check_positive_int("batch_size", batch_size, also="'auto'")
    return int(batch_size)


def _wants_three(encoder: Any, mean: Any, std: Any) -> bool:
    if any(part is not None and np.size(part) == 3 for part in (mean, std)):
        return True
    owner = getattr(encoder, "__self__", encoder)
    layers = owner.modules() if isinstance(owner, nn.Module) else ()
    first = next((layer for layer in layers if isinstance(layer, nn.Conv2d)), None)
    return first is not None and first.in_channels == 3


def _checked_size(size: Any) -> tuple[int, int]:
    if is_whole(size):
        check_positive_int("image_size", size)
        return int(size), int(size)
    sizes = check_sizes("image_size", size)
    if len(sizes) != 2:
        raise ValueError(f"image_size must be a whole number or a pair (height, width), got {show(size)}.")
    return sizes[0], sizes[1]


def _of_channels(name: str, values: Any, n_channels: int, *, positive: bool = False) -> tuple[float, ...]:
    """Return a number, or one for each channel, as a tuple."""
    listed = np.asarray(values).reshape(-1).tolist() if np.ndim(values) <= 1 else [None]
    for value in listed:
        check_real(name, value, also="a list with one for each channel")
    if len(listed) not in (1, n_channels):
        raise ValueError(f"{name} must hold a number for each of {n_channels} channels, got {show(values)}.")
    if positive and min(listed) <= 0:
        raise ValueError(f"{name} must be above 0, got {show(values)}.")
    return tuple(map(float, listed))


def _divisor(X: np.ndarray) -> float:
    """Return what brings the values to [0, 1]: 255 for bytes, 1 for what lies there."""
    if X.dtype == np.uint8:
        return 255.0
    low, high = (_over_chunks(X, extreme) for extreme in (np.min, np.max))
    if low < 0 or high > 1:
        raise ValueError(
            f"mean and std are those of images in [0, 1] or of bytes, and X has values from {low:g} to "
            f"{high:g} of dtype {X.dtype}. Pass X.astype(np.uint8) if these are bytes, or bring them to "
            "[0, 1]."
        )
    return 1.0


def _over_chunks(X: np.ndarray, extreme: Callable[..., Any]) -> float:
    return float(extreme([extreme(X[piece]) for piece in chunks(len(X), chunk_rows(X.shape[1:]))]))
