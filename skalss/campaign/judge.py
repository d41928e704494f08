"""How good the network of a round is: on held-out rows, on control rows, against the round before."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..network import TaskModel
from .agreement import Agreement
from .control import ControlRows
from .history import History, HistoryLine
from .models import Models
from .pool import Pool
from .records import Records
from .scoring import Scorer

MOST_UNSEEN = 1000  # rows of a validation set that are looked at besides its score
LEAST_UNSEEN = 20  # rows, to say anything of errors


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

        self._asked_of: tuple[TaskModel, int] | None = None  # who chose the last batch, and its round

    def choose_by(self, network: TaskModel | None, line: HistoryLine) -> None:
        """Keep the network that chose a batch until the answers are there: it has not seen them."""
        self.control.choose_by(network, line)
        looked_at = network is not None and self.pool.target.numeric
        self._asked_of = (network, line.round) if looked_at and network is not None else None

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
        if self.pool.target.numeric:
            self._note_errors()
        if self.agreement is not None and not first_set:
            agreement = self.agreement.look(self.models.network(), len(self.records.labels()))
            if not np.isnan(agreement):
                self.history.now().agreement = agreement

    def _note_errors(self) -> None:
        """Note how uneven the errors are on rows that a network had not seen: RMSE over MAE.

        Of held-out or control rows where a network was trained, otherwise of the batch asked last.
        """
        line, trained = self.history.now(), self.models.trained
        if not np.isnan(line.error_ratio):
            return
        found = self.unseen(trained) if trained is not None and self.models.is_current() else None
        if found is None and self._asked_of is not None:
            chooser, round_ = self._asked_of
            asked = self.control.rows_asked(round_)
            found = None if asked is None else Unseen(asked[1], np.asarray(chooser.predict(asked[0])))
        if found is not None and len(found.y) >= LEAST_UNSEEN:
            line.error_ratio = self.error_ratio(found)

    def error_ratio(self, unseen: Unseen) -> float:
        """Return RMSE over MAE: 1.25 for normal errors, more where a few are far larger than the rest."""
        target = self.pool.target if self.models.trained is None else self.models.trained.target_
        errors = target.errors(unseen.y, unseen.predicted)
        if errors is None:
            return np.nan
        mean = float(np.abs(errors).mean())
        return float(np.sqrt(np.square(errors).mean())) / mean if mean > 0 else np.nan

    def last_error_ratio(self) -> float:
        """Return the last ratio that was noted; NaN: none was."""
        known = [line.error_ratio for line in self.history.lines if not np.isnan(line.error_ratio)]
        return known[-1] if known else np.nan

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
