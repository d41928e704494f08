"""Principal components: the latent model to beat, and the one that fits in seconds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.utils import gen_batches
from torch import Tensor

from ..utils.checks import check_positive_int, checked_random_state
from ..utils.devices import resolve_device
from ..utils.progress import track
from ..utils.sparse_rows import SparseRows
from ..utils.surroundings import usual_sklearn
from ..utils.tensors import as_tensor
from .base import BaseLatentModel
from .rows import FULL_ROWS, is_memory_mapped

# What PCA and IncrementalPCA set when they are fitted.
_PCA_LEARNED = (
    *("components_", "mean_", "explained_variance_", "explained_variance_ratio_", "singular_values_"),
    *("noise_variance_", "n_components_", "n_samples_", "n_features_in_", "_fit_svd_solver"),
    *("var_", "n_samples_seen_", "batch_size_"),
)


class LinearLatent(BaseLatentModel):
    """Principal component analysis with a differentiable linear decoder.

    Fitted by scikit-learn's `PCA`, or batch by batch with `IncrementalPCA` for a memory map, of which at
    most 100,000 rows are drawn; a sparse matrix is never made dense as a whole. Rows are centred but not
    scaled and codes are not whitened, so codes have the units of X. Images are flattened.

    Parameters
    ----------
    n_components : int, default=16
        Width of the codes, clipped to min(n_samples, n_features).
    device : str or torch.device, default="auto"
        Where rows are encoded and decoded; "auto" is the accelerator if there is one.
    random_state : int, RandomState instance or None, default=None
        Seeds the randomised solver PCA takes for large X, and which rows of a memory map are drawn.

    Attributes
    ----------
    pca_ : PCA or IncrementalPCA
        The fitted decomposition of flattened rows.
    n_components_ : int
        Width of the codes after clipping.
    reconstruction_error_ : float
        Mean squared error per feature, in squared units of X.
    n_features_in_ : int
        Size of the second axis of X.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skalss.latent import LinearLatent
    >>> LinearLatent(n_components=8).fit_transform(load_digits().data).shape
    (1797, 8)
    """

    def __init__(
        self,
        n_components: int = 16,
        *,
        device: torch.device | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.device = device
        self.random_state = random_state

    @usual_sklearn()
    def _fit(self, X: np.ndarray) -> None:
        check_positive_int("n_components", self.n_components)
        self._device = resolve_device(self.device)
        rows = X.reshape(len(X), -1)
        n_components = min(self.n_components, *rows.shape)
        if is_memory_mapped(X):
            self.pca_ = IncrementalPCA(n_components)
            ids = self._fitted_rows(len(rows))
            size = self._batch_rows(rows.shape[1])
            pieces = list(gen_batches(len(ids), size, min_batch_size=n_components))
            for piece in track(pieces, "fit principal components", unit="batch"):
                self.pca_.partial_fit(rows[ids[piece]])
        else:
            if isinstance(
                X, SparseRows
            ):  # PCA centres a sparse matrix without making it dense, save all of it
                rows = X.matrix if n_components < min(X.shape) else np.asarray(X)
            seed = checked_random_state(self.random_state).randint(2**31 - 1)
            with np.errstate(invalid="ignore"):  # constant rows explain no variance
                self.pca_ = PCA(n_components, random_state=seed).fit(rows)
        self.n_components_ = self._n_features_out = n_components
        self._take_components()

    def _fitted_rows(self, n_rows: int) -> np.ndarray:
        """Return the rows of a memory map that are read: all, or as many as say the same."""
        if n_rows <= FULL_ROWS:
            return np.arange(n_rows)
        rng = checked_random_state(self.random_state)
        return np.sort(rng.choice(n_rows, FULL_ROWS, replace=False))

    def _take_components(self) -> None:
        self._mean = as_tensor(self.pca_.mean_).double()
        # In one layout, whatever PCA or a file left: another one sums in another order.
        self._components = as_tensor(self.pca_.components_).float().contiguous().to(self._device)

    def rehearse(self, X: np.ndarray) -> None:
        """Fit a few rows."""
        self.fit_rows(X)

    def _own_state(self) -> dict[str, Any]:
        known = vars(self.pca_)
        learned = {name: known[name] for name in _PCA_LEARNED if name in known}
        params = {name: known[name] for name in ("n_components", "random_state") if name in known}
        return {"batches": isinstance(self.pca_, IncrementalPCA), "params": params, "learned": learned}

    def _take_own_state(self, state: dict[str, Any]) -> None:
        self._device = resolve_device(self.device)
        self.pca_ = (IncrementalPCA if state["batches"] else PCA)(**state["params"])
        vars(self.pca_).update(
            {name: state["learned"][name] for name in _PCA_LEARNED if name in state["learned"]}
        )
        self.n_components_ = self._n_features_out
        shape = np.shape(self.pca_.components_)
        if shape != (self._n_features_out, math.prod(self._row_shape)) or len(self.pca_.mean_) != shape[1]:
            raise ValueError(f"The saved components of shape {shape} do not fit rows of {self._row_shape}.")
        self._take_components()

    def _batch_rows(self, n_features: int) -> int:
        """Return scikit-learn's five rows a feature, but never more than 128 MiB as float64."""
        return max(self.n_components, min(5 * n_features, 2**24 // n_features))

    def _encode(self, x: Tensor) -> Tensor:
        # Centred in float64: a large offset would eat the digits of float32.
        centred = x.cpu().reshape(len(x), math.prod(self._row_shape)).double() - self._mean
        return centred.float().to(self._device) @ self._components.T

    def _decode(self, Z: Tensor) -> Tensor:
        rows = Z @ self._components + self._mean.to(self._device, torch.float32)
        return rows.reshape(-1, *self._row_shape)
