"""The durable record of every label: one SQLite file a labelling task, shared by the campaigns in it."""

from __future__ import annotations

from .errors import LedgerError, LedgerLockedError, LedgerMismatchError
from .ledger import Ledger, make_ledger

__all__ = ["Ledger", "LedgerError", "LedgerLockedError", "LedgerMismatchError", "make_ledger"]
