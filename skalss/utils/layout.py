"""What the shape of rows tells of a mistake."""

from __future__ import annotations

import warnings

import numpy as np

_CHANNELS = (1, 3, 4)  # grey, RGB, with opacity


def warn_of_channels_last(X: object, stacklevel: int = 3) -> None:
    """Warn of images that look like (n_samples, height, width, n_channels).

    A network would take each line of pixels for a channel, and train.

    Parameters
    ----------
    X : array-like
        Anything without a shape is passed over.
    stacklevel : int, default=3
        Of the warning: that of the caller's caller.
    """
    shape: tuple[int, ...] = () if isinstance(X, type) else tuple(getattr(X, "shape", ()))
    if len(shape) != 4 or shape[3] not in _CHANNELS or min(shape[1:3]) <= max(_CHANNELS):
        return
    if shape[1] == shape[2] or getattr(X, "dtype", None) == np.uint8:
        warnings.warn(
            f"X has the shape {tuple(shape)}, which looks like images with their channels last; rows are "
            "taken as (n_channels, height, width). If they are, pass np.moveaxis(X, -1, 1).",
            UserWarning,
            stacklevel=stacklevel,
        )
