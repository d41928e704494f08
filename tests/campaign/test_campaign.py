"""Ask, tell, run, finish: a campaign as a person drives it."""

import numpy as np
import pytest

from skalss import Campaign, MaxFailures
from skalss.oracles import ABSTAIN, Failed, FunctionOracle
from skalss.strategies import NearestNeighborStrategy

from .digits import X_TEST, X, Y, answer, assert_same_run, drive, make_sampler, regressor

# -- ask and tell ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "sizes"),
    [("snn", [10]), ("snn", [1] * 10), ("random", [3, 7]), ("entropy", [1] * 10), ("entropy", [9, 1])],
    ids=str,
)
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


@pytest.mark.parametrize("answer_", [float("nan"), np.float32("nan")])
def test_an_empty_cell_is_no_answer(answer_):
    campaign = Campaign(make_sampler(), X)
    batch = campaign.ask()
    with pytest.raises(ValueError, match=r"is NaN, as an empty cell.*dropna\(subset='label'\)"):
        campaign.tell(batch.ids[:2], [Y[batch.ids[0]], answer_])
    assert len(campaign.pending) == len(batch)  # nothing was recorded


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


def test_errors_of_abstain_are_not_labels():
    """ABSTAIN in a batch is no label even where labels are objects."""
    campaign = Campaign(make_sampler(classes=None), X)
    batch = campaign.ask()
    campaign.tell(batch.ids[:2], np.array([ABSTAIN, "x"], dtype=object))
    assert campaign.records.labels() == ["x"]


# -- finish ----------------------------------------------------------------------------------------


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


def test_a_running_campaign_keeps_its_strategy():
    sampler = make_sampler(strategy=NearestNeighborStrategy())
    campaign = Campaign(sampler, X)
    sampler.set_params(strategy__step=7.0)
    assert campaign.parts.choosers[1].step == 0.5


def test_the_seed_decides_everything():
    first, again, other = (make_sampler(random_state=s).fit(X, Y) for s in (5, 5, 6))
    assert_same_run(first, again)
    assert set(first.labeled_indices_) != set(other.labeled_indices_)


# -- abstentions and failures ----------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("strategy", "n_per_round"), [("random", 7), ("random", 40), ("snn", 10), ("snn", 40), ("entropy", 7)]
)
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


def test_only_charged_failures_are_paid():
    campaign = Campaign(make_sampler(strategy="random"), X)
    batch = campaign.ask()
    answers = [Failed("free")] * 3 + [Failed("dear", charged=True)] * 2 + [None] + list(Y[batch.ids[6:]])
    campaign.tell(batch.ids, answers)
    sampler = campaign.finish()
    assert (sampler.n_labels_, sampler.n_queries_) == (4, 7)
    assert sampler.queries_["charged"].tolist() == [False] * 3 + [True] * 7


@pytest.mark.parametrize(
    ("strategy", "seed"), [("random", 0), ("random", 1), ("random", 2), ("snn", 3), ("snn", 4)]
)
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
