"""Worker processes. Functions are made inside of tests: workers cannot import a test module."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import skalss
from skalss.oracles import Failed, FunctionOracle, workers
from skalss.oracles.calls import Fault, Returned, cut
from skalss.oracles.workers import in_workers

ROWS = np.arange(8.0)


def outcomes(function, n_rows=8, n_pieces=8, n_jobs=2, timeout=None, catch=()):
    def take(call):
        return ROWS[slice(*call)]

    return in_workers(function, cut(n_rows, n_pieces), take=take, catch=catch, n_jobs=n_jobs, timeout=timeout)


def by_row(got):
    return {call.start: outcome for call, outcome in got}


def assert_ends(note):
    """The process whose id stands in a file goes away; a zombie, whose parent has yet to be told, has."""
    status = Path("/proc") / Path(note).read_text() / "stat"
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc to see whether a process runs")
    deadline = time.monotonic() + 60
    while _state(status) != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _state(status):
    try:
        return status.read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_all_rows_are_answered_by_other_processes():
    got = by_row(outcomes(lambda x: (os.getpid(), 2 * x[0])))
    assert {row: outcome.value[1] for row, outcome in got.items()} == {i: 2.0 * i for i in range(8)}
    pids = {outcome.value[0] for outcome in got.values()}
    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_answers_arrive_before_the_slowest_is_there(tmp_path):
    go = str(tmp_path / "go")

    def wait_at_first(x):
        while x[0] == 0 and not os.path.exists(go):
            time.sleep(0.01)
        return x[0]

    got = outcomes(wait_at_first)
    seven = [next(got)[0].start for _ in range(7)]
    assert sorted(seven) == [1, 2, 3, 4, 5, 6, 7]
    open(go, "w").close()
    assert [call.start for call, _ in got] == [0]


def test_a_call_that_hangs_is_ended_and_the_others_are_answered():
    def hang_at_three(x):
        if x[0] == 3:
            time.sleep(600)
        return x[0]

    start = time.monotonic()
    got = by_row(outcomes(hang_at_three, timeout=1.0))
    assert time.monotonic() - start < 300
    assert got.pop(3) == Fault("timeout: no answer within 1 s")
    assert got == {i: Returned(float(i)) for i in (0, 1, 2, 4, 5, 6, 7)}


def test_the_process_of_a_call_that_hangs_is_gone(tmp_path):
    note = str(tmp_path / "pid")

    def hang(x):
        with open(note, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)

    assert by_row(outcomes(hang, n_rows=1, timeout=1.0)) == {0: Fault("timeout: no answer within 1 s")}
    assert_ends(note)


def test_a_batch_has_its_time_for_each_row():
    got = by_row(outcomes(lambda x: time.sleep(600), n_rows=4, n_pieces=1, timeout=0.25))
    assert got == {0: Fault("timeout: no answer within 1 s")}


def test_a_worker_that_dies_takes_no_other_row_with_it():
    def die_at_three(x):
        if x[0] == 3:
            os._exit(7)
        return x[0]

    got = by_row(outcomes(die_at_three))
    fault = got.pop(3)
    assert isinstance(fault, Fault)
    assert fault.reason.startswith("the worker process died")
    assert "7" in fault.reason
    assert got == {i: Returned(float(i)) for i in (0, 1, 2, 4, 5, 6, 7)}


def test_what_is_caught_is_a_fault():
    got = by_row(outcomes(lambda x: 1 / int(x[0]), n_rows=3, n_pieces=3, catch=(ZeroDivisionError,)))
    assert got == {0: Fault("ZeroDivisionError: division by zero"), 1: Returned(1.0), 2: Returned(0.5)}


def test_any_other_exception_comes_after_what_was_running(tmp_path):
    note = tmp_path / "calls"
    note.touch()
    path = str(note)

    def slow_or_wrong(x):
        with open(path, "a") as file:
            file.write(f"{x[0]:.0f}\n")
        if x[0] == 0:
            raise KeyError("a bug")
        time.sleep(0.5)
        return x[0]

    got = outcomes(slow_or_wrong)
    arrived = []
    with pytest.raises(KeyError, match="a bug"):
        arrived.extend(call.start for call, _ in got)
    called = {int(line) for line in note.read_text().split()}
    assert set(arrived) == called - {0}
    assert len(called) < 8


def test_workers_are_kept_for_the_next_batch():
    first, second = ({o.value for _, o in outcomes(lambda x: os.getpid(), n_jobs=1)} for _ in range(2))
    assert first == second
    assert len(first) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="only systems with SIGKILL")
def test_a_kept_worker_that_has_died_is_replaced():
    pids = {outcome.value for _, outcome in outcomes(lambda x: os.getpid())}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)  # and at once the next batch, before anybody has noticed
    answered = [outcome.value for _, outcome in outcomes(lambda x: os.getpid())]
    assert len(answered) == 8
    assert pids.isdisjoint(answered)


def test_whoever_stops_reading_ends_what_is_running(tmp_path):
    note = str(tmp_path / "pid")

    def hang_at_one(x):
        if x[0] == 1:
            with open(f"{note}-draft", "w") as file:
                file.write(str(os.getpid()))
            os.rename(f"{note}-draft", note)
            time.sleep(600)
        while x[0] == 2 and not os.path.exists(note):  # a worker may take long to start
            time.sleep(0.01)
        return x[0]

    got = outcomes(hang_at_one, n_rows=3, n_pieces=3)
    assert {next(got)[0].start for _ in range(2)} == {0, 2}
    got.close()
    assert_ends(note)


@pytest.mark.parametrize("settings", [{"n_jobs": 2}, {"timeout": 5.0}])
def test_a_function_that_cannot_be_sent(settings):
    lock = threading.Lock()

    def locked(x):
        with lock:
            return 0

    oracle = FunctionOracle(locked, per_row=True, **settings)
    message = "cannot be sent to another process.*lock.*leave n_jobs and timeout out"
    with pytest.raises(TypeError, match=message):
        list(oracle.label(ROWS, np.arange(8)))
    with pytest.raises(TypeError, match=message):
        oracle.check_pool(None, 8)


class Unloadable:
    """Can be sent, but not put together again."""

    def __call__(self, x):
        return 0

    def __reduce__(self):
        return eval, ("missing_name",)


def test_a_function_that_cannot_be_loaded():
    with pytest.raises(RuntimeError, match="could not be loaded in a worker process.*'missing_name' is not"):
        list(outcomes(Unloadable()))


class DiesAtTheStart:
    """Ends the process that loads it, for the first `times` times."""

    def __init__(self, note, times):
        self.note, self.times = str(note), times

    def __call__(self, x):
        return 0

    def __reduce__(self):
        count = f"open({self.note!r}, 'a').write('x')"
        end = f"os._exit(3) if os.path.getsize({self.note!r}) <= {self.times} else None"
        return eval, (f"(lambda os: [{count}, {end}, lambda x: 2 * x[0]])(__import__('os'))[-1]",)


def test_a_worker_that_dies_while_it_starts_is_replaced(tmp_path):
    got = by_row(outcomes(DiesAtTheStart(tmp_path / "starts", 1), n_rows=3, n_pieces=3, n_jobs=1))
    assert got == {i: Returned(2.0 * i) for i in range(3)}


def test_a_question_whose_workers_die_at_each_start_is_retried_and_has_failed(tmp_path):
    oracle = FunctionOracle(DiesAtTheStart(tmp_path / "starts", 5), timeout=60.0, per_row=True, backoff=0)
    failed, answered = list(oracle.label(ROWS[:2, None], np.arange(2)))
    assert failed == (0, Failed("the worker process died (EXIT(3)) while it started"))
    assert answered == (1, Failed("the worker process died (EXIT(3)) while it started"))
    oracle.set_params(retries=1)
    assert dict(oracle.label(ROWS[:2, None], np.arange(2))) == {0: 0.0, 1: 2.0}


# To import the package would take longer than all the rest.
KILLED = f"""
import os, sys, time, types

for name, path in [("skalss", {skalss.__path__!r}), ("skalss.oracles", {skalss.oracles.__path__!r})]:
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = path
from skalss.oracles.workers import Call, in_workers

def simulate(row):
    with open(NOTE + f"-{{row}}", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)

calls = [Call(0, 1), Call(1, 2)]
list(in_workers(simulate, calls, take=lambda call: call.start, catch=(), n_jobs=2, timeout=None))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="only systems with SIGKILL")
def test_workers_end_with_the_process_that_started_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(KILLED.replace("NOTE", repr(str(tmp_path / "pid"))))
    process = subprocess.Popen([sys.executable, script])
    notes = [tmp_path / f"pid-{i}" for i in (0, 1)]
    deadline = time.monotonic() + 60
    while not all(note.exists() and note.read_text() for note in notes):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    killed = time.monotonic()
    for note in notes:
        assert_ends(note)
    assert time.monotonic() - killed < 10


def test_workers_share_the_processors(monkeypatch):
    for name in workers.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(workers, "cpu_count", lambda: 46)  # unlike here: those kept are not for so many
    got = {outcome.value for _, outcome in outcomes(lambda x: os.environ["OMP_NUM_THREADS"])}
    assert got == {"23"}
