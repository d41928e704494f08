"""How good the network of a round is: on held-out rows, on control rows, against the round before."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..network import TaskModel
from .agreement import Agreement
from .control import ControlRows
from .history import History
from .models import Models
from .pool import Pool
from .records import Records
from .scoring import Scorer

MOST_UNSEEN = 1000  # rows of a validation set that are looked at besides its score


class Unseen(NamedTuple):
    """Rows that a network was not trained on.

    Attributes
    ----------
    y : array of shape (n,)
    predicted : array of shape (n,)
    """

    y: np.ndarray
    predicted: np.ndarray


class Judge:
    """Measures what somebody looks at, and no more: what is not looked at trains no network.

    Parameters
    ----------
    pool : Pool
    records : Records
    models : Models
    history : History
        Scores are written into it.
    scorer : Scorer
    control : ControlRows
    agreement : Agreement or None
        None: nobody asks whether predictions agree.
    """

    def __init__(
        self,
        pool: Pool,
        records: Records,
        models: Models,
        history: History,
        *,
        scorer: Scorer,
        control: ControlRows,
        agreement: Agreement | None,
    ):
        self.pool, self.records, self.models, self.history = pool, records, models, history
        self.scorer, self.control, self.agreement = scorer, control, agreement

    @property
    def looks_at_each_round(self) -> bool:
        """Whether the network of each round is looked at."""
        return self.pool.X_val is not None or bool(self.control.share) or self.agreement is not None

    def rehearse(self, trial: TaskModel, X: np.ndarray, y: np.ndarray) -> None:
        """Score a network that was trained for a moment, as far as scores are asked for.

        Parameters
        ----------
        trial : TaskModel
        X : array of shape (n_samples, ...)
            Rows of the pool.
        y : array of shape (n_samples,)
            Made-up labels.
        """
        if self.pool.X_val is not None and self.pool.y_val is not None:
            self.scorer.rehearse(trial, self.pool.X_val, self.pool.y_val, "X_val and y_val")
        if self.control.share:
            self.scorer.rehearse(trial, X, y, "rows of the pool with made-up labels")

    def measure(self, *, first_set: bool) -> None:
        """Score the network of all labels so far; with a first set that is whole, compare it, too."""
        if self.pool.X_val is not None and self.pool.y_val is not None:
            network, line = self.models.network(), self.history.now()
            if np.isnan(line.val_score):
                line.val_score = self.scorer.score(network, self.pool.X_val, self.pool.y_val)
        if self.control.share:
            self.control.measure(self.models.network(), self.history.now())
        if self.agreement is not None and not first_set:
            agreement = self.agreement.look(self.models.network(), len(self.records.labels()))
            if not np.isnan(agreement):
                self.history.now().agreement = agreement

    def unseen(self, network: TaskModel) -> Unseen | None:
        """Return labels and predictions of validation rows, or of control rows; None where there are none."""
        if self.pool.X_val is not None and self.pool.y_val is not None:
            y = np.asarray(self.pool.y_val)
            every = np.arange(0, len(y), math.ceil(len(y) / MOST_UNSEEN))
            held_out: Any = self.pool.X_val
            X, y = held_out[every], y[every]
        elif self.records.held_out():
            X, y = self.control.rows()
        else:
            return None
        return Unseen(y, np.asarray(network.predict(X)))

    def get_state(self) -> dict[str, Any] | None:
        """Return what the next network is compared with; None where nobody compares."""
        return None if self.agreement is None else self.agreement.get_state()

    def set_state(self, state: dict[str, Any] | None) -> None:
        """Take up what `get_state` returned."""
        if self.agreement is not None and state is not None:
            self.agreement.set_state(state)

    def accept(self) -> None:
        """Compare the next network with the one looked at last."""
        if self.agreement is not None:
            self.agreement.advance()
