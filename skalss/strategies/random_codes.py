"""Points spread over the latent space without a look at any label: what every other way has to beat."""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from ..utils.checks import check_choice
from .base import BaseStrategy, Candidates
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

    def __init__(self, design: str = "normal"):
        self.design = design

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_choice("design", self.design, DESIGNS)

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
            With `codes`.
        """
        codes, rng = snapshot.latent.codes(), snapshot.random_state
        if self.design == "normal":
            covariance = np.cov(codes, rowvar=False).reshape(codes.shape[1], codes.shape[1])
            drawn = rng.multivariate_normal(codes.mean(axis=0), covariance, size=n)
        else:
            low, high = np.percentile(codes, [1, 99], axis=0)
            unit = qmc.LatinHypercube(codes.shape[1], seed=rng.randint(2**31 - 1)).random(n)
            drawn = low + (high - low) * unit
        return Candidates(rows=None, codes=drawn.astype(np.float32))
