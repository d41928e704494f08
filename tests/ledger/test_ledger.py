"""Ledger: answers that come in, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skalss import Campaign, Ledger
from skalss.nets import net_regressor
from skalss.oracles import ABSTAIN, Failed

from .campaigns import IDS, X, make_sampler


def test_answers_come_back_with_what_is_known_of_them(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], "cat", annotator="ann", cost=2.5)
    ledger.answer(asked[1], None)
    ledger.answer(asked[2], ABSTAIN, annotator="bob")
    ledger.answer(asked[3], Failed("no scan", charged=True), cost=1)
    frame = ledger.to_frame()
    assert frame["id"].tolist() == asked
    assert frame["state"].tolist() == ["labeled", "abstained", "abstained", "failed", "pending", "pending"]
    assert frame["label"].tolist() == ["cat", *[None] * 5]
    assert frame["reason"].tolist() == ["", "", "", "no scan", "", ""]
    assert frame["cost"].tolist() == [2.5, 0, 0, 1, 0, 0]
    assert frame["charged"].tolist() == [True, True, True, True, False, False]
    assert frame["annotator"].tolist() == ["ann", "", "bob", "", "", ""]
    assert (frame["kind"] == "pool").all()
    assert (frame["round"] == 0).all()
    assert (frame["strategy"] == "RandomStrategy").all()
    times = pd.to_datetime(frame["asked_at"])
    answered = pd.to_datetime(frame["answered_at"][:4])
    assert (answered >= times[:4]).all()
    assert frame["answered_at"][4:].isna().all()
    assert frame["content"].is_unique


def test_an_answer_is_seen_by_other_objects_at_once(path, asked):
    first, second = Ledger(path), Ledger(path)
    second.to_frame()
    first.answer(asked[0], 3)
    assert second.to_frame()["label"][0] == 3
    second.answer(asked[1], 4)
    assert first.to_frame()["label"].tolist()[:2] == [3, 4]


@pytest.mark.parametrize(
    ("classes", "label", "message"),
    [
        (["healthy", "ill"], "helthy", r"outside classes: \['healthy', 'ill'\]. Did you mean 'healthy'"),
        (["healthy", "ill"], " ill", "Did you mean 'ill'"),
        ([0, 1], "1", "Did you mean 1?"),
        ([0, 1], 2, "outside classes"),
        (range(3), 1.5, "outside classes|must be a whole number"),
    ],
)
def test_a_label_that_is_no_class_is_refused_before_it_is_recorded(path, classes, label, message):
    with Campaign(make_sampler(path, classes=classes), X, sample_id=IDS) as campaign:
        asked = campaign.ask().ids
        with pytest.raises(ValueError, match=message):
            Ledger(path).answer(asked[0], label)
        assert Ledger(path).history().empty
        Ledger(path).answer(asked[0], list(classes)[0])
        assert len(campaign.pending) == 5


def test_classes_that_a_later_campaign_names_are_known_at_once(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], "dog")
    with Campaign(make_sampler(path, classes=["cat", "dog"]), X, sample_id=IDS):
        pass
    with pytest.raises(ValueError, match="outside classes"):
        ledger.answer(asked[1], "cow")
    with Campaign(make_sampler(path), X, sample_id=IDS) as campaign:  # names none; those named stay
        campaign.resume()
        with pytest.raises(ValueError, match="outside classes"):
            campaign.tell(asked[1:2], ["cow"])
        campaign.tell(asked[1:2], ["cat"])
    with Campaign(make_sampler(path, classes=["cat", "cow", "dog"]), X, sample_id=IDS):
        ledger.answer(asked[2], "cow")
    assert ledger.history()["label"].tolist() == ["dog", "cat", "cow"]


def test_classes_that_a_file_cannot_keep_are_refused_before_anything_is_asked(path):
    with pytest.raises(ValueError, match="A ledger keeps each label as a bool, int|must be a bool, a whole"):
        Campaign(make_sampler(path, classes=[b"a", b"b"]), X, sample_id=IDS)


def test_numbers_and_text_do_not_mix(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)
    ledger.answer(asked[0], "one")  # corrects the only label
    with pytest.raises(ValueError, match="is a number, but earlier ones are not"):
        ledger.answer(asked[1], 2)


def test_a_label_written_almost_like_another_brings_a_warning(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], "stenosis")
    with pytest.warns(UserWarning, match="'stenossis' is new, and written almost like 'stenosis'"):
        ledger.answer(asked[1], "stenossis")
    with pytest.warns(UserWarning, match="'Stenosis' is new"):
        ledger.answer(asked[2], "Stenosis")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ledger.answer(asked[3], "stenosis")
        ledger.answer(asked[4], "healthy")


def test_annotators_who_disagree_are_seen(path, asked):
    ledger = Ledger(path)
    for number, label, who in (
        (0, "cat", "ann"),
        (0, "dog", "bob"),
        (1, "cat", "ann"),
        (1, "cat", "bob"),
        (2, "cat", "ann"),
        (2, "dog", "ann"),  # corrects her own
        (3, "cat", "ann"),
        (3, None, "bob"),
    ):
        ledger.answer(asked[number], label, annotator=who)
    frame = ledger.to_frame()
    assert frame["n_annotators"].tolist() == [2, 2, 1, 2, 0, 0]
    assert frame["disagree"].tolist() == [True, False, False, True, False, False]
    assert frame["label"].tolist()[:4] == ["dog", "cat", "dog", None]  # the latest counts


def test_a_label_after_a_failure(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], Failed("down"))
    ledger.answer(asked[0], "cat")
    assert ledger.to_frame()["label"][0] == "cat"
    assert ledger.to_frame()["state"][0] == "labeled"


def test_correcting_an_answer_keeps_its_history(path, asked):
    ledger = Ledger(path)
    for label, who in (("cat", "ann"), ("dog", "bob"), (None, "cy"), ("emu", "ann")):
        ledger.answer(asked[0], label, annotator=who)
    history = ledger.history()
    assert history["label"].tolist() == ["cat", "dog", None, "emu"]
    assert history["state"].tolist() == ["labeled", "labeled", "abstained", "labeled"]
    assert history["annotator"].tolist() == ["ann", "bob", "cy", "ann"]
    assert ledger.to_frame()["label"][0] == "emu"


@pytest.mark.parametrize("id_", ["row 99", 3, 0.5, True, ""])
def test_an_id_that_was_never_asked(path, asked, id_):
    with pytest.raises(ValueError, match=r"was never asked in the ledger .* it holds 6 ids such as \['row"):
        Ledger(path).answer(id_, 1)


@pytest.mark.parametrize("id_", [None, (1, 2), b"row", float("nan")])
def test_what_is_no_id(path, asked, id_):
    with pytest.raises(ValueError, match="A ledger keeps"):
        Ledger(path).answer(id_, 1)


@pytest.mark.parametrize("label", [[1, 2], {"a": 1}, b"cat", 1j, np.array([1, 2])])
def test_what_is_no_label(path, asked, label):
    with pytest.raises(ValueError, match="must be a (number or a string|bool, a whole number)"):
        Ledger(path).answer(asked[0], label)
    assert Ledger(path).history().empty


def test_not_a_number_is_no_answer(path, asked):
    with pytest.raises(ValueError, match="is NaN, as an empty cell of a table is"):
        Ledger(path).answer(asked[0], np.float32("nan"))


@pytest.mark.parametrize("cost", [-1, float("nan"), float("inf"), "2", None])
def test_what_is_no_cost(path, asked, cost):
    with pytest.raises((TypeError, ValueError), match="cost must be a finite number of at least 0"):
        Ledger(path).answer(asked[0], 1, cost=cost)


def test_a_failure_where_nobody_waits(path, asked):
    Ledger(path).answer(asked[0], "cat")
    with pytest.raises(ValueError, match="Nobody waits for an answer to id 'row"):
        Ledger(path).answer(asked[0], Failed("down"))
    assert Ledger(path).to_frame()["label"][0] == "cat"


def test_a_failure_serves_each_campaign_that_waits_and_costs_once(path, asked):
    with Campaign(make_sampler(path, random_state=1, n_initial=30, max_labels=30), X, sample_id=IDS) as other:
        assert len(other.ask()) == 30
    ledger = Ledger(path)
    ledger.answer(asked[0], Failed("down"), cost=3)
    frame = ledger.to_frame().query("id == @asked[0]")
    assert frame["state"].tolist() == ["failed", "failed"]
    assert frame["cost"].tolist() == [3, 0]


def test_a_label_of_a_value_must_be_a_number(path):
    with Campaign(make_sampler(path, net_regressor()), X, sample_id=IDS) as campaign:
        id_ = campaign.ask().ids[0]
    with pytest.raises(ValueError, match="cannot be recorded: A regression label must be a number"):
        Ledger(path).answer(id_, "much")
    Ledger(path).answer(id_, 2)


def test_strange_words_are_kept(path, asked):
    Ledger(path).answer(asked[0], Failed("half \ud800 a pair"), annotator="\x00 ann\n")
    frame = Ledger(path).to_frame()
    assert frame["reason"][0] == "half \\ud800 a pair"
    assert frame["annotator"][0] == "\x00 ann\n"
