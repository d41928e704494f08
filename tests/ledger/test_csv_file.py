"""Tables that leave a ledger and come back."""

import pandas as pd
import pytest

from skalss import Campaign, Ledger, LedgerError, LedgerLockedError, LedgerMismatchError
from skalss.oracles import Failed

from .campaigns import IDS, X, make_sampler


def test_a_table_goes_out_and_comes_back(path, asked, tmp_path):
    answers = ["cat", "", '"a", b\nc', None, Failed("no, not\n'that'"), "12"]
    with Ledger(path) as ledger:
        for id_, label in zip(asked, answers, strict=True):
            ledger.answer(id_, label, annotator="ann", cost=0.1)
        expected = ledger.to_frame()
        ledger.to_csv(tmp_path / "out.csv")
    other = tmp_path / "other.ledger"
    with Campaign(make_sampler(other), X, sample_id=IDS) as campaign:
        campaign.ask()
    with Ledger(other) as ledger:
        assert ledger.read_csv(tmp_path / "out.csv") == 6
        assert ledger.read_csv(tmp_path / "out.csv") == 0  # nothing new
        columns = ["id", "content", "state", "label", "reason", "cost", "charged", "annotator"]
        pd.testing.assert_frame_equal(ledger.to_frame()[columns], expected[columns])


@pytest.mark.parametrize("label", [3, 3.0, True, "3", "True", "nan", "None", "1e5", -1.5e300, 2**70])
def test_types_survive_a_csv_file(path, asked, tmp_path, label):
    with Ledger(path) as ledger:
        ledger.answer(asked[0], label)
        ledger.to_csv(tmp_path / "out.csv")
    other = tmp_path / "other.ledger"
    with Campaign(make_sampler(other), X, sample_id=IDS) as campaign:
        campaign.ask()
    Ledger(other).read_csv(tmp_path / "out.csv")
    back = Ledger(other).to_frame()["label"][0]
    assert (type(back), back) == (type(label), label)


def test_answers_to_rows_that_nobody_asked_here(path, asked, tmp_path):
    """They wait in the ledger until a campaign asks."""
    with Ledger(path) as ledger:
        for i, id_ in enumerate(asked):
            ledger.answer(id_, i)
        ledger.to_csv(tmp_path / "out.csv")
    other = tmp_path / "other.ledger"
    Campaign(make_sampler(other), X, sample_id=IDS).close()
    with Ledger(other) as ledger:
        assert ledger.read_csv(tmp_path / "out.csv") == 6
        assert ledger.to_frame()["label"].tolist() == list(range(6))
        assert ledger.to_frame()["round"].isna().all()
    with Campaign(make_sampler(other), X, sample_id=IDS) as campaign:
        assert not set(campaign.ask().ids) & set(asked)
        assert campaign.queries["label"].tolist()[:6] == list(range(6))


def test_a_table_filled_in_by_a_person(path, asked, tmp_path):
    """`state` still says pending, and most cells are empty."""
    sheet = tmp_path / "sheet.csv"
    with Ledger(path) as ledger:
        ledger.to_csv(sheet)
        frame = pd.read_csv(sheet, dtype=str, keep_default_na=False)
        frame.loc[2, "label"] = "7"
        frame.loc[4, "state"] = "abstained"
        frame.to_csv(sheet, index=False, encoding="utf-8-sig")  # as spreadsheets do
        assert ledger.read_csv(sheet, annotator="ann") == 2
        found = ledger.to_frame()
    assert found["label"].tolist() == [None, None, 7, None, None, None]
    assert found["state"][4] == "abstained"
    assert found["annotator"][2] == "ann"


def test_labels_without_a_type_take_that_of_the_others(path, asked, tmp_path):
    sheet = tmp_path / "sheet.csv"
    Ledger(path).answer(asked[0], "10")
    sheet.write_text(f"id,label\n{asked[1]},11\n")
    Ledger(path).read_csv(sheet)
    assert Ledger(path).to_frame()["label"].tolist()[:2] == ["10", "11"]


BAD_SHEETS = {
    "no id": ("row,label\n1,2\n", r"has the columns \['row', 'label'\]; it needs"),
    "empty": ("", "has the columns"),
    "unknown id": ("id,label\nrow 99,2\n", "id 'row 99' was never asked here"),
    "state": ("id,label,state\n{0},2,done\n", "the state 'done' is none of"),
    "type": ("id,label,label_type\n{0},2,complex\n", "the type 'complex' is none of"),
    "no int": ("id,label,label_type\n{0},two,int\n", "'two' is no int"),
    "no bool": ("id,label,label_type\n{0},1,bool\n", "'1' is no bool"),
    "infinite": ("id,label\n{0},inf\n", "not finite"),
    "two answers": ("id,label\n{0},1\n{1},1\n{0},2\n", "line 4: id '.*' has another answer further up"),
    "cost": ("id,label,cost\n{0},1,dear\n", "cost must be a finite number"),
    "other row": ("id,label,content\n{0},1,abc\n", "is another row here"),
    "cells": ("id,label\n{0},1,2\n", "more cells than there are columns"),
    "quotes": ('id,label\n"{0},1\n', "is no CSV file"),
    "charged": ("id,label,state,charged\n{0},,failed,maybe\n", "charged must be True or False"),
}


@pytest.mark.parametrize(("text", "message"), BAD_SHEETS.values(), ids=BAD_SHEETS)
def test_a_table_that_cannot_be_read_records_nothing(path, asked, tmp_path, text, message):
    sheet = tmp_path / "sheet.csv"
    good = f"{asked[5]},1" if text.startswith("id,label\n") else ""
    sheet.write_text((text.replace("id,label\n", f"id,label\n{good}\n") if good else text).format(*asked))
    if good:
        message = message.replace("line 4", "line 5")
    with pytest.raises(ValueError, match=message):
        Ledger(path).read_csv(sheet)
    assert Ledger(path).history().empty


def test_a_table_in_another_encoding(path, asked, tmp_path):
    (tmp_path / "sheet.csv").write_bytes(b"id,label\n\xff\xfe,1\n")
    with pytest.raises(ValueError, match="is no CSV file in UTF-8"):
        Ledger(path).read_csv(tmp_path / "sheet.csv")


def test_ids_that_are_numbers(path, tmp_path):
    with Campaign(make_sampler(path), X) as campaign:
        ids = campaign.ask().ids.tolist()
    (tmp_path / "sheet.csv").write_text(f"id,label\n{ids[0]},1\n{ids[1]},0\n")
    assert Ledger(path).read_csv(tmp_path / "sheet.csv") == 2
    assert Ledger(path).to_frame()["label"].tolist()[:2] == [1, 0]


def test_a_mismatch_is_both_a_ledger_and_a_value_error():
    assert issubclass(LedgerMismatchError, LedgerError)
    assert issubclass(LedgerMismatchError, ValueError)
    assert issubclass(LedgerLockedError, LedgerError)
