"""Scores and the intervals around them."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from skalss import (
    TaskNet,
)
from skalss.campaign import scoring
from skalss.campaign.scoring import accuracy_interval
from skalss.nets import net_classifier

from .control_rows import make_sampler
from .digits import X_TEST, Y_TEST, X, Y


@pytest.mark.parametrize(
    ("n_right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval(n_right, n, low, high):
    """The examples of Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3."""
    assert accuracy_interval(n_right, n) == pytest.approx((low, high), abs=5e-5)
    assert accuracy_interval(n - n_right, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_a_bootstrap_passes_each_row_once(monkeypatch):
    monkeypatch.setattr(scoring, "N_RESAMPLES", 50)
    network = TaskNet(net_classifier(max_epochs=3), random_state=0).fit(X, Y)
    passed, predict_proba = [], TaskNet.predict_proba

    def counted(self, rows):
        passed.append(len(rows))
        return predict_proba(self, rows)

    def loss(network, X, y):
        return -log_loss(y, network.predict_proba(X), labels=network.classes_)

    def interval(function):
        scorer = scoring.Scorer(function, network.target_)
        return scorer.interval(network, rows, labels, 0.5, np.random.RandomState(3))

    expected, rng = [], np.random.RandomState(3)
    for _ in range(50):
        drawn = rng.randint(50, size=50)
        expected.append(loss(network, X_TEST[drawn], Y_TEST[drawn]))
    monkeypatch.setattr(TaskNet, "predict_proba", counted)
    rows, labels = X_TEST[:50], Y_TEST[:50]
    assert interval(loss) == pytest.approx(np.percentile(expected, [2.5, 97.5]), rel=1e-5)
    assert passed == [50]
    # A scorer that makes rows of its own gets answers for those.
    found = interval(lambda network, X, y: loss(network, X + 0.0, y))
    assert found == pytest.approx(np.percentile(expected, [2.5, 97.5]), rel=1e-5)
    assert len(passed) == 51


def test_a_scorer_that_needs_every_class():
    history = make_sampler(scoring="neg_log_loss").fit(X, Y).history_
    assert history["control_score"].isna().iloc[:3].all()  # five rows do not hold ten classes
    binary = make_sampler(scoring="neg_log_loss", classes=[0, 1]).fit(X, Y % 2).history_.iloc[-1]
    assert binary["control_low"] < binary["control_score"] < binary["control_high"] < 0


def broken(network, X, y):
    raise ValueError("a fault of the scorer")


def test_a_fault_of_a_scorer_is_not_hidden():
    with pytest.raises(ValueError, match="a fault of the scorer"):
        make_sampler(scoring=broken, classes=[0, 1]).fit(X, Y % 2)
