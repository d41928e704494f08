"""Calls through a joblib backend that was chosen with ``joblib.parallel_config``, such as Dask."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from joblib import Parallel, delayed, wrap_non_picklable_objects
from joblib.parallel import (
    LokyBackend,
    MultiprocessingBackend,
    SequentialBackend,
    ThreadingBackend,
    get_active_backend,
)

from .calls import Call, Fault, Outcomes, Returned

LOCAL = (LokyBackend, MultiprocessingBackend, SequentialBackend, ThreadingBackend)


def chosen_backend() -> Any:
    """Return the joblib backend that is active, or None for joblib's default, processes on this machine."""
    backend = get_active_backend()[0]
    return None if isinstance(backend, LokyBackend) else backend


def over_joblib(
    function: Callable[[Any], Any],
    calls: Iterable[Call],
    *,
    take: Callable[[Call], Any],
    catch: tuple[type[BaseException], ...],
    n_jobs: int,
) -> Outcomes:
    """Make the calls through the active backend, and yield each outcome as it comes.

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
        As joblib takes it.

    Yields
    ------
    call, outcome : tuple
        From a backend that cannot give results as they come: all at the end.
    """
    attempt, error = _attempt(function, catch), None
    calls = list(calls)
    open_ = dict.fromkeys(calls)

    def tasks() -> Iterator[Any]:
        for call in calls:
            if error is None:
                yield delayed(attempt)(tuple(call), take(call))

    try:
        for call, kind, value in _parallel(n_jobs)(tasks()):
            del open_[Call(*call)]
            if kind == "error":
                error = error or value
            else:
                yield Call(*call), Returned(value) if kind == "returned" else Fault(value)
    except Exception as death:
        if not _is_death(death):
            raise
        if len(calls) == 1:
            yield calls[0], Fault(f"its workers died: {death}")
        elif error is None:  # which of the open calls it was shows when each is made alone
            for call in open_:
                yield from over_joblib(function, [call], take=take, catch=catch, n_jobs=n_jobs)
    if error is not None:
        raise error


def _is_death(error: Exception) -> bool:
    """Whether Dask gave a task up, since every worker that had it died."""
    distributed = sys.modules.get("distributed")
    return distributed is not None and isinstance(error, distributed.KilledWorker)


def _parallel(n_jobs: int) -> Parallel:
    try:
        return Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except ValueError:  # such as multiprocessing, which does not support it
        return Parallel(n_jobs=n_jobs)


def _attempt(
    function: Callable[[Any], Any], catch: tuple[type[BaseException], ...]
) -> Callable[..., tuple[Any, str, Any]]:
    """Make the function that runs on a worker.

    As it is made in here, cloudpickle sends it whole: the workers of a cluster need not have skalss.
    """

    def attempt(call, rows):
        try:
            return call, "returned", function(rows)
        except catch as error:
            return call, "fault", f"{type(error).__name__}: {error}"
        except Exception as error:  # as a value, so that what others answer still arrives
            return call, "error", error

    return wrap_non_picklable_objects(attempt)
