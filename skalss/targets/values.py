"""One number for each row."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from torch import Tensor

from ..utils.checks import LARGEST_VALUE, check_between, check_range, reading, show
from ..utils.tensors import to_host
from .base import BaseTarget, as_weights


class Values(BaseTarget):
    """One number for each row. A network is trained on standardised ones.

    Examples
    --------
    >>> import numpy as np
    >>> target = Values().fitted(np.array([10.0, 30.0]))
    >>> target.encode(np.array([30.0])).tolist()
    [1.0]
    >>> target.decode(np.array([[-1.0]], dtype=np.float32)).tolist()
    [10.0]
    """

    estimator_type = "regressor"
    task = "regression"
    metric, metric_title = "r2", "R²"
    numeric = True
    has_probabilities = False
    auto_strategy, auto_initial = "lcmd", "random"
    can_spread = False

    _mean: float
    _scale: float

    def check(self, answer: object) -> float:
        """Return a number as a float."""
        if not isinstance(answer, numbers.Real) or isinstance(answer, bool):
            raise ValueError(
                f"A regression label must be a number, got {show(answer)} of type {type(answer).__name__}. "
                "For classes, pass a classifier as estimator."
            )
        check_between("A regression label", answer, -LARGEST_VALUE, LARGEST_VALUE)
        return float(answer)

    def check_column(self, y: np.ndarray) -> None:
        """Refuse numbers that float32 cannot square."""
        _checked("y", y)

    def as_array(self, labels: Sequence[Any]) -> np.ndarray:
        """Return labels as float64."""
        return np.array(labels, dtype=np.float64)

    def fitted(self, y: np.ndarray) -> Self:
        """Return a target that standardises by the mean and the standard deviation of `y`."""
        made = type(self)()
        y = _checked("y", y)
        made._mean = float(np.mean(y, dtype=np.float64))
        made._scale = float(np.std(y, dtype=np.float64)) or 1.0
        return made

    @property
    def n_outputs(self) -> int:
        """One."""
        return 1

    def width_fault(self, width: int) -> str | None:
        """Say that there must be one output."""
        return None if width == 1 else "a regressor needs width 1"

    def examples(self) -> np.ndarray:
        """Return two values."""
        return np.array([0.0, 1.0])

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return standardised values in float32."""
        return ((np.asarray(y, dtype=np.float64) - self._mean) / self._scale).astype(np.float32)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return values in the units of y, of shape (n_samples,)."""
        # An offset far larger than the spread, as of Unix times, would eat the digits of float32.
        dtype = np.float64 if abs(self._mean) > 1e3 * self._scale else np.float32
        mean, scale = np.array([self._mean, self._scale], dtype=dtype)
        return mean + scale * output.reshape(len(output)).astype(dtype)

    def get_state(self) -> dict[str, Any]:
        """Return the mean and the standard deviation."""
        return {"y_mean": self._mean, "y_scale": self._scale}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Return a target with this mean and standard deviation."""
        made = type(self)()
        made._mean, made._scale = state["y_mean"], state["y_scale"]
        return made

    def beliefs(self, output: Tensor) -> Tensor:
        """Return values in the units of y, of shape (n_samples,)."""
        return self._mean + self._scale * output.reshape(-1)

    def believed_by(self, model: BaseEstimator, X: ArrayLike) -> np.ndarray:
        """Return predicted values."""
        return model.predict(X)

    def doubt(self, beliefs: Tensor) -> Tensor:
        """Refuse: one value says nothing of how sure it is."""
        raise ValueError(
            "One predicted value says nothing of how sure it is. Ask a committee: strategy='committee'."
        )

    def disagreement(self, beliefs: Tensor) -> Tensor:
        """Return the variance over the members, in squared units of y."""
        return beliefs.var(dim=0, correction=0)

    def score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None = None) -> float:
        """Return R²."""
        y, predicted = _checked("y", y), _checked("predicted", predicted)
        return float(r2_score(y, predicted, sample_weight=as_weights(sample_weight)))

    def agreement(self, old: np.ndarray, new: np.ndarray) -> float:
        """Return R² of the new values on the old ones, clipped to [0, 1]."""
        return 1.0 if np.array_equal(old, new) else float(np.clip(r2_score(old, new), 0.0, 1.0))


def _checked(name: str, values: ArrayLike) -> np.ndarray:
    """Return values as float64; refuse what are none, or too large to be squared."""
    with reading(name):
        found: Any = check_array(to_host(values), dtype=np.float64, ensure_2d=False, input_name=name)
    check_range(name, found)
    return found
