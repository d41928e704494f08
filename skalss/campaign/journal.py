"""The ledger as one campaign sees it: its questions written, its answers found again.

A campaign that starts anew finds what it asked before, round by round, and takes the recorded answers
instead of asking for them.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import warnings
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from ..ledger import Ledger, LedgerLockedError, LedgerMismatchError
from ..ledger.answers import from_line, to_line
from ..ledger.lock import WriterLock
from ..ledger.store import Store, now, version
from ..ledger.tables import Answer, CampaignLine, Request
from ..ledger.values import content_of
from ..oracles import Abstain, Failed
from ..oracles.base import ABSTAINED, FAILED, LABELED, PENDING
from ..utils.arrays import pack, unpack
from ..utils.checks import checked_random_state
from ..utils.scalars import from_json, to_json
from .identity import (
    earlier_name_in_ledger,
    name_in_ledger,
    names_more_than_before,
    old_name_in_ledger,
    warn_of_faults,
)
from .ledger_rows import check_ids, check_same_rows, key_of_pool, other_row, positions_of
from .pool import Pool
from .questions import GENERATED, POOL, Question

SeedLike = int | np.random.RandomState | None


class Answered(NamedTuple):
    """An answer as a journal keeps it.

    Attributes
    ----------
    answer : label, Abstain or Failed
    cost : float
        0 where whoever answered named none.
    annotator : str
    """

    answer: Any
    cost: float
    annotator: str


class NoJournal:
    """Keeps nothing: the campaign's memory is all there is. What `Journal` does, without a file."""

    def choose_seed(self, random_state: SeedLike) -> int:
        """Draw the seed of a campaign."""
        return int(checked_random_state(random_state).randint(2**31 - 1))

    def start(self, seed: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def round(self, round_: int) -> list[Request]:
        """Return nothing: no other process asked before."""
        return []

    def told(self, round_: int) -> list[tuple[str, str]]:
        """Return nothing."""
        return []

    def as_asked(self, requests: Sequence[Request], questions: list[Question]) -> list[Question]:
        """Return the questions as they are."""
        return questions

    def ask(self, questions: Sequence[Question]) -> None:
        """Do nothing."""

    def recorded(self, questions: Sequence[Question]) -> list[tuple[Question, Answered]]:
        """Return nothing: nobody else answers."""
        return []

    def corrected(self, questions: Sequence[Question]) -> list[tuple[Question, Answered]]:
        """Return nothing: nobody else corrects."""
        return []

    def record(self, questions: Sequence[Question], answers: Sequence[Any], annotator: str) -> list[Any]:
        """Return the answers as they are."""
        return list(answers)


def make_journal(ledger: Ledger | None, pool: Pool, sampler: BaseEstimator) -> Journal | NoJournal:
    """Return the journal of a campaign: what it keeps in its ledger, if it has one."""
    if ledger is None:
        return NoJournal()
    warn_of_faults(sampler, ledger.path)
    names = [name_in_ledger(sampler), earlier_name_in_ledger(sampler), old_name_in_ledger(sampler)]
    if pool.codes is not None:  # earlier versions took none
        names = [name_in_ledger(sampler, pool.name_of_codes())]
    return Journal(ledger, pool, names, is_new_name=names_more_than_before(sampler))


class Journal:
    """What a campaign reads from its ledger and writes into it.

    Parameters
    ----------
    ledger : Ledger
    pool : Pool
    names : sequence of str
        Of the campaign's settings: what new lines get, and what older versions called the same settings.
    is_new_name : bool, default=False
        Whether older versions gave the same name to settings that are told apart now.

    Raises
    ------
    LedgerError
        If the file is damaged, of a newer format, of other data or of another task.
    """

    def __init__(self, ledger: Ledger, pool: Pool, names: Sequence[str], *, is_new_name: bool = False):
        self.path, self.pool, self.names, self.is_new_name = ledger.path, pool, names, is_new_name
        check_ids(pool.ids)
        for label in () if pool.target.classes is None else pool.target.classes.tolist():
            to_json(label)  # before anything is bought: what a file cannot keep is refused
        dtype, shape = pool.kind_of_rows()
        self._rows = {"task": pool.target.task, "dtype": dtype, "shape": shape}
        target = pool.target.copy()
        target.know_rows(tuple(shape))
        if target.spec:  # one label a row has none, and the same note in the file as ever
            self._rows["target"] = target.spec
        self._pool_key = key_of_pool(pool)
        self._number: int | None = None  # of the campaign in the file
        self._n_read = 0  # answers looked through for corrections
        self._times: Counter[Any] = Counter()  # how often this campaign asked an id
        self._requests: dict[str, Request] = {}  # what waits, by id
        self._lock = WriterLock(self.path)
        self._store: Store | None = Store(self.path, self._rows)
        try:
            check_same_rows(self._store, pool)
        except BaseException:
            self.close()
            raise

    # -- the start and the end --------------------------------------------------------------------

    def choose_seed(self, random_state: SeedLike) -> int:
        """Draw the seed of a campaign; without a random state, that of the last with the same settings."""
        assert self._store is not None
        if random_state is None and (lines := self._our_lines(self._store.book.campaigns)):
            return lines[-1].seed
        return int(checked_random_state(random_state).randint(2**31 - 1))

    def start(self, seed: int) -> None:
        """Take the ledger for this campaign, and note it there.

        Raises
        ------
        LedgerLockedError
            If another campaign drives it.
        """
        store = self._open()
        with store.writing() as book:
            if self.pool.target.classes is not None:
                store.keep_classes(self.pool.target.classes.tolist())
            for line in self._our_lines(book.campaigns):
                if line.seed == seed:
                    self._number = line.number
                    self._check_name(line)
                    return
            new = (self.names[0], self._pool_key, seed, version(), now())
            (self._number,) = store.add("campaigns", [new])

    def _is_ours(self, line: CampaignLine) -> bool:
        """Whether a campaign in the file has the same settings and the same pool."""
        return line.settings in self.names and line.pool == self._pool_key

    def _our_lines(self, lines: Sequence[CampaignLine]) -> list[CampaignLine]:
        """Return the campaigns in the file with the same settings; without any, those of an older name."""
        ours = [line for line in lines if self._is_ours(line)]
        return [line for line in ours if line.settings == self.names[0]] or ours

    def _check_name(self, line: CampaignLine) -> None:
        """Warn where an older version may have meant another campaign."""
        if line.settings != self.names[0] and self.is_new_name:
            warnings.warn(
                f"Campaign {line.number} in the ledger {self.path} was begun by an older version, which did "
                "not tell weights, functions without a name and attributes of modules apart. It is taken for "
                "this one, and goes on. If it had others, start with another ledger or random_state.",
                UserWarning,
                stacklevel=2,
            )

    def close(self) -> None:
        """Let the ledger go; it is opened again when it is needed."""
        if self._store is not None:
            self._store.close()
        self._store = None
        self._lock.release()

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what was asked, not the open file."""
        return {**vars(self), "_store": None, "_lock": WriterLock(self.path)}

    def _open(self) -> Store:
        """Return the open file, with the lock."""
        if self._store is None or not self._store.usable:
            self._store = self._reopen()
        if not self._lock.held:
            if not self._lock.acquire():
                raise LedgerLockedError(_who_holds(self.path, self._store.writer()))
            holder = {"pid": os.getpid(), "host": platform.node(), "since": now()}
            self._store.write_meta("writer", holder)
        return self._store

    def _reopen(self) -> Store:
        store = Store(self.path)
        kept = store.book.campaigns[self._number - 1 : self._number] if self._number else []
        if store.meta["pool"] != self._rows or not any(map(self._is_ours, kept)):
            store.close()
            raise LedgerMismatchError(
                f"{self.path} is not the ledger that this campaign began with. Put that file back, or start "
                "a new campaign with this one."
            )
        return store

    # -- questions --------------------------------------------------------------------------------

    def round(self, round_: int) -> list[Request]:
        """Return what this campaign asked in a round before, in this process or an earlier one."""
        return self._open().refresh().round(self._campaign, round_)

    def told(self, round_: int) -> list[tuple[str, str]]:
        """Return the ids, as JSON, that this campaign asked in a round, each with its answer so far."""
        book = self._open().book
        found = []
        for request in book.round(self._campaign, round_):
            line = book.answer_to(request)
            answer = "" if line is None else repr((line.state, _name(line.label), line.cost, line.charged))
            found.append((book.items[request.item - 1].id, answer))
        return found

    @property
    def _campaign(self) -> int:
        assert self._number is not None
        return self._number

    def as_asked(self, requests: Sequence[Request], questions: list[Question]) -> list[Question]:
        """Return the questions of a round as the file has them, where a replay chose other ones.

        It does where answers had come late, or on another machine or version. What was asked stays asked.
        """
        book = self._open().book
        ids = [book.items[request.item - 1].id for request in requests]
        if not requests or ids == [to_json(q.id, "id") for q in questions]:
            return questions
        positions = positions_of(self.pool, ids)
        return [
            self._question(request, id_, position)
            for request, id_, position in zip(requests, ids, positions, strict=True)
        ]

    def _question(self, request: Request, id_: str, position: int) -> Question:
        store = self._open()
        start = json.loads(request.start)
        question = Question(
            id=from_json(id_),
            kind=store.book.items[request.item - 1].kind,
            round=request.round,
            strategy=request.strategy,
            score=np.nan if request.score is None else request.score,
            start=None if start is None else tuple(start),
            control=bool(request.control),
        )
        if question.kind == POOL:
            question.position, question.id = position, self.pool.ids[position]
        else:
            code, row = store.point(request.item)
            question.code, question.row = unpack(code), unpack(row)
        return question

    def ask(self, questions: Sequence[Question]) -> None:
        """Write questions; they are on the disk before anybody is asked."""
        store = self._open()
        ids = [to_json(q.id, "id") for q in questions]
        contents = self._contents(questions)
        with store.writing() as book:
            self._add_items(questions, ids, contents)
            keys = [
                (book.number_of(id_), self._times[q.id] + 1) for q, id_ in zip(questions, ids, strict=True)
            ]
            new = [
                (self._campaign, *key, *_line(question))
                for question, key in zip(questions, keys, strict=True)
                if book.request(self._campaign, *key) is None
            ]
            store.add("requests", new)
        for question, id_, key in zip(questions, ids, keys, strict=True):
            self._requests[id_] = book.request(self._campaign, *key)  # type: ignore[assignment]
            self._times[question.id] += 1

    def _contents(self, questions: Sequence[Question]) -> list[str]:
        positions = [q.position for q in questions if q.kind == POOL]
        contents = iter(self.pool.contents(positions))
        return [next(contents) if q.kind == POOL else content_of(q.row) for q in questions]

    def _add_items(self, questions: Sequence[Question], ids: list[str], contents: list[str]) -> None:
        store = self._open()
        for id_, content in zip(ids, contents, strict=True):
            known = store.book.item(id_)
            if known is not None and known.content != content and not store.book.is_asked(known.number):
                store.set_aside(known)
        new = [i for i, id_ in enumerate(ids) if store.book.item(id_) is None]
        store.add("items", [(ids[i], contents[i], questions[i].kind) for i in new])
        store.read_lines()
        points = []
        for question, id_, content in zip(questions, ids, contents, strict=True):
            item = store.book.item(id_)
            assert item is not None
            if (item.content, item.kind) != (content, question.kind):
                raise other_row(self.path, _plain(question.id))
            if question.kind == GENERATED and item.number not in store.book.points:
                points.append((item.number, pack(question.code), pack(question.row)))
        store.add("points", points)
        store.read_lines()

    # -- answers ----------------------------------------------------------------------------------

    def recorded(self, questions: Sequence[Question]) -> list[tuple[Question, Answered]]:
        """Return those of the questions that have an answer by now, whoever gave it.

        Raises
        ------
        LedgerMismatchError
            If one has a label that this campaign cannot use.
        """
        if not questions:
            return []
        book = self._open().refresh()
        found = [(q, book.answer_to(self._requests[to_json(q.id, "id")])) for q in questions]
        return [
            (question, Answered(self._read(question, line), line.cost, line.annotator))
            for question, line in found
            if line is not None
        ]

    def record(self, questions: Sequence[Question], answers: Sequence[Any], annotator: str) -> list[Any]:
        """Write answers, or corrections; return them as they came back, when they are on the disk."""
        store, target = self._open(), self.pool.target
        if target.classes is None and store.refresh() and store.classes is not None:
            for answer in answers:  # another campaign of this task named the classes
                if not isinstance(answer, Abstain | Failed):
                    store.target.check(answer)
        lines = []
        for question, answer in zip(questions, answers, strict=True):
            request = self._requests[to_json(question.id, "id")]
            number = request.number if question.state == PENDING else None
            lines.append(
                to_line(request.item, number, answer, target, cost=question.cost, annotator=annotator)
            )
        with store.writing() as book:
            first = len(book.answers)
            store.add("answers", lines)
        return [from_line(line, target) for line in book.answers[first:]]

    def corrected(self, questions: Sequence[Question]) -> list[tuple[Question, Answered]]:
        """Return answered questions whose answer was replaced since the last call, by whomever.

        Raises
        ------
        LedgerMismatchError
            If one has a label that this campaign cannot use.
        """
        book = self._open().refresh()
        new = {book.items[line.item - 1].id for line in book.answers[self._n_read :]}
        n_read, found = len(book.answers), []
        latest = {to_json(q.id, "id"): q for q in questions} if new else {}
        for id_ in new & latest.keys():
            question, line = latest[id_], book.answer_to(self._requests[id_])
            if question.state != PENDING and line is not None and line.state != FAILED:
                answered = Answered(self._read(question, line), line.cost, line.annotator)
                if self._is_new(question, answered):
                    found.append((question, answered))
        self._n_read = n_read
        return found

    def _read(self, question: Question, line: Answer) -> Any:
        try:
            return self.pool.check_label(from_line(line, self.pool.target))
        except ValueError as error:
            raise LedgerMismatchError(
                f"The ledger {self.path} holds a label of id {_plain(question.id)!r} that this campaign "
                f"cannot use: {error} Correct it with Ledger(path).answer(id, label), or mend the settings."
            ) from error


    def _is_new(self, question: Question, answered: Answered) -> bool:
        """Whether an answer says something else than the one that a question has."""
        if isinstance(answered.answer, Abstain):
            return question.state != ABSTAINED
        same = self.pool.target.same
        return question.state != LABELED or not same(question.label, answered.answer)


def _name(label: str | bytes | None) -> str | None:
    """Return a label of a line; of an array, its hash."""
    return hashlib.blake2b(label, digest_size=16).hexdigest() if isinstance(label, bytes) else label


def _plain(id_: Hashable) -> Any:
    return id_.item() if isinstance(id_, np.generic) else id_


def _line(question: Question) -> tuple[Any, ...]:
    score = None if np.isnan(question.score) else float(question.score)
    start = json.dumps(None if question.start is None else [question.start[0], int(question.start[1])])
    return question.round, question.strategy, score, int(question.control), start, now(), version()


def _who_holds(path: Any, writer: dict[str, Any]) -> str:
    who = f"process {writer.get('pid')} on {writer.get('host')}, since {writer.get('since')}"
    if (writer.get("pid"), writer.get("host")) == (os.getpid(), platform.node()):
        return (
            f"Another campaign of this process drives the ledger {path}, since {writer.get('since')}. End it "
            "with its close(), or use `with Campaign(...) as campaign:`. Answers can be given at the same "
            "time: Ledger(path).answer(id, label)."
        )
    return (
        f"Another campaign drives the ledger {path}: {who}. Wait until it has ended, or end it. Answers can "
        "be given at the same time: Ledger(path).answer(id, label)."
    )
