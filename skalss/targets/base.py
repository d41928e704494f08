"""What a kind of y has to answer for."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import assert_all_finite, check_array, column_or_1d
from torch import Tensor

from ..utils.checks import reading
from ..utils.columns import to_column
from ..utils.scalars import from_json, to_json
from ..utils.tensors import to_host


class BaseTarget(ABC):
    """A kind of y: what an answer may be, how a network is trained on it, and what its output says.

    A campaign has one, which knows what answers may be; `fitted` returns another one, which also knows the
    labels that a network was trained on.

    Attributes
    ----------
    estimator_type : str
        That of the estimators it is for, in the words of scikit-learn's tags.
    task : str
        The word of strategies and ledgers for it.
    metric : str
        Name of the scorer that is used by default.
    metric_title : str
        What a picture calls it.
    numeric : bool
        Whether labels must be numbers.
    has_probabilities : bool
        Whether estimators predict probabilities.
    auto_strategy, auto_initial : str
        Names of the strategies that are the best we have: later, and for the first rows.
    can_spread : bool
        Whether labels can be spread to unlabelled rows as pseudo-labels.
    independent : bool
        Whether each class holds or not by itself.
    is_map : bool
        Whether a label is an array with a number for each pixel or voxel.
    written_as : str
        How a table writes a label, where it is no scalar: ``"list"``, or ``"array"``, a file of its own.
    accuracy_of_rows : bool
        Whether the score ``"accuracy"`` is the share of rows that are right.
    classes : array of shape (n_classes,) or None
        All labels that may come, sorted; None: not known, or there are none.
    """

    estimator_type: ClassVar[str]
    task: ClassVar[str]
    metric: ClassVar[str]
    metric_title: ClassVar[str]
    numeric: ClassVar[bool]
    has_probabilities: ClassVar[bool]
    auto_strategy: ClassVar[str]
    auto_initial: ClassVar[str]
    can_spread: ClassVar[bool]
    independent: ClassVar[bool] = False
    is_map: ClassVar[bool] = False
    written_as: str = ""
    accuracy_of_rows: ClassVar[bool] = True
    classes: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def copy(self) -> Self:
        """Return a target of its own with the same settings."""
        return copy.deepcopy(self)

    @property
    def n_classes(self) -> int:
        """Number of classes that are known; 0 where there are none."""
        return 0 if self.classes is None else len(self.classes)

    # -- what a labeller may answer ---------------------------------------------------------------

    def column(self, y: ArrayLike, name: str = "y") -> np.ndarray:
        """Return y as the user gave it as an array with one entry for each row; missing ones stay missing."""
        return column_or_1d(to_column(y), dtype=None, input_name=name)

    def checked_column(self, y: ArrayLike) -> np.ndarray:
        """Return the labels of training rows as an array, or refuse them.

        Raises
        ------
        ValueError
        """
        checked = column_or_1d(to_host(y), warn=True)
        assert_all_finite(checked, input_name="y")
        if self.numeric and checked.dtype == object:
            checked = checked.astype(np.float64)
        self.check_column(checked)
        return checked

    def whole_column(self, y: ArrayLike) -> np.ndarray:
        """Return a column of labels that are no scalars, or refuse it.

        Raises
        ------
        ValueError
            If a label is missing, or cannot be one.
        """
        found = self.column(y)
        if self.missing(found).any():
            raise ValueError("y has missing labels. Leave out the rows that have none, of X, too.")
        self.check_column(found)
        return found

    @abstractmethod
    def check(self, answer: object) -> Any:
        """Return a label as it is kept.

        Raises
        ------
        ValueError
            If it cannot be one, with what can be.
        """

    @abstractmethod
    def check_column(self, y: np.ndarray) -> None:
        """Refuse labels that no estimator of this kind can be trained on.

        Raises
        ------
        ValueError
        """

    def know(self, labels: ArrayLike | None) -> None:  # noqa: B027 (most kinds have nothing to know)
        """Take these as all labels that may come, where that limits what may be answered."""

    def know_rows(self, row_shape: tuple[int, ...]) -> None:  # noqa: B027 (only a map is as large as its row)
        """Take this as the shape of a row, where that of a label follows from it."""

    def learn(self, y: np.ndarray) -> None:
        """Take a column without missing labels as all that may come, and refuse labels that cannot be.

        Raises
        ------
        ValueError
        """
        self.check_column(y)
        if self.classes is None:
            self.know(y)
        for label in [] if self.numeric else np.unique(y):
            self.check(label)

    def take_examples(self, y: np.ndarray) -> None:  # noqa: B027 (of most kinds one label says all)
        """Take some labels of a column as examples of what will come: how many values or classes each has."""

    def has_new(self, y: np.ndarray) -> bool:
        """Tell whether labels hold a class that is none of those known."""
        return self.classes is not None and not bool(np.isin(y, self.classes).all())

    def missing(self, y: np.ndarray) -> np.ndarray:
        """Tell which rows of a column have no label: bool array of shape (n_samples,)."""
        return np.asarray(pd.isna(y))

    def same(self, first: Any, second: Any) -> bool:
        """Tell whether two labels, as they are kept, are one."""
        return type(first) is type(second) and bool(first == second)

    def remember(self, labels: Sequence[Any]) -> None:  # noqa: B027 (most kinds compare with none)
        """Take these as labels that came before, which `check` compares the next ones with."""

    @abstractmethod
    def as_array(self, labels: Sequence[Any]) -> np.ndarray:
        """Return checked labels as an array of shape (n_labels, ...)."""

    def to_text(self, label: Any) -> str | bytes:
        """Write a label for a ledger, so that its type comes back with it."""
        return to_json(label)

    def from_text(self, text: str | bytes) -> Any:
        """Read a label that `to_text` wrote."""
        return from_json(text)  # type: ignore[arg-type]

    @property
    def spec(self) -> dict[str, Any]:
        """What besides the classes limits what may be answered, for a ledger: numbers and lists by name."""
        return {}

    def take_spec(self, spec: Mapping[str, Any]) -> Self:
        """Return itself, with what the `spec` of another target says.

        Raises
        ------
        ValueError
            If it is none of this kind.
        """
        if spec:
            raise ValueError(f"{self!r} has no {sorted(spec)}.")
        return self

    # -- what a network is trained on -------------------------------------------------------------

    @abstractmethod
    def fitted(self, y: np.ndarray) -> Self:
        """Return a target that encodes labels like these; all that may come, where they are known."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """Width of the output that a network needs."""

    @abstractmethod
    def width_fault(self, width: int) -> str | None:
        """Say what width is needed if an output of this width does not do; None if it does."""

    def output_fault(self, shape: tuple[int, ...]) -> str | None:
        """Say what is needed if a module's output of this shape for a row does not do; None if it does."""
        if len(shape) > 1:
            return "it must be flat for each row"
        return self.width_fault(shape[0] if shape else 1)

    @abstractmethod
    def examples(self) -> np.ndarray:
        """Return labels to rehearse a training with, before there are any."""

    def made_up(self, n: int, known: Sequence[Any] = ()) -> np.ndarray:
        """Return labels like those that will come, each of them about as often: an array (n, ...).

        Parameters
        ----------
        n : int
        known : sequence of labels, default=()
            Those of given and held-out rows; they count where no classes are named.
        """
        examples = self.examples()
        if self.classes is None and len(known):
            examples = np.unique(self.as_array(known))
        return examples[np.arange(n) % len(examples)]

    def nonlinearity(self, criterion: object) -> Callable[[Tensor], Tensor] | None:
        """Return what makes beliefs of a module's output that is trained by a criterion.

        None: skorch knows.
        """
        return None

    @abstractmethod
    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return what a network is trained on: whole numbers, or float32, of shape (n_samples, ...).

        Raises
        ------
        ValueError
            If a label is none of those that are known.
        """

    @abstractmethod
    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return the labels that an output of shape (n_samples, n_outputs) stands for."""

    @abstractmethod
    def get_state(self) -> dict[str, Any]:
        """Return what `fitted` learned: numbers, text and arrays by name."""

    @abstractmethod
    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Return a target with the state that `get_state` returned."""

    @property
    def fitted_attributes(self) -> dict[str, Any]:
        """What a fitted estimator shows of it, by the name of the attribute."""
        return {}

    # -- what comes of it -------------------------------------------------------------------------

    @abstractmethod
    def beliefs(self, output: Tensor) -> Tensor:
        """Return what an output says, differentiably: probabilities (n, n_classes), or values in units of y.

        Parameters
        ----------
        output : float tensor of shape (n_samples, n_outputs)
            Probabilities, or values as `encode` returns them.
        """

    @abstractmethod
    def believed_by(self, model: BaseEstimator, X: ArrayLike) -> np.ndarray:
        """Return what a fitted estimator says of rows, as `beliefs` returns it."""

    def chances(self, logits: Tensor) -> Tensor:
        """Return the probabilities that class scores stand for; values pass as they are."""
        return logits.softmax(dim=1) if self.has_probabilities else logits

    def log_odds(self, P: np.ndarray) -> np.ndarray:
        """Return class scores of which `chances` makes these probabilities, as wide as a network's output."""
        return _log(P)

    def mean_score(
        self, function: Callable[..., Tensor], logits: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Return a score of rows by their class scores, as `skalss.scores` has them; its mean over a label.

        Parameters
        ----------
        function : callable
            From class scores (n, n_classes) to numbers (n,); with `weight`, the rows of the last layer come
            second.
        logits : float tensor of shape (n_samples, n_outputs, ...)
        weight : float tensor of shape (n_outputs, n_features), default=None

        Returns
        -------
        score : float tensor of shape (n_samples,)
        """
        return function(logits) if weight is None else function(logits, weight)

    def each_class(self, y: np.ndarray) -> np.ndarray:
        """Return every class that labels hold, as often as they do: an array of shape (n,)."""
        return y

    def present(self, beliefs: Tensor) -> np.ndarray:
        """Tell which classes each row is taken to have: bool array of shape (n_samples, n_classes)."""
        best = beliefs[:, : self.n_classes].argmax(dim=1).cpu().numpy()
        return best[:, None] == np.arange(self.n_classes)

    def present_in(self, y: np.ndarray) -> np.ndarray:
        """Tell which classes each label holds: bool array of shape (n_labels, n_classes)."""
        return self.encode(y)[:, None] == np.arange(self.n_classes)

    @abstractmethod
    def doubt(self, beliefs: Tensor) -> Tensor:
        """Return how unsure each row is, of shape (n_samples,): the larger, the more unsure.

        Raises
        ------
        ValueError
            If one prediction says nothing of that.
        """

    @abstractmethod
    def disagreement(self, beliefs: Tensor) -> Tensor:
        """Return how far the members of a committee are apart on each row.

        Parameters
        ----------
        beliefs : float tensor of shape (n_members, n_samples, ...)

        Returns
        -------
        disagreement : float tensor of shape (n_samples,)
        """

    @abstractmethod
    def score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None = None) -> float:
        """Return the score by `metric`; the higher, the better."""

    def scorer(self, name: str) -> Callable[..., float] | None:
        """Return a score of (y, predicted, sample_weight) by a name that this kind of y has of its own.

        None: the name is one of scikit-learn's, or of none.
        """
        return None

    def certain(self, y: np.ndarray) -> np.ndarray:
        """Return the probabilities of a fitted network that is sure of these labels."""
        return self.present_in(y).astype(float)

    def errors(self, y: np.ndarray, predicted: np.ndarray) -> np.ndarray | None:
        """Return the errors of values, flat; None where there are classes."""
        return None

    def shades(self, labels: Sequence[Any]) -> np.ndarray:
        """Return one number or class for each label, to colour it by in a picture."""
        return np.array(labels)

    def right_by_class(self, y: np.ndarray, predicted: np.ndarray) -> list[tuple[Any, int, int]]:
        """Return each label in `y`, sorted, with how many of its rows are right and how many it has.

        Nothing where there are no classes.
        """
        return []

    @abstractmethod
    def agreement(self, old: np.ndarray, new: np.ndarray) -> float:
        """Return how far two sets of predictions agree; 1 if they are equal, about 0 by chance."""


def as_weights(sample_weight: ArrayLike | None) -> np.ndarray | None:
    """Return the weights of rows as an array of shape (n_samples,); None: all rows weigh the same."""
    if sample_weight is None:
        return None
    found = column_or_1d(to_column(sample_weight), input_name="sample_weight")
    if found.dtype.kind not in "biufO":
        raise ValueError(f"sample_weight must hold numbers, got an array of dtype {found.dtype}.")
    with reading("sample_weight"):
        return check_array(found, dtype="numeric", ensure_2d=False, input_name="sample_weight")


def _log(P: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(P, np.finfo(np.float32).tiny)).astype(np.float32)
