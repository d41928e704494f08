"""What label a cell of a CSV file means."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..targets import BaseTarget
from ..utils.scalars import to_json
from .answers import check_told, target_for
from .book import Book
from .cells import BOOLS, NO_LABEL, TYPES, look, looks_like, survives, unguard
from .csv_file import ARRAY, FOLDER, LIST, Entry
from .store import Store

_STRAIGHT = str.maketrans("“”„‟", '""""')  # quotes as some programs turn them


class LabelReader:
    """Reads labels: by the classes of the ledger, or where it has none by the types of labels.

    Parameters
    ----------
    store : Store
    book : Book
    entries : list of Entry
        The whole file: labels without a type are numbers only where all of them are.
    folder : Path
        Of the file, to which the paths of arrays are relative.
    """

    def __init__(self, store: Store, book: Book, entries: Iterable[Entry], folder: Path):
        self.store, self.target, self.folder = store, store.target, folder
        scalars = {} if self.target.written_as else book.labels
        self.known = [self.target.from_text(text) for text, n_items in scalars.items() if n_items]
        self.types = {type(label) for label in self.known}
        untyped = [unguard(entry.cells["label"]) for entry in entries if not entry.get("label_type")]
        self._read: set[Any] = set()  # labels of lines further up
        self.all_numbers = all(survives(text) is not None for text in untyped if text)

    def read(self, entry: Entry, item: int) -> Any:
        """Return the label of a line, checked.

        Raises
        ------
        ValueError
            If it is none of the classes, or cannot be told for sure.
        """
        cell = entry.cells["label"]
        kind = entry.get("label_type")
        target = target_for(self.store, item)
        allowed = [target.written_as] if target.written_as else list(TYPES)
        if kind and kind not in allowed:
            raise entry.refuse(f"the type {kind!r} is none of {allowed}.")
        where = ""
        if target.written_as == ARRAY:
            path = self.folder / unguard(cell).replace("\\", "/")
            label, where = _array(entry, path), f" It is in {path}."
        elif target.written_as == LIST:
            label = _listed(entry, unguard(cell), target)
        elif target.classes is not None:
            label = _class_of(cell, target)
        elif target.numeric:
            label = _number(cell)
        else:
            label = self._typed(entry, cell, kind)
            target.remember(list(self._read))
        try:
            if not target.written_as:
                to_json(label)
            label = check_told(label, target, entry.get("id"))
        except ValueError as error:
            raise entry.refuse(f"{error}{where}") from error
        if not target.written_as:
            self._read.add(label)
        return label

    def _typed(self, entry: Entry, cell: str, kind: str) -> Any:
        """Read a label by its type: that in the file, that of all others, or how it is written."""
        text = unguard(cell)
        if not kind and text.lower() in NO_LABEL and text not in self.known:
            raise entry.refuse(
                f"the label {text!r} may mean that there is none. Clear the cell, or write abstained as its "
                "state; if it is a class, write str as its label_type."
            )
        kinds = {TYPES[kind]} if kind else self.types
        if len(kinds) != 1:
            return survives(text) if self.all_numbers else text
        (made,) = kinds
        label = _parse(entry, text, made)
        others = [other for other in self.known if isinstance(other, str) and looks_like(other, text)]
        if isinstance(label, str) and label not in self.known and others:
            raise entry.refuse(
                f"the label {text!r} may be {others[0]!r}, changed by a spreadsheet program. Write it as it "
                "was; if both are classes, answer by Ledger.answer, or name them in classes=."
            )
        return label


def _array(entry: Entry, path: Path) -> np.ndarray:
    """Read the array in a file; a huge one only as it is used."""
    way = (
        "Write the path of a file of numpy.save there, relative to the CSV file, or clear the cell; keep "
        f"the folder that Ledger.to_csv wrote, *{FOLDER}, beside it."
    )
    if not path.is_file():
        raise entry.refuse(f"the label must be the path of an array, and there is no file {path}. {way}")
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, TypeError, OverflowError) as error:
        raise entry.refuse(f"the file {path} holds no array of numbers: {error}. {way}") from error
    if not isinstance(found, np.ndarray):
        found.close()
        raise entry.refuse(f"the file {path} holds several arrays. {way}")
    return found


def _listed(entry: Entry, text: str, target: BaseTarget) -> Any:
    """Read a list in JSON, or what stands between semicolons: numbers, classes, or a row of 0 and 1.

    A list that the file itself calls one holds classes, where it may be either.
    """
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else None
    try:
        parts = None if inner is None else json.loads(text.translate(_STRAIGHT))
    except (ValueError, RecursionError):
        parts = None
    if parts is None:
        separator = "," if inner is not None and ";" not in inner else ";"
        whole = inner is None and target.classes is not None and text in map(str, target.classes.tolist())
        parts = [text] if whole else (text if inner is None else inner).split(separator)
        parts = [part.strip().strip("\"'") for part in parts if part.strip()]
    if target.classes is None:
        return [_number(part) if isinstance(part, str) else part for part in parts]
    row = [survives(part) if isinstance(part, str) else part for part in parts]
    found = [_class_of(part, target) if isinstance(part, str) else part for part in parts]
    classes = target.classes.tolist()
    named = entry.get("label_type") == LIST and all(one in classes for one in found)
    if named and len({*found}) == len(found):
        return {*found}
    return row if len(row) == len(classes) and all(one in (0, 1) for one in row) else found


def _class_of(cell: str, target: BaseTarget) -> Any:
    """Return the class that a cell names, or its text where it names none."""
    assert target.classes is not None
    classes = target.classes.tolist()
    text = unguard(cell)
    for same in (
        lambda label: str(label) == text,
        lambda label: str(label) == cell,
        lambda label: str(label).strip() == text,
        lambda label: look(str(label)) == look(text) and _may_change(label),
    ):
        found = [label for label in classes if same(label)]
        if len(found) == 1:
            return found[0]
    return text


def _may_change(label: Any) -> bool:
    """Whether a program may write a label in another way without making it another label.

    A number may: 1.0 is 1. Of text, only True and False, and the ends of its lines, may.
    """
    return not isinstance(label, str) or label.lower() in BOOLS or len(label.splitlines()) > 1


def _number(cell: str) -> Any:
    text = unguard(cell)
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


def _parse(entry: Entry, text: str, kind: type) -> Any:
    """Read a scalar of a type."""
    try:
        if kind is bool:
            return BOOLS[text.lower()]
        number = look(text) if kind is int else text
        return int(number) if kind is int and number == int(number) else kind(text)
    except (ValueError, KeyError, TypeError) as error:
        raise entry.refuse(
            f"{text!r} is no {kind.__name__}, as the other labels are. If it is a label all the same, write "
            f"its type, one of {list(TYPES)}, in a column label_type."
        ) from error
