"""Ledgers with questions about rows whose labels are of any kind, without a campaign."""

import sqlite3

import numpy as np

from skalss import Ledger
from skalss.ledger.store import Store
from skalss.ledger.values import seal
from skalss.targets import Classes, ClassMap, Labels, ValueMap, Values

ROW = (1, 4, 5)  # shape of a row
RNG = np.random.default_rng(0)
MASKS = RNG.choice([0, 3, 255], size=(3, 4, 5)).astype(np.uint8)
FIELDS = np.where(RNG.random((3, 4, 5)) < 0.2, np.nan, RNG.normal(size=(3, 4, 5)))
KINDS = {  # target, three labels as they are kept, the same three as others may answer them
    "class": (Classes(), ["cat", "dog", "emu"], ["cat", np.str_("dog"), np.array(["emu"])]),
    "value": (Values(), [1.0, -2.5, 1e-30], [1, np.float32(-2.5), np.array(1e-30)]),
    "values": (Values(2), [(1.0, 1 / 3), (0.0, 1.0), (1e-30, -5.0)], [[1, 1 / 3], np.arange(2), (1e-30, -5)]),
    "names": (
        Labels(["car", "dog", "=sky; blue"]),
        [("car",), (), ("=sky; blue", "dog")],
        [["car"], [0, 0, 0], {"dog", "=sky; blue"}],
    ),
    "columns": (Labels([0, 1]), [(0, 1), (1,), ()], [[1, 1], {1}, np.array([0, 0])]),
    "numbers": (Labels([1, 3, 10]), [(1,), (3, 10), ()], [[1], [0, 1, 1], set()]),
    "mask": (ClassMap([0, 3], ignore=255), list(MASKS), [MASKS[0].astype(int), MASKS[1].tolist(), MASKS[2]]),
    "field": (ValueMap(), list(FIELDS), [np.ma.masked_invalid(FIELDS[0]), FIELDS[1].tolist(), FIELDS[2].T.T]),
}


def pool_of(target, shape=ROW):
    """Return what a campaign notes of its rows and labels."""
    target = target.copy()
    target.know_rows(shape)
    pool = {"task": target.task, "dtype": "<f4", "shape": list(shape)}
    return {**pool, "target": target.spec} if target.spec else pool


def make_ledger(path, target, n_items=4, shape=ROW):
    """Return a ledger that holds the ids "row 0", "row 1", ..."""
    store = Store(path, pool_of(target, shape))
    with store.writing():
        if target.classes is not None:
            store.keep_classes(target.classes.tolist())
        store.add("items", [(f'"row {i}"', f"{i:032x}", "pool") for i in range(n_items)])
    store.close()
    return Ledger(path)


def forge(path, change, table="answers", number=1):
    """Change a line of a closed ledger, with a checksum that fits."""
    connection = sqlite3.connect(path)
    cursor = connection.execute(f"SELECT * FROM {table} WHERE number = ?", (number,))
    names = [column[0] for column in cursor.description][:-1]
    line = {**dict(zip(names, cursor.fetchone(), strict=False)), **change}
    words = ", ".join(f"{name} = ?" for name in line)
    values = [*line.values(), seal(line.values()), number]
    connection.execute(f"UPDATE {table} SET {words}, seal = ? WHERE number = ?", values)
    connection.commit()
    connection.close()
