"""Hardness scores: class scores (n, k) in, one number per row out.

The first layer: imports nothing of skalss but its checks. Used by strategies and by selective training.

Scores are logits unless said otherwise; ``probabilities=True`` says that they are probabilities. The gap of
two log-probabilities is the gap of their logits, so nothing is lost. A binary head of one output passes
through `two_columns` first.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .utils.checks import check_flag, check_tensor


def margin(scores: Tensor) -> Tensor:
    """Gap between the two highest class scores; a small gap is a hard row.

    Parameters
    ----------
    scores : tensor of shape (n_samples, n_classes)
        Logits or probabilities; the gap has the same unit.

    Returns
    -------
    gap : tensor of shape (n_samples,)

    Raises
    ------
    ValueError
        If `scores` is not 2-D or has a single class.

    Examples
    --------
    >>> import torch
    >>> margin(torch.tensor([[0.75, 0.25, 0.0], [0.5, 0.0, 0.5]]))
    tensor([0.5000, 0.0000])
    """
    top = _checked(scores).topk(2, dim=1).values
    return top[:, 0] - top[:, 1]


def mms(scores: Tensor, weight: Tensor, bias: Tensor | None = None, *, probabilities: bool = False) -> Tensor:
    """Minimal margin score: distance of the last features to the nearest class boundary.

    The gap of the two highest logits divided by the norm of the difference of their two rows of
    last-layer weights. Where the two rows are equal no move of the features changes the gap, so the
    distance is infinite, or 0 where the gap is 0 too.

    Parameters
    ----------
    scores : tensor of shape (n_samples, n_classes)
        Logits, or probabilities.
    weight : tensor of shape (n_classes, n_features)
        Weights of the last linear layer. The single row of a one-output head serves two classes.
    bias : tensor of shape (n_classes,), default=None
        Biases to count as one more weight, as the method's authors do by giving their last layer a
        constant feature 1 in place of a bias. None: the distance is that of the features alone.
    probabilities : bool, default=False
        Whether `scores` are probabilities.

    Returns
    -------
    score : tensor of shape (n_samples,)
        In units of the last features; a small score is a hard row.

    Raises
    ------
    ValueError
        If `scores` is not 2-D, has a single class, or `weight` or `bias` has another number of rows.

    References
    ----------
    Selective sampling for accelerating training of deep neural networks, arXiv:1911.06996.

    Examples
    --------
    >>> import torch
    >>> mms(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0, 4.0], [0.0, 0.0]]))
    tensor([0.5000])
    """
    top = _logits(scores, probabilities).topk(2, dim=1)
    check_tensor("weight", weight, floating=True)
    if bias is not None:
        check_tensor("bias", bias, floating=True)
    weight = _class_rows(weight, bias, n_classes=scores.shape[1])
    first, second = weight[top.indices[:, 0]], weight[top.indices[:, 1]]
    gap = top.values[:, 0] - top.values[:, 1]
    norm = (first - second).norm(dim=1)
    return torch.where(gap == 0, gap, gap / norm)


def entropy(scores: Tensor, *, probabilities: bool = False) -> Tensor:
    """Shannon entropy of the predicted class, in nats; a large entropy is a hard row.

    Parameters
    ----------
    scores : tensor of shape (n_samples, n_classes)
        Logits, or probabilities.
    probabilities : bool, default=False
        Whether `scores` are probabilities.

    Returns
    -------
    entropy : tensor of shape (n_samples,)

    Examples
    --------
    >>> import torch
    >>> entropy(torch.zeros(1, 2))
    tensor([0.6931])
    """
    log_p = _logits(scores, probabilities).log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1)


def least_confident(scores: Tensor, *, probabilities: bool = False) -> Tensor:
    """One minus the highest class probability; a large value is a hard row.

    Parameters
    ----------
    scores : tensor of shape (n_samples, n_classes)
        Logits, or probabilities.
    probabilities : bool, default=False
        Whether `scores` are probabilities.

    Returns
    -------
    doubt : tensor of shape (n_samples,)
        Between 0 and 1 - 1 / n_classes.

    Examples
    --------
    >>> import torch
    >>> least_confident(torch.zeros(1, 4))
    tensor([0.7500])
    """
    return 1 - _logits(scores, probabilities).softmax(dim=1).amax(dim=1)


def loss(scores: Tensor, y: Tensor, *, probabilities: bool = False) -> Tensor:
    """Cross entropy at the known class, in nats; a large loss is a hard row, or a wrong label.

    Parameters
    ----------
    scores : tensor of shape (n_samples, n_classes)
        Logits, or probabilities.
    y : integer tensor of shape (n_samples,)
        Class of each row.
    probabilities : bool, default=False
        Whether `scores` are probabilities.

    Returns
    -------
    loss : tensor of shape (n_samples,)

    Examples
    --------
    >>> import torch
    >>> loss(torch.tensor([[0.25, 0.75]]), torch.tensor([0]), probabilities=True)
    tensor([1.3863])
    """
    scores = _logits(scores, probabilities)
    return F.cross_entropy(scores, _class_numbers(y, scores), reduction="none")


def gradient_norm(scores: Tensor, y: Tensor, *, probabilities: bool = False) -> Tensor:
    """Norm of the gradient of the cross entropy with respect to the logits; a large norm is a hard row.

    Parameters
    ----------
    scores : tensor of shape (n_samples, n_classes)
        Logits, or probabilities.
    y : integer tensor of shape (n_samples,)
        Class of each row.
    probabilities : bool, default=False
        Whether `scores` are probabilities.

    Returns
    -------
    norm : tensor of shape (n_samples,)
        Between 0 and the square root of 2.

    References
    ----------
    Not all samples are created equal: deep learning with importance sampling, arXiv:1803.00942.

    Examples
    --------
    >>> import torch
    >>> gradient_norm(torch.zeros(1, 2), torch.tensor([0]))
    tensor([0.7071])
    """
    p = _logits(scores, probabilities).softmax(dim=1)
    return (p - F.one_hot(_class_numbers(y, p), p.shape[1])).norm(dim=1)


def two_columns(output: Tensor, *, probabilities: bool = False) -> Tensor:
    """Turn the single output of a binary head into the scores of its two classes.

    Parameters
    ----------
    output : tensor of shape (n_samples,) or (n_samples, 1)
        Logit, or probability, of the second class.
    probabilities : bool, default=False
        Whether `output` is a probability.

    Returns
    -------
    scores : tensor of shape (n_samples, 2)
        0 and z for a logit z; 1 - p and p for a probability p.

    Examples
    --------
    >>> import torch
    >>> two_columns(torch.tensor([2.0]))
    tensor([[0., 2.]])
    """
    check_tensor("output", output, floating=True)
    check_flag("probabilities", probabilities)
    if output.ndim == 0 or output.numel() != len(output):
        raise ValueError(f"output must have shape (n_samples,) or (n_samples, 1), got {tuple(output.shape)}.")
    output = output.reshape(len(output))
    first = 1 - output if probabilities else torch.zeros_like(output)
    return torch.stack([first, output], dim=1)


def _logits(scores: Tensor, probabilities: bool) -> Tensor:
    check_flag("probabilities", probabilities)
    scores = _checked(scores)
    return scores.clamp_min(torch.finfo(scores.dtype).tiny).log() if probabilities else scores


def _class_rows(weight: Tensor, bias: Tensor | None, n_classes: int) -> Tensor:
    """Return the weights of each class, (n_classes, n_features), the bias as a last column if it counts."""
    if weight.ndim == 2 and bias is not None:
        if bias.shape != weight.shape[:1]:
            raise ValueError(
                f"bias must have one value for each of the {len(weight)} rows of weight, got shape "
                f"{tuple(bias.shape)}. Pass the bias of the same layer, or None."
            )
        weight = torch.cat([weight, bias[:, None]], dim=1)
    if weight.ndim == 2 and len(weight) == 1 and n_classes == 2:
        weight = torch.cat([torch.zeros_like(weight), weight])
    if weight.ndim != 2 or len(weight) != n_classes:
        raise ValueError(
            f"weight must have one row for each of the {n_classes} classes, got shape "
            f"{tuple(weight.shape)}. Pass the weight of the layer that made these scores."
        )
    return weight


def _class_numbers(y: Tensor, scores: Tensor) -> Tensor:
    """Return the classes of the rows as int64."""
    check_tensor("y", y)
    if y.shape != scores.shape[:1] or y.is_complex():
        raise ValueError(
            f"y must have one class number for each of the {len(scores)} rows of scores, got {y.dtype} of "
            f"shape {tuple(y.shape)}."
        )
    numbers = y.long()
    if len(y) and not (int(numbers.min()) >= 0 and int(numbers.max()) < scores.shape[1]):
        raise ValueError(
            f"y must hold class numbers from 0 to {scores.shape[1] - 1}, got {int(numbers.min())} to "
            f"{int(numbers.max())}."
        )
    return numbers


def _checked(scores: Tensor) -> Tensor:
    check_tensor("scores", scores, floating=True)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(
            f"scores must have shape (n_samples, n_classes >= 2), got {tuple(scores.shape)}. "
            "For one output of a binary head, pass skalss.scores.two_columns(output)."
        )
    return scores
