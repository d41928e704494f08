"""Scores and the intervals around them."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from skalss import TaskNet
from skalss.campaign import scoring
from skalss.campaign.scoring import accuracy_interval
from skalss.nets import net_classifier
from skalss.targets import Classes, Values

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


class Constant:
    """Predicts the class that it knows first."""

    classes_ = np.array([0, 1])
    target_ = Classes().fitted(classes_)

    def predict(self, X):
        return np.zeros(len(X), dtype=int)

    def score(self, X, y):
        return np.mean(self.predict(X) == y)


def needs_both(network, X, y):
    if len(np.unique(y)) < 2:
        raise ValueError("only one class")
    return network.score(X, y)


def test_a_score_that_cannot_be_is_nan_only_where_the_rows_lack_a_class():
    scorer, rows = scoring.Scorer(needs_both, Classes()), np.zeros((4, 1))
    assert scorer.score(Constant(), rows, np.array([0, 0, 0, 1])) == 0.75
    assert np.isnan(scorer.score(Constant(), rows, np.zeros(4, dtype=int)))
    with pytest.raises(ValueError, match="only one class"):
        scorer(Constant(), rows, np.zeros(4, dtype=int))  # of rows of the user's own
    fault = scoring.Scorer(broken, Classes())
    with pytest.warns(UserWarning, match="a fault of the scorer"):
        assert np.isnan(fault.score(Constant(), rows, np.array([0, 0, 0, 1])))


@pytest.mark.parametrize(
    ("function", "target", "is_accuracy"),
    [(None, Classes(), True), ("accuracy", Classes(), True), ("neg_log_loss", Classes(), False)]
    + [(None, Values(), False), (needs_both, Classes(), False)],
)
def test_only_an_accuracy_has_wilsons_interval(function, target, is_accuracy):
    assert scoring.Scorer(function, target).is_accuracy == is_accuracy


def test_draws_without_a_score_are_left_out_of_a_bootstrap():
    rows, y = np.zeros((4, 1)), np.array([0, 0, 0, 1])
    scorer = scoring.Scorer(needs_both, Classes())
    low, high = scorer.interval(Constant(), rows, y, 0.75, np.random.RandomState(0))
    assert 0.25 <= low <= high <= 0.75
    same = np.zeros(4, dtype=int)
    assert np.isnan(scorer.interval(Constant(), rows, same, np.nan, np.random.RandomState(0))).all()


@pytest.mark.parametrize("wrong", [3, ["accuracy"]], ids=str)
def test_what_is_no_scorer(wrong):
    with pytest.raises(TypeError, match="scoring must be the name of a scorer, a callable"):
        scoring.Scorer(wrong, Classes())
