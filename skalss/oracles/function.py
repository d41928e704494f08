"""Any callable as an oracle."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Mapping, Set, Sized
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from numpy.typing import ArrayLike

from ..utils.checks import check_number
from ..utils.tensors import to_host
from .base import BaseOracle, Failed, read_answer
from .calls import CHUNKS_PER_JOB, Call, Fault, Outcome, Run, ask_again, cut, in_turn
from .costs import costs_of
from .over_joblib import LOCAL, chosen_backend, over_joblib
from .workers import check_sendable, in_workers


class FunctionOracle(BaseOracle):
    """Asks a function: a simulator, a service, a person at a prompt.

    Parameters
    ----------
    function : callable
        Gets a batch of rows exactly as the user passed them (a slice of the array or DataFrame) and
        returns one answer a row; with ``per_row=True`` one row (a Series, for a DataFrame) and returns
        its answer. None or ``ABSTAIN`` is an abstention, NaN or ``Failed(reason)`` a failure.
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
        position in the pool, a mapping or Series by id, or a function that gets a batch of rows and returns
        one number a row. None: nothing.
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
            If the function has to go to another process, and cannot.
        """
        self._check_policy()
        n_jobs = effective_n_jobs(self.n_jobs)
        pieces = len(ids) if self.per_row else n_jobs * CHUNKS_PER_JOB if n_jobs > 1 else 1
        calls = cut(len(ids), max(pieces, 1))
        run = self._runner(X, n_jobs)
        with closing(ask_again(calls, run, retries=self.retries, backoff=self.backoff)) as outcomes:
            for call, outcome in outcomes:
                # Outside of all that catches: a wrong number of answers is a bug, whatever `catch` names.
                pairs = list(zip(ids[slice(*call)], self._read(outcome, call.n_rows), strict=True))
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
        by_position = np.ndim(self.cost) > 0 and not isinstance(self.cost, Mapping | pd.Series)
        if by_position and len(self.cost) != n_rows:
            raise ValueError(
                f"cost holds {len(self.cost)} numbers, but the pool has {n_rows} rows. Give one for each, or "
                "a mapping from id to cost."
            )

    def _check_policy(self) -> None:
        if not isinstance(self.retries, numbers.Integral) or self.retries < 0:
            raise ValueError(f"retries must be a whole number of at least 0, got {self.retries!r}.")
        check_number("backoff", self.backoff, zero=True)
        if self.timeout is None:
            return
        check_number("timeout", self.timeout, also="None")
        backend = chosen_backend()
        if backend is not None and not isinstance(backend, LOCAL):
            raise ValueError(
                f"timeout={self.timeout!r} ends worker processes on this machine, and the joblib backend is "
                f"{type(backend).__name__}. Set a limit inside the function, or leave the backend out."
            )

    def _runner(self, X: ArrayLike, n_jobs: int) -> Run:
        """Choose where the function runs: here, in worker processes, or where a joblib backend takes it."""
        catch = (self.catch,) if isinstance(self.catch, type) else tuple(self.catch)
        common: dict[str, Any] = {"take": partial(self._take, X), "catch": catch}
        if self.timeout is not None or (n_jobs > 1 and chosen_backend() is None):
            return partial(in_workers, self.function, n_jobs=n_jobs, timeout=self.timeout, **common)
        if n_jobs > 1:
            return partial(over_joblib, self.function, n_jobs=n_jobs, **common)
        return partial(in_turn, self.function, **common)

    def _take(self, X: np.ndarray | pd.DataFrame, call: Call) -> Any:
        if not self.per_row:
            return X[slice(*call)]
        return X.iloc[call.start] if hasattr(X, "iloc") else X[call.start]

    def _read(self, outcome: Outcome, n_rows: int) -> list[Any]:
        """Sort what came of a call into one answer a row."""
        if isinstance(outcome, Fault):
            return [Failed(outcome.reason, charged=self.charge_failures)] * n_rows
        raw = [outcome.value] if self.per_row else self._unpack(outcome.value, n_rows)
        return [self._read_one(answer) for answer in raw]

    def _read_one(self, raw: Any) -> Any:
        answer = read_answer(raw)
        if isinstance(answer, Failed) and answer is not raw:  # a NaN; what the function says stays
            return Failed(answer.reason, charged=self.charge_failures)
        return answer

    def _unpack(self, answers: Any, n_rows: int) -> Any:
        """Return one answer a row, or refuse what cannot be read as that."""
        if isinstance(answers, Failed):
            return [answers] * n_rows
        got = f"one {type(answers).__name__}"
        if isinstance(answers, pd.DataFrame) and answers.shape[1] == 1:
            answers = answers.iloc[:, 0]
        if isinstance(answers, str | bytes | Mapping | Set | pd.DataFrame):
            got = f"a {type(answers).__name__}"
        elif isinstance(answers, Sized) and getattr(to_host(answers), "ndim", 1) > 0:
            answers = to_host(answers)
            got = f"{len(answers)} answers"
            if len(answers) == n_rows:
                return answers
        raise ValueError(
            f"The labelling function got {n_rows} rows and returned {got}. Return one answer a row, as a "
            "list or array (None where it does not know), or pass per_row=True if it takes one row at a time."
        )
