"""Strategies: a snapshot of the campaign in, the next rows or points to label out."""

from __future__ import annotations

from collections.abc import Callable

from sklearn.base import BaseEstimator

from ..targets import TARGETS, BaseTarget, Classes, make_target, target_of_task
from ..utils.checks import check_choice, show
from .adaptive import AdaptiveStrategy
from .badge import BadgeStrategy
from .base import BaseStrategy, Candidates
from .committee import CommitteeStrategy
from .diversity import CoreSetStrategy, KMeansStrategy, TypicalStrategy
from .interpolation import InterpolationStrategy
from .largest_cluster import LargestClusterStrategy
from .latent_view import Encoded
from .limits import warn_if_outside
from .nearest import NearestNeighborStrategy
from .random import RandomStrategy
from .random_codes import RandomCodesStrategy
from .skactiveml import SkactivemlStrategy
from .snapshot import MadePoints, Snapshot, make_snapshot
from .uncertainty import UncertaintyStrategy

__all__ = [
    "AdaptiveStrategy",
    "BadgeStrategy",
    "BaseStrategy",
    "Candidates",
    "CommitteeStrategy",
    "CoreSetStrategy",
    "Encoded",
    "InterpolationStrategy",
    "KMeansStrategy",
    "LargestClusterStrategy",
    "MadePoints",
    "NearestNeighborStrategy",
    "RandomCodesStrategy",
    "RandomStrategy",
    "SkactivemlStrategy",
    "Snapshot",
    "TypicalStrategy",
    "UncertaintyStrategy",
    "check_needs",
    "is_auto",
    "make_initial",
    "make_snapshot",
    "make_strategy",
    "warn_if_outside",
]

STRATEGIES: dict[str, Callable[[], BaseStrategy]] = {
    "adaptive": AdaptiveStrategy,
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
        ``"auto"``: the best we have for the task.
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
        name = _target(task).auto_strategy if is_auto(strategy) else strategy
        if name not in STRATEGIES:
            names = ["auto", *sorted(STRATEGIES)]
            raise ValueError(f"strategy must be one of {names} or a BaseStrategy, got {strategy!r}.")
        strategy = STRATEGIES[name]()
    if not isinstance(strategy, BaseStrategy):
        raise TypeError(
            f"strategy must be one of {['auto', *sorted(STRATEGIES)]} or a BaseStrategy object, got "
            f"{show(strategy)}."
        )
    if task is not None:
        check_choice("task", task, [target.task for target in TARGETS], also="None")
    if task is not None and task not in strategy.tasks:
        able = ["auto", *sorted(name for name, make in STRATEGIES.items() if task in make().tasks)]
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
        ``"auto"``: what suits the task where the strategy is ``"auto"``, too; at random otherwise.
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
    if is_auto(initial):
        return STRATEGIES[_target(task).auto_initial if is_auto(strategy) else "random"]()
    able = sorted(name for name, make in STRATEGIES.items() if not make().needs)
    if not isinstance(initial, str | BaseStrategy):
        raise TypeError(
            f"initial must be one of {['auto', *able]} or a strategy that needs no labels, got "
            f"{show(initial)}."
        )
    if isinstance(initial, str) and initial not in able:
        raise ValueError(
            f"initial must be one of {['auto', *able]} or a strategy that needs no labels, got {initial!r}."
        )
    made = make_strategy(initial, task)
    if made.needs:
        raise ValueError(
            f"initial={initial!r} needs labels or a trained network, and there are none at first. "
            f"Choose one of {able}, or a strategy whose `needs` are empty."
        )
    return made


def is_auto(strategy: str | BaseStrategy) -> bool:
    """Whether the choice of a strategy is left to us."""
    return isinstance(strategy, str) and strategy == "auto"


def check_needs(strategy: BaseStrategy, abilities: frozenset[str], model: BaseEstimator) -> None:
    """Refuse a strategy that needs what the network cannot do.

    Parameters
    ----------
    strategy : BaseStrategy
    abilities : frozenset of str
        Of the network, as its rehearsal found them.
    model : TaskModel
        For the text of the error.

    Raises
    ------
    ValueError
        With the strategies that would do.
    """
    missing = sorted(frozenset(strategy.needs) - abilities - {"labels"})
    if not missing:
        return
    task = make_target(model).task
    able = [name for name, make in STRATEGIES.items() if not make().needs - abilities - {"labels"}]
    able = sorted(name for name in able if task in STRATEGIES[name]().tasks)
    named = model.estimator if model.estimator is not None else model
    needed = " and ".join(_NEEDS.get(name, repr(name)) for name in missing)
    raise ValueError(
        f"{strategy} needs {needed}, which {named} does not have. "
        f"Choose one of {able}, or a network, such as skalss.nets.net_classifier(module), whose module ends "
        "with a linear layer."
    )


_NEEDS = {
    "logits": "class scores",
    "features": "the input of a last linear layer",
    "gradient": "gradients of the loss",
    "gradients": "a linear layer or a convolution that is trained",
}


def _target(task: str | None) -> BaseTarget:
    return Classes() if task is None else target_of_task(task)
