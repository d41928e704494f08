"""Several classes at once for each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.metrics import cohen_kappa_score, f1_score
from torch import Tensor, nn

from ..utils.checks import show
from ..utils.columns import to_column, to_scalar
from ..utils.scalars import from_json, to_json
from ..utils.spelling import nearest
from ..utils.tensors import to_host
from .base import BaseTarget, as_weights
from .classes import Classes

_TRIED = 20  # rows of labels that a network is rehearsed with


class _Held(tuple):
    """The classes that hold, as they are kept: never a row of 0 and 1, even if it looks like one."""

    __slots__ = ()


class Labels(BaseTarget):
    """Several classes at once, or none, for each row: which of them hold.

    A label is a row of 0 and 1, one for each class, or a list of the classes that hold. It is kept as a tuple
    of these, sorted. A list of as many numbers as there are classes, each 0 or 1, is a row of 0 and 1; a set
    always holds classes.

    Parameters
    ----------
    classes : array-like of shape (n_classes,), default=None
        All that may hold, numbers or texts. None: those of `y`; columns of 0 and 1 have the numbers from 0.

    Examples
    --------
    >>> from skalss.targets import Labels
    >>> target = Labels(["car", "dog", "sky"])
    >>> target.check(["sky", "car"]), target.check([0, 0, 0])
    (('car', 'sky'), ())
    >>> target.as_array([("car", "sky"), ()]).tolist()
    [[1, 0, 1], [0, 0, 0]]
    """

    estimator_type = "classifier"
    task = "multilabel"
    metric, metric_title = "f1_macro", "macro F1"
    numeric = False
    has_probabilities = True
    independent = True
    written_as = "list"
    accuracy_of_rows = False  # the share of rows of which all labels are right is another thing
    # Of 15 ways on four sets (`benchmarks labels`, five seeds) three lost on none, this gained most. Doubt
    # gains more where labels are free of noise, and loses elsewhere.
    auto_strategy, auto_initial = "lcmd", "kmeans"
    can_spread = False

    def __init__(self, classes: ArrayLike | None = None):
        self.know(classes)

    def __repr__(self) -> str:
        return "Labels()" if self.classes is None else f"Labels({self.classes.tolist()})"

    def know(self, labels: ArrayLike | None) -> None:
        """Take these as all classes that may hold; None: not known yet."""
        self.classes = Classes(labels).classes
        known = [] if self.classes is None else self.classes.tolist()
        self._place = {label: i for i, label in enumerate(known)}

    # -- what a labeller may answer ---------------------------------------------------------------

    def column(self, y: ArrayLike, name: str = "y") -> np.ndarray:
        """Return an array (n_samples, n_classes) of 0 and 1, or one (n_samples,) of lists or None."""
        if issparse(y):
            return np.asarray(y.toarray())  # type: ignore[union-attr]
        on_host: Any = to_host(y)
        if isinstance(on_host, np.ndarray) and on_host.ndim == 2:
            return on_host
        found = to_column(on_host) if not isinstance(on_host, list | tuple) else None
        if found is not None and found.ndim == 2:
            return found
        if found is not None and found.ndim != 1:
            raise ValueError(
                f"{name} must hold a row of 0 and 1, or a list of classes, for each row, got {show(y)}."
            )
        rows = list(on_host) if found is None else found.tolist()
        sizes = {len(row) if isinstance(row, list | tuple | np.ndarray) else 0 for row in rows}
        size = sizes.pop() if found is None and len(sizes) == 1 else 0
        if size > 1 and all(_is_indicator(row, size) for row in rows):
            return np.array([[to_scalar(one) for one in row] for row in rows])
        column = np.empty(len(rows), dtype=object)
        for i, row in enumerate(rows):
            column[i] = None if _is_missing(row) else row
        for row in column:
            if row is not None and (isinstance(row, str | bytes | Mapping) or not np.iterable(row)):
                raise ValueError(
                    f"{name} must hold a row of 0 and 1, or a list of classes, for each row, got {show(row)}."
                )
        return column

    def checked_column(self, y: ArrayLike) -> np.ndarray:
        """Return the labels of training rows, or refuse them."""
        return self.whole_column(y)

    def take_examples(self, y: np.ndarray) -> None:
        """Take the classes, where they are not known."""
        if self.classes is None:
            self.know(_classes_of(y))

    def has_new(self, y: np.ndarray) -> bool:
        """Return False: all classes are known from the start."""
        return False

    def missing(self, y: np.ndarray) -> np.ndarray:
        """Tell which rows have no label: bool array of shape (n_samples,)."""
        if y.ndim == 1:
            return np.array([_is_missing(row) for row in y], dtype=bool)
        return np.array([all(_is_missing(one) for one in row) for row in y], dtype=bool)

    def learn(self, y: np.ndarray) -> None:
        """Take the classes of a column as all that may hold, where they are not known, and check each row."""
        if self.classes is None:
            self.know(_classes_of(y))
        self.check_column(y)

    def check(self, answer: object) -> tuple[Any, ...]:
        """Return the classes that hold, sorted."""
        if self.classes is None:
            raise ValueError(
                "Which labels there are must be known before the first answer. Name them: classes=['car', "
                "'dog'], or classes=range(14)."
            )
        got = to_host(answer)
        if isinstance(got, str | bytes | Mapping) or not np.iterable(got):
            raise ValueError(
                f"The label of a row must be a list of classes, or a row of 0 and 1, got {show(answer)}. For "
                "a single class write a list of one."
            )
        row = [to_scalar(one) for one in got]
        if _is_indicator(got, self.n_classes):
            return _Held(label for label, one in zip(self.classes.tolist(), row, strict=True) if one)
        if isinstance(got, np.ndarray) and got.dtype.kind in "biuf" and isinstance(self.classes[0], np.str_):
            raise ValueError(
                f"The label of a row must be {self.n_classes} numbers, each 0 or 1, got {show(answer)}: "
                f"{len(row)} numbers. They are for {self.classes.tolist()}, in this order."
            )
        found = [one.item() if isinstance(one, np.generic) else one for one in row]
        unknown = [one for one in found if not _hashable(one) or one not in self._place]
        if unknown:
            near = nearest(unknown[0], self._place)
            hint = "" if near is None else f"Did you mean {near!r}? "
            raise ValueError(
                f"The label {show(unknown[0])} is outside classes: {self.classes.tolist()}. {hint}Name every "
                f"label in classes=, or give {self.n_classes} numbers, each 0 or 1."
            )
        holding = set(found)
        return _Held(label for label in self.classes.tolist() if label in holding)

    def same(self, first: Any, second: Any) -> bool:
        """Tell whether the same classes hold."""
        return isinstance(first, tuple) and isinstance(second, tuple) and first == second

    def check_column(self, y: np.ndarray) -> None:
        """Refuse rows that are no labels."""
        if y.ndim > 2:
            raise ValueError(f"y must have shape (n_samples, n_classes), got {y.shape}.")
        if y.ndim == 2:
            if not y.size:
                raise ValueError(f"y has shape {y.shape}: there is no label in it.")
            numbers = y.dtype.kind in "biuf" and bool(np.isin(y, (0, 1)).all())
            if self.classes is not None and y.shape[1] != self.n_classes:
                raise ValueError(
                    f"y has {y.shape[1]} columns, and there are {self.n_classes} classes: "
                    f"{self.classes.tolist()}. Give one column of 0 and 1 for each, in this order."
                )
            if not numbers:
                wrong = y[~np.isin(y, (0, 1))] if y.dtype.kind in "biuf" else y.ravel()
                raise ValueError(
                    f"y must hold 0 and 1, one column for each class, got {wrong[0]}. To learn values, "
                    "pass a regressor as estimator."
                )
            return
        known = self if self.classes is not None else Labels(_classes_of(y))
        for row in y:
            known.check(row)

    def as_array(self, labels: Sequence[Any]) -> np.ndarray:
        """Return labels as an int64 array of 0 and 1, of shape (n_labels, n_classes)."""
        made = np.zeros((len(labels), self.n_classes), dtype=np.int64)
        for i, label in enumerate(labels):
            held = label if isinstance(label, tuple) else self.check(label)
            made[i, [self._place[one] for one in held]] = 1
        return made

    def to_text(self, label: Any) -> str | bytes:
        """Write the classes that hold as a list in JSON."""
        return f"[{', '.join(to_json(one) for one in label)}]"

    def from_text(self, text: str | bytes) -> Any:
        """Read what `to_text` wrote."""
        found = from_json(text)  # type: ignore[arg-type]
        if not isinstance(found, list):
            raise ValueError(f"The label of a row must be a list of classes, got {show(found)}.")
        return _Held(found)

    # -- what a network is trained on -------------------------------------------------------------

    def fitted(self, y: np.ndarray) -> Self:
        """Return a target that knows the classes."""
        made = self.copy()
        if made.classes is None:
            made.know(_classes_of(self.column(y)))
        made.check_column(self.column(y))
        return made

    @property
    def n_outputs(self) -> int:
        """One for each class."""
        return max(1, self.n_classes)

    def width_fault(self, width: int) -> str | None:
        """Say that there must be an output for each class."""
        needed = self.n_outputs
        return None if width == needed else f"{needed} labels need width {needed}, one for each"

    def examples(self) -> np.ndarray:
        """Return rows with one class each, and one with none."""
        n = max(2, self.n_classes)
        return np.concatenate([np.eye(n, dtype=np.int64)[:_TRIED], np.zeros((1, n), dtype=np.int64)])

    def made_up(self, n: int, known: Sequence[Any] = ()) -> np.ndarray:
        """Return `examples`, again and again."""
        examples = self.examples()
        return examples[np.arange(n) % len(examples)]

    def nonlinearity(self, criterion: object) -> Callable[[Tensor], Tensor] | None:
        """Return the logistic function, or nothing where the module has one itself."""
        return _as_they_are if isinstance(criterion, nn.BCELoss) else torch.sigmoid

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return 0 and 1 in float32, of shape (n_samples, n_classes)."""
        rows = self.column(y)
        self.check_column(rows)
        return (self.as_array(list(rows)) if rows.ndim == 1 else rows).astype(np.float32)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return 0 and 1: which probabilities (n_samples, n_classes) are above a half."""
        return (output > 0.5).astype(np.int64)

    def get_state(self) -> dict[str, Any]:
        """Return the classes."""
        return {"classes": self.classes}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Return a target with these classes."""
        made = self.copy()
        made.know(np.asarray(state["classes"]))
        return made

    @property
    def fitted_attributes(self) -> dict[str, Any]:
        """The classes, as every classifier shows them."""
        return {"classes_": self.classes}

    # -- what comes of it -------------------------------------------------------------------------

    def beliefs(self, output: Tensor) -> Tensor:
        """Return the probability of each class."""
        return output

    def believed_by(self, model: BaseEstimator, X: ArrayLike) -> np.ndarray:
        """Return probabilities; 0 and 1 where an estimator has none."""
        if hasattr(model, "predict_proba"):
            return model.predict_proba(X)
        return np.asarray(model.predict(X), dtype=np.float64)

    def chances(self, logits: Tensor) -> Tensor:
        """Return the probability of each class."""
        return logits.sigmoid()

    def log_odds(self, P: np.ndarray) -> np.ndarray:
        """Return the logarithm of how much likelier each class holds than not."""
        tiny = np.finfo(np.float32).tiny
        return (np.log(np.maximum(P, tiny)) - np.log(np.maximum(1 - P, tiny))).astype(np.float32)

    def mean_score(
        self, function: Callable[..., Tensor], logits: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Return the mean over the classes of a score of two: that it holds, and that it does not."""
        found = []
        for i in range(logits.shape[1]):
            two = torch.stack([torch.zeros_like(logits[:, i]), logits[:, i]], dim=1)
            rows = None if weight is None else torch.stack([torch.zeros_like(weight[i]), weight[i]])
            found.append(function(two) if rows is None else function(two, rows))
        return torch.stack(found).mean(dim=0)

    def present(self, beliefs: Tensor) -> np.ndarray:
        """Tell which classes each row is taken to have."""
        return (beliefs > 0.5).cpu().numpy()

    def present_in(self, y: np.ndarray) -> np.ndarray:
        """Tell which classes each label holds."""
        return self.encode(y) > 0.5

    def doubt(self, beliefs: Tensor) -> Tensor:
        """Return minus the mean gap of holding and not holding: from -1, sure of all, to 0."""
        return -(2 * beliefs - 1).abs().mean(dim=1)

    def disagreement(self, beliefs: Tensor) -> Tensor:
        """Return the mean over classes of the divergence from the mean of the members, in nats."""
        return (_entropy(beliefs.mean(dim=0)) - _entropy(beliefs).mean(dim=0)).mean(dim=-1)

    def score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean over classes of F1; of a class that no row has, or is taken to have, it is 0."""
        y = self.encode(self.column(y))
        weights = as_weights(sample_weight)
        return float(f1_score(y, predicted, average="macro", sample_weight=weights, zero_division=0.0))

    def scorer(self, name: str) -> Callable[..., float] | None:
        """Return macro F1 by its name; scikit-learn's own warns of classes that no row has."""
        return self.score if name == self.metric else None

    def right_by_class(self, y: np.ndarray, predicted: np.ndarray) -> list[tuple[Any, int, int]]:
        """Return each class that a row has, with how many of its rows are found and how many it has."""
        truth, found = np.asarray(y).astype(bool), np.asarray(predicted).astype(bool)
        labels = [] if self.classes is None else self.classes.tolist()
        return [
            (label, int((truth[:, i] & found[:, i]).sum()), int(truth[:, i].sum()))
            for i, label in enumerate(labels)
            if truth[:, i].any()
        ]

    def agreement(self, old: np.ndarray, new: np.ndarray) -> float:
        """Return Cohen's kappa over all classes of all rows."""
        if np.array_equal(old, new):
            return 1.0
        return float(cohen_kappa_score(np.ravel(old), np.ravel(new)))

    def shades(self, labels: Sequence[Any]) -> np.ndarray:
        """Return how many classes hold."""
        return np.array([len(label) for label in labels], dtype=np.float64)


def _entropy(P: Tensor) -> Tensor:
    return torch.special.entr(P) + torch.special.entr(1 - P)


def _as_they_are(output: Tensor) -> Tensor:
    return output


def _is_missing(row: object) -> bool:
    """Whether a row is None, NaN or pandas' NA."""
    if row is None:
        return True
    return type(row).__name__ == "NAType" or (isinstance(row, float | np.floating) and row != row)


def _is_indicator(row: object, n: int) -> bool:
    """Whether a row is as many numbers as there are classes, each 0 or 1."""
    if isinstance(row, _Held | Set | str | bytes | Mapping) or not np.iterable(row):
        return False
    ones = [to_scalar(one) for one in row]
    numbers = all(isinstance(one, bool | int | float | np.bool_ | np.number) for one in ones)
    return numbers and len(ones) == n and all(one in (0, 1) for one in ones)


def _classes_of(y: np.ndarray) -> Any:
    """Return all classes that rows name; the numbers of the columns of 0 and 1."""
    if y.ndim == 2:
        return np.arange(y.shape[1])
    return sorted({to_scalar(one) for row in y if row is not None for one in row}, key=_sort_key)


def _sort_key(label: Any) -> tuple[bool, Any]:
    return isinstance(label, str), label


def _hashable(value: object) -> bool:
    return isinstance(value, bool | int | float | str)
