"""Scores of a pool: a forward pass in eval mode, without a graph, and what its output says of each row."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import ArrayLike
from skorch import NeuralNet
from skorch.dataset import unpack_data
from torch import Tensor, nn

from .. import scores
from ..network.head import find_head
from ..network.skorch_net import first_output, gives_probabilities, plain, plain_module, uncompiled
from ..utils.devices import resolve_dtype
from ..utils.tensors import chunks
from .rows import Rows, join

Score = str | Callable[[Tensor, Tensor], Tensor]
SCORES = ("mms", "margin", "entropy", "loss")


def device_of(net: NeuralNet) -> torch.device:
    """Return where the net's weights are."""
    parameter = next(plain_module(net).parameters(), None)
    return torch.device("cpu") if parameter is None else parameter.device


def seconds(device: torch.device) -> float:
    """Read the clock, when `device` has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()


@dataclass
class Head:
    """How the output of a net is read: its last linear layer, and what follows.

    Parameters
    ----------
    layer : nn.Linear or None
        None where no linear layer is as wide as the output.
    probabilities : bool
        Whether the output is probabilities rather than logits.
    with_bias : bool
        Whether the margin score counts the bias as a weight.
    """

    layer: nn.Linear | None
    probabilities: bool
    with_bias: bool = False

    @staticmethod
    def find(
        net: NeuralNet, rows: Rows, name: str | None = None, *, with_bias: bool = False, **fit_params
    ) -> Head:
        """Find the head of a net by passing two rows; `name` overrules what is found."""
        module = plain_module(net).eval()
        with torch.no_grad():
            _, found = find_head(module, lambda: forward(net, rows.pick(slice(2)), fit_params))
        name = found if name is None else name
        layer = None if name is None else _linear(module, name)
        return Head(layer, gives_probabilities(net), with_bias)

    def scores(self, output: Tensor) -> Tensor:
        """Return the output as class scores (n, k), logits or probabilities."""
        if output.ndim == 1 or output.shape[1] == 1:
            return scores.two_columns(output, probabilities=self.probabilities)
        return output

    def mms(self, output: Tensor) -> Tensor:
        """Minimal margin score of each row.

        Raises
        ------
        ValueError
            If there is no head.
        """
        if self.layer is None:
            raise ValueError(
                "The module runs no nn.Linear as wide as its output, so there is no last layer to weigh the "
                "margin with. Pass score='margin' to the selector, or name the layer: head='classifier'."
            )
        weight = self.layer.weight.detach().float()
        bias = self.layer.bias.detach().float() if self.with_bias and self.layer.bias is not None else None
        return scores.mms(self.scores(output), weight, bias, probabilities=self.probabilities)

    def pull(self, output: Tensor, y: Tensor) -> Tensor:
        """Norm of the loss gradient of each row, with respect to the logits."""
        p, y = self.scores(output), y.to(output.device).reshape(-1).long()
        known = (y >= 0) & (y < p.shape[1])  # others are ignored, as by the criterion
        pull = scores.gradient_norm(p, y.clamp(0, p.shape[1] - 1), probabilities=self.probabilities)
        return torch.where(known, pull, 0.0)

    def margin(self, output: Tensor) -> Tensor:
        """Return the minimal margin score, or the gap of logits where there is no head to weigh it with."""
        if self.layer is not None:
            return self.mms(output)
        return self.gap(output)

    def gap(self, output: Tensor) -> Tensor:
        """Return the gap of the two highest logits."""
        p = self.scores(output)
        return scores.margin(p.clamp_min(torch.finfo(p.dtype).tiny).log() if self.probabilities else p)


def _linear(module: nn.Module, name: str) -> nn.Linear:
    layer = dict(module.named_modules()).get(name)
    if not isinstance(layer, nn.Linear):
        known = [n for n, part in module.named_modules() if isinstance(part, nn.Linear)]
        got = "no layer" if layer is None else type(layer).__name__
        raise ValueError(f"head={name!r} names {got}; the linear layers are {known}. Give one of them.")
    return layer


def forward(net: NeuralNet, rows: Rows, fit_params: Mapping[str, Any]) -> Any:
    """Run the net's modules, as they were written."""
    X, _ = unpack_data(rows.batch)
    with uncompiled(net):
        return net.infer(X, **fit_params)


def outputs(net: NeuralNet, rows: Rows, *, dtype: str, chunk: int, whole: bool = False, **fit_params) -> Any:
    """Pass rows through the net for scores only.

    Parameters
    ----------
    net : skorch net
    rows : Rows
    dtype : {"auto", "float32", "bfloat16"}
    chunk : int
        Rows a forward pass takes.
    whole : bool, default=False
        Whether to give all outputs of a module of several, as its loss may need them.

    Returns
    -------
    output : float32 tensor of shape (n_rows, ...)
        The first output of the module, in eval mode; with `whole`, a tuple of all of them.
    """
    plain_module(net).eval()  # a training step sets its own mode
    device = device_of(net)
    compute = resolve_dtype(dtype, device)
    with torch.no_grad(), torch.autocast(device.type, compute, enabled=compute != torch.float32):
        parts = [forward(net, rows.pick(piece), fit_params) for piece in chunks(len(rows), chunk)]
    joined = join(parts if whole else [first_output(part) for part in parts])
    return tuple(map(_float, joined)) if isinstance(joined, tuple) else _float(joined)


def _float(output: Tensor | tuple[Tensor, ...]) -> Any:
    return output.float() if isinstance(output, Tensor) and output.is_floating_point() else output


def hardness(
    score: Score,
    net: NeuralNet,
    head: Head,
    output: Tensor | tuple[Tensor, ...],
    y: Tensor,
    X: ArrayLike | None = None,
) -> Tensor:
    """Return one number per row, large for a hard row; NaN counts as the easiest.

    Raises
    ------
    ValueError
        If `score` is unknown, cannot be had from this net, or does not give a number per row.
    """
    whole, first = output, first_output(output)
    if callable(score):
        hard = score(first, y)
    elif score == "mms":
        hard = -head.mms(first)
    elif score == "margin":
        hard = -head.gap(first)
    elif score == "entropy":
        hard = scores.entropy(head.scores(first), probabilities=head.probabilities)
    elif score == "loss":
        hard = row_losses(net, whole, y, X)
    else:
        raise ValueError(f"score must be one of {SCORES} or a callable, got {score!r}.")
    if not isinstance(hard, Tensor) or hard.shape != first.shape[:1]:
        got = f"shape {tuple(hard.shape)}" if isinstance(hard, Tensor) else type(hard).__name__
        raise ValueError(
            f"A score must give a tensor of shape ({len(first)},), one number per row and large for a hard "
            f"row; got {got}."
        )
    return torch.nan_to_num(hard.float(), nan=-torch.inf)


def are_class_scores(output: Tensor, y: object) -> bool:
    """Whether margins mean something: class numbers as targets, or one output for two classes."""
    if not isinstance(y, Tensor) or y.reshape(-1).shape != output.shape[:1] or output.ndim > 2:
        return False
    if output.ndim == 2 and output.shape[1] > 1:
        return not y.is_floating_point()
    return bool(((y == 0) | (y == 1)).all())


def row_losses(
    net: NeuralNet,
    output: Tensor | tuple[Tensor, ...],
    y: ArrayLike,
    X: ArrayLike | None = None,
    get_loss: Callable[..., Tensor] | None = None,
) -> Tensor:
    """Return the net's own loss of each row, in place of their mean.

    Where `get_loss`, by default the net's, makes one number of the losses of rows, to weigh them, the net is
    asked for those losses without that.

    Raises
    ------
    ValueError
        If the criterion has no `reduction` to switch off.
    """
    criterion: Any = plain(net.criterion_)
    if not hasattr(criterion, "reduction"):
        raise ValueError(
            f"{type(criterion).__name__} has no `reduction`, so the loss of a single row cannot be had. Give "
            "the criterion a `reduction` as torch's have, or select with score='mms' or a callable."
        )
    reduction = criterion.reduction
    criterion.reduction = "none"
    try:
        losses = (get_loss or net.get_loss)(output, y, X=X)
        if losses.ndim == 0:
            losses = net.plain_loss(output, y, X=X)
    finally:
        criterion.reduction = reduction
    return losses.reshape(len(losses), -1).mean(dim=1)
