"""The rule by which an outcome of a call with a wrong value is clear or unclear.

Clear is
    a call that works: what comes back is finite, and a value was not taken for another kind of value than is
    documented (a truth value or a text for a number, a number for a truth value, NaN for a number);
    an error that says what is wrong: a ValueError or TypeError (or an error that the documentation names: of
    a ledger, of an oracle, of an estimator that is not fitted; of a file for a path; of a module that is not
    installed), raised by a ``raise`` of skalss or by scikit-learn's checks of data and parameters, whose text
    names the argument or the value, before a label was bought. After that only an error that carries the
    campaign, and that an answer caused.
Unclear is everything else: any other error (AttributeError, KeyError, IndexError, OverflowError, ...), an
error that NumPy, torch, pandas or Python raised somewhere inside, a text that names nothing the caller wrote,
a warning of NumPy's about a division or an overflow, infinite or NaN results, a call that does not end in
time, a crash, and too much memory.

No subjects are methods that only the package calls, with values that it has checked (`query`, `fit_rows`,
`encode_rows`, `loss_gradient`, hooks of selectors and callbacks), nor the data of a bare skorch net, which
are skorch's. What is passed on to matplotlib is matplotlib's, and the error of a function that was passed in
is its own.

Of functions on tensors, such as those in `skalss.scores`, results may be as infinite as their input.
"""

from __future__ import annotations

import dis
import inspect
import math
import numbers
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sklearn
import skorch
import torch
from sklearn.exceptions import NotFittedError
from skorch.exceptions import SkorchException

from ... import campaign as campaign_room
from ...ledger import LedgerError

OURS = str(Path(campaign_room.__file__).parents[1])
THEIRS = str(Path(sklearn.__file__).parent)
SKORCH = str(Path(skorch.__file__).parent)
VALIDATION = str(Path(THEIRS, "utils", "validation.py"))
RAISE = dis.opmap["RAISE_VARARGS"]
DATA = {"X", "y", "classes", "id_", "labeled", "sample_id", "X_val", "y_val", "sample_weight"}
NAMES_OF_DATA = (
    r"\b(X|y|y_true|y_pred|Z|arrays?|samples?|rows?|features?|labels?|classes|targets?|id|data|shape)\b"
)


class Verdict(NamedTuple):
    """Whether an outcome is clear, and why."""

    clear: bool
    why: str


class Argument(NamedTuple):
    """A value that was passed in place of a good one."""

    name: str
    good: Any
    value: Any
    documented: str = ""  # its type, as the docstring has it


def judge_error(error: BaseException, replaced: Sequence[Argument], *, bought: int) -> Verdict:
    """Return whether an error says what is wrong, in time.

    Parameters
    ----------
    error : exception
    replaced : sequence of Argument
        What was wrong in the call, or may have been.
    bought : int
        Answers that were paid before it.
    """
    kind = type(error).__name__
    if any(_is_of_the_callers(argument, error) for argument in replaced):
        return Verdict(True, kind)
    if not _is_documented(error, replaced):
        return Verdict(False, f"{kind} is no error that is documented")
    if bought and not (hasattr(error, "campaign") and _is_about_answers(error)):
        return Verdict(False, f"{kind} after {bought} labels were bought")
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    validated = any(frame.f_code.co_filename == VALIDATION for frame in frames)
    if validated and any(map(_is_data, replaced)):
        return Verdict(True, kind)  # as every estimator of scikit-learn says it, at times in NumPy's words
    if isinstance(error, OSError) and any(_names(str(error), argument) for argument in replaced):
        return Verdict(True, kind)
    if not _was_raised(frames[-1], error.__traceback__):
        return Verdict(False, f"{kind} that is not raised by a check")
    named = isinstance(error, NotFittedError) or any(_names(str(error), argument) for argument in replaced)
    if not named:
        return Verdict(False, f"{kind} that does not name {' or '.join(a.name for a in replaced)}")
    return Verdict(True, kind)


def judge_result(
    result: Any, replaced: Sequence[Argument], warned: Iterable[Any], *, finite: bool = True
) -> Verdict:
    """Return whether what came back is sensible.

    Parameters
    ----------
    result : object
        What must be finite: numbers, arrays, tensors, tables, or lists of them.
    replaced : sequence of Argument
    warned : iterable of warning
        What the call warned of.
    finite : bool, default=True
        Whether the result must be finite.
    """
    for argument in replaced:
        wrong = taken_for(argument)
        if wrong:
            return Verdict(False, f"{argument.name}: {wrong}")
    for warning in warned:
        text = str(warning.message)
        if issubclass(warning.category, RuntimeWarning) and re.search(r"encountered|empty slice", text):
            return Verdict(False, f"only a warning: {text[:60]}")
    if finite and not is_finite_number(result):
        return Verdict(False, "a result that is not finite, without an error")
    return Verdict(True, "works")


# -- values that work -----------------------------------------------------------------------------


def taken_for(argument: Argument) -> str:
    """Say for what a value that was accepted has been taken; nothing if it is of a documented kind."""
    kinds = _kinds(argument.documented)
    value, name = argument.value, type(argument.value).__name__
    if not kinds or (value is None and ("none" in kinds or argument.good is None)):
        return ""
    rest = kinds - {"none"}
    truth = isinstance(value, bool | np.bool_)
    if rest <= {"int", "float"} and argument.name != "verbose":
        number = isinstance(value, numbers.Number) or _is_zero_d(value)
        if truth or not number or isinstance(value, complex):
            return f"{name} taken for a number"
        if not _isfinite(value) and _isfinite(argument.good):
            return "a number that is not finite was accepted"
        if rest == {"int"} and isinstance(value, float | np.floating):
            return "a fraction taken for a whole number"
    if rest == {"bool"} and not truth:
        return f"{name} taken for a truth value"
    if rest == {"text"} and not isinstance(value, str):
        return f"{name} taken for a text"
    return ""


def _kinds(documented: str) -> set[str]:
    """Return the plain kinds of value that a documented type lists; none if there is another among them."""
    text = re.sub(r",?\s*default=.*|,?\s*optional$", "", documented)
    text = re.sub(r"\{[^}]*\}", lambda m: "text" if re.search(r"[\"']", m[0]) else "other", text)
    words = {word.strip().lower() for word in re.split(r",| or ", text) if word.strip()}
    words = {"text" if word == "str" else word for word in words}
    words |= {"none"} if "default=None" in documented else set()
    return words if words <= {"int", "float", "bool", "text", "none"} else set()


def _is_zero_d(value: object) -> bool:
    return isinstance(value, np.ndarray | torch.Tensor) and value.ndim == 0


def _isfinite(value: Any) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, numbers.Integral):
        return True
    return math.isfinite(value)


def is_finite_number(result: Any) -> bool:
    """Whether all numbers in a result are finite."""
    if isinstance(result, torch.Tensor):
        return bool(torch.isfinite(result).all()) if result.is_floating_point() else True
    if isinstance(result, pd.DataFrame):
        return all(is_finite_number(result[column].to_numpy()) for column in result)
    if isinstance(result, np.ndarray):
        return bool(np.isfinite(result).all()) if result.dtype.kind in "fc" else True
    if isinstance(result, float | np.floating):
        return math.isfinite(result)
    if isinstance(result, Mapping):
        return all(map(is_finite_number, result.values()))
    return all(map(is_finite_number, result)) if isinstance(result, list | tuple) else True


# -- errors ---------------------------------------------------------------------------------------


def _is_documented(error: BaseException, replaced: Sequence[Argument]) -> bool:
    if isinstance(error, OSError):
        return any(isinstance(a.good, str | Path) or a.name in ("ledger", "csv") for a in replaced)
    if isinstance(error, UnicodeError):  # derived from ValueError, and never a check's
        return False
    if isinstance(error, SkorchException):
        return True
    return isinstance(
        error, ValueError | TypeError | NotFittedError | LedgerError | ImportError | campaign_room.OracleError
    )


def _is_of_the_callers(argument: Argument, error: BaseException) -> bool:
    """Whether a value's own code is at fault, or an entry of a dict for matplotlib, and the error says so."""
    value, text = argument.value, str(error)
    if argument.name.endswith("_kw") and isinstance(value, Mapping):
        return any(repr(key) in text or str(key) in text for key in value)
    if isinstance(error, campaign_room.OracleError):  # what was asked answers otherwise than was said
        return argument.name == "per_row" or (callable(value) and argument.name in ("oracle", "function"))
    if not callable(value):
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = any(type(frame.f_locals.get("self")) is type(value) for frame in frames)
    return own or ((inspect.isbuiltin(value) or isinstance(value, type)) and f"{value.__name__}()" in text)


def _is_about_answers(error: BaseException) -> bool:
    return isinstance(error, campaign_room.OracleError | LedgerError)


def _was_raised(frame: FrameType, tb: TracebackType | None) -> bool:
    """Whether skalss or scikit-learn said it: the innermost step is a ``raise`` of theirs."""
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    said = tb is not None and frame.f_code.co_code[tb.tb_lasti] == RAISE
    return said and frame.f_code.co_filename.startswith((OURS, THEIRS, SKORCH))


def _is_data(argument: Argument) -> bool:
    return argument.name in DATA or isinstance(argument.good, np.ndarray | torch.Tensor | pd.DataFrame)


def _names(text: str, argument: Argument) -> bool:
    names = {argument.name, argument.name.replace("_", " ")}
    if any(re.search(rf"\b{re.escape(name)}s?\b", text, flags=re.IGNORECASE) for name in names):
        return True
    if _is_data(argument) and re.search(NAMES_OF_DATA, text):
        return True
    value = argument.value
    return any(
        _shows(text, form) for form in (value, value.item() if isinstance(value, np.generic) else value)
    )


def _shows(text: str, value: Any) -> bool:
    """Whether a text holds a value as Python shows it."""
    try:
        shown = " ".join(repr(value).split())[:60]
    except Exception:  # it cannot be shown
        return False
    text = " ".join(text.split())
    return len(shown) > 2 and shown in text or any(f"{q}{shown}" in text for q in ("got ", "'", "label "))
