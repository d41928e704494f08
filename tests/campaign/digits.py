"""Campaigns on a few digits, and what tests do with them."""

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:120], DIGITS_Y[:120]
X_TEST, Y_TEST = DIGITS[120:300], DIGITS_Y[120:300]
ONE_STEP = {"step": 1.0, "n_steps": 1, "stop_at_flip": False, "start_once": False, "min_distance": None}


def make_sampler(net=None, *, warm_start=False, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 30,
        "random_state": 0,
        "classes": range(10) if net is None else None,
    }
    net = net or net_classifier(max_epochs=3)
    if warm_start or not isinstance(net, TaskNet):
        net = TaskNet(net, warm_start=warm_start, min_epoch_rows=64)  # short epochs of pseudo-labelled rows
    return AdaptiveLatentSampler(net, **{**defaults, **params})


def regressor(**params):
    return make_sampler(net_regressor(max_epochs=3), **params)


def answer(campaign, batch, order=None):
    order = np.arange(len(batch)) if order is None else order
    campaign.tell(batch.ids[order], Y[batch.ids[order]])


def drive(campaign):
    while len(batch := campaign.ask()):
        answer(campaign, batch)
    return campaign.finish()


def assert_same_run(first, second, history=True):
    pd.testing.assert_frame_equal(first.queries_, second.queries_)
    if history:  # a look at a half-answered batch trains the network once more, which the history tells
        columns = [c for c in first.history_ if not c.endswith("_seconds")]
        pd.testing.assert_frame_equal(first.history_[columns], second.history_[columns])
    np.testing.assert_array_equal(first.labeled_indices_, second.labeled_indices_)
    np.testing.assert_array_equal(first.predict(X_TEST), second.predict(X_TEST))
    if hasattr(first, "classes_"):
        np.testing.assert_array_equal(first.predict_proba(X_TEST), second.predict_proba(X_TEST))
    assert first.stop_reason_ == second.stop_reason_
