"""Rows that the network is least sure of, over the whole pool."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .. import scores
from ..utils.checks import check_choice, check_positive_int
from ..utils.tensors import as_numpy, as_tensor
from ..utils.ties import ROUNDING, ranked
from .base import BaseStrategy, Candidates
from .diversity import draw
from .snapshot import Snapshot

# Each gives a number that is small for a hard row.
_SCORES: dict[str, Callable[..., Tensor]] = {
    "mms": scores.mms,
    "margin": lambda logits: scores.margin(logits.softmax(dim=1)),
    "entropy": lambda logits: -scores.entropy(logits),
    "least_confident": lambda logits: -scores.least_confident(logits),
}
_OF_PROBABILITIES = ("margin", "least_confident")  # differences of numbers near 1


class UncertaintyStrategy(BaseStrategy):
    """Scores unlabelled rows with the network and takes the hardest.

    The score of a row with several labels is the mean over them, that of a mask the mean over its pixels.

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

    tasks = frozenset({"classification", "multilabel", "segmentation"})

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
        network, target, score = snapshot.network, snapshot.target, _SCORES[self.score]
        weight = as_tensor(network.head_weight()) if self.score == "mms" else None
        (hardness,) = network.of_logits(
            rows, lambda logits: (as_numpy(target.mean_score(score, logits, weight)),)
        )
        rounding = ROUNDING if self.score in _OF_PROBABILITIES else 0.0
        hardest = ranked(hardness, snapshot.random_state, rounding=rounding)[:n]
        return Candidates(rows=rows[hardest], scores=hardness[hardest])

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_choice("score", self.score, sorted(_SCORES))
        if self.n_candidates is not None:
            check_positive_int("n_candidates", self.n_candidates, also="None")
