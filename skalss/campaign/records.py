"""What was asked and what was answered, in the order asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..oracles import Abstain, Failed
from ..oracles.base import ABSTAINED, FAILED, LABELED, PENDING
from ..utils.ids import id_array
from .questions import GENERATED, POOL, Question


@dataclass
class Records:
    """Every question of a campaign; free labels that the user gave stand before them.

    Labels of control rows are held out: the networks of a running campaign are not trained on them.

    Parameters
    ----------
    n_rows : int
        Length of the pool.
    given : int array
        Positions of rows whose labels the user gave.
    given_labels : list
        Their labels.
    """

    n_rows: int
    given: np.ndarray
    given_labels: list[Any]
    questions: list[Question] = field(default_factory=list)
    pending: dict[Any, Question] = field(default_factory=dict)
    n_paid: int = 0  # answers that count against the budget
    round: int = 0  # batches asked so far
    first_rounds: int = 0  # of them, those of the first set
    n_corrected: int = 0  # answers that were replaced

    def __post_init__(self) -> None:
        """Mark the given rows as taken."""
        self.taken = np.zeros(self.n_rows, dtype=bool)  # labelled, pending or abstained: never ask
        self.taken[self.given] = True
        self.failed = np.zeros(self.n_rows, dtype=bool)  # may be asked again, when no other row is left
        self.too_dear = np.zeros(self.n_rows, dtype=bool)  # cost more than what is left
        # Counted as answers come: stopping rules look at them after each.
        self._n_answers: Counter[str] = Counter()
        self._charged: list[float] = []

    def ask(self, questions: Iterable[Question], *, first_set: bool = False) -> None:
        """Add the questions of a round as pending."""
        self.round += 1
        self.first_rounds += first_set
        for question in questions:
            self.questions.append(question)
            self.pending[question.id] = question
            if question.position >= 0:
                self.taken[question.position] = True

    def answer(self, id_: Hashable, answer: Any) -> None:
        """Record a label, an abstention or a failure of a pending question."""
        question = self.pending.pop(id_)
        if isinstance(answer, Failed):
            question.state, question.reason, question.charged = FAILED, answer.reason, answer.charged
            if question.position >= 0:
                self.taken[question.position] = False
                self.failed[question.position] = True
        else:
            _note(question, answer)
        self._n_answers[question.state] += 1
        if question.charged:
            self._pay(question)

    def _pay(self, question: Question) -> None:
        self.n_paid += 1
        self._charged.append(question.cost)

    def answered(self, id_: Hashable) -> Question | None:
        """Return the last question about an id, if it has an answer."""
        found = next((q for q in reversed(self.questions) if q.id == id_), None)
        return None if found is None or found.state == PENDING else found

    def correct(self, question: Question, answer: Any) -> None:
        """Replace the answer of an answered question by a label or an abstention; it is paid for once."""
        was_paid = question.charged
        self._n_answers[question.state] -= 1
        _note(question, answer)
        self._n_answers[question.state] += 1
        self.n_corrected += 1
        if question.position >= 0:
            self.taken[question.position], self.failed[question.position] = True, False
        if not was_paid:  # a failure
            self._pay(question)

    def blocked(self) -> np.ndarray:
        """Rows a strategy must not choose: bool array. Failed rows open up when no other is left."""
        never = self.taken | self.too_dear
        blocked = never | self.failed
        return never if blocked.all() else blocked

    def labelled(self, kind: str | None = None, *, held_out: bool = False) -> list[Question]:
        """Labelled questions, pool rows before generated points, each in the order asked.

        Those held out are left out, unless `held_out`.
        """
        found = [q for q in self.questions if q.state == LABELED and kind in (None, q.kind)]
        return sorted([q for q in found if held_out or not q.control], key=lambda q: q.kind == GENERATED)

    def held_out(self) -> list[Question]:
        """Labelled control rows, in the order asked."""
        return [q for q in self.questions if q.state == LABELED and q.control]

    def labels(self, *, held_out: bool = False) -> list[Any]:
        """Labels in training order: given, bought of pool rows, bought of generated points."""
        return self.given_labels + [q.label for q in self.labelled(held_out=held_out)]

    def labels_key(self) -> tuple[int, int]:
        """Return what changes when a label comes, or is corrected."""
        return len(self.labels()), self.n_corrected

    def n_bought(self) -> int:
        """Count the labels bought, held out or not."""
        return self.count(LABELED)

    def positions(self, *, held_out: bool = False) -> np.ndarray:
        """Pool rows with a label, in training order."""
        bought = [q.position for q in self.labelled(POOL, held_out=held_out)]
        return np.concatenate([self.given, np.array(bought, dtype=np.intp)])

    def start_keys(self) -> list[tuple[str, int]]:
        """Name each labelled row, in training order, by a key that stays when answers come late."""
        number = {id(q): i for i, q in enumerate(self.questions)}
        given = [("given", i) for i in range(len(self.given))]
        return given + [("asked", number[id(q)]) for q in self.labelled()]

    def starts_used(self) -> np.ndarray:
        """Which labelled rows, in training order, a question came from: bool array."""
        used = {q.start for q in self.questions}
        return np.array([key in used for key in self.start_keys()], dtype=bool)

    def points(self) -> list[np.ndarray]:
        """Return every point that was made and asked, answered or not."""
        return [q.row for q in self.questions if q.kind == GENERATED]

    def generated_ids(self) -> list[str]:
        """Return the ids of generated points, in the order asked."""
        return [q.id for q in self.questions if q.kind == GENERATED]

    def refused(self) -> list[Question]:
        """Return the generated points with an abstention that no strategy has been told of."""
        return [q for q in self.questions if q.kind == GENERATED and q.state == ABSTAINED and not q.passed_on]

    def pass_on_refused(self) -> None:
        """Note that a strategy has seen the refused points."""
        for question in self.refused():
            question.passed_on = True

    def count(self, state: str) -> int:
        """Count the questions in a state."""
        return len(self.pending) if state == PENDING else self._n_answers[state]

    def cost(self, *, pending: bool = False) -> float:
        """Sum what was charged, exactly, so that the order of the answers does not matter.

        With `pending`, what waits for an answer counts, too.
        """
        waiting = [q.cost for q in self.pending.values()] if pending else []
        return math.fsum(self._charged + waiting)

    def to_frame(self) -> pd.DataFrame:
        """One row a question, in the order asked."""
        columns = ["id", "round", "kind", "position", "state", "label"]
        columns += ["strategy", "control", "score", "cost", "charged", "reason"]
        columns += ["annotator", "reused"]
        frame = pd.DataFrame([{c: getattr(q, c) for c in columns} for q in self.questions], columns=columns)
        # Ids and labels stay what they are: a missing one would turn whole numbers into floats.
        frame["id"] = pd.Series(id_array([q.id for q in self.questions], "id"))
        frame["label"] = pd.Series([q.label for q in self.questions], dtype=object)
        return frame


def _note(question: Question, answer: Any) -> None:
    """Note a label or an abstention; either is paid for."""
    if isinstance(answer, Abstain):
        question.state, question.label, question.reason = ABSTAINED, None, answer.reason
    else:
        question.state, question.label, question.reason = LABELED, answer, ""
    question.charged = True
