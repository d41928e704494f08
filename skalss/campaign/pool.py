"""The pool of a campaign: rows, ids, known labels, and the checks they pass before anything trains."""

from __future__ import annotations

import hashlib
import numbers
import warnings
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from ..network.skorch_net import check_net
from ..network.tasknet import TaskNet
from ..oracles import Abstain, AnswerKey, Failed
from ..utils.checks import check_number, check_positive_int, check_real
from ..utils.scaling import Scaling, fit_scaling
from ..utils.tensors import chunk_rows, chunks, to_host

TRAIN_ON = ("original", "decoded", "both")


class Pool:
    """Rows to choose from, with what is known of them.

    Parameters
    ----------
    sampler : AdaptiveLatentSampler
        A clone; gets `n_features_in_` and `feature_names_in_`.
    has_oracle : bool
        Whether someone other than `y` labels.
    X, y, labeled, sample_id, X_val, y_val
        As in ``AdaptiveLatentSampler.fit``.
    """

    def __init__(
        self,
        sampler: Any,
        has_oracle: bool,
        X: Any,
        y: Any,
        labeled: Any,
        sample_id: Any,
        X_val: Any,
        y_val: Any,
    ):
        check_parameters(sampler)
        net = sampler.estimator.estimator if isinstance(sampler.estimator, TaskNet) else sampler.estimator
        if net is not None:
            check_net(net)
        self.task = {"classifier": "classification", "regressor": "regression"}[
            get_tags(sampler).estimator_type
        ]
        self.X: Any = None
        self.user_X: Any = None
        self.attach(X, sampler)
        self._text_labels: bool | None = None  # not known before the first label
        self.fitted_attributes = {k: v for k, v in vars(sampler).items() if k.endswith("_in_")}
        self.sample_id = None if sample_id is None else _checked_ids(sample_id, len(self))
        self.ids = np.arange(len(self)) if self.sample_id is None else self.sample_id
        if isinstance(y, list | tuple):
            y = pd.Series(y).to_numpy()  # NumPy would turn a NaN among strings into the text "nan"
        y = None if y is None else column_or_1d(to_host(y), dtype=None)
        self._set_classes(sampler.classes)
        self._take_labels(y, labeled, has_oracle=has_oracle)
        self._take_validation_rows(sampler, X_val, y_val)

    def attach(self, X: Any, sampler: Any = None) -> None:
        """Take the rows: the user's own object, and an array view of it."""
        self._fingerprint: str | None = None
        self.user_X = to_host(X)
        checker = _RowCheck() if sampler is None else sampler
        self.X = validate_data(checker, self.user_X, allow_nd=True, dtype="numeric")
        if not hasattr(self.user_X, "iloc") and not isinstance(self.user_X, np.ndarray):
            self.user_X = self.X

    def detach(self) -> None:
        """Let the rows go."""
        self.X = self.user_X = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.X)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle everything but the rows."""
        return {**vars(self), "X": None, "user_X": None}

    # -- labels -----------------------------------------------------------------------------------

    def _take_labels(self, y: np.ndarray | None, labeled: Any, *, has_oracle: bool) -> None:
        self.answer_key = None
        known = np.zeros(len(self), dtype=bool)
        if y is not None:
            check_consistent_length(self.X, y)
            known = ~pd.isna(y)
        if y is not None and known.all() and not has_oracle:
            self._check_targets(y)
            if self.classes is None and self.task == "classification":
                self._set_classes(y)
            for label in np.unique(y) if self.task == "classification" else ():
                self.check_label(label)
            self.answer_key = AnswerKey(y, self.sample_id)
            known[:] = False
        if has_oracle and labeled is None and known.all():
            warnings.warn(
                "y holds a label for every row, so there is nothing to ask the oracle. Mark the rows "
                "that are known with labeled=; np.zeros(len(X), dtype=bool) for none.",
                UserWarning,
                stacklevel=5,
            )
        if labeled is not None:
            known = self._checked_mask(labeled, y)
        self.given = np.flatnonzero(known)
        if len(self.given):
            assert y is not None
            self._check_targets(y[known])
        self.given_labels = [self.check_label(label) for label in (y[known] if y is not None else [])]

    def _set_classes(self, labels: Any) -> None:
        if isinstance(labels, str) or (labels is not None and not np.iterable(labels)):
            raise TypeError(f"classes must be a sequence of labels, got {labels!r}. Pass them as a list.")
        self.classes: Any = None if labels is None else np.unique(np.asarray(labels))
        self._class_set = set() if self.classes is None else set(self.classes.tolist())

    def _checked_mask(self, labeled: Any, y: np.ndarray | None) -> np.ndarray:
        mask = np.asarray(labeled)
        if mask.dtype != bool or mask.shape != (len(self),):
            raise ValueError(
                f"labeled must be a bool mask of shape ({len(self)},), one entry for each row of X, "
                f"got dtype {mask.dtype} and shape {mask.shape}. Make one of row numbers as "
                "np.isin(np.arange(len(X)), rows)."
            )
        if mask.any() and (y is None or pd.isna(y[mask]).any()):
            raise ValueError("labeled marks rows whose y is missing; pass their labels in y, or unmark them.")
        return mask

    def _check_targets(self, y: np.ndarray) -> None:
        if self.task == "classification":
            check_classification_targets(np.array(y.tolist()) if y.dtype == object else y)

    def check_label(self, answer: Any) -> Any:
        """Pass an answer on, or refuse a label that cannot be."""
        if isinstance(answer, (Abstain, Failed)):
            return answer
        if self.task == "regression":
            if not isinstance(answer, numbers.Real):
                raise ValueError(
                    f"A regression label must be a number, got {answer!r} of type {type(answer).__name__}. "
                    "For classes, pass a classifier as estimator."
                )
            return float(answer)
        if not np.isscalar(answer):
            raise ValueError(
                f"A class label must be a number or a string, got {answer!r}. Give one label a row."
            )
        if self.classes is not None and answer not in self._class_set:
            raise ValueError(
                f"The label {answer!r} is outside classes: {sorted(self._class_set)}. Name every label in "
                "classes=, or answer None for rows that are none of them."
            )
        is_text = isinstance(answer, str)
        if self._text_labels not in (None, is_text):
            raise ValueError(
                f"The label {answer!r} is {'text' if is_text else 'a number'}, but earlier ones are not. "
                "Give all labels the same type, and name them in classes=."
            )
        self._text_labels = is_text
        return answer

    def as_labels(self, labels: list[Any]) -> np.ndarray:
        """Give labels as an array, of the classes' dtype where it is known."""
        if self.task == "regression":
            return np.array(labels, dtype=np.float64)
        return np.array(labels, dtype=None if self.classes is None else self.classes.dtype)

    def _take_validation_rows(self, sampler: Any, X_val: Any, y_val: Any) -> None:
        if (X_val is None) != (y_val is None):
            got, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"fit got {got} without {missing}; pass both, or neither.")
        if sampler.target_score is not None and X_val is None:
            raise ValueError(
                f"target_score={sampler.target_score!r} needs held-out rows to score on: "
                "pass X_val and y_val to fit."
            )
        if X_val is not None:
            check_consistent_length(X_val, y_val)
            X_val = validate_data(sampler, to_host(X_val), allow_nd=True, reset=False)
            _check_row_shape(X_val.shape, self.X.shape)
        self.X_val, self.y_val = X_val, y_val

    # -- rows -------------------------------------------------------------------------------------

    @cached_property
    def scaling(self) -> Scaling:
        """The input scaling of the network, from all rows and not only the labelled few."""
        return fit_scaling(self.X)

    def check_attached(self) -> None:
        """Refuse to go on without the rows."""
        if self.X is None:
            raise ValueError("This campaign was unpickled without its pool. Use Campaign.load(path, X).")

    def user_rows(self, positions: np.ndarray) -> Any:
        """Give rows exactly as the user passed them: a slice of the DataFrame or array."""
        self.check_attached()
        return self.user_X.iloc[positions] if hasattr(self.user_X, "iloc") else self.user_X[positions]

    def like_user_rows(self, rows: list[np.ndarray]) -> Any:
        """Give made rows as the user's kind: a DataFrame with the same columns, or an array."""
        made = np.array(rows)
        if hasattr(self.user_X, "iloc"):
            return pd.DataFrame(made, columns=self.user_X.columns)
        return made

    def stack(self, X: Any, made: Any) -> Any:
        """Put made rows below rows of the pool."""
        return pd.concat([X, made]) if hasattr(X, "iloc") else np.concatenate([X, made])

    def fingerprint(self) -> str:
        """Hash the content of all rows, read in chunks, once."""
        if self._fingerprint is None:
            self._fingerprint = self._hash()
        return self._fingerprint

    def _hash(self) -> str:
        digest = hashlib.blake2b(f"{self.X.dtype}{self.X.shape}".encode(), digest_size=16)
        for piece in chunks(len(self), chunk_rows(self.X.shape[1:])):
            digest.update(np.ascontiguousarray(self.X[piece]).data)
        return digest.hexdigest()


class _RowCheck(BaseEstimator):
    """Stands in for the sampler where only the content of X is checked."""


def _check_row_shape(got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got[1:] != expected[1:]:
        raise ValueError(
            f"X_val has rows of shape {got[1:]}, X has {expected[1:]}. Give both the same shape."
        )


def _checked_ids(sample_id: Any, n_rows: int) -> np.ndarray:
    ids = column_or_1d(sample_id, dtype=None)
    if len(ids) != n_rows:
        raise ValueError(f"sample_id has {len(ids)} entries, X has {n_rows} rows; give each row one id.")
    index = pd.Index(ids)
    if index.hasnans or not index.is_unique:
        example = index[index.duplicated() | index.isna()][0]
        raise ValueError(
            f"sample_id must hold a different id for each row, got {example!r} missing or twice."
        )
    return ids


def check_parameters(sampler: Any) -> None:
    """Refuse wrong constructor parameters of the sampler, before anything trains."""
    check_positive_int("n_initial", sampler.n_initial)
    check_positive_int("n_per_round", sampler.n_per_round)
    check_positive_int("max_labels", sampler.max_labels)
    if sampler.n_rounds is not None:
        check_positive_int("n_rounds", sampler.n_rounds, also="None")
    if not isinstance(sampler.max_failures, numbers.Integral) or sampler.max_failures < 0:
        raise ValueError(f"max_failures must be a whole number of at least 0, got {sampler.max_failures!r}.")
    if sampler.max_cost is not None:
        check_number("max_cost", sampler.max_cost, also="None")
    if sampler.target_score is not None:
        check_real("target_score", sampler.target_score, also="None")
    _check_stop_at_agreement(sampler.stop_at_agreement)
    _check_control_share(sampler.control_share)
    if sampler.train_on not in TRAIN_ON:
        raise ValueError(f"train_on must be one of {list(TRAIN_ON)}, got {sampler.train_on!r}.")


def _check_stop_at_agreement(value: Any) -> None:
    if value is None:
        return
    check_real("stop_at_agreement", value, also="None")
    if not 0 < value <= 1:
        raise ValueError(
            f"stop_at_agreement must lie in (0, 1], got {value!r}. Give a value near 1, such as 0.99, or "
            "None to go on however well predictions agree."
        )


def _check_control_share(value: Any) -> None:
    check_real("control_share", value)
    if not 0 <= value < 1:
        raise ValueError(
            f"control_share must lie in [0, 1), got {value!r}. Give the share of the questions that go to "
            "random rows, such as 0.1, or 0 for none; for random rows alone set strategy='random'."
        )
