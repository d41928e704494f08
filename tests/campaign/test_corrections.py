"""Answers that are corrected: by tell, with and without a ledger, and in the ledger of a running campaign."""

import numpy as np
import pytest

from skalss import Campaign, Ledger
from skalss.oracles import Failed

from .digits import X, Y
from .ledgers import make_sampler


@pytest.fixture(params=[False, True], ids=["memory", "ledger"])
def campaign(request, path):
    with Campaign(make_sampler(path if request.param else None, strategy="mms"), X) as campaign:
        yield campaign


def test_an_answered_id_is_refused_and_the_way_is_named(campaign):
    batch = campaign.ask()
    campaign.tell(batch.ids, Y[batch.ids])
    told = int(Y[batch.ids[0]])
    with pytest.raises(ValueError, match=rf"0 are: \[\]. It has an answer: .*{told}.*pass correct=True"):
        campaign.tell(batch.ids[:1], [3])
    campaign.tell(batch.ids[:1], [None], correct=True)
    with pytest.raises(ValueError, match="It has an answer: abstained"):
        campaign.tell(batch.ids[:1], [3])
    with pytest.raises(ValueError, match="Take ids from the batch"):
        campaign.tell([10**6], [3], correct=True)  # was never asked
    with pytest.raises(ValueError, match="a failure corrects none"):
        campaign.tell(batch.ids[:1], [Failed("down")], correct=True)
    with pytest.raises(ValueError, match="outside classes"):
        campaign.tell(batch.ids[:2], [3, 77], correct=True)
    assert campaign.queries["state"].tolist() == ["abstained"] + ["labeled"] * 9


def test_the_next_training_uses_the_corrected_label_and_nothing_is_paid_twice(campaign, trained):
    batch = campaign.ask()
    wrong = (Y[batch.ids] + 1) % 10
    campaign.tell(batch.ids, wrong)
    campaign.network()
    campaign.tell(batch.ids[::2], Y[batch.ids[::2]], annotator="ann", correct=True)
    campaign.network()
    expected = np.where(np.arange(10) % 2 == 0, Y[batch.ids], wrong)
    np.testing.assert_array_equal(trained[-1][1], expected)
    assert len(trained) == 2
    assert (campaign.records.n_paid, campaign.records.n_bought()) == (10, 10)
    assert campaign.queries["annotator"].tolist() == ["ann", ""] * 5
    assert campaign.finish().queries_["label"].tolist() == expected.tolist()


def test_what_was_pending_and_what_was_answered_are_told_together(campaign):
    batch = campaign.ask()
    campaign.tell(batch.ids[:4], [1] * 4)
    campaign.tell(batch.ids, Y[batch.ids], correct=True)
    assert campaign.queries["label"].tolist() == Y[batch.ids].tolist()
    assert campaign.records.n_paid == 10
    assert len(campaign.pending) == 0


def test_a_failure_that_gets_a_label_is_paid_once_and_not_asked_again(campaign):
    batch = campaign.ask()
    campaign.tell(batch.ids, [Failed("down"), *Y[batch.ids[1:]]])
    assert campaign.records.n_paid == 9
    campaign.tell(batch.ids[:1], Y[batch.ids[:1]], correct=True)
    campaign.tell(batch.ids[:1], [None], correct=True)
    campaign.tell(batch.ids[:1], Y[batch.ids[:1]], correct=True)
    assert (campaign.records.n_paid, campaign.records.count("failed")) == (10, 0)
    while len(batch := campaign.ask()):
        campaign.tell(batch.ids, Y[batch.ids])
    assert campaign.queries["id"].is_unique


def test_a_corrected_campaign_is_the_same_after_a_restart(path):
    with Campaign(make_sampler(path), X) as campaign:
        batch = campaign.ask()
        campaign.tell(batch.ids, [Failed("down"), *Y[batch.ids[1:]]])
        campaign.tell(batch.ids[:3], [1, None, 2], correct=True)
        expected = campaign.queries
    with Campaign(make_sampler(path), X) as campaign:
        campaign.resume()
        columns = ["id", "state", "label", "charged"]
        assert campaign.queries[columns].equals(expected[columns])
        assert campaign.records.n_paid == 10
    assert Ledger(path).history()["label"].tolist()[-3:] == [1, None, 2]


def test_a_running_campaign_takes_corrections_from_its_ledger(path, trained):
    with Campaign(make_sampler(path), X) as campaign:
        batch = campaign.ask()
        campaign.tell(batch.ids, Y[batch.ids], annotator="ann")
        campaign.network()
        with Ledger(path) as ledger:
            ledger.answer(batch.ids[0], 7, annotator="bob")
            ledger.answer(batch.ids[1], None, annotator="bob")
        assert len(campaign.pending) == 0
        queries = campaign.queries
        assert queries["label"].tolist()[:2] == [7, None]
        assert queries["annotator"].tolist()[:3] == ["bob", "bob", "ann"]
        campaign.network()
        assert trained[-1][1].tolist() == [7, *Y[batch.ids[2:]]]
        assert campaign.records.n_paid == 10


def test_scores_after_a_correction_are_those_of_the_new_network(campaign):
    batch = campaign.ask()
    campaign.tell(batch.ids, (Y[batch.ids] + 1) % 10)
    campaign.network()
    n_lines = len(campaign.history)
    campaign.tell(batch.ids, Y[batch.ids], correct=True)
    campaign.network()
    assert len(campaign.history) == n_lines + 1
