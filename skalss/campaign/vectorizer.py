"""From the rows that a user has, such as tables and texts, to the numbers that models and strategies see."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils import check_array
from sklearn.utils.validation import _check_feature_names, _num_samples

from ..utils.checks import checked_rows, is_word, show
from ..utils.progress import track_chunks
from ..utils.seeds import seed_parts
from ..utils.settings import describe
from ..utils.tensors import to_host

_MOST_CATEGORIES = 40
_MOST_TERMS = 300
_WORDS_OF_TEXT = 3  # in the mean of a column; shorter entries are names
_CALL_ROWS = 256


def make_vectorizer(given: Any, X: Any) -> Any:
    """Return what turns rows into numbers, not fitted; None where the rows are numbers already.

    Parameters
    ----------
    given : "auto", transformer, callable or None
        As in the sampler.
    X : rows as the user has them

    Returns
    -------
    vectorizer : transformer, callable or None

    Raises
    ------
    TypeError, ValueError
        If `given` is none of these.
    """
    if given is None:
        return None
    if is_word(given, "auto"):
        return _automatic(X)
    is_transformer = hasattr(given, "fit") and hasattr(given, "transform")
    if isinstance(given, type) or not (is_transformer or callable(given)):
        error = ValueError if isinstance(given, str) else TypeError
        raise error(
            f"vectorizer must be 'auto', None, a transformer of scikit-learn or a callable that turns rows "
            f"into numbers, got {show(given)}. Pass an instance, such as TfidfVectorizer()."
        )
    # With a seed, so that a restart finds the same numbers.
    return seed_parts(clone(given), 0) if is_transformer else given


def fit_vectorizer(vectorizer: Any, X: Any) -> Any:
    """Fit a transformer to the pool and return the numbers of its rows; a callable is called.

    Raises
    ------
    TypeError, ValueError
        If what comes back is not a row of finite numbers for each row.
    """
    if callable_only(vectorizer):
        return vectorize(vectorizer, X)
    has_both = hasattr(vectorizer, "fit_transform")
    found = vectorizer.fit_transform(X) if has_both else vectorizer.fit(X).transform(X)
    return _checked(vectorizer, found, _num_samples(X), "X")


def vectorize(vectorizer: Any, X: Any, name: str = "X") -> Any:
    """Return the numbers of rows, by a fitted transformer or a callable, which gets some rows at a time.

    Raises
    ------
    TypeError, ValueError
        If what comes back is not a row of finite numbers for each row.
    """
    if isinstance(X, str | bytes):
        raise ValueError(f"{name} must hold rows, got the text {show(X)}. Pass [text].")
    n = _num_samples(X)
    if not callable_only(vectorizer):
        return _checked(vectorizer, vectorizer.transform(X), n, name)
    pieces = list(track_chunks(n, _CALL_ROWS, "turn rows into numbers"))
    parts = [_of_call(vectorizer, take_rows(X, np.arange(n)[piece]), name) for piece in pieces]
    if len({part.shape[1:] for part in parts}) > 1:
        widths = sorted({part.shape[1:] for part in parts})
        raise ValueError(f"The vectorizer returned rows of several shapes, {widths}; it must return one.")
    return parts[0] if len(parts) == 1 else np.concatenate([np.asarray(part) for part in parts])


def callable_only(vectorizer: Any) -> bool:
    """Whether a vectorizer is a function, which learns nothing."""
    return not hasattr(vectorizer, "transform")


def take_rows(X: Any, positions: np.ndarray) -> Any:
    """Return some rows, of the kind that `X` is."""
    if hasattr(X, "iloc"):
        return X.iloc[positions]
    if isinstance(X, np.ndarray) or issparse(X):
        return X[positions]
    return [X[int(i)] for i in positions]


def seen_of(X: Any) -> dict[str, Any]:
    """Return what scikit-learn's estimators note of the rows: `n_features_in_` and `feature_names_in_`."""
    noted = BaseEstimator()
    _check_feature_names(noted, X, reset=True)
    shape: tuple[int, ...] = getattr(X, "shape", ())
    return {**vars(noted), **({"n_features_in_": int(shape[1])} if len(shape) > 1 else {})}


def check_seen(estimator: BaseEstimator, X: Any) -> None:
    """Refuse rows with other columns than those fitted.

    Raises
    ------
    ValueError
    """
    _check_feature_names(estimator, X, reset=False)
    shape: tuple[int, ...] = getattr(X, "shape", ())
    width = getattr(estimator, "n_features_in_", None)
    if width is not None and len(shape) > 1 and shape[1] != width:
        raise ValueError(
            f"X has {shape[1]} features, but the sampler is expecting {width} features as input."
        )


def content_of_rows(X: Any) -> list[str]:
    """Hash each row as the user has it: by its values, which any process finds again."""
    rows = X.itertuples(index=False, name=None) if isinstance(X, pd.DataFrame) else X
    rows = X.toarray() if issparse(X) else rows
    return [
        hashlib.blake2b(describe(row).encode(errors="backslashreplace"), digest_size=16).hexdigest()
        for row in rows
    ]


# -- what comes back ------------------------------------------------------------------------------


def _of_call(function: Callable[[Any], Any], rows: Any, name: str) -> Any:
    return _checked(function, function(rows), _num_samples(rows), name)


def _checked(vectorizer: Any, found: Any, n_rows: int, name: str) -> Any:
    if found is None or isinstance(found, str) or not (hasattr(found, "shape") or isinstance(found, list)):
        raise TypeError(
            f"The vectorizer must return an array of numbers of shape ({n_rows}, n_features), got "
            f"{show(found)}."
        )
    if isinstance(found, pd.DataFrame):
        found = _as_floats(found)
    try:
        numbers = check_array(
            to_host(found),
            accept_sparse="csr",
            allow_nd=True,
            input_name=f"What the vectorizer returned for {name}",
            estimator=type(vectorizer).__name__,
        )
    except ValueError as error:
        if "NaN" not in str(error):
            raise
        raise ValueError(
            f"{str(error).splitlines()[0]} Let it return finite numbers; behind a transformer "
            "SimpleImputer() fills gaps: vectorizer=make_pipeline(transformer, SimpleImputer())."
        ) from error
    if numbers.shape[0] != n_rows:
        raise ValueError(
            f"The vectorizer returned {numbers.shape[0]} rows for {n_rows} of {name}; it must return one "
            "for each."
        )
    rows = checked_rows(f"What the vectorizer returned for {name}", numbers)
    return to_host(rows)


# -- "auto" ---------------------------------------------------------------------------------------


def _automatic(X: Any) -> Any:
    if isinstance(X, pd.DataFrame):
        return None if _is_numeric(X) else table_vectorizer(X)
    return _text_vectorizer() if _is_text(X) else None


def _is_numeric(table: pd.DataFrame) -> bool:
    """Whether a table is numbers without gaps, which every model takes as they are."""
    known = table.infer_objects()
    kinds = [getattr(dtype, "kind", "O") for dtype in known.dtypes]
    if known.empty or not all(kind in "biufc" for kind in kinds):
        return known.empty
    return not known.isna().to_numpy().any()


def _is_text(X: Any) -> bool:
    """Whether X is a text for each row, some of them missing perhaps."""
    if isinstance(X, np.ndarray) and X.ndim == 0:
        return False
    if not isinstance(X, list | tuple | pd.Series | pd.Index | np.ndarray) or len(X) == 0:
        return False
    if isinstance(X, np.ndarray) and (X.ndim != 1 or X.dtype.kind not in "OUT"):
        return False
    texts = [isinstance(row, str) for row in X]
    return any(texts) and all(known or _is_missing(row) for known, row in zip(texts, X, strict=True))


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def table_vectorizer(table: pd.DataFrame) -> ColumnTransformer:
    """Return a transformer for the columns of a table, by what they hold; its parts are scikit-learn's.

    Numbers, truth values, dates (days) and durations: missing ones get the median and a column that says so,
    then all are standardised. Categories and short text: a column for each of the 40 most frequent values,
    a missing one among them. Longer text with more than 40 values: TF-IDF of its 300 most frequent words.

    Parameters
    ----------
    table : DataFrame of shape (n_samples, n_columns)

    Returns
    -------
    vectorizer : ColumnTransformer
        Not fitted.
    """
    known = table.infer_objects()
    kinds = [_kind_of(known.iloc[:, i]) for i in range(known.shape[1])]
    places = {kind: [i for i, k in enumerate(kinds) if k == kind] for kind in ("number", "category", "text")}
    numbers = make_pipeline(
        FunctionTransformer(_as_floats),
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
    )
    categories = make_pipeline(
        FunctionTransformer(_as_words),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_MOST_CATEGORIES),
    )
    parts = [("number", numbers, places["number"]), ("category", categories, places["category"])]
    texts = [(f"text_{i}", _text_vectorizer(_MOST_TERMS), i) for i in places["text"]]
    return ColumnTransformer([part for part in parts if part[2]] + texts, sparse_threshold=0)


def _text_vectorizer(n_terms: int | None = None) -> Any:
    return make_pipeline(FunctionTransformer(_as_texts), TfidfVectorizer(max_features=n_terms))


def _kind_of(column: pd.Series) -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "category"
    if getattr(column.dtype, "kind", "O") in "biufmM":
        return "number"
    words = column.dropna().astype(str)
    is_text = words.nunique() > _MOST_CATEGORIES and words.str.split().str.len().mean() >= _WORDS_OF_TEXT
    return "text" if is_text else "category"


def _as_floats(table: pd.DataFrame) -> np.ndarray:
    """Return numbers as float64, missing ones as NaN, dates and durations in days."""
    return np.column_stack([_float_column(table.iloc[:, i]) for i in range(table.shape[1])])


def _float_column(column: pd.Series) -> np.ndarray:
    column = column.infer_objects()
    kind, day = getattr(column.dtype, "kind", "O"), pd.Timedelta(days=1)
    if kind == "M":
        column = (column - pd.Timestamp(0, tz=getattr(column.dtype, "tz", None))) / day
    elif kind == "m":
        column = column / day
    return column.astype("Float64" if kind == "b" else column.dtype).to_numpy(dtype=float, na_value=np.nan)


def _as_words(table: pd.DataFrame) -> np.ndarray:
    """Return values as words, missing ones as an empty one."""
    columns = [_as_texts(table.iloc[:, i]) for i in range(table.shape[1])]
    return np.column_stack([np.array(column, dtype=object) for column in columns])


def _as_texts(column: Any) -> list[str]:
    """Return one text for each row; an empty one where it is missing."""
    missing = pd.isna(np.asarray(column, dtype=object))
    return ["" if gone else str(value) for gone, value in zip(missing, column, strict=True)]
