"""Kinds of y: everything that depends on what a label is, one class for each kind."""

from __future__ import annotations

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

from ..utils.checks import check_choice, show
from .base import BaseTarget
from .classes import Classes
from .values import Values

__all__ = ["TARGETS", "BaseTarget", "Classes", "Values", "make_target", "target_of_task"]

TARGETS: tuple[type[BaseTarget], ...] = (Classes, Values)


def make_target(estimator: BaseEstimator, classes: ArrayLike | None = None) -> BaseTarget:
    """Return the kind of y that an estimator is trained on.

    Parameters
    ----------
    estimator : estimator
        A classifier or a regressor, by its tags. One with an attribute `target_type`, a class derived from
        `BaseTarget`, names another kind of y; so does what it wraps as its `estimator`.
    classes : array-like of shape (n_classes,), default=None
        All labels that may come, where the kind of y has classes; None: any.

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
    target = _named_by(estimator) or next((t for t in TARGETS if t.estimator_type == kind), None)
    if target is None:
        raise TypeError(
            f"estimator must be a classifier or a regressor, got {estimator!r}, whose estimator type is "
            f"{kind!r}."
        )
    if not (isinstance(target, type) and issubclass(target, BaseTarget)):
        raise TypeError(
            f"target_type must be a class derived from skalss.targets.BaseTarget, got {target!r}."
        )
    made = target()
    made.know(classes)
    return made


def _named_by(estimator: BaseEstimator | None) -> type[BaseTarget] | None:
    """Return the kind of y that an estimator names, or what it wraps does."""
    while estimator is not None:
        if hasattr(estimator, "target_type"):
            return estimator.target_type
        estimator = getattr(estimator, "estimator", None)
    return None


def target_of_task(task: str) -> BaseTarget:
    """Return the kind of y of a task, as a ledger names it."""
    check_choice("task", task, [target.task for target in TARGETS])
    return next(target for target in TARGETS if target.task == task)()
