"""A ledger as read: every line, and what a campaign looks up in them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from ..oracles.base import FAILED
from .tables import Answer, CampaignLine, Item, Request


class Book:
    """The lines of a ledger in memory, each added as it is read.

    Attributes
    ----------
    campaigns, items, requests, answers : list
        In the order of their numbers, which start at 1.
    points : dict
        Item to the number of its line in the table of generated points.
    """

    def __init__(self) -> None:
        self.campaigns: list[CampaignLine] = []
        self.items: list[Item] = []
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        self.points: dict[int, int] = {}
        self._item_of: dict[str, Item] = {}
        self._known: dict[int, Answer] = {}  # item: its latest label or abstention
        self.labels: Counter[str | bytes] = Counter()  # how many items have each label, as in the file
        self._failures: dict[int, Answer] = {}  # request: its failure
        self._answers_of: dict[int, list[Answer]] = defaultdict(list)  # item: all of it, in order
        self._asked: dict[tuple[int, int, int], Request] = {}
        self._rounds: dict[tuple[int, int], list[Request]] = defaultdict(list)
        self._requests_of: dict[int, list[Request]] = defaultdict(list)

    def add(self, table: str, line: Any) -> None:
        """Take in a line."""
        if table == "points":
            self.points[line.item] = line.number
            return
        getattr(self, table).append(line)
        if table == "items":
            self._item_of[line.id] = line
        elif table == "requests":
            self._asked[line.campaign, line.item, line.nth] = line
            self._rounds[line.campaign, line.round].append(line)
            self._requests_of[line.item].append(line)
        elif table == "answers":
            self._add_answer(line)

    def _add_answer(self, line: Answer) -> None:
        self._answers_of[line.item].append(line)
        if line.state == FAILED and line.request is not None:
            self._failures[line.request] = line
        elif line.state != FAILED:
            before = self._known.get(line.item)
            if before is not None and before.label is not None:
                self.labels[before.label] -= 1
            if line.label is not None:
                self.labels[line.label] += 1
            self._known[line.item] = line

    def item(self, id_json: str) -> Item | None:
        """Find an item by its id."""
        return self._item_of.get(id_json)

    def number_of(self, id_json: str) -> int:
        """Return the number of an item that is there."""
        return self._item_of[id_json].number

    def request(self, campaign: int, item: int, nth: int) -> Request | None:
        """Find the nth question of a campaign about an item."""
        return self._asked.get((campaign, item, nth))

    def round(self, campaign: int, round_: int) -> list[Request]:
        """Return what a campaign asked in a round, in the order asked."""
        return self._rounds.get((campaign, round_), [])

    def known(self, item: int) -> Answer | None:
        """Return the latest label or abstention of an item, whoever asked."""
        return self._known.get(item)

    def answer_to(self, request: Request) -> Answer | None:
        """Return the answer to a question: its own failure, or what is known of its item.

        What somebody answered after a failure, where nobody waited, replaces it, unless its campaign has
        asked again: a row is labelled once.
        """
        failure, known = self._failures.get(request.number), self._known.get(request.item)
        if failure is None or known is None or known.request is not None or known.number < failure.number:
            return failure or known
        again = self._asked.get((request.campaign, request.item, request.nth + 1))
        return known if again is None else failure

    def answers_of(self, item: int) -> list[Answer]:
        """Return every answer to an item, in the order in which they came."""
        return self._answers_of.get(item, [])

    def annotators(self, item: int) -> dict[str, Answer]:
        """Return the latest label or abstention of each annotator of an item."""
        return {line.annotator: line for line in self.answers_of(item) if line.state != FAILED}

    def is_asked(self, item: int) -> bool:
        """Whether a campaign has asked about an item."""
        return item in self._requests_of

    def replace_item(self, line: Item) -> None:
        """Take a line for the item of the same number."""
        self._item_of.pop(self.items[line.number - 1].id, None)
        self.items[line.number - 1] = self._item_of[line.id] = line

    def labels_of_others(self, item: int) -> Iterator[str | bytes]:
        """Yield the labels, as they are in the file, that other items have."""
        known = self._known.get(item)
        own = None if known is None else known.label
        return (label for label, n_items in self.labels.items() if n_items > (label == own))

    def waiting(self, item: int) -> list[Request]:
        """Return the questions about an item that have no answer."""
        return [r for r in self._requests_of.get(item, []) if self.answer_to(r) is None]
