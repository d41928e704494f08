"""The campaign's networks as classifiers of scikit-activeml, which this module imports."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from skactiveml.base import SingleAnnotatorPoolQueryStrategy, SkactivemlClassifier

__all__ = ["NetworkClassifier", "SingleAnnotatorPoolQueryStrategy", "finder"]


class NetworkClassifier(SkactivemlClassifier):
    """A trained network that a query strategy may ask, and not train.

    Parameters
    ----------
    probabilities : callable
        Returns the class probabilities of rows.
    n_classes : int
        The classes are 0, 1, ...
    random_state : int
        Decides between classes that are equally probable.
    """

    def __init__(self, probabilities: Callable[[Any], np.ndarray], n_classes: int, random_state: int):
        super().__init__(classes=np.arange(n_classes), random_state=random_state)
        self.probabilities = probabilities
        self.n_classes = n_classes

    def fit(self, X, y, sample_weight=None):
        """Refuse: scores from a network that only seems to be trained again would mean nothing."""
        raise TypeError(
            "The query strategy wants to train its classifier, and a campaign's network is trained on the "
            "labels so far and no others. Pass a classifier of scikit-activeml that it may train, as in "
            "query_params={'clf': ParzenWindowClassifier(classes=range(n_classes))}."
        )

    def adopt(self, X: np.ndarray) -> NetworkClassifier:
        """Take the attributes of a fitted classifier; a row of `X` gives the number of columns."""
        self._validate_data(X[:1], np.full(1, np.nan))
        return self

    def predict_proba(self, X):
        """Return the network's class probabilities."""
        return self.probabilities(X)


def finder(X: np.ndarray) -> Callable[[Any], np.ndarray]:
    """Return a function that finds rows among those of `X` by their content."""
    # A function and not an object: strategies copy their classifier, and would copy the rows with it.
    where: dict[bytes, int] = {}

    def digests(rows: np.ndarray) -> list[bytes]:
        rows = np.ascontiguousarray(rows, dtype=X.dtype)
        return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]

    def find(rows: Any) -> np.ndarray:
        if not where:
            where.update((digest, i) for i, digest in enumerate(digests(X)))
        try:
            return np.array([where[digest] for digest in digests(np.asarray(rows))], dtype=np.intp)
        except KeyError:
            raise TypeError(
                "The query strategy asks the network about rows that are neither candidates nor labelled, "
                "such as changed ones; a campaign cannot serve it."
            ) from None

    return find
