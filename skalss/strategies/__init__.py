"""Strategies: a snapshot of the campaign in, the next rows or points to label out."""

from __future__ import annotations

from collections.abc import Callable

from .adaptive import AdaptiveStrategy
from .badge import BadgeStrategy
from .base import BaseStrategy, Candidates, Snapshot
from .committee import CommitteeStrategy
from .diversity import CoreSetStrategy, KMeansStrategy, TypicalStrategy
from .interpolation import InterpolationStrategy
from .largest_cluster import LargestClusterStrategy
from .nearest import NearestNeighborStrategy
from .random import RandomStrategy
from .random_codes import RandomCodesStrategy
from .skactiveml import SkactivemlStrategy
from .uncertainty import UncertaintyStrategy

__all__ = [
    "AdaptiveStrategy",
    "BadgeStrategy",
    "BaseStrategy",
    "Candidates",
    "CommitteeStrategy",
    "CoreSetStrategy",
    "InterpolationStrategy",
    "KMeansStrategy",
    "LargestClusterStrategy",
    "NearestNeighborStrategy",
    "RandomCodesStrategy",
    "RandomStrategy",
    "SkactivemlStrategy",
    "Snapshot",
    "TypicalStrategy",
    "UncertaintyStrategy",
    "make_initial",
    "make_strategy",
]

STRATEGIES: dict[str, Callable[[], BaseStrategy]] = {
    "auto": AdaptiveStrategy,
    "random": RandomStrategy,
    "snn": NearestNeighborStrategy,
    "kmeans": KMeansStrategy,
    "typical": TypicalStrategy,
    "coreset": CoreSetStrategy,
    "badge": BadgeStrategy,
    "committee": CommitteeStrategy,
    "lcmd": LargestClusterStrategy,
    "si": InterpolationStrategy,
    "random_codes": RandomCodesStrategy,
    "mms": lambda: UncertaintyStrategy("mms"),
    "margin": lambda: UncertaintyStrategy("margin"),
    "entropy": lambda: UncertaintyStrategy("entropy"),
    "least_confident": lambda: UncertaintyStrategy("least_confident"),
}


def make_strategy(strategy: str | BaseStrategy, task: str | None = None) -> BaseStrategy:
    """Turn a name into a strategy, and check that it serves the task.

    Parameters
    ----------
    strategy : str or BaseStrategy
    task : {"classification", "regression"}, default=None
        None: any.

    Returns
    -------
    strategy : BaseStrategy

    Raises
    ------
    ValueError
        If the name is unknown, a parameter is wrong, or the strategy does not serve `task`.
    TypeError
        If `strategy` is neither a name nor a strategy.

    Examples
    --------
    >>> make_strategy("margin", task="classification")
    UncertaintyStrategy(score='margin')
    """
    if isinstance(strategy, str):
        if strategy not in STRATEGIES:
            raise ValueError(
                f"strategy must be one of {sorted(STRATEGIES)} or a BaseStrategy, got {strategy!r}."
            )
        serves_no_values = strategy == "auto" and task == "regression"
        strategy = LargestClusterStrategy() if serves_no_values else STRATEGIES[strategy]()
    if not hasattr(strategy, "query") or isinstance(strategy, type):
        raise TypeError(
            f"strategy must be one of {sorted(STRATEGIES)} or a BaseStrategy object, got {strategy!r}."
        )
    if task is not None and task not in strategy.tasks:
        able = sorted(name for name in STRATEGIES if name == "auto" or task in STRATEGIES[name]().tasks)
        raise ValueError(
            f"{strategy} serves {' and '.join(sorted(strategy.tasks))}, got a {task} task. "
            f"Choose one of {able}, or a strategy whose tasks hold {task!r}."
        )
    strategy.check()
    return strategy


def make_initial(
    initial: str | BaseStrategy, strategy: str | BaseStrategy = "random", task: str | None = None
) -> BaseStrategy:
    """Turn `initial` into a strategy, and check that it can choose before there are labels.

    Parameters
    ----------
    initial : str or BaseStrategy
        ``"auto"``: by clusters of the codes for a classifier whose strategy is ``"auto"``, at random
        otherwise.
    strategy : str or BaseStrategy, default="random"
        The sampler's parameter.
    task : {"classification", "regression"}, default=None
        None: any.

    Returns
    -------
    initial : BaseStrategy

    Raises
    ------
    ValueError
        If it needs labels, or is no strategy for the task.

    Examples
    --------
    >>> make_initial("kmeans")
    KMeansStrategy()
    """
    if isinstance(initial, str) and initial == "auto":
        is_default = isinstance(strategy, str) and strategy == "auto" and task != "regression"
        return KMeansStrategy() if is_default else RandomStrategy()
    able = sorted(name for name, make in STRATEGIES.items() if not make().needs_labels)
    if isinstance(initial, str) and initial not in able:
        raise ValueError(
            f"initial must be one of {['auto', *able]} or a strategy that needs no labels, got {initial!r}."
        )
    made = make_strategy(initial, task)
    if made.needs_labels:
        raise ValueError(
            f"initial={initial!r} needs labels or a trained network, and there are none at first. "
            f"Choose one of {able}, or a strategy whose needs_labels is False."
        )
    return made
