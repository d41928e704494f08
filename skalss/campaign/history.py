"""What a campaign did, line by line: every column is named once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from .records import Records


@dataclass
class HistoryLine:
    """A state of the campaign: a round, and the labels bought so far. `history_` explains the columns."""

    round: int
    n_labels: int
    n_queries: int
    cost: float
    val_score: float = np.nan
    n_asked: int = 0
    latent_seconds: float = 0.0
    fit_seconds: float = 0.0
    query_seconds: float = 0.0
    network_rows: int = 0
    n_pseudo: int = 0
    pseudo_reason: str = ""
    outlook: str = ""
    error_ratio: float = np.nan
    n_control: int = 0
    control_score: float = np.nan
    control_low: float = np.nan
    control_high: float = np.nan
    asked_score: float = np.nan
    agreement: float = np.nan

    @property
    def seconds_of_models(self) -> float:
        """Seconds in which models were trained."""
        return self.latent_seconds + self.fit_seconds


class History:
    """The lines of a campaign; a new one begins with each round, each new label and each correction.

    Parameters
    ----------
    records : Records
    """

    def __init__(self, records: Records):
        self.records = records
        self.lines: list[HistoryLine] = []
        self._n_corrected = 0

    def now(self) -> HistoryLine:
        """Return the line of the present round and number of labels."""
        records = self.records
        key = (records.round, records.n_bought())
        last = (self.lines[-1].round, self.lines[-1].n_labels) if self.lines else None
        if last != key or self._n_corrected != records.n_corrected:
            self._n_corrected = records.n_corrected
            paid, n_control = (records.n_paid, records.cost()), len(records.held_out())
            self.lines.append(HistoryLine(*key, *paid, n_control=n_control))
        return self.lines[-1]

    def known(self) -> HistoryLine:
        """Return the line of the present state; an empty one, that is not kept, where there is none yet."""
        n_lines, n_corrected, line = len(self.lines), self._n_corrected, self.now()
        del self.lines[n_lines:]
        self._n_corrected = n_corrected
        return line

    @contextmanager
    def timing(self, column: str) -> Iterator[None]:
        """Add the seconds of the block to a column of the line that is current at its end."""
        start = time.perf_counter()
        yield
        line = self.now()
        setattr(line, column, getattr(line, column) + time.perf_counter() - start)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each line."""
        columns = [column.name for column in fields(HistoryLine)]
        # Lines of a campaign saved by an earlier version lack what came later: the class has its default.
        lines = [[getattr(line, column) for column in columns] for line in self.lines]
        return pd.DataFrame(lines, columns=columns)
