"""Rounds of an earlier process, taken up without training what nobody looks at any more.

What a round asked and what was answered stand in the ledger. What else came of it is noted beside the ledger:
its lines of the history, what its network predicted where rounds are compared, and which refused points a
strategy was told of. A round whose note fits the ledger is taken up from both. Any other is computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from ..strategies import BaseStrategy
from ..utils.scalars import to_json
from ..utils.settings import describe
from .cache import Cache, NoCache
from .history import History, HistoryLine
from .identity import digest
from .journal import Journal, NoJournal
from .judge import Judge
from .models import Models
from .pool import Pool
from .records import Records


class Open(NamedTuple):
    """A question that had no answer yet when a round was asked."""

    round: int
    id: str  # JSON


class Note(NamedTuple):
    """What came of a round, besides its questions.

    Attributes
    ----------
    before : str
        Hash of the questions and answers before it.
    open : list of Open
        Questions of earlier rounds that had no answer yet.
    first : int
        Number of the first of `lines` in the history.
    lines : list of HistoryLine
        From the line of the round before, which may have been added to, on.
    encoded : bool
        Whether the pool had been encoded by then.
    agreement : dict or None
        From `Judge.get_state`.
    passed_on : list of str
        Ids, as JSON, of the refused points that a strategy had been told of.
    by_class : list of lists
        The scores of `lines` by class, as `ControlRows.by_class` has them.
    """

    before: str
    open: list[Open]
    first: int
    lines: list[HistoryLine]
    encoded: bool
    agreement: dict[str, Any] | None
    passed_on: list[str]
    by_class: list[list[Any]]


class Replay:
    """Notes what came of each round, and finds what an earlier process noted.

    Parameters
    ----------
    cache : Cache or NoCache
    journal : Journal or NoJournal
    pool : Pool
    records : Records
    history : History
    models : Models
    judge : Judge
    name : str
        Of the campaign in the ledger.
    seed : int
    """

    def __init__(
        self,
        cache: Cache | NoCache,
        journal: Journal | NoJournal,
        pool: Pool,
        records: Records,
        history: History,
        models: Models,
        judge: Judge,
        *,
        name: str,
        seed: int,
    ):
        self.cache, self.journal, self.pool, self.records = cache, journal, pool, records
        self.history, self.models, self.judge = history, models, judge
        self.name, self.seed = name, seed
        self._found: list[Note] | None = None  # of an earlier process, by round
        self._key: str | None = None
        self._n_lines = 0  # of the history, that were noted or taken up

    def open(self) -> list[Open]:
        """Return what waits for an answer."""
        if isinstance(self.cache, NoCache):
            return []
        return [Open(q.round, to_json(q.id, "id")) for q in self.records.pending.values()]

    def find(self, round_: int) -> Note | None:
        """Return the note of a round, if it fits the ledger as it is now."""
        if isinstance(self.cache, NoCache):
            return None
        if self._found is None:
            self._found = self._read_all()
        # The network that chose the last rows is scored on them later: its round is computed again.
        n_usable = len(self._found) - (self.judge.control.share > 0)
        return self._found[round_] if round_ < n_usable else None

    def restore(self, note: Note) -> None:
        """Bring the campaign where it was when the round was asked; only a warm start trains."""
        if self.records.labels():
            self.models.advance()
        if note.encoded:
            self.models.latent()
        self.history.lines[note.first :] = note.lines
        self._n_lines = len(self.history.lines)
        self.judge.set_state(note.agreement)
        self.judge.control.take_up(note.by_class)
        for question in self.records.refused():
            question.passed_on = to_json(question.id, "id") in note.passed_on

    def note(self, round_: int, open_: Sequence[Open]) -> None:
        """Note what came of a round that was computed; what is known of later ones no longer counts."""
        if isinstance(self.cache, NoCache):
            return
        self._found = (self._found or [])[:round_]
        first = max(self._n_lines - 1, 0)
        self._n_lines = len(self.history.lines)
        content = {
            "before": self._before(round_, open_),
            "open": [list(question) for question in open_],
            "first": first,
            "lines": [dict(vars(line)) for line in self.history.lines[first:]],
            "encoded": self.models.encoded is not None,
            "agreement": self.judge.get_state(),
            "passed_on": [to_json(q.id, "id") for q in self.records.questions if q.passed_on],
            "by_class": self.judge.control.scores_of(self.history.lines[first:]),
        }
        self.cache.write(self._name_of(round_), self._campaign(), content)

    def _read_all(self) -> list[Note]:
        """Read the notes from the first round on, as far as they fit the ledger."""
        found: list[Note] = []
        while (note := self._read(len(found))) and note.before == self._before(len(found), note.open):
            if found and found[-1].lines and note.lines:
                found[-1].lines[-1] = note.lines[0]  # the line of the round before, as it was in the end
            found.append(note)
        return found

    def _read(self, round_: int) -> Note | None:
        content = self.cache.read(self._name_of(round_), self._campaign())
        try:
            return None if content is None else _note(content)
        except (TypeError, ValueError, LookupError, AttributeError):  # of another version
            return None

    def _before(self, round_: int, open_: Collection[Open]) -> str:
        """Hash the questions and answers of the rounds before, as the ledger has them."""
        waiting = set(open_)
        told = [
            [id_, "" if Open(number, id_) in waiting else answer]
            for number in range(round_)
            for id_, answer in self.journal.told(number)
        ]
        return digest(repr(told))

    def _name_of(self, round_: int) -> str:
        return f"round-{self._campaign()[:16]}-{round_:05d}"

    def _campaign(self) -> str:
        """Name all that decides what comes of a round, besides questions and answers."""
        if self._key is None:
            pool = self.pool
            given = [pool.fingerprint(), pool.given, pool.given_labels, pool.target.classes]
            held_out = [pool.X_val, pool.y_val, self.judge.agreement is not None]
            self._key = digest(f"{self.name} {self.seed} {describe([given, held_out])}")
        return self._key


def _note(content: dict[str, Any]) -> Note:
    known = {name: content[name] for name in Note._fields}
    known["open"] = [Open(*question) for question in known["open"]]
    known["lines"] = [HistoryLine(**line) for line in known["lines"]]
    return Note(**known)


def memory_of(strategy: BaseStrategy) -> str:
    """Name what a strategy holds: one that remembers must see every round, so its rounds are not noted."""
    return describe(vars(strategy))
