"""Which way to choose labels wins, over paired seeds."""

from .run import compare_strategies
from .summary import (
    labels_to_target,
    learning_areas,
    mean_interval,
    paired_runs,
    summarize_comparison,
)

__all__ = [
    "compare_strategies",
    "labels_to_target",
    "learning_areas",
    "mean_interval",
    "paired_runs",
    "summarize_comparison",
]
