"""Any callable as an oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike

from ..utils.checks import check_callable, check_count, check_flag, check_n_jobs, check_number
from .alignment import one_a_row
from .base import BaseOracle, Failed, read_answer
from .calls import CHUNKS_PER_JOB, Call, Fault, Outcome, Run, ask_again, cut, in_turn
from .costs import check_cost, costs_of
from .over_joblib import LOCAL, chosen_backend, over_joblib
from .workers import check_sendable, in_workers

LONGEST = 2_000_000  # seconds: as milliseconds they must fit 32 bits


class FunctionOracle(BaseOracle):
    """Asks a function: a simulator, a service, a person at a prompt.

    Parameters
    ----------
    function : callable
        Gets a batch of rows exactly as the user passed them (a slice of the array or DataFrame, or of
        `show`) and returns one answer a row; with ``per_row=True`` one row (a Series, for a DataFrame) and
        returns its answer. None or ``ABSTAIN`` is an abstention, NaN or ``Failed(reason)`` a failure. A list
        or array, of shape (n_rows, ...), is in the order of the rows: an answer may be a row of values, a
        list of classes (which is one answer), a mask or a field. A Series, or a DataFrame, one row an answer,
        goes by its index: the labels of the rows, for a DataFrame; numbers from 0, for an array; or ids. So
        does a dict by its keys.
        One that does not have just those is refused, among them a Series with the default index where rows
        have labels: return a list then, or ``answers.to_numpy()``.
    per_row : bool, default=False
        Whether the function takes one row. Each answer is kept before the next is asked for.
    labels_new_points : bool, default=True
        Whether the function can label rows that are not in the pool.
    catch : exception type or tuple of them, default=()
        Exceptions that mean "this question failed". When a batch raises one, its rows are asked again one by
        one, so that only the bad ones fail. Any other stops the run with an OracleError, so that
        a bug in the function does not quietly mark the pool failed.
    retries : int, default=0
        How often a question is asked again that raised an exception of `catch`, timed out, or whose worker
        died. The others have their turn first.
    backoff : float, default=1.0
        Seconds before the first retry, doubled before each further one, up to a minute.
    timeout : float, default=None
        Seconds a question may take; then its process is ended and the answer is ``Failed("timeout ...")``. A
        batch may take that for each of its rows, then they are asked one by one. The function runs in a
        worker process, also for ``n_jobs=1``; to start that is not on the time. None: no limit.
    n_jobs : int, default=None
        Questions asked at a time, in worker processes; -1 takes all processors. Without `per_row`, a batch
        is cut into four pieces a worker. None: one, in this process, unless a
        ``joblib.parallel_config`` says more. A backend named there, such as Dask, is used.
    cost : float, array-like, mapping or callable, default=None
        What a question costs, at least 0, in the units of the sampler's `max_cost`: one number, numbers by
        position in the pool, a mapping or Series by id (a Series also by the labels of the rows of a
        DataFrame), or a function that gets a batch of rows and returns one number a row, as `function`
        returns answers. None: nothing.
    charge_failures : bool, default=False
        Whether a question that failed counts against `max_labels` and `max_cost`: once, however often it was
        asked. A ``Failed`` that the function returns says so itself.

    Examples
    --------
    >>> import numpy as np
    >>> oracle = FunctionOracle(lambda X: X.sum(axis=1))
    >>> for id_, label in next(oracle.label(np.ones((2, 3)), np.array([4, 7]))):
    ...     print(id_, label)
    4 3.0
    7 3.0
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        *,
        per_row: bool = False,
        labels_new_points: bool = True,
        catch: type[Exception] | tuple[type[Exception], ...] = (),
        retries: int = 0,
        backoff: float = 1.0,
        timeout: float | None = None,
        n_jobs: int | None = None,
        cost: Any = None,
        charge_failures: bool = False,
    ):
        self.function = function
        self.per_row = per_row
        self.labels_new_points = labels_new_points
        self.catch = catch
        self.retries = retries
        self.backoff = backoff
        self.timeout = timeout
        self.n_jobs = n_jobs
        self.cost = cost
        self.charge_failures = charge_failures

    def label(self, X: ArrayLike, ids: np.ndarray) -> Iterator[Any]:
        """Call the function and yield its answers as they come; with `n_jobs`, in any order.

        Parameters
        ----------
        X : rows as the user gave them
        ids : array of shape (n_rows,)

        Yields
        ------
        id, answer : tuple, or, of a batch, a list of them

        Raises
        ------
        ValueError
            If the function does not return one answer a row, or a parameter is wrong.
        TypeError
            If a parameter is of a wrong type, or the function has to go to another process, and cannot.
        """
        self._check_policy()
        n_jobs = effective_n_jobs(self.n_jobs)
        pieces = len(ids) if self.per_row else n_jobs * CHUNKS_PER_JOB if n_jobs > 1 else 1
        calls = cut(len(ids), max(pieces, 1))
        run = self._runner(X, n_jobs)
        with closing(ask_again(calls, run, retries=self.retries, backoff=self.backoff)) as outcomes:
            for call, outcome in outcomes:
                # Outside of all that catches: a wrong number of answers is a bug, whatever `catch` names.
                some, rows = ids[slice(*call)], take_rows(X, slice(*call))
                pairs = list(zip(some, self._read(outcome, rows, some), strict=True))
                yield pairs[0] if self.per_row else pairs  # those of one call arrive together

    def row_costs(self, X: ArrayLike, ids: np.ndarray) -> np.ndarray | None:
        """Return what each question costs.

        Parameters
        ----------
        X : rows as the user gave them
        ids : array of shape (n_rows,)

        Returns
        -------
        costs : float64 array of shape (n_rows,) or None
            None if `cost` is.

        Raises
        ------
        ValueError
            If a row has no cost, or one that is not a finite number of at least 0.
        """
        return None if self.cost is None else costs_of(self.cost, X, ids)

    def check_pool(self, sample_id: np.ndarray | None, n_rows: int) -> None:
        """Refuse wrong parameters, a function that cannot go to a worker, and costs of another pool.

        Parameters
        ----------
        sample_id : array of shape (n_rows,) or None
        n_rows : int

        Raises
        ------
        ValueError, TypeError
        """
        self._check_policy()
        if self.timeout is not None or (effective_n_jobs(self.n_jobs) > 1 and chosen_backend() is None):
            check_sendable(self.function)
        check_cost(self.cost, n_rows)

    def check_rows(self, X: ArrayLike, sample_id: np.ndarray | None) -> None:
        """Refuse a table of costs that does not hold one for each row.

        Parameters
        ----------
        X : all rows of the pool as the user gave them
        sample_id : array of shape (n_rows,) or None

        Raises
        ------
        ValueError
        """
        if self.cost is not None and not callable(self.cost):
            n_rows = X.shape[0] if hasattr(X, "shape") else len(X)  # type: ignore[arg-type]
            self.row_costs(X, np.arange(n_rows) if sample_id is None else sample_id)

    def _check_policy(self) -> None:
        check_count("retries", self.retries)
        check_number("backoff", self.backoff, zero=True)
        for name in ("per_row", "labels_new_points", "charge_failures"):
            check_flag(name, getattr(self, name))
        check_callable("function", self.function)
        check_n_jobs(self.n_jobs)
        self._caught()
        if self.timeout is None:
            return
        check_number("timeout", self.timeout, also="None", most=LONGEST)
        backend = chosen_backend()
        if backend is not None and not isinstance(backend, LOCAL):
            raise ValueError(
                f"timeout={self.timeout!r} ends worker processes on this machine, and the joblib backend is "
                f"{type(backend).__name__}. Set a limit inside the function, or leave the backend out."
            )

    def _runner(self, X: ArrayLike, n_jobs: int) -> Run:
        """Choose where the function runs: here, in worker processes, or where a joblib backend takes it."""
        common: dict[str, Any] = {"take": partial(self._take, X), "catch": self._caught()}
        if self.timeout is not None or (n_jobs > 1 and chosen_backend() is None):
            seconds = None if self.timeout is None else float(self.timeout)
            return partial(in_workers, self.function, n_jobs=n_jobs, timeout=seconds, **common)
        if n_jobs > 1:
            return partial(over_joblib, self.function, n_jobs=n_jobs, **common)
        return partial(in_turn, self.function, **common)

    def _caught(self) -> tuple[type[Exception], ...]:
        """Return the exceptions of `catch`, or refuse what is none."""
        given = self.catch
        kinds = tuple(given) if isinstance(given, list | tuple | set | frozenset) else (given,)
        for kind in kinds:
            if not isinstance(kind, type) or not issubclass(kind, Exception):
                raise TypeError(
                    f"catch must be an exception type such as OSError, or a tuple of them, got {kind!r}. "
                    "Name the class itself, not its name and not an instance; () for none."
                )
        return kinds

    def _take(self, X: Any, call: Call) -> Any:
        return take_rows(X, call.start if self.per_row else slice(*call))

    def _read(self, outcome: Outcome, rows: Any, ids: np.ndarray) -> list[Any]:
        """Sort what came of a call into one answer a row."""
        if isinstance(outcome, Fault):
            return [Failed(outcome.reason, charged=self.charge_failures)] * len(ids)
        if self.per_row:
            return [self._read_one(outcome.value)]
        if isinstance(outcome.value, Failed):
            return [outcome.value] * len(ids)
        answers = one_a_row(outcome.value, rows, ids, "The labelling function")
        return [self._read_one(answer) for answer in answers]

    def _read_one(self, raw: Any) -> Any:
        if isinstance(raw, Failed):  # what the function says stays, and is checked beside the others
            return raw
        answer = read_answer(raw)
        return Failed(answer.reason, self.charge_failures) if isinstance(answer, Failed) else answer


def take_rows(X: Any, which: int | slice) -> Any:
    """Return a row, or a slice of rows, by position."""
    return X.iloc[which] if hasattr(X, "iloc") else X[which]
