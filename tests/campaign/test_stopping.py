"""Rules that end a campaign."""

import itertools

import numpy as np
import pytest

from skalss import (
    Campaign,
    MaxFailures,
    MaxRounds,
    ScoreReached,
)
from skalss.nets import net_classifier
from skalss.oracles import Failed, FunctionOracle

from .digits import X_TEST, Y_TEST, X, Y, answer, drive, make_sampler


@pytest.mark.parametrize("max_failures", [0, 3])
def test_max_failures_stops(max_failures):
    sampler = make_sampler(strategy="random", stop=MaxFailures(max_failures))
    campaign = Campaign(sampler, X)
    answer(campaign, campaign.ask())
    batch = campaign.ask()
    campaign.tell(batch.ids[:max_failures], [Failed("down")] * max_failures)
    assert campaign.stop_reason is None
    campaign.tell(batch.ids[max_failures : max_failures + 1], [Failed("down")])
    assert campaign.stop_reason == "max_failures"
    assert len(campaign.ask()) == 0
    assert campaign.finish().stop_reason_ == "max_failures"


def test_max_failures_in_fit_warns_and_keeps_what_it_has():
    calls = itertools.count()
    oracle = FunctionOracle(lambda x: Failed("down") if next(calls) > 12 else 1, per_row=True)
    with pytest.warns(UserWarning, match="Stopped after 7 failed answers, with 13 labels.*stop=MaxFailures"):
        sampler = make_sampler(oracle=oracle, stop=MaxFailures(3)).fit(X)
    assert sampler.stop_reason_ == "max_failures"
    assert sampler.n_labels_ == 13
    assert set(sampler.queries_.query("state == 'failed'")["reason"]) == {"down"}
    sampler.predict(X)


def test_max_labels():
    sampler = drive(Campaign(make_sampler(max_labels=27), X))
    assert (sampler.stop_reason_, sampler.n_labels_, sampler.n_rounds_) == ("max_labels", 27, 3)
    assert sampler.queries_.groupby("round").size().tolist() == [10, 10, 7]


def test_n_initial_larger_than_the_budget():
    sampler = drive(Campaign(make_sampler(max_labels=5), X))
    assert (sampler.stop_reason_, sampler.n_labels_, sampler.n_rounds_) == ("max_labels", 5, 1)


@pytest.mark.parametrize("max_rounds", [1, 3])
def test_rounds_are_counted_after_the_first(max_rounds):
    sampler = drive(Campaign(make_sampler(stop=MaxRounds(max_rounds), max_labels=500), X))
    assert sampler.stop_reason_ == "max_rounds"
    assert sampler.n_labels_ == 10 + 10 * max_rounds
    assert sampler.n_rounds_ == 1 + max_rounds


def test_max_rounds_where_the_first_set_was_given():
    y = np.full(120, np.nan)
    y[:10] = Y[:10]
    oracle = FunctionOracle(lambda X: np.zeros(len(X), dtype=int))
    campaign = Campaign(make_sampler(stop=MaxRounds(2), max_labels=500, oracle=oracle), X, y)
    sampler = campaign.run().finish()
    assert (sampler.stop_reason_, sampler.n_labels_, sampler.n_rounds_) == ("max_rounds", 20, 2)


def test_max_rounds_waits_for_pending_answers():
    campaign = Campaign(make_sampler(stop=MaxRounds(1)), X)
    answer(campaign, campaign.ask())
    batch = campaign.ask()
    answer(campaign, batch, np.arange(5))
    assert campaign.stop_reason is None
    answer(campaign, batch, np.arange(5, 10))
    assert campaign.stop_reason == "max_rounds"


def test_no_more_rounds_than_allowed_while_answers_are_open():
    campaign = Campaign(make_sampler(stop=MaxRounds(1)), X)
    answer(campaign, campaign.ask())
    batch = campaign.ask()
    campaign.tell(batch.ids[:5], Y[batch.ids[:5]])
    assert len(campaign.ask()) == 0
    assert campaign.stop_reason is None  # five are still open
    campaign.tell(batch.ids[5:], Y[batch.ids[5:]])
    assert campaign.stop_reason == "max_rounds"


@pytest.mark.parametrize(
    ("initial", "kind"),
    [("random", "RandomStrategy"), ("auto", "KMeansStrategy"), ("coreset", "CoreSetStrategy")],
)
def test_a_first_set_asked_in_parts_keeps_its_way(initial, kind):
    campaign = Campaign(make_sampler(initial=initial, n_initial=20, stop=MaxRounds(1), max_labels=90), X)
    for n in (3, None):
        answer(campaign, campaign.ask(n))
    assert len(campaign.queries) == 20
    assert set(campaign.queries["strategy"]) == {kind}
    answer(campaign, campaign.ask())
    assert campaign.stop_reason == "max_rounds"


@pytest.mark.parametrize("scoring", [None, "accuracy", "neg_log_loss"])
def test_score_reached(scoring):
    target = 0.5 if scoring != "neg_log_loss" else -2.0
    sampler = make_sampler(
        net_classifier(max_epochs=20),
        stop=ScoreReached(target),
        scoring=scoring,
        max_labels=120,
        classes=range(10),
    ).fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    scores = sampler.history_["val_score"].iloc[1:]  # nothing to score before the first labels
    assert sampler.stop_reason_ == "score_reached"
    assert scores.iloc[-1] >= target
    assert (scores.iloc[:-1] < target).all()
    assert sampler.n_labels_ < 120
    if scoring != "neg_log_loss":
        assert scores.iloc[-1] == pytest.approx(sampler.score(X_TEST, Y_TEST))


def test_a_target_out_of_reach_changes_nothing():
    sampler = make_sampler(stop=ScoreReached(1.01)).fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    assert sampler.stop_reason_ == "max_labels"
    assert sampler.history_["val_score"].iloc[1:].notna().all()


@pytest.mark.parametrize("strategy", ["random", "snn", "mms"])
def test_pool_exhausted(strategy):
    sampler = drive(Campaign(make_sampler(strategy=strategy, max_labels=500), X[:33]))
    assert (sampler.stop_reason_, sampler.n_labels_) == ("pool exhausted", 33)
    assert sorted(sampler.labeled_indices_) == list(range(33))


def test_no_row_is_asked_after_a_stop():
    campaign = Campaign(make_sampler(max_labels=10), X)
    answer(campaign, campaign.ask())
    for n in (None, 5):
        batch = campaign.ask(n)
        assert len(batch) == 0
        assert batch.X.shape == (0, 64)
        assert batch.to_frame().empty
    assert len(campaign.records.questions) == 10
