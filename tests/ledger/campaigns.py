"""Campaigns that ask through a ledger."""

import numpy as np

from skalss import AdaptiveLatentSampler

X = np.random.default_rng(0).random((30, 3))
IDS = [f"row {i}" for i in range(30)]


def make_sampler(path, net=None, **params):
    defaults = {"strategy": "random", "n_initial": 6, "n_per_round": 6, "max_labels": 12, "random_state": 0}
    return AdaptiveLatentSampler(net, ledger=path, **{**defaults, **params})
