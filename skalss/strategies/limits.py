"""Where made points may lie: within bounds of each feature, and where a user's function allows them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..utils.bounds import BOUNDS_ARE, Bounds, read_bounds
from ..utils.tensors import chunk_rows, chunks
from .snapshot import Snapshot

TRIES = 100  # points made for each that is wanted, before a round ends with fewer

Rows = np.ndarray
Constraint = Callable[[Any], Any]


class Limits:
    """Keeps made points where a user wants them.

    A point outside of the bounds is moved to the nearest one inside, feature by feature, and its code moves
    as encoding does: by the code of the moved row less that of the row as it was. So row and code stay as
    close as they were, with any latent model.

    Parameters
    ----------
    bounds : "pool", None, or bounds as `read_bounds` takes them
    constraint : callable or None
        Takes rows as the user passed X, returns a bool mask of those allowed.
    """

    def __init__(self, bounds: Any, constraint: Constraint | None):
        self.bounds, self.constraint = bounds, constraint

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        return self.bounds is not None or self.constraint is not None

    @property
    def of_pool(self) -> bool:
        """Whether the bounds are those of the pool."""
        return isinstance(self.bounds, str) and self.bounds == "pool"

    def check(self) -> None:
        """Refuse what is wrong whatever the rows."""
        if isinstance(self.bounds, str) and not self.of_pool:
            raise ValueError(f"bounds must be 'pool', None, or {BOUNDS_ARE}; got {self.bounds!r}.")
        if self.bounds is not None and not self.of_pool:
            read_bounds(self.bounds)
        if self.constraint is not None and (
            not callable(self.constraint) or isinstance(self.constraint, type)
        ):
            raise TypeError(
                "constraint must be a function of rows that returns a bool mask of those allowed, or None; "
                f"got {self.constraint!r}."
            )

    def check_pool(self, X: np.ndarray, as_user_rows: Callable[[Rows], Any]) -> None:
        """Refuse rows outside of the bounds, and a constraint that does not work on a few of them."""
        if self.bounds is not None and not self.of_pool:
            low, high = read_bounds(self.bounds, X.shape[1:])
            for piece in chunks(len(X), chunk_rows(X.shape[1:])):
                outside = (X[piece] < low) | (X[piece] > high)
                if outside.any():
                    row, *place = (int(i) for i in np.argwhere(outside)[0])
                    feature = tuple(place)
                    raise ValueError(
                        f"Row {piece.start + row} of X lies outside of bounds: feature "
                        f"{', '.join(map(str, feature))} is {X[piece][(row, *feature)]:g}, allowed are "
                        f"{low[feature]:g} to {high[feature]:g}. Widen bounds=, or leave such rows out."
                    )
        self._mask(np.array(X[:5], dtype=np.result_type(X, np.float32)), as_user_rows)  # a copy

    def within(self, snapshot: Snapshot, *, edited: bool = False) -> Bounds:
        """Return the bounds for decoded rows, or for rows of the pool that are edited."""
        if self.of_pool:
            return snapshot.latent.bounds(edited=edited).inward()
        if self.bounds is not None:
            return read_bounds(self.bounds, snapshot.X.shape[1:]).inward()
        infinite = np.full(snapshot.X.shape[1:], np.inf, dtype=np.float32)
        return Bounds(-infinite, infinite)

    def keep(self, snapshot: Snapshot, Z: np.ndarray, rows: Rows, within: Bounds) -> tuple[np.ndarray, Rows]:
        """Move rows into the bounds, and their codes with them."""
        kept = np.clip(rows, within.low, within.high)
        moved = (kept != rows).reshape(len(rows), -1).any(axis=1)
        if moved.any():
            Z, before, after = Z.copy(), rows[moved], kept[moved]
            Z[moved] += snapshot.latent.encode(after) - snapshot.latent.encode(before)
        return Z, kept

    def allowed(self, snapshot: Snapshot, rows: Rows) -> np.ndarray:
        """Tell which rows may be asked: bool array (n,)."""
        finite = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
        if finite.any():
            finite[finite] = self._mask(rows[finite], snapshot.as_user_rows)
        return finite

    def _mask(self, rows: Rows, as_user_rows: Callable[[Rows], Any]) -> np.ndarray:
        if self.constraint is None:
            return np.ones(len(rows), dtype=bool)
        mask = np.asarray(self.constraint(as_user_rows(rows)))
        if mask.dtype != bool or mask.shape != (len(rows),):
            raise ValueError(
                f"constraint must return a bool mask with one entry for each row, got dtype {mask.dtype} and "
                f"shape {mask.shape} for {len(rows)} rows. Compare whole columns: X[:, 0] + X[:, 1] <= 1."
            )
        return mask


class Made:
    """Points that were made and may be asked: each once, whatever round it was made in.

    Parameters
    ----------
    snapshot : Snapshot
    limits : Limits
    n : int
        How many are wanted.
    """

    def __init__(self, snapshot: Snapshot, limits: Limits, n: int):
        self.snapshot, self.limits, self.n = snapshot, limits, n
        self.n_tried = self.n_allowed = 0
        self._codes = {code.tobytes() for code in snapshot.latent.labeled_codes()}
        self._rows: set[bytes] = set()
        if limits.any:  # points at a bound may meet, those of earlier rounds, too
            labeled = snapshot.labeled_rows(np.arange(len(snapshot.y_labeled)))
            self._rows = {_bytes(row) for row in (*labeled, *snapshot.points_asked())}

    @property
    def out_of_tries(self) -> bool:
        """Whether to give up."""
        return self.n_tried >= TRIES * max(self.n, 10)

    def take(self, Z: np.ndarray, rows: Rows | None) -> np.ndarray:
        """Tell which of these points are new and allowed; they are noted: bool array (n,)."""
        allowed = np.ones(len(Z), dtype=bool) if rows is None else self.limits.allowed(self.snapshot, rows)
        self.n_tried, self.n_allowed = self.n_tried + len(Z), self.n_allowed + int(allowed.sum())
        for i in np.flatnonzero(allowed):
            code, row = Z[i].tobytes(), b"" if rows is None else _bytes(rows[i])
            allowed[i] = code not in self._codes and row not in self._rows
            self._codes.add(code)
            if rows is not None:
                self._rows.add(row)
        return allowed

    def warn_if_short(self, n_found: int) -> None:
        """Say why a round has fewer points than wanted."""
        if n_found < self.n:
            warnings.warn(
                f"Only {n_found} of {self.n} points were found in {self.n_tried} tries: the constraint "
                f"allowed {self.n_allowed} of them, and no point is asked twice. Allow more, or ask for rows "
                "of the pool.",
                UserWarning,
                stacklevel=2,
            )


def warn_if_outside(snapshot: Snapshot, rows: Rows) -> None:
    """Warn of made points that lie clearly outside of the pool's range, where nothing keeps them inside."""
    low, high = (part.astype(np.float64) for part in snapshot.latent.bounds())
    width = high - low
    beyond = np.maximum(low - rows, rows - high) > 0.1 * width
    outside = (beyond & (width > 0)).reshape(len(rows), -1).any(axis=1)
    if outside.any():
        warnings.warn(
            f"{outside.sum()} of {len(rows)} points that were made lie outside of the range of the pool. A "
            "simulator may refuse them, or answer nonsense. To keep them inside, give the strategy "
            "bounds='pool', or (low, high).",
            UserWarning,
            stacklevel=2,
        )


def _bytes(row: np.ndarray) -> bytes:
    return (np.asarray(row, dtype=np.float32) + 0).tobytes()  # + 0: no negative zero
