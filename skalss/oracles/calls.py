"""Calls of a function: which rows each one gets, what comes of it, and asking again what failed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from time import sleep
from typing import Any, NamedTuple

MAX_WAIT = 60.0  # seconds; doubling would soon wait for hours
CHUNKS_PER_JOB = 4  # few enough to cost little, many enough for answers to arrive as they come


class Call(NamedTuple):
    """The rows that a function gets at once: from position `start` up to `stop`."""

    start: int
    stop: int

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return self.stop - self.start


class Returned(NamedTuple):
    """What the function gave."""

    value: Any


class Fault(NamedTuple):
    """Why there is nothing: an exception that was expected, a timeout, a worker that died."""

    reason: str


Outcome = Returned | Fault
Outcomes = Generator[tuple[Call, Outcome], None, None]
Run = Callable[[list[Call]], Outcomes]


def cut(n_rows: int, n_pieces: int) -> list[Call]:
    """Cut rows into at most `n_pieces` calls of one size; the last may be shorter.

    Examples
    --------
    >>> [tuple(call) for call in cut(5, 2)]
    [(0, 3), (3, 5)]
    """
    size = max(1, -(-n_rows // n_pieces))
    return [Call(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def fault_of(error: BaseException) -> Fault:
    """Return an expected exception as the reason of a failure."""
    return Fault(f"{type(error).__name__}: {error}")


def in_turn(
    function: Callable[[Any], Any],
    calls: Iterable[Call],
    *,
    take: Callable[[Call], Any],
    catch: tuple[type[BaseException], ...],
) -> Outcomes:
    """Make one call after the other, in this process."""
    for call in calls:
        rows = take(call)
        try:
            outcome: Outcome = Returned(function(rows))
        except catch as error:
            outcome = fault_of(error)
        yield call, outcome


def ask_again(calls: list[Call], run: Run, *, retries: int, backoff: float) -> Outcomes:
    """Run the calls, and those that failed again, until they were run ``1 + retries`` times.

    All calls have their turn before one is asked again, so that what failed for a while has time to recover,
    and a wait serves all of them.

    Parameters
    ----------
    calls : list of Call
    run : callable
        Yields (call, outcome) in any order.
    retries : int
    backoff : float
        Seconds before the first retry; they double with each, up to a minute.

    Yields
    ------
    call, outcome : tuple
        Once for each row: a call with several rows that failed is replaced by calls with one.
    """
    for attempt in range(retries + 1):
        if attempt:
            sleep(min(backoff * 2 ** (attempt - 1), MAX_WAIT))
        failed: list[Call] = []
        with closing(_one_by_one(calls, run)) as outcomes:
            for call, outcome in outcomes:
                if isinstance(outcome, Fault) and attempt < retries:
                    failed.append(call)
                else:
                    yield call, outcome
        calls = sorted(failed)  # answers came in any order
        if not calls:
            return


def _one_by_one(calls: list[Call], run: Run) -> Outcomes:
    """Run the calls, and the rows of one that failed one by one, so that only the bad ones fail."""
    bad: list[Call] = []
    with closing(run(calls)) as outcomes:
        for call, outcome in outcomes:
            if isinstance(outcome, Fault) and call.n_rows > 1:
                bad.append(call)
            else:
                yield call, outcome
    if bad:
        rows = [Call(i, i + 1) for call in sorted(bad) for i in range(*call)]
        with closing(run(rows)) as outcomes:
            yield from outcomes
