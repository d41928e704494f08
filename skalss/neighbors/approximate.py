"""What approximate indices share: effort that grows until enough is found, ranking by exact distances."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch

from .base import BaseIndex
from .exact import nearest_codes

_FEW = 1 / 8  # share of the codes below which comparing with all that are allowed is cheaper than sifting
_EFFORTS = (1, 2, 4, 8)  # after the last, queries that still lack neighbours are compared with every code


class BaseApproximateIndex(BaseIndex):
    """Base of indices that look at some of the codes; what they find is ranked by exact distances.

    A subclass says how to `_build` and how to `_find`.

    Parameters
    ----------
    codes : array of shape (n_codes, n_components)
    device : str or torch.device, default="cpu"
        Where exact distances are computed, when it comes to them.

    Raises
    ------
    ValueError
        If a code is not finite.
    """

    def __init__(self, codes: np.ndarray, device: torch.device | str = "cpu"):
        super().__init__(codes, device)
        # Libraries compute |c|² - 2 c·q + |q|², which loses the least near the origin.
        centre = self.codes.mean(axis=0, dtype=np.float64) if len(self.codes) else np.zeros(1)
        if not np.isfinite(centre).all():
            n_wrong = np.count_nonzero(~np.isfinite(self.codes).all(axis=1))
            raise ValueError(
                f"{type(self).__name__} needs finite codes, got NaN or infinity in {n_wrong} of "
                f"{len(self.codes)} rows. Correct the latent model, or use index='exact'."
            )
        self.centre = centre.astype(np.float32)
        self._build(self.codes - self.centre)

    @abstractmethod
    def _build(self, codes: np.ndarray) -> None:
        """Build from centred codes, the same way each time; there may be none."""

    @abstractmethod
    def _find(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, effort: int) -> np.ndarray:
        """Return rows near each of some centred queries.

        Parameters
        ----------
        queries : float32 array of shape (n_queries, n_components)
        k : int
        allowed : bool array of shape (n_codes,) or None
            May be ignored: rows that are not allowed are dropped.
        effort : int
            1 at first; doubled for queries that got fewer than `k` allowed rows.

        Returns
        -------
        rows : int array of shape (n_queries, n_found)
            In any order, none twice in a line; -1: nothing more found.
        """

    def _nearest(self, Z: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        n_allowed = len(self.codes) if allowed is None else int(np.count_nonzero(allowed))
        # With k near the number of allowed rows, an index would have to return most of what it holds.
        if len(Z) == 0 or k < 1 or n_allowed < _FEW * len(self.codes) or k > _FEW * n_allowed:
            return self._exact(Z, k, allowed)
        rows = np.empty((len(Z), k), dtype=np.intp)
        distances = np.empty((len(Z), k), dtype=np.float32)
        lacking = np.arange(len(Z))
        for effort in _EFFORTS:
            found = self._find(Z[lacking] - self.centre, k, allowed, effort)
            usable = (found >= 0) if allowed is None else (found >= 0) & allowed[found]
            enough = usable.sum(axis=1) >= k
            done = lacking[enough]
            rows[done], distances[done] = self._ranked(Z[done], found[enough], usable[enough], k)
            lacking = lacking[~enough]
            if len(lacking) == 0:
                return rows, distances
        rows[lacking], distances[lacking] = self._exact(Z[lacking], k, allowed)
        return rows, distances

    def _ranked(
        self, Z: np.ndarray, found: np.ndarray, usable: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the `k` nearest of the usable rows found for each query, and their distances."""
        distances = np.linalg.norm(self.codes[found] - Z[:, None], axis=2)  # (n_queries, n_found)
        distances[~usable] = np.inf
        order = distances.argsort(axis=1, kind="stable")[:, :k]
        return np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1)

    def _exact(self, Z: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Compare with every code that is allowed."""
        if allowed is None:
            return nearest_codes(self.codes, Z, k, device=self.device)
        here = np.flatnonzero(allowed)
        positions, distances = nearest_codes(self.codes[here], Z, k, device=self.device)
        return here[positions], distances
