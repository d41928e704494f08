"""Any callable as an oracle."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Set, Sized
from typing import Any

import numpy as np
import pandas as pd

from .._torch import to_host
from .base import BaseOracle, Failed, read_answer


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
    ):
        self.function = function
        self.per_row = per_row
        self.labels_new_points = labels_new_points
        self.catch = catch

    def label(self, X: Any, ids: np.ndarray) -> Iterator[Any]:
        """Call the function and yield its answers.

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
            If the function does not return one answer a row.
        """
        if self.per_row:
            for i, id_ in enumerate(ids):
                yield id_, self._ask_row(X, i)
            return
        try:
            returned = self.function(X)
        except self._caught():
            if len(ids) > 1:  # one bad row must not fail its batch: ask again, a row at a time
                for i in range(len(ids)):
                    yield from self.label(X[i : i + 1], ids[i : i + 1])
                return
            returned = self._failure()
        # Outside the try: a wrong number of answers is a bug, also where `catch` names ValueError.
        answers = self._unpack(returned, len(ids))
        yield [(id_, read_answer(answer)) for id_, answer in zip(ids, answers, strict=True)]

    def _ask_row(self, X: Any, i: int) -> Any:
        try:
            return read_answer(self.function(X.iloc[i] if hasattr(X, "iloc") else X[i]))
        except self._caught():
            return self._failure()

    def _caught(self) -> tuple[type[Exception], ...]:
        return (self.catch,) if isinstance(self.catch, type) else tuple(self.catch)

    def _failure(self) -> Failed:
        error = sys.exc_info()[1]
        return Failed(f"{type(error).__name__}: {error}")

    def _unpack(self, answers: Any, n_rows: int) -> Any:
        """Give one answer a row, or refuse what cannot be read as that."""
        if isinstance(answers, Failed):
            return [answers] * n_rows
        got = f"one {type(answers).__name__}"
        if isinstance(answers, pd.DataFrame) and answers.shape[1] == 1:
            answers = answers.iloc[:, 0]
        if isinstance(answers, str | bytes | Mapping | Set | pd.DataFrame):
            got = f"a {type(answers).__name__}"
        elif isinstance(answers, Sized) and np.ndim(to_host(answers)) > 0:
            answers = to_host(answers)
            got = f"{len(answers)} answers"
            if len(answers) == n_rows:
                return answers
        raise ValueError(
            f"The labelling function got {n_rows} rows and returned {got}. Return one answer a row, as a "
            "list or array (None where it does not know), or pass per_row=True if it takes one row at a time."
        )
