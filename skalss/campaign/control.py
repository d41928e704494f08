"""Control rows: random rows, whose labels are held out to score the networks of a campaign."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..network import TaskModel
from ..oracles.base import LABELED
from ..strategies import RandomStrategy
from ..utils.checks import check_real
from ..utils.seeds import derive_seed
from .history import HistoryLine
from .pool import Pool
from .questions import POOL, Question
from .records import Records
from .scoring import Scorer, accuracy_interval

BY_CLASS = ("round", "n_labels", "label", "n_control", "recall", "recall_low", "recall_high")


class ControlRows:
    """Keeps the control rows of a campaign and scores its networks on them.

    They are drawn before anything is asked, out of all rows, and no strategy may choose them: rows drawn
    later, from what a strategy has left, would be easier than the pool.

    Parameters
    ----------
    pool : Pool
    records : Records
    scorer : Scorer
    share : float
        Of the questions after the first set.
    n_initial : int
    budget : int
        Paid answers allowed, the first set included.
    seed : int

    Attributes
    ----------
    reserved : int array
        Pool rows, in the order in which they are asked.
    by_class : tuple of tuples
        The lines of `to_frame`.
    """

    by_class: tuple[tuple[Any, ...], ...] = ()

    def __init__(
        self,
        pool: Pool,
        records: Records,
        scorer: Scorer,
        *,
        share: float,
        n_initial: int,
        budget: int,
        seed: int,
    ):
        self.pool, self.records, self.scorer, self.seed = pool, records, scorer, seed
        self.share = share
        self._choice: tuple[TaskModel, HistoryLine] | None = None
        askable = np.delete(np.arange(len(pool)), pool.given)
        n_first = min(max(n_initial - len(pool.given), 0), budget, len(askable))
        n_reserved = min(math.floor(self.share * (budget - n_first) + 0.5), len(askable) - n_first)
        rng: Any = np.random.RandomState(derive_seed(seed, "control"))
        self.reserved = rng.choice(askable, size=n_reserved, replace=False)

    def draw(self, free: np.ndarray, n: int) -> list[Question]:
        """Return the control rows of a batch, so many that their share of all questions comes out right.

        Parameters
        ----------
        free : bool array of shape (n_rows,)
            Pool rows that may be asked.
        n : int
            Size of the batch.

        Returns
        -------
        questions : list of Question
            At most `n`.
        """
        asked = [q for q in self.records.questions if q.round >= self.records.first_rounds]
        due = math.floor(self.share * (len(asked) + n) + 0.5) - sum(q.control for q in asked)
        left = self.reserved[free[self.reserved]]
        if np.count_nonzero(free) == len(left):
            due = n  # the strategy has none left
        common: dict[str, Any] = {
            "kind": POOL,
            "round": self.records.round,
            "strategy": RandomStrategy.__name__,
        }
        return [
            Question(id=self.pool.ids[i], position=int(i), control=True, **common)
            for i in left[: min(max(due, 0), n)]
        ]

    def choose_by(self, network: TaskModel | None, line: HistoryLine) -> None:
        """Keep the network that chose a batch, and its line of the history, until the answers are there."""
        self._choice = (network, line) if self.share and network is not None else None

    def measure(self, network: TaskModel, line: HistoryLine) -> None:
        """Score the network of this round on the control rows, and the one before it on what it chose.

        Parameters
        ----------
        network : TaskModel
            Trained on no control row.
        line : HistoryLine
            For `network`; the scores are written into it.
        """
        control = self.records.held_out()
        if np.isnan(line.control_score) and len(control) >= 2:
            line.control_score, line.control_low, line.control_high = self._control_scores(network, control)
            self._note_classes(network, line, control)
        if self._choice is not None:
            chooser, asked_line = self._choice
            asked_line.asked_score = self._asked_score(chooser, asked_line.round)

    def _control_scores(self, network: TaskModel, control: list[Question]) -> tuple[float, float, float]:
        X, y = self._rows(control)
        score = self.scorer.score(network, X, y)
        if np.isnan(score):
            return score, np.nan, np.nan
        rng = np.random.RandomState(derive_seed(self.seed, "control interval", self.records.round))
        return score, *self.scorer.interval(network, X, y, score, rng)

    def _note_classes(self, network: TaskModel, line: HistoryLine, control: list[Question]) -> None:
        """Keep the recall of each class, once for each line of the history."""
        key = (line.round, line.n_labels)
        if any(noted[:2] == key for noted in self.by_class):
            return
        X, y = self._rows(control)
        for label, n_right, n in self.pool.target.right_by_class(y, network.predict(X)):
            self.by_class += ((*key, label, n, n_right / n, *accuracy_interval(n_right, n)),)

    def scores_of(self, lines: Sequence[HistoryLine]) -> list[list[Any]]:
        """Return what is noted by class for lines of the history."""
        keys = {(line.round, line.n_labels) for line in lines}
        return [list(noted) for noted in self.by_class if noted[:2] in keys]

    def take_up(self, scores: Sequence[Sequence[Any]]) -> None:
        """Take up what `scores_of` returned, where it is not known."""
        known = {noted[:3] for noted in self.by_class}
        self.by_class += tuple(tuple(noted) for noted in scores if tuple(noted[:3]) not in known)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the control rows that have labels, and these."""
        return self._rows(self.records.held_out())

    def to_frame(self) -> pd.DataFrame:
        """Return the recall of each class on the control rows, a row for each round and label."""
        frame = pd.DataFrame(list(self.by_class), columns=list(BY_CLASS))
        frame["label"] = pd.Series([noted[2] for noted in self.by_class], dtype=object)
        return frame

    def rows_asked(self, round_: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the rows that a strategy chose in a round and that have labels, and these; None: none."""
        asked = [
            q for q in self.records.questions if q.round == round_ and q.state == LABELED and not q.control
        ]
        return self._rows(asked) if asked else None

    def _asked_score(self, chooser: TaskModel, round_: int) -> float:
        asked = self.rows_asked(round_)
        return np.nan if asked is None else self.scorer.score(chooser, *asked)

    def _rows(self, questions: list[Question]) -> tuple[np.ndarray, np.ndarray]:
        rows = [self.pool.X[q.position] if q.kind == POOL else q.row for q in questions]
        return np.stack(rows), self.pool.target.as_array([q.label for q in questions])


def check_control_share(value: float) -> None:
    """Refuse a share outside [0, 1)."""
    check_real("control_share", value)
    if not 0 <= value < 1:
        raise ValueError(
            f"control_share must lie in [0, 1), got {value!r}. Pass the share of the questions that go to "
            "random rows, such as 0.1, or 0 for none; for random rows alone set strategy='random'."
        )
