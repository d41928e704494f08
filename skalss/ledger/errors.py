"""What can go wrong with a ledger, in words that name the next step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class LedgerError(RuntimeError):
    """A ledger cannot be read or written: missing, damaged, of a newer format, or the disk is full.

    Attributes
    ----------
    answers : sequence of (id, answer)
        What an oracle had answered, and could not be written down.
    """

    answers: Sequence[tuple[Any, Any]] = ()


class LedgerLockedError(LedgerError):
    """Another campaign drives the ledger, or another program holds its file."""


class LedgerMismatchError(LedgerError, ValueError):
    """A ledger of other data or of another task, or an answer in it that this campaign cannot use."""


# By the start of SQLite's name of the error: what it means, and what to do.
_MEANINGS = {
    "SQLITE_CORRUPT": "is damaged",
    "SQLITE_NOTADB": "is no ledger, or is damaged",
    "SQLITE_FULL": "could not be written: the disk is full. Free some space and go on; what was recorded is "
    "kept",
    "SQLITE_READONLY": "may not be written to. Give this user the right to write to the file and its folder",
    "SQLITE_CANTOPEN": "cannot be opened. Check that it is a file in a folder that exists, and the rights "
    "to it",
    "SQLITE_IOERR": "could not be read or written: the disk reported an error. Check the disk; a network "
    "folder will not do",
}
RESCUE = (
    "Restore a backup copy; what can still be read of this file, `sqlite3 FILE .recover` of SQLite's command "
    "line writes out."
)


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn SQLite's errors inside the block into a `LedgerError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(path, error) from error
    except UnicodeDecodeError as error:  # SQLite does not look at the text it gives
        raise damaged(path, f"a text in it is none ({error})") from error


def _explained(path: Path, error: sqlite3.Error) -> LedgerError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LedgerLockedError(
            f"Another program has held the ledger {path} for long ({error}). End it, a viewer of databases "
            "for instance, and try again."
        )
    for start, meaning in _MEANINGS.items():
        if name.startswith(start):
            rescue = f" {RESCUE}" if start in ("SQLITE_CORRUPT", "SQLITE_NOTADB") else ""
            return LedgerError(f"The ledger {path} {meaning} ({error}).{rescue}")
    # A table that is not there, or a value of the wrong type: no program of ours wrote that.
    return LedgerError(f"The ledger {path} cannot be used ({error}). {RESCUE}")


def damaged(path: Path, what: str) -> LedgerError:
    """Return the error of a file whose content is not what was written."""
    return LedgerError(f"The ledger {path} is damaged: {what}. {RESCUE}")
