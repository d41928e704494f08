"""The pool of a campaign: rows, ids, known labels, and the checks they pass before anything trains."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sized
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from ..ledger.values import content_of
from ..oracles import Abstain, AnswerKey, Failed
from ..simulation import Box
from ..targets import BaseTarget
from ..utils.bounds import Bounds, range_of
from ..utils.checks import check_array_like, check_range, checked_codes, checked_mask, checked_rows, reading
from ..utils.ids import first_twin, id_array
from ..utils.layout import warn_of_channels_last
from ..utils.progress import track_chunks
from ..utils.scaling import Scaling, fit_scaling
from ..utils.settings import describe
from ..utils.sparse_rows import SparseRows
from ..utils.tensors import chunk_rows, chunks, to_host
from .vectorizer import content_of_rows, fit_vectorizer, seen_of, take_rows, vectorize


def rows_of(X: ArrayLike | Box, random_state: int | np.random.RandomState | None) -> ArrayLike:
    """Return the rows of a pool: those that are drawn in a box, or `X` itself."""
    return X.draw(random_state) if isinstance(X, Box) else X


class Pool:
    """Rows to choose from, with what is known of them. They are checked once, here.

    Parameters
    ----------
    X, y, labeled, sample_id, X_val, y_val, show, codes
        As in ``AdaptiveLatentSampler.fit``; `X` has rows.
    target : BaseTarget
        The kind of y; it learns the classes of an answer key.
    checker : estimator
        Whom errors name; it gets `n_features_in_` and `feature_names_in_`.
    has_oracle : bool
        Whether someone other than `y` labels.
    bounds : Bounds, default=None
        Of each feature, where they are known; None: the range of `X`.
    vectorizer : transformer or callable, default=None
        Turns the rows into numbers; a transformer is fitted to them here. None: they are numbers.
    """

    vectorizer: Any = None  # fitted, what turns the user's rows into X; None: X are the user's rows
    shows_others = False  # whether `show` was given
    codes: np.ndarray | None = None  # those that were given

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        *,
        target: BaseTarget,
        checker: BaseEstimator,
        has_oracle: bool,
        labeled: ArrayLike | None = None,
        sample_id: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        bounds: Bounds | None = None,
        show: Any = None,
        vectorizer: Any = None,
        codes: ArrayLike | None = None,
    ):
        self.vectorizer = vectorizer
        self.target = target
        self._bounds = bounds
        self._classes_are_named = target.classes is not None
        self.attach(X, checker, show=show, codes=codes)
        target.know_rows(self.X.shape[1:])
        self.seen = {name: value for name, value in vars(checker).items() if name.endswith("_in_")}
        self.sample_id = None if sample_id is None else _checked_ids(sample_id, len(self))
        self.ids = np.arange(len(self)) if self.sample_id is None else self.sample_id
        self._take_labels(None if y is None else target.column(y), labeled, has_oracle=has_oracle)
        self._take_validation_rows(checker, X_val, y_val)

    def attach(
        self,
        X: ArrayLike,
        checker: BaseEstimator | None = None,
        *,
        show: Any = None,
        codes: ArrayLike | None = None,
    ) -> None:
        """Take the rows: the user's own object, an array view of it, what is shown of them, their codes."""
        self._fingerprint: str | None = None
        self.user_X: Any = to_host(X)
        self.raw: Any = None
        if self.vectorizer is not None:
            self.raw = self.user_X
            turn = vectorize if checker is None else fit_vectorizer
            self.user_X = turn(self.vectorizer, self.raw)
        with reading("X"):
            rows: Any = validate_data(
                _RowCheck() if checker is None else checker,
                self.user_X,
                allow_nd=True,
                dtype="numeric",
                accept_sparse="csr",
            )
        self.X: Any = checked_rows("X", rows)
        if checker is not None:
            warn_of_channels_last(self.X, stacklevel=6)
        if issparse(self.user_X):
            self.user_X = self.user_X.tocsr()  # other formats have no slices of rows
        elif not hasattr(self.user_X, "iloc") and not isinstance(self.user_X, np.ndarray):
            self.user_X = self.X
        if show is None and self.shows_others:
            raise ValueError("This campaign shows other rows than X has. Pass the show= it was made with.")
        self.shows_others = show is not None
        own = self.user_X if self.vectorizer is None else _checked_show(self.raw, len(self))
        self.shown = own if show is None else _checked_show(show, len(self))
        self.codes = None if codes is None else _checked_codes(codes, len(self))
        self._name_of_codes: str | None = None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.X)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle everything but the rows."""
        return {**vars(self), "X": None, "user_X": None, "raw": None, "shown": None, "codes": None}

    # -- labels -----------------------------------------------------------------------------------

    def _take_labels(self, y: np.ndarray | None, labeled: ArrayLike | None, *, has_oracle: bool) -> None:
        self.answer_key = None
        known = np.zeros(len(self), dtype=bool)
        if y is not None:
            check_consistent_length(self.X, y)
            known = ~self.target.missing(y)
        if y is not None and known.all() and not has_oracle:
            self.target.learn(y)
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
            self.target.take_examples(y[known])
            self.target.check_column(y[known])
        self.given_labels = [self.target.check(label) for label in (y[known] if y is not None else [])]

    def _checked_mask(self, labeled: ArrayLike, y: np.ndarray | None) -> np.ndarray:
        mask = checked_mask("labeled", labeled, len(self))
        if mask.any() and (y is None or self.target.missing(y[mask]).any()):
            raise ValueError("labeled marks rows whose y is missing; pass their labels in y, or unmark them.")
        return mask

    def check_label(self, answer: object) -> Any:
        """Pass an answer on, or refuse a label that cannot be."""
        return answer if isinstance(answer, Abstain | Failed) else self.target.check(answer)

    def _take_validation_rows(
        self, checker: BaseEstimator, X_val: ArrayLike | None, y_val: ArrayLike | None
    ) -> None:
        if (X_val is None) != (y_val is None):
            got, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"fit got {got} without {missing}; pass both, or neither.")
        if X_val is not None and self.vectorizer is not None:
            X_val = vectorize(self.vectorizer, to_host(X_val), "X_val")
        if X_val is not None and y_val is not None:
            y_val = self._checked_validation_labels(self.target.column(y_val, "y_val"))
            X_val = self._checked_validation_rows(checker, X_val)
            check_consistent_length(X_val, y_val)
        self.X_val, self.y_val = X_val, cast("np.ndarray | None", y_val)

    def _checked_validation_labels(self, y_val: np.ndarray) -> np.ndarray:
        """Refuse what the network of a campaign can never predict."""
        if self.target.missing(y_val).any():
            raise ValueError("y_val has missing labels. Leave out the rows that have none, of X_val, too.")
        own = self.target.copy()
        if not (self._classes_are_named or own.independent):
            own.know(None)
        checked = own.as_array([own.check(label) for label in (y_val.tolist() if y_val.ndim == 1 else y_val)])
        self.target.check_column(checked)
        classes = self.target.classes
        if classes is not None and not own.independent and not np.isin(checked, classes).any():
            raise ValueError(
                f"y_val holds none of the classes of y: {np.unique(checked)[:5].tolist()} and "
                f"{classes[:5].tolist()}. Give both the same labels, of the same type."
            )
        return checked

    def _checked_validation_rows(self, checker: BaseEstimator, X_val: ArrayLike) -> np.ndarray:
        with reading("X_val"):
            rows = validate_data(checker, to_host(X_val), allow_nd=True, reset=False, accept_sparse="csr")
        rows = checked_rows("X_val", rows)
        if rows.shape[1:] != self.X.shape[1:]:
            raise ValueError(
                f"X_val has rows of shape {rows.shape[1:]}, X has {self.X.shape[1:]}. Give both the same "
                "shape."
            )
        return rows

    # -- rows -------------------------------------------------------------------------------------

    @cached_property
    def scaling(self) -> Scaling:
        """The input scaling of the network, from all rows and not only the labelled few."""
        return fit_scaling(self.X)

    @cached_property
    def bounds(self) -> Bounds:
        """The smallest and largest value of each feature: of the box that was fitted, or over all rows."""
        return range_of(self.X) if self._bounds is None else self._bounds

    def check_attached(self) -> None:
        """Refuse to go on without the rows."""
        if self.X is None:
            raise ValueError("This campaign was unpickled without its pool. Use Campaign.load(path, X).")

    def user_rows(self, positions: np.ndarray) -> Any:
        """Return rows exactly as the user passed them: a slice of the DataFrame or array."""
        self.check_attached()
        return self.user_X.iloc[positions] if hasattr(self.user_X, "iloc") else self.user_X[positions]

    def rows_to_show(self, positions: np.ndarray) -> Any:
        """Return rows as whoever labels sees them: of `show`, or exactly as the user passed X."""
        self.check_attached()
        return take_rows(self.shown, positions)

    def like_user_rows(self, rows: list[np.ndarray] | np.ndarray, ids: list[str] | None = None) -> Any:
        """Return made rows as the user's kind: a DataFrame with the same columns and the ids, or an array."""
        made = np.array(rows)
        if hasattr(self.user_X, "iloc"):
            return pd.DataFrame(made, columns=self.user_X.columns, index=ids)
        return made

    def stack(self, X: ArrayLike, made: Any) -> Any:
        """Put made rows below rows of the pool."""
        return pd.concat([X, made]) if hasattr(X, "iloc") else np.concatenate([X, made])

    def contents(self, positions: Any) -> list[str]:
        """Hash each of some rows, as the user has them, so that a ledger knows them again."""
        if self.vectorizer is not None:
            return content_of_rows(take_rows(self.raw, np.asarray(positions, dtype=np.intp)))
        return [content_of(row) for row in np.asarray(self.X[positions])]

    def kind_of_rows(self) -> tuple[str, list[int]]:
        """Return the dtype and the shape of a row, as a ledger notes them; of no numbers, nothing is said."""
        return ("rows", []) if self.vectorizer is not None else (self.X.dtype.str, list(self.X.shape[1:]))

    def seen_of_user(self) -> dict[str, Any]:
        """Return `n_features_in_` and `feature_names_in_` of the rows as the user has them."""
        return self.seen if self.vectorizer is None else seen_of(self.raw)

    def fingerprint(self) -> str:
        """Hash the content of all rows, read in chunks, once."""
        if self._fingerprint is None:
            self._fingerprint = self._hash()
        return self._fingerprint

    def name_of_codes(self) -> str:
        """Hash the codes that were given; empty where there are none."""
        if self.codes is None:
            return ""
        if getattr(self, "_name_of_codes", None) is None:
            self._name_of_codes = _hash(self.codes, "hash codes")
        return self._name_of_codes or ""

    def _hash(self) -> str:
        digest = hashlib.blake2b(f"{self.X.dtype}{self.X.shape}".encode(), digest_size=16)
        if self.vectorizer is not None:
            digest = hashlib.blake2b(
                describe(self.vectorizer).encode(errors="backslashreplace"), digest_size=16
            )
            digest.update("".join(content_of_rows(self.raw)).encode())
            return digest.hexdigest()
        if isinstance(self.X, SparseRows):
            for part in self.X.parts():
                digest.update(np.ascontiguousarray(part).data)
            return digest.hexdigest()
        return _hash(self.X, "hash rows")


class _RowCheck(BaseEstimator):
    """Stands in for the sampler where only the content of X is checked."""


def _hash(array: np.ndarray, description: str) -> str:
    digest = hashlib.blake2b(f"{array.dtype}{array.shape}".encode(), digest_size=16)
    for piece in track_chunks(len(array), chunk_rows(array.shape[1:]), description):
        digest.update(np.ascontiguousarray(array[piece]).data)
    return digest.hexdigest()


def _checked_codes(codes: Any, n_rows: int) -> np.ndarray:
    """Return codes of the pool as float32; a memory map of that dtype stays one. Refuse what are none."""
    codes = to_host(codes)
    if issparse(codes):
        raise TypeError("codes must be a dense array, got a sparse one. Reduce it with TruncatedSVD first.")
    if not isinstance(codes, np.ndarray):
        check_array_like("codes", codes)
    found = np.asarray(codes) if isinstance(codes, np.ndarray) else checked_codes("codes", codes)
    if found.ndim != 2 or found.dtype.kind not in "biuf" or found.shape[1] < 1:
        raise ValueError(
            f"codes must be numbers of shape (n_samples, n_components), got dtype {found.dtype} and shape "
            f"{found.shape}. Flatten the code of each row."
        )
    if len(found) != n_rows:
        raise ValueError(f"codes has {len(found)} rows, X has {n_rows}; give one for each row, in its order.")
    kept = found if found.dtype == np.float32 else np.empty(found.shape, dtype=np.float32)
    for piece in chunks(n_rows, chunk_rows(found.shape[1:])):
        part = check_array(found[piece], dtype=[np.float64, np.float32], input_name="codes")
        check_range("codes", part)
        if kept is not found:
            kept[piece] = part
    return kept


def _checked_show(show: Any, n_rows: int) -> Any:
    show = to_host(show)
    by_row = isinstance(show, Sized) and hasattr(show, "__getitem__")
    by_row = by_row or hasattr(show, "iloc") or issparse(show)
    if not by_row or isinstance(show, str | bytes | Mapping) or getattr(show, "shape", (1,)) == ():
        raise TypeError(
            f"show must hold what is shown of each row, such as a DataFrame, an array, or a list of texts or "
            f"paths, got {type(show).__name__}."
        )
    found = show.shape[0] if hasattr(show, "shape") else len(show)
    if found != n_rows:
        raise ValueError(f"show has {found} rows, X has {n_rows}; give one for each row of X, in its order.")
    return show


def _checked_ids(sample_id: ArrayLike, n_rows: int) -> np.ndarray:
    ids = id_array(sample_id)
    if len(ids) != n_rows:
        raise ValueError(f"sample_id has {len(ids)} entries, X has {n_rows} rows; give each row one id.")
    twin = first_twin(ids)
    if twin is not None:
        raise ValueError(f"sample_id must hold a different id for each row, got {twin!r} missing or twice.")
    return ids
