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
    "no label": ("id,state\n{0},abstained\n", "`label` is missing"),
    "a column twice": ("id,label,Label\n{0},1,2\n", r"'label' more than once: \['label', 'Label'\]"),
    "no row": ("id,label,id_type,content\nrow 99,1,str,made up\n", "content 'made up' or kind '' is not"),
    "no such kind": ("id,label,id_type,content,kind\nx,1,str," + "0" * 32 + ",cat\n", "kind 'cat' is not"),
    "no id in the line": ("id,label\n,1\n", "has an answer and no id"),
    "no label for sure": ("id,label\n{0},N/A\n", "'N/A' may mean that there is none.*label_type"),
    "half a number": ("id,label,label_type\n{0},1.5,int\n", "'1.5' is no int"),
    "text among numbers": ("id,label,label_type\n{0},a,str\n{1},1,int\n", "earlier ones are not"),
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


CLASSES = ["healthy", "ill", "007", "1e5", "TRUE", "NA", "None", "=1+1", "two\nlines"]


@pytest.fixture
def sheet(tmp_path):
    return tmp_path / "sheet.csv"


def ask(path, classes=None, ids=IDS, **params):
    with Campaign(make_sampler(path, classes=classes, **params), X, sample_id=ids) as campaign:
        return campaign.ask().ids.tolist()


HEADERS = {
    "case": "Id,LABEL\n{0},ill\n",
    "blanks": " id , label \n {0} , ill \n",
    "BOM": "\ufeff\ufeffid,label\n{0},ill\n",
    "semicolons": "label;id;note\r\nill;{0};a,b\r\n",
    "tabs": "id\tlabel\n{0}\till\n",
    "said": "sep=;\nid;label\n{0};ill\n",
    "empty rows and columns": ",id,label,,\n0,{0},ill,,\n,,,,\n\n",
    "quotes": '"id","label"\n"{0}","ill"\n',
    "short lines": "id,label,state,reason\n{0},ill\n",
    "another state": "id,label,State\n{0},ill,Pending\n",
}


@pytest.mark.parametrize("text", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_programs_and_people_make_of_a_table(path, sheet, text, encoding):
    asked = ask(path, CLASSES)
    sheet.write_bytes(text.format(*asked).encode(encoding))
    assert Ledger(path).read_csv(sheet) == 1
    assert Ledger(path).to_frame()["label"].tolist() == ["ill", *[None] * 5]


def test_labels_are_the_classes_and_nothing_is_guessed(path, sheet):
    asked = ask(path, CLASSES)
    for labels in (CLASSES[:6], CLASSES[-6:]):
        frame = pd.DataFrame({"id": asked, "label": labels})
        frame.to_csv(sheet, index=False)
        assert Ledger(path).read_csv(sheet) == 6
        assert Ledger(path).to_frame()["label"].tolist() == labels


@pytest.mark.parametrize(
    ("classes", "cells", "labels"),
    [
        ([0, 1, 10**17 + 1], ["1.0", "0", "100000000000000001"], [1, 0, 10**17 + 1]),
        ([True, False], ["TRUE", "false", "True"], [True, False, True]),
        ([2.0, 10.0], ["2.00", "10", "1e1"], [2.0, 10.0, 10.0]),
        (["1", "2"], ["1", "2", " 1 "], ["1", "2", "1"]),
        (["True", "no"], ["TRUE", "no", "True"], ["True", "no", "True"]),
        (["", "a"], ["'", "a", "' "], ["", "a", None]),
    ],
)
def test_a_cell_is_read_as_the_class_that_it_shows(path, sheet, classes, cells, labels):
    asked = ask(path, classes)
    pd.DataFrame({"id": asked[:3], "label": cells}).to_csv(sheet, index=False)
    if None in labels:
        with pytest.raises(ValueError, match="line 4: .*outside classes"):
            Ledger(path).read_csv(sheet)
        return
    Ledger(path).read_csv(sheet)
    found = Ledger(path).to_frame()["label"].tolist()[:3]
    assert [(type(a), a) for a in found] == [(type(b), b) for b in labels]


@pytest.mark.parametrize(
    ("cell", "near"), [("ilness", "'illness'"), ("7", "'007'"), ("Healthy", "'healthy'")]
)
def test_a_label_outside_the_classes_is_refused_with_the_nearest(path, sheet, cell, near):
    asked = ask(path, ["illness", "healthy", "007"])
    sheet.write_text(f"id,label\n{asked[0]},healthy\n{asked[1]},{cell}\n")
    with pytest.raises(ValueError, match=f"line 3: .* is outside classes: .*Did you mean {near}"):
        Ledger(path).read_csv(sheet)
    assert Ledger(path).history().empty


@pytest.mark.parametrize(
    ("cells", "labels"),
    [(["007", "7", "1e5"], ["007", "7", "1e5"]), (["3", "-1", "10"], [3, -1, 10]), (["TRUE", "x", "1"],) * 2],
)
def test_without_classes_what_does_not_survive_stays_text(path, asked, sheet, cells, labels):
    pd.DataFrame({"id": asked[:3], "label": cells}).to_csv(sheet, index=False)
    Ledger(path).read_csv(sheet)
    assert Ledger(path).to_frame()["label"].tolist()[:3] == labels


def test_a_label_that_a_program_changed_is_not_another_label(path, asked, sheet):
    with Ledger(path) as ledger:
        ledger.answer(asked[0], "007")
        ledger.to_csv(sheet)
        pd.read_csv(sheet).to_csv(sheet, index=False)
        with pytest.warns(UserWarning, match=f"{asked[0]}.* seems to have changed"):
            assert ledger.read_csv(sheet) == 0
        sheet.write_text(f"id,label\n{asked[1]},7\n")
        with pytest.raises(ValueError, match="'7' may be '007'"):
            ledger.read_csv(sheet)
        assert ledger.history()["label"].tolist() == ["007"]


def test_a_label_typed_into_any_row_is_an_answer_or_a_correction(path, sheet):
    asked = ask(path, CLASSES)
    with Ledger(path) as ledger:
        for id_, label in zip(asked, ["ill", None, Failed("blurred"), "ill"], strict=False):
            ledger.answer(id_, label, annotator="ann")
        ledger.to_csv(sheet)
        frame = pd.read_csv(sheet, dtype=str, keep_default_na=False)
        frame.loc[:2, "label"] = "healthy"
        frame.to_csv(sheet, index=False)
        assert ledger.read_csv(sheet, annotator="bob") == 3
        found = ledger.to_frame()
        assert found["label"].tolist() == ["healthy"] * 3 + ["ill", None, None]
        assert found["state"].tolist() == ["labeled"] * 4 + ["pending"] * 2
        assert found["annotator"].tolist()[:4] == ["bob"] * 3 + ["ann"]
        assert ledger.read_csv(sheet, annotator="bob") == 0


PASSED_OVER = {
    "cleared": ("{0},,labeled,", "labeled by their state and have no label"),
    "at odds": ("{0},ill,abstained,", "a state without a label, and the label recorded"),
    "failed": ("{0},,failed,", "nobody waits for them"),
    "a reason": ("{0},,,too dark", "have a reason but no label"),
}


@pytest.mark.parametrize(("line", "message"), PASSED_OVER.values(), ids=PASSED_OVER)
def test_no_line_is_passed_over_in_silence(path, sheet, line, message):
    asked = ask(path, CLASSES)
    Ledger(path).answer(asked[0], "ill")
    sheet.write_text("id,label,state,reason\n" + line.format(*asked) + "\n")
    with pytest.warns(UserWarning, match=rf"\['{asked[0]}'\].*{message}"):
        assert Ledger(path).read_csv(sheet) == 0
    assert Ledger(path).history()["label"].tolist() == ["ill"]


def test_an_old_copy_of_a_table_takes_nothing_back(path, sheet):
    """Neither a correction, nor a question that failed and was asked again."""
    asked = ask(path, CLASSES)
    with Ledger(path) as ledger:
        ledger.answer(asked[0], "ill", annotator="ann")
        ledger.answer(asked[1], Failed("down"))
        ledger.to_csv(sheet)
        ledger.answer(asked[0], "healthy", annotator="ann")
    ask(path, CLASSES, n_initial=30, max_labels=30)  # another campaign waits for all rows
    assert Ledger(path).read_csv(sheet) == 0
    found = Ledger(path).to_frame().iloc[6:].set_index("id")
    assert found.loc[asked[0], "label"] == "healthy"
    assert found.loc[asked[1], "state"] == "pending"


@pytest.mark.parametrize(
    "text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "", " a"]
)
def test_no_cell_is_a_formula_and_each_comes_back(path, sheet, tmp_path, text):
    ids = [f"{text}{i}" for i in range(30)]
    asked = ask(path, ids=ids)
    with Ledger(path) as ledger:
        ledger.answer(asked[0], text, annotator=text)
        ledger.answer(asked[1], Failed(text))
        ledger.to_csv(sheet)
    cells = pd.read_csv(sheet, dtype=str, keep_default_na=False, sep=",").to_numpy().ravel()
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r"))]
    other = tmp_path / "other.ledger"
    assert ask(other, ids=ids) == asked
    assert Ledger(other).read_csv(sheet) == 2
    columns = ["id", "state", "label", "reason", "annotator"]
    pd.testing.assert_frame_equal(Ledger(other).to_frame()[columns], Ledger(path).to_frame()[columns])


def test_a_negative_number_stays_one(path, sheet):
    asked = ask(path, [-1, 1])
    Ledger(path).answer(asked[0], -1)
    Ledger(path).to_csv(sheet)
    assert pd.read_csv(sheet)["label"][0] == -1


@pytest.mark.parametrize(
    "ids", [[f"{i:06d}" for i in range(30)], list(range(30)), [i / 2 for i in range(30)]]
)
def test_ids_survive_pandas(path, sheet, ids):
    asked = ask(path, CLASSES, ids=ids)
    Ledger(path).to_csv(sheet)
    frame = pd.read_csv(sheet)
    frame["label"] = ["ill", "healthy"] * 3
    frame.to_csv(sheet)
    assert Ledger(path).read_csv(sheet) == 6
    found = Ledger(path).to_frame()
    assert found["id"].tolist() == asked
    assert found["label"].tolist() == ["ill", "healthy"] * 3


def test_an_id_without_its_zeros_and_nothing_to_prove_it_is_refused(path, sheet):
    asked = ask(path, CLASSES, ids=[f"{i:06d}" for i in range(30)])
    sheet.write_text(f"id,label\n{int(asked[0])},ill\n")
    with pytest.raises(ValueError, match=rf"was never asked here, but \['{asked[0]}'\] was"):
        Ledger(path).read_csv(sheet)


def test_two_annotators_in_one_table(path, sheet):
    asked = ask(path, CLASSES)
    sheet.write_text(f"id,label,annotator\n{asked[0]},ill,ann\n{asked[0]},healthy,bob\n{asked[1]},ill,ann\n")
    assert Ledger(path).read_csv(sheet) == 3
    assert Ledger(path).read_csv(sheet) == 0
    assert Ledger(path).to_frame()["disagree"].tolist()[:2] == [True, False]


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
