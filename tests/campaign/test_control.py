"""Control rows: random rows that are paid for, held out, and trained on at the end."""

import gc
import weakref

import numpy as np
import pytest
from scipy import stats

from skalss import Campaign, MaxFailures
from skalss.latent import LabelSpreader
from skalss.oracles import Failed
from skalss.strategies import BaseStrategy, Candidates, RandomStrategy
from skalss.utils.seeds import derive_seed

from .control_rows import control_of, make_sampler
from .digits import X, Y, answer, drive


class Lowest(BaseStrategy):
    """Picks the first rows, and keeps what it saw."""

    needs = frozenset()

    def __init__(self, seen=None):
        self.seen = seen

    def query(self, snapshot, n):
        if self.seen is not None:
            self.seen.append((set(snapshot.unlabeled), set(snapshot.labeled), len(snapshot.y_labeled)))
        return Candidates(rows=snapshot.unlabeled[:n])


@pytest.mark.parametrize(
    ("share", "n"),
    [(0.0, 3), (0.05, 1), (0.1, 7), (0.1, None), (0.25, 3), (1 / 3, 10), (0.5, 1), (0.5, None), (0.9, 7)]
    + [(0.999, 1), (0.999, None)],
)
def test_the_share_is_exact(share, n):
    """All abstain, so that nothing is trained; n=None asks for another number each time."""
    rng = np.random.default_rng(0)
    sampler = make_sampler(strategy="random", control_share=share, n_initial=9, max_labels=110)
    campaign = Campaign(sampler, X)
    while len(batch := campaign.ask(int(rng.integers(1, 20)) if n is None else n)):
        campaign.tell(batch.ids, [None] * len(batch))
        after = [q.control for q in campaign.records.questions if q.round >= campaign.records.first_rounds]
        assert abs(sum(after) - share * len(after)) <= 0.5 + 1e-9
    first = campaign.queries.query("round < @campaign.records.first_rounds")
    assert len(first) >= 9
    assert not first["control"].any()
    assert len(campaign.queries) == 110


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_share_is_exact_where_the_pool_ends(share):
    campaign = Campaign(make_sampler(strategy="random", control_share=share, max_labels=500), X[:34])
    while len(batch := campaign.ask()):
        campaign.tell(batch.ids, [None] * len(batch))
    assert campaign.stop_reason == "pool exhausted"
    assert abs(len(control_of(campaign)) - share * 24) <= 0.5


def test_control_rows_are_a_sample_of_the_whole_pool_that_no_strategy_may_touch():
    """Also of those rows that the strategy would have chosen, in the first set or later."""
    counts = np.zeros(20)
    for seed in range(100):
        sampler = make_sampler(initial=Lowest(), n_initial=5, n_per_round=6, random_state=seed)
        campaign = Campaign(sampler, X[:20])
        first = campaign.ask().ids
        campaign.tell(first, [None] * 5)
        campaign.ask()
        asked = campaign.queries.query("round == 1")
        control, chosen = (asked.loc[asked["control"] == c, "position"].tolist() for c in (True, False))
        reserved = set(campaign.parts.judge.control.reserved)
        assert len(reserved) == 8  # half of what comes after the first set
        assert control == campaign.parts.judge.control.reserved[:3].tolist()
        allowed = sorted(set(range(20)) - reserved)
        assert sorted(first) == allowed[:5]
        assert chosen == allowed[5:8]
        counts[control] += 1
    assert stats.chisquare(counts).pvalue > 0.01


def test_control_rows_leave_the_stream_of_the_strategy_alone():
    campaign = Campaign(make_sampler(strategy="random"), X)
    answer(campaign, campaign.ask())
    reserved = campaign.parts.judge.control.reserved
    free = np.setdiff1d(np.arange(120), [*campaign.queries["position"], *reserved])
    campaign.ask()
    asked = campaign.queries.query("round == 1")
    assert asked["position"].tolist()[5:] == reserved[:5].tolist()
    rng = np.random.RandomState(derive_seed(campaign.seed, "query", 1))
    assert asked["position"].tolist()[:5] == rng.choice(free, size=5, replace=False).tolist()


def test_what_is_reserved_is_asked_when_the_strategy_has_none_left():
    """A first set that grows past its size leaves fewer questions, and fewer control rows, than expected."""
    campaign = Campaign(make_sampler(strategy="random", n_initial=4, max_labels=500), X[:30])
    answer(campaign, campaign.ask(3))
    answer(campaign, campaign.ask(11))
    while len(batch := campaign.ask()):
        answer(campaign, batch)
    assert campaign.stop_reason == "pool exhausted"


@pytest.mark.parametrize("strategy", ["random", "margin", "snn", "auto"])
def test_a_share_of_zero_changes_nothing(strategy):
    """The strategy alone chooses, by its own stream."""
    none = make_sampler(strategy=strategy, control_share=0).fit(X, Y)
    assert not none.queries_["control"].any()
    assert (none.history_["n_control"] == 0).all()
    scores = ["control_score", "control_low", "control_high", "asked_score", "agreement"]
    assert none.history_[scores].isna().all(axis=None)
    if strategy == "random":  # as it is without the feature
        free, rows = np.arange(120), []
        seed = Campaign(make_sampler(), X).seed
        for i in range(4):
            rng = np.random.RandomState(derive_seed(seed, "query", i))
            rows.extend(rng.choice(free, size=10, replace=False))
            free = np.setdiff1d(free, rows)
        assert none.labeled_indices_.tolist() == rows


def test_a_network_that_nobody_scores_is_let_go():
    campaign = Campaign(make_sampler(control_share=0), X)
    answer(campaign, campaign.ask())
    batch = campaign.ask()
    network = weakref.ref(campaign.network())
    answer(campaign, batch)
    campaign.network()  # the next one
    gc.collect()
    assert network() is None


@pytest.mark.parametrize("warm_start", [False, True])
def test_control_rows_are_held_out_and_trained_on_at_the_end(warm_start, trained):
    seen = []
    sampler = make_sampler(strategy=Lowest(seen), warm_start=warm_start)
    campaign = Campaign(sampler, X)
    seen = campaign.parts.choosers[1].seen
    fitted = drive(campaign)
    control = set(control_of(campaign)["position"])
    assert len(control) == 15
    for unlabeled, labeled, n_labels in seen:
        assert not control & labeled
        assert n_labels == len(labeled)
        assert not set(campaign.queries["position"][: len(labeled)]) & unlabeled
    assert [len(labeled) for _, labeled, _ in seen] == [10, 15, 20]
    assert [len(rows) for rows, _ in trained] == [10, 15, 20, 25, 40]
    for rows, _ in trained[:-1]:
        assert not (rows[:, None] == X[None, sorted(control)]).all(axis=2).any()
    np.testing.assert_array_equal(trained[-1][0], X[fitted.labeled_indices_])
    np.testing.assert_array_equal(trained[-1][1], Y[fitted.labeled_indices_])
    assert control <= set(fitted.labeled_indices_)
    assert (fitted.n_labels_, fitted.n_queries_, fitted.stop_reason_) == (40, 40, "max_labels")
    assert fitted.history_["n_labels"].tolist() == [0, 10, 20, 30, 40]
    marked = fitted.queries_[fitted.queries_["control"]]
    assert set(marked["strategy"]) == {"RandomStrategy"}
    assert fitted.queries_["control"].dtype == bool


def test_control_rows_get_no_pseudo_labels(monkeypatch):
    seen, spread = [], LabelSpreader.spread

    def note(self, codes_labeled, y, codes, **kwargs):
        seen.append((len(codes_labeled), len(codes)))
        return spread(self, codes_labeled, y, codes, **kwargs)

    monkeypatch.setattr(LabelSpreader, "spread", note)
    campaign = Campaign(make_sampler(pseudo_labels="spread"), X, Y).run()
    n_control = len(control_of(campaign))
    campaign.finish()  # scores the network of the last round, and trains the final one
    assert seen[-2:] == [(40 - n_control, 120 - 40), (40, 120 - 40)]


def test_control_rows_are_marked_by_the_name_of_their_strategy():
    fitted = make_sampler(strategy="margin").fit(X, Y)
    by = fitted.queries_.groupby("control")["strategy"].unique()
    assert by[True].tolist() == [RandomStrategy.__name__]
    assert "UncertaintyStrategy" in by[False]


@pytest.mark.parametrize("strategy", ["random", "auto", "snn", "margin", "badge", "coreset", "committee"])
def test_every_strategy_works_beside_control_rows(strategy):
    fitted = make_sampler(strategy=strategy, max_labels=500).fit(X[:45], Y[:45])
    assert (fitted.n_labels_, fitted.stop_reason_) == (45, "pool exhausted")
    assert fitted.queries_["control"].sum() in (17, 18)
    assert fitted.history_["control_score"].iloc[2:].notna().all()


@pytest.mark.parametrize("strategy", ["random", "auto", "snn", "margin", "badge", "typical", "committee"])
def test_asking_where_every_row_is_pending(strategy):
    campaign = Campaign(make_sampler(strategy=strategy, max_labels=500), X[:30])
    answer(campaign, campaign.ask())
    assert len(campaign.ask(100)) == 20
    assert len(campaign.ask()) == 0


def test_abstentions_and_failures_of_control_rows():
    campaign = Campaign(make_sampler(max_labels=500, stop=MaxFailures(100)), X[:40])
    answer(campaign, campaign.ask())
    batch = campaign.ask()
    control = control_of(campaign)["position"].to_numpy()
    answers = dict(zip(control, [None, None, Failed("busy"), Failed("busy"), Y[control[4]]], strict=True))
    campaign.tell(batch.ids, [answers.get(i, Y[i]) for i in batch.ids])
    assert [q.position for q in campaign.records.held_out()] == [control[4]]
    while len(batch := campaign.ask()):
        answer(campaign, batch)
    fitted = campaign.finish()
    assert (fitted.n_labels_, fitted.n_queries_, fitted.stop_reason_) == (38, 40, "pool exhausted")
    assert set(range(40)) - set(fitted.labeled_indices_) == set(control[:2])
    # The two that failed were asked once more, at the end.
    asked = fitted.queries_["position"].value_counts()
    assert sorted(asked[asked > 1].index) == sorted(control[2:4])


def test_labels_of_control_rows_alone():
    campaign = Campaign(make_sampler(), X)
    campaign.tell(campaign.ask().ids, [None] * 10)
    campaign.ask()
    control = control_of(campaign)["position"].to_numpy()
    campaign.tell(control, Y[control])
    with pytest.raises(ValueError, match="no label to train on yet"):
        campaign.network()
    assert campaign.finish().n_labels_ == 5
    others = campaign.pending.ids
    campaign.tell(others, Y[others])
    assert drive(campaign).n_labels_ == 30


def test_a_strategy_with_no_more_to_ask_ends_the_run():
    class Done(BaseStrategy):
        def query(self, snapshot, n):
            return Candidates(rows=np.array([], dtype=int))

    with pytest.warns(UserWarning, match="found nothing to ask"):
        campaign = Campaign(make_sampler(strategy=Done()), X, Y).run()
    assert 0 < len(control_of(campaign)) < 15


def test_ctrl_c_keeps_the_labels_of_control_rows():
    campaign = Campaign(make_sampler(), X)
    answer(campaign, campaign.ask())
    answer(campaign, campaign.ask())
    campaign.network()
    campaign.interrupt()
    fitted = campaign.finish()
    assert (fitted.n_labels_, fitted.stop_reason_) == (20, "interrupted")
    assert fitted.estimator_ is campaign.network()
