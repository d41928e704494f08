"""Principal components of signed distances: a latent model of shapes, whose decoded edges stay sharp."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ..utils.checks import check_number, check_sizes
from ..utils.progress import track_chunks
from ..utils.tensors import as_numpy, as_tensor
from .base import BaseLatentModel
from .linear import LinearLatent

_SOFT = 0.02  # a pixel this far from 0 and 1 holds an edge, and its value says where


class LevelSetLatent(BaseLatentModel):
    """Principal component analysis of signed distances to the edge of each shape.

    For images of shapes: each channel tells which pixels lie inside of one, such as a tissue or a material,
    with values in between where a pixel holds an edge. Every pixel is given its distance in pixels to the
    edge, negative inside. From one image to another these move the edge, where pixels would fade: what is
    decoded stays sharp. Distances are cut, so that what is far from an edge does not count.

    Parameters
    ----------
    n_components : int, default=32
        Width of the codes, clipped to min(n_samples, n_pixels).
    cut : float, default=2.0
        Largest distance in pixels, above 0.5.
    image_shape : tuple of int, default=None
        Channels, height and width of flat rows; None: a flat row is one line of pixels.
    device : str or torch.device, default="auto"
        Where distances are encoded and decoded; "auto" is the accelerator if there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the randomised solver PCA takes for many rows.

    Attributes
    ----------
    linear_ : LinearLatent
        The components of the distances.
    range_ : tuple of float
        Smallest and largest value of X in fit: outside and inside of a shape.
    reconstruction_error_ : float
        Mean squared error per pixel, in squared units of X.
    n_features_in_ : int
        Size of the second axis of X.

    Notes
    -----
    The distances of all rows are held in memory when it is fitted, as float32. Gradients flow through
    pixels that hold an edge.

    References
    ----------
    - M. Leventon, W. Grimson, O. Faugeras, "Statistical shape influence in geodesic active contours", CVPR
      2000.
    - A. Tsai et al., "A shape-based approach to the segmentation of medical imagery using level sets", IEEE
      Transactions on Medical Imaging 22, 2003: several shapes at once.

    Examples
    --------
    >>> from skalss.datasets import make_vessels
    >>> from skalss.latent import LevelSetLatent
    >>> X = make_vessels(40, random_state=0).X
    >>> LevelSetLatent(8).fit_transform(X).shape
    (40, 8)
    """

    def __init__(
        self,
        n_components: int = 32,
        *,
        cut: float = 2.0,
        image_shape: tuple[int, ...] | None = None,
        device: torch.device | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.cut = cut
        self.image_shape = image_shape
        self.device = device
        self.random_state = random_state

    def edit(self, X: Tensor, Z_from: Tensor, Z_to: Tensor) -> Tensor:
        """Move the edges in rows as they move between two codes, differentiably with respect to `Z_to`.

        Parameters
        ----------
        X : tensor of shape (n_samples, ...)
            In the units of the X fitted.
        Z_from, Z_to : tensors of shape (n_samples, n_codes)
            `Z_from` are the codes of `X`.

        Returns
        -------
        edited : tensor of shape (n_samples, ...), float32
            On the model's device.
        """
        moved = self.linear_.decode(Z_to) - self.linear_.decode(Z_from)
        return self._values(self._distances(X).to(moved.device) + moved)

    def _fit(self, X: np.ndarray) -> None:
        check_number("cut", self.cut)
        if self.cut <= 0.5:
            raise ValueError(f"cut must be above 0.5, half a pixel, got {self.cut!r}. Pass 2.0 or more.")
        shape = None if self.image_shape is None else check_sizes("image_shape", self.image_shape)
        if shape is not None and math.prod(shape) != math.prod(X.shape[1:]):
            raise ValueError(
                f"image_shape must hold as many values as a row of X, {math.prod(X.shape[1:])}, got "
                f"{self.image_shape}. Pass (channels, height, width)."
            )
        self.range_ = float(X.min()), float(X.max())
        distances = np.empty((len(X), math.prod(X.shape[1:])), dtype=np.float32)
        for piece in track_chunks(len(X), self._chunk_rows(), "measure distances to edges"):
            distances[piece] = as_numpy(self._distances(as_tensor(X[piece])))
        self._fit_linear(distances)

    def _fit_linear(self, distances: np.ndarray) -> None:
        self.linear_ = self._new_linear().fit(distances)
        self._device, self._n_features_out = self.linear_._device, self.linear_._n_features_out

    def _new_linear(self) -> LinearLatent:
        return LinearLatent(self.n_components, device=self.device, random_state=self.random_state)

    def rehearse(self, X: np.ndarray) -> None:
        """Fit a few rows."""
        self.fit_rows(X)

    def _own_state(self) -> dict[str, Any]:
        return {"range": list(self.range_), "linear": self.linear_.get_state()}

    def _take_own_state(self, state: dict[str, Any]) -> None:
        low, high = state["range"]
        self.range_ = low, high
        self.linear_ = self._new_linear()
        self.linear_.set_state(state["linear"])
        self._device = self.linear_._device
        if self._n_features_out != self.linear_._n_features_out:
            raise ValueError(f"The saved codes have two widths; {self._n_features_out} is one.")

    def _encode(self, x: Tensor) -> Tensor:
        return self.linear_._encode(self._distances(x))

    def _decode(self, Z: Tensor) -> Tensor:
        return self._values(self.linear_._decode(Z))

    def _distances(self, x: Tensor) -> Tensor:
        """Return the signed distance of each pixel to the edge of its channel: flat rows, on the CPU."""
        low, high = self.range_
        values = as_numpy(x.detach()).astype(np.float32, copy=False)
        shares = np.clip((values - low) / (np.float32(high - low) or 1.0), 0, 1)
        shape = self.image_shape or self._row_shape
        channels = shares.reshape(-1, *(shape[-2:] if len(shape) > 1 else (1, *shape)))
        distances = np.stack([_signed_distance(channel, float(self.cut)) for channel in channels])
        return as_tensor(distances.reshape(len(x), -1))

    def _values(self, distances: Tensor) -> Tensor:
        low, high = self.range_
        shares = torch.clamp(0.5 - distances, 0, 1)
        return (low + (high - low) * shares).reshape(-1, *self._row_shape)


def _signed_distance(share: np.ndarray, cut: float) -> np.ndarray:
    inside = share >= 0.5
    if inside.all() or not inside.any():
        whole = np.full(share.shape, -cut if inside.all() else cut)
    else:
        # From the middle of a pixel to the middle of the nearest on the other side; the edge lies between.
        whole = np.where(inside, 0.5 - distance_transform_edt(inside), distance_transform_edt(~inside) - 0.5)
    edge = np.abs(share - 0.5) < 0.5 - _SOFT
    return np.clip(np.where(edge, 0.5 - share, whole), -cut, cut).astype(np.float32)
