"""A ledger's questions as a CSV file, and the lines of one that comes back, from whichever program."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import math
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..utils.files import writing
from ..utils.scalars import to_json
from .cells import guard, unguard
from .values import content_of

READ = (
    *("id", "id_type", "label", "label_type", "state", "reason", "annotator", "cost", "charged", "content"),
    *("kind", "answered_at"),
)
"""Columns that are read, in lower case."""
TYPED = ("id", "label")  # columns with one of their types beside them
FREE = ("reason", "annotator")  # text that anybody wrote
SEPARATORS = (",", ";", "\t")
FOLDER = "-labels"  # beside a file, after its stem: arrays that are labels
LIST, ARRAY = "list", "array"  # types of labels that are no scalars
_READABLE = 40  # characters of an id in the name of a file
_LIMIT = 2**31 - 1  # characters of a cell; csv stops at 131,072 unless told


class Entry(NamedTuple):
    """A line of a CSV file, as text."""

    where: str  # for errors
    cells: dict[str, str]

    def get(self, name: str, default: str = "") -> str:
        """Return a cell without the blanks around it, or the default where it is empty."""
        cell = self.cells.get(name, "")
        return (unguard(cell) if name in FREE else cell.strip()) or default

    def refuse(self, why: str) -> ValueError:
        """Return the error that names the line."""
        return ValueError(f"{self.where}: {why} Nothing of the file was recorded.")


def write(path: str | os.PathLike, frame: pd.DataFrame) -> None:
    """Write the questions, without the arrays of generated points; arrays that are labels, beside it."""
    frame["label"], types = _label_cells(Path(path), frame)
    columns = [name for name in frame if name not in ("code", "row")]
    for name in TYPED:
        columns.insert(columns.index(name) + 1, f"{name}_type")
        kinds = types if name == "label" else [_type_of(value) for value in frame[name]]
        frame[f"{name}_type"] = kinds
        frame[name] = [guard(v) if isinstance(v, str) else v for v in frame[name]]
    for name in FREE:
        frame[name] = [guard(v) if v else v for v in frame[name]]
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in frame[columns].itertuples(index=False):
            writer.writerow("" if v is None or v is pd.NA or _is_nan(v) else v for v in row)


def _type_of(value: object) -> str:
    if isinstance(value, tuple | np.ndarray):
        return LIST if isinstance(value, tuple) else ARRAY
    return "" if value is None else type(value).__name__


def _label_cells(path: Path, frame: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Return labels as cells, several as a list in JSON, and their types; arrays are written to files."""
    cells: list[Any] = []
    for id_, label in zip(frame["id"], frame["label"], strict=True):
        if isinstance(label, np.ndarray):
            folder = path.with_name(f"{path.stem}{FOLDER}")
            folder.mkdir(exist_ok=True)
            name = _file_name(id_, label)
            with writing(folder / name) as file:
                np.save(file, label, allow_pickle=False)
            label = f"{folder.name}/{name}"
        elif isinstance(label, tuple):
            label = json.dumps(list(label), ensure_ascii=False)
        cells.append(label)
    return pd.Series(cells, index=frame.index, dtype=object), [_type_of(label) for label in frame["label"]]


def _file_name(id_: object, label: np.ndarray) -> str:
    """Return a name for the file of an id's label: what is readable of the id, and a hash of both.

    So an older copy of the table, which names the label of its time, still finds that.
    """
    readable = re.sub("[^A-Za-z0-9_]+", "-", str(id_))[:_READABLE].strip("-")
    whole = f"{to_json(id_, 'id')} {content_of(label)}"
    digest = hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()
    return f"{readable}-{digest}.npy".lstrip("-")


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def read(path: str | os.PathLike) -> list[Entry]:
    """Read the lines of a file that are not empty."""
    limit = csv.field_size_limit(_LIMIT)
    try:
        header, separator, skipped, text = _head(path)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        names = _names(path, header)
        for _ in range(skipped + 1):
            next(reader)
        entries = []
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            if any(cell.strip() for cell in cells[len(names) :]):
                raise ValueError(f"{where}: more cells than there are columns.")
            cells += [""] * (len(names) - len(cells))
            found = {name: cell for name, cell in zip(names, cells, strict=False) if name}
            if any(cell.strip() for cell in found.values()):
                entries.append(Entry(where, found))
    except (csv.Error, UnicodeError) as error:
        raise ValueError(
            f"{path} is no CSV file in UTF-8: {error}. In a spreadsheet program, save it as 'CSV UTF-8'."
        ) from error
    finally:
        csv.field_size_limit(limit)
    return entries


def _head(path: str | os.PathLike) -> tuple[list[str], str, int, str]:
    """Return the header, the separator, the lines before the header, and the text of a file."""
    content = Path(path).read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if wide else "utf-8-sig")
    first = next(iter(text.splitlines()), "")
    skipped = int(first.strip().lower() in {f"sep={separator.strip()}" for separator in SEPARATORS})
    found = []
    for separator in SEPARATORS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        try:
            header = [cells for _, cells in zip(range(skipped + 1), reader, strict=False)][skipped:]
        except csv.Error:
            continue  # quotes that fit another separator
        found.append(
            (len({plain_name(name) for name in next(iter(header), [])} & set(READ)), header, separator)
        )
    _, header, separator = max(found, key=lambda choice: choice[0], default=(0, [], ","))
    return (header[0] if header else []), separator, skipped, text


def _names(path: str | os.PathLike, header: list[str]) -> list[str]:
    """Return the columns by the names that are read; refuse a header that does not name each once."""
    names = [plain_name(name) for name in header]
    missing = [name for name in TYPED if name not in names]
    if missing:
        raise ValueError(
            f"{path} has the columns {header}; it needs `id` and `label`, and `{missing[0]}` is missing. "
            "Ledger.to_csv writes such a file."
        )
    twice = next((name for name in READ if names.count(name) > 1), None)
    if twice:
        same = [name for name in header if plain_name(name) == twice]
        raise ValueError(f"{path} has the column {twice!r} more than once: {same}. Keep one of them.")
    return names


def plain_name(name: str) -> str:
    """Return the name of a column without what differs between programs and people."""
    return "_".join(name.replace("\ufeff", "").strip().strip('"').strip().lower().replace("-", " ").split())
