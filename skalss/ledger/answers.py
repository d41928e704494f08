"""Answers between their three kinds in Python and their line in the file."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice
from typing import Any

from ..oracles import ABSTAIN, Abstain, Failed
from ..oracles.base import ABSTAINED, FAILED, LABELED, read_told
from ..targets import BaseTarget
from ..utils.checks import check_number
from .store import Store, now
from .tables import IN_FILE, Answer
from .values import to_text


def check_cost(cost: Any) -> float:
    """Refuse a cost that is not a finite number of at least 0."""
    check_number("cost", cost, zero=True)
    return float(cost)


def to_line(
    item: int,
    request: int | None,
    answer: object,
    target: BaseTarget,
    *,
    cost: float = 0.0,
    annotator: str = "",
) -> tuple[Any, ...]:
    """Return the line of an answer in the file, without its number.

    Raises
    ------
    ValueError
        If it is a label that a ledger cannot keep.
    """
    state, label, reason, charged = LABELED, None, "", 1
    if isinstance(answer, Failed):
        state, reason, charged = FAILED, to_text(answer.reason), int(answer.charged)
    elif isinstance(answer, Abstain):
        state, reason = ABSTAINED, to_text(answer.reason)
    else:
        label = target.to_text(answer)
    return item, request, IN_FILE[state], label, reason, float(cost), charged, to_text(annotator), now()


def from_line(line: Answer, target: BaseTarget) -> Any:
    """Return the answer: a label, an Abstain or a Failed."""
    if line.state == FAILED:
        return Failed(line.reason, bool(line.charged))
    if line.label is None:
        return Abstain(line.reason) if line.reason else ABSTAIN
    return target.from_text(line.label)


def target_for(store: Store, item: int) -> BaseTarget:
    """Return the kind of y for an answer to an item, with the classes, or the labels of others.

    Of maps one is enough: all have its shape.
    """
    target = store.target
    if target.is_map or (target.classes is None and not target.numeric):
        others = islice(store.book.labels_of_others(item), 1 if target.is_map else None)
        target.remember([target.from_text(label) for label in others])
    return target


def differ(first: Any, second: Any, target: BaseTarget) -> bool:
    """Whether two answers are not one; None is no answer yet."""
    if any(one is None or isinstance(one, Abstain | Failed) for one in (first, second)):
        return type(first) is not type(second) or first != second
    return not target.same(first, second)


def check_told(answer: object, target: BaseTarget, id_: Hashable) -> Any:
    """Read an answer that came from outside a campaign, or refuse it."""
    answer = read_told(answer, id_)
    if isinstance(answer, Failed | Abstain):
        return answer
    try:
        return target.check(answer)
    except ValueError as error:
        raise ValueError(f"The label of id {id_!r} cannot be recorded: {error}") from error
