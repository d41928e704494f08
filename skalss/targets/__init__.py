"""Kinds of y: everything that depends on what a label is, one class for each kind."""

from __future__ import annotations

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from ..utils.checks import check_choice, is_word, show
from .base import BaseTarget
from .class_map import ClassMap
from .classes import Classes
from .kinds import kind_of
from .labels import Labels
from .maps import BaseMap
from .value_map import ValueMap
from .values import Values

__all__ = [
    "TARGETS",
    "TASKS",
    "BaseMap",
    "BaseTarget",
    "ClassMap",
    "Classes",
    "Labels",
    "ValueMap",
    "Values",
    "make_target",
    "target_of_task",
]

TARGETS: tuple[type[BaseTarget], ...] = (Classes, Values, Labels, ClassMap, ValueMap)
TASKS = frozenset(target.task for target in TARGETS)


def make_target(
    estimator: BaseEstimator, classes: ArrayLike | None = None, y: ArrayLike | None = None
) -> BaseTarget:
    """Return the kind of y that an estimator is trained on.

    Parameters
    ----------
    estimator : estimator
        A classifier or a regressor, by its tags. One with a parameter `target`, as `TaskNet` has, that is
        a target, or with an attribute `target_type`, a class derived from `BaseTarget`, says which kind of y
        it is trained on; so does what it wraps as its `estimator`.
    classes : array-like of shape (n_classes,), default=None
        All labels that may come, where the kind of y has classes; None: any.
    y : array-like of shape (n_samples, ...), default=None
        Labels, which tell the kind of y where the estimator does not say. None: one label a row.

    Returns
    -------
    target : BaseTarget

    Raises
    ------
    TypeError
        If it says of itself that it is neither, or if `target_type` is no kind of y.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> make_target(Ridge())
    Values()
    """
    if isinstance(estimator, type) or not hasattr(estimator, "__sklearn_tags__"):
        raise TypeError(f"estimator must be a classifier or a regressor, got {show(estimator)}.")
    kind = get_tags(estimator).estimator_type
    target = _named_by(estimator)
    if target is None:
        target = next((t for t in TARGETS if t.estimator_type == kind), None)
        if target is not None and y is not None:
            target = kind_of(y, values=target.numeric)
    if target is None:
        raise TypeError(
            f"estimator must be a classifier or a regressor, got {estimator!r}, whose estimator type is "
            f"{kind!r}."
        )
    made = target.copy() if isinstance(target, BaseTarget) else target()
    if made.estimator_type != kind:
        raise ValueError(
            f"target={made!r} is for a {made.estimator_type}, and the estimator is a {kind}. Pass the other "
            "kind of estimator, such as skalss.nets.net_regressor or net_classifier."
        )
    if made.classes is None or classes is not None:
        made.know(classes)
    return made


def says_kind(estimator: BaseEstimator) -> bool:
    """Whether an estimator says which kind of y it is trained on."""
    return _named_by(estimator) is not None


def check_target(target: object) -> None:
    """Refuse what is neither ``"auto"`` nor a target.

    Raises
    ------
    TypeError
    """
    if not isinstance(target, BaseTarget) and not is_word(target, "auto"):
        raise TypeError(
            f"target must be 'auto' or a target, such as skalss.targets.ClassMap(ignore=255), got "
            f"{show(target)}."
        )


def _named_by(estimator: BaseEstimator | None) -> type[BaseTarget] | BaseTarget | None:
    """Return the kind of y that an estimator names, or what it wraps does."""
    while estimator is not None:
        given = getattr(estimator, "target", None)
        if isinstance(given, BaseTarget):
            return given
        if hasattr(estimator, "target_type"):
            target = estimator.target_type
            if not (isinstance(target, type) and issubclass(target, BaseTarget)):
                raise TypeError(
                    f"target_type must be a class derived from skalss.targets.BaseTarget, got {target!r}."
                )
            return target
        estimator = getattr(estimator, "estimator", None)
    return None


def target_of_task(task: str) -> BaseTarget:
    """Return the kind of y of a task, as a ledger names it."""
    check_choice("task", task, [target.task for target in TARGETS])
    return next(target for target in TARGETS if target.task == task)()
