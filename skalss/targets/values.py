"""One number for each row, or several."""

from __future__ import annotations

import json
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from torch import Tensor

from ..utils.checks import LARGEST_VALUE, check_between, check_positive_int, check_range, reading, show
from ..utils.columns import to_column
from ..utils.tensors import to_host
from .base import BaseTarget, as_weights


class Values(BaseTarget):
    """One number for each row, or several. A network is trained on standardised ones, each by its own spread.

    Parameters
    ----------
    n_values : int, default=None
        Numbers for each row. None: as many as `y` has, or as the network puts out; otherwise one.

    Examples
    --------
    >>> import numpy as np
    >>> target = Values().fitted(np.array([10.0, 30.0]))
    >>> target.encode(np.array([30.0])).tolist()
    [1.0]
    >>> target.decode(np.array([[-1.0]], dtype=np.float32)).tolist()
    [10.0]
    >>> Values(2).check([1, 2.5])
    (1.0, 2.5)
    """

    estimator_type = "regressor"
    task = "regression"
    metric, metric_title = "r2", "R²"
    numeric = True
    has_probabilities = False
    auto_strategy, auto_initial = "lcmd", "random"
    can_spread = False

    _mean: Any  # a float, or an array of shape (n_values,)
    _scale: Any

    def __init__(self, n_values: int | None = None):
        if n_values is not None:
            check_positive_int("n_values", n_values, also="None")
        self.n_values = n_values

    def __repr__(self) -> str:
        return f"Values({self.n_values if (self.n_values or 1) > 1 else ''})"

    @property
    def _several(self) -> bool:
        return self.n_values is not None and self.n_values > 1

    @property
    def written_as(self) -> str:  # type: ignore[override]
        """A list, where there are several values."""
        return "list" if self._several else ""

    def column(self, y: ArrayLike, name: str = "y") -> np.ndarray:
        """Return y as an array of shape (n_samples,), or of shape (n_samples, n_values)."""
        found = to_column(y)
        if found.dtype == object and found.ndim == 2 and not pd.isna(found).any():
            found = _checked(name, found)
        if found.ndim == 2 and found.shape[1] > 1:
            return found
        if found.ndim == 1 and found.dtype == object and any(np.ndim(row) == 1 for row in found):
            return found  # rows of several values, some of them missing
        return super().column(y, name)

    def checked_column(self, y: ArrayLike) -> np.ndarray:
        """Return the values of training rows as an array, or refuse them."""
        found = self.column(y)
        if found.ndim == 1 and not any(np.ndim(row) == 1 for row in found):
            return super().checked_column(y)
        if self.missing(found).any():
            raise ValueError("y has missing labels. Leave out the rows that have none, of X, too.")
        found = _stacked(found)
        self.check_column(found)
        return found

    def missing(self, y: np.ndarray) -> np.ndarray:
        """Tell which rows have no value at all: bool array of shape (n_samples,)."""
        if y.ndim == 2:
            return np.array([bool(np.all(pd.isna(row))) for row in y], dtype=bool)
        return np.array([np.ndim(row) == 0 and bool(pd.isna(row)) for row in y], dtype=bool)

    def learn(self, y: np.ndarray) -> None:
        """Take a column without missing values as an example of what may come."""
        self.check_column(y)
        self.n_values = 1 if y.ndim == 1 else y.shape[1]

    def take_examples(self, y: np.ndarray) -> None:
        """Take the number of values, where it is not known."""
        if self.n_values is None:
            rows = _stacked(y)
            self.n_values = 1 if rows.ndim == 1 else rows.shape[1]

    def check(self, answer: object) -> Any:
        """Return a number as a float; several ones as a tuple of floats."""
        if self._several:
            return self._checked_several(answer)
        if not isinstance(answer, numbers.Real) or isinstance(answer, bool):
            raise ValueError(
                f"A regression label must be a number, got {show(answer)} of type {type(answer).__name__}. "
                "For classes, pass a classifier as estimator; for several values a row, say how many: "
                "TaskNet(net, target=skalss.targets.Values(2))."
            )
        check_between("A regression label", answer, -LARGEST_VALUE, LARGEST_VALUE)
        return float(answer)

    def _checked_several(self, answer: object) -> tuple[float, ...]:
        got = to_host(answer)
        row = (
            None if isinstance(got, str | bytes | Mapping | set) or not np.iterable(got) else np.array([*got])
        )
        if row is None or row.shape != (self.n_values,) or row.dtype.kind not in "iuf":
            kind = type(answer).__name__ if row is None else f"{type(answer).__name__} of shape {row.shape}"
            raise ValueError(
                f"A regression label must be {self.n_values} numbers here, got {show(answer)} of type {kind}"
                ". Answer a list of them, in the order of the columns of y."
            )
        for value in row.tolist():
            check_between("Each number of a regression label", value, -LARGEST_VALUE, LARGEST_VALUE)
        return tuple(float(value) for value in row)

    def check_column(self, y: np.ndarray) -> None:
        """Refuse numbers that float32 cannot square, and another number of them than was said."""
        found = _checked("y", _stacked(y))
        if self.n_values is not None and found.ndim + self.n_values > 2 and found.shape[1:] != self._row:
            raise ValueError(
                f"y has shape {found.shape}, but there are to be {self.n_values} values for each row. Give "
                f"y that shape, (n_samples, {self.n_values}), or leave the number out."
            )

    @property
    def _row(self) -> tuple[int, ...]:
        return (self.n_values,) if self._several and self.n_values is not None else ()

    def as_array(self, labels: Sequence[Any]) -> np.ndarray:
        """Return labels as float64, of shape (n_labels,) or (n_labels, n_values)."""
        return np.array([*labels], dtype=np.float64).reshape(len(labels), *self._row)

    def to_text(self, label: Any) -> str | bytes:
        """Write a number, or a list of numbers, as JSON."""
        return json.dumps(list(label)) if self._several else super().to_text(label)

    def from_text(self, text: str | bytes) -> Any:
        """Read what `to_text` wrote."""
        found = json.loads(text)
        return tuple(found) if isinstance(found, list) else found

    @property
    def spec(self) -> dict[str, Any]:
        """The number of values, where there are several."""
        return {"n_values": self.n_values} if self._several else {}

    def take_spec(self, spec: Mapping[str, Any]) -> Self:
        """Return itself, with the number of values of another target."""
        if spec:
            self.n_values = int(spec["n_values"])
        return self

    def fitted(self, y: np.ndarray) -> Self:
        """Return a target that standardises by the mean and the standard deviation of each column of `y`."""
        y = _checked("y", _stacked(y))
        made = self.copy()
        made.n_values = 1 if y.ndim == 1 else y.shape[1]
        mean, scale = np.mean(y, axis=0, dtype=np.float64), np.std(y, axis=0, dtype=np.float64)
        if made._several:
            made._mean, made._scale = mean, np.where(scale > 0, scale, 1.0)
        else:
            made._mean, made._scale = float(mean.item()), float(scale.item()) or 1.0
        return made

    @property
    def n_outputs(self) -> int:
        """One, or the number of values."""
        return self.n_values or 1

    def width_fault(self, width: int) -> str | None:
        """Say that there must be one output for each value."""
        return None if width == self.n_outputs else f"a regressor needs width {self.n_outputs}"

    def examples(self) -> np.ndarray:
        """Return two values, or two rows of them."""
        return np.stack([np.zeros(self._row), np.ones(self._row)])

    def made_up(self, n: int, known: Sequence[Any] = ()) -> np.ndarray:
        """Return values like those that are known, or 0 and 1."""
        if not self._several:
            return super().made_up(n, known)
        examples = self.as_array(known) if len(known) else self.examples()
        return examples[np.arange(n) % len(examples)]

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return standardised values in float32."""
        return ((np.asarray(_stacked(y), dtype=np.float64) - self._mean) / self._scale).astype(np.float32)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return values in the units of y, of shape (n_samples,) or (n_samples, n_values)."""
        if self._several:
            return self._mean + self._scale * output.reshape(len(output), *self._row).astype(np.float64)
        # An offset far larger than the spread, as of Unix times, would eat the digits of float32.
        dtype = np.float64 if abs(self._mean) > 1e3 * self._scale else np.float32
        mean, scale = np.array([self._mean, self._scale], dtype=dtype)
        return mean + scale * output.reshape(len(output)).astype(dtype)

    def get_state(self) -> dict[str, Any]:
        """Return means and standard deviations."""
        return {"y_mean": self._mean, "y_scale": self._scale}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Return a target with these means and standard deviations."""
        mean, scale = state["y_mean"], state["y_scale"]
        made = self.copy()
        made.n_values = len(mean) if np.ndim(mean) else 1
        made._mean, made._scale = mean, scale
        return made

    def beliefs(self, output: Tensor) -> Tensor:
        """Return values in the units of y, of shape (n_samples,) or (n_samples, n_values)."""
        if not self._several:
            return self._mean + self._scale * output.reshape(-1)
        mean, scale = (
            torch.as_tensor(part, dtype=output.dtype, device=output.device)
            for part in (self._mean, self._scale)
        )
        return mean + scale * output.reshape(-1, *self._row)

    def believed_by(self, model: BaseEstimator, X: ArrayLike) -> np.ndarray:
        """Return predicted values."""
        return model.predict(X)

    def doubt(self, beliefs: Tensor) -> Tensor:
        """Refuse: one value says nothing of how sure it is."""
        raise ValueError(
            "One predicted value says nothing of how sure it is. Ask a committee: strategy='committee'."
        )

    def disagreement(self, beliefs: Tensor) -> Tensor:
        """Return the variance over the members.

        It is in squared units of y. Of several values it is the mean of the variances, each over that of the
        labels: they may have different units.
        """
        apart = beliefs.var(dim=0, correction=0)
        if not self._several:
            return apart
        scale = torch.as_tensor(self._scale, dtype=apart.dtype, device=apart.device)
        return (apart / scale.square()).mean(dim=-1)

    def score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None = None) -> float:
        """Return R²; of several values, the mean."""
        y, predicted = _checked("y", to_column(y)), _checked("predicted", predicted)
        return float(r2_score(y, predicted, sample_weight=as_weights(sample_weight)))

    def errors(self, y: np.ndarray, predicted: np.ndarray) -> np.ndarray | None:
        """Return the errors, each value's over its own spread where there are several."""
        errors = np.asarray(predicted, dtype=np.float64) - np.asarray(y, dtype=np.float64)
        return (errors / self._scale).ravel() if self._several else errors

    def shades(self, labels: Sequence[Any]) -> np.ndarray:
        """Return the values; of several, their mean in units of their spread."""
        found = self.as_array(labels)
        if found.ndim == 1 or not len(found):
            return found
        scale = found.std(axis=0)
        return ((found - found.mean(axis=0)) / np.where(scale > 0, scale, 1.0)).mean(axis=1)

    def agreement(self, old: np.ndarray, new: np.ndarray) -> float:
        """Return R² of the new values on the old ones, clipped to [0, 1]."""
        return 1.0 if np.array_equal(old, new) else float(np.clip(r2_score(old, new), 0.0, 1.0))


def _stacked(y: np.ndarray) -> np.ndarray:
    """Return a column of rows of several values as an array."""
    rows = y.dtype == object and y.ndim == 1 and len(y) > 0 and all(np.ndim(row) == 1 for row in y)
    return np.array([*y], dtype=np.float64) if rows else y


def _checked(name: str, values: ArrayLike) -> np.ndarray:
    """Return values as float64; refuse what are none, or too large to be squared."""
    with reading(name):
        found: Any = check_array(to_host(values), dtype=np.float64, ensure_2d=False, input_name=name)
    check_range(name, found)
    return found
