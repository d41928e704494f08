"""Statistics of batch normalisation, which selected rows would bias."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from skorch import NeuralNet
from skorch.dataset import get_len, unpack_data
from torch.nn.modules.batchnorm import _BatchNorm

from ..network.skorch_net import plain_module

N_BATCHES = 50


def recalibrate(net: NeuralNet, iterator: Iterable[Any], **fit_params) -> None:
    """Average the statistics of batch normalisation anew, over batches as the loader makes them.

    Hard rows are not like the others; the network would be judged and used with their means and variances.

    Parameters
    ----------
    net : skorch net
    iterator : iterable
        The training loader.
    **fit_params
        What `fit` passes on to the module.
    """
    module = plain_module(net).train()
    layers = [
        layer
        for layer in module.modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats and layer.training
    ]
    if not layers:
        return
    before = [(layer.momentum, copy.deepcopy(layer.state_dict())) for layer in layers]
    seen = 0
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # torch's word for a plain average
        with torch.no_grad():
            for batch in islice(iterator, N_BATCHES):
                X, _ = unpack_data(batch)
                if get_len(X) > 1:  # a single row has no variance
                    net.infer(X, **fit_params)
                    seen += 1
    finally:
        for layer, (momentum, state) in zip(layers, before, strict=True):
            layer.momentum = momentum
            if not seen:
                layer.load_state_dict(state)
