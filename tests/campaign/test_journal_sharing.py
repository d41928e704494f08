"""Answers that campaigns share, or that come from elsewhere."""

import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from skalss import Campaign, Ledger, LedgerMismatchError
from skalss.compare import compare_strategies
from skalss.oracles import Failed

from .digits import X, Y
from .generated import brightness
from .ledgers import NAMES, Counting, answer_all, make_sampler


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


# -- answers that come later -----------------------------------------------------------------------


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
