"""A ledger as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..oracles.base import PENDING
from ..targets import BaseTarget
from ..utils.arrays import unpack
from ..utils.scalars import from_json
from .book import Book
from .store import Store
from .tables import Answer, Item, Request

ANSWER = ["state", "label", "reason", "cost", "charged", "annotator", "answered_at"]
REQUEST = ["campaign", "seed", "round", "strategy", "score", "control", "asked_at", "version"]
ANNOTATORS = ["n_annotators", "disagree"]
WHOLE = ["campaign", "seed", "round"]  # pandas' own integers, which may be missing


def questions(store: Store) -> pd.DataFrame:
    """Return a row for each question, then one for each answered item that nobody asked about."""
    book, target = store.book, store.target
    rows = [
        {
            **_item(book.items[request.item - 1]),
            **_answer(book.answer_to(request), target),
            **_annotators(book, request.item, target),
            **_request(book, request),
        }
        for request in book.requests
    ]
    asked = {request.item for request in book.requests}
    for item in book.items:
        if item.number not in asked:
            answer = _answer(book.known(item.number), target)
            rows.append({**_item(item), **answer, **_annotators(book, item.number, target)})
    for row in rows:
        row["code"], row["row"] = _point(store, row.pop("number"))
    columns = ["id", "kind", "content", *ANSWER, *ANNOTATORS, *REQUEST, "code", "row"]
    return _typed(pd.DataFrame(rows, columns=columns, dtype=object))


def answers(store: Store) -> pd.DataFrame:
    """Return a row for each answer."""
    items, target = store.book.items, store.target
    rows = [
        {"id": from_json(items[line.item - 1].id), **_answer(line, target)}
        for line in store.book.answers
    ]
    return _typed(pd.DataFrame(rows, columns=["id", *ANSWER], dtype=object))


def _item(item: Item) -> dict[str, Any]:
    return {"number": item.number, "id": from_json(item.id), "kind": item.kind, "content": item.content}


def _answer(line: Answer | None, target: BaseTarget) -> dict[str, Any]:
    if line is None:
        return {"state": PENDING, "reason": "", "cost": 0.0, "charged": False, "annotator": ""}
    found = {name: getattr(line, name) for name in ANSWER}
    label = None if line.label is None else target.from_text(line.label)
    return {**found, "label": label, "charged": bool(line.charged)}


def _annotators(book: Book, item: int, target: BaseTarget) -> dict[str, Any]:
    """Return how many gave a label or an abstention, and whether the last ones of each differ."""
    lines = list(book.annotators(item).values())
    return {"n_annotators": len(lines), "disagree": any(_disagree(lines[0], line, target) for line in lines)}


def _disagree(first: Answer, second: Answer, target: BaseTarget) -> bool:
    if (first.state, first.label) == (second.state, second.label):
        return False
    if first.label is None or second.label is None:
        return True
    return not target.same(target.from_text(first.label), target.from_text(second.label))


def _request(book: Book, request: Request) -> dict[str, Any]:
    found = {name: getattr(request, name) for name in REQUEST if name != "seed"}
    score = np.nan if request.score is None else request.score
    seed = book.campaigns[request.campaign - 1].seed
    return {**found, "seed": seed, "score": score, "control": bool(request.control)}


def _point(store: Store, item: int) -> tuple[Any, Any]:
    if item not in store.book.points:
        return None, None
    code, row = store.point(item)
    return unpack(code), unpack(row)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Set the types of columns; ids and labels keep each its own, and what is missing is None."""
    kinds = {
        "cost": float,
        "charged": bool,
        "disagree": bool,
        "n_annotators": int,
        "score": float,
        **dict.fromkeys(WHOLE, "Int64"),
    }
    frame = frame.astype({name: kind for name, kind in kinds.items() if name in frame})
    for name in set(frame) - set(kinds):
        frame[name] = pd.Series([None if _is_missing(v) else v for v in frame[name]], dtype=object)
    return frame


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))
