"""Neighbours that are equally near, such as copies: chance takes its pick, not the order of the codes."""

from __future__ import annotations

import numpy as np

from ..utils.ties import ROUNDING, ranked
from .base import BaseIndex
from .exact import nearest_codes


def nearest_by_chance(
    index: BaseIndex, Z: np.ndarray, k: int, allowed: np.ndarray, random_state: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    """Find what ``index.search`` finds; of codes that are equally near, random ones in random order.

    Parameters
    ----------
    index : BaseIndex
    Z : array of shape (n_queries, n_components)
    k : int
    allowed : bool array of shape (n_codes,)
    random_state : RandomState

    Returns
    -------
    rows : int array of shape (n_queries, min(k, n_allowed))
    distances : float32 array of the same shape
    """
    rows, distances = index.search(Z, k + 1, allowed)  # one more shows whether equal ones were left out
    rounding = ROUNDING * float(np.abs(Z).max(initial=0.0))
    if rows.shape[1] > k:
        last, next_one = distances[:, k - 1], distances[:, k]
        cut = next_one - last <= ROUNDING * last + rounding
        if cut.any():
            free = random_state.permutation(np.flatnonzero(allowed))
            near, gaps = nearest_codes(index.codes[free], Z[cut], k, device=index.device)
            rows[cut, :k], distances[cut, :k] = free[near], gaps
        rows, distances = rows[:, :k], distances[:, :k]
    order = ranked(distances, random_state, rounding=rounding)
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
