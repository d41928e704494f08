"""A class or a value for each pixel or voxel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import cohen_kappa_score, confusion_matrix, r2_score
from torch import Tensor

from ..scores import margin
from ..utils.arrays import pack, unpack
from ..utils.checks import LARGEST_VALUE, checked_shape, is_whole, show
from ..utils.tensors import to_host
from .base import BaseTarget, as_weights
from .classes import Classes

_SCORES = ("mean_iou", "dice", "accuracy")


class BaseMap(BaseTarget):
    """Base of the kinds of y with a number for each pixel or voxel.

    Parameters
    ----------
    shape : tuple of int, default=None
        Of a label. None: that of a row without its channels; for flat rows, that of the first label.
    """

    is_map = True
    written_as = "array"
    accuracy_of_rows = False
    can_spread = False

    def __init__(self, shape: Sequence[int] | None = None):
        self.shape = None if shape is None else checked_shape("shape", shape)
        self._from_rows = False
        self._said = self.shape  # by whoever made it, where rows have another one

    def know_rows(self, row_shape: tuple[int, ...]) -> None:
        """Take the shape of a label from that of a row (n_channels, height, width) or deeper."""
        if len(row_shape) >= 3 and self._said == tuple(row_shape[1:]):
            self._said = None
        if self.shape is None and len(row_shape) >= 3:
            self.shape, self._from_rows = tuple(row_shape[1:]), True

    def remember(self, labels: Sequence[Any]) -> None:
        """Take the shape of maps that came before, where it is not known."""
        for label in labels[:1]:
            self.shape = np.shape(label) if self.shape is None else self.shape

    @property
    def spec(self) -> dict[str, Any]:
        """The shape, where it was said and is not that of the rows."""
        return {} if self._said is None else {"shape": list(self._said)}

    def take_spec(self, spec: Mapping[str, Any]) -> Self:
        """Return itself, with the shape of another target."""
        if "shape" in spec:
            self.shape = self._said = checked_shape("shape", spec["shape"])
        return self

    def column(self, y: ArrayLike, name: str = "y") -> np.ndarray:
        """Return maps as an array (n_samples, ...); where some are None, as objects of shape (n_samples,)."""
        on_host: Any = to_host(y)
        if isinstance(on_host, pd.Series):
            on_host = on_host.tolist()
        if isinstance(on_host, np.ndarray) and on_host.dtype != object:
            return on_host
        if isinstance(on_host, str | bytes | Mapping) or not np.iterable(on_host):
            raise ValueError(f"{name} must hold a map for each row, got {show(y)}.")
        rows = [None if row is None or row is pd.NA else self._read(row) for row in on_host]
        shapes = {row.shape for row in rows if row is not None}
        if len(shapes) > 1:
            raise ValueError(
                f"{name} holds maps of several shapes, such as {sorted(shapes)[:2]}. Give all of them the "
                "same "
                "one: crop or pad them with their rows."
            )
        if not rows:
            raise ValueError(f"{name} must hold a map for each row, got none: {show(y)}.")
        known = [row for row in rows if row is not None]
        if len(known) == len(rows):
            return np.stack(known)
        column = np.empty(len(rows), dtype=object)
        for i, row in enumerate(rows):
            column[i] = row
        return column

    @staticmethod
    def _read(row: object) -> np.ndarray:
        if isinstance(row, np.ma.MaskedArray) and row.dtype.kind == "f":
            return row.filled(np.nan)
        try:
            return np.asarray(to_host(row))
        except ValueError as error:  # lists of unequal length
            raise ValueError(
                f"A map must be an array with a number for each pixel, got {show(row)}."
            ) from error

    def checked_column(self, y: ArrayLike) -> np.ndarray:
        """Return the maps of training rows, or refuse them."""
        found = self.column(y)
        if self.missing(found).any():
            raise ValueError("y has missing labels. Leave out the rows that have none, of X, too.")
        self.check_column(found)
        return found

    def missing(self, y: np.ndarray) -> np.ndarray:
        """Tell which rows have no map: bool array of shape (n_samples,)."""
        if y.dtype != object:
            return np.zeros(len(y), dtype=bool)
        return np.array([row is None for row in y], dtype=bool)

    def same(self, first: Any, second: Any) -> bool:
        """Tell whether two maps are one."""
        both = np.asarray(first), np.asarray(second)
        return both[0].shape == both[1].shape and np.array_equal(*both, equal_nan=both[0].dtype.kind == "f")

    def check_column(self, y: np.ndarray) -> None:
        """Refuse maps that no network can be trained on, by their row."""
        if y.ndim < 3 and y.dtype != object:
            raise ValueError(
                f"y must hold a map for each row, of shape (n_samples, height, width) or deeper, got "
                f"{y.shape}."
            )
        for i, row in enumerate(y):
            try:
                self.check(row)
            except ValueError as error:
                raise ValueError(f"y[{i}]: {error}") from error

    def learn(self, y: np.ndarray) -> None:
        """Take the maps of a column as examples of all that may come."""
        self.check_column(y)

    def _check_shape(self, got: np.ndarray, allowed: Sequence[tuple[int, ...]]) -> None:
        """Refuse a map of another shape than others, or than its row."""
        if not allowed or got.shape in allowed:
            return
        of = "a row without its channels" if self._from_rows else "the others"
        raise ValueError(
            f"A map must have the shape {' or '.join(map(str, allowed))}, as {of}, got {got.shape}. "
            "Resize it "
            "with its row; or, where the network puts out another size, say shape=."
        )

    def as_array(self, labels: Sequence[Any]) -> np.ndarray:
        """Return maps as an array of shape (n_labels, ...)."""
        return np.stack([np.asarray(label) for label in labels]) if len(labels) else np.empty((0, 1, 1))

    def to_text(self, label: Any) -> str | bytes:
        """Write a map as bytes in NumPy's own format, with its dtype and shape."""
        return pack(np.ascontiguousarray(label))

    def from_text(self, text: str | bytes) -> Any:
        """Read what `to_text` wrote."""
        found = unpack(text)  # type: ignore[arg-type]
        found.setflags(write=False)
        return found

    def output_fault(self, shape: tuple[int, ...]) -> str | None:
        """Say that there must be an output for each pixel and class, or value."""
        positions = self.positions
        wanted = ("n", self.n_outputs, *(positions or ("height", "width")))
        text = f"a map needs an output of shape ({', '.join(map(str, wanted))})"
        if len(shape) < 2 or (positions is not None and tuple(shape[1:]) != positions):
            return text
        fault = self.width_fault(shape[0])
        return None if fault is None else f"{text}: {fault}"

    @property
    @abstractmethod
    def positions(self) -> tuple[int, ...] | None:
        """Height and width, or depth, too; None where they are not known yet."""

    @abstractmethod
    def _readable(self, row: np.ndarray) -> np.ndarray:
        """Return the numbers of a map that count, flat."""

    def weights_of(self, y: np.ndarray, sample_weight: ArrayLike | None, mask: np.ndarray) -> Any:
        """Return the weights of rows for each number that counts; None: all weigh the same."""
        weights = as_weights(sample_weight)
        if weights is None:
            return None
        return np.broadcast_to(weights.reshape(-1, *[1] * (y.ndim - 1)), y.shape)[mask]


class ClassMap(BaseMap):
    """A class for each pixel or voxel of a row: a mask, as for segmentation.

    Parameters
    ----------
    classes : array-like of int of shape (n_classes,), default=None
        All classes that may come. None: those that were seen.
    ignore : int, default=-1
        The value of pixels that nobody labelled. They are not trained on, and count in no score.
    shape : tuple of int, default=None
        Of a mask. None: that of a row without its channels; for flat rows, that of the first mask.

    Examples
    --------
    >>> import numpy as np
    >>> from skalss.targets import ClassMap
    >>> target = ClassMap([0, 3], ignore=255, shape=(2, 2))
    >>> target.check([[0, 3], [255, 0]]).tolist()
    [[0, 3], [255, 0]]
    >>> target.fitted(np.array([[[0, 3], [255, 0]]])).encode(np.array([[[0, 3], [255, 0]]])).tolist()
    [[[0, 1], [-1, 0]]]
    """

    estimator_type = "classifier"
    task = "segmentation"
    metric, metric_title = "mean_iou", "mean IoU"
    numeric = False
    has_probabilities = True
    # Codes of raw pixels say little of what a mask holds, neither for a start nor later (`benchmarks maps`).
    auto_strategy, auto_initial = "lcmd", "random"

    def __init__(
        self, classes: ArrayLike | None = None, ignore: int = -1, shape: Sequence[int] | None = None
    ):
        super().__init__(shape)
        if not is_whole(ignore):
            raise TypeError(f"ignore must be a whole number, got {show(ignore)}.")
        self.ignore = int(ignore)
        self._seen: set[int] = set()  # where the classes are not known
        self.know(classes)

    def __repr__(self) -> str:
        known = "" if self.classes is None else f"{self.classes.tolist()}, "
        return f"ClassMap({known}ignore={self.ignore})"

    def has_new(self, y: np.ndarray) -> bool:
        """Tell whether masks hold a class that is none of those known."""
        return self.classes is not None and bool(np.setdiff1d(self._found_in(y), self.classes).size)

    def know(self, labels: ArrayLike | None) -> None:
        """Take these as all classes that may come; None: any whole number."""
        found = Classes(labels).classes
        if found is not None and found.dtype.kind not in "biu" and not _are_whole(found):
            raise ValueError(f"The classes of a mask must be whole numbers, got {found[:5].tolist()}.")
        found = None if found is None else np.unique(found.astype(np.int64))
        if found is not None and self.ignore in found:
            raise ValueError(
                f"classes holds {self.ignore}, the value of pixels that nobody labelled. Leave it out, or "
                "set "
                "another ignore=."
            )
        self.classes = found

    def learn(self, y: np.ndarray) -> None:
        """Take the masks of a column as all that may come, where the classes are not known."""
        self.check_column(y)
        if self.classes is None:
            self.know(self._found_in(y))

    def _found_in(self, y: np.ndarray) -> np.ndarray:
        found = np.unique(np.concatenate([np.unique(row) for row in y]))
        return found[found != self.ignore]

    def check(self, answer: object) -> np.ndarray:
        """Return a mask as it is kept: whole numbers that are classes, or `ignore`; read-only."""
        got = self._read(answer) if answer is not None else np.array(None)
        if got.dtype.kind not in "biu" or got.ndim < 1:
            what = f"an array of dtype {got.dtype}" if got.ndim else show(answer)
            raise ValueError(
                f"The label of a row must be a mask of whole numbers, got {what}. For a value in each pixel, "
                "pass a regressor as estimator."
            )
        self._check_shape(got, [] if self.shape is None else [self.shape])
        found = np.unique(got)
        found = found[found != self.ignore]
        if not len(found):
            raise ValueError(
                f"The mask has no labelled pixel: all are {self.ignore}, the value for pixels that nobody "
                "labelled. Answer None where there is no label."
            )
        unknown = np.setdiff1d(found, found if self.classes is None else self.classes)
        if len(unknown):
            raise ValueError(
                f"The label holds the class {unknown[0]}, which is outside classes: {self._shown()}, or "
                f"{self.ignore} for pixels that nobody labelled. Name every class in classes=, or say "
                "ignore=."
            )
        if self.shape is None:
            self.shape = got.shape
        self._seen.update(found.tolist())
        kept = np.array(got, dtype=np.uint8 if got.dtype == bool else got.dtype)
        kept.setflags(write=False)
        return kept

    def _shown(self) -> str:
        assert self.classes is not None
        text = str(self.classes.tolist())
        return text if len(text) < 100 else f"{text[:80]} ..."

    @property
    def spec(self) -> dict[str, Any]:
        """The value of pixels that nobody labelled, and what a map says."""
        return {"ignore": self.ignore, **super().spec}

    def take_spec(self, spec: Mapping[str, Any]) -> Self:
        """Return itself, with the `ignore` and the shape of another target."""
        self.ignore = int(spec.get("ignore", self.ignore))
        return super().take_spec(spec)

    @property
    def positions(self) -> tuple[int, ...] | None:
        """Height and width, or depth, too."""
        return self.shape

    def _readable(self, row: np.ndarray) -> np.ndarray:
        return row[row != self.ignore]

    # -- what a network is trained on -------------------------------------------------------------

    def fitted(self, y: np.ndarray) -> Self:
        """Return a target that numbers the classes, or those in `y` where they are not known."""
        made = self.copy()
        y = made.column(y)
        made.shape = y.shape[1:]
        if made.classes is None:
            made.know(made._found_in(y))
        return made

    @property
    def n_outputs(self) -> int:
        """Number of classes, at least two."""
        return max(2, self.n_classes)

    def width_fault(self, width: int) -> str | None:
        """Say that there must be a channel for each class."""
        needed = self.n_classes
        return None if width >= needed else f"{needed} classes need as many channels"

    def examples(self) -> np.ndarray:
        """Return a mask of each class."""
        classes = np.arange(2) if self.classes is None else self.classes
        return np.stack([np.full(self.shape or (1, 1), label, dtype=np.int64) for label in classes])

    def made_up(self, n: int, known: Sequence[Any] = ()) -> np.ndarray:
        """Return masks in which every class comes, each pixel of another one."""
        classes = self.classes
        if classes is None:
            classes = self._found_in(self.as_array(known)) if len(known) else np.arange(2)
        size = (n, *(self.shape or (1, 1)))
        return classes[np.arange(np.prod(size)).reshape(size) % len(classes)]

    def nonlinearity(self, criterion: object) -> Callable[[Tensor], Tensor] | None:
        """Return the softmax over channels, or nothing where the module has it."""
        return _as_they_are if isinstance(criterion, torch.nn.NLLLoss) else _softmax

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the numbers of the classes from 0, int64; -1 where nobody labelled."""
        assert self.classes is not None
        y = self.column(y)
        ignored = y == self.ignore
        places = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
        wrong = (self.classes[places] != y) & ~ignored
        if wrong.any():
            raise ValueError(
                f"y holds classes outside of {self._shown()}: {np.unique(y[wrong])[:5].tolist()}. Name every "
                "class in classes=, or fit anew."
            )
        return np.where(ignored, -1, places).astype(np.int64)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return the class of the highest of the scores (n_samples, n_outputs, ...) in each pixel."""
        assert self.classes is not None
        return self.classes[output[:, : self.n_classes].argmax(axis=1)]

    def get_state(self) -> dict[str, Any]:
        """Return the classes, the value to be ignored, and the shape of a mask."""
        return {"classes": self.classes, "ignore": self.ignore, "shape": list(self.shape or ())}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Return a target with this state."""
        return type(self)(state["classes"], int(state["ignore"]), tuple(state["shape"]) or None)

    @property
    def fitted_attributes(self) -> dict[str, Any]:
        """The classes, as every classifier shows them."""
        return {"classes_": self.classes}

    # -- what comes of it -------------------------------------------------------------------------

    def beliefs(self, output: Tensor) -> Tensor:
        """Return the probabilities of the classes in each pixel."""
        P = output[:, : self.n_classes]
        return P / P.sum(dim=1, keepdim=True)

    def believed_by(self, model: BaseEstimator, X: ArrayLike) -> np.ndarray:
        """Return probabilities."""
        return model.predict_proba(X)

    def mean_score(
        self, function: Callable[..., Tensor], logits: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Return the mean over pixels of a score of their classes."""
        scores = logits.movedim(1, -1).reshape(-1, logits.shape[1])
        found = function(scores) if weight is None else function(scores, weight)
        return found.reshape(len(logits), -1).mean(dim=1)

    def each_class(self, y: np.ndarray) -> np.ndarray:
        """Return the class of each labelled pixel: an array of shape (n,)."""
        return self._readable(self.column(y))

    def present(self, beliefs: Tensor) -> np.ndarray:
        """Tell which classes each row is taken to have, in a pixel at least."""
        best = beliefs[:, : self.n_classes].argmax(dim=1).flatten(1)
        return torch.stack([(best == i).any(dim=1) for i in range(self.n_classes)], dim=1).cpu().numpy()

    def present_in(self, y: np.ndarray) -> np.ndarray:
        """Tell which classes each mask holds."""
        numbers = self.encode(y).reshape(len(y), -1)
        return np.stack([(numbers == i).any(axis=1) for i in range(self.n_classes)], axis=1)

    def doubt(self, beliefs: Tensor) -> Tensor:
        """Return minus the mean over pixels of the gap of the two highest probabilities."""
        return self.mean_score(lambda P: -margin(P), beliefs)

    def disagreement(self, beliefs: Tensor) -> Tensor:
        """Return the mean over pixels of the divergence from the mean of the members, in nats."""
        entropy = torch.special.entr
        apart = entropy(beliefs.mean(dim=0)).sum(dim=1) - entropy(beliefs).sum(dim=2).mean(dim=0)
        return apart.flatten(1).mean(dim=1)

    def score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean, over classes that occur, of intersection over union."""
        return self._scored("mean_iou", y, predicted, sample_weight)

    def scorer(self, name: str) -> Callable[..., float] | None:
        """Return ``"mean_iou"``, ``"dice"`` (mean over classes that occur) or ``"accuracy"`` of pixels."""
        if name not in _SCORES:
            return None
        return lambda y, predicted, sample_weight=None: self._scored(name, y, predicted, sample_weight)

    def _scored(
        self, name: str, y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None
    ) -> float:
        y, predicted = self.column(y), np.asarray(predicted)
        if y.shape != predicted.shape:
            raise ValueError(f"y has shape {y.shape}, and the predictions {predicted.shape}.")
        mask = y != self.ignore
        if not mask.any():
            raise ValueError(f"y has no labelled pixel: all are {self.ignore}.")
        weights = self.weights_of(y, sample_weight, mask)
        counts = confusion_matrix(y[mask], predicted[mask], sample_weight=weights)
        right, true, found = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
        if name == "accuracy":
            return float(right.sum() / counts.sum())
        dice = 2 * right / (true + found)
        return float((dice / (2 - dice)).mean() if name == "mean_iou" else dice.mean())

    def certain(self, y: np.ndarray) -> np.ndarray:
        """Return the probabilities of a network that is sure of these masks."""
        numbers = self.encode(y)
        return np.stack([numbers == i for i in range(self.n_classes)], axis=1).astype(float)

    def agreement(self, old: np.ndarray, new: np.ndarray) -> float:
        """Return Cohen's kappa over all pixels."""
        if np.array_equal(old, new):
            return 1.0
        return float(cohen_kappa_score(np.ravel(old), np.ravel(new)))

    def shades(self, labels: Sequence[Any]) -> np.ndarray:
        """Return the mean class of each mask."""
        return np.array([float(self._readable(np.asarray(label)).mean()) for label in labels])


class ValueMap(BaseMap):
    """A value for each pixel or voxel of a row, or several: a field. NaN where there is none.

    Parameters
    ----------
    shape : tuple of int, default=None
        Of a label: (height, width), or (n_values, height, width); volumes have a number more. None: that of a
        row without its channels, with or without an axis of values before; for flat rows, that of the first.

    Examples
    --------
    >>> import numpy as np
    >>> from skalss.targets import ValueMap
    >>> target = ValueMap().fitted(np.array([[[1.0, np.nan], [3.0, 3.0]]]))
    >>> target.score(np.array([[[1.0, np.nan], [3.0, 3.0]]]), np.array([[[1.0, 9.0], [3.0, 3.0]]]))
    1.0
    """

    estimator_type = "regressor"
    task = "field regression"
    metric, metric_title = "r2", "R²"
    numeric = True
    has_probabilities = False
    auto_strategy, auto_initial = "lcmd", "random"

    _mean: Any
    _scale: Any

    def __repr__(self) -> str:
        return "ValueMap()" if self.shape is None or self._from_rows else f"ValueMap({self.shape})"

    def check(self, answer: object) -> np.ndarray:
        """Return a field as it is kept: floats, NaN where there is no value; read-only."""
        got = self._read(answer) if answer is not None else np.array(None)
        if got.dtype.kind not in "iuf" or got.ndim < 1:
            what = f"an array of dtype {got.dtype}" if got.ndim else show(answer)
            raise ValueError(
                f"The label of a row must be an array of numbers, one for each pixel, got {what}. For "
                "classes, "
                "pass a classifier as estimator."
            )
        kept = np.array(got, dtype=got.dtype if got.dtype.kind == "f" else np.float64)
        if self.shape is None:
            allowed: list[tuple[int, ...]] = []
        elif self._from_rows and got.ndim == len(self.shape) + 1:
            allowed = [(got.shape[0], *self.shape), self.shape]
        else:
            allowed = [self.shape]
        self._check_shape(got, allowed)
        known = ~np.isnan(kept)
        if not known.any():
            raise ValueError(
                "The field has no value: every pixel is NaN. Answer None where there is no label."
            )
        if not (np.abs(kept[known]) <= LARGEST_VALUE).all():
            raise ValueError(
                f"The label holds {kept[known][np.abs(kept[known]).argmax()]:g}; values must lie within "
                f"{LARGEST_VALUE:g} of 0. Answer NaN for pixels without a value."
            )
        self.shape, self._from_rows = got.shape, self._from_rows and got.shape == self.shape
        kept.setflags(write=False)
        return kept

    @property
    def _has_channels(self) -> bool:
        """Whether a label has an axis of values before its pixels."""
        return self.shape is not None and self._n_axes is not None and len(self.shape) == self._n_axes + 1

    _n_axes: int | None = None  # of pixels

    def know_rows(self, row_shape: tuple[int, ...]) -> None:
        """Take the shape of a label from that of a row."""
        if len(row_shape) >= 3:
            self._n_axes = len(row_shape) - 1
        super().know_rows(row_shape)

    @property
    def positions(self) -> tuple[int, ...] | None:
        """Height and width, or depth, too."""
        return self.shape if self.shape is None or not self._has_channels else self.shape[1:]

    def _readable(self, row: np.ndarray) -> np.ndarray:
        return row[~np.isnan(row)]

    # -- what a network is trained on -------------------------------------------------------------

    def fitted(self, y: np.ndarray) -> Self:
        """Return a target that standardises by mean and standard deviation of the pixels, for each value."""
        made = self.copy()
        y = np.asarray(made.column(y), dtype=np.float64)
        made.shape = y.shape[1:]
        if made._has_channels:
            axes = (0, *range(2, y.ndim))
            mean, scale = np.nanmean(y, axis=axes), np.nanstd(y, axis=axes)
            made._mean, made._scale = mean, np.where(scale > 0, scale, 1.0)
        else:
            made._mean, made._scale = float(np.nanmean(y)), float(np.nanstd(y)) or 1.0
        return made

    def _spread(self) -> tuple[Any, Any]:
        """Return mean and standard deviation, in the shape of a label."""
        if not self._has_channels:
            return self._mean, self._scale
        ones = [1] * (self._n_axes or 0)
        return self._mean.reshape(-1, *ones), self._scale.reshape(-1, *ones)

    @property
    def n_outputs(self) -> int:
        """Number of values in a pixel."""
        return self.shape[0] if self.shape is not None and self._has_channels else 1

    def width_fault(self, width: int) -> str | None:
        """Say that there must be a channel for each value."""
        return None if width == self.n_outputs else f"there is {self.n_outputs} value in each pixel"

    def examples(self) -> np.ndarray:
        """Return two fields."""
        return np.stack([np.zeros(self.shape or (1, 1)), np.ones(self.shape or (1, 1))])

    def made_up(self, n: int, known: Sequence[Any] = ()) -> np.ndarray:
        """Return fields of 0 and 1, one pixel other than the next."""
        size = (n, *(self.shape or (1, 1)))
        return (np.arange(np.prod(size)).reshape(size) % 2).astype(np.float64)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return standardised values in float32; NaN where there is none."""
        mean, scale = self._spread()
        return ((np.asarray(self.column(y), dtype=np.float64) - mean) / scale).astype(np.float32)

    def decode(self, output: np.ndarray) -> np.ndarray:
        """Return fields in the units of y and in its shape."""
        mean, scale = self._spread()
        return (mean + scale * output.reshape(len(output), *(self.shape or ()))).astype(np.float32)

    def get_state(self) -> dict[str, Any]:
        """Return mean, standard deviation and shape."""
        return {
            "y_mean": self._mean,
            "y_scale": self._scale,
            "shape": list(self.shape or ()),
            "n_axes": self._n_axes,
        }

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Return a target with this state."""
        made = type(self)(tuple(state["shape"]) or None)
        made._mean, made._scale, made._n_axes = state["y_mean"], state["y_scale"], state["n_axes"]
        return made

    # -- what comes of it -------------------------------------------------------------------------

    def beliefs(self, output: Tensor) -> Tensor:
        """Return fields in the units of y and in its shape."""
        mean, scale = (
            torch.as_tensor(part, dtype=output.dtype, device=output.device) for part in self._spread()
        )
        return mean + scale * output.reshape(len(output), *(self.shape or ()))

    def believed_by(self, model: BaseEstimator, X: ArrayLike) -> np.ndarray:
        """Return predicted fields."""
        return model.predict(X)

    def doubt(self, beliefs: Tensor) -> Tensor:
        """Refuse: one field says nothing of how sure it is."""
        raise ValueError(
            "One predicted field says nothing of how sure it is. Ask a committee: strategy='committee'."
        )

    def disagreement(self, beliefs: Tensor) -> Tensor:
        """Return the mean over pixels of the variance over the members, each value's over its own spread."""
        scale = torch.as_tensor(self._spread()[1], dtype=beliefs.dtype, device=beliefs.device)
        return (beliefs / scale).var(dim=0, correction=0).flatten(1).mean(dim=1)

    def score(self, y: ArrayLike, predicted: np.ndarray, sample_weight: ArrayLike | None = None) -> float:
        """Return R² over all pixels that have a value."""
        y = np.asarray(self.column(y), dtype=np.float64)
        known = ~np.isnan(y)
        weights = self.weights_of(y, sample_weight, known)
        return float(r2_score(y[known], np.asarray(predicted)[known], sample_weight=weights))

    def scorer(self, name: str) -> Callable[..., float] | None:
        """Return R² by its name."""
        return self.score if name == self.metric else None

    def errors(self, y: np.ndarray, predicted: np.ndarray) -> np.ndarray | None:
        """Return the errors of all pixels that have a value."""
        y = np.asarray(y, dtype=np.float64)
        return ((np.asarray(predicted) - y) / self._spread()[1])[~np.isnan(y)]

    def agreement(self, old: np.ndarray, new: np.ndarray) -> float:
        """Return R² of the new fields on the old ones, clipped to [0, 1]."""
        if np.array_equal(old, new):
            return 1.0
        return float(np.clip(r2_score(np.ravel(old), np.ravel(new)), 0.0, 1.0))

    def shades(self, labels: Sequence[Any]) -> np.ndarray:
        """Return the mean value of each field."""
        return np.array([float(self._readable(np.asarray(label)).mean()) for label in labels])


def _softmax(output: Tensor) -> Tensor:
    return output.softmax(dim=1)


def _as_they_are(output: Tensor) -> Tensor:
    return output


def _are_whole(values: np.ndarray) -> bool:
    return values.dtype.kind == "f" and bool((values == values.round()).all())
