"""Answers between their three kinds in Python and their line in the file."""

from __future__ import annotations

import math
import numbers
from typing import Any

from ..oracles import ABSTAIN, Abstain, Failed
from ..oracles.base import read_answer
from .store import now
from .tables import ABSTAINED, FAILED, LABELLED, Answer
from .values import from_json, to_json, to_text


def check_cost(cost: Any) -> float:
    """Refuse a cost that is not a finite number of at least 0."""
    if not isinstance(cost, numbers.Real) or not math.isfinite(cost) or cost < 0:
        raise ValueError(f"cost must be a finite number of at least 0, got {cost!r}.")
    return float(cost)


def to_line(
    item: int, request: int | None, answer: Any, *, cost: float = 0.0, annotator: str = ""
) -> tuple[Any, ...]:
    """Give the line of an answer in the file, without its number.

    Raises
    ------
    ValueError
        If it is a label that a ledger cannot keep.
    """
    state, label, reason, charged = LABELLED, None, "", 1
    if isinstance(answer, Failed):
        state, reason, charged = FAILED, to_text(answer.reason), int(answer.charged)
    elif isinstance(answer, Abstain):
        state, reason = ABSTAINED, to_text(answer.reason)
    else:
        label = to_json(answer)
    return item, request, state, label, reason, float(cost), charged, to_text(annotator), now()


def from_line(line: Answer) -> Any:
    """Give the answer: a label, an Abstain or a Failed."""
    if line.state == FAILED:
        return Failed(line.reason, bool(line.charged))
    if line.label is None:
        return Abstain(line.reason) if line.reason else ABSTAIN
    return from_json(line.label)


def check_told(answer: Any, task: str, id_: Any) -> Any:
    """Read an answer that came from outside a campaign, or refuse it."""
    if isinstance(answer, numbers.Real) and math.isnan(answer):
        raise ValueError(
            f"The answer to id {id_!r} is NaN, as an empty cell is. Leave it out if it is not answered yet; "
            "answer None where there is no label to be had, or Failed(reason)."
        )
    answer = read_answer(answer)
    is_label = not isinstance(answer, Failed | Abstain)
    if is_label and task == "regression" and not isinstance(answer, numbers.Real):
        raise ValueError(
            f"The label of id {id_!r} must be a number, since the ledger is for regression; got {answer!r}."
        )
    return answer
