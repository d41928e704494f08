"""Fit nets while looking on: at each batch that is chosen, or through a MarginMonitor."""

import numpy as np
import torch
from skorch.callbacks import Callback

from skalss.selective import MarginMonitor
from skalss.selective.monitor import COLUMNS

EXACT = {"when": "always", "end": 1.0, "score_dtype": "float32"}


class BeforeStep(Callback):
    """Keeps a function of the net as it is when a batch has been chosen, before the step."""

    def __init__(self, function):
        self.function = function

    def on_train_begin(self, net, **kwargs):
        self.kept = []

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.kept.append((net.selection_, self.function(net)))


def fit_and_keep(net, function, X, y):
    callback = BeforeStep(function)
    net.set_params(callbacks=[("keep", callback)])
    net.fit(X, y)
    return callback.kept


def assert_smallest_are_picked(values, picked):
    values, picked = np.asarray(values), np.asarray(picked)
    assert len(set(picked.tolist())) == len(picked)
    np.testing.assert_allclose(np.sort(values[picked]), np.sort(values)[: len(picked)], rtol=1e-4, atol=1e-5)
    assert values[picked].max() < values.max()


def in_eval_mode(net):
    X = net.selection_.rows.batch[0]
    with torch.no_grad():
        return net.module_.eval()(X)


def gap(net):
    top = in_eval_mode(net).double().topk(2, dim=1).values
    return top[:, 0] - top[:, 1]


def fit_monitored(net, X, y, watch=None, **params):
    """Fit with a monitor that does not warn; return the records of the epochs."""
    callbacks = [("monitor", MarginMonitor(warn=False)), *([] if watch is None else [("watch", watch)])]
    net.set_params(callbacks=callbacks, **params)
    net.fit(X, y)
    return [{name: epoch[name] for name in COLUMNS} for epoch in net.history]
