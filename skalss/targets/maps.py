"""What labels with a number for each pixel or voxel have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ..utils.arrays import pack, unpack
from ..utils.checks import checked_shape, show
from ..utils.tensors import to_host
from .base import BaseTarget, as_weights


class BaseMap(BaseTarget):
    """Base of the kinds of y with a number for each pixel or voxel.

    Parameters
    ----------
    shape : tuple of int, default=None
        Of a label. None: that of a row without its channels; for flat rows, that of the first label.
    """

    is_map = True
    written_as = "array"
    accuracy_of_rows = False
    can_spread = False

    def __init__(self, shape: Sequence[int] | None = None):
        self.shape = None if shape is None else checked_shape("shape", shape)
        self._from_rows = False
        self._said = self.shape  # by whoever made it, where rows have another one

    def know_rows(self, row_shape: tuple[int, ...]) -> None:
        """Take the shape of a label from that of a row (n_channels, height, width) or deeper."""
        if len(row_shape) >= 3 and self._said == tuple(row_shape[1:]):
            self._said = None
        if self.shape is None and len(row_shape) >= 3:
            self.shape, self._from_rows = tuple(row_shape[1:]), True

    def remember(self, labels: Sequence[Any]) -> None:
        """Take the shape of maps that came before, where it is not known."""
        for label in labels[:1]:
            self.shape = np.shape(label) if self.shape is None else self.shape

    @property
    def spec(self) -> dict[str, Any]:
        """The shape, where it was said and is not that of the rows."""
        return {} if self._said is None else {"shape": list(self._said)}

    def take_spec(self, spec: Mapping[str, Any]) -> Self:
        """Return itself, with the shape of another target."""
        if "shape" in spec:
            self.shape = self._said = checked_shape("shape", spec["shape"])
        return self

    def column(self, y: ArrayLike, name: str = "y") -> np.ndarray:
        """Return maps as an array (n_samples, ...); where some are None, as objects of shape (n_samples,)."""
        on_host: Any = to_host(y)
        if isinstance(on_host, pd.Series):
            on_host = on_host.tolist()
        if isinstance(on_host, np.ndarray) and on_host.dtype != object:
            return on_host
        if isinstance(on_host, str | bytes | Mapping) or not np.iterable(on_host):
            raise ValueError(f"{name} must hold a map for each row, got {show(y)}.")
        rows = [None if row is None or row is pd.NA else self._read(row) for row in on_host]
        shapes = {row.shape for row in rows if row is not None}
        if len(shapes) > 1:
            raise ValueError(
                f"{name} holds maps of several shapes, such as {sorted(shapes)[:2]}. Give all of them the "
                "same "
                "one: crop or pad them with their rows."
            )
        if not rows:
            raise ValueError(f"{name} must hold a map for each row, got none: {show(y)}.")
        known = [row for row in rows if row is not None]
        if len(known) == len(rows):
            return np.stack(known)
        column = np.empty(len(rows), dtype=object)
        for i, row in enumerate(rows):
            column[i] = row
        return column

    @staticmethod
    def _read(row: object) -> np.ndarray:
        if isinstance(row, np.ma.MaskedArray) and row.dtype.kind == "f":
            return row.filled(np.nan)
        try:
            return np.asarray(to_host(row))
        except ValueError as error:  # lists of unequal length
            raise ValueError(
                f"A map must be an array with a number for each pixel, got {show(row)}."
            ) from error

    def checked_column(self, y: ArrayLike) -> np.ndarray:
        """Return the maps of training rows, or refuse them."""
        return self.whole_column(y)

    def missing(self, y: np.ndarray) -> np.ndarray:
        """Tell which rows have no map: bool array of shape (n_samples,)."""
        if y.dtype != object:
            return np.zeros(len(y), dtype=bool)
        return np.array([row is None for row in y], dtype=bool)

    def same(self, first: Any, second: Any) -> bool:
        """Tell whether two maps are one."""
        both = np.asarray(first), np.asarray(second)
        return both[0].shape == both[1].shape and np.array_equal(*both, equal_nan=both[0].dtype.kind == "f")

    def check_column(self, y: np.ndarray) -> None:
        """Refuse maps that no network can be trained on, by their row."""
        if y.ndim < 3 and y.dtype != object:
            raise ValueError(
                f"y must hold a map for each row, of shape (n_samples, height, width) or deeper, got "
                f"{y.shape}."
            )
        for i, row in enumerate(y):
            try:
                self.check(row)
            except ValueError as error:
                raise ValueError(f"y[{i}]: {error}") from error

    def learn(self, y: np.ndarray) -> None:
        """Take the maps of a column as examples of all that may come."""
        self.check_column(y)

    def _check_shape(self, got: np.ndarray, allowed: Sequence[tuple[int, ...]]) -> None:
        """Refuse a map of another shape than others, or than its row."""
        if not allowed or got.shape in allowed:
            return
        of = "a row without its channels" if self._from_rows else "the others"
        raise ValueError(
            f"A map must have the shape {' or '.join(map(str, allowed))}, as {of}, got {got.shape}. "
            "Resize it "
            "with its row; or, where the network puts out another size, say shape=."
        )

    def as_array(self, labels: Sequence[Any]) -> np.ndarray:
        """Return maps as an array of shape (n_labels, ...)."""
        return np.stack([np.asarray(label) for label in labels]) if len(labels) else np.empty((0, 1, 1))

    def to_text(self, label: Any) -> str | bytes:
        """Write a map as bytes in NumPy's own format, with its dtype and shape."""
        return pack(np.ascontiguousarray(label))

    def from_text(self, text: str | bytes) -> Any:
        """Read what `to_text` wrote."""
        found = unpack(text)  # type: ignore[arg-type]
        found.setflags(write=False)
        return found

    def output_fault(self, shape: tuple[int, ...]) -> str | None:
        """Say that there must be an output for each pixel and class, or value."""
        positions = self.positions
        wanted = ("n", self.n_outputs, *(positions or ("height", "width")))
        text = f"a map needs an output of shape ({', '.join(map(str, wanted))})"
        if len(shape) < 2 or (positions is not None and tuple(shape[1:]) != positions):
            return text
        fault = self.width_fault(shape[0])
        return None if fault is None else f"{text}: {fault}"

    @property
    @abstractmethod
    def positions(self) -> tuple[int, ...] | None:
        """Height and width, or depth, too; None where they are not known yet."""

    @abstractmethod
    def readable(self, row: np.ndarray) -> np.ndarray:
        """Return the numbers of a map that count, flat."""

    def weights_of(self, y: np.ndarray, sample_weight: ArrayLike | None, mask: np.ndarray) -> Any:
        """Return the weights of rows for each number that counts; None: all weigh the same."""
        weights = as_weights(sample_weight)
        if weights is None:
            return None
        return np.broadcast_to(weights.reshape(-1, *[1] * (y.ndim - 1)), y.shape)[mask]
