"""A score of a network, and the interval around it."""

from __future__ import annotations

import copy
import math
import numbers
import warnings
from collections.abc import Callable
from functools import partial, wraps

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer

from ..network import TaskModel
from ..targets import BaseTarget
from ..utils.errors import explaining
from ..utils.surroundings import ignoring

N_RESAMPLES = 500  # of the bootstrap
ScorerFunction = Callable[[TaskModel, ArrayLike, ArrayLike], float]


class Scorer:
    """Scores networks as the user wants.

    Parameters
    ----------
    scoring : str, callable or None
        Name of a scorer of scikit-learn, or of the target; or a function of (estimator, X, y). None: the
        target's metric.
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
        self.given = target.metric if scoring is None else scoring
        self._warned = False
        self.function = _own_score if scoring is None else _scorer_of(scoring, target)
        # An accuracy is a share of rows, which has an interval of its own.
        self.is_accuracy = self.given == "accuracy" and target.accuracy_of_rows

    def __call__(self, network: TaskModel, X: ArrayLike, y: ArrayLike) -> float:
        """Return the score; the scorer's own errors pass.

        Raises
        ------
        TypeError
            If the scorer returns no number.
        """
        score = self.function(network, X, y)
        if not isinstance(score, numbers.Real):
            raise TypeError(
                f"scoring={self.given!r} returned {score!r} of type {type(score).__name__}; it must return "
                "a number, the higher the better."
            )
        return float(score)

    def rehearse(self, network: TaskModel, X: ArrayLike, y: ArrayLike, where: str) -> None:
        """Score before the first label is bought, with a network that knows every class.

        Parameters
        ----------
        network : TaskModel
        X, y : arrays
        where : str
            What the rows are, for the text of the error.

        Raises
        ------
        ValueError, TypeError
            If the scorer fails, or has no number for these rows.
        """
        next_step = "Nothing was bought. Choose another scoring, or a callable of (estimator, X, y)."
        with explaining(f"scoring={self.given!r} fails on {where}", next_step), ignoring(Warning):
            try:
                score = self(network, X, y)
            except ValueError:  # what a network predicts after a moment of training may be out of range
                score = self(_knowing(network, X, y), X, y)
        if math.isnan(score):
            raise ValueError(f"scoring={self.given!r} has no number for {where}: it is NaN. {next_step}")

    def score(self, network: TaskModel, X: ArrayLike, y: ArrayLike) -> float:
        """Return the score; NaN where it cannot be had, since labels that are paid for must be of use.

        Without a word where the network does not know the classes of the rows yet, or the rows lack one;
        otherwise with a warning, once.
        """
        try:
            with ignoring(UndefinedMetricWarning):  # NaN says it
                return self(network, X, y)
        except Exception as error:
            if not self._warned and _same_classes(network, y):
                self._warned = True
                warnings.warn(
                    f"scoring={self.given!r} fails: {type(error).__name__}: {error} The score is NaN where "
                    "it does; the campaign goes on.",
                    UserWarning,
                    stacklevel=2,
                )
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


def _scorer_of(scoring: str | ScorerFunction, target: BaseTarget) -> ScorerFunction:
    """Return a scorer by its name: the target's own, where it has one of that name."""
    if isinstance(scoring, str) and target.scorer(scoring) is not None:
        return partial(_target_score, name=scoring)
    return get_scorer(scoring)


def _target_score(network: TaskModel, X: ArrayLike, y: ArrayLike, *, name: str) -> float:
    score = network.target_.scorer(name)
    assert score is not None
    return score(y, network.predict(X))


def _own_score(network: TaskModel, X: ArrayLike, y: ArrayLike) -> float:
    return network.score(X, y)


def _same_classes(network: TaskModel, y: ArrayLike) -> bool:
    """Whether rows hold the classes that a network knows; always so where there are no classes."""
    target = network.target_
    if not target.has_probabilities:
        return True
    try:
        return bool(target.present_in(np.asarray(y)).any(axis=0).all())
    except ValueError:  # a class that it does not know
        return False


def _knowing(network: TaskModel, X: ArrayLike, y: ArrayLike) -> TaskModel:
    """Return a network that predicts right."""
    knowing, truth = copy.copy(network), np.asarray(y)
    answers = {"predict": truth}
    if hasattr(network, "predict_proba"):
        answers["predict_proba"] = network.target_.certain(truth)
    for name, answer in answers.items():
        setattr(knowing, name, wraps(getattr(network, name))(lambda X, answer=answer: answer))
    return knowing


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
