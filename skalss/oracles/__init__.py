"""Oracles: rows and ids in, answers out as they come. An answer is a label, an abstention or a failure."""

from __future__ import annotations

from typing import Any

from .answer_key import AnswerKey
from .base import ABSTAIN, Abstain, BaseOracle, Failed
from .function import FunctionOracle

__all__ = ["ABSTAIN", "Abstain", "AnswerKey", "BaseOracle", "Failed", "FunctionOracle", "make_oracle"]


def make_oracle(oracle: Any) -> BaseOracle:
    """Turn a callable into an oracle; an oracle stays as it is.

    Parameters
    ----------
    oracle : BaseOracle or callable

    Returns
    -------
    oracle : BaseOracle

    Raises
    ------
    TypeError
        If it is neither.
    """
    if hasattr(oracle, "label") and not isinstance(oracle, type):
        return oracle
    if callable(oracle) and not isinstance(oracle, type):
        return FunctionOracle(oracle)
    raise TypeError(
        f"oracle must be a BaseOracle, a callable or None, got {oracle!r}. Wrap known labels as "
        "skalss.oracles.AnswerKey(y)."
    )
