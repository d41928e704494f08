import numpy as np
import pytest

from skalss.oracles import calls as calls_module
from skalss.oracles.calls import Call, Fault, Returned, ask_again, cut, in_turn


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited for, without waiting."""
    seconds = []
    monkeypatch.setattr(calls_module, "sleep", seconds.append)
    return seconds


class Runner:
    """Makes calls fail as often as `failures` says, by their first row; keeps what was called."""

    def __init__(self, failures=None, most_rows=10):
        self.failures, self.most_rows, self.calls, self.closed = dict(failures or {}), most_rows, [], False

    def __call__(self, calls):
        try:
            for call in calls:
                self.calls.append(tuple(call))
                bad = [row for row in range(*call) if self.failures.get(row, 0) > 0]
                if bad and call.n_rows == 1:
                    self.failures[bad[0]] -= 1
                yield call, Fault("why") if bad else Returned(call.start)
        finally:
            self.closed = True


@pytest.mark.parametrize(("n_rows", "n_pieces"), [(0, 3), (1, 8), (5, 1), (7, 3), (100, 8)])
def test_pieces_hold_each_row_once(n_rows, n_pieces):
    calls = cut(n_rows, n_pieces)
    assert [row for call in calls for row in range(*call)] == list(range(n_rows))
    assert len(calls) <= n_pieces
    assert len({call.n_rows for call in calls[:-1]}) <= 1


def test_in_turn_makes_one_call_after_the_other():
    rows = np.array([1.0, 0.0, 2.0])
    outcomes = in_turn(lambda x: 1 // x, cut(3, 3), take=lambda c: rows[c.start], catch=(OverflowError,))
    with np.errstate(divide="raise"):
        assert next(outcomes) == (Call(0, 1), Returned(1.0))
        with pytest.raises(FloatingPointError):
            next(outcomes)


def test_without_retries_nothing_is_asked_again(waits):
    run = Runner({1: 1})
    got = list(ask_again(cut(3, 3), run, retries=0, backoff=1.0))
    assert got == [(Call(0, 1), Returned(0)), (Call(1, 2), Fault("why")), (Call(2, 3), Returned(2))]
    assert waits == []


def test_a_question_is_asked_again_after_all_others(waits):
    run = Runner({0: 2})
    got = dict(ask_again(cut(3, 3), run, retries=2, backoff=0.5))
    assert run.calls == [(0, 1), (1, 2), (2, 3), (0, 1), (0, 1)]
    assert got[Call(0, 1)] == Returned(0)
    assert waits == [0.5, 1.0]


def test_what_fails_too_often_has_failed(waits):
    run = Runner({0: 9, 2: 1})
    got = list(ask_again(cut(3, 3), run, retries=2, backoff=1.0))
    assert sorted(got) == [(Call(0, 1), Fault("why")), (Call(1, 2), Returned(1)), (Call(2, 3), Returned(2))]
    assert run.calls.count((0, 1)) == 3
    assert run.calls.count((2, 3)) == 2


def test_waits_double_up_to_a_minute(waits):
    list(ask_again(cut(1, 1), Runner({0: 99}), retries=9, backoff=1.0))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_rows_of_a_failed_batch_are_asked_one_by_one_at_once(waits):
    run = Runner({1: 1})
    got = dict(ask_again(cut(4, 2), run, retries=0, backoff=1.0))
    assert run.calls == [(0, 2), (2, 4), (0, 1), (1, 2)]
    assert got == {Call(0, 1): Returned(0), Call(1, 2): Fault("why"), Call(2, 4): Returned(2)}
    assert waits == []


def test_only_the_bad_row_of_a_batch_is_asked_again(waits):
    run = Runner({1: 1})
    got = dict(ask_again(cut(4, 1), run, retries=1, backoff=1.0))
    assert run.calls == [(0, 4), (0, 1), (1, 2), (2, 3), (3, 4), (1, 2)]
    assert got[Call(1, 2)] == Returned(1)
    assert waits == [1.0]


def test_whoever_stops_reading_stops_the_run(waits):
    run = Runner()
    outcomes = ask_again(cut(3, 3), run, retries=1, backoff=1.0)
    next(outcomes)
    outcomes.close()
    assert run.closed
    assert run.calls == [(0, 1)]
