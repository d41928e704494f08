import itertools
import pickle
import re
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from skalss import (
    AdaptiveLatentSampler,
    Campaign,
    MaxFailures,
    MaxRounds,
    OracleAnswerError,
    OracleError,
    PredictionsAgree,
    ScoreReached,
)
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import ABSTAIN, AnswerKey, BaseOracle, Failed, FunctionOracle
from skalss.strategies import BaseStrategy, Candidates, InterpolationStrategy, NearestNeighborStrategy

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
    net = TaskNet(net, warm_start=True) if warm_start else net
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


# -- ask and tell ---------------------------------------------------------------------------------


def test_a_batch_shows_what_is_asked():
    campaign = Campaign(make_sampler(strategy="snn"), X)
    first = campaign.ask()
    assert len(first) == 10
    assert first.round == 0
    assert first.codes is None  # nobody needed codes yet
    assert np.isnan(first.scores).all()
    np.testing.assert_array_equal(first.X, X[first.ids])
    answer(campaign, first)
    second = campaign.ask()
    assert second.round == 1
    assert second.codes.shape == (10, 4)
    assert np.isfinite(second.scores).any()
    assert not set(first.ids) & set(second.ids)


def test_a_batch_as_a_table_to_fill_in():
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)], index=np.arange(120) + 1000)
    campaign = Campaign(make_sampler(strategy="random"), frame, sample_id=[f"scan-{i}" for i in range(120)])
    batch = campaign.ask()
    pd.testing.assert_frame_equal(batch.X, frame.iloc[[int(i.split("-")[1]) for i in batch.ids]])
    table = batch.to_frame()
    assert table.columns.tolist() == ["id", "round", "score", *frame.columns, "label"]
    np.testing.assert_array_equal(table["pixel10"], batch.X["pixel10"])
    assert table["label"].isna().all()
    table["label"] = [Y[int(i.split("-")[1])] for i in table["id"]]
    campaign.tell(table["id"], table["label"])
    assert len(campaign.pending) == 0


def test_a_table_of_images_leaves_them_out():
    campaign = Campaign(make_sampler(strategy="random"), X.reshape(-1, 1, 8, 8))
    batch = campaign.ask()
    assert batch.X.shape == (10, 1, 8, 8)
    assert batch.to_frame().columns.tolist() == ["id", "round", "score", "label"]


@pytest.mark.parametrize("sizes", [[10], [1] * 10, [3, 7], [9, 1]], ids=str)
@pytest.mark.parametrize("strategy", ["snn", "random", "entropy"])
def test_partial_and_out_of_order_answers_give_the_same_campaign(strategy, sizes):
    expected = drive(Campaign(make_sampler(strategy=strategy), X))
    campaign = Campaign(make_sampler(strategy=strategy), X)
    rng = np.random.default_rng(0)
    while len(batch := campaign.ask()):
        order = rng.permutation(len(batch))
        for piece in np.split(order, np.cumsum(sizes)[:-1]):
            answer(campaign, batch, piece)
    assert_same_run(campaign.finish(), expected)


def test_looking_does_not_change_a_campaign():
    """pending, stop_reason and finish may be read at any time."""
    expected = drive(Campaign(make_sampler(), X))
    campaign = Campaign(make_sampler(), X)
    while len(batch := campaign.ask()):
        assert len(campaign.pending) == len(batch)
        answer(campaign, batch, np.arange(4))
        np.testing.assert_array_equal(campaign.pending.ids, batch.ids[4:])
        assert campaign.stop_reason is None
        campaign.finish()
        answer(campaign, batch, np.arange(4, 10))
    assert_same_run(campaign.finish(), expected, history=False)


def test_run_does_what_ask_and_tell_do():
    told = drive(Campaign(make_sampler(), X))
    run = Campaign(make_sampler(), X, Y).run().finish()
    by_fit = make_sampler().fit(X, Y)
    assert_same_run(run, told)
    assert_same_run(by_fit, told)


def test_asking_again_before_answers_gives_other_rows():
    campaign = Campaign(make_sampler(), X)
    first, second = campaign.ask(), campaign.ask(5)
    assert len(second) == 5
    assert not set(first.ids) & set(second.ids)
    assert len(campaign.pending) == 15
    answer(campaign, second)
    answer(campaign, first)
    assert campaign.finish().n_labels_ == 15


def test_pending_questions_count_against_the_budget():
    campaign = Campaign(make_sampler(max_labels=25, strategy="random"), X)
    assert [len(campaign.ask()) for _ in range(4)] == [10, 10, 5, 0]
    assert campaign.stop_reason is None
    campaign.tell(campaign.pending.ids, Y[campaign.pending.ids])
    assert campaign.stop_reason == "max_labels"


@pytest.mark.parametrize("n", [1, 7, 30, 1000])
def test_ask_for_a_number(n):
    campaign = Campaign(make_sampler(strategy="random"), X)
    assert len(campaign.ask(n)) == min(n, 30)


@pytest.mark.parametrize("n", [0, -3, 2.5, "4", True])
def test_ask_for_what_is_no_number(n):
    campaign = Campaign(make_sampler(strategy="random"), X)
    with pytest.raises((ValueError, TypeError), match="n must be a whole number of at least 1"):
        campaign.ask(n)


TELL_ERRORS = {
    "unknown id": (lambda b: ([*b.ids[:2], 999], [0, 1, 2]), "id 999 is not waiting for an answer; 10 are"),
    "twice": (lambda b: ([b.ids[0], b.ids[0]], [0, 1]), "got an id twice"),
    "too few answers": (lambda b: (b.ids[:3], [0, 1]), "got 3 ids and 2 answers"),
    "too many answers": (lambda b: (b.ids[:1], [0, 1]), "got 1 ids and 2 answers"),
    "outside classes": (lambda b: (b.ids[:3], [0, 1, 10]), r"label 10 is outside classes: \[0, 1, 2"),
    "a list": (lambda b: (b.ids[:2], [0, [1, 2]]), r"must be a number or a string, got \[1, 2\]"),
}


@pytest.mark.parametrize(("arguments", "message"), TELL_ERRORS.values(), ids=TELL_ERRORS)
def test_a_wrong_tell_records_nothing(arguments, message):
    campaign = Campaign(make_sampler(), X)
    batch = campaign.ask()
    with pytest.raises(ValueError, match=message):
        campaign.tell(*arguments(batch))
    assert campaign.records.n_paid == 0
    np.testing.assert_array_equal(campaign.pending.ids, batch.ids)
    answer(campaign, batch)


def test_an_answered_question_is_closed():
    campaign = Campaign(make_sampler(), X)
    batch = campaign.ask()
    answer(campaign, batch, [0])
    with pytest.raises(ValueError, match="is not waiting for an answer; 9 are"):
        answer(campaign, batch, [0])


@pytest.mark.parametrize("label", ["seven", [1.0], np.array([1.0, 2.0])], ids=str)
def test_a_regression_label_must_be_a_number(label):
    campaign = Campaign(regressor(), X)
    batch = campaign.ask()
    with pytest.raises(ValueError, match="A regression label must be a number, got"):
        campaign.tell(batch.ids[:1], [label])


def test_finish_and_network_need_a_label():
    campaign = Campaign(make_sampler(), X)
    batch = campaign.ask()
    for method in (campaign.finish, campaign.network):
        with pytest.raises(ValueError, match=r"no label to train on yet\. tell\(\) at least one"):
            method()
    campaign.tell(batch.ids[:1], [None])
    with pytest.raises(ValueError, match="abstentions and failures do not count"):
        campaign.finish()
    campaign.tell(batch.ids[1:2], Y[batch.ids[1:2]])
    assert campaign.finish().n_labels_ == 1


def test_a_campaign_goes_on_after_finish():
    expected = drive(Campaign(make_sampler(), X))
    campaign = Campaign(make_sampler(), X)
    answer(campaign, campaign.ask())
    early = campaign.finish()
    assert early.n_labels_ == 10
    assert early.stop_reason_ is None
    assert_same_run(drive(campaign), expected)


def test_an_early_sampler_stays_what_it_was_when_the_network_goes_on_training():
    campaign = Campaign(make_sampler(warm_start=True), X)
    answer(campaign, campaign.ask())
    early = campaign.finish()
    P = early.predict_proba(X_TEST)
    drive(campaign)
    np.testing.assert_array_equal(early.predict_proba(X_TEST), P)


def test_the_users_sampler_is_not_changed():
    sampler = make_sampler()
    before = {k: repr(v) for k, v in sampler.get_params().items() if "callbacks" not in k}
    drive(Campaign(sampler, X))
    assert {k: repr(v) for k, v in sampler.get_params().items() if "callbacks" not in k} == before
    assert not [name for name in vars(sampler) if name.endswith("_")]


# -- abstentions and failures ---------------------------------------------------------------------


def test_abstained_rows_are_never_asked_again():
    campaign = Campaign(make_sampler(strategy="random", max_labels=500, n_per_round=30), X)
    asked = []
    while len(batch := campaign.ask()):
        asked.extend(batch.ids)
        campaign.tell(batch.ids, [None if i % 3 == 0 else Y[i] for i in batch.ids])
    assert sorted(asked) == list(range(120))
    sampler = campaign.finish()
    assert sampler.stop_reason_ == "pool exhausted"
    assert (sampler.n_labels_, sampler.n_queries_) == (80, 120)
    assert (sampler.labeled_indices_ % 3 > 0).all()
    assert (sampler.queries_["state"] == "abstained").sum() == 40


@pytest.mark.parametrize("strategy", ["random", "snn", "entropy"])
@pytest.mark.parametrize("n_per_round", [7, 10, 40])
def test_failed_rows_are_asked_again_only_when_nothing_else_is_left(strategy, n_per_round):
    sampler = make_sampler(
        strategy=strategy,
        max_labels=500,
        n_per_round=n_per_round,
        stop=MaxFailures(100),
        oracle=FunctionOracle(len),
    )
    campaign = Campaign(sampler, X[:60])
    tried = set()
    while len(batch := campaign.ask()):
        if set(batch.ids) & tried:
            assert tried | set(batch.ids) == set(range(60)), "a fresh row waits while a failed one is retried"
        campaign.tell(
            batch.ids, [Failed("busy") if i % 4 == 0 and i not in tried else Y[i] for i in batch.ids]
        )
        tried |= set(batch.ids)
    sampler = campaign.finish()
    assert sampler.stop_reason_ == "pool exhausted"
    assert (sampler.n_labels_, sampler.n_queries_) == (60, 60)
    assert (sampler.queries_["state"] == "failed").sum() == 15


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
    with pytest.warns(UserWarning, match="more than max_failures=3 failed answers, with 13 labels"):
        sampler = make_sampler(oracle=oracle, stop=MaxFailures(3)).fit(X)
    assert sampler.stop_reason_ == "max_failures"
    assert sampler.n_labels_ == 13
    assert set(sampler.queries_.query("state == 'failed'")["reason"]) == {"down"}
    sampler.predict(X)


def test_only_charged_failures_are_paid():
    campaign = Campaign(make_sampler(strategy="random"), X)
    batch = campaign.ask()
    answers = [Failed("free")] * 3 + [Failed("dear", charged=True)] * 2 + [None] + list(Y[batch.ids[6:]])
    campaign.tell(batch.ids, answers)
    sampler = campaign.finish()
    assert (sampler.n_labels_, sampler.n_queries_) == (4, 7)
    assert sampler.queries_["charged"].tolist() == [False] * 3 + [True] * 7


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strategy", ["random", "snn"])
def test_the_budget_is_never_exceeded(strategy, seed):
    """Whatever is answered, and however much is asked at a time."""
    rng = np.random.default_rng(seed)
    campaign = Campaign(make_sampler(strategy=strategy, max_labels=33, stop=MaxFailures(1000)), X)
    for _ in range(200):
        batch = campaign.ask(int(rng.integers(1, 50)))
        pending = campaign.pending.ids
        assert campaign.records.n_paid + len(pending) <= 33
        if len(batch) == 0 and len(pending) == 0:
            break
        some = rng.permutation(pending)[: rng.integers(0, len(pending) + 1)]
        kinds = rng.integers(0, 5, len(some))
        choices = [None, Failed("free"), Failed("dear", charged=True)]
        campaign.tell(some, [choices[k] if k < 3 else Y[i] for k, i in zip(kinds, some, strict=True)])
    assert campaign.stop_reason == "max_labels"
    assert campaign.records.n_paid == 33


# -- stopping rules -------------------------------------------------------------------------------


def test_max_labels():
    sampler = drive(Campaign(make_sampler(max_labels=27), X))
    assert (sampler.stop_reason_, sampler.n_labels_, sampler.n_rounds_) == ("max_labels", 27, 3)
    assert sampler.queries_.groupby("round").size().tolist() == [10, 10, 7]


def test_n_initial_larger_than_the_budget():
    sampler = drive(Campaign(make_sampler(max_labels=5), X))
    assert (sampler.stop_reason_, sampler.n_labels_, sampler.n_rounds_) == ("max_labels", 5, 1)


@pytest.mark.parametrize("max_rounds", [1, 3])
def test_n_rounds_counts_rounds_after_the_first(n_rounds):
    sampler = drive(Campaign(make_sampler(stop=MaxRounds(n_rounds), max_labels=500), X))
    assert sampler.stop_reason_ == "max_rounds"
    assert sampler.n_labels_ == 10 + 10 * n_rounds
    assert sampler.n_rounds_ == 1 + n_rounds


def test_n_rounds_where_the_first_set_was_given():
    y = np.full(120, np.nan)
    y[:10] = Y[:10]
    oracle = FunctionOracle(lambda X: np.zeros(len(X), dtype=int))
    campaign = Campaign(make_sampler(stop=MaxRounds(2), max_labels=500, oracle=oracle), X, y)
    sampler = campaign.run().finish()
    assert (sampler.stop_reason_, sampler.n_labels_, sampler.n_rounds_) == ("max_rounds", 20, 2)


def test_n_rounds_waits_for_pending_answers():
    campaign = Campaign(make_sampler(stop=MaxRounds(1)), X)
    answer(campaign, campaign.ask())
    batch = campaign.ask()
    answer(campaign, batch, np.arange(5))
    assert campaign.stop_reason is None
    answer(campaign, batch, np.arange(5, 10))
    assert campaign.stop_reason == "max_rounds"


@pytest.mark.parametrize("scoring", [None, "accuracy", "neg_log_loss"])
def test_target_score(scoring):
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


def test_validation_rows_alone_stop_nothing_and_choose_nothing():
    plain = make_sampler().fit(X, Y)
    scored = make_sampler().fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    np.testing.assert_array_equal(plain.labeled_indices_, scored.labeled_indices_)
    np.testing.assert_array_equal(plain.predict_proba(X_TEST), scored.predict_proba(X_TEST))
    assert plain.history_["val_score"].isna().all()
    assert scored.history_["val_score"].iloc[-1] == pytest.approx(scored.score(X_TEST, Y_TEST))


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


# -- given labels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
@pytest.mark.parametrize("strings", [False, True])
def test_given_labels_are_free(missing, strings):
    labels = np.array([f"digit {i}" for i in Y]) if strings else Y
    y = labels.astype(object)
    y[6:] = missing
    seen = []

    def function(rows):
        seen.append(len(rows))
        return labels[[int(np.flatnonzero((row == X).all(axis=1))[0]) for row in rows]]

    sampler = make_sampler(oracle=function, classes=None).fit(X, y)
    assert sum(seen) == 30
    assert seen[0] == 4  # n_initial counts those that are known
    assert (sampler.n_labels_, sampler.n_queries_) == (30, 30)
    assert sampler.labeled_indices_[:6].tolist() == list(range(6))
    assert len(sampler.labeled_indices_) == 36
    assert not set(range(6)) & set(sampler.queries_["position"])
    assert set(sampler.classes_) <= set(labels)


def test_missing_labels_in_a_list_of_strings():
    """numpy would turn the NaN into the text 'nan'."""
    y = ["a", "b"] * 5 + [np.nan] * 110
    sampler = make_sampler(oracle=lambda rows: ["a"] * len(rows), classes=None).fit(X, y)
    assert sampler.classes_.tolist() == ["a", "b"]
    assert sampler.labeled_indices_[:10].tolist() == list(range(10))
    assert sampler.n_labels_ == 30


def test_labeled_marks_rows_of_the_answer_key_as_free():
    labeled = np.zeros(120, dtype=bool)
    labeled[50:70] = True
    sampler = make_sampler().fit(X, Y, labeled=labeled)
    assert sampler.labeled_indices_[:20].tolist() == list(range(50, 70))
    assert sampler.n_labels_ == 30
    assert sampler.n_rounds_ == 3  # more than n_initial are known: the strategy starts at once
    assert "RandomStrategy" not in set(sampler.queries_["strategy"])


def test_an_oracle_with_nothing_left_to_ask_is_told():
    with pytest.warns(UserWarning, match="label for every row, so there is nothing to ask.*labeled="):
        make_sampler(oracle=AnswerKey(Y)).fit(X, Y)


@pytest.mark.parametrize("answer_", [float("nan"), np.float32("nan")])
def test_an_empty_cell_is_no_answer(answer_):
    campaign = Campaign(make_sampler(), X)
    batch = campaign.ask()
    with pytest.raises(ValueError, match=r"is NaN, as an empty cell.*dropna\(subset='label'\)"):
        campaign.tell(batch.ids[:2], [Y[batch.ids[0]], answer_])
    assert len(campaign.pending) == len(batch)  # nothing was recorded


@pytest.mark.parametrize("look", ["finish", "network"])
def test_looking_in_between_changes_nothing(look):
    """Also where training goes on: the network looked at is not the one that goes on."""

    def drive_in_halves(campaign, look=None):
        while len(batch := campaign.ask()):
            campaign.tell(batch.ids[::2], Y[batch.ids[::2]])
            if look:
                getattr(campaign, look)()
            campaign.tell(batch.ids[1::2], Y[batch.ids[1::2]])
        return campaign.finish()

    quiet, looked = (
        drive_in_halves(Campaign(make_sampler(strategy="snn", warm_start=True), X), how)
        for how in (None, look)
    )
    np.testing.assert_array_equal(quiet.labeled_indices_, looked.labeled_indices_)
    np.testing.assert_array_equal(quiet.predict_proba(X_TEST), looked.predict_proba(X_TEST))


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


def test_labels_of_two_kinds_are_refused():
    campaign = Campaign(make_sampler(classes=None), X)
    batch = campaign.ask()
    campaign.tell(batch.ids[:1], [1])
    with pytest.raises(ValueError, match="label 'a' is text, but earlier ones are not"):
        campaign.tell(batch.ids[1:2], ["a"])


def test_a_text_is_no_list_of_answers():
    campaign = Campaign(make_sampler(classes=None), X)
    with pytest.raises(ValueError, match="got the text 'cat' as answers"):
        campaign.tell(campaign.ask(3).ids, "cat")


def test_a_running_campaign_keeps_its_strategy():
    sampler = make_sampler(strategy=NearestNeighborStrategy())
    campaign = Campaign(sampler, X)
    sampler.set_params(strategy__step=7.0)
    assert campaign.strategy.step == 0.5


def test_an_oracle_error_survives_another_process():
    error = pickle.loads(pickle.dumps(OracleError("down", None)))
    assert str(error) == "down"


def test_columns_with_the_names_of_ours():
    frame = pd.DataFrame(X[:, :3], columns=["id", "label", "c"])
    asked = Campaign(make_sampler(), frame).ask().to_frame()
    assert asked.columns.tolist() == ["id", "round", "score", "feature_id", "feature_label", "c", "label"]
    assert asked["label"].isna().all()


def test_each_round_has_seeds_of_its_own():
    campaign = Campaign(make_sampler(strategy="random"), X)
    seeds = []
    while len(batch := campaign.ask()):
        answer(campaign, batch)
        seeds.append(campaign.network().random_state)
    assert len(set(seeds)) == len(seeds) == 3


def test_everything_given_buys_nothing():
    sampler = make_sampler().fit(X, Y, labeled=np.ones(120, dtype=bool))
    assert (sampler.n_labels_, sampler.n_queries_) == (0, 0)
    assert sampler.stop_reason_ == "pool exhausted"
    assert sampler.score(X, Y) > 0.15


def test_labeled_unmarks_known_rows():
    """With an oracle, `labeled` decides which known labels are used."""
    labeled = np.arange(120) < 12
    sampler = make_sampler(oracle=AnswerKey(Y), classes=None).fit(X, Y.astype(float), labeled=labeled)
    assert sampler.labeled_indices_[:12].tolist() == list(range(12))
    assert sampler.n_labels_ == 30


# -- save and load --------------------------------------------------------------------------------


SAVED = {
    "snn": {},
    "published snn": {
        "strategy": NearestNeighborStrategy(**ONE_STEP),
        "train_on": "decoded",
        "warm_start": True,
    },
    "random": {"strategy": "random"},
    "mms": {"strategy": "mms"},
    "control rows": {"strategy": "mms", "control_share": 0.3, "stop": PredictionsAgree(1.0)},
}


def _play(sampler, cut, path, fit_params):
    """Run three rounds; after `cut` calls the campaign goes through a file."""
    campaign = Campaign(sampler, X, **fit_params)
    calls = itertools.count()

    def reached(campaign):
        if next(calls) != cut:
            return campaign
        campaign.save(path)
        return Campaign.load(path, X)

    campaign = reached(campaign)
    for _ in range(3):
        batch = campaign.ask()
        campaign = reached(campaign)
        answer(campaign, batch, np.arange(4))
        campaign = reached(campaign)
        answer(campaign, batch, np.arange(4, 10))
        campaign = reached(campaign)
    campaign.network()
    campaign = reached(campaign)
    assert next(calls) == 11
    return campaign.finish()


@pytest.mark.parametrize("cut", range(11))
@pytest.mark.parametrize("params", SAVED.values(), ids=SAVED)
def test_a_loaded_campaign_goes_on_as_if_it_had_never_stopped(params, cut, tmp_path):
    fit_params = {"X_val": X_TEST, "y_val": Y_TEST}
    expected = _play(make_sampler(**params), None, tmp_path / "c", fit_params)
    assert_same_run(_play(make_sampler(**params), cut, tmp_path / "c", fit_params), expected)


def test_a_regression_campaign_through_a_file_at_each_round(tmp_path):
    expected = regressor().fit(X, X[:, 20])
    campaign = Campaign(regressor(), X, X[:, 20])
    while len(batch := campaign.ask()):
        campaign.tell(batch.ids, X[batch.ids, 20])
        campaign.save(tmp_path / "c")
        campaign = Campaign.load(tmp_path / "c", X)
    assert_same_run(campaign.finish(), expected)


def test_run_goes_on_after_loading(tmp_path):
    expected = Campaign(make_sampler(), X, Y).run().finish()
    campaign = Campaign(make_sampler(), X, Y)
    answer(campaign, campaign.ask(), np.arange(3))
    campaign.save(tmp_path / "c")
    assert_same_run(Campaign.load(tmp_path / "c", X).run().finish(), expected)


@pytest.mark.parametrize(
    "other",
    [X[::-1], X[:-1], X + 1, X.astype(np.float32), X.reshape(120, 1, 8, 8)],
    ids=["order", "length", "content", "dtype", "shape"],
)
def test_another_pool_is_refused(other, tmp_path):
    campaign = Campaign(make_sampler(), X)
    answer(campaign, campaign.ask())
    campaign.save(tmp_path / "c")
    with pytest.raises(
        ValueError, match="X is not the pool this campaign was made with.*same order and dtype"
    ):
        Campaign.load(tmp_path / "c", other)


def test_a_frame_or_a_copy_of_the_pool_is_the_pool(tmp_path):
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(64)])
    campaign = Campaign(make_sampler(), frame)
    campaign.save(tmp_path / "c")
    loaded = Campaign.load(tmp_path / "c", frame.copy())
    assert isinstance(loaded.ask().X, pd.DataFrame)


def test_what_is_no_campaign_is_refused(tmp_path):
    path = tmp_path / "c"
    for content in (b"", b"some text", pickle.dumps([1, 2])):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not a campaign. Pass what Campaign.save wrote"):
            Campaign.load(path, X)
    path.write_bytes(b"skalss campaign, format 99\n")
    with pytest.raises(ValueError, match="format 99, this version reads up to 2. Upgrade skalss"):
        Campaign.load(path, X)
    Campaign(make_sampler(), X).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is cut short or damaged"):
        Campaign.load(path, X)


def test_what_cannot_be_pickled_is_said(tmp_path):
    sampler = make_sampler().set_params(scoring=lambda estimator, X, y: 0.0)
    with pytest.raises(TypeError, match="cannot be pickled.*top level of a file"):
        Campaign(sampler, X).save(tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_a_file_without_the_pool():
    big = np.random.default_rng(0).random((20_000, 64))  # 10 MB
    campaign = Campaign(make_sampler(strategy="random", max_labels=40), big)
    batch = campaign.ask()
    campaign.tell(batch.ids, [0, 1] * 5)
    campaign.network()
    assert len(pickle.dumps(campaign)) < 1_000_000
    assert len(pickle.dumps(campaign)) < big.nbytes / 10


def test_pickling_leaves_the_campaign_working():
    campaign = Campaign(make_sampler(), X)
    answer(campaign, campaign.ask())
    copy = pickle.loads(pickle.dumps(campaign))
    with pytest.raises(ValueError, match="unpickled without its pool. Use Campaign.load"):
        copy.ask()
    assert len(campaign.ask()) == 10


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    campaign = Campaign(make_sampler(), X)
    batch = campaign.ask()
    campaign.save(tmp_path / "c")
    answer(campaign, batch)

    def full(*args):
        raise OSError("disk full")

    for step in ("pickle.dump", "os.fsync", "os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(step, full)
            with pytest.raises(OSError, match="disk full"):
                campaign.save(tmp_path / "c")
        assert [path.name for path in tmp_path.iterdir()] == ["c"]  # no draft stays behind
    assert len(Campaign.load(tmp_path / "c", X).pending) == 10


def test_an_oracle_that_cannot_be_pickled_is_left_out_with_a_warning(tmp_path):
    class Locked(BaseOracle):
        def __init__(self):
            self.lock = threading.Lock()

        def label(self, X, ids):
            return [(id_, Y[id_]) for id_ in ids]

    expected = make_sampler(oracle=Locked()).fit(X)
    campaign = Campaign(make_sampler(oracle=Locked()), X)
    answer(campaign, campaign.ask())
    with pytest.warns(UserWarning, match="Locked cannot be pickled .*pass it to campaign.run"):
        campaign.save(tmp_path / "c")
    assert campaign.oracle is not None
    loaded = Campaign.load(tmp_path / "c", X)
    with pytest.raises(ValueError, match=r"nobody to ask.*Pass an oracle to run\(\)"):
        loaded.run()
    assert_same_run(loaded.run(Locked()).finish(), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Campaign(make_sampler(oracle=AnswerKey(Y)), X).save(tmp_path / "d")


def test_a_network_trained_on_is_not_lost_with_an_unpicklable_oracle(tmp_path):
    """The weights that warm_start goes on from are in the file too."""
    oracle = FunctionOracle(lambda rows: Y[[int(np.flatnonzero((r == X).all(axis=1))[0]) for r in rows]])
    params = {"warm_start": True, "oracle": oracle}
    expected = make_sampler(**params).fit(X)
    campaign = Campaign(make_sampler(**params), X)
    answer(campaign, campaign.ask())
    answer(campaign, campaign.ask())
    with pytest.warns(UserWarning, match="cannot be pickled"):
        campaign.save(tmp_path / "c")
    assert_same_run(Campaign.load(tmp_path / "c", X).run(oracle).finish(), expected)


# -- oracles --------------------------------------------------------------------------------------


class Breaks(BaseOracle):
    """Answers `n_good` questions and then raises."""

    def __init__(self, n_good):
        self.n_good, self.n_answered = n_good, 0

    def label(self, X, ids):
        for id_ in ids:
            if self.n_answered == self.n_good:
                raise RuntimeError("connection lost")
            self.n_answered += 1
            yield id_, Y[id_]


@pytest.mark.parametrize("n_good", [0, 1, 10, 14])
def test_an_oracle_that_breaks_down_loses_no_answer(n_good):
    expected = make_sampler(oracle=AnswerKey(Y)).fit(X)
    with pytest.raises(OracleError, match="Breaks raised RuntimeError: connection lost") as caught:
        make_sampler(oracle=Breaks(n_good)).fit(X)
    campaign = caught.value.campaign
    assert f"The {n_good} answers that arrived are kept" in str(caught.value)
    assert campaign.records.n_paid == n_good
    assert isinstance(caught.value.__cause__, RuntimeError)
    if n_good:
        assert campaign.finish().n_labels_ == n_good
    # The open questions come first, under the same ids, and the rest follows as if nothing had happened.
    again = campaign.run(AnswerKey(Y)).finish()
    assert_same_run(again, expected, history=False)


def test_an_error_named_in_catch_does_not_stop_the_run():
    calls = itertools.count()

    def sometimes(x):
        if next(calls) % 10 == 9:
            raise OSError("no scan")
        return 1

    oracle = FunctionOracle(sometimes, per_row=True, catch=(OSError,))
    sampler = make_sampler(oracle=oracle).fit(X)
    assert sampler.stop_reason_ == "max_labels"
    assert sampler.queries_.query("state == 'failed'")["reason"].unique().tolist() == ["OSError: no scan"]


class Answers(BaseOracle):
    def __init__(self, function):
        self.function = function

    def label(self, X, ids):
        return self.function(X, ids)


WRONG_ANSWERS = {
    "too few": (
        lambda X, ids: [(i, 1) for i in ids[:-2]],
        "was asked 10 ids and left 2 without an answer",
        8,
    ),
    "none": (lambda X, ids: [], "was asked 10 ids and left 10 without an answer", 0),
    "unknown id": (lambda X, ids: [(ids[0], 1), (-7, 1)], "Answers: id -7 is not waiting", 1),
    "twice": (lambda X, ids: [(ids[0], 1), (ids[0], 1)], "is not waiting for an answer; 9 are", 1),
    "outside classes": (lambda X, ids: [(ids[0], 99)], "The label 99 is outside classes", 0),
}


@pytest.mark.parametrize(("function", "message", "n_kept"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_wrong_answers_of_an_oracle_are_value_errors(function, message, n_kept):
    with pytest.raises(ValueError, match=message) as caught:
        make_sampler(oracle=Answers(function)).fit(X)
    assert isinstance(caught.value, OracleAnswerError)
    assert isinstance(caught.value, OracleError)
    campaign = caught.value.campaign
    assert campaign.records.n_paid == n_kept
    assert campaign.run(AnswerKey(Y)).finish().n_labels_ == 30


@pytest.mark.parametrize("function", [lambda X, ids: None, lambda X, ids: list(ids), lambda X, ids: 3])
def test_an_oracle_that_returns_no_pairs_says_so(function):
    with pytest.raises(OracleError, match="Answers") as caught:
        make_sampler(oracle=Answers(function)).fit(X)
    assert caught.value.campaign.records.n_paid == 0


def test_a_function_with_too_few_answers():
    with pytest.raises(OracleError, match="got 10 rows and returned 3 answers"):
        make_sampler(oracle=lambda rows: [1, 2, 3]).fit(X)


def test_a_plain_callable_is_an_oracle_and_is_not_copied():
    class Counter:
        n_calls = 0

        def __call__(self, rows):
            self.n_calls += 1
            return [0] * len(rows)

        def __deepcopy__(self, memo):
            raise AssertionError("the user's own object must see the calls")

    counter = Counter()
    campaign = Campaign(make_sampler(), X)
    campaign.run(counter)
    assert counter.n_calls == 3


def test_what_is_no_oracle():
    with pytest.raises(TypeError, match=r"oracle must be a BaseOracle, a callable or None.*AnswerKey\(y\)"):
        Campaign(make_sampler(oracle=[1, 2, 3]), X)


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_class_that_turns_up_late(warm_start):
    """With `classes` not given they are those seen so far, and one more is no error."""
    asked = itertools.count()
    oracle = FunctionOracle(lambda row: "early" if next(asked) < 12 else "late", per_row=True)
    sampler = make_sampler(oracle=oracle, classes=None, warm_start=warm_start).fit(X)
    assert sampler.classes_.tolist() == ["early", "late"]
    assert sampler.n_labels_ == 30


def test_all_rows_abstained_is_an_error_that_says_so():
    with pytest.raises(ValueError, match="no label to train on") as caught:
        make_sampler(oracle=lambda rows: [None] * len(rows)).fit(X)
    assert caught.value.campaign.records.n_paid == 30


# -- strategies that break their contract ---------------------------------------------------------


class Picks(BaseStrategy):
    def __init__(self, function=None):
        self.function = function

    def query(self, snapshot, n):
        return Candidates(rows=np.array(self.function(snapshot, n)), codes=None)


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda s, n: s.unlabeled[: n + 1], "more than the 10 candidates asked for"),
        (lambda s, n: [s.unlabeled[0]] * 2, "the same row twice"),
        (lambda s, n: s.labeled[:1], "a row that is labelled, pending or not in the pool"),
        (lambda s, n: [10_000], "a row that is labelled, pending or not in the pool"),
        (lambda s, n: [-1], "a row that is labelled, pending or not in the pool"),
    ],
)
def test_a_strategy_that_breaks_its_contract_is_told_so(function, fault):
    campaign = Campaign(make_sampler(strategy=Picks(function)), X)
    answer(campaign, campaign.ask())
    with pytest.raises(ValueError, match=rf"returned {fault}\. query must return at most n distinct rows"):
        campaign.ask()
    assert len(campaign.pending) == 0


def test_a_strategy_that_has_no_more_to_ask_ends_the_run():
    campaign = Campaign(make_sampler(strategy=Picks(lambda s, n: np.array([], dtype=int))), X, Y)
    assert campaign.run().finish().n_labels_ == 10


# -- SI: points that are not in the pool ----------------------------------------------------------


def brightness(rows):
    """Two classes that any row has, decoded ones too."""
    return (np.asarray(rows).reshape(len(rows), -1)[:, :32].mean(axis=1) > 4.8).astype(int)


def si_sampler(**params):
    defaults = {"strategy": "si", "oracle": FunctionOracle(brightness), "classes": [0, 1]}
    return make_sampler(**{**defaults, **params})


@pytest.mark.parametrize("strategy", ["si", InterpolationStrategy(**ONE_STEP)], ids=["ours", "published"])
@pytest.mark.parametrize("shape", [(64,), (1, 8, 8)], ids=str)
def test_generated_points_are_kept(strategy, shape):
    pool = X.reshape(120, *shape)
    sampler = si_sampler(strategy=strategy).fit(pool)
    assert sampler.X_generated_.shape == (20, *shape)
    assert sampler.y_generated_.shape == (20,)
    np.testing.assert_array_equal(sampler.y_generated_, brightness(sampler.X_generated_))
    assert len(sampler.labeled_indices_) == 10
    assert (sampler.n_labels_, sampler.n_queries_, sampler.stop_reason_) == (30, 30, "max_labels")
    made = sampler.queries_.query("kind == 'generated'")
    assert made["id"].str.fullmatch("generated-[0-9a-f]{12}").all()
    assert made["id"].is_unique
    assert (made["position"] == -1).all()
    assert sampler.queries_["kind"].tolist() == ["pool"] * 10 + ["generated"] * 20
    assert len(np.unique(sampler.X_generated_.reshape(20, -1), axis=0)) == 20


def test_generated_points_are_trained_on(monkeypatch):
    seen = []
    from skalss.network.tasknet import TaskNet

    train = TaskNet.fit_rows
    monkeypatch.setattr(
        TaskNet,
        "fit_rows",
        lambda self, X, y, **kw: seen.append((X.copy(), y.copy())) or train(self, X, y, **kw),
    )
    sampler = si_sampler().fit(X)
    rows, labels = seen[-1]
    assert len(rows) == len(labels) == 30
    np.testing.assert_allclose(rows[10:], sampler.X_generated_)
    np.testing.assert_array_equal(labels[10:], sampler.y_generated_)
    np.testing.assert_array_equal(rows[:10], X[sampler.labeled_indices_])


def test_a_batch_of_generated_points_has_decoded_rows():
    campaign = Campaign(si_sampler(), X)
    batch = campaign.ask()
    campaign.tell(batch.ids, brightness(batch.X))
    batch = campaign.ask()
    first = set(batch.ids)
    assert len(first) == 10
    latent, _ = campaign.models.latent()
    np.testing.assert_allclose(batch.X, latent.inverse_transform(batch.codes), rtol=1e-5, atol=1e-4)
    campaign.tell(batch.ids[::-1], brightness(batch.X[::-1]))
    again = si_sampler(oracle=None)
    other = Campaign(again, X)
    start = other.ask()
    other.tell(start.ids, brightness(start.X))
    np.testing.assert_array_equal(other.ask().ids, batch.ids)  # the same points have the same ids
    assert not set(campaign.ask().ids) & first


def test_the_oracle_gets_the_users_kind_of_rows():
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    kinds = []

    def function(rows):
        kinds.append((type(rows), list(rows.columns)))
        return brightness(rows)

    si_sampler(oracle=FunctionOracle(function)).fit(frame)
    assert kinds == [(pd.DataFrame, list(frame.columns))] * 3


def test_generated_points_do_not_exhaust_the_pool():
    sampler = si_sampler(max_labels=50).fit(X[:15])
    assert (sampler.n_labels_, sampler.stop_reason_) == (50, "max_labels")


def test_a_regression_campaign_with_generated_points():
    oracle = FunctionOracle(lambda rows: rows[:, 20] * 2)
    sampler = regressor(strategy="si", oracle=oracle).fit(X)
    assert sampler.X_generated_.shape == (20, 64)
    np.testing.assert_allclose(sampler.y_generated_, sampler.X_generated_[:, 20] * 2, rtol=1e-5)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_campaign_with_generated_points_through_a_file(cut, tmp_path):
    runs = []
    for at in (None, cut):
        campaign = Campaign(si_sampler(oracle=None), X)
        for i in range(3):
            batch = campaign.ask()
            if i + 1 == at:
                campaign.save(tmp_path / "c")
                campaign = Campaign.load(tmp_path / "c", X)
                np.testing.assert_array_equal(campaign.pending.X, batch.X)
            campaign.tell(batch.ids, brightness(batch.X))
        runs.append(campaign.finish())
    assert_same_run(*runs)
    np.testing.assert_array_equal(runs[0].X_generated_, runs[1].X_generated_)


class CountedLatent(LinearLatent):
    n_fits = 0

    def fit(self, X, y=None):
        CountedLatent.n_fits += 1
        return super().fit(X, y)


@pytest.mark.parametrize("oracle", [None, AnswerKey(Y), FunctionOracle(brightness, labels_new_points=False)])
@pytest.mark.parametrize("strategy", ["si", InterpolationStrategy(**ONE_STEP)], ids=["ours", "published"])
def test_si_with_a_lookup_is_refused_before_anything_trains(oracle, strategy):
    CountedLatent.n_fits = 0
    sampler = make_sampler(strategy=strategy, oracle=oracle, latent_model=CountedLatent(4))
    y = Y if oracle is None else None
    with pytest.raises(ValueError, match=r"labels of generated points, but .* only labels rows.*'snn'"):
        sampler.fit(X, y)
    assert CountedLatent.n_fits == 0
    make_sampler(latent_model=CountedLatent(4)).fit(X, Y)
    assert CountedLatent.n_fits == 1  # the counter counts


def test_the_latent_model_is_fitted_only_where_it_is_needed():
    CountedLatent.n_fits = 0
    sampler = make_sampler(strategy="random", latent_model=CountedLatent(4)).fit(X, Y)
    assert CountedLatent.n_fits == 0
    assert sampler.latent_model_ is None
    make_sampler(strategy="random", train_on="both", latent_model=CountedLatent(4)).fit(X, Y)
    assert CountedLatent.n_fits == 1


# -- what the network trains on -------------------------------------------------------------------


@pytest.mark.parametrize(("train_on", "n_rows"), [("original", 30), ("decoded", 30), ("both", 60)])
def test_train_on(train_on, n_rows, monkeypatch):
    from skalss.network.tasknet import TaskNet

    seen, train = [], TaskNet.fit_rows
    monkeypatch.setattr(
        TaskNet,
        "fit_rows",
        lambda self, X, y, **kw: seen.append((X.copy(), y.copy())) or train(self, X, y, **kw),
    )
    campaign = Campaign(make_sampler(train_on=train_on), X, Y).run()
    sampler = campaign.finish()
    rows, labels = seen[-1]
    picked = sampler.labeled_indices_
    assert len(rows) == len(labels) == n_rows
    latent, codes = campaign.models.latent()
    decoded = latent.inverse_transform(codes[picked])
    if train_on != "decoded":
        np.testing.assert_array_equal(rows[:30], X[picked])
    if train_on != "original":
        np.testing.assert_allclose(rows[-30:], decoded, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(labels, np.tile(Y[picked], n_rows // 30))


def test_each_round_starts_from_a_fresh_net_unless_told_to_go_on():
    nets = {}
    for go_on in (False, True):
        campaign = Campaign(make_sampler(warm_start=go_on), X)
        found = []
        while len(batch := campaign.ask()):
            answer(campaign, batch)
            found.append(campaign.network().net_)
        nets[go_on] = found
    assert len({id(net) for net in nets[False]}) == 3
    assert [len(net.history) for net in nets[True]] == [3, 6, 9]  # one that was given out stays as it was
    assert [len(net.history) for net in nets[False]] == [3, 3, 3]


def test_the_seed_decides_everything():
    first, again, other = (make_sampler(random_state=s).fit(X, Y) for s in (5, 5, 6))
    assert_same_run(first, again)
    assert set(first.labeled_indices_) != set(other.labeled_indices_)


def test_errors_of_abstain_are_not_labels():
    """ABSTAIN in a batch is no label even where labels are objects."""
    campaign = Campaign(make_sampler(classes=None), X)
    batch = campaign.ask()
    campaign.tell(batch.ids[:2], np.array([ABSTAIN, "x"], dtype=object))
    assert campaign.records.labels() == ["x"]


def test_messages_name_the_sampler_parts():
    sampler = make_sampler(strategy="margin")
    sampler.set_params(estimator=net_regressor())
    with pytest.raises(
        ValueError, match=re.escape("UncertaintyStrategy(score='margin') serves classification")
    ):
        Campaign(sampler.set_params(classes=None), X)
