"""Query by committee: rows on which networks trained on resampled labels disagree."""

from __future__ import annotations

from ..utils.checks import check_positive_int
from ..utils.ties import ROUNDING, ranked
from .base import BaseStrategy, Candidates, check_members
from .diversity import draw
from .snapshot import Snapshot


class CommitteeStrategy(BaseStrategy):
    """Asks for the rows on which a committee of networks disagrees most.

    Each member is a fresh network, trained on as many labelled rows as there are, drawn with replacement.
    Disagreement is the variance of the predicted values in regression; for classes it is the mean
    Kullback-Leibler divergence of the members' probabilities from their mean. Of several values, several
    labels, masks and fields it is the mean over what a label holds.

    Parameters
    ----------
    n_members : int, default=4
        At least 2. A round trains that many networks.
    n_candidates : int or None, default=4000
        Unlabelled rows drawn at random to choose from; None: all. Each passes every member.

    References
    ----------
    - H. S. Seung, M. Opper, H. Sompolinsky, "Query by committee", COLT 1992.
    - A. McCallum, K. Nigam, "Employing EM and pool-based active learning for text classification", ICML 1998:
      the divergence from the mean.
    - A. Krogh, J. Vedelsby, "Neural network ensembles, cross validation, and active learning", NIPS 1994: the
      variance of values.

    Examples
    --------
    >>> from skalss.strategies import CommitteeStrategy
    >>> CommitteeStrategy(n_members=6)
    CommitteeStrategy(n_members=6)
    """

    def __init__(self, n_members: int = 4, n_candidates: int | None = 4000):
        self.n_members = n_members
        self.n_candidates = n_candidates

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_members(self.n_members)
        if self.n_candidates is not None:
            check_positive_int("n_candidates", self.n_candidates, also="None")

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Take the up to `n` rows with the most disagreement, the most first; of equal ones, any.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are large where members disagree: variances in the squared units of `y`, or
            divergences in nats.
        """
        some = draw(snapshot, None if self.n_candidates is None else max(n, self.n_candidates))
        apart, largest = snapshot.network.disagreement(some, self.n_members)
        # Members that agree differ by rounding, which tells nothing of a row.
        rounding = (ROUNDING * largest) ** 2
        most = ranked(-apart, snapshot.random_state, rounding=rounding)[:n]
        return Candidates(rows=some[most], scores=apart[most])
