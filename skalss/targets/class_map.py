"""A class for each pixel or voxel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import cohen_kappa_score, confusion_matrix
from torch import Tensor

from ..scores import margin
from ..utils.checks import is_whole, show
from .classes import Classes
from .maps import BaseMap

_SCORES = ("mean_iou", "dice", "accuracy")


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

    def readable(self, row: np.ndarray) -> np.ndarray:
        """Return the classes of labelled pixels, flat."""
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
        return self.readable(self.column(y))

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
        return np.array([float(self.readable(np.asarray(label)).mean()) for label in labels])


def _softmax(output: Tensor) -> Tensor:
    return output.softmax(dim=1)


def _as_they_are(output: Tensor) -> Tensor:
    return output


def _are_whole(values: np.ndarray) -> bool:
    return values.dtype.kind == "f" and bool((values == values.round()).all())
