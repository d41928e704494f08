"""The last linear layer of a network: where it is, what goes in, what comes out."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..utils.tensors import as_numpy
from .skorch_net import first_output


def find_head(
    module: nn.Module, forward: Callable[[], Tensor | tuple[Tensor, ...]]
) -> tuple[Tensor, str | None]:
    """Run a forward pass and see which linear layer made its output.

    Returns
    -------
    output : tensor of shape (n_rows, ...)
        The first, of a module that returns several.
    head_name : str or None
        The last linear layer that ran, once and on each row, and is as wide as the output; of an output with
        pixels, the last 1 × 1 convolution with as many channels. None if there is none. One that runs on
        several copies of a row has no features of that row.
    """
    called: list[tuple[str, nn.Module, Tensor]] = []
    hooks = [
        _hook_here(layer, lambda layer, _, out, name=name: called.append((name, layer, out)))
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear) or is_pointwise(layer)
    ]
    try:
        output = first_output(forward())
    finally:
        for hook in hooks:
            hook.remove()
    width = output.shape[1] if output.ndim >= 2 else 1
    ndim = max(output.ndim, 2)
    times = Counter(name for name, _, _ in called)
    heads = (
        name
        for name, layer, out in reversed(called)
        if isinstance(layer, nn.Linear) == (ndim == 2)
        and out.shape[1:2] == (width,)
        and out.ndim == ndim
        and len(out) == len(output)
        and times[name] == 1
    )
    return output, next(heads, None)


def is_pointwise(layer: nn.Module) -> bool:
    """Whether a layer is a 1 × 1 convolution of all channels: a linear layer in each pixel."""
    return (
        isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        and layer.groups == 1
        and all(size == 1 for size in layer.kernel_size)
    )


def pooled(features: Tensor) -> Tensor:
    """Return features (n, n_hidden, ...) as their mean over pixels, of shape (n, n_hidden)."""
    return features if features.ndim <= 2 else features.flatten(2).mean(dim=2)


def run_to_head(
    module: nn.Module,
    name: str,
    batches: Iterable[Tensor],
    pick: Callable[[tuple[Tensor, ...], Tensor], tuple[Tensor, ...]],
    forward: Callable[[Tensor], object],
) -> tuple[np.ndarray, ...]:
    """Run a module, in eval mode, and keep what `pick` takes at one of its layers.

    Parameters
    ----------
    module : nn.Module
    name : str
        Of the layer.
    batches : iterable of tensors
        Rows as the module takes them.
    pick : callable
        Returns tensors for the layer's inputs and its output.
    forward : callable
        Runs the module.

    Returns
    -------
    kept : tuple of arrays
        What was picked, of all batches.
    """
    kept: list[tuple[np.ndarray, ...]] = []
    module.eval()
    hook = _hook_here(
        module.get_submodule(name),
        lambda layer, inputs, output: kept.append(tuple(map(as_numpy, pick(inputs, output)))),
    )
    try:
        with torch.no_grad():
            for rows in batches:
                forward(rows)
    finally:
        hook.remove()
    return tuple(np.concatenate(arrays) for arrays in zip(*kept, strict=True))


def _hook_here(layer: nn.Module, function: Callable[..., object]) -> RemovableHandle:
    """Call a function when a layer has run in this thread: others may use the module at the same time."""
    here = threading.get_ident()

    def hook(layer: nn.Module, inputs: Any, output: Any) -> None:
        if threading.get_ident() == here:
            function(layer, inputs, output)

    return layer.register_forward_hook(hook)
