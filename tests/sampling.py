"""Samplers on a few digits."""

import numpy as np
from sklearn.datasets import load_digits

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.latent import LinearLatent
from skalss.nets import net_classifier

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:120], DIGITS_Y[:120]
X_TEST, Y_TEST = DIGITS[120:300], DIGITS_Y[120:300]
Y_REG = X[:, 20] + 0.1 * X[:, 30]


def make_sampler(net=None, *, warm_start=False, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 30,
        "random_state": 0,
    }
    if net is None or warm_start:
        net = TaskNet(net or net_classifier(max_epochs=3), warm_start=warm_start, min_epoch_rows=64)
    return AdaptiveLatentSampler(net, **{**defaults, **params})


def label_of(rows):
    """Labels of rows of X, looked up by content."""
    rows = np.asarray(rows).reshape(len(rows), -1)
    return Y[[int(np.flatnonzero((row == X).all(axis=1))[0]) for row in rows]]
