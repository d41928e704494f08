"""Kinds of y: everything that depends on what a label is, one class for each kind."""

from __future__ import annotations

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import get_tags

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
        A classifier or a regressor, by its tags.
    classes : array-like of shape (n_classes,), default=None
        All labels that may come, where the kind of y has classes; None: any.

    Returns
    -------
    target : BaseTarget

    Raises
    ------
    TypeError
        If it says of itself that it is neither.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> make_target(Ridge())
    Values()
    """
    kind = get_tags(estimator).estimator_type
    for target in TARGETS:
        if target.estimator_type == kind:
            made = target()
            made.know(classes)
            return made
    raise TypeError(
        f"estimator must be a classifier or a regressor, got {estimator!r}, whose estimator type is {kind!r}."
    )


def target_of_task(task: str) -> BaseTarget:
    """Return the kind of y of a task, as a ledger names it."""
    return next(target for target in TARGETS if target.task == task)()
