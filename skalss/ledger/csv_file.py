"""A ledger's questions as a CSV file, and answers out of one."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ..oracles import Abstain, Failed
from ..oracles.base import ABSTAINED, FAILED, LABELED, PENDING
from ..utils.scalars import SCALARS, from_json, to_json
from .answers import check_cost, check_told, from_line, to_line
from .book import Book
from .store import Store
from .tables import FROM_FILE

TYPES = {kind.__name__: kind for kind in SCALARS}
_BOOLS = {"true": True, "false": False}
_LIMIT = 2**31 - 1  # characters of a cell; csv stops at 131,072 unless told


class Entry(NamedTuple):
    """A line of a CSV file, as text."""

    where: str  # for errors
    cells: dict[str, str]

    def get(self, name: str, default: str = "") -> str:
        """Return a cell, or the default where it is empty."""
        return self.cells.get(name) or default

    def refuse(self, why: str) -> ValueError:
        """Return the error that names the line."""
        return ValueError(f"{self.where}: {why} Nothing of the file was recorded.")


def write(path: str | os.PathLike, frame: pd.DataFrame) -> None:
    """Write the questions, without the arrays of generated points."""
    columns = [name for name in frame if name not in ("code", "row")]
    for name in ("id", "label"):
        columns.insert(columns.index(name) + 1, f"{name}_type")
        frame[f"{name}_type"] = ["" if v is None else type(v).__name__ for v in frame[name]]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in frame[columns].itertuples(index=False):
            writer.writerow("" if v is None or v is pd.NA or _is_nan(v) else v for v in row)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def read(path: str | os.PathLike) -> list[Entry]:
    """Read the lines of a file."""
    limit = csv.field_size_limit(_LIMIT)
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="", restval="", strict=True)
            if "id" not in (reader.fieldnames or []):
                raise ValueError(
                    f"{path} has the columns {list(reader.fieldnames or [])}; it needs `id` and `label`. "
                    "Ledger.to_csv writes such a file."
                )
            entries = []
            for cells in reader:
                if cells.pop("", None) and "" not in (reader.fieldnames or []):
                    raise ValueError(f"{path}, line {reader.line_num}: more cells than there are columns.")
                entries.append(Entry(f"{path}, line {reader.line_num}", cells))
    except (csv.Error, UnicodeError) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {error}.") from error
    finally:
        csv.field_size_limit(limit)
    return entries


def record(entries: Iterable[Entry], store: Store, book: Book, annotator: str) -> int:
    """Add the answers that are new; return their number."""
    lines: list[tuple[Any, ...]] = []
    seen: dict[int, tuple[Any, ...]] = {}
    failed = set()
    target = store.target
    label_types = {type(target.from_text(line.label)) for line in book.answers if line.label is not None}
    for entry in entries:
        state = _state(entry)
        if state == PENDING:
            continue
        item, answer = _item(entry, store, book), _answer(entry, state, store, label_types)
        cost, who = _cost(entry), entry.get("annotator", annotator)
        if state == FAILED:
            waiting = [] if item in failed else [request.number for request in book.waiting(item)]
            lines += [to_line(item, n, answer, target, cost=cost, annotator=who) for n in waiting]
            failed.add(item)
            continue
        new = to_line(item, None, answer, target, cost=cost, annotator=who)
        if seen.setdefault(item, new)[2:4] != new[2:4]:
            raise entry.refuse(f"id {entry.get('id')!r} has another answer further up; keep one of them.")
        known = book.known(item)
        if seen[item] is new and (known is None or _differ(from_line(known, target), answer)):
            waiting = [request.number for request in book.waiting(item)]
            request = waiting[-1] if waiting else None
            lines.append(to_line(item, request, answer, target, cost=cost, annotator=who))
    store.add("answers", lines)
    return len(lines)


def _differ(first: Any, second: Any) -> bool:
    return type(first) is not type(second) or first != second


def _state(entry: Entry) -> str:
    given = entry.get("state")
    state = FROM_FILE.get(given, given)
    known = (PENDING, LABELED, ABSTAINED, FAILED)
    if state not in ("", *known):
        raise entry.refuse(f"the state {given!r} is none of {list(known)}.")
    if state in ("", PENDING) and entry.get("label"):
        return LABELED  # filled in by a person, who left the column `state` alone
    return state or PENDING


def _answer(entry: Entry, state: str, store: Store, label_types: set[type]) -> Any:
    if state == ABSTAINED:
        return Abstain(entry.get("reason"))
    if state == FAILED:
        return Failed(entry.get("reason"), _bool(entry, "charged"))
    target, text = store.target, entry.get("label")
    given = entry.get("label_type")
    if given:
        label = _parse(entry, text, given)
    elif len(label_types) == 1 and not target.numeric:
        label = _parse(entry, text, next(iter(label_types)).__name__)
    else:
        label = _guess(text)
    try:
        to_json(label)
        return check_told(label, target, entry.get("id"))
    except ValueError as error:
        raise entry.refuse(str(error)) from error


def _parse(entry: Entry, text: str, kind: str) -> Any:
    """Read a scalar of a named type."""
    if kind not in TYPES:
        raise entry.refuse(f"the type {kind!r} is none of {list(TYPES)}.")
    try:
        return _BOOLS[text.lower()] if kind == "bool" else TYPES[kind](text)
    except (ValueError, KeyError) as error:
        raise entry.refuse(f"{text!r} is no {kind}, as the other labels are.") from error


def _guess(text: str) -> Any:
    """Read a scalar that says nothing of its type."""
    for kind in (int, float) if "_" not in text else ():  # Python reads 1_000 as a number
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _bool(entry: Entry, name: str) -> bool:
    text = entry.get(name, "false").lower()
    if text not in _BOOLS:
        raise entry.refuse(f"{name} must be True or False, got {text!r}.")
    return _BOOLS[text]


def _cost(entry: Entry) -> float:
    try:
        return check_cost(float(entry.get("cost", "0")))
    except ValueError as error:
        raise entry.refuse(
            f"cost must be a finite number of at least 0, got {entry.get('cost')!r}."
        ) from error


def _item(entry: Entry, store: Store, book: Book) -> int:
    """Find the item that a line speaks of, or add it where the line says what it holds."""
    text, given = entry.cells["id"], entry.get("id_type")
    try:
        ids = {to_json(id_, "id") for id_ in _readings(entry, text, given)}
    except ValueError as error:
        raise entry.refuse(str(error)) from error
    found = [book.item(id_) for id_ in sorted(ids)]
    items = [item for item in found if item is not None]
    if len(items) > 1:
        raise entry.refuse(f"id {text!r} may be {[from_json(i.id) for i in items]}; add a column id_type.")
    content = entry.get("content")
    if items:
        if content not in ("", items[0].content):
            raise entry.refuse(f"id {text!r} is another row here: its content differs.")
        return items[0].number
    if not content or not given:
        raise entry.refuse(
            f"id {text!r} was never asked here. To bring answers from another ledger, keep the columns "
            "id_type, content and kind of Ledger.to_csv."
        )
    (number,) = store.add("items", [(ids.pop(), content, entry.get("kind", "pool"))])
    store.read_lines()
    return number


def _readings(entry: Entry, text: str, kind: str) -> list[Any]:
    """Return what an id's text may stand for."""
    if kind:
        return [_parse(entry, text, kind)]
    readings: list[Any] = [text, _guess(text)]
    if text.lower() in _BOOLS:
        readings.append(_BOOLS[text.lower()])
    return [value for value in readings if not (isinstance(value, float) and not math.isfinite(value))]
