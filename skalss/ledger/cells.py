"""Cells of a CSV file as a spreadsheet program may have left them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from ..utils.scalars import SCALARS

TYPES = {kind.__name__: kind for kind in SCALARS}
BOOLS = {"true": True, "false": False}
NO_LABEL = {"none", "na", "n/a", "#n/a", "nan", "null", "nat", "<na>"}
MARK = "'"
_STARTS = "=+-@＝＋－＠" + MARK
_DIGITS = 6  # that a program shows at least of a long number


def guard(text: str) -> str:
    """Return text in a form that no program takes for a formula, nor for an empty cell.

    An apostrophe goes before text that starts with one or with ``= + - @``, that has blanks, tabs or line
    ends at its ends, that is empty, or that pandas reads as missing. `unguard` takes it away.

    Examples
    --------
    >>> guard("=1+1"), unguard("'=1+1"), unguard("=1+1"), guard("a-b"), unguard("'tis")
    ("'=1+1", '=1+1', '=1+1', 'a-b', "'tis")
    """
    return MARK + text if _needs_guard(text) else text


def unguard(cell: str) -> str:
    """Return the text of a cell, without the blanks around what was not guarded."""
    if cell.startswith(MARK) and _needs_guard(cell[1:]):
        return cell[1:]
    return cell.strip()


def _needs_guard(text: str) -> bool:
    return text.strip() != text or not text or text[0] in _STARTS or text.lower() in NO_LABEL


def looks_like(value: Any, cell: str) -> bool:
    """Whether a cell may be what a spreadsheet program made of a value.

    It drops zeros before a number, writes it with an exponent or fewer digits, puts TRUE for True, and ends
    lines in its own way.

    Examples
    --------
    >>> looks_like("007", "7"), looks_like(1 / 3, "0.333333333"), looks_like(True, "TRUE"), looks_like(1, "2")
    (True, True, True, False)
    """
    text = str(value)
    if text == cell or look(text) == look(cell):
        return True
    number, shown = _number(text), _number(cell)
    if number is None or shown is None or not number.is_finite() or not shown.is_finite():
        return False
    digits = len(shown.as_tuple().digits)
    return digits >= _DIGITS and _rounded(number, digits) == shown


def look(text: str) -> Any:
    r"""Return what stays of a text in a spreadsheet program: a number, a bool, or its lines.

    Examples
    --------
    >>> look("007") == look("7.0"), look(" a\r\nb") == look("a\nb"), look("1E+05") == look("100000")
    (True, True, True)
    """
    text = "\n".join(text.strip().splitlines())
    number = _number(text)
    return text.lower() if text.lower() in BOOLS else text if number is None else number


def _number(text: str) -> Decimal | None:
    if "_" in text:  # Python reads 1_000 as a number
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 400 else None


def _rounded(number: Decimal, digits: int) -> Decimal:
    return Decimal(f"{number:.{digits - 1}e}")


def survives(text: str) -> Any:
    """Return the number that a text is, if it is written just so; None if not.

    Examples
    --------
    >>> survives("7"), survives("1.5"), survives("007"), survives("1e5")
    (7, 1.5, None, None)
    """
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if str(number) == text:
            return number
    return None
