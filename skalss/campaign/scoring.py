"""A score of a network, and the interval around it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import wraps

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer

from ..network import TaskModel
from ..targets import BaseTarget
from ..utils.surroundings import ignoring

N_RESAMPLES = 500  # of the bootstrap
ScorerFunction = Callable[[TaskModel, ArrayLike, ArrayLike], float]


class Scorer:
    """Scores networks as the user wants.

    Parameters
    ----------
    scoring : str, callable or None
        Name of a scorer of scikit-learn, or a function of (estimator, X, y). None: the target's metric.
    target : BaseTarget

    Raises
    ------
    TypeError
        If it is none of these.
    """

    def __init__(self, scoring: str | ScorerFunction | None, target: BaseTarget):
        if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
            raise TypeError(
                "scoring must be the name of a scorer, a callable (estimator, X, y) or None, got "
                f"{scoring!r}."
            )
        self.function: ScorerFunction = _own_score if scoring is None else get_scorer(scoring)
        # An accuracy is a share of rows, which has an interval of its own.
        self.is_accuracy = (target.metric if scoring is None else scoring) == "accuracy"

    def __call__(self, network: TaskModel, X: ArrayLike, y: ArrayLike) -> float:
        """Return the score; the scorer's own errors pass."""
        return float(self.function(network, X, y))

    def score(self, network: TaskModel, X: np.ndarray, y: np.ndarray) -> float:
        """Return the score; NaN where the rows lack a class, or hold a new one, and the scorer needs it."""
        try:
            with ignoring(UndefinedMetricWarning):  # NaN says it
                return self(network, X, y)
        except ValueError:
            if np.array_equal(np.unique(y), getattr(network, "classes_", np.unique(y))):
                raise
            return np.nan

    def interval(
        self, network: TaskModel, X: np.ndarray, y: np.ndarray, score: float, rng: np.random.RandomState
    ) -> tuple[float, float]:
        """Return the 95 % interval: Wilson's of an accuracy, otherwise a percentile bootstrap.

        The bootstrap leaves out draws that have no score; NaN if none has one.
        """
        if self.is_accuracy:
            return accuracy_interval(round(score * len(y)), len(y))
        scores, once = [], _OnePass(network, X)
        for _ in range(N_RESAMPLES):
            rows = rng.randint(len(y), size=len(y))
            drawn = X[rows]
            scores.append(self.score(once.stand_in(drawn, rows), drawn, y[rows]))
        known = np.array(scores)[~np.isnan(scores)]
        if not len(known):
            return np.nan, np.nan
        low, high = np.percentile(known, [2.5, 97.5])
        return float(low), float(high)


def _own_score(network: TaskModel, X: ArrayLike, y: ArrayLike) -> float:
    return network.score(X, y)


def accuracy_interval(n_right: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share.

    Examples
    --------
    >>> low, high = accuracy_interval(8, 10)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.490 to 0.943
    """
    interval = stats.binomtest(n_right, n).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


class _OnePass:
    """Passes rows through a network once, however often a scorer sees them drawn anew."""

    def __init__(self, network: TaskModel, X: np.ndarray):
        self.network, self.X = network, X
        self._answers: dict[str, np.ndarray] = {}

    def stand_in(self, drawn: np.ndarray, rows: np.ndarray) -> TaskModel:
        """Return a network that knows its answers for `drawn`, the `rows` of `X`."""
        network = copy.copy(self.network)
        for name in ("predict", "predict_proba"):
            if hasattr(network, name):
                setattr(network, name, self._answering(name, drawn, rows))
        return network

    def _answering(self, name: str, drawn: np.ndarray, rows: np.ndarray) -> Callable[[ArrayLike], np.ndarray]:
        method = getattr(self.network, name)

        @wraps(method)
        def answer(X: ArrayLike) -> np.ndarray:
            if X is not drawn:  # a scorer may make rows of its own
                return method(X)
            if name not in self._answers:
                self._answers[name] = method(self.X)
            return self._answers[name][rows]

        return answer
