"""Words that may be one word, spelled in two ways."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from typing import Any

# What turns a word into its opposite, or another one, is no slip.
_PREFIXES = ("a", "ab", "an", "dis", "fe", "il", "im", "in", "ir", "mis", "non", "un")


def nearest(word: object, known: Iterable[Any]) -> Any:
    """Return the one of `known` that is the same number, or written most like `word`; None if none is.

    Examples
    --------
    >>> nearest("helthy", ["healthy", "ill"])
    'healthy'
    >>> nearest("3", [1, 3])
    3
    """
    known, written = list(known), dict[str, Any]()
    for other in known:
        written.setdefault(_plain(str(other)), other)
    number = _number(word)
    for other in known if number is not None else ():
        if _number(other) == number:
            return other
    found = get_close_matches(_plain(str(word)), written, n=1)
    return written[found[0]] if found else None


def looks_like(word: str, known: Iterable[str]) -> str | None:
    """Return the first of `known` that is another word but may be meant to be the same; None if none is.

    Those that differ in case, blanks and marks alone are alike, and so are those whose words differ in a
    letter or two. Words of other numbers, or of another letter that stands alone, are not: "grade 2" is not
    "grade 3", and "type A" not "type B".

    Examples
    --------
    >>> looks_like("helthy", ["ill", "healthy"])
    'healthy'
    >>> looks_like("grade 2", ["grade 3"])
    """
    return next((other for other in known if other != word and _alike(word, other)), None)


def _number(word: object) -> float | None:
    try:
        return float(str(word))
    except ValueError:
        return None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _alike(one: str, other: str) -> bool:
    if _plain(one) == _plain(other):
        return True
    words, others = (re.findall(r"[^\W\d_]+|\d+", text.casefold()) for text in (one, other))
    if all(word.isdigit() for word in words + others):
        return False
    if len(words) != len(others):
        return "".join(words) == "".join(others)
    return all(a == b or _is_slip(a, b) for a, b in zip(words, others, strict=True))


def _is_slip(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    if len(long) < 4 or short.isdigit() or long.isdigit():
        return False
    if long.endswith(short) and long.removesuffix(short) in _PREFIXES:
        return False
    return SequenceMatcher(None, short, long, autojunk=False).ratio() >= 0.8
