"""Whether the file of an open ledger is still the one at its path."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from .errors import LedgerError


class Watch:
    """Remembers a file that was opened, and its write-ahead log.

    Parameters
    ----------
    path : Path
        Of the ledger, which is open.
    """

    def __init__(self, path: Path):
        self.path = path
        self._known = {name: found for name in (path, f"{path}-wal") if (found := _identity(name))}
        self._size = os.path.getsize(path)

    def fault(self) -> str | None:
        """Say what became of the file since; None if it is there, and no shorter."""
        for name, known in self._known.items():
            found = _identity(name)
            if found is None:
                return f"{os.path.basename(name)} was deleted"
            if found != known:
                return f"{os.path.basename(name)} was replaced by another file"
        size = os.path.getsize(self.path)
        if size < self._size:
            return f"{os.path.basename(self.path)} was cut short from {self._size} to {size} bytes"
        self._size = size
        return None


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def lost(path: Path, fault: str, connection: sqlite3.Connection) -> LedgerError:
    """Return the error of an open ledger whose file is gone; what it held is written beside it."""
    saved = _rescue(path, connection)
    way = "Put a copy of it back"
    if saved:
        way = f"What it held is in {saved}: move that file to {path}, delete -wal and -shm that lie there"
    return LedgerError(
        f"The ledger {path} is gone: while it was open, {fault}. Nothing was recorded by this call. {way}, "
        "and go on with the same campaign. Answers that a campaign has taken are in its memory: "
        "campaign.queries is a table of them, campaign.save(file) keeps them, and a new campaign takes them "
        "as y and labeled."
    )


def _rescue(path: Path, connection: sqlite3.Connection) -> Path | None:
    """Write what an open connection still holds to a new file beside the path."""
    names = (path.with_name(f"{path.name}-rescued{number}") for number in ("", *range(2, 100)))
    target = next((name for name in names if not name.exists()), None)
    if target is None:
        return None
    try:
        with closing(sqlite3.connect(target)) as copy:
            connection.backup(copy)
            whole = copy.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
            n_tables = copy.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except (sqlite3.Error, OSError):
        whole = n_tables = 0
    if whole and n_tables:
        return target
    target.unlink(missing_ok=True)
    return None
