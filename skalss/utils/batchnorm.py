"""Batch normalisation where a batch has a single row, of which nobody can tell a variance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def single_rows(module: nn.Module) -> Iterator[None]:
    """Let batch normalisation take its running statistics where a batch has one value of a channel.

    torch would refuse to train on it: the last batch of ``n`` rows is a single row for ``n`` of 1 modulo the
    batch size. All other batches are treated as ever.

    Parameters
    ----------
    module : nn.Module
        Trained inside the context.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    hooks = [layer.register_forward_pre_hook(_spare) for layer in layers]
    hooks += [layer.register_forward_hook(_restore) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers:
            _restore(layer)


def _spare(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    x = inputs[0]
    one_value = x.ndim > 1 and x.numel() == x.shape[1]
    if one_value and layer.training and layer.running_mean is not None:
        layer.eval()
        vars(layer)["spared"] = True


def _restore(layer: nn.Module, *args: Any) -> None:
    if vars(layer).pop("spared", False):
        layer.train()
