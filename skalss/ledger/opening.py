"""Checks of a file before anything of it is read: whether it is a ledger, and nothing but one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from .errors import LedgerError
from .tables import APPLICATION_ID, FORMAT, SCHEMA

AT_ONCE = 100_000  # steps of SQLite between two looks at their number


def check_path(path: Path, create: bool) -> None:
    """Refuse a path where there is no file, or with `create` where none can be made."""
    if path.is_file():
        return
    if path.exists():
        raise LedgerError(f"The ledger {path} is a folder; give the path of a file.")
    if not create:
        raise LedgerError(f"There is no ledger at {path}. A campaign with ledger= makes it; check the path.")
    if not path.parent.is_dir():
        raise LedgerError(f"The folder of the ledger {path} is not there. Make it, or give another path.")


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    """Return the value of a setting."""
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether a file is new, or was left without a table by a kill."""
    n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return n_tables == 0 and pragma(connection, "application_id") == 0


def check_format(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is no ledger, one of a newer format, and one with anything but a ledger's tables.

    A view in the place of a table may be without end, and a trigger or an index may run what it likes.
    """
    application, format_ = pragma(connection, "application_id"), pragma(connection, "user_version")
    if application != APPLICATION_ID or format_ < 1:
        raise LedgerError(f"{path} is no ledger. Give the path of a new file, or of a ledger.")
    if format_ > FORMAT:
        raise LedgerError(
            f"The ledger {path} has format {format_}, this version reads up to {FORMAT}. Upgrade skalss."
        )
    kept = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    found = {name: " ".join((sql or "").split()) for name, sql in connection.execute(kept)}
    differ = sorted(name for name in found.keys() | _TABLES.keys() if found.get(name) != _TABLES.get(name))
    if differ:
        raise LedgerError(
            f"{path} is no ledger as this package writes it: of its tables, views, indexes and triggers "
            f"{', '.join(map(repr, differ[:5]))} is missing, too many, or made in another way. Give the path "
            "of a new file, or restore a copy of the ledger."
        )


_TABLES = {
    statement.split()[2]: " ".join(statement.split()) for statement in SCHEMA.split(";") if statement.split()
}


@contextmanager
def limited(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """End what takes more steps inside the block than the size of the file explains."""
    size = sum(os.path.getsize(name) for name in (path, f"{path}-wal") if os.path.exists(name))
    allowed, looks = 100 + size // 1000, count()
    connection.set_progress_handler(lambda: next(looks) > allowed, AT_ONCE)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
