"""When a campaign ends: rules that look at its progress. A user can write one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ..utils.checks import check_count, check_number, check_positive_int, check_real

MAX_FAILURES = 10  # where no rule says more


@dataclass(frozen=True)
class Progress:
    """How far a campaign is.

    Attributes
    ----------
    paid : int
        Paid answers: labels, abstentions and charged failures.
    cost : float
        What was paid, in the oracle's units.
    round : int
        Rounds asked after the first set.
    n_labels : int
        Usable labels bought.
    failed : int
        Questions that failed.
    pending : int
        Questions without an answer.
    score : float
        Of the network trained on all labels so far, on `X_val`, `y_val`; NaN if it was not scored.
    control_score : float
        The same on the control rows.
    agreement : tuple of float
        Of each round's predictions with those of the round before, the latest last; see `PredictionsAgree`.
    priced_out : bool
        Whether nothing that can still be asked fits the limit of `MaxCost`.
    """

    paid: int = 0
    cost: float = 0.0
    round: int = 0
    n_labels: int = 0
    failed: int = 0
    pending: int = 0
    score: float = np.nan
    control_score: float = np.nan
    agreement: tuple[float, ...] = ()
    priced_out: bool = False


class StoppingRule(BaseEstimator):
    """Base of all stopping rules.

    A rule looks at numbers only: it never trains, and it may be asked at any time. Nothing more is asked once
    it has a reason, nor where it will have one if all that is pending is answered as things stand.

    Attributes
    ----------
    needs : set of str
        What must be measured in each round for it: ``"score"``, for which `fit` must get `X_val` and `y_val`,
        or ``"agreement"``.

    Examples
    --------
    >>> class HalfFailed(StoppingRule):
    ...     def reason(self, progress):
    ...         return "half failed" if progress.failed > progress.paid else None
    >>> HalfFailed().reason(Progress(paid=3, failed=4))
    'half failed'
    """

    needs: frozenset[str] = frozenset()

    def check(self) -> None:
        """Refuse a wrong parameter; called before anything is trained. Does nothing by default."""

    @abstractmethod
    def reason(self, progress: Progress) -> str | None:
        """Return why the campaign ends, the text that becomes `stop_reason_`; None: it goes on.

        Parameters
        ----------
        progress : Progress
        """


class MaxLabels(StoppingRule):
    """Stop when so many answers were paid: ``max_labels`` of the sampler.

    Parameters
    ----------
    max_labels : int
    """

    def __init__(self, max_labels: int):
        self.max_labels = max_labels

    def check(self) -> None:
        """Refuse what is not a whole number of at least 1."""
        check_positive_int("max_labels", self.max_labels)

    def reason(self, progress: Progress) -> str | None:
        """Return ``"max_labels"`` when they are used up."""
        return "max_labels" if progress.paid >= self.max_labels else None


class MaxCost(StoppingRule):
    """Stop when nothing that can still be asked can be paid for.

    Labels, abstentions and charged failures cost; what is pending counts, too. A row that costs more than
    what is left is passed over. The oracle is asked for the cost of every row of the pool first.

    Parameters
    ----------
    max_cost : float
        In the units of the oracle's costs.

    Examples
    --------
    >>> MaxCost(250).reason(Progress(cost=250.0, priced_out=True))
    'max_cost'
    """

    def __init__(self, max_cost: float):
        self.max_cost = max_cost

    def check(self) -> None:
        """Refuse what is not a number above 0."""
        check_number("max_cost", self.max_cost)

    def reason(self, progress: Progress) -> str | None:
        """Return ``"max_cost"`` when nothing fits any more."""
        return "max_cost" if progress.priced_out else None


class MaxRounds(StoppingRule):
    """Stop after so many rounds; the first set is none.

    Parameters
    ----------
    max_rounds : int

    Examples
    --------
    >>> MaxRounds(8).reason(Progress(round=8))
    'max_rounds'
    """

    def __init__(self, max_rounds: int):
        self.max_rounds = max_rounds

    def check(self) -> None:
        """Refuse what is not a whole number of at least 1."""
        check_positive_int("max_rounds", self.max_rounds)

    def reason(self, progress: Progress) -> str | None:
        """Return ``"max_rounds"`` when they are used up, and answered."""
        used_up = progress.round >= self.max_rounds and not progress.pending
        return "max_rounds" if used_up else None


class MaxFailures(StoppingRule):
    """Stop when more questions than this failed, with what there is.

    Parameters
    ----------
    max_failures : int, default=10

    Examples
    --------
    >>> MaxFailures(2).reason(Progress(failed=3))
    'max_failures'
    """

    def __init__(self, max_failures: int = MAX_FAILURES):
        self.max_failures = max_failures

    def check(self) -> None:
        """Refuse what is not a whole number of at least 0."""
        check_count("max_failures", self.max_failures)

    def reason(self, progress: Progress) -> str | None:
        """Return ``"max_failures"`` when there are more."""
        return "max_failures" if progress.failed > self.max_failures else None


class ScoreReached(StoppingRule):
    """Stop when the score on `X_val`, `y_val` reaches a value.

    Parameters
    ----------
    score : float
        In the units of the sampler's `scoring`.

    Examples
    --------
    >>> ScoreReached(0.95).reason(Progress(score=0.96))
    'score_reached'
    """

    needs = frozenset({"score"})

    def __init__(self, score: float):
        self.score = score

    def check(self) -> None:
        """Refuse what is not a finite number."""
        check_real("score", self.score)

    def reason(self, progress: Progress) -> str | None:
        """Return ``"score_reached"`` when it is."""
        return "score_reached" if progress.score >= self.score else None


class PredictionsAgree(StoppingRule):
    """Stop when predictions have settled.

    After each round those of the network, on up to 2,000 random rows of the pool, are compared with those of
    the round before: Cohen's kappa for classes, R² clipped to [0, 1] for values. The fewer labels a round
    adds, the sooner they agree.

    Parameters
    ----------
    agreement : float
        In (0, 1], such as 0.99: what the mean of the last comparisons must reach.
    n_rounds : int, default=3
        How many comparisons that is.

    References
    ----------
    Bloodgood and Vijay-Shanker, A method for stopping active learning based on stabilizing predictions and
    the need for user-adjustable stopping, CoNLL 2009, arXiv:1409.5165.

    Examples
    --------
    >>> PredictionsAgree(0.99).reason(Progress(agreement=(0.7, 0.99, 1.0, 0.99)))
    'predictions_agree'
    """

    needs = frozenset({"agreement"})

    def __init__(self, agreement: float, n_rounds: int = 3):
        self.agreement = agreement
        self.n_rounds = n_rounds

    def check(self) -> None:
        """Refuse an agreement outside (0, 1]."""
        check_real("agreement", self.agreement)
        if not 0 < self.agreement <= 1:
            raise ValueError(
                f"agreement must lie in (0, 1], got {self.agreement!r}. Pass a value near 1, such as 0.99."
            )
        check_positive_int("n_rounds", self.n_rounds)

    def reason(self, progress: Progress) -> str | None:
        """Return ``"predictions_agree"`` when they do."""
        last = progress.agreement[-int(self.n_rounds) :]
        return "predictions_agree" if len(last) == self.n_rounds and np.mean(last) >= self.agreement else None


def make_rules(max_labels: int, stop: StoppingRule | Iterable[StoppingRule]) -> list[StoppingRule]:
    """Return the rules of a campaign, in the order in which they are asked.

    Parameters
    ----------
    max_labels : int
    stop : StoppingRule or several of them
        The sampler's parameter.

    Returns
    -------
    rules : list of StoppingRule
        With those that always hold.

    Raises
    ------
    TypeError, ValueError
        If one is no rule, or has a wrong parameter.
    """
    one = isinstance(stop, StoppingRule | type | str) or not np.iterable(stop)
    rules: list[Any] = [stop] if one else list(stop)
    for rule in rules:
        if not isinstance(rule, StoppingRule):
            raise TypeError(
                f"stop must be a stopping rule or several of them, such as MaxRounds(8), got {rule!r}. "
                "Derive one of your own from skalss.StoppingRule."
            )
    failures = [rule for rule in rules if isinstance(rule, MaxFailures)] or [MaxFailures()]
    rules = [*failures, MaxLabels(max_labels), *(r for r in rules if not isinstance(r, MaxFailures))]
    for rule in rules:
        rule.check()
        _rehearse(rule)
    return rules


def _rehearse(rule: StoppingRule) -> None:
    """Ask a rule once before the first label is bought: a mistake in it must not show up later."""
    reason = rule.reason(Progress())
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"{rule}.reason must return a text or None, got {reason!r}.")


def first_reason(rules: Sequence[StoppingRule], progress: Progress) -> str | None:
    """Return the reason of the first rule that has one."""
    return next((reason for rule in rules if (reason := rule.reason(progress))), None)
