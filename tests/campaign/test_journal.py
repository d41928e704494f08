"""A campaign with a ledger: it resumes, shares answers, and buys none twice."""

import pickle
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skalss import (
    AdaptiveLatentSampler,
    Campaign,
    Ledger,
    LedgerError,
    LedgerLockedError,
    LedgerMismatchError,
    MaxFailures,
    OracleAnswerError,
    OracleError,
    PredictionsAgree,
)
from skalss.compare import compare_strategies
from skalss.latent import LinearLatent
from skalss.ledger.lock import WriterLock
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import AnswerKey, BaseOracle, Failed, FunctionOracle
from skalss.strategies import NearestNeighborStrategy

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:120], DIGITS_Y[:120]
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


def make_sampler(ledger=None, net=None, *, warm_start=False, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 40,
        "stop": MaxFailures(100),
        "random_state": 0,
        "classes": range(10) if net is None else None,
    }
    net = net or net_classifier(max_epochs=3)
    net = TaskNet(net, warm_start=True) if warm_start else net
    return AdaptiveLatentSampler(net, ledger=ledger, **{**defaults, **params})


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
    assert first.stop_reason_ == second.stop_reason_


@pytest.fixture
def path(tmp_path):
    return tmp_path / "digits.ledger"


# -- resume ---------------------------------------------------------------------------------------

RESUMED = {
    "auto": {},
    "snn": {"strategy": "snn"},
    "published snn": {
        "strategy": NearestNeighborStrategy(step=1.0, n_steps=1),
        "train_on": "decoded",
        "warm_start": True,
    },
    "random": {"strategy": "random"},
    "control rows": {"strategy": "mms", "control_share": 0.3, "stop": PredictionsAgree(1.0)},
}


@pytest.mark.parametrize("params", RESUMED.values(), ids=RESUMED)
def test_a_stopped_fit_goes_on_as_if_nothing_had_happened(params, path):
    whole = Counting()
    expected = make_sampler(oracle=whole, **params).fit(X)
    asked = []
    for stop_after in (3, 9, 0, 14, 1):
        oracle = Counting(stop_after)
        with pytest.raises(Stop):
            make_sampler(path, oracle=oracle, **params).fit(X)
        asked += oracle.asked
    last = Counting()
    resumed = make_sampler(path, oracle=last, **params).fit(X)
    assert_same(resumed, expected)
    assert asked + last.asked == whole.asked  # each once, in the same order
    assert resumed.queries_["reused"].sum() == len(asked)
    again = Counting()
    assert_same(make_sampler(path, oracle=again, **params).fit(X), expected)
    assert again.asked == []


def test_a_ledger_changes_nothing(path):
    assert_same(make_sampler(path, oracle=Counting()).fit(X), make_sampler(oracle=Counting()).fit(X))


def test_failures_are_replayed_and_asked_again_as_before(path):
    """With a pool so small that failed rows come twice."""

    def fit(ledger, oracle):
        return make_sampler(
            ledger, oracle=oracle, strategy="random", max_labels=100, stop=MaxFailures(9)
        ).fit(X[:60])

    whole = Counting()
    with pytest.warns(UserWarning, match="max_failures=9"):
        expected = fit(None, whole)
    assert (expected.queries_["state"] == "failed").sum() > 9
    assert expected.queries_["id"].duplicated().sum() > 4  # failed rows, asked again
    asked = []
    for stop_after in (20, 25, 17):
        oracle = Counting(stop_after)
        if len(asked) + stop_after < len(whole.asked):
            with pytest.raises(Stop):
                fit(path, oracle)
        else:
            with pytest.warns(UserWarning, match="max_failures=9"):
                assert_same(fit(path, oracle), expected)
        asked += oracle.asked
    last = Counting()
    with pytest.warns(UserWarning, match="max_failures=9"):
        assert_same(fit(path, last), expected)
    assert asked + last.asked == whole.asked


def test_a_regression_resumes(path):
    def value(row):
        return float(row[20]) + 0.5

    def fit(ledger, function):
        oracle = FunctionOracle(function, per_row=True)
        return make_sampler(ledger, net_regressor(max_epochs=3), oracle=oracle, strategy="snn").fit(X)

    calls = []

    def dies(row):
        if len(calls) == 23:
            raise Stop
        calls.append(1)
        return value(row)

    with pytest.raises(Stop):
        fit(path, dies)
    assert_same(fit(path, value), fit(None, value))
    assert set(Ledger(path).to_frame()["label"].map(type)) == {float}


def brightness(rows):
    return (np.asarray(rows).reshape(len(rows), -1)[:, :32].mean(axis=1) > 4.8).astype(int)


def test_generated_points_resume_with_code_and_row(path):
    n_bought = []

    def fit(ledger, stop_after=None):
        n_bought.append(0)

        def function(row):
            if n_bought[-1] == stop_after:
                raise Stop
            n_bought[-1] += 1
            return brightness(row[None])[0]

        oracle = FunctionOracle(function, per_row=True)
        return make_sampler(ledger, strategy="si", classes=[0, 1], oracle=oracle).fit(X)

    expected = fit(None)
    with pytest.raises(Stop):
        fit(path, 24)
    resumed = fit(path)
    assert_same(resumed, expected)
    np.testing.assert_array_equal(resumed.X_generated_, expected.X_generated_)
    assert n_bought[1:] == [24, 16]
    made = Ledger(path).to_frame().query("kind == 'generated'")
    np.testing.assert_array_equal(np.stack(made["row"]), expected.X_generated_)
    assert np.stack(made["code"]).shape == (30, 4)
    assert made["id"].tolist() == expected.queries_["id"].tolist()[10:]


def test_without_a_random_state_the_seed_is_that_of_the_last_campaign(path):
    oracle = Counting(stop_after=23)
    with pytest.raises(Stop):
        make_sampler(path, oracle=oracle, random_state=None).fit(X)
    rest = Counting()
    resumed = make_sampler(path, oracle=rest, random_state=None).fit(X)
    assert not set(oracle.asked) & set(rest.asked)
    assert len(oracle.asked + rest.asked) == len(resumed.queries_)
    seeds = set(Ledger(path).to_frame()["seed"])
    assert len(seeds) == 1
    other = make_sampler(path, oracle=Counting(), random_state=None, n_per_round=5).fit(X)
    assert set(Ledger(path).to_frame()["seed"]) > seeds  # other settings, a seed of their own
    assert other.queries_["id"].tolist() != resumed.queries_["id"].tolist()


def test_a_larger_budget_goes_on(path):
    first = make_sampler(path, oracle=Counting(), random_state=None, max_labels=25).fit(X)
    rest = Counting()
    second = make_sampler(path, oracle=rest, random_state=None, max_labels=45).fit(X)
    assert second.queries_["id"].tolist()[: len(first.queries_)] == first.queries_["id"].tolist()
    assert second.n_queries_ == 45
    assert second.queries_["reused"].sum() == len(first.queries_)
    assert not set(rest.asked) & set(first.queries_["id"])


def test_a_smaller_budget_takes_less(path):
    make_sampler(path, oracle=Counting(odd=False)).fit(X)
    small = make_sampler(path, oracle=Counting(stop_after=0), max_labels=15).fit(X)
    assert (small.n_queries_, small.stop_reason_) == (15, "max_labels")


def test_a_correction_is_used_by_the_next_fit_for_the_same_rows(path):
    first = make_sampler(path, oracle=Counting(odd=False)).fit(X)
    id_ = first.queries_["id"][0]
    Ledger(path).answer(id_, int(Y[id_] + 1) % 10, annotator="ann")
    oracle = Counting(stop_after=0)
    second = make_sampler(path, oracle=oracle).fit(X)
    assert second.queries_["id"].tolist() == first.queries_["id"].tolist()
    assert second.queries_["label"][0] == (Y[id_] + 1) % 10
    assert second.queries_["annotator"][0] == "ann"
    assert second.queries_["label"].tolist()[1:] == first.queries_["label"].tolist()[1:]


# -- shared answers -------------------------------------------------------------------------------


def test_a_second_strategy_buys_only_what_is_new(path):
    first = Counting(odd=False)
    make_sampler(path, oracle=first, strategy="random", initial="random").fit(X)
    second = Counting(odd=False)
    sampler = make_sampler(path, oracle=second, strategy="mms", initial="random").fit(X)
    assert not set(first.asked) & set(second.asked)
    assert sampler.n_queries_ == 40  # the budget is of what is used
    queries = sampler.queries_
    assert set(queries.loc[~queries["reused"], "id"]) == set(second.asked)
    assert queries["reused"].sum() >= 10  # the same random first set
    assert queries["label"].tolist() == [Y[i] for i in queries["id"]]


def test_another_campaigns_failure_is_not_shared_and_an_abstention_is(path):
    class Down(Counting):
        def _answer(self, id_):
            super()._answer(id_)
            return Failed("down") if id_ % 2 else None

    with pytest.raises(ValueError, match="no label to train on"):
        make_sampler(path, oracle=Down(), strategy="random", initial="random", max_labels=8).fit(X)
    oracle = Counting(odd=False)
    sampler = make_sampler(path, oracle=oracle, strategy="mms", initial="random", max_labels=10).fit(X)
    queries = sampler.queries_
    assert (queries.loc[queries["id"] % 2 == 0, "state"] == "abstained").any()
    assert queries.loc[queries["reused"], "state"].eq("abstained").all()
    assert (np.array(oracle.asked) % 2 == 1).any()


def test_a_grid_search_buys_no_label_twice(path):
    oracle = Counting(odd=False, together=True)
    search = GridSearchCV(
        make_sampler(path, oracle=oracle),
        {"n_per_round": [10, 15], "strategy": ["random", "mms"]},
        cv=2,
        error_score="raise",
    )
    search.fit(X, Y, sample_id=NAMES, labeled=np.zeros(120, dtype=bool))
    assert len(oracle.asked) == len(set(oracle.asked))
    frame = Ledger(path).to_frame()
    assert len(frame) == 4 * 2 * 40 + 40  # what the campaigns used
    assert len(oracle.asked) == frame["id"].nunique() < 0.5 * len(frame)


def test_folds_without_ids_are_refused(path):
    search = GridSearchCV(
        make_sampler(path, oracle=lambda rows: [1] * len(rows)), {}, cv=2, error_score="raise"
    )
    with pytest.raises(LedgerMismatchError, match=r"id \d+ stands for another row.*folds.*pass sample_id="):
        search.fit(X, Y, labeled=np.zeros(120, dtype=bool))


def test_a_comparison_shares_answers(path):
    sampler = make_sampler(path, oracle=Counting(odd=False), initial="random")
    kept = compare_strategies(sampler, X, Y, strategies=["mms"], seeds=2, X_test=X, y_test=Y)
    plain = compare_strategies(
        make_sampler(oracle=Counting(odd=False), initial="random"),
        *(X, Y),
        strategies=["mms"],
        seeds=2,
        X_test=X,
        y_test=Y,
    )
    columns = ["arm", "seed", "round", "n_labels", "score"]
    pd.testing.assert_frame_equal(kept[columns], plain[columns])
    assert len(sampler.oracle.asked) == len(set(sampler.oracle.asked))


# -- answers that come later ----------------------------------------------------------------------


def answer_all(path, ids, label=lambda id_: int(Y[id_])):
    with Ledger(path) as ledger:
        for id_ in ids:
            ledger.answer(id_, label(id_), annotator="ann")


def test_answers_come_late_in_part_and_out_of_order(path):
    with Campaign(make_sampler(path), X) as campaign:
        first, second = campaign.ask(), campaign.ask(5)
        assert not set(first.ids) & set(second.ids)
        answer_all(path, second.ids[::-1].tolist())
        assert set(campaign.pending.ids) == set(first.ids)
        answer_all(path, first.ids[[7, 2]].tolist())
        third = campaign.ask()
        assert not set(third.ids) & {*first.ids, *second.ids}
        campaign.tell(first.ids[:2], Y[first.ids[:2]], annotator="bob")
        waiting = campaign.pending.ids.tolist()
        assert waiting == [*first.ids[[3, 4, 5, 6, 8, 9]], *third.ids]
        queries = campaign.queries
        assert not queries["reused"].any()
        assert set(queries.loc[queries["state"] == "labeled", "annotator"]) == {"ann", "bob"}


def test_run_takes_what_has_come_and_asks_for_the_rest(path):
    oracle = Counting(odd=False)
    with Campaign(make_sampler(path, oracle=oracle), X) as campaign:
        batch = campaign.ask()
        answer_all(path, batch.ids[:4].tolist())
        campaign.run()
        assert oracle.asked[:6] == batch.ids[4:].tolist()
        assert len(oracle.asked) == 36


LABELLER = """
import sys, time
from skalss import Ledger, MaxFailures, PredictionsAgree, TaskNet
from sklearn.datasets import load_digits
y = load_digits().target
with Ledger(sys.argv[1]) as ledger:
    n, last = 0, time.monotonic()
    while time.monotonic() < last + 60 and n < 30:
        frame = ledger.to_frame()
        for id_ in frame.loc[frame["state"] == "pending", "id"][::-1][:3]:
            ledger.answer(int(id_), int(y[id_]), annotator="another process")
            n += 1
        time.sleep(0.01)
"""


def test_another_process_labels_while_the_campaign_runs(path):
    with Campaign(make_sampler(path, max_labels=30, strategy="random"), X) as campaign:
        campaign.ask()
        with subprocess.Popen([sys.executable, "-c", LABELLER, path]) as labeller:
            deadline = time.monotonic() + 90
            while campaign.stop_reason is None and time.monotonic() < deadline:
                if len(campaign.pending) < 5:
                    campaign.ask()
                time.sleep(0.01)
            assert labeller.wait(30) == 0
        sampler = campaign.finish()
    assert sampler.stop_reason_ == "max_labels"
    assert sampler.queries_["label"].tolist() == [Y[i] for i in sampler.queries_["id"]]
    assert set(sampler.queries_["annotator"]) == {"another process"}


def test_a_new_process_finds_what_an_earlier_one_left_open(path):
    with Campaign(make_sampler(path), X) as campaign:
        first = campaign.ask()
        campaign.tell(first.ids, Y[first.ids])
        second = campaign.ask()
        third = campaign.ask(7)
        answer_all(path, second.ids[:4].tolist())
    answer_all(path, third.ids[:2].tolist())
    with Campaign(make_sampler(path), X) as campaign:
        assert len(campaign.pending) == 0  # no property goes through the earlier rounds
        assert len(campaign.history) == 0
        waiting = campaign.resume().ids.tolist()
        assert waiting == [*second.ids[4:], *third.ids[2:]]
        assert len(campaign.queries) == 27
        assert campaign.round == 3
        campaign.tell(waiting, Y[waiting])
        assert len(campaign.ask()) == 10
        assert len(campaign.records.questions) == 37


def test_ask_goes_on_where_an_earlier_process_stopped(path):
    with Campaign(make_sampler(path), X) as campaign:
        first = campaign.ask()
        campaign.tell(first.ids, Y[first.ids])
        second = campaign.ask()
        campaign.tell(second.ids[:3], Y[second.ids[:3]])
    with Campaign(make_sampler(path), X) as campaign:
        np.testing.assert_array_equal(campaign.ask().ids, second.ids[3:])


def test_what_was_asked_while_answers_were_open_stays_asked(path):
    """A replay knows more by then, and would choose other rows."""
    with Campaign(make_sampler(path, strategy="snn"), X) as campaign:
        first = campaign.ask()
        campaign.tell(first.ids[:5], Y[first.ids[:5]])
        second = campaign.ask()
        campaign.tell(first.ids[5:], Y[first.ids[5:]])
        campaign.tell(second.ids, Y[second.ids])
        asked = campaign.queries
    with Campaign(make_sampler(path, strategy="snn"), X) as campaign:
        assert len(campaign.resume()) == 0
        columns = ["id", "round", "position", "label", "strategy", "score"]
        pd.testing.assert_frame_equal(campaign.queries[columns], asked[columns])
        assert campaign.finish().n_labels_ == 20


def test_with_generated_points_too(path):
    def sampler():
        return make_sampler(path, strategy="si", classes=[0, 1])

    with Campaign(sampler(), X) as campaign:
        first = campaign.ask()
        campaign.tell(first.ids[:5], brightness(first.X[:5]))
        second = campaign.ask()
        campaign.tell(first.ids[5:], brightness(first.X[5:]))
    with Campaign(sampler(), X) as campaign:
        waiting = campaign.resume()
        assert waiting.ids.tolist() == second.ids.tolist()
        np.testing.assert_array_equal(waiting.X, second.X)
        np.testing.assert_array_equal(waiting.codes, second.codes)


@pytest.mark.parametrize(
    ("label", "message"), [(99, "The label 99 is outside classes"), ("cat", "'cat' is outside classes")]
)
def test_a_label_that_the_campaign_cannot_use_is_named_and_can_be_corrected(path, label, message):
    with Campaign(make_sampler(path), X) as campaign:
        ids = campaign.ask().ids.tolist()
        Ledger(path).answer(ids[0], label)
        with pytest.raises(
            LedgerMismatchError, match=rf"a label of id {ids[0]} .*{message}.*Correct it with"
        ):
            len(campaign.pending)
        Ledger(path).answer(ids[0], 3)
        assert campaign.pending.ids.tolist() == ids[1:]


# -- oracles that break down ----------------------------------------------------------------------


def test_a_wrong_answer_among_others_loses_none_of_them(path):
    class OneWrong(Counting):
        def _answer(self, id_):
            return 77 if len(self.asked) == 4 and not self.asked.append(-1) else super()._answer(id_)

    with pytest.raises(OracleAnswerError, match="label 77 is outside classes"):
        make_sampler(path, oracle=OneWrong(odd=False, together=True)).fit(X)
    assert Ledger(path).to_frame()["state"].tolist().count("labeled") == 9
    rest = Counting(odd=False)
    make_sampler(path, oracle=rest).fit(X)
    assert len(rest.asked) == 31


def test_answers_that_arrive_together_are_written_together(path, monkeypatch):
    sizes = []
    tell = Campaign.tell
    monkeypatch.setattr(
        Campaign, "tell", lambda self, ids, *a, **k: (sizes.append(len(ids)), tell(self, ids, *a, **k))[1]
    )
    sampler = make_sampler(path, oracle=AnswerKey(DIGITS_Y), n_initial=250, max_labels=270, n_per_round=20)
    sampler.fit(DIGITS)
    assert sizes == [100, 100, 50, 20]


def test_answers_that_cannot_be_written_are_in_a_note(path):
    campaign = Campaign(make_sampler(path, oracle=Counting(odd=False, together=True)), X)
    batch = campaign.ask()
    store = campaign.ledger._store
    store._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(LedgerError, match="may not be written to") as caught:
        campaign.run()
    assert f" {batch.ids[0]}: {Y[batch.ids[0]]}, " in caught.value.__notes__[0]
    assert campaign.records.n_paid == 0
    store._connection.execute("PRAGMA query_only = 0")
    assert campaign.run().stop_reason == "max_labels"
    campaign.close()


@pytest.mark.parametrize("label", [np.complex64(1j), 1j, b"cat"])
def test_a_label_that_a_file_cannot_keep_is_refused(path, label):
    with Campaign(make_sampler(path, classes=None), X) as campaign:
        batch = campaign.ask()
        with pytest.raises(ValueError, match="keeps each label as a bool, int, float or str"):
            campaign.tell(batch.ids[:1], [label])
        assert len(campaign.pending) == 10


# -- what is refused ------------------------------------------------------------------------------


class NeverFitted(LinearLatent):
    def fit(self, X, y=None):
        raise AssertionError("nothing may be trained")


OTHERS = {
    "dtype": (X.astype(np.float32), "rows of dtype <f8, this campaign has <f4"),
    "shape": (X.reshape(120, 1, 8, 8), r"rows of shape \[64\], this campaign has \[1, 8, 8\]"),
    "content": (X + 1, r"the id \d+ stands for another row than in X"),
    "order": (X[::-1], r"the id \d+ stands for another row.*pass sample_id= to fit"),
}


@pytest.mark.parametrize(("other", "message"), OTHERS.values(), ids=OTHERS)
def test_other_data_is_refused_before_anything_trains(path, other, message):
    make_sampler(path, oracle=Counting()).fit(X)
    before = Ledger(path).to_frame()
    sampler = make_sampler(path, oracle=AnswerKey(Y), latent_model=NeverFitted(4), strategy="snn")
    with pytest.raises(LedgerMismatchError, match=message):
        sampler.fit(other)
    pd.testing.assert_frame_equal(Ledger(path).to_frame(), before)
    assert WriterLock(path).acquire()


def test_another_task_is_refused(path):
    make_sampler(path, oracle=Counting()).fit(X)
    with pytest.raises(LedgerMismatchError, match="made for the task classification, .* has regression"):
        make_sampler(path, net_regressor()).fit(X, X[:, 20])


def test_more_rows_of_the_same_data_are_welcome(path):
    make_sampler(path, oracle=Counting()).fit(X)
    oracle = Counting()
    make_sampler(path, oracle=oracle).fit(DIGITS[:90])  # positions stay with their rows
    assert len(oracle.asked) < 45


def test_only_rows_that_the_ledger_knows_are_read(path, tmp_path):
    file = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=np.float64, shape=(120, 64))
    file[:] = X
    make_sampler(path, oracle=Counting(), strategy="random", initial="random").fit(file)
    n_read = []

    class Watched(np.memmap):
        def __getitem__(self, key):
            if isinstance(key, np.ndarray):
                n_read.append(len(key))
            return super().__getitem__(key)

    from skalss.campaign.ledger_rows import check_same_rows
    from skalss.ledger.store import Store

    class Pool:
        X, sample_id, ids = np.load(tmp_path / "X.npy", mmap_mode="r").view(Watched), None, np.arange(120)

        def __len__(self):
            return 120

    store = Store(path)
    check_same_rows(store, Pool())
    assert sum(n_read) == len(store.book.items) < 60
    store.close()


@pytest.mark.parametrize("ids", [[(i,) for i in range(120)], list(pd.date_range("2020", periods=120))])
def test_ids_that_a_file_cannot_keep(path, ids):
    names = pd.Series(ids, dtype=object)
    with pytest.raises(ValueError, match="A ledger keeps each id as a bool, int, float or str"):
        Campaign(make_sampler(path), X, sample_id=names)


@pytest.mark.parametrize("ids", [np.arange(120) + 0.5, np.arange(120, dtype=np.uint8), NAMES, list(NAMES)])
def test_ids_of_any_plain_type(path, ids):
    for _ in range(2):
        with Campaign(make_sampler(path), X, sample_id=ids) as campaign:
            batch = campaign.ask() if not len(campaign.pending) else campaign.pending
            assert len(batch) == 10
            campaign.tell(batch.ids[:0], [])
    assert len(Ledger(path).to_frame()) == 10


def test_what_is_no_ledger(path):
    with pytest.raises(TypeError, match="A ledger needs the path of its file, got 3"):
        make_sampler(3, oracle=Counting()).fit(X)


# -- the lock -------------------------------------------------------------------------------------


def test_a_second_campaign_has_to_wait(path):
    first = Campaign(make_sampler(path), X)
    with pytest.raises(LedgerLockedError, match=r"Another campaign of this process drives.*its close\(\)"):
        Campaign(make_sampler(path), X)
    first.close()
    with Campaign(make_sampler(path), X) as second:
        assert len(second.ask()) == 10
        with pytest.raises(LedgerLockedError):
            first.ask()
    assert len(first.ask()) == 10  # those that are open
    first.close()


def test_fit_lets_the_ledger_go(path):
    make_sampler(path, oracle=Counting()).fit(X)
    assert WriterLock(path).acquire()


def test_fit_lets_the_ledger_go_after_an_error_and_the_campaign_takes_it_again(path):
    class Breaks(Counting):
        def _answer(self, id_):
            if len(self.asked) == 13:
                raise RuntimeError("connection lost")
            return super()._answer(id_)

    with pytest.raises(OracleError, match="connection lost") as caught:
        make_sampler(path, oracle=Breaks(odd=False)).fit(X)
    lock = WriterLock(path)
    assert lock.acquire()
    lock.release()
    rest = Counting(odd=False)
    assert caught.value.campaign.run(rest).finish().n_labels_ == 40
    assert len(rest.asked) == 27
    caught.value.campaign.close()


def test_fit_lets_the_ledger_go_where_it_refuses(path):
    y = Y.astype(float)
    y[3] = np.nan
    with pytest.raises(ValueError, match="y is the answer key|NaN"):
        make_sampler(path).fit(X, y)
    Campaign(make_sampler(path), X).close()


HOLD = """
import sys
from sklearn.datasets import load_digits
from skalss import AdaptiveLatentSampler, Campaign
sampler = AdaptiveLatentSampler(strategy="random", n_initial=10, ledger=sys.argv[1], random_state=0)
campaign = Campaign(sampler, load_digits().data[:120])
print(len(campaign.ask()), flush=True)
sys.stdin.read()
"""


def test_a_killed_campaign_leaves_no_lock(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "10\n"
        with pytest.raises(LedgerLockedError, match=f"process {process.pid} on .*Wait until it has ended"):
            Campaign(make_sampler(path), X)
        process.kill()
        process.wait()
    with Campaign(make_sampler(path, strategy="random", initial="random"), X) as campaign:
        assert len(campaign.ask()) == 10
    assert len(Ledger(path).to_frame()) == 20


# -- saved campaigns ------------------------------------------------------------------------------


def test_a_saved_campaign_opens_its_ledger_again(path, tmp_path):
    expected = make_sampler(oracle=Counting()).fit(X)
    campaign = Campaign(make_sampler(path, oracle=Counting()), X)
    batch = campaign.ask()
    campaign.save(tmp_path / "c")
    campaign.close()
    answer_all(path, [i for i in batch.ids[:3].tolist() if i % 11 and i % 13])
    loaded = Campaign.load(tmp_path / "c", X)
    finished = loaded.run().finish()
    assert finished.queries_["id"].tolist() == expected.queries_["id"].tolist()
    for one, other in zip(weights(finished), weights(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    loaded.close()


def test_a_saved_campaign_finds_what_went_on_without_it(path, tmp_path):
    campaign = Campaign(make_sampler(path, oracle=Counting()), X)
    campaign.save(tmp_path / "c")
    done = campaign.run().finish()
    campaign.close()
    loaded = Campaign.load(tmp_path / "c", X)
    assert_same(loaded.run(Counting(stop_after=0)).finish(), done)
    loaded.close()


def test_a_saved_campaign_without_its_ledger(path, tmp_path):
    campaign = Campaign(make_sampler(path), X)
    batch = campaign.ask()
    campaign.save(tmp_path / "c")
    campaign.close()
    path.rename(tmp_path / "moved")
    loaded = Campaign.load(tmp_path / "c", X)
    with pytest.raises(LedgerError, match="There is no ledger at"):
        loaded.tell(batch.ids, Y[batch.ids])
    with Campaign(make_sampler(path, n_initial=9), X):
        pass
    with pytest.raises(LedgerMismatchError, match="is not the ledger that this campaign began with"):
        loaded.tell(batch.ids, Y[batch.ids])
    path.unlink()
    (tmp_path / "moved").rename(path)
    loaded.tell(batch.ids, Y[batch.ids])
    assert Ledger(path).to_frame()["state"].eq("labeled").all()
    loaded.close()


def test_a_fitted_sampler_with_a_ledger_is_pickled(path):
    sampler = make_sampler(Ledger(path), oracle=AnswerKey(Y)).fit(X)
    again = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(again.predict(X), sampler.predict(X))
    assert again.ledger.path == path
