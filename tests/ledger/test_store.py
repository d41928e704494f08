"""The file of a ledger: what goes in comes out, and what cannot be read is refused."""

import copy
import os
import pickle
import shutil
import sqlite3
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skalss import Campaign, Ledger, LedgerError, LedgerLockedError
from skalss.ledger import make_ledger
from skalss.ledger.opening import limited

from .campaigns import IDS, X, make_sampler


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


def test_nothing_is_written_beside_the_file_but_the_lock_and_the_cache(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)
    beside = {name.name.removeprefix(path.name) for name in path.parent.iterdir()}
    assert beside <= {"", "-wal", "-shm", "-lock", "-cache"}
    ledger.close()
    assert {name.name.removeprefix(path.name) for name in path.parent.iterdir()} - {"-cache"} == {"", "-lock"}


@pytest.fixture
def connections(monkeypatch):
    """The connections to files that are opened during the test."""
    opened, connect = [], sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **kw: opened.append(connect(*a, **kw)) or opened[-1])
    return opened


def test_answers_are_synced_to_the_disk(path, asked, connections):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)
    (connection,) = connections
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


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
    for size in [1, 15, 16, 99, 100, 511, *range(1000, len(content), 3711), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(LedgerError, match="damaged|no ledger|cannot be used"):
            Ledger(path).to_frame()


def test_a_flipped_bit_is_detected_or_harmless(path, whole):
    content, said = whole
    rng = np.random.default_rng(0)
    n_detected = 0
    for place in [*range(100), *rng.integers(0, len(content), 100)]:
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


def test_a_full_disk_is_said_and_loses_nothing(path, asked, connections):
    ledger = Ledger(path)
    ledger.answer(asked[0], "one")
    (connection,) = connections
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="the disk is full. Free some space"):
        ledger.answer(asked[1], "x" * 100_000)
    assert ledger.to_frame()["label"].tolist() == ["one", *[None] * 5]
    connection.execute("PRAGMA max_page_count = 1000000")
    ledger.answer(asked[1], "two")
    assert Ledger(path).to_frame()["label"].tolist()[:2] == ["one", "two"]


def test_a_file_that_another_program_holds(path, asked, monkeypatch):
    monkeypatch.setattr("skalss.ledger.store.BUSY_SECONDS", 0.05)
    holder = sqlite3.connect(path)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerLockedError, match="Another program has held the ledger"):
        Ledger(path).answer(asked[0], 1)
    holder.close()
    Ledger(path).answer(asked[0], 1)


def test_a_file_that_may_not_be_written(path, asked, connections):
    ledger = Ledger(path)
    ledger.to_frame()
    connections[0].execute("PRAGMA query_only = 1")
    with pytest.raises(LedgerError, match="may not be written to. Give this user the right"):
        ledger.answer(asked[0], 1)


ENDLESS = "SELECT 1 AS x UNION ALL SELECT x + 1 FROM n"
STRANGE = {
    "a view without end": [
        "DROP TABLE answers",
        f"CREATE VIEW answers AS WITH RECURSIVE n(x) AS ({ENDLESS}) SELECT x AS number FROM n",
    ],
    "a view besides": [f"CREATE VIEW more AS WITH RECURSIVE n(x) AS ({ENDLESS}) SELECT x FROM n"],
    "a trigger": ["CREATE TRIGGER t AFTER INSERT ON answers BEGIN DELETE FROM answers; END"],
    "a column less": ["ALTER TABLE requests DROP COLUMN version"],
    "a column more": ["ALTER TABLE items ADD COLUMN more TEXT DEFAULT 'x'"],
    "a table less": ["DROP TABLE points"],
    "a check that takes long": ["CREATE TABLE more (x CHECK (length(zeroblob(900000000)) > 1))"],
    "an index": ["CREATE INDEX i ON answers (upper(label))"],
}


@pytest.mark.parametrize("statements", STRANGE.values(), ids=STRANGE)
def test_anything_but_the_tables_of_a_ledger_is_refused_at_once(path, asked, statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    start = time.process_time()
    for use in (Ledger(path).to_frame, lambda: Campaign(make_sampler(path), X, sample_id=IDS)):
        with pytest.raises(LedgerError, match="is no ledger as this package writes it"):
            use()
    assert time.process_time() - start < 5
    assert repr(Ledger(path)) == f"Ledger({str(path)!r}, no ledger to read)"


def test_steps_beyond_what_the_size_of_a_file_explains_are_ended(path):
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"), limited(connection, path):
        connection.execute(f"WITH RECURSIVE n(x) AS ({ENDLESS}) SELECT max(x) FROM n").fetchall()
    assert connection.execute("SELECT 1").fetchone() == (1,)


def replace(path):
    shutil.copy(path, path.with_name("copy"))
    os.replace(path.with_name("copy"), path)


LOST = {
    "deleted": (Path.unlink, "was deleted"),
    "moved": (lambda path: path.rename(path.with_name("moved")), "was deleted"),
    "replaced": (replace, "was replaced by another file"),
    "cut short": (lambda path: os.truncate(path, 0), "was cut short from .* to 0 bytes"),
    "log deleted": (lambda path: path.with_name(f"{path.name}-wal").unlink(), "ledger-wal was deleted"),
}


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be deleted")
@pytest.mark.parametrize(("lose", "message"), LOST.values(), ids=LOST)
def test_a_file_that_is_gone_is_noticed_and_what_it_held_is_saved(path, asked, lose, message):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)
    lose(path)
    with pytest.raises(LedgerError, match=f"is gone: while it was open, .*{message}.*campaign.queries is a"):
        ledger.answer(asked[1], 2)
    saved = path.with_name(f"{path.name}-rescued")
    for beside in ("", "-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    saved.rename(path)
    ledger.answer(asked[1], 2)
    assert ledger.to_frame()["label"].tolist()[:2] == [1, 2]


@pytest.mark.parametrize("path_", [None, 3, "", b""])
def test_what_is_no_path(path_):
    with pytest.raises((TypeError, ValueError), match="path must be a path, as a text or a pathlib.Path"):
        Ledger(path_)


def test_a_ledger_is_a_setting_like_an_oracle(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)  # open from now on
    assert clone(ledger) is ledger
    assert clone(make_sampler(ledger)).ledger is ledger
    assert make_ledger(ledger) is ledger
    assert make_ledger(None) is None
    assert repr(ledger) == f"Ledger({str(path)!r}, 6 questions, 5 pending)"
    assert repr(Ledger("no.ledger")) == "Ledger('no.ledger', no file yet)"
    for other in (pickle.loads(pickle.dumps(ledger)), copy.deepcopy(ledger), make_ledger(str(path))):
        assert other.to_frame()["label"][0] == 1
