"""Bounds of each feature: read from what a user passes, found in a pool, rounded for float32 rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .tensors import chunk_rows, chunks, to_host

BOUNDS_ARE = (
    "(low, high), each a number or one value for each feature; pairs (low, high), one for each feature"
)


class Bounds(NamedTuple):
    """The smallest and largest value of each feature.

    Attributes
    ----------
    low, high : float64 arrays
        Of the shape of a row, or one that broadcasts against it.
    """

    low: np.ndarray
    high: np.ndarray

    def inward(self) -> Bounds:
        """Return the same in float32, rounded so that no float32 value within lies outside of the float64.

        Where a feature varies by less than float32 can tell, both are the float32 value nearest to it.
        """
        with np.errstate(under="ignore", over="ignore", invalid="ignore"):
            low, high = self.low.astype(np.float32), self.high.astype(np.float32)
            low = np.where(low < self.low, np.nextafter(low, np.float32(np.inf)), low)
            high = np.where(high > self.high, np.nextafter(high, np.float32(-np.inf)), high)
            nearest = (self.low / 2 + self.high / 2).astype(np.float32)
        return Bounds(np.where(low > high, nearest, low), np.where(low > high, nearest, high))


def range_of(X: np.ndarray) -> Bounds:
    """Return the smallest and largest value of each feature, read in chunks.

    Parameters
    ----------
    X : array of shape (n_rows, ...)
    """
    pieces = (X[piece] for piece in chunks(len(X), chunk_rows(X.shape[1:])))
    ends = [(piece.min(axis=0), piece.max(axis=0)) for piece in pieces]
    low, high = (np.stack(side) for side in zip(*ends, strict=True))
    return Bounds(low.min(axis=0).astype(np.float64), high.max(axis=0).astype(np.float64))


def read_bounds(bounds: Any, row_shape: tuple[int, ...] | None = None, name: str = "bounds") -> Bounds:
    """Read bounds as users write them.

    Parameters
    ----------
    bounds : tuple (low, high), array-like of pairs, Box, or ``scipy.optimize.Bounds``
        ``low`` and ``high`` are numbers, or arrays that broadcast against a row. Infinite: no bound.
    row_shape : tuple of int, default=None
        Of the rows; None: it is not known yet, and less is checked.
    name : str, default="bounds"
        For errors.

    Returns
    -------
    bounds : Bounds

    Raises
    ------
    ValueError, TypeError
        If they are no numbers, NaN, of the wrong length or the wrong way round.
    """
    for names in (("low", "high"), ("lb", "ub")):  # a Box; scipy.optimize.Bounds
        if all(hasattr(bounds, part) for part in names):
            bounds = tuple(np.asarray(getattr(bounds, part)) for part in names)
    bounds = to_host(bounds)
    if not isinstance(bounds, list | tuple) and np.ndim(bounds) == 0:
        raise TypeError(f"{name} must be {BOUNDS_ARE}; got {bounds!r}.")
    low, high = (read_numbers(name, part, BOUNDS_ARE) for part in _low_and_high(bounds, row_shape, name))
    if row_shape is not None:
        low, high = (_of_a_row(part, row_shape, name) for part in (low, high))
    try:
        wrong = np.argwhere(low > high)
    except ValueError:
        raise ValueError(f"{name} has {low.shape} low and {high.shape} high values; give as many.") from None
    if len(wrong):
        place = tuple(int(i) for i in wrong[0])
        where = f" of feature {', '.join(map(str, place))}" if place else ""
        low, high = np.broadcast_arrays(low, high)
        raise ValueError(
            f"{name}{where} has low {low[place]:g} above high {high[place]:g}. It must be {BOUNDS_ARE}."
        )
    return Bounds(low, high)


def _low_and_high(bounds: Any, row_shape: tuple[int, ...] | None, name: str) -> tuple[Any, Any]:
    """Tell (low, high) from a list of pairs."""
    if len(bounds) == 2 and isinstance(bounds, tuple) and all(isinstance(b, np.ndarray) for b in bounds):
        return bounds
    try:
        table = np.asarray(bounds, dtype=float)
    except (TypeError, ValueError, OverflowError):  # a number and an array, say
        if isinstance(bounds, list | tuple) and len(bounds) == 2:
            return bounds[0], bounds[1]
        raise ValueError(f"{name} must be {BOUNDS_ARE}; got {bounds!r}.") from None
    if table.shape == (2, 2) and row_shape in ((2,), None):
        rows, columns = ((table[0] < table[1]).all(), (table[:, 0] < table[:, 1]).all())
        if rows and columns and not np.array_equal(table, table.T):
            raise ValueError(
                f"{name}={bounds!r} can be read as (low, high) and as two pairs. Pass (np.array(low), "
                "np.array(high))."
            )
        return tuple(table.T) if columns and not rows else tuple(table)
    if table.ndim == 2 and table.shape[1] == 2 and table.shape[0] != 2:
        return table[:, 0], table[:, 1]
    if len(table) == 2:
        return table[0], table[1]
    raise ValueError(f"{name} must be {BOUNDS_ARE}; got an array of shape {table.shape}.")


def read_numbers(name: str, values: Any, allowed: str) -> np.ndarray:
    """Read one side of bounds, a number or numbers; refuse NaN and what is no number."""
    try:
        found = np.asarray(to_host(values), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be {allowed}; got {values!r}.") from None
    if np.isnan(found).any():
        raise ValueError(f"{name} holds NaN. Write -np.inf or np.inf where there is no bound.")
    return found


def _of_a_row(part: np.ndarray, row_shape: tuple[int, ...], name: str) -> np.ndarray:
    try:
        return np.broadcast_to(part, row_shape)
    except ValueError:
        shape = f"{row_shape[0]} features" if len(row_shape) == 1 else f"the shape {row_shape}"
        raise ValueError(
            f"{name} has values of shape {part.shape}, but a row of X has {shape}. Pass {BOUNDS_ARE}."
        ) from None
