"""The tables of a ledger. Lines are only ever added; each has a number and a checksum, `seal`."""

from __future__ import annotations

from typing import NamedTuple

from ..oracles.base import ABSTAINED, FAILED, LABELED

FORMAT = 1  # PRAGMA user_version
APPLICATION_ID = 0x736B6C73  # "skls", PRAGMA application_id

# What became of a question, and the word for it in the file, whose format has the British spelling.
IN_FILE = {LABELED: "labelled", ABSTAINED: "abstained", FAILED: "failed"}
FROM_FILE = {word: state for state, word in IN_FILE.items()}


class CampaignLine(NamedTuple):
    """A campaign: what decides which rows it asks."""

    number: int
    settings: str  # hash of the sampler's settings
    pool: str  # hash of the ids in the pool, and of those labelled from the start
    seed: int
    version: str
    started_at: str


class Item(NamedTuple):
    """A row of the pool, or a generated point, that was asked about."""

    number: int
    id: str  # JSON
    content: str  # hash of the row
    kind: str


class Point(NamedTuple):
    """The code and the decoded row of a generated point, in NumPy's format."""

    number: int
    item: int
    code: bytes | None
    row: bytes


class Request(NamedTuple):
    """A question of a campaign."""

    number: int
    campaign: int
    item: int
    nth: int  # which question of this campaign about this item it is, from 1
    round: int
    strategy: str
    score: float | None
    control: int
    start: str  # JSON: the key of the labelled row it came from, or null
    asked_at: str
    version: str


class Answer(NamedTuple):
    """An answer; a later one to the same item replaces it and leaves it in the file."""

    number: int
    item: int
    request: int | None  # the question it answers; None where nobody waited, as for a correction
    state: str
    label: str | bytes | None  # JSON; an array in NumPy's format
    reason: str
    cost: float
    charged: int
    annotator: str
    answered_at: str


TABLES: dict[str, type] = {
    "campaigns": CampaignLine,
    "items": Item,
    "points": Point,
    "requests": Request,
    "answers": Answer,
}

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE campaigns (
    number INTEGER PRIMARY KEY, settings TEXT NOT NULL, pool TEXT NOT NULL, seed INTEGER NOT NULL,
    version TEXT NOT NULL, started_at TEXT NOT NULL, seal INTEGER NOT NULL
);
CREATE TABLE items (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, content TEXT NOT NULL, kind TEXT NOT NULL,
    seal INTEGER NOT NULL
);
CREATE TABLE points (
    number INTEGER PRIMARY KEY, item INTEGER NOT NULL UNIQUE REFERENCES items, code BLOB, row BLOB NOT NULL,
    seal INTEGER NOT NULL
);
CREATE TABLE requests (
    number INTEGER PRIMARY KEY, campaign INTEGER NOT NULL REFERENCES campaigns,
    item INTEGER NOT NULL REFERENCES items, nth INTEGER NOT NULL, round INTEGER NOT NULL,
    strategy TEXT NOT NULL, score REAL, control INTEGER NOT NULL, start TEXT NOT NULL,
    asked_at TEXT NOT NULL, version TEXT NOT NULL, seal INTEGER NOT NULL,
    UNIQUE (campaign, item, nth)
);
CREATE TABLE answers (
    number INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES items, request INTEGER REFERENCES requests,
    state TEXT NOT NULL, label TEXT, reason TEXT NOT NULL, cost REAL NOT NULL, charged INTEGER NOT NULL,
    annotator TEXT NOT NULL, answered_at TEXT NOT NULL, seal INTEGER NOT NULL
);
"""
