"""Points spread over the latent space without a look at any label: what every other way has to beat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.stats import qmc

from ..utils.checks import check_choice
from .base import BaseStrategy, Candidates
from .limits import Constraint, Limits, Made
from .snapshot import Snapshot

DESIGNS = ("normal", "latin_hypercube")


class RandomCodesStrategy(BaseStrategy):
    """Asks for the points that random codes decode to.

    For oracles that can label any point, such as a simulator: the usual design of experiments, in the latent
    space. It needs no label, and can choose the first points, too.

    Parameters
    ----------
    design : {"normal", "latin_hypercube"}, default="normal"
        ``"normal"``: from the normal distribution with the mean and the covariance of the pool's codes.
        ``"latin_hypercube"``: a Latin hypercube, anew in each round, in the box between the 1st and the 99th
        percentile of each component; its corners may hold codes that are unlike any of the pool.
    bounds : "pool", None, tuple (low, high), or array-like of pairs, default="pool"
        Where the values of a point may lie, as for `InterpolationStrategy`.
    constraint : callable, default=None
        Which points may be asked, as for `InterpolationStrategy`. Others are drawn anew.

    References
    ----------
    M. D. McKay, R. J. Beckman, W. J. Conover, "A comparison of three methods for selecting values of input
    variables in the analysis of output from a computer code", Technometrics 21, 1979.

    Examples
    --------
    >>> from skalss.strategies import RandomCodesStrategy
    >>> RandomCodesStrategy("latin_hypercube").generates_points
    True
    """

    generates_points = True
    needs = frozenset()

    def __init__(self, design: str = "normal", *, bounds: Any = "pool", constraint: Constraint | None = None):
        self.design = design
        self.bounds = bounds
        self.constraint = constraint

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_choice("design", self.design, DESIGNS)
        Limits(self.bounds, self.constraint).check()

    def check_pool(self, X: np.ndarray, as_user_rows: Callable[[np.ndarray], Any]) -> None:
        """Refuse rows outside of `bounds`, and a constraint that does not work on a few of them."""
        Limits(self.bounds, self.constraint).check_pool(X, as_user_rows)

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Return True."""
        return True

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Draw `n` codes.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            With `codes`; fewer than `n` where `bounds` and `constraint` leave no more.
        """
        limits = Limits(self.bounds, self.constraint)
        if not limits.any:
            return Candidates(rows=None, codes=self._draw(snapshot, n))
        made, within = Made(snapshot, limits, n), limits.within(snapshot)
        codes, points = [snapshot.latent.codes()[:0]], [np.empty((0, *snapshot.X.shape[1:]), np.float32)]
        n_found = 0
        while n_found < n and not made.out_of_tries:
            Z = self._draw(snapshot, n)
            Z, rows = limits.keep(snapshot, Z, snapshot.latent.decode(Z), within)
            taken = np.flatnonzero(made.take(Z, rows))[: n - n_found]
            codes.append(Z[taken])
            points.append(rows[taken])
            n_found += len(taken)
        made.warn_if_short(n_found)
        return Candidates(rows=None, codes=np.concatenate(codes), points=np.concatenate(points))

    def _draw(self, snapshot: Snapshot, n: int) -> np.ndarray:
        """Draw `n` codes."""
        codes, rng = snapshot.latent.codes(), snapshot.random_state
        if self.design == "normal":
            covariance = np.cov(codes, rowvar=False).reshape(codes.shape[1], codes.shape[1])
            drawn = rng.multivariate_normal(codes.mean(axis=0), covariance, size=n)
        else:
            low, high = np.percentile(codes, [1, 99], axis=0)
            unit = qmc.LatinHypercube(codes.shape[1], seed=rng.randint(2**31 - 1)).random(n)
            drawn = low + (high - low) * unit
        return drawn.astype(np.float32)
