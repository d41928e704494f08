"""The loop: ask, tell, train, until a stopping rule."""

from .buying import OracleAnswerError, OracleError
from .campaign import Campaign
from .questions import Batch
from .stopping import (
    MaxCost,
    MaxFailures,
    MaxRounds,
    PredictionsAgree,
    Progress,
    ScoreReached,
    StoppingRule,
)

__all__ = [
    "Batch",
    "Campaign",
    "MaxCost",
    "MaxFailures",
    "MaxRounds",
    "OracleAnswerError",
    "OracleError",
    "PredictionsAgree",
    "Progress",
    "ScoreReached",
    "StoppingRule",
]
