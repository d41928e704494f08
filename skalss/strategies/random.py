"""Rows drawn at random: the control that every other strategy must beat."""

from __future__ import annotations

from .base import BaseStrategy, Candidates
from .snapshot import Snapshot


class RandomStrategy(BaseStrategy):
    """Draws rows uniformly, without replacement. Needs neither latent model nor network.

    Examples
    --------
    >>> from skalss.strategies import RandomStrategy
    >>> RandomStrategy()
    RandomStrategy()
    """

    needs = frozenset()

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Draw up to `n` rows that may be asked.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
        """
        rows = snapshot.unlabeled
        drawn = snapshot.random_state.choice(rows, size=min(n, len(rows)), replace=False)
        return Candidates(rows=drawn)
