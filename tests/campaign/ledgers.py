"""Campaigns that keep a ledger, and oracles that count and stop."""

import numpy as np
import pandas as pd

from skalss import Ledger, MaxFailures
from skalss.oracles import BaseOracle, Failed

from . import digits
from .digits import Y

NAMES = np.array([f"scan {i}" for i in range(120)])


class Stop(BaseException):
    """As sudden as a kill, for tests that go on in the same process."""


class Counting(BaseOracle):
    """Labels digits by position or name, counts, and may be stopped; some rows it does not know or fails."""

    labels_new_points = False

    def __init__(self, stop_after=None, odd=True, together=False):
        self.asked, self.stop_after, self.odd, self.together = [], stop_after, odd, together

    def label(self, X, ids):
        if self.together:
            yield [(id_, self._answer(id_)) for id_ in ids]
            return
        for id_ in ids:
            yield id_, self._answer(id_)

    def _answer(self, id_):
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise Stop
        self.asked.append(id_)
        i = int(str(id_).split()[-1])
        if self.odd and i % 11 == 0:
            return None
        return Failed("blurred") if self.odd and i % 13 == 0 else Y[i]


def make_sampler(ledger=None, net=None, **params):
    defaults = {"max_labels": 40, "stop": MaxFailures(100), "ledger": ledger}
    return digits.make_sampler(net, **{**defaults, **params})


def weights(sampler):
    return [p.detach().numpy() for p in sampler.estimator_.net_.module_.parameters()]


def assert_same(first, second):
    for column in first.queries_.columns.drop("reused"):
        assert first.queries_[column].tolist() == second.queries_[column].tolist() or (
            column == "score" and np.array_equal(first.queries_[column], second.queries_[column], True)
        ), column
    for one, other in zip(weights(first), weights(second), strict=True):
        np.testing.assert_array_equal(one, other)
    columns = [c for c in first.history_ if not c.endswith("_seconds")]
    pd.testing.assert_frame_equal(first.history_[columns], second.history_[columns])
    pd.testing.assert_frame_equal(first.control_scores_, second.control_scores_)
    assert first.stop_reason_ == second.stop_reason_


def answer_all(path, ids, label=lambda id_: int(Y[id_])):
    with Ledger(path) as ledger:
        for id_ in ids:
            ledger.answer(id_, label(id_), annotator="ann")
