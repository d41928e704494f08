"""Input scaling inside the networks, differentiable, fitted in chunks.

Scaling belongs inside: a scaler ahead of the sampler in a pipeline would show the oracle scaled rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from .sparse_rows import SparseRows
from .surroundings import usual_numerics, usual_sklearn
from .tensors import as_tensor, chunk_rows, chunks


@dataclass(frozen=True)
class Scaling:
    """Affine map from the user's units to the network's: ``(x - shift) / scale``.

    Attributes
    ----------
    shift, scale : tensor
        Broadcast against one row: a scalar, (n_features,) or (n_channels, 1, 1). Kept in float64, so
        that large offsets are taken off before the row is cut to float32.
    unit_range : bool
        Whether the scaled rows lie in [0, 1].
    """

    shift: Tensor
    scale: Tensor
    unit_range: bool

    def __call__(self, x: Tensor) -> Tensor:
        """Scale rows given as a tensor of any dtype; float32 out, on the device of `x`."""
        if not x.is_floating_point():
            # Wide integers keep their digits until the shift is off; not every device has float64.
            wide = x.dtype in (torch.int32, torch.int64) and x.device.type == "cpu"
            x = x.double() if wide else x.float()
        elif x.dtype not in (torch.float32, torch.float64):
            x = x.float()
        shift, scale = (t.to(x.device, x.dtype) for t in (self.shift, self.scale))
        return ((x - shift) / scale).float()

    def inverse(self, x: Tensor) -> Tensor:
        """Take scaled rows back to the user's units."""
        return x * self.scale.to(x.device, x.dtype) + self.shift.to(x.device, x.dtype)


@usual_numerics()
def fit_scaling(X: np.ndarray) -> Scaling:
    """Choose a scaling for `X`, read in chunks so that it may be larger than memory.

    Sparse rows that leave [0, 1] are divided by one number, so that their root mean square is 1 where they
    are not 0: what is 0 stays 0, and features that are rarely set are not blown up. Rows that lie in [0, 1]
    stay as they are; uint8 images, and flat uint8 rows that reach beyond 127, are divided by 255; all
    others are standardised, per feature for (n, d), per channel for (n, c, ...).

    Parameters
    ----------
    X : array of shape (n_samples, n_features) or (n_samples, n_channels, ...)

    Returns
    -------
    scaling : Scaling
    """
    pieces = list(chunks(len(X), chunk_rows(X.shape[1:])))
    low = min(float(X[piece].min()) for piece in pieces)
    high = max(float(X[piece].max()) for piece in pieces)
    if low >= 0 and high <= 1:
        return _scalar_scaling(1.0)
    if isinstance(X, SparseRows):
        return _of_one_size(X)
    if X.dtype == np.uint8 and (X.ndim > 2 or high > 127):  # bytes of an image, and not small counts
        return _scalar_scaling(255.0)
    return _standardizing(X, pieces, X.shape[1])


@usual_numerics()
def centred(X: np.ndarray) -> Scaling:
    """Shift and scale all features alike, so that the values of `X` have mean 0 and variance 1.

    For rows in a common range, such as grey levels: unlike a scale for each feature, it does not blow up
    the features that hardly vary.

    Parameters
    ----------
    X : array of shape (n_samples, ...)

    Returns
    -------
    scaling : Scaling
    """
    return _standardizing(X, list(chunks(len(X), chunk_rows(X.shape[1:]))), 1)


def _of_one_size(X: SparseRows) -> Scaling:
    values = X.matrix.data.astype(np.float64)
    return replace(_scalar_scaling(float(np.sqrt(np.square(values).mean())) or 1.0), unit_range=False)


@usual_sklearn()
def _standardizing(X: np.ndarray, pieces: list[slice], n_scales: int) -> Scaling:
    """One mean and variance for each of `n_scales` features or channels, or one for all values."""
    scaler = StandardScaler()
    for piece in pieces:
        scaler.partial_fit(np.moveaxis(X[piece], 1, -1).reshape(-1, n_scales))
    shape = (n_scales,) + (1,) * (X.ndim - 2) if n_scales > 1 else ()
    shift, scale = (as_tensor(a).double().reshape(shape) for a in (scaler.mean_, scaler.scale_))
    return Scaling(shift, scale, unit_range=False)


def _scalar_scaling(scale: float) -> Scaling:
    zero, scale_ = (torch.tensor(value, dtype=torch.float64, device="cpu") for value in (0.0, scale))
    return Scaling(zero, scale_, unit_range=True)
