"""Weights of classes in the loss: what they may be, and a net that is trained with them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight
from skorch import NeuralNet
from torch import Tensor, nn

from ..targets import BaseTarget

ClassWeight = str | Mapping[Hashable, float] | None


def check_class_weight(class_weight: ClassWeight, target: BaseTarget) -> None:
    """Refuse what are no weights of classes, and weights where there are no classes.

    Parameters
    ----------
    class_weight : "balanced", dict or None
    target : BaseTarget
        Labels outside its classes, where these are known, have no weight.

    Raises
    ------
    ValueError, TypeError
    """
    if class_weight is None:
        return
    if not target.has_probabilities:
        raise ValueError(
            f"class_weight={class_weight!r} weighs classes, and this is a {target.task} task. Leave "
            "class_weight=None."
        )
    if target.independent:
        raise ValueError(
            f"class_weight={class_weight!r} weighs the class of a row, and here several may hold. Leave "
            "class_weight=None, and weigh labels in the loss: criterion__pos_weight=torch.tensor([...])."
        )
    if isinstance(class_weight, str) and class_weight == "balanced":
        return
    if not isinstance(class_weight, Mapping):
        raise (ValueError if isinstance(class_weight, str) else TypeError)(
            "class_weight must be 'balanced', a dict of a weight for each label, such as {'rare': 10.0}, or "
            f"None, got {class_weight!r}."
        )
    for label, weight in class_weight.items():
        is_number = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
        if not is_number or not math.isfinite(weight) or weight < 0:
            raise ValueError(
                f"class_weight must hold finite numbers of at least 0, got {weight!r} for {label!r}. Correct "
                "it, or leave the label out, which weighs 1."
            )
    if target.classes is not None:
        _refuse_unknown(class_weight, target.classes.tolist())


def weights_of_classes(
    class_weight: ClassWeight, y: np.ndarray, classes: np.ndarray, *, more_may_come: bool
) -> np.ndarray:
    """Return the weight of each class, as scikit-learn counts it.

    Parameters
    ----------
    class_weight : "balanced" or dict
        Checked. ``"balanced"``: the number of rows over those of the classes in `y` and the rows of a class.
    y : array of shape (n_samples,)
    classes : array of shape (n_classes,)
        Those of the network.
    more_may_come : bool
        Whether labels outside `classes` may come later.

    Returns
    -------
    weights : float array of shape (n_classes,)
        1 for a class that `y` lacks, or that the dict does not name.

    Raises
    ------
    ValueError
        If the dict names labels that are none of the classes.
    """
    labels = classes.tolist()
    if not isinstance(class_weight, Mapping):
        seen = np.unique(y)
        balanced = dict(zip(seen.tolist(), compute_class_weight("balanced", classes=seen, y=y), strict=True))
        return np.array([balanced.get(label, 1.0) for label in labels])
    kinds = [{isinstance(label, str) for label in some} for some in (class_weight, labels)]
    # With every class named, what else is named has no row here, as in a fold without a rare class.
    if (not more_may_come and not class_weight.keys() >= set(labels)) or kinds[0].isdisjoint(kinds[1]):
        _refuse_unknown(class_weight, labels)
    return np.array([class_weight.get(label, 1.0) for label in labels], dtype=float)


def _refuse_unknown(class_weight: Mapping[Hashable, float], labels: list[Any]) -> None:
    unknown = [label for label in class_weight if label not in labels]
    if unknown:
        missing = [label for label in labels if label not in class_weight]
        raise ValueError(
            f"class_weight names the labels {unknown}, which are none of the classes {labels}; without a "
            f"weight are {missing}. Name the labels as they are in y, of the same type."
        )


def check_criterion(net: NeuralNet) -> None:
    """Refuse a criterion whose rows cannot be weighed.

    Parameters
    ----------
    net : skorch net
        Initialised.

    Raises
    ------
    ValueError
        With the reason, and what to do.
    """
    criterion = _plain(net.criterion_)
    name = type(criterion).__name__
    if getattr(criterion, "reduction", None) not in ("mean", "sum"):
        raise ValueError(
            f"class_weight weighs the loss of each row, and {name} has no `reduction` of 'mean' or 'sum' to "
            "be switched off. Use a criterion with one, as torch's have, or let the criterion weigh "
            "classes itself and leave class_weight=None."
        )
    own = [part for part in ("weight", "pos_weight") if getattr(criterion, part, None) is not None]
    if own:
        raise ValueError(
            f"class_weight is set, and the criterion {name} weighs classes by its own {own[0]}. Leave one of "
            f"them out: class_weight=None, or criterion__{own[0]}=None."
        )


@contextmanager
def weighing_classes(net: NeuralNet, weights: np.ndarray | None) -> Iterator[None]:
    """Let a net, inside the block, weigh the loss of each row by its class.

    The mean over a batch divides by its number of rows, so that over an epoch a class counts as its weights
    say, whatever the batches; torch's own `weight` divides by the weights in the batch.

    Parameters
    ----------
    net : skorch net
        Initialised.
    weights : float array of shape (n_classes,) or None
        None: no weights.
    """
    if weights is None:
        yield
        return
    check_criterion(net)
    given, criterion = net.criterion_, _plain(net.criterion_)
    reduction, by_class = criterion.reduction, torch.as_tensor(weights, dtype=torch.float32)
    asked: list[str] = []  # the reduction of the call under way

    def before(module: Any, args: tuple[Any, ...]) -> None:
        asked.append(module.reduction)
        module.reduction = "none"

    def after(module: Any, args: tuple[Any, ...], losses: Tensor) -> Tensor:
        wanted = module.reduction = asked.pop()
        if args[1].ndim > 1 and args[1].shape == losses.shape and not args[1].is_floating_point():
            return _weighted_pixels(losses, args[1], by_class, module)
        y = args[1].long().reshape(-1)
        if losses.shape[:1] != y.shape:
            raise ValueError(
                f"class_weight weighs the loss of each row, and {type(module).__name__} gave a loss of shape "
                f"{tuple(losses.shape)} for {len(y)} rows with reduction='none'. Let it heed `reduction`, or "
                "leave class_weight=None."
            )
        weighted = losses * by_class.to(losses.device)[y].reshape(-1, *[1] * (losses.ndim - 1))
        return weighted if wanted == "none" else weighted.mean() if wanted == "mean" else weighted.sum()

    handles = [criterion.register_forward_pre_hook(before), criterion.register_forward_hook(after)]
    vars(net)["criterion_"] = criterion  # hooks do not fire inside a compiled one
    try:
        yield
    finally:
        criterion.reduction, vars(net)["criterion_"] = reduction, given
        for handle in handles:
            handle.remove()


def _weighted_pixels(losses: Tensor, y: Tensor, by_class: Tensor, criterion: Any) -> Tensor:
    """Weigh the loss of each pixel that is labelled, and reduce as the criterion does."""
    known = y != getattr(criterion, "ignore_index", -100)
    weighted = losses * by_class.to(losses.device)[torch.where(known, y, 0)]
    if criterion.reduction == "none":
        return weighted
    return weighted.sum() / (known.sum().clamp_min(1) if criterion.reduction == "mean" else 1)


def _plain(criterion: nn.Module) -> nn.Module:
    return getattr(criterion, "_orig_mod", criterion)
