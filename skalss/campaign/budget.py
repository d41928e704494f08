"""What questions cost, and which of them the budget allows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..oracles import BaseOracle
from ..oracles.costs import check_costs
from ..utils.tensors import chunk_rows, chunks
from .pool import Pool
from .questions import GENERATED, Question
from .records import Records


class Costs:
    """Keeps the questions of a campaign within `max_cost`.

    What is pending counts at its full cost: a failure that is not charged gives it back. No strategy sees a
    row of the pool that costs more than what is left.

    Parameters
    ----------
    max_cost : float or None
        In the units of the oracle's costs; None: no limit.
    pool : Pool
    records : Records
    oracle : BaseOracle or None
        Who names the costs.

    Raises
    ------
    ValueError
        If there is a limit, and the oracle names no costs, or wrong ones.
    """

    def __init__(self, max_cost: float | None, pool: Pool, records: Records, oracle: BaseOracle | None):
        self.max_cost, self.pool, self.records = max_cost, pool, records
        self.of_pool: np.ndarray | None = None  # known where there is a limit
        self.nothing_fits = False  # of the questions chosen last
        self._ended = False  # nothing fitted, and nothing was pending that could give something back
        self.oracle: BaseOracle | None = None
        self.take_from(oracle)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle everything but the oracle, which may not allow it."""
        return {**vars(self), "oracle": None}

    def take_from(self, oracle: BaseOracle | None) -> None:
        """Let this oracle name the costs."""
        known = self.of_pool is not None and oracle is self.oracle
        self.oracle = oracle
        self._ended = self._ended and known
        if self.max_cost is not None and not known:
            self.of_pool = self._read_pool()

    def _read_pool(self) -> np.ndarray:
        costs = np.zeros(len(self.pool))
        for piece in chunks(len(costs), chunk_rows(self.pool.X.shape[1:])):
            positions = np.arange(len(costs))[piece]
            costs[piece] = self._of_rows(self.pool.user_rows(positions), self.pool.ids[positions])
        return costs

    def _of_rows(self, X: Any, ids: Any) -> np.ndarray:
        found = None if self.oracle is None else self.oracle.row_costs(X, ids)
        if found is not None:
            return check_costs(found, ids)
        if self.max_cost is not None:
            raise ValueError(
                f"max_cost={self.max_cost!r} needs an oracle that names its costs, got {self.oracle!r}. "
                "Pass FunctionOracle(function, cost=...), or an oracle with a method row_costs."
            )
        return np.zeros(len(ids))

    @property
    def spent(self) -> float:
        """What was paid, and what is pending."""
        return self.records.cost(pending=True)

    def hide_what_is_too_dear(self) -> None:
        """Mark the rows of the pool that cost more than what is left."""
        if self.max_cost is not None and self.of_pool is not None:
            self.records.too_dear = self.spent + self.of_pool > self.max_cost

    def keep_affordable(self, questions: list[Question]) -> list[Question]:
        """Note what each question costs, and leave out those that no longer fit.

        Questions are taken in the order given; one that costs more than what is left is passed over, and the
        next one is looked at.
        """
        self.price(questions)
        if self.max_cost is None:
            return questions
        kept: list[Question] = []
        spent = self.spent
        for question in questions:
            if math.fsum([spent, *(q.cost for q in kept), question.cost]) <= self.max_cost:
                kept.append(question)
        self.nothing_fits = bool(questions) and not kept
        self._ended = self.nothing_fits and not self.records.pending
        return kept

    def price(self, questions: list[Question]) -> list[Question]:
        """Note what each question costs."""
        asked = [q for q in questions if q.kind != GENERATED]
        made = [q for q in questions if q.kind == GENERATED]
        if asked:
            positions = np.array([q.position for q in asked])
            if self.of_pool is None:
                costs = self._of_rows(self.pool.user_rows(positions), self.pool.ids[positions])
            else:
                costs = self.of_pool[positions]
            _note(asked, costs)
        if made:
            rows = self.pool.like_user_rows([q.row for q in made])
            _note(made, self._of_rows(rows, np.array([q.id for q in made])))
        return questions

    def are_used_up(self, generates: bool) -> bool:
        """Whether nothing that can still be asked can be paid for, whatever comes of what is pending."""
        if self.max_cost is None or self.of_pool is None or self.records.pending:
            return False
        if generates or self._ended:
            return self._ended or self.spent >= self.max_cost
        free = ~self.records.taken
        return bool(free.any() and (self.spent + self.of_pool[free] > self.max_cost).all())


def _note(questions: list[Question], costs: np.ndarray) -> None:
    for question, cost in zip(questions, costs, strict=True):
        question.cost = float(cost)
