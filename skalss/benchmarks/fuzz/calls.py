"""One call: which of its arguments are replaced by what, how it is run, and what came of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .catalogue import all_subjects
from .subjects import Subject
from .values import values_for
from .verdict import Argument, Verdict, judge_error, judge_result
from .world import Purse

SECOND = 0.2  # share of the calls with two wrong values
# Not tried, for what is asked for takes long: rounds of work, processes that start, no time to answer in.
NOT_TRIED = {
    **dict.fromkeys(("max_epochs", "n_steps", "n_members", "seeds", "retries"), {"2**31"}),
    **dict.fromkeys(("n_samples", "min_epoch_rows"), {"2**31"}),
    "backoff": {"2**31", "1e30", "1e308"},
    "timeout": {"1e-320", "1e-30"},
    "n_candidates": {"2**31"},
    "n_jobs": {"-1", "-5", "np.int64", "np.uint8", "int subclass"},
}


class Call(NamedTuple):
    """A call that was thought up: its subject, and the name of a value for each argument replaced."""

    subject: Subject
    replaced: dict[str, str]

    def __str__(self) -> str:
        return f"{self.subject.name}({', '.join(f'{n}={v}' for n, v in self.replaced.items())})"


class TimeLimit(BaseException):
    """A call took too long; no ``except Exception`` holds it up."""


def make_call(number: int, seed: int) -> Call:
    """Think up a call: the same for the same number and seed."""
    rng = np.random.default_rng([seed, number])
    places = [(s, name) for s in all_subjects().values() for name in s.good]
    while True:
        subject, name = places[rng.integers(len(places))]
        names = [name]
        if rng.random() < SECOND:
            names += [str(rng.choice(list(subject.good)))]
        replaced = {n: str(rng.choice(list(values_for(_good(subject, n))))) for n in names}
        if not any(value in NOT_TRIED.get(name, ()) for name, value in replaced.items()):
            return Call(subject, replaced)


def _good(subject: Subject, name: str) -> Any:
    with _elsewhere():
        return subject.good[name]()


def run_call(call: Call, seconds: float) -> Verdict | None:
    """Run a call in an empty folder and judge it; None if the wrong value cannot be made of the good one."""
    with _elsewhere(), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        arguments = {name: make() for name, make in call.subject.good.items()}
        replaced = []
        for name, value in call.replaced.items():
            good = arguments[name]
            try:
                arguments[name] = values_for(good)[value](good)
            except Exception:  # such as a text that becomes a number
                return None
            inferred = (
                type(good).__name__ if isinstance(good, bool | int | float) and name != "random_state" else ""
            )
            kind = call.subject.documented.get(name, inferred)
            replaced.append(Argument(name, good, arguments[name], kind))
        Purse.paid, warned[:] = 0, []
        try:
            with _limited(seconds):
                result = call.subject.call(**arguments)
        except TimeLimit:
            return Verdict(False, f"hangs: more than {seconds:.0f} s")
        except Exception as error:
            paid = max(Purse.paid, getattr(getattr(error, "campaign", None), "n_paid", 0))
            return judge_error(error, replaced, bought=paid)
        return judge_result(result, replaced, warned, finite=call.subject.finite)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def end(*_: Any) -> None:
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Work in an empty folder, and leave nothing behind."""
    here, folder = os.getcwd(), tempfile.mkdtemp()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        shutil.rmtree(folder, ignore_errors=True)
        if plt := sys.modules.get("matplotlib.pyplot"):
            plt.close("all")
