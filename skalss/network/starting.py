"""Weights that a network starts from: those of an encoder that learned the pool without labels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def start_weights(encoder: nn.Module) -> dict[str, Tensor]:
    """Return copies of an encoder's parameters and buffers, by name."""
    return {name: value.detach().cpu().clone() for name, value in encoder.state_dict().items()}


@torch.no_grad()
def start_module(module: nn.Module, weights: Mapping[str, Tensor]) -> int:
    """Set the parameters and buffers of a module that have the name and shape of given ones.

    Parameters
    ----------
    module : nn.Module
        Changed in place. What has no counterpart, such as the last layer, stays as it is.
    weights : mapping of str to Tensor

    Returns
    -------
    n_set : int
        How many parameters were set.

    Raises
    ------
    ValueError
        If no parameter was.
    """
    own, parameters = module.state_dict(), dict(module.named_parameters())
    shared = [name for name, value in own.items() if name in weights and weights[name].shape == value.shape]
    n_set = sum(name in parameters for name in shared)
    if n_set == 0:
        raise ValueError(
            "init_from_latent=True: no layer of the network has the name and shape of one of the encoder: "
            f"{_some(parameters)} against {_some(weights)}. Build both of one module, such as "
            "ContrastiveLatent(ResNet8) and net_classifier(ResNet8)."
        )
    for name in shared:
        own[name].copy_(weights[name])
    return n_set


def _some(names: Mapping[str, Tensor]) -> str:
    listed = [f"{name} {tuple(value.shape)}" for name, value in names.items()][:3]
    return ", ".join(listed) + ", ..." if len(names) > 3 else ", ".join(listed) or "none"
