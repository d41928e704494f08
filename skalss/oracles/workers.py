"""Worker processes that answer one call at a time, so that each can be ended, or die, alone.

joblib's own pool of processes cannot end one task, and loses all when a worker dies. Here each worker is a
loky executor with a single process: loky starts it, sends what pickle alone cannot, and reports its death.
"""

from __future__ import annotations

import math
import operator
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
from loky import ProcessPoolExecutor, cpu_count
from loky.process_executor import TerminatedWorkerError

from .calls import Call, Fault, Outcomes, Returned, fault_of

IDLE_SECONDS = 300  # after which a worker that is kept for the next batch ends
STARTS = 2  # processes that may die while they start, before it is held against the question
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_kept: dict[tuple[int, int], list[ProcessPoolExecutor]] = {}  # by process and threads, for the next batch
_pipes: dict[int, tuple[Connection, Connection]] = {}  # by process; nothing is ever sent through


def check_sendable(function: Any) -> None:
    """Refuse a function that cannot go to another process.

    Raises
    ------
    TypeError
        With the reason.
    """
    try:
        cloudpickle.dumps(function)
    except Exception as error:  # whatever an object of the user raises
        raise TypeError(
            f"The labelling function {function!r} cannot be sent to another process, as n_jobs and timeout "
            f"need ({type(error).__name__}: {error}). Make what it holds inside of it, such as connections, "
            "locks and open files, or leave n_jobs and timeout out."
        ) from error


def in_workers(
    function: Callable[[Any], Any],
    calls: Iterable[Call],
    *,
    take: Callable[[Call], Any],
    catch: tuple[type[BaseException], ...],
    n_jobs: int,
    timeout: float | None,
) -> Outcomes:
    """Make the calls in worker processes, and yield each outcome as it comes.

    Parameters
    ----------
    function : callable
    calls : iterable of Call
    take : callable
        Returns the rows of a call.
    catch : tuple of exception types
        Those that are a `Fault`. After any other no call begins; those that run are waited for, then it is
        raised.
    n_jobs : int
        Workers, at most.
    timeout : float or None
        Seconds for each row of a call, from when its worker is ready.

    Yields
    ------
    call, outcome : tuple
    """
    check_sendable(function)
    waiting, error = deque(calls), None
    workers = [_Worker(function, n_jobs, timeout) for _ in range(min(n_jobs, len(waiting)))]
    try:
        while True:
            for worker in workers:
                if worker.future is None and waiting and error is None:
                    worker.go_on(waiting, take)
            busy = [worker for worker in workers if worker.future is not None]
            if not busy:
                break
            for worker in _finished(busy):
                if worker.call is None:
                    call, outcome = worker.has_started(waiting)
                else:
                    call, outcome = worker.finish(catch)
                if isinstance(outcome, BaseException):
                    error = error or outcome
                elif call is not None:
                    yield call, outcome
        if error is not None:
            raise error
    finally:
        for worker in workers:
            worker.release()


def _finished(workers: list[_Worker]) -> list[_Worker]:
    """Wait until a worker has finished, or its time is up."""
    seconds = min(worker.deadline for worker in workers) - time.monotonic()
    limit = None if math.isinf(seconds) else max(0.0, seconds)
    wait([worker.future for worker in workers if worker.future], limit, FIRST_COMPLETED)
    now = time.monotonic()
    return [w for w in workers if w.future and (w.future.done() or now >= w.deadline)]


class _Worker:
    """A process with at most one call; started when it is first needed."""

    def __init__(self, function: Callable[[Any], Any], n_jobs: int, timeout: float | None):
        self.function, self.timeout = function, timeout
        self.n_threads = max(1, cpu_count() // n_jobs)
        self.executor: ProcessPoolExecutor | None = None
        self.future: Future | None = None
        self.call: Call | None = None  # None while it starts
        self.deadline = math.inf
        self.deaths = 0  # of new processes in a row, while they started
        self.was_kept = False

    def go_on(self, waiting: deque[Call], take: Callable[[Call], Any]) -> None:
        """Begin the next call, or start the process first: that is not on the time of a question."""
        if self.executor is None:
            self.call, self.deadline = None, math.inf
            self._start(take(waiting[0]))
            return
        self.call = waiting.popleft()
        self.future = self.executor.submit(self.function, take(self.call))
        self.deadline = math.inf if self.timeout is None else time.monotonic() + self._limit()

    def _limit(self) -> float:
        assert self.call is not None
        assert self.timeout is not None
        return self.timeout * self.call.n_rows

    def _start(self, rows: Any) -> None:
        kept = [] if self.deaths else _kept.get((os.getpid(), self.n_threads), [])
        while self.future is None:
            self.was_kept = bool(kept)
            executor = kept.pop() if kept else _new_executor(self.n_threads)
            try:
                # To load the function, and what rows are made of, is part of the start; this does no more,
                # and needs nothing of skalss there.
                self.future = executor.submit(operator.is_, self.function, rows)
            except BrokenExecutor:  # it died while nobody needed it
                continue
            self.executor = executor

    def has_started(self, waiting: deque[Call]) -> tuple[Call | None, Any]:
        """Return what came of the start: nothing; an exception; or the next call, if the process died again.

        A process that was kept, and was ended while nobody needed it, says nothing of the function.
        """
        assert self.future is not None
        error, self.future = self.future.exception(), None
        if isinstance(error, TerminatedWorkerError):
            self._end()
            self.deaths += not self.was_kept
            if self.deaths < STARTS or not waiting:
                return None, None
            self.deaths = 0
            return waiting.popleft(), Fault(f"{_death(error).reason} while it started")
        self.deaths = 0
        if error is not None:
            self._end()
        return None, _describe_start(error, self.function)

    def finish(self, catch: tuple[type[BaseException], ...]) -> tuple[Call | None, Any]:
        """Return the call and its outcome, or an exception; the worker is free then."""
        future, call, self.future = self.future, self.call, None
        assert future is not None
        if not future.done():
            self._end()
            return call, Fault(f"timeout: no answer within {self._limit():g} s")
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            self._end()
            return call, _death(error)
        if isinstance(error, catch):
            return call, fault_of(error)
        return call, Returned(future.result()) if error is None else error

    def _end(self) -> None:
        if self.executor is not None:
            self.executor.shutdown(wait=False, kill_workers=True)
        self.executor = None

    def release(self) -> None:
        """Keep the process for the next batch; end one that is not done, since nobody waits for it."""
        if self.future is not None or self.executor is None:
            self._end()
        else:
            _kept.setdefault((os.getpid(), self.n_threads), []).append(self.executor)
        self.executor = self.future = None


def _new_executor(n_threads: int) -> ProcessPoolExecutor:
    env = {name: os.environ.get(name, str(n_threads)) for name in THREAD_VARIABLES}
    if os.getpid() not in _pipes:
        _pipes[os.getpid()] = Pipe(duplex=False)
    watched = (os.getpid(), _pipes[os.getpid()][0])
    return ProcessPoolExecutor(
        max_workers=1, timeout=IDLE_SECONDS, env=env, initializer=_make_watch(), initargs=watched
    )


def _make_watch() -> Callable[[int, Connection], None]:
    """Make the function that ends a worker when the process that started it has ended, however it did.

    As it is made in here, it is sent whole, and a worker need not import skalss for it.
    """

    def watch(parent, pipe):
        import os
        import threading

        def wait():
            # The other end closes with the parent; on Unix a forked child of it may still hold that open,
            # but then the worker itself is given to another parent.
            try:
                while (os.name == "nt" or os.getppid() == parent) and not pipe.poll(1.0):
                    pass
            finally:  # a closed pipe is an error on some systems
                os._exit(1)

        threading.Thread(target=wait, name="watch the parent", daemon=True).start()

    return watch


def _describe_start(error: BaseException | None, function: Any) -> BaseException | None:
    """Say what is wrong with a function that a worker cannot load."""
    if error is None:
        return None
    why = str(error.__cause__ or error).strip('"\n ').rpartition("\n")[2]  # of the traceback over there
    fault = RuntimeError(
        f"The labelling function {function!r} could not be loaded in a worker process ({why}). Define it "
        "in a module that can be imported there, or in the main script, or leave n_jobs and timeout out."
    )
    fault.__cause__ = error
    return fault


def _death(error: BaseException) -> Fault:
    codes = re.search(r"exit codes of the workers are \{(.*?)\}", str(error))
    return Fault(f"the worker process died{f' ({codes[1]})' if codes else ''}")
