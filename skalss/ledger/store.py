"""The file of a ledger: opening with its checks, transactions, lines in and out."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..targets import BaseTarget, target_of_task
from ..utils.scalars import from_json, to_json
from .book import Book
from .errors import LedgerError, LedgerMismatchError, damaged, explaining
from .opening import check_format, check_path, is_empty, limited, pragma
from .tables import APPLICATION_ID, FORMAT, FROM_FILE, SCHEMA, TABLES, Item
from .values import fault_of_label, seal
from .watch import Watch, lost

BUSY_SECONDS = 30.0  # how long a write waits for that of another process


def now() -> str:
    """Return the time, UTC, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def version() -> str:
    """Return the version of the package; the ledger is imported before the package is complete."""
    return getattr(sys.modules[__name__.partition(".")[0]], "__version__", "")


class Store:
    """An open ledger.

    Parameters
    ----------
    path : Path
    pool : dict, default=None
        `task`, `dtype` and `shape` of the rows, for a campaign, and as `target` the `spec` of its labels, if
        that is not empty: a file that is not there is made, one of another pool is refused. None: the file
        must be there.
    """

    def __init__(self, path: Path, pool: dict[str, Any] | None = None):
        self.path = path
        check_path(path, create=pool is not None)
        self._pid = os.getpid()
        with explaining(path):
            uri = f"{path.absolute().as_uri()}?mode={'rw' if pool is None else 'rwc'}"
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._closer = weakref.finalize(self, _close, self._connection, self._pid)
        try:
            with explaining(path):
                self._open(pool)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._closer()

    @property
    def usable(self) -> bool:
        """Whether it is open, and in this process: a fork must not use its parent's file."""
        return self._closer.alive and self._pid == os.getpid()

    @property
    def target(self) -> BaseTarget:
        """The kind of its labels, with what the ledger knows of them: classes, number of values, shape."""
        pool = self.meta["pool"]
        try:
            target = target_of_task(pool["task"], pool.get("target"))
            target.know_rows(tuple(pool.get("shape", ())))
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise damaged(self.path, f"its labels are to be of a kind that is none ({error})") from error
        if self.classes is not None:
            target.know(self.classes)
        return target

    @property
    def classes(self) -> list[Any] | None:
        """All labels that may come; None where no campaign named them."""
        kept = self.meta.get("classes")
        return None if kept is None else [from_json(label) for label in kept]

    def keep_classes(self, classes: Sequence[Any]) -> None:
        """Keep all labels that may come, in a transaction."""
        kept = [to_json(label) for label in classes]
        if kept != self.meta.get("classes"):
            self.write_meta("classes", kept)
            self.meta["classes"] = kept

    # -- opening ----------------------------------------------------------------------------------

    def _open(self, pool: dict[str, Any] | None) -> None:
        execute = self._connection.execute
        execute("PRAGMA trusted_schema = 0")
        if not is_empty(self._connection):
            check_format(self._connection, self.path)
        elif pool is None:
            raise LedgerError(f"{self.path} is empty, no ledger yet: a campaign with ledger= makes it.")
        if pragma(self._connection, "journal_mode = WAL") != "wal":
            raise LedgerError(
                f"The ledger {self.path} cannot have a write-ahead log here, as in some network folders. "
                "Put it on a disk of this machine."
            )
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA fullfsync = 1")  # where fsync alone does not reach the disk, as on macOS
        if pool is not None:
            self._make(pool)
        check_format(self._connection, self.path)
        with limited(self._connection, self.path):
            found = [line for (line,) in execute("PRAGMA quick_check(1)")]
        if found != ["ok"]:
            raise damaged(self.path, found[0])
        self.book, self._last = Book(), dict.fromkeys(TABLES, 0)
        self.meta = self._read_meta()
        if pool is not None:
            self._check_pool(pool)
        self._watch = Watch(self.path)
        self.refresh()

    def _make(self, pool: dict[str, Any]) -> None:
        """Write the tables, unless another process was quicker."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            if is_empty(self._connection):
                for statement in SCHEMA.split(";"):
                    execute(statement)
                execute(f"PRAGMA application_id = {APPLICATION_ID}")
                execute(f"PRAGMA user_version = {FORMAT}")
                self.write_meta("pool", pool)
                self.write_meta("made", {"version": version(), "at": now()})
                self.write_meta("lines", self._count())
            execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        _sync_folder(self.path.parent)

    def _check_pool(self, pool: dict[str, Any]) -> None:
        held = self.meta["pool"]
        words = {"task": "the task", "dtype": "rows of dtype", "shape": "rows of shape"}
        for name, what in words.items():
            got = pool[name]
            if held.get(name) != got:
                raise LedgerMismatchError(
                    f"The ledger {self.path} was made for {what} {held.get(name)}, this campaign has {got}. "
                    "One ledger serves one labelling task: give a path of its own to this one."
                )
        if (held.get("target") or {}) != (pool.get("target") or {}):
            raise LedgerMismatchError(
                f"The ledger {self.path} was made for labels of the kind {_described(held)}, this campaign "
                f"has {_described(pool)}. Give the estimator a target like that of the file, or give a path "
                "of its own to this one."
            )

    # -- lines ------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[Book]:
        """Write inside the block, all or nothing; it is on the disk at the end of the block.

        The book is up to date inside.
        """
        self._check_file()
        with explaining(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self.read_lines()
                self._check_count()
                yield self.book
                self.write_meta("lines", self._count())
                self.read_lines()  # as it came back is how it is used
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _check_file(self) -> None:
        """Refuse to go on where the file is no longer the one at the path, and close it."""
        fault = self._watch.fault()
        if fault is not None:
            error = lost(self.path, fault, self._connection)
            self.close()
            raise error

    def _roll_back(self) -> None:
        """Undo, in the file and in the book."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self.book, self._last = Book(), dict.fromkeys(TABLES, 0)

    def add(self, table: str, lines: Iterable[tuple[Any, ...]]) -> list[int]:
        """Add lines, given without their number; return the numbers."""
        kind: Any = TABLES[table]
        numbered = [kind(number, *line) for number, line in enumerate(lines, self._last_number(table) + 1)]
        marks = ", ".join("?" * (len(kind._fields) + 1))
        self._connection.executemany(
            f"INSERT INTO {table} VALUES ({marks})", [(*line, seal(line)) for line in numbered]
        )
        return [line.number for line in numbered]

    def set_aside(self, item: Item) -> None:
        """Put an item that nobody asked for under an id of its own: its content is that of another row."""
        text = f"{from_json(item.id)!r}, another row ({item.content})"
        line = item._replace(id=to_json(text, "id"))
        change = "UPDATE items SET id = ?, seal = ? WHERE number = ?"
        self._connection.execute(change, (line.id, seal(line), line.number))
        self.book.replace_item(line)

    def refresh(self) -> Book:
        """Read what was added since, by whichever process."""
        self._check_file()
        with explaining(self.path):
            self._connection.execute("BEGIN")
            try:
                self.read_lines()
                self._check_count()
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")
        return self.book

    def read_lines(self) -> None:
        """Read what was added, inside a transaction."""
        for table in TABLES:
            self._read_table(table)

    def _check_count(self) -> None:
        """Refuse a file that lost lines at the end, which nothing else would show."""
        self.meta = self._read_meta()  # another process may have named classes
        kept = self.meta["lines"]
        if self._last != kept:
            raise damaged(self.path, f"it should have {kept} lines, and has {self._last}")

    def _count(self) -> dict[str, int]:
        return {table: self._last_number(table) for table in TABLES}

    def _last_number(self, table: str) -> int:
        return self._connection.execute(f"SELECT coalesce(max(number), 0) FROM {table}").fetchone()[0]

    def _read_table(self, table: str) -> None:
        kind: Any = TABLES[table]
        target = self.target if table == "answers" else None
        select = f"SELECT * FROM {table} WHERE number > ? ORDER BY number"
        for *values, sealed in self._connection.execute(select, (self._last[table],)):
            self._last[table] += 1
            if seal(values) != sealed or values[0] != self._last[table]:
                raise damaged(self.path, f"line {self._last[table]} of its {table} is not as it was written")
            line = kind(*values)
            if table == "answers":
                if line.state not in FROM_FILE:
                    raise damaged(self.path, f"answer {line.number} has the state {line.state!r}")
                line = line._replace(state=FROM_FILE[line.state])
                if target is not None and line.label is not None and line.label not in self.book.labels:
                    fault = fault_of_label(line.label, target)
                    if fault is not None:
                        raise damaged(self.path, f"the label of answer {line.number} is none: {fault}")
            self.book.add(table, line._replace(code=None, row=b"") if table == "points" else line)

    def point(self, item: int) -> tuple[bytes | None, bytes]:
        """Read the code and the row of a generated point."""
        select = "SELECT code, row FROM points WHERE number = ?"
        with explaining(self.path):
            return self._connection.execute(select, (self.book.points[item],)).fetchone()

    # -- meta -------------------------------------------------------------------------------------

    def write_meta(self, name: str, value: object) -> None:
        """Keep a value; in a transaction if it is to be kept with others."""
        text = json.dumps([value, seal([name, json.dumps(value)])])
        with explaining(self.path):
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, text))

    def _read_meta(self) -> dict[str, Any]:
        meta = {}
        for name, text in self._connection.execute("SELECT name, value FROM meta"):
            try:
                value, sealed = json.loads(text)
            except (ValueError, TypeError):
                sealed = value = None
            if sealed != seal([name, json.dumps(value)]):
                raise damaged(self.path, f"its note {name!r} is not as it was written")
            meta[name] = value
        if not {"pool", "lines"} <= set(meta):
            raise damaged(self.path, "a note of what it holds is missing")
        return meta

    def writer(self) -> dict[str, Any]:
        """Tell who took the lock last."""
        with explaining(self.path):
            return self._read_meta().get("writer", {})


def _described(pool: dict[str, Any]) -> str:
    """Name the kind of the labels of a pool with what limits them."""
    spec = pool.get("target") or {}
    said = ", ".join(f"{key}={spec[key]}" for key in sorted(spec)) if isinstance(spec, dict) else str(spec)
    return f"{type(target_of_task(pool['task'])).__name__}({said})"


def _close(connection: sqlite3.Connection, pid: int) -> None:
    """Close, save in a fork: there it would meddle with the files of its parent."""
    if pid == os.getpid():
        connection.close()


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file outlive a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
