"""Control rows: random rows that are paid for, held out, scored on, and trained on at the end."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss

from skalss import AdaptiveLatentSampler, Campaign, MaxFailures, TaskNet
from skalss.campaign import control as control_module
from skalss.campaign.control import accuracy_interval, bootstrap_interval
from skalss.latent import LinearLatent
from skalss.latent.pseudo_labels import LabelSpreader
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import Failed, FunctionOracle
from skalss.strategies import BaseStrategy, Candidates, RandomStrategy
from skalss.utils.seeds import derive_seed

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:120], DIGITS_Y[:120]
X_TEST, Y_TEST = DIGITS[120:300], DIGITS_Y[120:300]
Y_REG = X[:, 20] + 0.1 * X[:, 30]


def make_sampler(net=None, *, warm_start=False, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "strategy": "margin" if net is None else "snn",
        "control_share": 0.5,
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 40,
        "random_state": 0,
        "classes": range(10) if net is None else None,
    }
    net = net or net_classifier(max_epochs=3)
    net = TaskNet(net, warm_start=True) if warm_start else net
    return AdaptiveLatentSampler(net, **{**defaults, **params})


def answer(campaign, batch):
    campaign.tell(batch.ids, Y[batch.ids])


def drive(campaign):
    while len(batch := campaign.ask()):
        answer(campaign, batch)
    return campaign.finish()


def control_of(campaign):
    queries = campaign.queries
    return queries[queries["control"].astype(bool)]


class Lowest(BaseStrategy):
    """Picks the first rows, and keeps what it saw."""

    needs = frozenset()

    def __init__(self, seen=None):
        self.seen = seen

    def query(self, snapshot, n):
        if self.seen is not None:
            self.seen.append((set(snapshot.unlabeled), set(snapshot.labeled), len(snapshot.y_labeled)))
        return Candidates(rows=snapshot.unlabeled[:n], codes=None)


@pytest.fixture
def trained(monkeypatch):
    """The rows and labels of every training."""
    seen, train = [], TaskNet.fit_rows

    def note(self, X, y, **kwargs):
        seen.append((np.array(X), np.array(y)))
        return train(self, X, y, **kwargs)

    monkeypatch.setattr(TaskNet, "fit_rows", note)
    return seen


# -- which rows are asked -------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.25, 1 / 3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("n", [1, 3, 7, 10, None])
def test_the_share_is_exact(share, n):
    """All abstain, so that nothing is trained; n=None asks for another number each time."""
    rng = np.random.default_rng(0)
    sampler = make_sampler(strategy="random", control_share=share, n_initial=9, max_labels=110)
    campaign = Campaign(sampler, X)
    while len(batch := campaign.ask(int(rng.integers(1, 20)) if n is None else n)):
        campaign.tell(batch.ids, [None] * len(batch))
        after = [q.control for q in campaign.records.questions if q.round >= campaign._first_rounds]
        assert abs(sum(after) - share * len(after)) <= 0.5 + 1e-9
    first = campaign.queries.query("round < @campaign._first_rounds")
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
        reserved = set(campaign.control.reserved)
        assert len(reserved) == 8  # half of what comes after the first set
        assert control == campaign.control.reserved[:3].tolist()
        allowed = sorted(set(range(20)) - reserved)
        assert sorted(first) == allowed[:5]
        assert chosen == allowed[5:8]
        counts[control] += 1
    assert stats.chisquare(counts).pvalue > 0.01


def test_control_rows_leave_the_stream_of_the_strategy_alone():
    campaign = Campaign(make_sampler(strategy="random"), X)
    answer(campaign, campaign.ask())
    reserved = campaign.control.reserved
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
    default = make_sampler(strategy=strategy).set_params(control_share=0.0).fit(X, Y)
    np.testing.assert_array_equal(none.labeled_indices_, default.labeled_indices_)
    np.testing.assert_array_equal(none.predict_proba(X_TEST), default.predict_proba(X_TEST))
    assert not none.queries_["control"].any()
    campaign = Campaign(make_sampler(strategy=strategy, control_share=0), X, Y).run()
    assert campaign.control._choice is None  # no network is kept, and saved, for nothing
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


@pytest.mark.parametrize("warm_start", [False, True])
def test_control_rows_are_held_out_and_trained_on_at_the_end(warm_start, trained):
    seen = []
    sampler = make_sampler(strategy=Lowest(seen), warm_start=warm_start)
    campaign = Campaign(sampler, X)
    seen = campaign.strategy.seen
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


# -- scores ---------------------------------------------------------------------------------------


def test_each_network_is_scored_on_what_it_has_not_seen():
    campaign = Campaign(make_sampler(), X, Y)
    networks = {}
    for batch in campaign.rounds():
        networks[batch.round + 1] = campaign.network()
    history = campaign.finish().history_.set_index("round")
    queries = campaign.queries
    assert np.isnan(history.loc[[0, 1], "control_score"]).all()
    assert np.isnan(history.loc[[0, 4], "asked_score"]).all()
    assert history["n_control"].tolist() == [0, 0, 5, 10, 15]
    for round_ in (2, 3, 4):
        rows = queries[queries["control"] & (queries["round"] < round_)]["position"]
        right = networks[round_].predict(X[rows]) == Y[rows]
        line = history.loc[round_]
        assert line["control_score"] == pytest.approx(right.mean())
        low, high = accuracy_interval(right.sum(), len(right))
        assert (line["control_low"], line["control_high"]) == pytest.approx((low, high))
    for round_ in (1, 2, 3):  # by the network that chose them
        rows = queries[~queries["control"] & (queries["round"] == round_)]["position"]
        assert history.loc[round_, "asked_score"] == pytest.approx(networks[round_].score(X[rows], Y[rows]))


@pytest.mark.parametrize("held_out", [True, False])
def test_the_score_is_right_on_average(held_out, monkeypatch):
    """Over seeds, that of random rows nobody trained on; it would not be if the labels were trained on."""
    if not held_out:
        monkeypatch.setattr(Campaign, "network", lambda self: self.models.final(self.round))
    pool, y, errors = DIGITS[:600], DIGITS_Y[:600], []
    for seed in range(12):
        sampler = make_sampler(net_classifier(max_epochs=12), strategy="margin", random_state=seed)
        campaign = Campaign(sampler.set_params(n_initial=30, n_per_round=30, max_labels=60), pool, y).run()
        network = campaign.network()
        rest = np.setdiff1d(np.arange(600), campaign.records.positions())
        campaign.finish()
        errors.append(campaign.history["control_score"].iloc[-1] - network.score(pool[rest], y[rest]))
    is_biased = np.mean(errors) > 0.08
    assert is_biased == (not held_out)
    if held_out:
        assert abs(np.mean(errors)) < 3 * np.std(errors, ddof=1) / np.sqrt(len(errors))


@pytest.mark.parametrize(
    ("n_right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval(n_right, n, low, high):
    """The examples of Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3."""
    assert accuracy_interval(n_right, n) == pytest.approx((low, high), abs=5e-5)
    assert accuracy_interval(n - n_right, n) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_regression():
    campaign = Campaign(make_sampler(net_regressor(max_epochs=30)), X, Y_REG).run()
    network, history = campaign.network(), campaign.finish().history_
    rows = control_of(campaign)["position"]
    last = history.iloc[-1]
    assert last["control_score"] == pytest.approx(network.score(X[rows], Y_REG[rows]))
    assert last["control_low"] < last["control_score"] < last["control_high"]
    assert history["asked_score"].iloc[1:4].notna().all()
    again = make_sampler(net_regressor(max_epochs=30)).fit(X, Y_REG).history_
    columns = [c for c in history if not c.endswith("_seconds")]
    pd.testing.assert_frame_equal(history[columns], again[columns])


def test_a_bootstrap_passes_each_row_once(monkeypatch):
    monkeypatch.setattr(control_module, "N_RESAMPLES", 50)
    network = TaskNet(net_classifier(max_epochs=3), random_state=0).fit(X, Y)
    passed, probabilities = [], TaskNet._probabilities

    def counted(self, rows):
        passed.append(len(rows))
        return probabilities(self, rows)

    def scorer(network, X, y):
        return -log_loss(y, network.predict_proba(X), labels=network.classes_)

    expected, rng = [], np.random.RandomState(3)
    for _ in range(50):
        rows = rng.randint(50, size=50)
        expected.append(scorer(network, X_TEST[rows], Y_TEST[rows]))
    monkeypatch.setattr(TaskNet, "_probabilities", counted)
    rows, labels = X_TEST[:50], Y_TEST[:50]
    found = bootstrap_interval(scorer, network, rows, labels, np.random.RandomState(3))
    assert found == pytest.approx(np.percentile(expected, [2.5, 97.5]), rel=1e-5)
    assert passed == [50]
    # A scorer that makes rows of its own gets answers for those.
    found = bootstrap_interval(
        lambda n, X, y: scorer(n, X + 0.0, y), network, rows, labels, np.random.RandomState(3)
    )
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


def test_fewer_than_two_control_rows_have_no_score():
    history = make_sampler(control_share=0.1, max_labels=30).fit(X, Y).history_
    assert history["n_control"].tolist() == [0, 0, 1, 2]
    assert history["control_score"].notna().tolist() == [False, False, False, True]


# -- the loop goes on -----------------------------------------------------------------------------


@pytest.mark.parametrize("warm_start", [False, True])
def test_finish_in_mid_campaign_changes_nothing(warm_start):
    params = {"warm_start": warm_start}
    expected = drive(Campaign(make_sampler(**params), X))
    campaign = Campaign(make_sampler(**params), X)
    while len(batch := campaign.ask()):
        campaign.tell(batch.ids[::2], Y[batch.ids[::2]])
        campaign.finish()
        campaign.tell(batch.ids[1::2], Y[batch.ids[1::2]])
        early = campaign.finish()
        assert early.n_labels_ == len(early.labeled_indices_) == len(campaign.queries)
    fitted = campaign.finish()
    pd.testing.assert_frame_equal(fitted.queries_, expected.queries_)
    np.testing.assert_array_equal(fitted.predict_proba(X_TEST), expected.predict_proba(X_TEST))
    columns = ["round", "n_labels", "n_asked", "n_control"]
    columns += ["control_score", "control_low", "control_high", "asked_score"]
    asked = fitted.history_[fitted.history_["n_labels"] % 10 == 0]
    pd.testing.assert_frame_equal(asked[columns].reset_index(drop=True), expected.history_[columns])


@pytest.mark.parametrize("cut", range(3))
@pytest.mark.parametrize("strategy", ["margin", "random"])
def test_through_a_file_in_the_middle_of_a_round(strategy, cut, tmp_path):
    expected = drive(Campaign(make_sampler(strategy=strategy), X))
    campaign = Campaign(make_sampler(strategy=strategy), X)
    while len(batch := campaign.ask()):
        for i, piece in enumerate(np.array_split(batch.ids, 3)):
            if i == cut:
                campaign.save(tmp_path / "c")
                campaign = Campaign.load(tmp_path / "c", X)
            campaign.tell(piece, Y[piece])
    fitted = campaign.finish()
    pd.testing.assert_frame_equal(fitted.queries_, expected.queries_)
    columns = [c for c in expected.history_ if not c.endswith("_seconds")]
    pd.testing.assert_frame_equal(fitted.history_[columns], expected.history_[columns])
    np.testing.assert_array_equal(fitted.predict_proba(X_TEST), expected.predict_proba(X_TEST))


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


def test_generated_points_and_control_rows():
    def brightness(rows):
        return (np.asarray(rows)[:, :32].mean(axis=1) > 4.8).astype(int)

    sampler = make_sampler(strategy="si", oracle=FunctionOracle(brightness), classes=[0, 1])
    campaign = Campaign(sampler, X).run()
    fitted = campaign.finish()
    assert fitted.X_generated_.shape == (15, 64)
    assert len(fitted.labeled_indices_) == 25
    assert set(control_of(campaign)["kind"]) == {"pool"}
    assert len(control_of(campaign)) == 15
    np.testing.assert_array_equal(fitted.y_generated_, brightness(fitted.X_generated_))
    assert fitted.history_["control_score"].iloc[2:].notna().all()
    assert fitted.history_["asked_score"].iloc[1:4].notna().all()
    # The pool may end before the budget does: then there is no control row to draw.
    small = make_sampler(strategy="si", oracle=FunctionOracle(brightness), classes=[0, 1]).fit(X[:15])
    assert (small.n_labels_, len(small.labeled_indices_), small.queries_["control"].sum()) == (40, 15, 5)


def test_a_strategy_with_no_more_to_ask_ends_the_run():
    class Done(BaseStrategy):
        def query(self, snapshot, n):
            return Candidates(rows=np.array([], dtype=int), codes=None)

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


def test_control_rows_are_marked_by_the_name_of_their_strategy():
    fitted = make_sampler(strategy="margin").fit(X, Y)
    by = fitted.queries_.groupby("control")["strategy"].unique()
    assert by[True].tolist() == [RandomStrategy.__name__]
    assert "UncertaintyStrategy" in by[False]


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
