"""The loop: ask, tell, train, until a stopping rule."""

from .buying import OracleAnswerError, OracleError
from .campaign import Campaign
from .questions import Batch

__all__ = ["Batch", "Campaign", "OracleAnswerError", "OracleError"]
