"""Control rows: random rows, whose labels are held out to score the networks of a campaign."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from scipy import stats
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer

from ..network.tasknet import TaskNet
from ..strategies import RandomStrategy
from ..utils.seeds import derive_seed
from .pool import Pool
from .questions import LABELLED, POOL, Question
from .records import Records

N_RESAMPLES = 500  # of the bootstrap


class ControlRows:
    """Keeps the control rows of a campaign and scores its networks on them.

    They are drawn before anything is asked, out of all rows, and no strategy may choose them: rows drawn
    later, from what a strategy has left, would be easier than the pool.

    Parameters
    ----------
    sampler : AdaptiveLatentSampler
    pool : Pool
    records : Records
    scorer : callable
        Gives a float for (network, X, y).
    budget : int
        Paid answers allowed, the first set included.
    seed : int

    Attributes
    ----------
    reserved : int array
        Pool rows, in the order in which they are asked.
    """

    def __init__(
        self,
        sampler: Any,
        pool: Pool,
        records: Records,
        scorer: Callable[..., float],
        budget: int,
        seed: int,
    ):
        self.pool, self.records, self.scorer, self.seed = pool, records, scorer, seed
        self.share = float(sampler.control_share)
        # An accuracy is a share of rows, which has an interval of its own.
        self.is_accuracy = pool.task == "classification" and sampler.scoring in (None, "accuracy")
        self._choice: tuple[TaskNet, dict[str, Any]] | None = None
        askable = np.setdiff1d(np.arange(len(pool)), pool.given)
        n_first = min(max(sampler.n_initial - len(pool.given), 0), budget, len(askable))
        n_reserved = min(math.floor(self.share * (budget - n_first) + 0.5), len(askable) - n_first)
        rng: Any = np.random.RandomState(derive_seed(seed, "control"))
        self.reserved = rng.choice(askable, size=n_reserved, replace=False)

    def draw(self, free: np.ndarray, n: int, round_: int, first_rounds: int) -> list[Question]:
        """Give the control rows of a batch, so many that their share of all questions comes out right.

        Parameters
        ----------
        free : bool array of shape (n_rows,)
            Pool rows that may be asked.
        n : int
            Size of the batch.
        round_ : int
        first_rounds : int
            Rounds of the first set, whose questions do not count.

        Returns
        -------
        questions : list of Question
            At most `n`.
        """
        asked = [q for q in self.records.questions if q.round >= first_rounds]
        due = math.floor(self.share * (len(asked) + n) + 0.5) - sum(q.control for q in asked)
        left = self.reserved[free[self.reserved]]
        if np.count_nonzero(free) == len(left):
            due = n  # the strategy has none left
        common: dict[str, Any] = {"kind": POOL, "round": round_, "strategy": RandomStrategy.__name__}
        return [
            Question(id=self.pool.ids[i], position=int(i), control=True, **common)
            for i in left[: min(max(due, 0), n)]
        ]

    def choose_by(self, network: TaskNet | None, line: dict[str, Any]) -> None:
        """Keep the network that chose a batch, and its line of the history, until the answers are there."""
        self._choice = (network, line) if self.share and network is not None else None

    def measure(self, network: TaskNet, round_: int, line: dict[str, Any]) -> None:
        """Score the network of this round on the control rows, and the one before it on what it chose.

        Parameters
        ----------
        network : TaskNet
            Trained on no control row.
        round_ : int
        line : dict
            Of the history, for `network`; the scores are written into it.
        """
        if np.isnan(line["control_score"]):
            line.update(self._control_scores(network, round_))
        if self._choice is not None:
            chooser, asked_line = self._choice
            asked_line["asked_score"] = self._asked_score(chooser, asked_line["round"])

    def _control_scores(self, network: TaskNet, round_: int) -> dict[str, float]:
        control = self.records.held_out()
        if len(control) < 2:
            return {}
        X, y = self._rows(control)
        score = _score(self.scorer, network, X, y)
        if np.isnan(score):
            return {}
        if self.is_accuracy:
            low, high = accuracy_interval(round(score * len(y)), len(y))
        else:
            rng = np.random.RandomState(derive_seed(self.seed, "control interval", round_))
            low, high = bootstrap_interval(self.scorer, network, X, y, rng)
        return {"control_score": score, "control_low": low, "control_high": high}

    def _asked_score(self, chooser: TaskNet, round_: int) -> float:
        asked = [
            q for q in self.records.questions if q.round == round_ and q.state == LABELLED and not q.control
        ]
        return _score(self.scorer, chooser, *self._rows(asked)) if asked else np.nan

    def _rows(self, questions: list[Question]) -> tuple[np.ndarray, np.ndarray]:
        rows = [self.pool.X[q.position] if q.kind == POOL else q.row for q in questions]
        return np.stack(rows), self.pool.as_labels([q.label for q in questions])


def make_scorer(scoring: Any) -> Callable[..., float]:
    """Give the scorer (network, X, y) of a name, a callable, or None: accuracy or R²."""
    if scoring is None:
        return TaskNet.score
    if not isinstance(scoring, str) and not callable(scoring):
        raise TypeError(
            f"scoring must be the name of a scorer, a callable (estimator, X, y) or None, got {scoring!r}."
        )
    return get_scorer(scoring)


def accuracy_interval(n_right: int, n: int) -> tuple[float, float]:
    """Give Wilson's 95 % interval of a share.

    Examples
    --------
    >>> low, high = accuracy_interval(8, 10)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.490 to 0.943
    """
    interval = stats.binomtest(n_right, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_interval(
    scorer: Callable[..., float],
    network: TaskNet,
    X: np.ndarray,
    y: np.ndarray,
    rng: np.random.RandomState,
) -> tuple[float, float]:
    """Give the 95 % percentile interval of a score over rows drawn with replacement.

    Draws that have no score are left out; NaN if none has one.
    """
    scores, once = [], _OnePass(network, X)
    for _ in range(N_RESAMPLES):
        rows = rng.randint(len(y), size=len(y))
        drawn = X[rows]
        scores.append(_score(scorer, once.stand_in(drawn, rows), drawn, y[rows]))
    known = np.array(scores)[~np.isnan(scores)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


class _OnePass:
    """Passes rows through a network once, however often a scorer sees them drawn anew."""

    def __init__(self, network: TaskNet, X: np.ndarray):
        self.network, self.X = network, X
        self._answers: dict[str, np.ndarray] = {}

    def stand_in(self, drawn: np.ndarray, rows: np.ndarray) -> TaskNet:
        """Give a network that knows its answers for `drawn`, the `rows` of `X`."""
        network = copy.copy(self.network)
        for name in ("predict", "predict_proba"):
            if hasattr(network, name):
                setattr(network, name, self._answering(name, drawn, rows))
        return network

    def _answering(self, name: str, drawn: np.ndarray, rows: np.ndarray) -> Callable[[Any], np.ndarray]:
        method = getattr(self.network, name)

        @wraps(method)
        def answer(X: Any) -> np.ndarray:
            if X is not drawn:  # a scorer may make rows of its own
                return method(X)
            if name not in self._answers:
                self._answers[name] = method(self.X)
            return self._answers[name][rows]

        return answer


def _score(scorer: Callable[..., float], network: TaskNet, X: np.ndarray, y: np.ndarray) -> float:
    """Score; NaN where the rows lack a class, or hold a new one, and the scorer cannot do without."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)  # NaN says it
            return float(scorer(network, X, y))
    except ValueError:
        if np.array_equal(np.unique(y), getattr(network, "classes_", np.unique(y))):
            raise
        return np.nan
