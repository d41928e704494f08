"""CSV files of ledgers, edited as people and spreadsheet programs do: answers lost or misread.

Each file has its own ledger, of texts, numbers or truth values, with or without classes. Some of its rows are
answered. Labels are typed into rows of any state, the file is changed as a program would change it, and what
the ledger then holds is compared with what was typed.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..ledger import Ledger
from ..ledger.cells import guard
from ..ledger.store import Store, now
from ..oracles import ABSTAIN, Failed
from ..utils.scalars import from_json, to_json
from .common import markdown_table

WORDS = [
    *("healthy", "ill", "007", "7", "1e5", "100000", "1.50", "TRUE", "NA", "None", "null", "nan", "-", "-1"),
    *("=1+1", "+49 30", "@home", "'tis", "'=2", "a;b", "a,b", "a\tb", 'say "no"', "two\nlines", " edge ", ""),
    *("Größe", "漢字", "🫀", "3 of 4", "2020-01-02", "0x10", "1_000", "x" * 300),
]
TASKS = ("text", "text, any", "int", "bool", "float")
ROWS = 12


def classes_of(task: str, rng: np.random.Generator) -> list[Any] | None:
    """Return the classes of a ledger; None where any label may come."""
    if task == "text":
        return [WORDS[i] for i in rng.choice(len(WORDS), 8, replace=False)]
    known: dict[str, list[Any]] = {"int": [-1, 0, 1, 2**60 + 1], "bool": [True, False]}
    return known.get(task)


def label_of(task: str, classes: list[Any] | None, rng: np.random.Generator) -> Any:
    """Draw a label."""
    if classes is not None:
        return classes[rng.integers(len(classes))]
    return float(rng.normal()) if task == "float" else ["healthy", "ill", "two words", "=A1"][rng.integers(4)]


def ids_of(rng: np.random.Generator) -> list[Any]:
    """Draw ids of one kind."""
    numbers = rng.choice(10**6, ROWS, replace=False).tolist()
    kinds: list[Callable[[int], Any]] = [
        lambda i: i,
        lambda i: 10**17 + i,
        lambda i: f"{i:08d}",
        lambda i: f"{WORDS[i % len(WORDS)]}{i}",
        lambda i: f"={i}+1",
        lambda i: i + 0.5,
        lambda i: f"{i}" if i % 2 else i,
    ]
    return list(map(kinds[rng.integers(len(kinds))], numbers))


def make_ledger(path: Path, task: str, rng: np.random.Generator) -> list[Any] | None:
    """Write a ledger in which all rows are asked and some answered; return its classes."""
    store = Store(
        path, {"task": "regression" if task == "float" else "classification", "dtype": "<f8", "shape": []}
    )
    classes = classes_of(task, rng)
    with store.writing():
        if classes is not None:
            store.keep_classes(classes)
        store.add("campaigns", [("settings", "pool", 0, "", now())])
        contents = [rng.bytes(16).hex() for _ in range(ROWS)]
        ids = [to_json(id_, "id") for id_ in ids_of(rng)]
        store.add("items", [(id_, content, "pool") for id_, content in zip(ids, contents, strict=True)])
        store.add("requests", [(1, i, 1, 0, "S", None, 0, "null", now(), "") for i in range(1, ROWS + 1)])
    store.close()
    with Ledger(path) as ledger:
        for id_ in ids[: ROWS // 2]:
            kind = rng.integers(6)
            answer = ABSTAIN if kind == 0 else Failed("down") if kind == 1 else label_of(task, classes, rng)
            ledger.answer(from_json(id_), answer, annotator="ann")
    return classes


def states(path: Path) -> dict[str, tuple[str, Any, str]]:
    """Return the state, the label and its type by id."""
    with Ledger(path) as ledger:
        frame = ledger.to_frame()
    rows = zip(frame["id"], frame["state"], frame["label"], strict=True)
    return {to_json(id_, "id"): (state, label, type(label).__name__) for id_, state, label in rows}


# -- what people and programs do -------------------------------------------------------------------

Table = list[list[str]]  # the first row names the columns


def typed(label: Any) -> str:
    """Return how a person writes a label: text that is a formula gets an apostrophe, as in the file."""
    return guard(label) if isinstance(label, str) else str(label)


def fill_in(
    table: Table, expected: dict[str, tuple[str, Any, str]], draw: Callable[[], Any], rng: np.random.Generator
) -> None:
    """Type labels and abstentions into some rows, and note what the ledger should then hold."""
    column = table[0].index
    for row, id_ in zip(table[1:], list(expected), strict=True):
        kind = rng.integers(4)
        if kind == 0:
            label = draw()
            row[column("label")] = typed(label)
            expected[id_] = ("labeled", label, type(label).__name__)
        elif kind == 1 and expected[id_][0] == "pending":
            row[column("state")] = "abstained"
            expected[id_] = ("abstained", None, "NoneType")


def through_pandas(table: Table, rng: np.random.Generator) -> Table:
    """Read with pandas as it comes, and write again."""
    text = io.StringIO()
    csv.writer(text).writerows(table)
    text.seek(0)
    return list(csv.reader(io.StringIO(pd.read_csv(text).to_csv(index=bool(rng.integers(2))))))


def numbers_shown(table: Table, rng: np.random.Generator) -> Table:
    """Drop zeros ahead of ids, write truth values in capitals, and end lines in cells in another way."""
    at = table[0].index("id")
    for row in table[1:]:
        row[at] = row[at].lstrip("0") if row[at].isdigit() and len(row[at]) < 12 else row[at]
        row[:] = [c.upper() if c in ("True", "False") else c.replace("\n", "\r\n") for c in row]
    return table


def reordered(table: Table, rng: np.random.Generator) -> Table:
    """Sort rows and columns anew."""
    columns, rows = rng.permutation(len(table[0])), rng.permutation(len(table) - 1) + 1
    return [[table[i][j] for j in columns] for i in [0, *rows]]


def padded(table: Table, rng: np.random.Generator) -> Table:
    """Add empty rows and columns."""
    n = int(rng.integers(1, 4))
    return [[*row, *[""] * n] for row in table] + [[""] * (len(table[0]) + n)] * n


def renamed(table: Table, rng: np.random.Generator) -> Table:
    """Write the header in another way."""
    ways: list[Callable[[str], str]] = [str.upper, str.title, " {} ".format, lambda n: n.replace("_", " ")]
    return [list(map(ways[rng.integers(len(ways))], table[0])), *table[1:]]


def thinned(table: Table, rng: np.random.Generator) -> Table:
    """Drop the rows without an answer, and columns that nobody needs."""
    kept = [
        j for j, name in enumerate(table[0]) if name not in ("seed", "round", "strategy", "score", "version")
    ]
    state, label = table[0].index("state"), table[0].index("label")
    rows = [row for row in table[1:] if row[state] != "pending" or row[label].strip()]
    return [[row[j] for j in kept] for row in [table[0], *rows]]


CHANGES = (numbers_shown, thinned, reordered, padded, renamed)


def save(table: Table, path: Path, rng: np.random.Generator) -> None:
    """Write a table as one of many programs does."""
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=str(rng.choice([",", ";", "\t"])),
        quoting=csv.QUOTE_ALL if rng.integers(2) else csv.QUOTE_MINIMAL,
        lineterminator=str(rng.choice(["\n", "\r\n"])),
    )
    writer.writerows(table)
    path.write_bytes(text.getvalue().encode(str(rng.choice(["utf-8", "utf-8-sig", "utf-16"]))))


def formulas(table: Table) -> int:
    """Count the cells that a program would take for formulas; numbers are none."""
    return sum(
        cell[:1] in tuple("=+-@\t\r") and not _is_number(cell) for row in table for cell in row if cell
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def one_file(folder: Path, seed: int) -> Counter[str]:
    """Edit a file of a new ledger, read it, and count what went wrong."""
    rng = np.random.default_rng(seed)
    task, path, sheet = TASKS[seed % len(TASKS)], folder / f"{seed}.ledger", folder / f"{seed}.csv"
    classes = make_ledger(path, task, rng)
    expected = states(path)
    with Ledger(path) as ledger:
        ledger.to_csv(sheet)
    with sheet.open(newline="", encoding="utf-8") as file:
        table = list(csv.reader(file))
    counts = Counter(formulas=formulas(table))
    if rng.integers(3) == 0:
        table = through_pandas(table, rng)
    fill_in(table, expected, lambda: label_of(task, classes, rng), rng)
    for change in CHANGES:
        if rng.integers(2):
            table = change(table, rng)
    save(table, sheet, rng)
    before = states(path)
    counts["answers"] += sum(expected[id_] != before[id_] for id_ in expected)
    with warnings.catch_warnings(), Ledger(path) as ledger:
        warnings.simplefilter("ignore")
        try:
            n_recorded = ledger.read_csv(sheet, annotator="bob")
            again = ledger.read_csv(sheet, annotator="bob")
        except ValueError as error:
            counts["refused"] += 1
            print(f"file {seed}: {error}", file=sys.stderr)
            return counts
    found = states(path)
    wrong = [id_ for id_ in expected if found[id_] != expected[id_]]
    counts["lost"] += sum(found[id_] == before[id_] for id_ in wrong)
    counts["misread"] += sum(found[id_] != before[id_] for id_ in wrong)
    counts["twice"] += again
    counts["recorded"] += n_recorded
    for id_ in wrong:
        print(f"file {seed}, {task}: id {id_}: {found[id_]}, and not {expected[id_]}", file=sys.stderr)
    return counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print the table, and exit with an error if an answer was lost or misread."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks csv-edits", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seed, options.seed + options.files):
            counts += one_file(Path(folder), seed)
    rows = [
        ["answers typed", counts["answers"]],
        ["answers lost", counts["lost"]],
        ["answers misread", counts["misread"]],
        ["answers recorded again by the same file", counts["twice"]],
        ["files refused", counts["refused"]],
        ["cells that are formulas", counts["formulas"]],
    ]
    print(markdown_table([f"{options.files} edited files", "count"], rows))
    if any(count for _, count in rows[1:]):
        sys.exit(1)


if __name__ == "__main__":
    main()
