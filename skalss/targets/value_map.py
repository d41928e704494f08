"""A value for each pixel or voxel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from torch import Tensor

from ..utils.checks import LARGEST_VALUE, show
from .maps import BaseMap


class ValueMap(BaseMap):
    """A value for each pixel or voxel of a row, or several: a field. NaN where there is none.

    Parameters
    ----------
    shape : tuple of int, default=None
        Of a label: (height, width), or (n_values, height, width); volumes have a number more. None: that of a
        row without its channels, with or without an axis of values before; for flat rows, that of the first.

    Examples
    --------
    >>> import numpy as np
    >>> from skalss.targets import ValueMap
    >>> target = ValueMap().fitted(np.array([[[1.0, np.nan], [3.0, 3.0]]]))
    >>> target.score(np.array([[[1.0, np.nan], [3.0, 3.0]]]), np.array([[[1.0, 9.0], [3.0, 3.0]]]))
    1.0
    """

    estimator_type = "regressor"
    task = "field regression"
    metric, metric_title = "r2", "R²"
    numeric = True
    has_probabilities = False
    auto_strategy, auto_initial = "lcmd", "random"

    _mean: Any
    _scale: Any

    def __repr__(self) -> str:
        return "ValueMap()" if self.shape is None or self._from_rows else f"ValueMap({self.shape})"

    def check(self, answer: object) -> np.ndarray:
        """Return a field as it is kept: floats, NaN where there is no value; read-only."""
        got = self._read(answer) if answer is not None else np.array(None)
        if got.dtype.kind not in "iuf" or got.ndim < 1:
            what = f"an array of dtype {got.dtype}" if got.ndim else show(answer)
            raise ValueError(
                f"The label of a row must be an array of numbers, one for each pixel, got {what}. For "
                "classes, "
                "pass a classifier as estimator."
            )
        kept = np.array(got, dtype=got.dtype if got.dtype.kind == "f" else np.float64)
        if self.shape is None:
            allowed: list[tuple[int, ...]] = []
        elif self._from_rows and got.ndim == len(self.shape) + 1:
            allowed = [(got.shape[0], *self.shape), self.shape]
        else:
            allowed = [self.shape]
        self._check_shape(got, allowed)
        known = ~np.isnan(kept)
        if not known.any():
            raise ValueError(
                "The field has no value: every pixel is NaN. Answer None where there is no label."
            )
        if not (np.abs(kept[known]) <= LARGEST_VALUE).all():
            raise ValueError(
                f"The label holds {kept[known][np.abs(kept[known]).argmax()]:g}; values must lie within "
                f"{LARGEST_VALUE:g} of 0. Answer NaN for pixels without a value."
            )
        self.shape, self._from_rows = got.shape, self._from_rows and got.shape == self.shape
        kept.setflags(write=False)
        return kept

    @property
    def _has_channels(self) -> bool:
        """Whether a label has an axis of values before its pixels."""
        return self.shape is not None and self._n_axes is not None and len(self.shape) == self._n_axes + 1

    _n_axes: int | None = None  # of pixels

    def know_rows(self, row_shape: tuple[int, ...]) -> None:
        """Take the shape of a label from that of a row."""
        if len(row_shape) >= 3:
            self._n_axes = len(row_shape) - 1
        super().know_rows(row_shape)

    @property
    def positions(self) -> tuple[int, ...] | None:
        """Height and width, or depth, too."""
        return self.shape if self.shape is None or not self._has_channels else self.shape[1:]

    def readable(self, row: np.ndarray) -> np.ndarray:
        """Return the values of pixels that have one, flat."""
        return row[~np.isnan(row)]

    # -- what a network is trained on -------------------------------------------------------------

    def fitted(self, y: np.ndarray) -> Self:
        """Return a target that standardises by mean and standard deviation of the pixels, for each value."""
        made = self.copy()
        y = np.asarray(made.column(y), dtype=np.float64)
        made.shape = y.shape[1:]
        if made._has_channels:
            axes = (0, *range(2, y.ndim))
            mean, scale = np.nanmean(y, axis=axes), np.nanstd(y, axis=axes)
            made._mean, made._scale = mean, np.where(scale > 0, scale, 1.0)
        else:
            made._mean, made._scale = float(np.nanmean(y)), float(np.nanstd(y)) or 1.0
        return made

    def _spread(self) -> tuple[Any, Any]:
        """Return mean and standard deviation, in the shape of a label."""
        if not self._has_channels:
            return self._mean, self._scale
        ones = [1] * (self._n_axes or 0)
        return self._mean.reshape(-1, *ones), self._scale.reshape(-1, *ones)

    @property
    def n_outputs(self) -> int:
        """Number of values in a pixel."""
        return self.shape[0] if self.shape is not None and self._has_channels else 1

    def width_fault(self, width: int) -> str | None:
        """Say that there must be a channel for each value."""
        return None if width == self.n_outputs else f"there is {self.n_outputs} value in each pixel"

    def examples(self) -> np.ndarray:
        """Return two fields."""
        return np.stack([np.zeros(self.shape or (1, 1)), np.ones(self.shape or (1, 1))])

    def made_up(self, n: int, known: Sequence[Any] = ()) -> np.ndarray:
        """Return fields of 0 and 1, one pixel other than the next."""
        size = (n, *(self.shape or (1, 1)))
        return (np.arange(np.prod(size)).reshape(size) % 2).astype(np.float64)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return standardised values in float32; NaN where there is none."""
        mean, scale = self._spread()
        return ((np.asarray(self.column(y), dtype=np.float64) - mean) / scale).astype(np.float32)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return fields in the units of y and in its shape."""
        mean, scale = self._spread()
        return (mean + scale * output.reshape(len(output), *(self.shape or ()))).astype(np.float32)

    def get_state(self) -> dict[str, Any]:
        """Return mean, standard deviation and shape."""
        return {
            "y_mean": self._mean,
            "y_scale": self._scale,
            "shape": list(self.shape or ()),
            "n_axes": self._n_axes,
        }

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Return a target with this state."""
        made = type(self)(tuple(state["shape"]) or None)
        made._mean, made._scale, made._n_axes = state["y_mean"], state["y_scale"], state["n_axes"]
        return made

    # -- what comes of it -------------------------------------------------------------------------

    def beliefs(self, output: Tensor) -> Tensor:
        """Return fields in the units of y and in its shape."""
        mean, scale = (
            torch.as_tensor(part, dtype=output.dtype, device=output.device) for part in self._spread()
        )
        return mean + scale * output.reshape(len(output), *(self.shape or ()))

    def believed_by(self, model: BaseEstimator, X: ArrayLike) -> np.ndarray:
        """Return predicted fields."""
        return model.predict(X)

    def doubt(self, beliefs: Tensor) -> Tensor:
        """Refuse: one field says nothing of how sure it is."""
        raise ValueError(
            "One predicted field says nothing of how sure it is. Ask a committee: strategy='committee'."
        )

    def disagreement(self, beliefs: Tensor) -> Tensor:
        """Return the mean over pixels of the variance over the members, each value's over its own spread."""
        scale = torch.as_tensor(self._spread()[1], dtype=beliefs.dtype, device=beliefs.device)
        return (beliefs / scale).var(dim=0, correction=0).flatten(1).mean(dim=1)

    def score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None = None) -> float:
        """Return R² over all pixels that have a value."""
        y = np.asarray(self.column(y), dtype=np.float64)
        known = ~np.isnan(y)
        weights = self.weights_of(y, sample_weight, known)
        return float(r2_score(y[known], np.asarray(predicted)[known], sample_weight=weights))

    def scorer(self, name: str) -> Callable[..., float] | None:
        """Return R² by its name."""
        return self.score if name == self.metric else None

    def errors(self, y: np.ndarray, predicted: np.ndarray) -> np.ndarray | None:
        """Return the errors of all pixels that have a value."""
        y = np.asarray(y, dtype=np.float64)
        return ((np.asarray(predicted) - y) / self._spread()[1])[~np.isnan(y)]

    def agreement(self, old: np.ndarray, new: np.ndarray) -> float:
        """Return R² of the new fields on the old ones, clipped to [0, 1]."""
        if np.array_equal(old, new):
            return 1.0
        return float(np.clip(r2_score(np.ravel(old), np.ravel(new)), 0.0, 1.0))

    def shades(self, labels: Sequence[Any]) -> np.ndarray:
        """Return the mean value of each field."""
        return np.array([float(self.readable(np.asarray(label)).mean()) for label in labels])
