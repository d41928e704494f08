"""The file of a ledger: what goes in comes out, and what cannot be read is refused."""

import copy
import multiprocessing
import os
import pickle
import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skalss import (
    AdaptiveLatentSampler,
    Campaign,
    Ledger,
    LedgerError,
    LedgerLockedError,
    LedgerMismatchError,
)
from skalss.ledger import make_ledger
from skalss.ledger.lock import WriterLock
from skalss.ledger.store import Store
from skalss.ledger.values import from_json, pack, to_json, unpack
from skalss.nets import net_regressor
from skalss.oracles import ABSTAIN, Failed

X = np.random.default_rng(0).random((30, 3))
IDS = [f"row {i}" for i in range(30)]


def make_sampler(path, net=None, **params):
    defaults = {"strategy": "random", "n_initial": 6, "n_per_round": 6, "max_labels": 12, "random_state": 0}
    return AdaptiveLatentSampler(net, ledger=path, device="cpu", **{**defaults, **params})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "task.ledger"


@pytest.fixture
def asked(path):
    """Six ids that wait in the ledger."""
    with Campaign(make_sampler(path), X, sample_id=IDS) as campaign:
        return campaign.ask().ids.tolist()


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [0, -3, 2**80, 1.5, -0.0, 1e300, True, False, "", "3", "a\nb\x00", "Größe 漢字 \N{SNAKE}"]
)
def test_scalars_come_back_with_their_type(value):
    back = from_json(to_json(value))
    assert type(back) is type(value)
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(np.int8(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True), (np.str_("a"), "a")],
)
def test_numpy_scalars_become_those_of_python(value, expected):
    back = from_json(to_json(value))
    assert (type(back), back) == (type(expected), expected)


@pytest.mark.parametrize(
    "value",
    [b"a", 1j, (1, 2), [1], {"a": 1}, np.datetime64("2020"), np.array([1]), pd.Timestamp(0), object()],
)
def test_what_is_no_scalar_is_refused(value):
    with pytest.raises(ValueError, match="keeps each label as a bool, int, float or str, got"):
        to_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", 10**5000], ids=range(4))
def test_what_cannot_be_written_is_refused(value):
    with pytest.raises(ValueError, match="not finite|cannot be written down"):
        to_json(value)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">i4", np.bool_, np.uint8])
def test_arrays_come_back(dtype):
    array = (np.arange(6).reshape(2, 3) - 2).astype(dtype)
    back = unpack(pack(array))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_no_array_of_objects_is_written_or_read():
    with pytest.raises(ValueError, match="allow_pickle"):
        pack(np.array([object()]))


# -- answers --------------------------------------------------------------------------------------


def test_answers_come_back_with_what_is_known_of_them(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], "cat", annotator="ann", cost=2.5)
    ledger.answer(asked[1], None)
    ledger.answer(asked[2], ABSTAIN, annotator="bob")
    ledger.answer(asked[3], Failed("no scan", charged=True), cost=1)
    frame = ledger.to_frame()
    assert frame["id"].tolist() == asked
    assert frame["state"].tolist() == ["labelled", "abstained", "abstained", "failed", "pending", "pending"]
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


def test_correcting_an_answer_keeps_its_history(path, asked):
    ledger = Ledger(path)
    for label, who in (("cat", "ann"), ("dog", "bob"), (None, "cy"), ("emu", "ann")):
        ledger.answer(asked[0], label, annotator=who)
    history = ledger.history()
    assert history["label"].tolist() == ["cat", "dog", None, "emu"]
    assert history["state"].tolist() == ["labelled", "labelled", "abstained", "labelled"]
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
    with pytest.raises(ValueError, match="keeps each label as"):
        Ledger(path).answer(asked[0], label)
    assert Ledger(path).history().empty


def test_not_a_number_is_no_answer(path, asked):
    with pytest.raises(ValueError, match="is NaN, as an empty cell is"):
        Ledger(path).answer(asked[0], np.float32("nan"))


@pytest.mark.parametrize("cost", [-1, float("nan"), float("inf"), "2", None])
def test_what_is_no_cost(path, asked, cost):
    with pytest.raises(ValueError, match="cost must be a finite number of at least 0"):
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
    with pytest.raises(ValueError, match="must be a number, since the ledger is for regression"):
        Ledger(path).answer(id_, "much")
    Ledger(path).answer(id_, 2)


def test_strange_words_are_kept(path, asked):
    Ledger(path).answer(asked[0], Failed("half \ud800 a pair"), annotator="\x00 ann\n")
    frame = Ledger(path).to_frame()
    assert frame["reason"][0] == "half \\ud800 a pair"
    assert frame["annotator"][0] == "\x00 ann\n"


# -- the file -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use", [lambda x: x.answer("a", 1), Ledger.to_frame, Ledger.history, lambda x: x.read_csv("a.csv")]
)
def test_a_missing_file_is_said_and_not_made(path, use):
    with pytest.raises(LedgerError, match="There is no ledger at .* A campaign with ledger= makes it"):
        use(Ledger(path))
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("content", [b"", b"id,label\n1,2\n", b"SQLite format 3\x00" + b"\x07" * 4096])
def test_a_file_that_is_no_ledger(path, content):
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="no ledger"):
        Ledger(path).to_frame()
    if content:
        with pytest.raises(LedgerError, match="no ledger"):
            Campaign(make_sampler(path), X)
    assert path.read_bytes() == content or not content


def test_a_database_of_another_program(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE people (name)")
    connection.close()
    for use in (Ledger(path).to_frame, lambda: Campaign(make_sampler(path), X)):
        with pytest.raises(LedgerError, match="is no ledger. Give the path of a new file"):
            use()


def test_a_kill_before_the_tables_were_written_leaves_a_file_to_begin_with(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    assert path.stat().st_size > 0
    with pytest.raises(LedgerError, match="is empty, no ledger yet"):
        Ledger(path).to_frame()
    with Campaign(make_sampler(path), X) as campaign:
        assert len(campaign.ask()) == 6


def test_a_newer_format_is_refused(path, asked):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    for use in (Ledger(path).to_frame, lambda: Campaign(make_sampler(path), X, sample_id=IDS)):
        with pytest.raises(LedgerError, match="has format 2, this version reads up to 1. Upgrade skalss"):
            use()


def test_a_folder_is_no_ledger(tmp_path):
    with pytest.raises(LedgerError, match="is a folder; give the path of a file"):
        Campaign(make_sampler(tmp_path), X)
    with pytest.raises(LedgerError, match="The folder of the ledger .* is not there"):
        Campaign(make_sampler(tmp_path / "no" / "task.ledger"), X)
    assert not list(tmp_path.iterdir())


def test_odd_names_of_files(tmp_path):
    path = tmp_path / "50 % of #1?.ledger"
    with Campaign(make_sampler(str(path)), X) as campaign:
        campaign.ask()
    assert len(Ledger(path).to_frame()) == 6


def test_nothing_is_written_beside_the_file_but_the_lock(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)
    beside = {name.name.removeprefix(path.name) for name in path.parent.iterdir()}
    assert beside <= {"", "-wal", "-shm", "-lock"}
    ledger.close()
    assert {name.name.removeprefix(path.name) for name in path.parent.iterdir()} == {"", "-lock"}


def test_answers_are_synced_to_the_disk(path, asked):
    store = Store(path)
    assert store._pragma("journal_mode") == "wal"
    assert store._pragma("synchronous") == 2  # FULL
    store.close()


@pytest.fixture
def whole(path, asked):
    """A closed ledger with answers, as bytes, and what it says."""
    with Ledger(path) as ledger:
        for i, id_ in enumerate(asked):
            ledger.answer(id_, f"label {i}", annotator="ann")
        said = ledger.to_frame(), ledger.history()
    return path.read_bytes(), said


def test_a_torn_file_is_detected(path, whole):
    content, _ = whole
    for size in [1, 15, 16, 99, 100, 511, *range(1000, len(content), 1711), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(LedgerError, match="damaged|no ledger|cannot be used"):
            Ledger(path).to_frame()


def test_a_flipped_bit_is_detected_or_harmless(path, whole):
    content, said = whole
    rng = np.random.default_rng(0)
    n_detected = 0
    for place in [*range(100), *rng.integers(0, len(content), 300)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            with Ledger(path) as ledger:
                found = ledger.to_frame(), ledger.history()
        except LedgerError:
            n_detected += 1
            continue
        for table, expected in zip(found, said, strict=True):
            pd.testing.assert_frame_equal(table, expected)
    assert n_detected > 20


def test_a_changed_label_is_detected(path, whole):
    connection = sqlite3.connect(path)
    connection.execute("UPDATE answers SET label = '\"other\"' WHERE number = 3")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError, match="is damaged: line 3 of its answers is not as it was written"):
        Ledger(path).to_frame()


def test_a_line_that_is_gone_is_detected(path, whole):
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM answers WHERE number = 3")
    connection.commit()
    connection.close()
    with pytest.raises(LedgerError, match="line 3 of its answers"):
        Ledger(path).to_frame()


def test_a_full_disk_is_said_and_loses_nothing(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)
    pages = ledger._store._pragma("page_count")
    ledger._store._pragma(f"max_page_count = {pages}")
    with pytest.raises(LedgerError, match="the disk is full. Free some space"):
        ledger.answer(asked[1], "x" * 100_000)
    assert ledger.to_frame()["label"].tolist() == [1, *[None] * 5]
    ledger._store._pragma("max_page_count = 1000000")
    ledger.answer(asked[1], 2)
    assert Ledger(path).to_frame()["label"].tolist()[:2] == [1, 2]


def test_a_file_that_another_program_holds(path, asked, monkeypatch):
    monkeypatch.setattr("skalss.ledger.store.BUSY_SECONDS", 0.05)
    holder = sqlite3.connect(path)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerLockedError, match="Another program has held the ledger"):
        Ledger(path).answer(asked[0], 1)
    holder.close()
    Ledger(path).answer(asked[0], 1)


def test_a_file_that_may_not_be_written(path, asked):
    ledger = Ledger(path)
    ledger.to_frame()
    ledger._store._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(LedgerError, match="may not be written to. Give this user the right"):
        ledger.answer(asked[0], 1)


@pytest.mark.parametrize("path_", [None, 3, "", b""])
def test_what_is_no_path(path_):
    with pytest.raises(TypeError, match="A ledger needs the path of its file"):
        Ledger(path_)


def test_a_ledger_is_a_setting_like_an_oracle(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)  # open from now on
    assert clone(ledger) is ledger
    assert clone(make_sampler(ledger)).ledger is ledger
    assert make_ledger(ledger) is ledger
    assert make_ledger(None) is None
    assert repr(ledger) == f"Ledger({str(path)!r})"
    for other in (pickle.loads(pickle.dumps(ledger)), copy.deepcopy(ledger), make_ledger(str(path))):
        assert other.to_frame()["label"][0] == 1


# -- the lock -------------------------------------------------------------------------------------


def test_the_lock_is_held_by_one(path):
    first, second = WriterLock(path), WriterLock(path)
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert not first.held
    assert second.acquire()
    second.release()


def test_the_lock_frees_itself_with_its_object(path):
    lock = WriterLock(path)
    assert lock.acquire()
    del lock
    assert WriterLock(path).acquire()


HOLD = """
import sys
from pathlib import Path
from skalss.ledger.lock import WriterLock
lock = WriterLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
sys.stdin.read()
"""


def test_the_lock_frees_itself_when_its_process_is_killed(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "True\n"
        assert not WriterLock(path).acquire()
        process.kill()
        process.wait()
    assert WriterLock(path).acquire()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only systems with fork")
def test_a_fork_opens_the_file_anew(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)
    process = multiprocessing.get_context("fork").Process(target=ledger.answer, args=(asked[1], 2))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert ledger.to_frame()["label"].tolist()[:2] == [1, 2]
    ledger.answer(asked[2], 3)
    assert len(Ledger(path).history()) == 3


# -- CSV ------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("label", [3, 3.0, True, "3", "True", "nan", "None", "1e5", -1.5e-300, 2**70])
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
