"""Which item a line of a CSV file speaks of."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from ..utils.scalars import from_json, to_json
from .book import Book
from .cells import BOOLS, TYPES, look, survives, unguard
from .csv_file import Entry
from .store import Store
from .tables import Item

KINDS = ("pool", "generated")


class ItemFinder:
    """Finds items by the id in a line, also one that a spreadsheet program has changed.

    Parameters
    ----------
    store : Store
        In a transaction.
    book : Book
    """

    def __init__(self, store: Store, book: Book):
        self.store, self.book = store, book
        self._by_look: dict[Any, list[Item]] | None = None  # made when it is needed

    def find(self, entry: Entry) -> int:
        """Return the number of the item; one that was never asked is added, if the line says what it holds.

        Raises
        ------
        ValueError
            If the id is none, or that of another row.
        """
        cell, kind = entry.cells.get("id", ""), entry.get("id_type")
        if kind and kind not in TYPES:
            raise entry.refuse(f"the type {kind!r} is none of {list(TYPES)}.")
        if not cell.strip():
            raise entry.refuse("it has an answer and no id.")
        content = entry.get("content")
        item = self._as_written(entry, cell, kind) or self._as_changed(entry, cell, content)
        if item is None:
            return self._add(entry, cell, kind, content)
        if content not in ("", item.content):
            raise entry.refuse(f"id {from_json(item.id)!r} is another row here: its content differs.")
        return item.number

    def _as_written(self, entry: Entry, cell: str, kind: str) -> Item | None:
        items: list[Item] = []
        for text in (unguard(cell), cell):
            ids = {to_json(id_, "id") for id_ in _readings(text, kind)} if not items else ()
            items += [item for id_ in sorted(ids) if (item := self.book.item(id_)) is not None]
        if len(items) > 1:
            raise entry.refuse(
                f"id {cell!r} may be {[from_json(i.id) for i in items]}; add a column id_type."
            )
        return items[0] if items else None

    def _as_changed(self, entry: Entry, cell: str, content: str) -> Item | None:
        """Find an id that a program may have changed: a number, or a text whose content proves it."""
        if self._by_look is None:
            self._by_look = defaultdict(list)
            for item in self.book.items:
                self._by_look[look(str(from_json(item.id)))].append(item)
        alike = self._by_look.get(look(unguard(cell)), [])
        numbers = [item for item in alike if not isinstance(from_json(item.id), str)]
        proven = [item for item in alike if item.content == content]
        if len(numbers) == len(alike) == 1 or len(proven) == 1:
            return (proven or numbers)[0]
        if alike:
            raise entry.refuse(
                f"id {cell!r} was never asked here, but {[from_json(i.id) for i in alike[:3]]} was: a "
                "spreadsheet program may have changed it. Write it as it was, or keep the column content of "
                "Ledger.to_csv."
            )
        return None

    def _add(self, entry: Entry, cell: str, kind: str, content: str) -> int:
        if not content or not kind:
            raise entry.refuse(
                f"id {cell!r} was never asked here. To bring answers from another ledger, keep the columns "
                "id_type, content and kind of Ledger.to_csv."
            )
        if not re.fullmatch("[0-9a-f]{32}", content) or entry.get("kind", KINDS[0]) not in KINDS:
            raise entry.refuse(
                f"id {cell!r} was never asked here, and its content {content!r} or kind "
                f"{entry.get('kind')!r} is not what Ledger.to_csv writes. Keep these columns as they were."
            )
        ids = _readings(unguard(cell), kind)
        if not ids:
            raise entry.refuse(f"the id {cell!r} is no {kind}, as id_type says.")
        try:
            id_ = to_json(ids[0], "id")
        except ValueError as error:
            raise entry.refuse(str(error)) from error
        (number,) = self.store.add("items", [(id_, content, entry.get("kind", KINDS[0]))])
        self.store.read_lines()
        self._by_look = None
        return number


def _readings(text: str, kind: str) -> list[Any]:
    """Return what an id's text may stand for."""
    if kind == "bool" or (not kind and text.lower() in BOOLS):
        found = [BOOLS[text.lower()]] if text.lower() in BOOLS else []
        return found if kind else [text, *found]
    if kind:
        try:
            ids = [TYPES[kind](text)]
        except ValueError:
            ids = []
    else:
        ids = [text, *([] if survives(text) is None else [survives(text)])]
    return [id_ for id_ in ids if not isinstance(id_, float) or abs(id_) < float("inf")]
