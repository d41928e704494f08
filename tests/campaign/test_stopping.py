"""Rules that end a campaign."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from skalss import (
    Campaign,
    MaxCost,
    MaxFailures,
    MaxRounds,
    PredictionsAgree,
    Progress,
    ScoreReached,
    StoppingRule,
)
from skalss.campaign.stopping import first_reason, make_rules
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


# -- the rules alone ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "goes_on", "ends", "reason"),
    [
        (MaxFailures(2), Progress(failed=2), Progress(failed=3), "max_failures"),
        (MaxRounds(2), Progress(round=1), Progress(round=2), "max_rounds"),
        (MaxRounds(2), Progress(round=2, pending=1), Progress(round=3), "max_rounds"),
        (MaxCost(9), Progress(cost=9.0), Progress(priced_out=True), "max_cost"),
        (ScoreReached(0.9), Progress(), Progress(score=0.9), "score_reached"),
        (ScoreReached(0.9), Progress(score=0.8, control_score=1.0), Progress(score=1.0), "score_reached"),
        (
            PredictionsAgree(0.9),
            Progress(agreement=(1.0, 1.0)),
            Progress(agreement=(0.0, 1.0, 0.7, 1.0)),
            "predictions_agree",
        ),
        (
            PredictionsAgree(0.9, n_rounds=1),
            Progress(agreement=(1.0, 0.8)),
            Progress(agreement=(0.1, 0.9)),
            "predictions_agree",
        ),
    ],
    ids=str,
)
def test_what_a_rule_says(rule, goes_on, ends, reason):
    assert rule.reason(goes_on) is None
    assert rule.reason(ends) == reason
    assert clone(rule).reason(ends) == reason


def test_ten_failures_are_allowed_unless_a_rule_says_otherwise():
    failed = Progress(failed=11)
    assert first_reason(make_rules(30, ()), Progress(failed=10)) is None
    assert first_reason(make_rules(30, MaxRounds(3)), failed) == "max_failures"
    assert first_reason(make_rules(30, [MaxFailures(20)]), failed) is None


def test_failures_come_first_then_the_budget_then_the_rules_in_their_order():
    rules = make_rules(30, (MaxRounds(1), PredictionsAgree(0.5, 1), MaxFailures(0)))
    all_hold = Progress(paid=30, failed=1, round=1, agreement=(1.0,))
    assert first_reason(rules, all_hold) == "max_failures"
    assert first_reason(rules, replace(all_hold, failed=0)) == "max_labels"
    assert first_reason(rules, replace(all_hold, failed=0, paid=29)) == "max_rounds"
    assert first_reason(rules, Progress(agreement=(1.0,))) == "predictions_agree"
    assert first_reason(rules, Progress()) is None


def test_the_lowest_of_two_limits_of_cost_holds():
    sampler = make_sampler(oracle=FunctionOracle(lambda rows: [1] * len(rows), cost=1.0))
    sampler.set_params(stop=[MaxCost(25), MaxCost(12)], strategy="random", initial="random").fit(X)
    assert (sampler.n_labels_, sampler.stop_reason_) == (12, "max_cost")


# -- a rule of the user's own ---------------------------------------------------------------------


class Doubled(StoppingRule):
    """Keeps what it is shown, and stops at twice the first set."""

    def __init__(self, seen):
        self.seen = seen

    def reason(self, progress):
        Doubled.shown.append(progress)
        return "doubled" if progress.n_labels >= 20 else None


def test_a_rule_sees_how_far_the_campaign_is():
    Doubled.shown = []
    campaign = Campaign(make_sampler(stop=Doubled(0), strategy="margin", control_share=0.5), X)
    answer(campaign, campaign.ask())
    batch = campaign.ask()
    answer(campaign, batch, np.arange(4))
    last = Doubled.shown[-1]
    assert (last.paid, last.n_labels, last.round, last.pending, last.failed) == (14, 14, 1, 6, 0)
    campaign.tell(batch.ids[4:5], [Failed("down")])
    assert (Doubled.shown[-1].failed, Doubled.shown[-1].pending) == (1, 5)
    assert campaign.models.trained is None or not campaign.models.is_current()  # nothing trains for a rule
    answer(campaign, batch, np.arange(5, 10))
    assert campaign.stop_reason is None
    answer(campaign, campaign.ask(1))
    assert campaign.stop_reason == "doubled"
    assert len(campaign.ask()) == 0


class OnlyReason:
    def __repr__(self):
        return "OnlyReason()"

    def reason(self, progress):
        return None


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ("max_rounds", "stop must be a stopping rule or several of them.*got 'max_rounds'"),
        (MaxRounds, "stop must be a stopping rule or several of them.*got <class"),
        (3, "stop must be a stopping rule or several of them.*got 3"),
        (None, "stop must be a stopping rule or several of them.*got None"),
        ([MaxRounds(3), MaxRounds], "stop must be a stopping rule.*got <class.*Derive one of your own"),
        (OnlyReason(), "stop must be a stopping rule or several of them.*Derive one of your own"),
        (["max_rounds"], r"stop must be a stopping rule.*such as MaxRounds\(8\), got 'max_rounds'"),
    ],
    ids=str,
)
def test_what_is_no_rule_is_refused(stop, message):
    with pytest.raises(TypeError, match=message):
        make_rules(30, stop)


def test_a_reason_must_be_a_text():
    class Says(StoppingRule):
        def reason(self, progress):
            return True

    with pytest.raises(TypeError, match=r"Says\(\)\.reason must return a text or None, got True"):
        Campaign(make_sampler(stop=Says()), X)
