"""The lock of the one campaign that drives a ledger: an SQLite file beside it, held exclusively.

The operating system frees it when the process ends, however it ends.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from pathlib import Path

from .errors import explaining


class WriterLock:
    """Holds ``<path>-lock``.

    Parameters
    ----------
    path : Path
        Of the ledger.
    """

    def __init__(self, path: Path):
        self.path = path.with_name(f"{path.name}-lock")
        self._connection: sqlite3.Connection | None = None
        self._pid = os.getpid()

    @property
    def held(self) -> bool:
        """Whether this object holds the lock; a fork does not hold its parent's."""
        return self._connection is not None and self._pid == os.getpid()

    def acquire(self) -> bool:
        """Take the lock; False if someone else has it."""
        if self.held:
            return True
        with explaining(self.path):
            connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                connection.close()
                if error.sqlite_errorname.startswith("SQLITE_BUSY"):
                    return False
                raise
        self._connection, self._pid = connection, os.getpid()
        self._closer = weakref.finalize(self, connection.close)
        return True

    def release(self) -> None:
        """Let the lock go."""
        if self.held:
            self._closer()
            self._connection = None
