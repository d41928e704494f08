"""Rows that the network is least sure of, over the whole pool."""

from __future__ import annotations

from .. import scores
from ..utils.checks import check_choice, check_positive_int
from ..utils.tensors import as_numpy, as_tensor
from ..utils.ties import ROUNDING, ranked
from .base import BaseStrategy, Candidates
from .diversity import draw
from .snapshot import Snapshot

# Each gives a number that is small for a hard row.
_SCORES = {
    "mms": lambda logits, snapshot: scores.mms(logits, as_tensor(snapshot.network.head_weight())),
    "margin": lambda logits, snapshot: scores.margin(logits.softmax(dim=1)),
    "entropy": lambda logits, snapshot: -scores.entropy(logits),
    "least_confident": lambda logits, snapshot: -scores.least_confident(logits),
}
_OF_PROBABILITIES = ("margin", "least_confident")  # differences of numbers near 1


class UncertaintyStrategy(BaseStrategy):
    """Scores unlabelled rows with the network and takes the hardest.

    Parameters
    ----------
    score : {"mms", "margin", "entropy", "least_confident"}, default="mms"
        ``"mms"``: smallest minimal margin score (gap of the two highest logits over the norm of the
        difference of their last-layer weights, arXiv:1911.06996); ``"margin"``: smallest gap of the two
        highest probabilities; ``"entropy"``: largest entropy; ``"least_confident"``: smallest highest
        probability.

    n_candidates : int, default=None
        Unlabelled rows drawn at random to choose from; None: all, so that each round passes the whole pool
        through the network. A few thousand do nearly as well.

    Examples
    --------
    >>> from skalss.strategies import UncertaintyStrategy
    >>> UncertaintyStrategy("entropy")
    UncertaintyStrategy(score='entropy')
    """

    tasks = frozenset({"classification"})

    def __init__(self, score: str = "mms", n_candidates: int | None = None):
        self.score = score
        self.n_candidates = n_candidates

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        """Class scores; ``"mms"`` weighs them by the last layer, too."""
        return frozenset({"labels", "logits"} | ({"features"} if self.score == "mms" else set()))

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Take the up to `n` hardest rows, hardest first; of equally hard ones, any.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are small for hard rows: entropy and least confidence come with their sign turned.

        Raises
        ------
        ValueError
            If `score` is unknown.
        """
        self.check()
        rows = draw(snapshot, None if self.n_candidates is None else max(n, self.n_candidates))
        hardness = as_numpy(_SCORES[self.score](as_tensor(snapshot.network.logits(rows)), snapshot))
        rounding = ROUNDING if self.score in _OF_PROBABILITIES else 0.0
        hardest = ranked(hardness, snapshot.random_state, rounding=rounding)[:n]
        return Candidates(rows=rows[hardest], scores=hardness[hardest])

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_choice("score", self.score, sorted(_SCORES))
        if self.n_candidates is not None:
            check_positive_int("n_candidates", self.n_candidates, also="None")
