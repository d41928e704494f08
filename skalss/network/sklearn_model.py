"""Any classifier or regressor of scikit-learn as what a campaign trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix, issparse
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted

from ..targets import BaseTarget, check_target, make_target
from ..utils.checks import checked_random_state, reading
from ..utils.progress import progress_bar
from ..utils.scaling import Scaling
from ..utils.tensors import chunk_rows, chunks, to_host
from .epochs import Pseudo
from .rehearsal import rehearsing
from .tags import copy_task_tags


_SURE = 1e-9  # a probability of 0, of several labels


def _has_probabilities(model: SklearnModel) -> bool:
    return hasattr(model.estimator, "predict_proba")


class SklearnModel(BaseEstimator):
    """A forest, a Pipeline, or any other classifier or regressor of scikit-learn, trained by a campaign.

    It gets flat rows, and predicts probabilities of every class that may come, also before each of them was
    seen. It has no features and no gradients, so that only strategies that need neither work with it. A fresh
    clone is trained in each round, without pseudo-labels.

    Parameters
    ----------
    estimator : classifier or regressor
        Cloned before each fit.
    target : "auto" or BaseTarget, default="auto"
        The kind of `y`, as for `TaskNet`; it trains no masks and no fields.
    random_state : int, RandomState or None, default=None
        Seeds every `random_state` of the estimator and of its parts.

    Attributes
    ----------
    estimator_ : classifier or regressor
        The fitted one; a `DummyClassifier` where all labels were of one class.
    classes_ : array of shape (n_classes,)
        Labels in sorted order; classifiers only.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SklearnModel(RandomForestClassifier(10), random_state=0).fit_rows(X, y)
    >>> model.predict_proba(X[:1]).shape
    (1, 3)
    """

    warm_start = False
    takes_pseudo_labels = False

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        target: BaseTarget | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        self.estimator = estimator
        self.target = target
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """Tell which task it serves, by delegation to the estimator."""
        return copy_task_tags(super().__sklearn_tags__(), self.estimator)

    def check(self) -> None:
        """Refuse what is neither a classifier nor a regressor.

        Raises
        ------
        TypeError
        """
        check_target(self.target)
        given = self.estimator
        usable = not isinstance(given, type) and all(hasattr(given, name) for name in ("fit", "predict"))
        kind = get_tags(given).estimator_type if usable and hasattr(given, "__sklearn_tags__") else None
        if kind not in ("classifier", "regressor"):
            got = given.__name__ if isinstance(given, type) else type(given).__name__
            raise TypeError(
                "estimator must be a skorch NeuralNetClassifier, NeuralNetBinaryClassifier or "
                "NeuralNetRegressor, a TaskNet around one, or a classifier or regressor of scikit-learn, got "
                f"{got}. Make a net of a torch module with skalss.nets.net_classifier(module) or "
                "net_regressor(module)."
            )

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train a clone of the estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,), (n_samples, n_values) or (n_samples, n_classes)

        Returns
        -------
        self : SklearnModel
        """
        self.check()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        target = make_target(self, y=y)
        with reading("X or y"):
            rows = check_array(
                to_host(X), dtype=None, allow_nd=True, accept_sparse="csr", ensure_all_finite="allow-nan"
            )
            labels = target.checked_column(y)
            check_consistent_length(rows, labels)
        if rows.dtype.kind in "mM":
            raise TypeError(f"X must hold numbers, got an array of dtype {rows.dtype}.")
        return self.fit_rows(rows, labels, target=target)

    def fit_rows(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        target: BaseTarget | None = None,
        fresh: bool = True,
        scaling: Scaling | None = None,
        pseudo: Pseudo | None = None,
    ) -> Self:
        """Train a clone of the estimator, as a campaign does.

        Parameters
        ----------
        X : array of shape (n_samples, ...)
            Flattened.
        y : array of shape (n_samples,)
        target : BaseTarget, default=None
            Knows all labels that may come. None: those in `y`.
        fresh, scaling, pseudo
            As for `TaskNet.fit_rows`; of no effect here.

        Returns
        -------
        self : SklearnModel
        """
        target = make_target(self, y=y) if target is None else target
        if target.is_map:
            raise ValueError(
                f"{type(self.estimator).__name__} learns one label a row, and y holds a map for each. Use a "
                "network that puts out a map, such as net_classifier(UNet) or net_regressor(UNet) of "
                "skalss.nets."
            )
        self.target_ = target.fitted(y)
        for name, value in self.target_.fitted_attributes.items():
            setattr(self, name, value)
        encoded = self.target_.encode(y)  # refuses labels of no class that may come
        classes = self.target_.has_probabilities
        y = encoded.astype(np.int64) if self.target_.independent else y
        one_class = classes and not self.target_.independent and len(np.unique(y)) < 2
        self.estimator_ = DummyClassifier() if one_class else self._seeded()
        name = f"train {type(self.estimator_).__name__} on {len(y)} rows"
        with progress_bar(name, total=1, unit="fit", at_once=True) as bar:
            rows = _flat(X)
            self._is_dense = not (issparse(rows) and get_tags(self.estimator).input_tags.sparse)
            self.estimator_.fit(rows.toarray() if self._is_dense and issparse(rows) else rows, y)
            bar.update()
        return self

    def _seeded(self) -> BaseEstimator:
        """Clone the estimator, with a seed of its own for each part that takes one."""
        made, rng = clone(self.estimator), checked_random_state(self.random_state)
        names = sorted(name for name in made.get_params() if name.rpartition("__")[2] == "random_state")
        return made.set_params(**{name: int(rng.randint(2**31 - 1)) for name in names})

    def rehearse(
        self, X: np.ndarray, y: np.ndarray, target: BaseTarget, *, pseudo: Pseudo | None = None
    ) -> Self:
        """Train a copy on made-up labels and predict: what fails here fails before a label is bought.

        Parameters
        ----------
        X : array of shape (n_samples, ...)
            As many as the first training will have.
        y : array of shape (n_samples,)
            Made-up labels.
        target : BaseTarget
            Of the campaign.
        pseudo : Pseudo, default=None
            Of no effect here.

        Returns
        -------
        trial : SklearnModel
            The copy.

        Raises
        ------
        ValueError, TypeError
            With what went wrong.
        """
        trial = clone(self).set_params(random_state=0)
        with rehearsing(len(X)):
            trial.fit_rows(X, y, target=target)
            trial.predict(X[:2])
        return trial

    @property
    def abilities(self) -> frozenset[str]:
        """Class scores, where it predicts probabilities."""
        return frozenset({"logits"}) if _has_probabilities(self) else frozenset()

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict labels, or values in the units of `y`.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        y : array of shape (n_samples,)
        """
        check_is_fitted(self)
        return self._in_chunks(X, self.estimator_.predict)

    @available_if(_has_probabilities)
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Predict class probabilities; 0 for a class that no label had.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        P : float64 array of shape (n_samples, n_classes)
            Columns in the order of `classes_`; where several may hold, of each by itself.
        """
        check_is_fitted(self)
        if self.target_.independent:
            return self._in_chunks(X, lambda rows: _holding(self.estimator_, rows))
        found = self._in_chunks(X, self.estimator_.predict_proba)
        P = np.zeros((len(found), len(self.classes_)))
        P[:, np.searchsorted(self.classes_, self.estimator_.classes_)] = found
        return P

    @available_if(_has_probabilities)
    def logits(self, X: ArrayLike) -> np.ndarray:
        """Return the logarithms of the probabilities; of several labels a row, those of the odds.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        logits : float32 array of shape (n_samples, n_outputs)
            At least two columns, as a network has: a class that is not known yet has the least.
        """
        known = self.predict_proba(X)
        P = np.zeros((len(known), self.target_.n_outputs))
        P[:, : known.shape[1]] = known
        return self.target_.log_odds(P)

    def _in_chunks(self, X: ArrayLike, function: Callable[[Any], np.ndarray]) -> np.ndarray:
        """Predict; sparse rows are made dense in chunks for an estimator that was trained on dense ones."""
        rows = _flat(X)
        dense = getattr(self, "_is_dense", True)  # of an earlier version
        if not issparse(rows):
            return function(rows if dense else csr_matrix(rows))
        if not dense or rows.shape[0] == 0:
            return function(rows)
        pieces = chunks(rows.shape[0], chunk_rows(rows.shape[1:]))
        return np.concatenate([function(rows[piece].toarray()) for piece in pieces])

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of a classifier, macro F1 where several labels may hold, R² of a regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, ...)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        return self.target_.score(y, self.predict(X), sample_weight)


def _holding(estimator: BaseEstimator, rows: Any) -> np.ndarray:
    """Return the probability that each of several classes holds; a forest has two for each in a list."""
    found = estimator.predict_proba(rows)
    if not isinstance(found, list):
        return np.asarray(found)
    P = np.zeros((len(found[0]), len(found)))
    for i, (part, known) in enumerate(zip(found, estimator.classes_, strict=True)):
        if 1 in known:  # otherwise no label had it
            P[:, i] = part[:, list(known).index(1)]
    # Where all trees agree they are not sure: the logarithm of the odds stays finite.
    return P.clip(_SURE, 1 - _SURE)


def _flat(X: ArrayLike) -> Any:
    rows = to_host(X)
    if issparse(rows):
        return rows.tocsr()
    rows = np.asarray(rows)
    return rows.reshape(len(rows), -1) if rows.ndim != 2 else rows
