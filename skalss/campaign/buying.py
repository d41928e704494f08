"""Putting questions to an oracle, and telling a campaign what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np

from ..ledger import LedgerError
from ..oracles import BaseOracle
from ..oracles.base import answer_chunks, read_answer

AT_ONCE = 100  # answers told, and committed to a ledger, together


class OracleError(RuntimeError):
    """An oracle broke down. What it had answered is kept.

    Attributes
    ----------
    campaign : Campaign
        Goes on with ``campaign.run()``, or gives a fitted sampler with ``campaign.finish()``.
    """

    def __init__(self, message: str, campaign: Any = None):
        super().__init__(message)
        self.campaign = campaign

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the campaign when another process sends the error back."""
        return type(self), (self.args[0], self.campaign)


class OracleAnswerError(OracleError, ValueError):
    """An oracle answered what was not asked, or too little, or with a label that cannot be."""


def buy(campaign: Any, oracle: BaseOracle, batch: Any) -> Iterator[int]:
    """Put a batch to an oracle, tell the campaign each answer as it comes, and yield how many were paid.

    Raises
    ------
    OracleError
        If the oracle breaks down or leaves an answer out.
    LedgerError
        If answers cannot be written down; a note of it holds them.
    """
    records, name = campaign.records, type(oracle).__name__
    try:
        with closing(answer_chunks(oracle.label(batch.X, batch.ids))) as chunks:  # ends its workers, too
            for arrived in chunks:
                for first in range(0, len(arrived), AT_ONCE):
                    paid = records.n_paid
                    _tell(campaign, name, arrived[first : first + AT_ONCE])
                    yield records.n_paid - paid
    except (OracleError, LedgerError):
        raise
    except Exception as error:
        kind = OracleAnswerError if isinstance(error, ValueError) else OracleError
        raise kind(
            f"{name} raised {type(error).__name__}: {error} "
            f"The {records.n_paid} answers that arrived are kept: go on with error.campaign.run(), "
            "or take error.campaign.finish(). If this exception means that a question failed, name it in "
            "FunctionOracle(catch=...).",
            campaign,
        ) from error
    missing = [id_ for id_ in batch.ids if id_ in records.pending]
    if missing:
        raise OracleAnswerError(
            f"{name} was asked {len(batch)} ids and left {len(missing)} without an "
            f"answer, the first is {missing[0]!r}. Yield (id, ABSTAIN) or (id, Failed(reason)) where "
            "there is no label; error.campaign.run() asks them again.",
            campaign,
        )


def _tell(campaign: Any, name: str, pairs: list[tuple[Any, Any]]) -> None:
    """Tell answers that arrived together; where one is wrong, the others are kept first."""
    n_open = len(campaign.records.pending)
    try:
        campaign.tell([id_ for id_, _ in pairs], [read_answer(answer) for _, answer in pairs])
        return
    except LedgerError as error:
        told = ", ".join(f"{id_}: {_shown(answer)}" for id_, answer in pairs)
        error.add_note(
            f"Answers that had arrived and could not be written down; they are in error.answers: {told}"
        )
        error.answers = pairs
        raise
    except Exception as error:
        if len(campaign.records.pending) < n_open:  # recorded; a stopping rule, say, broke down after that
            raise
        if len(pairs) == 1:
            raise OracleAnswerError(f"{name}: {error}", campaign) from error
    wrong = []
    for pair in pairs:
        try:
            _tell(campaign, name, [pair])
        except OracleAnswerError as error:
            wrong.append(error)
    if wrong:
        raise wrong[0]


def _shown(answer: Any) -> str:
    """Return an answer as a note has it; of an array, its shape."""
    return f"an array of shape {answer.shape}" if isinstance(answer, np.ndarray) else str(answer)
