"""The lines of a campaign's history."""

from dataclasses import fields

import numpy as np

from skalss import Campaign
from skalss.campaign.history import History, HistoryLine
from skalss.campaign.questions import Question
from skalss.campaign.records import Records
from skalss.oracles import ABSTAIN

from .digits import X, Y, answer, make_sampler


def records_of(n_asked):
    records = Records(20, given=np.array([], dtype=int), given_labels=[])
    records.ask(
        Question(id=i, kind="pool", position=i, round=0, strategy="S", cost=2.0) for i in range(n_asked)
    )
    return records


def test_a_new_line_begins_with_each_round_and_each_label():
    records = records_of(3)
    history = History(records)
    first = history.now()
    assert history.now() is first
    records.answer(0, ABSTAIN)
    assert history.now() is first  # an abstention trains nothing
    records.answer(1, "a")
    assert history.now() is not first
    records.ask([])
    history.now()
    frame = history.to_frame()
    assert frame["round"].tolist() == [1, 1, 2]
    assert frame["n_labels"].tolist() == [0, 1, 1]
    assert frame["n_queries"].tolist() == [0, 2, 2]
    assert frame["cost"].tolist() == [0.0, 4.0, 4.0]


def test_a_look_at_the_present_state_leaves_no_line():
    records = records_of(2)
    history = History(records)
    assert np.isnan(history.known().val_score)
    assert history.lines == []
    history.now().val_score = 0.5
    assert history.known() is history.lines[-1]
    assert history.known().val_score == 0.5
    records.answer(0, "a")
    assert np.isnan(history.known().val_score)
    assert len(history.lines) == 1


def test_seconds_go_to_the_line_that_is_current_at_the_end_and_add_up(monkeypatch):
    records, clock = records_of(2), iter([0.0, 1.0, 5.0, 7.0, 10.0, 14.0, 20.0, 25.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    history = History(records)
    for _ in range(2):
        with history.timing("fit_seconds"):
            pass
    with history.timing("latent_seconds"):
        pass
    with history.timing("fit_seconds"):
        records.answer(0, "a")
    assert [line.seconds_of_models for line in history.lines] == [7.0, 5.0]
    assert history.to_frame()["fit_seconds"].tolist() == [3.0, 5.0]


def test_an_empty_history_has_its_columns():
    frame = History(records_of(0)).to_frame()
    assert frame.empty
    assert frame.columns.tolist() == [field.name for field in fields(HistoryLine)]


def test_a_restarted_campaign_has_no_history_before_it_goes_on(path):
    with Campaign(make_sampler(ledger=path), X) as campaign:
        answer(campaign, campaign.ask())
        open_ = campaign.ask()
    with Campaign(make_sampler(ledger=path), X) as campaign:
        assert len(campaign.pending) == 0  # nothing is trained for it
        assert campaign.models.trained is None
        assert campaign.history.empty
        np.testing.assert_array_equal(campaign.ask().ids, open_.ids)
        assert campaign.history["n_labels"].tolist() == [0, 10]
        campaign.tell(open_.ids, Y[open_.ids])
