"""Answers out of a CSV file: what is new in it is recorded, and what is passed over is named."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from ..oracles import Abstain, Failed
from ..oracles.base import ABSTAINED, FAILED, LABELED, PENDING
from .answers import check_cost, differ, from_line, to_line
from .book import Book
from .cells import BOOLS, looks_like, unguard
from .csv_file import Entry
from .csv_ids import ItemFinder
from .csv_labels import LabelReader
from .store import Store
from .tables import FROM_FILE, Answer

CLEARED = "are labeled by their state and have no label; nothing changes. To take one back, write abstained"
AT_ODDS = "have a state without a label, and the label recorded; nothing changes. To take it back, clear it"
NO_ONE_WAITS = "failed by the file, but nobody waits for them; nothing was recorded"
NO_LABEL = "have a reason but no label; write abstained or failed as their state"
CHANGED = "have a label that a spreadsheet program seems to have changed; the one recorded stays"


class CsvAnswers:
    """Takes the answers of a file, line by line.

    Parameters
    ----------
    entries : list of Entry
    store : Store
        In a transaction.
    book : Book
    annotator : str
        Who answered, where the file does not say.
    folder : Path
        Of the file, to which the paths of arrays are relative.

    Attributes
    ----------
    notes : dict of str to list of str
        What was passed over and why, with the ids.
    """

    def __init__(self, entries: list[Entry], store: Store, book: Book, annotator: str, folder: Path):
        self.entries, self.store, self.book, self.annotator = entries, store, book, annotator
        self.finder, self.labels = ItemFinder(store, book), LabelReader(store, book, entries, folder)
        self.target = store.target
        self.notes: dict[str, list[str]] = defaultdict(list)
        self._lines: list[tuple[Any, ...]] = []
        self._seen: dict[int, dict[str, Any]] = defaultdict(dict)  # item: annotator: answer
        self._failed: set[int] = set()

    def record(self) -> int:
        """Add the answers that are new; return their number.

        Raises
        ------
        ValueError
            With the line that cannot be read.
        """
        for entry in self.entries:
            state, has_label = self._state(entry), bool(entry.get("label"))
            if state in ("", PENDING) and not has_label:
                if entry.get("reason"):
                    self._note(NO_LABEL, entry)
                continue
            item = self.finder.find(entry)
            if has_label:
                self._label(entry, item, state)
            elif state == LABELED:
                self._note(CLEARED, entry)
            elif state == ABSTAINED:
                self._answer(entry, item, Abstain(entry.get("reason")))
            else:
                self._fail(entry, item)
        self.store.add("answers", self._lines)
        return len(self._lines)

    def _note(self, why: str, entry: Entry) -> None:
        self.notes[why].append(entry.get("id"))

    def _state(self, entry: Entry) -> str:
        given = entry.get("state").lower()
        state = FROM_FILE.get(given, given)
        known = (PENDING, LABELED, ABSTAINED, FAILED)
        if state not in ("", *known):
            raise entry.refuse(f"the state {given!r} is none of {list(known)}.")
        return state

    # -- the kinds of answers ---------------------------------------------------------------------

    def _label(self, entry: Entry, item: int, state: str) -> None:
        """Take a label, whatever the state of its row says: that is what it was when the file was written."""
        cell = unguard(entry.cells["label"])
        stamped = self._stamped(entry, item)
        old = self._as_read(stamped)
        if isinstance(old, str | int | float) and looks_like(old, cell) and not self._is_a_label(cell):
            if isinstance(old, str):
                self._note(CHANGED, entry)
            return
        label = self.labels.read(entry, item)
        was = None if stamped is None else stamped.state
        if (
            state in (ABSTAINED, FAILED)
            and state != was
            and not self._differ(self._as_read(self.book.known(item)), label)
        ):
            self._note(AT_ODDS, entry)
            return
        self._answer(entry, item, label)

    def _as_read(self, line: Answer | None) -> Any:
        return None if line is None else from_line(line, self.target)

    def _differ(self, first: Any, second: Any) -> bool:
        return differ(first, second, self.target)

    def _is_a_label(self, cell: str) -> bool:
        """Whether a cell is just how a class, or a label that is there, is written."""
        classes = self.labels.known if self.store.classes is None else self.store.classes
        return cell in map(str, classes)

    def _answer(self, entry: Entry, item: int, answer: Any) -> None:
        who = self._who(entry, item)
        if not self._differ(self._as_read(self._stamped(entry, item)), answer):
            return  # as it was written; it may have been corrected since
        for other, earlier in self._seen[item].items():
            if self._differ(earlier, answer) and not (who and other and who != other):
                raise entry.refuse(f"id {entry.get('id')!r} has another answer further up; keep one of them.")
        if who in self._seen[item] or self._is_known(item, answer, who):
            self._seen[item].setdefault(who, answer)
            return
        waiting = [] if self._seen[item] else [request.number for request in self.book.waiting(item)]
        self._seen[item][who] = answer
        request = waiting[-1] if waiting else None
        self._add(entry, item, request, answer, who)

    def _fail(self, entry: Entry, item: int) -> None:
        answer = Failed(entry.get("reason"), self._bool(entry, "charged"))
        if item in self._failed:
            return
        earlier = [self._as_read(line) for line in self.book.answers_of(item) if line.state == FAILED]
        if answer in earlier and entry.get("answered_at"):
            return  # as it was written
        self._failed.add(item)
        waiting = self.book.waiting(item)
        if not waiting:
            self._note(NO_ONE_WAITS, entry)
        for request in waiting:
            self._add(entry, item, request.number, answer, self._who(entry, item))

    def _add(self, entry: Entry, item: int, request: int | None, answer: Any, who: str) -> None:
        line = to_line(item, request, answer, self.target, cost=self._cost(entry), annotator=who)
        self._lines.append(line)

    # -- what is known already --------------------------------------------------------------------

    def _is_known(self, item: int, answer: Any, who: str) -> bool:
        """Whether an answer says nothing new: it counts already, or this annotator's last was the same."""
        lines = [line for line in self.book.answers_of(item) if line.state != FAILED]
        if who:  # a second one who says the same is new
            lines = [line for line in lines if line.annotator == who]
        return bool(lines) and not self._differ(self._as_read(lines[-1]), answer)

    def _stamped(self, entry: Entry, item: int) -> Answer | None:
        """Return the answer that stood in the line when the file was written."""
        at = entry.get("answered_at")
        lines = self.book.answers_of(item) if at else []
        return next((line for line in reversed(lines) if line.answered_at == at), None)

    def _who(self, entry: Entry, item: int) -> str:
        """Return who answered; the name beside an answer that was corrected is that of who gave it first."""
        given, stamped = entry.get("annotator"), self._stamped(entry, item)
        if self.annotator and stamped is not None and given == stamped.annotator.strip():
            return self.annotator
        return given or self.annotator

    # -- cells ------------------------------------------------------------------------------------

    def _bool(self, entry: Entry, name: str) -> bool:
        text = entry.get(name, "false").lower()
        if text not in BOOLS:
            raise entry.refuse(f"{name} must be True or False, got {text!r}.")
        return BOOLS[text]

    def _cost(self, entry: Entry) -> float:
        try:
            return check_cost(float(entry.get("cost", "0")))
        except ValueError as error:
            got = entry.get("cost")
            raise entry.refuse(f"cost must be a finite number of at least 0, got {got!r}.") from error
