"""A start from bounds alone: rows that fill a box evenly, in place of a pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import qmc
from sklearn.utils import check_random_state

from ..utils.bounds import Bounds, read_bounds, read_numbers
from ..utils.checks import check_choice, check_positive_int

METHODS = ("sobol", "lhs", "random")

MOST_ROWS = 10**7  # drawn at once


@dataclass(frozen=True, eq=False)
class Box:
    """The parameters of a simulator by their bounds; `fit` and `Campaign` take it in place of X.

    Rows are drawn in it when a campaign starts: the pool. Its bounds are those of the points that a strategy
    makes.

    Parameters
    ----------
    low, high : array-like of shape (n_features,)
        Smallest and largest value of each feature. One may be a number, for all features.
    n : int, default=1024
        Rows to draw: the pool that a strategy chooses from, not the number of simulations.
    method : {"sobol", "lhs", "random"}, default="sobol"
        A scrambled Sobol sequence, most even with a power of two rows; a Latin hypercube; or independent
        uniform rows. By ``scipy.stats.qmc``.
    names : sequence of str, default=None
        Of the features; rows are then a DataFrame.
    log : sequence of str or int, or bool mask, default=()
        Features, by name or position, that are drawn evenly on a logarithmic scale. They must be above 0.

    Examples
    --------
    >>> from skalss.simulation import Box
    >>> box = Box([0, 1e-3], [1, 1e3], n=8, names=["angle", "stiffness"], log=["stiffness"])
    >>> box.draw(random_state=0).shape
    (8, 2)
    """

    low: ArrayLike
    high: ArrayLike
    n: int = 1024
    method: Literal["sobol", "lhs", "random"] = "sobol"
    names: Sequence[str] | None = None
    log: str | int | Sequence[str | int] | np.ndarray = ()

    def bounds(self) -> Bounds:
        """Return the checked bounds: arrays `low` and `high` of shape (n_features,).

        Raises
        ------
        ValueError
            If they are not finite, not of one length or the wrong way round.
        """
        each = "one finite number for each feature, or one for all of them"
        low, high = (read_numbers(name, getattr(self, name), each) for name in ("low", "high"))
        shapes = [part.shape for part in (low, high) if part.ndim]
        if not shapes or len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0][0] == 0:
            raise ValueError(
                "low and high must have one value for each feature, got shapes "
                f"{low.shape} and {high.shape}. For one feature write Box([0], [1])."
            )
        for name, part in (("low", low), ("high", high)):
            if not np.isfinite(part).all():
                raise ValueError(f"{name} must be finite: no rows can be drawn from an infinite box.")
        low, high = read_bounds((low, high), shapes[0], "low and high")
        return Bounds(low.copy(), high.copy())

    def draw(self, random_state: int | np.random.RandomState | None = None) -> Any:
        """Draw the rows.

        Parameters
        ----------
        random_state : int, RandomState or None, default=None
            None: the rows of seed 0, so that a campaign that starts again finds the same ones.

        Returns
        -------
        X : float64 array of shape (n, n_features), or DataFrame with `names`
            All within the bounds.

        Raises
        ------
        ValueError, TypeError
            If a parameter is wrong.
        """
        check_positive_int("n", self.n, most=MOST_ROWS)
        check_choice("method", self.method, METHODS)
        low, high = self.bounds()
        logs = self._logs(low)
        seed = check_random_state(0 if random_state is None else random_state).randint(2**31 - 1)
        unit = self._unit(len(low), int(seed))
        ends = [np.where(logs, np.log(np.where(logs, end, 1)), end) for end in (low, high)]
        rows = ends[0] + (ends[1] - ends[0]) * unit
        rows = np.clip(np.where(logs, np.exp(np.where(logs, rows, 0)), rows), low, high)
        return rows if self.names is None else pd.DataFrame(rows, columns=list(self.names))

    def _unit(self, d: int, seed: int) -> np.ndarray:
        """Draw in the unit cube."""
        if self.method == "random":
            return np.random.RandomState(seed).random_sample((self.n, d))
        if self.method == "lhs":
            return qmc.LatinHypercube(d, seed=seed).random(self.n)
        # A part of a sequence whose length is a power of two, which is all that SciPy calls even.
        return qmc.Sobol(d, seed=seed).random_base2((int(self.n) - 1).bit_length())[: self.n]

    def _names(self, d: int) -> list[str | int]:
        """Return the name of each feature, or its position."""
        names = list(range(d)) if self.names is None else _listed(self.names)
        if names is None or len(names) != d or not all(isinstance(name, str | int) for name in names):
            raise ValueError(f"names must be {d} texts, one for each feature, or None; got {self.names!r}.")
        if len(set(names)) < d:
            raise ValueError(f"names must be {d} different names, one for each feature; got {names}.")
        return names

    def _logs(self, low: np.ndarray) -> np.ndarray:
        """Tell which features have a logarithmic scale: bool array (n_features,)."""
        names, listed = self._names(len(low)), _listed(self.log)
        if listed is not None and len(listed) == len(low) and all(isinstance(name, bool) for name in listed):
            listed = [names[i] for i in np.flatnonzero(listed)]
        found = np.zeros(len(low), dtype=bool)
        for name in listed if listed is not None else [None]:
            if not isinstance(name, str | int) or isinstance(name, bool):
                raise ValueError(f"log must hold features, of {names} or by position; got {self.log!r}.")
            if name not in names and name not in range(len(low)):
                raise ValueError(f"log must hold features, of {names} or by position; got {self.log!r}.")
            found[names.index(name) if name in names else int(name)] = True
        if (low[found] <= 0).any():
            raise ValueError("low must be above 0 for the features in log, which have a logarithmic scale.")
        return found


def _listed(names: Any) -> list[Any] | None:
    """Return what a sequence or an array holds, one text or number as a list of it; None: it is neither."""
    if isinstance(names, np.ndarray | pd.Index | pd.Series) and names.ndim == 1:
        return names.tolist()
    if isinstance(names, str | int):
        return [names]
    return list(names) if isinstance(names, list | tuple | set | range) else None
