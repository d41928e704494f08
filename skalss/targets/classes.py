"""One class for each row."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, cohen_kappa_score
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from ..scores import margin
from ..utils.checks import show
from ..utils.columns import to_column, to_scalar
from ..utils.spelling import looks_like, nearest
from .base import BaseTarget, as_weights

MANY = 300  # labels that differ; so many are no classes that a person types


class Classes(BaseTarget):
    """One label for each row, a number or a text.

    Parameters
    ----------
    classes : array-like of shape (n_classes,), default=None
        All labels that may come; None: any.

    Examples
    --------
    >>> import numpy as np
    >>> target = Classes().fitted(np.array(["dog", "cat", "dog"]))
    >>> target.encode(np.array(["cat", "dog"])).tolist()
    [0, 1]
    >>> target.decode(np.array([[0.2, 0.8]])).tolist()
    ['dog']
    """

    estimator_type = "classifier"
    task = "classification"
    metric = metric_title = "accuracy"
    numeric = False
    has_probabilities = True
    auto_strategy, auto_initial = "adaptive", "kmeans"
    can_spread = True

    _encoder: LabelEncoder

    def __init__(self, classes: ArrayLike | None = None):
        self._text: bool | None = None  # whether labels are text; not known before the first
        self._seen: set[Any] = set()  # labels that came, where the classes are not known
        self.know(classes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()" if self.classes is None else f"Classes({self.classes.tolist()})"

    def know(self, labels: ArrayLike | None) -> None:
        """Take these as all labels that may come; None: any may.

        Raises
        ------
        TypeError
            If they are no sequence.
        ValueError
            If there is none, one is no label, or text and numbers are mixed.
        """
        self.classes, self._known = None, {}
        if labels is None:
            return
        if isinstance(labels, str | bytes | Mapping) or not np.iterable(labels):
            raise TypeError(f"classes must be a sequence of labels, got {show(labels)}. Pass them as a list.")
        whole = hasattr(labels, "dtype") or hasattr(labels, "iloc")
        try:
            listed = to_column(labels) if whole else [to_scalar(label) for label in labels]
            found = np.asarray(listed)
        except ValueError as error:  # lists of unequal length
            raise ValueError(f"classes must be a sequence of labels, got {show(labels)}.") from error
        if found.ndim != 1:
            raise ValueError(f"classes must be one sequence of labels, got the shape {found.shape}.")
        if found.dtype != object and not isinstance(listed, list):
            found = np.unique(found)
        # NumPy would turn the numbers of a mixed list into text.
        plain = [_plain(label) for label in (listed if isinstance(listed, list) else found.ravel().tolist())]
        kinds = {isinstance(label, str) for label in plain}
        if len(kinds) != 1:
            got = "text and numbers" if kinds else "none"
            raise ValueError(
                f"classes must be all numbers or all text, at least one, got {got}: {plain[:5]}. Turn them "
                "into text with str(), or into numbers."
            )
        # A column of objects that are numbers trains no network.
        numbers = found.dtype == object and kinds == {False}
        self.classes = np.unique(np.array(plain) if numbers else found)
        self._known = {label: label for label in self.classes.tolist()}
        self._text = kinds.pop()

    def check(self, answer: object) -> Any:
        """Return a label, if it is one of the classes, and text where others are text.

        Where the classes are not known, a label that no earlier one is, but almost, brings a warning.
        """
        if not np.isscalar(answer):
            raise ValueError(
                f"A class label must be a number or a string, got {show(answer)}. Give one label a row; for "
                "several at once, or a mask, see skalss.targets.Labels and ClassMap."
            )
        answer = _plain(answer)
        if self.classes is not None and answer not in self._known:
            near = nearest(answer, self._known)
            hint = "" if near is None else f"Did you mean {near!r}? "
            raise ValueError(
                f"The label {_shown(answer)} is outside classes: {sorted(self._known)}. {hint}Name every "
                "label in classes=, or answer None for rows that are none of them."
            )
        is_text = isinstance(answer, str)
        if self._text not in (None, is_text):
            raise ValueError(
                f"The label {_shown(answer)} is {'text' if is_text else 'a number'}, but earlier ones are "
                "not. Give all labels the same type, and name them in classes=."
            )
        self._text = is_text
        if self.classes is None and answer not in self._seen:
            self._warn_of_slip(answer)
            self._seen.add(answer)
        return self._known.get(answer, answer)  # 1.0 and True are the class 1

    def remember(self, labels: Sequence[Any]) -> None:
        """Take these as labels that came before."""
        for label in labels:
            self._text = isinstance(label, str)
            self._seen.add(label)

    def _warn_of_slip(self, label: object) -> None:
        """Warn of a label that is written almost like an earlier one."""
        if not isinstance(label, str) or len(self._seen) > MANY:
            return
        other = looks_like(label, sorted(word for word in self._seen if isinstance(word, str)))
        if other is not None:
            warnings.warn(
                f"The label {label!r} is new, and written almost like {other!r}, so there are two classes "
                "now. If it is a slip, correct the answer. With all labels named in classes=, slips are "
                "refused.",
                UserWarning,
                stacklevel=4,
            )

    def check_column(self, y: np.ndarray) -> None:
        """Refuse what scikit-learn does not take for classes, such as fractions."""
        if y.dtype.kind not in "biufOUST":
            raise ValueError(f"y must hold labels, numbers or text, got an array of dtype {y.dtype}.")
        if y.dtype == object:
            wrong = [label for label in y.tolist() if not np.isscalar(label)]
            if wrong:
                raise ValueError(
                    f"y must hold one label, a number or a text, for each row, got {show(wrong[0])}."
                )
            if len({isinstance(label, str) for label in y.tolist()}) > 1:
                raise ValueError("y must hold labels that are all text or all numbers, got both.")
            y = np.array(y.tolist())
        try:
            check_classification_targets(y)
        except ValueError as error:
            raise ValueError(
                f"{error} To learn values, pass a regressor as estimator, such as "
                "skalss.nets.net_regressor(); to learn classes, give labels that are text or whole numbers."
            ) from error

    def as_array(self, labels: Sequence[Any]) -> np.ndarray:
        """Return labels as an array of the classes' dtype, where it is known."""
        return np.array(labels, dtype=None if self.classes is None else self.classes.dtype)

    def fitted(self, y: np.ndarray) -> Self:
        """Return a target that numbers the classes, or the labels in `y` where the classes are not known."""
        if self.classes is None:
            self.check_column(y)
        made = type(self)()
        made.know(y if self.classes is None else self.classes)
        made._encoder = LabelEncoder().fit(made.classes)
        return made

    @property
    def n_outputs(self) -> int:
        """Number of classes; at least two, so that one class so far refuses no other label."""
        return max(2, self.n_classes)

    def width_fault(self, width: int) -> str | None:
        """Say that there must be an output for each class."""
        needed = self.n_classes
        return None if width >= needed else f"{needed} classes need width {needed}"

    def examples(self) -> np.ndarray:
        """Return the classes; 0 and 1 where they are not known."""
        return np.arange(2) if self.classes is None else self.classes

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the numbers of the classes, from 0, in sorted order."""
        known = self._encoder.classes_
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            raise ValueError(
                f"y holds labels outside classes: {unknown[:5].tolist()}; known are "
                f"{known.tolist()}. Name every label in classes=, or fit anew."
            )
        return self._encoder.transform(y)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return the class of the highest of the scores (n_samples, n_outputs)."""
        return self._encoder.classes_[output[:, : self.n_classes].argmax(axis=1)]

    def get_state(self) -> dict[str, Any]:
        """Return the classes."""
        return {"classes": self._encoder.classes_}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Return a target with these classes."""
        return self.fitted(np.asarray(state["classes"]))

    @property
    def fitted_attributes(self) -> dict[str, Any]:
        """The classes, as every classifier shows them."""
        return {"classes_": self._encoder.classes_}

    def beliefs(self, output: Tensor) -> Tensor:
        """Return probabilities of the classes alone, where there are more outputs than classes."""
        P = output[:, : self.n_classes]
        return P / P.sum(dim=1, keepdim=True)

    def believed_by(self, model: BaseEstimator, X: ArrayLike) -> np.ndarray:
        """Return probabilities; votes of 0 and 1 where an estimator has none."""
        if hasattr(model, "predict_proba"):
            return model.predict_proba(X)
        return (model.predict(X)[:, None] == model.classes_).astype(np.float64)

    def doubt(self, beliefs: Tensor) -> Tensor:
        """Return minus the gap of the two highest probabilities: from -1, sure, to 0, torn between two."""
        return -margin(beliefs)

    def disagreement(self, beliefs: Tensor) -> Tensor:
        """Return the mean Kullback-Leibler divergence from the mean of the members, in nats.

        It is 0 where all members agree, and at most the logarithm of their number.
        """
        # Entropy of the mean, less the mean of each: the same number. `entr` takes no logarithm of 0.
        entropy = torch.special.entr
        return entropy(beliefs.mean(dim=0)).sum(dim=-1) - entropy(beliefs).sum(dim=-1).mean(dim=0)

    def score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy."""
        y, predicted = self.column(y), self.column(predicted, "predicted")
        for labels in (y, predicted):
            self.check_column(labels)
        if len(y) and len(predicted) and isinstance(y[0], str) != isinstance(predicted[0], str):
            raise ValueError(
                f"y and predicted must both be text or both be numbers, got {show(y[0])} and "
                f"{show(predicted[0])}."
            )
        return float(accuracy_score(y, predicted, sample_weight=as_weights(sample_weight)))

    def right_by_class(self, y: np.ndarray, predicted: np.ndarray) -> list[tuple[Any, int, int]]:
        """Return each label in `y`, sorted, with how many of its rows are right and how many it has."""
        right, labels = np.asarray(y) == np.asarray(predicted), np.asarray(y)
        return [
            (label, int(right[labels == label].sum()), int((labels == label).sum()))
            for label in np.unique(labels).tolist()
        ]

    def agreement(self, old: np.ndarray, new: np.ndarray) -> float:
        """Return Cohen's kappa."""
        # Of constant predictions kappa is undefined.
        return 1.0 if np.array_equal(old, new) else float(cohen_kappa_score(old, new))


def _plain(label: object) -> bool | int | float | str:
    """Return a label as Python has it.

    Raises
    ------
    ValueError
        If no classifier can be trained on it, or it does not survive being written down.
    """
    plain = label.item() if isinstance(label, np.generic) else label
    if isinstance(plain, float) and not plain.is_integer():  # NaN and infinity among them
        raise ValueError(f"A class label that is a number must be a whole number, got {plain!r}.")
    if not isinstance(plain, bool | int | float | str):
        raise ValueError(
            f"A class label must be a bool, a whole number or a text, got {_shown(label)} of type "
            f"{type(label).__name__}. Turn it into text with str(), or into a number."
        )
    return plain


def _shown(label: object) -> str:
    """Return a label as an error shows it."""
    text = repr(label)
    return text if len(text) <= 100 else f"{text[:80]} ... ({len(text)} characters)"
