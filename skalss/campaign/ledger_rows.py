"""A pool and a ledger: whether they are of the same rows, and which row an id stands for."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ..ledger import LedgerMismatchError
from ..ledger.store import Store
from ..ledger.values import seal
from ..utils.ids import id_array, positions_in
from ..utils.scalars import from_json, to_json
from ..utils.tensors import chunk_rows, chunks
from .pool import Pool
from .questions import POOL


def check_ids(ids: np.ndarray) -> None:
    """Refuse ids that a ledger cannot keep."""
    if ids.dtype.kind not in "iubU":
        for id_ in ids:
            to_json(id_, "id")


def check_same_rows(store: Store, pool: Pool) -> None:
    """Refuse a pool in which an id of the ledger stands for another row.

    Only rows that the ledger knows are read. Of an answer that came in a file, with the id of one row and the
    content of another, it warns: nobody asked for it, so the row is asked, and the answer is not used.
    """
    wrong = []
    items = [item for item in store.book.items if item.kind == POOL]
    positions = positions_of(pool, [item.id for item in items])
    there = np.flatnonzero(positions >= 0)
    for piece in chunks(len(there), chunk_rows(pool.X.shape[1:])):
        contents = pool.contents(positions[there[piece]])
        for i, content in zip(there[piece], contents, strict=True):
            if content == items[i].content:
                continue
            if store.book.is_asked(items[i].number):
                raise other_row(store.path, from_json(items[i].id))
            wrong.append(from_json(items[i].id))
    if wrong:
        warnings.warn(
            f"The ledger {store.path} holds answers to {len(wrong)} ids, such as {wrong[:5]}, that came in a "
            "file and are of other rows than those in X. They are not used, and these rows may be asked "
            "again. If X is in another order than it was, pass sample_id=.",
            UserWarning,
            stacklevel=6,
        )


def other_row(path: Any, id_: Hashable) -> LedgerMismatchError:
    """Return the error of an id that stands for two rows."""
    return LedgerMismatchError(
        f"In the ledger {path} the id {id_!r} stands for another row than in X. One ledger serves one "
        "labelling task; for other data give a path of its own. If X is a part of the task's rows, as in the "
        "folds of a grid search, or in another order, pass sample_id= to fit: ids that stay with their rows."
    )


def positions_of(pool: Pool, ids: Sequence[str]) -> np.ndarray:
    """Find ids, as JSON, in the pool: positions, -1 where an id is not there."""
    wanted = [from_json(id_) for id_ in ids]
    if not wanted:
        return np.array([], dtype=np.intp)
    if pool.sample_id is None:
        whole = [i if type(i) is int and 0 <= i < len(pool) else -1 for i in wanted]
        return np.array(whole, dtype=np.intp)
    positions = positions_in(pool.sample_id, id_array(wanted))
    # 3, 3.0 and True are one id to pandas.
    found = [
        i if i >= 0 and to_json(pool.ids[i], "id") == id_ else -1
        for i, id_ in zip(positions, ids, strict=True)
    ]
    return np.array(found, dtype=np.intp)


def key_of_pool(pool: Pool) -> str:
    """Name the ids of a pool, in their order, and the labels known from the start."""
    digest = hashlib.blake2b(f"{len(pool)}".encode(), digest_size=16)
    if pool.sample_id is not None:
        for piece in chunks(len(pool), 4096):
            digest.update(repr(pool.sample_id[piece].tolist()).encode(errors="backslashreplace"))
    digest.update(np.ascontiguousarray(pool.given).tobytes())
    given = [str(label) if np.isscalar(label) else pool.target.to_text(label) for label in pool.given_labels]
    digest.update(f"{seal(given)}".encode())
    return digest.hexdigest()
