"""What questions cost, and which of them the budget allows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..oracles import BaseOracle
from ..oracles.costs import check_costs
from ..utils.tensors import chunk_rows, chunks
from .pool import Pool
from .questions import GENERATED, Question
from .records import Records


class Budget:
    """Labels and costs that are left, and the size of the next batch.

    What is pending counts at its full cost: a failure that is not charged gives it back. No strategy sees a
    row of the pool that costs more than what is left.

    Parameters
    ----------
    pool : Pool
    records : Records
    n_initial, n_per_round, max_labels : int
        As in the sampler.
    max_cost : float or None
        In the units of the oracle's costs; None: no limit.
    oracle : BaseOracle or None
        Who names the costs.
    unlimited : bool
        Whether there are points to ask about beyond the rows of the pool.

    Raises
    ------
    ValueError
        If there is a limit, and the oracle names no costs, or wrong ones.
    """

    def __init__(
        self,
        pool: Pool,
        records: Records,
        *,
        n_initial: int,
        n_per_round: int,
        max_labels: int,
        max_cost: float | None,
        oracle: BaseOracle | None,
        unlimited: bool,
    ):
        self.pool, self.records, self.unlimited = pool, records, unlimited
        self.n_initial, self.n_per_round, self.max_labels = n_initial, n_per_round, max_labels
        self.max_cost = max_cost
        self.of_pool: np.ndarray | None = None  # known where there is a limit
        self.nothing_fits = False  # of the questions chosen last
        self._ended = False  # nothing fitted, and nothing was pending that could give something back
        self.oracle: BaseOracle | None = None
        self.take_from(oracle)

    # -- labels -----------------------------------------------------------------------------------

    def total(self) -> int:
        """Return the paid answers allowed, clipped to what there is to ask."""
        askable = len(self.pool) - len(self.pool.given)
        return self.max_labels if self.unlimited else min(self.max_labels, askable)

    def missing_at_first(self) -> int:
        """Return how many rows of the first set were neither known from the start nor asked yet."""
        return self.n_initial - len(self.pool.given) - len(self.records.questions)

    def next_size(self, n: int | None) -> int:
        """Return how many questions may be asked next; `n` is how many are wanted, None what is usual."""
        missing = self.missing_at_first()
        wanted = n or (missing if missing > 0 else self.n_per_round)
        return min(wanted, self.max_labels - self.records.n_paid - len(self.records.pending))

    # -- costs ------------------------------------------------------------------------------------

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
            costs[piece] = self._of_rows(self.pool.rows_to_show(positions), self.pool.ids[positions])
        return costs

    def rehearse(self) -> None:
        """Ask for the costs of two rows, before the first question: the oracle may not be able to tell."""
        self._of_rows(self.pool.rows_to_show(np.arange(min(2, len(self.pool)))), self.pool.ids[:2])

    def _of_rows(self, X: ArrayLike, ids: np.ndarray) -> np.ndarray:
        found = None if self.oracle is None else self.oracle.row_costs(X, ids)
        if found is not None:
            return check_costs(found, ids, X)
        if self.max_cost is not None:
            raise ValueError(
                f"MaxCost({self.max_cost!r}) needs an oracle that names its costs, got {self.oracle!r}. "
                "Pass FunctionOracle(function, cost=...), or an oracle with a method row_costs."
            )
        return np.zeros(len(ids))

    def spent(self) -> float:
        """Return what was paid, and what is pending."""
        return self.records.cost(pending=True)

    def hide_what_is_too_dear(self) -> None:
        """Mark the rows of the pool that cost more than what is left."""
        if self.max_cost is not None and self.of_pool is not None:
            self.records.too_dear = self.spent() + self.of_pool > self.max_cost

    def keep_affordable(self, questions: list[Question]) -> list[Question]:
        """Note what each question costs, and leave out those that no longer fit.

        Questions are taken in the order given; one that costs more than what is left is passed over, and the
        next one is looked at.
        """
        self.price(questions)
        if self.max_cost is None:
            return questions
        kept: list[Question] = []
        spent = self.spent()
        for question in questions:
            if math.fsum([spent, *(q.cost for q in kept), question.cost]) <= self.max_cost:
                kept.append(question)
        self.nothing_fits = bool(questions) and not kept
        self._ended = self.nothing_fits and not self.records.pending
        return kept

    def price(self, questions: list[Question]) -> None:
        """Note what each question costs."""
        asked = [q for q in questions if q.kind != GENERATED]
        made = [q for q in questions if q.kind == GENERATED]
        if asked:
            positions = np.array([q.position for q in asked])
            if self.of_pool is None:
                costs = self._of_rows(self.pool.rows_to_show(positions), self.pool.ids[positions])
            else:
                costs = self.of_pool[positions]
            _note(asked, costs)
        if made:
            ids = [q.id for q in made]
            rows = self.pool.like_user_rows([q.row for q in made], ids)
            _note(made, self._of_rows(rows, np.array(ids)))

    def priced_out(self) -> bool:
        """Whether nothing that can still be asked can be paid for, whatever comes of what is pending."""
        if self.max_cost is None or self.of_pool is None or self.records.pending:
            return False
        if self.unlimited or self._ended:
            return self._ended or self.spent() >= self.max_cost
        free = ~self.records.taken
        return bool(free.any() and (self.spent() + self.of_pool[free] > self.max_cost).all())


def _note(questions: list[Question], costs: np.ndarray) -> None:
    for question, cost in zip(questions, costs, strict=True):
        question.cost = float(cost)
