"""Checks of parameters, each with the value got, what is allowed and the next step.

A truth value is no number here, and a number no truth value: ``True`` where a count is meant is a mistake.
"""

from __future__ import annotations

import difflib
import math
import numbers
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_array, check_random_state
from torch import Tensor

from .columns import to_column
from .sparse_rows import SparseRows
from .tensors import chunk_rows, chunks, to_host

LARGEST = 2**63 - 1  # of a whole number, in NumPy and torch
LARGEST_WIDTH = 2**24  # of a layer
_MOST_JOBS = 4096  # each is a process
LARGEST_VALUE = 1e19  # in rows: the square of a larger one is infinite in float32


def show(value: object, length: int = 120) -> str:
    """Return a value as an error names it: on one line, not too long, whatever it is.

    Examples
    --------
    >>> show(10**400, length=12)
    '100000000...'
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # numbers of thousands of digits, objects that cannot be shown
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= length else f"{text[: length - 3]}..."


def is_whole(value: object) -> bool:
    """Whether a value is a whole number by its type, and no truth value."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_finite(value: object) -> bool:
    """Whether a value is a real number that a float can hold."""
    try:
        return isinstance(value, numbers.Real) and math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


# -- numbers --------------------------------------------------------------------------------------


def check_positive_int(name: str, value: object, *, also: str = "", most: int = LARGEST) -> None:
    """Refuse what is not a whole number of at least 1, and at most `most`."""
    _check_whole(name, value, 1, also, most)


def check_count(name: str, value: object) -> None:
    """Refuse what is not a whole number of at least 0."""
    _check_whole(name, value, 0, "", LARGEST)


def _check_whole(name: str, value: Any, least: int, also: str, most: int) -> None:
    allowed = f"a whole number of at least {least}" + (f", or {also}" if also else "")
    if not is_whole(value):
        raise TypeError(f"{name} must be {allowed}, got {show(value)} of type {type(value).__name__}.")
    if value < least:
        raise ValueError(f"{name} must be {allowed}, got {show(value)}.")
    if value > most:
        raise ValueError(f"{name} must be at most {most}, got {show(value)}.")


def check_real(name: str, value: object, *, also: str = "") -> None:
    """Refuse what is not a finite number."""
    _check_finite(name, value, "a finite number" + (f", or {also}" if also else ""))


def check_number(
    name: str, value: object, *, zero: bool = False, also: str = "", most: float = math.inf
) -> None:
    """Refuse what is not a finite number above 0, or at least 0 with `zero`, and at most `most`."""
    allowed = f"a finite number {'of at least' if zero else 'above'} 0" + (f", or {also}" if also else "")
    number = _check_finite(name, value, allowed)
    if number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} must be {allowed}, got {show(value)}.")
    if number > most:
        raise ValueError(f"{name} must be at most {most:g}, got {show(value)}.")


def check_share(name: str, value: object) -> None:
    """Refuse what does not lie in [0, 1]."""
    check_between(name, value, 0, 1)


def check_between(name: str, value: object, low: float, high: float) -> None:
    """Refuse what is not a number in [low, high]."""
    if not low <= _check_finite(name, value, f"a finite number in [{low}, {high}]") <= high:
        raise ValueError(f"{name} must lie in [{low}, {high}], got {show(value)}.")


def _check_finite(name: str, value: object, allowed: str) -> float:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be {allowed}, got {show(value)} of type {type(value).__name__}.")
    if not is_finite(value):
        raise ValueError(f"{name} must be {allowed}, got {show(value)}.")
    return float(value)


# -- words and other kinds ------------------------------------------------------------------------


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {show(value)} of type {type(value).__name__}.")


def check_text(name: str, value: object, *, also: str = "") -> None:
    """Refuse what is no text, or text that cannot be written down."""
    allowed = "a text" + (f", or {also}" if also else "")
    if not isinstance(value, str):
        raise TypeError(f"{name} must be {allowed}, got {show(value)} of type {type(value).__name__}.")
    if not is_writable(value):
        raise ValueError(f"{name} must be {allowed} that can be written in UTF-8, got {show(value)}.")


def is_writable(text: str) -> bool:
    """Whether a text can be written in UTF-8; half a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_choice(name: str, value: object, allowed: Iterable[str], *, also: str = "") -> None:
    """Refuse what is none of the words allowed, with the word that is spelt most like it."""
    words = list(allowed)
    if isinstance(value, str) and value in words:
        return
    near = difflib.get_close_matches(value, words, n=1) if isinstance(value, str) else []
    hint = f" Did you mean {near[0]!r}?" if near else ""
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"{name} must be one of {words}{f' or {also}' if also else ''}, got {show(value)}.{hint}")


def check_callable(name: str, value: object, *, also: str = "", classes: bool = False) -> None:
    """Refuse what cannot be called, and, without `classes`, a class: that would make an instance."""
    if not callable(value) or (isinstance(value, type) and not classes):
        allowed = "callable" + (f", or {also}" if also else "")
        raise TypeError(f"{name} must be {allowed}, got {show(value)} of type {type(value).__name__}.")


def check_mapping(name: str, value: object, *, also: str = "") -> None:
    """Refuse what is no dict or other mapping."""
    if not isinstance(value, Mapping):
        allowed = "a dict" + (f", or {also}" if also else "")
        raise TypeError(f"{name} must be {allowed}, got {show(value)} of type {type(value).__name__}.")


def check_sizes(
    name: str, value: object, *, empty: bool = False, most: int = LARGEST_WIDTH
) -> tuple[int, ...]:
    """Return a sequence of whole numbers of at least 1 as a tuple; refuse what is none."""
    allowed = "a sequence of whole numbers of at least 1, such as (256,)"
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = tuple(value)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or not (value or empty):
        raise TypeError(f"{name} must be {allowed}, got {show(value)} of type {type(value).__name__}.")
    for size in value:
        _check_whole(f"every entry of {name}", size, 1, "", most)
    return tuple(map(int, value))


def check_path(name: str, value: object, *, also: str = "") -> None:
    """Refuse what is no path of a file."""
    allowed = "a path, as a text or a pathlib.Path" + (f", or {also}" if also else "")
    path = value if isinstance(value, str) else None
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
    if not isinstance(path, str):
        raise TypeError(f"{name} must be {allowed}, got {show(value)} of type {type(value).__name__}.")
    if not path or "\0" in path or not is_writable(path):
        raise ValueError(
            f"{name} must be {allowed}, not empty and without odd characters, got {show(value)}."
        )


def check_tensor(name: str, value: object, *, floating: bool = False) -> None:
    """Refuse what is no tensor, or with `floating` one of whole numbers."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name} must be a torch tensor, got {show(value)} of type {type(value).__name__}. Turn an array "
            "into one with torch.as_tensor."
        )
    if floating and not value.is_floating_point():
        raise TypeError(f"{name} must be a tensor of floats, got {value.dtype}. Pass {name}.float().")


def checked_shape(name: str, value: object) -> tuple[int, ...]:
    """Return a shape read from a file; refuse what is none.

    Raises
    ------
    ValueError
    """
    if not isinstance(value, list | tuple) or not value or not all(type(n) is int and n > 0 for n in value):
        raise ValueError(f"{name} must be whole numbers of at least 1, got {str(value)[:50]}.")
    return tuple(value)


# -- seeds and arrays -----------------------------------------------------------------------------


def checked_random_state(random_state: Any) -> np.random.RandomState:
    """Return the generator of a `random_state`, as scikit-learn's `check_random_state` does.

    Raises
    ------
    ValueError, TypeError
        If it is no seed, RandomState or None.
    """
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return check_random_state(random_state)
    if is_whole(random_state) and not 0 <= random_state < 2**32:
        raise ValueError(f"random_state must be a seed from 0 to 2**32 - 1, got {show(random_state)}.")
    if not is_whole(random_state) and random_state is not np.random:
        raise ValueError(
            f"{show(random_state)} cannot be used to seed a numpy.random.RandomState instance: random_state "
            "must be a whole number, a RandomState or None."
        )
    return check_random_state(random_state)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Say which array holds a number that no float can hold, where it is turned into one.

    Raises
    ------
    ValueError
    """
    try:
        yield
    except OverflowError as error:
        raise ValueError(f"{name} holds a whole number that is too large for a float.") from error


def check_range(name: str, X: np.ndarray) -> None:
    """Refuse numbers that float32 cannot square. X is read in chunks.

    Raises
    ------
    ValueError
    """
    if X.dtype.kind != "f" or X.dtype.itemsize < 4 or X.size == 0:
        return
    pieces = [X] if isinstance(X, SparseRows) else [X[i] for i in chunks(len(X), chunk_rows(X.shape[1:]))]
    largest = max(max(float(piece.max()), -float(piece.min())) for piece in pieces)
    if largest > LARGEST_VALUE:
        raise ValueError(
            f"{name} must hold values between -{LARGEST_VALUE:g} and {LARGEST_VALUE:g}, got {largest:g} in "
            "size. Divide it by a constant."
        )


def checked_rows(name: str, X: Any) -> Any:
    """Return rows that scikit-learn's checks have passed, of a dtype that torch has, too.

    A sparse matrix comes as `SparseRows`.

    Raises
    ------
    ValueError, TypeError
        If they are no numbers, rows without a value, or too large for float32.
    """
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold numbers, got an array of dtype {X.dtype}.")
    if 0 in X.shape[1:]:
        raise ValueError(f"{name} has rows of shape {X.shape[1:]}, which hold no value. Leave no axis empty.")
    X = X.astype(np.float64) if X.dtype.itemsize > 8 else X
    X = SparseRows(X.tocsr()) if issparse(X) else X
    check_range(name, X)
    return X


def checked_codes(name: str, codes: Any) -> np.ndarray:
    """Return codes as a float32 array of shape (n, n_components); refuse what is none.

    Such an array comes back as it is, without a look at its values: it may be larger than memory.

    Raises
    ------
    ValueError, TypeError
    """
    if isinstance(codes, np.ndarray) and codes.dtype == np.float32 and codes.ndim == 2:
        return codes
    with reading(name):
        codes = check_array(
            to_host(codes),
            dtype=[np.float64, np.float32],
            input_name=name,
            ensure_min_samples=0,
            ensure_min_features=0,
        )
    check_range(name, codes)
    return codes.astype(np.float32)


def checked_mask(name: str, mask: Any, n: int) -> np.ndarray:
    """Return a bool mask over `n` rows; refuse what is none.

    Raises
    ------
    ValueError
    """
    found = _as_array(mask)
    if found is not None and found.shape == (n, 1):
        found = found[:, 0]
    if found is None or found.dtype != bool or found.shape != (n,):
        got = show(mask) if found is None else f"dtype {found.dtype} and shape {found.shape}"
        raise ValueError(
            f"{name} must be a bool mask of shape ({n},), one entry for each row, got {got}. Make one of row "
            f"numbers as np.isin(np.arange({n}), rows)."
        )
    return found


def _as_array(values: Any) -> np.ndarray | None:
    """Return anything with an entry for each row as an array; None if it is not that, or ragged."""
    if isinstance(values, str | bytes | Mapping | Set | Iterator | type):
        return None
    try:
        found = to_column(values)
    except Exception:  # lists of unequal length, objects that are no numbers
        return None
    return found if found.ndim else None


def check_verbose(verbose: object) -> None:
    """Refuse what is neither a whole number of at least 0 nor a truth value."""
    if not isinstance(verbose, bool | np.bool_):
        check_count("verbose", verbose)


def check_n_jobs(n_jobs: Any) -> None:
    """Refuse what is no number of jobs to joblib."""
    if n_jobs is None:
        return
    allowed = "a whole number other than 0, or None"
    if not is_whole(n_jobs):
        raise TypeError(
            f"n_jobs must be {allowed}, got {show(n_jobs)} of type {type(n_jobs).__name__}. -1 takes all "
            "processors."
        )
    if n_jobs == 0:
        raise ValueError(f"n_jobs must be {allowed}, got 0. For one, pass 1.")
    if abs(n_jobs) > _MOST_JOBS:
        raise ValueError(f"n_jobs must be at most {_MOST_JOBS}, got {show(n_jobs)}.")


def checked_positions(name: str, positions: Any, n: int) -> np.ndarray:
    """Return positions of some of `n` rows as an int array; refuse what are none.

    Raises
    ------
    ValueError
    """
    found = _as_array(positions)
    if found is not None and found.shape == (0,):
        return found.astype(np.intp)
    whole = found is not None and found.ndim == 1 and found.dtype.kind in "iu"
    if found is None or not whole or int(found.min()) < 0 or int(found.max()) >= n:
        got = f"{found.min()} to {found.max()}" if found is not None and whole else show(positions)
        raise ValueError(f"{name} must hold positions of rows, whole numbers from 0 to {n - 1}, got {got}.")
    return found.astype(np.intp)


def is_word(value: object, word: str) -> bool:
    """Whether a value is this text; anything may be compared."""
    return isinstance(value, str) and value == word


def clone_checked(estimator: BaseEstimator) -> Any:
    """Return a clone of an estimator.

    Raises
    ------
    TypeError
        If a parameter cannot be copied, by its name.
    """
    try:
        return clone(estimator)
    except Exception as error:  # what a user's object raises when it is copied, or holds itself
        for name, value in estimator.get_params(deep=False).items():
            try:
                clone(value, safe=False)
            except Exception:
                raise TypeError(f"{name} must be something that can be copied, got {show(value)}.") from error
        raise


def check_array_like(name: str, values: Any) -> None:
    """Refuse what is no list, array, tensor or table with an entry for each row.

    Raises
    ------
    TypeError
    """
    found = _as_array(values)
    if found is None:
        raise TypeError(f"{name} must be an array with an entry for each row, got {show(values)}.")
