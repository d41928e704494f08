import os
import time
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch

from skalss import AdaptiveLatentSampler
from skalss.oracles import ABSTAIN, Failed, FunctionOracle
from skalss.oracles import calls as calls_module
from skalss.oracles.base import answer_chunks

POOL = np.arange(10, dtype=np.int16).reshape(5, 2)
FRAME = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}, index=[7, 8, 9])


def pairs(oracle, X=POOL):
    return list(chain.from_iterable(answer_chunks(oracle.label(X, np.arange(len(X))))))


def answers(oracle, X=POOL):
    return [answer for _, answer in pairs(oracle, X)]


class Seen:
    """A function that keeps what it got."""

    def __init__(self, result):
        self.got, self.result = [], result

    def __call__(self, rows):
        self.got.append(rows)
        return self.result(rows)


def test_a_batch_is_one_call_with_the_rows_as_they_are():
    seen = Seen(lambda X: X.sum(axis=1))
    assert answers(FunctionOracle(seen)) == [1, 5, 9, 13, 17]
    assert len(seen.got) == 1
    assert seen.got[0].dtype == np.int16
    np.testing.assert_array_equal(seen.got[0], POOL)


def test_per_row_is_a_call_a_row():
    seen = Seen(lambda x: int(x.sum()))
    assert answers(FunctionOracle(seen, per_row=True)) == [1, 5, 9, 13, 17]
    assert [x.shape for x in seen.got] == [(2,)] * 5
    assert seen.got[0].dtype == np.int16


def test_per_row_images_keep_their_shape():
    seen = Seen(lambda x: 0)
    answers(FunctionOracle(seen, per_row=True), np.zeros((2, 1, 4, 4)))
    assert seen.got[0].shape == (1, 4, 4)


def test_a_frame_comes_as_a_frame():
    seen = Seen(lambda frame: frame["b"])
    assert answers(FunctionOracle(seen), FRAME) == ["x", "y", "z"]
    pd.testing.assert_frame_equal(seen.got[0], FRAME)


def test_a_row_of_a_frame_comes_as_a_series():
    seen = Seen(lambda row: row["b"] * row["a"])
    assert answers(FunctionOracle(seen, per_row=True), FRAME) == ["x", "yy", "zzz"]
    assert isinstance(seen.got[0], pd.Series)


def test_per_row_answers_come_one_by_one():
    """A break-down loses no answer that was there before it."""
    seen = Seen(lambda x: 1 / (4 - x[0]))
    stream = FunctionOracle(seen, per_row=True).label(POOL.astype(float), np.arange(5))
    assert next(stream) == (0, 0.25)
    assert len(seen.got) == 1
    assert next(stream)[0] == 1
    with pytest.raises(ZeroDivisionError), np.errstate(all="raise"):
        FunctionOracle(lambda x: 1 // 0, per_row=True).label(POOL, np.arange(5)).__next__()


@pytest.mark.parametrize(
    "result", [list, tuple, np.array, pd.Series, lambda labels: np.array(labels, dtype=object)]
)
def test_any_sequence_of_answers(result):
    assert answers(FunctionOracle(lambda X: result(["a", "b", "c", "d", "e"]))) == list("abcde")


def test_an_answer_column_is_unpacked():
    assert answers(FunctionOracle(lambda X: X[:, :1] * 2)) == [0, 4, 8, 12, 16]


@pytest.mark.parametrize("per_row", [False, True])
def test_what_an_answer_can_be(per_row):
    mixed = ["a", None, float("nan"), Failed("why", charged=True), ABSTAIN]
    function = (lambda x: mixed[x[0] // 2]) if per_row else (lambda X: mixed)
    got = answers(FunctionOracle(function, per_row=per_row))
    assert got[0] == "a"
    assert got[1] is ABSTAIN
    assert got[2] == Failed("the oracle returned nan")
    assert got[3] == Failed("why", charged=True)
    assert got[4] is ABSTAIN


@pytest.mark.parametrize("per_row", [False, True])
def test_only_what_is_named_in_catch_is_a_failure(per_row):
    def breaks(X):
        raise OSError("disk full")

    got = answers(FunctionOracle(breaks, per_row=per_row, catch=(OSError,)))
    assert got == [Failed("OSError: disk full")] * 5
    for catch in ((), (ValueError,)):
        with pytest.raises(OSError, match="disk full"):
            answers(FunctionOracle(breaks, per_row=per_row, catch=catch))


def test_catch_takes_subclasses_and_keeps_the_other_rows():
    def third_fails(x):
        if x[0] == 4:
            raise FileNotFoundError("scan-4")
        return 1

    got = answers(FunctionOracle(third_fails, per_row=True, catch=(OSError,)))
    assert got == [1, 1, Failed("FileNotFoundError: scan-4"), 1, 1]


def test_catch_as_a_list_survives_get_params():
    assert answers(FunctionOracle(lambda X: 1 / 0, catch=[ZeroDivisionError]))[0].reason.startswith("Zero")


def test_a_failed_batch_fails_every_row():
    assert answers(FunctionOracle(lambda X: Failed("down"))) == [Failed("down")] * 5


@pytest.mark.parametrize(
    ("result", "got"),
    [
        ([1, 2, 3], "3 answers"),
        ([], "0 answers"),
        (np.zeros(6), "6 answers"),
        (3, "one int"),
        (None, "one NoneType"),
        (np.float64(2), "one float64"),
        (np.array(2.0), "one ndarray"),
    ],
)
def test_wrong_number_of_answers(result, got):
    with pytest.raises(ValueError, match=f"got 5 rows and returned {got}.*per_row=True"):
        answers(FunctionOracle(lambda X: result))


def test_answers_of_different_shapes_are_left_to_whoever_reads_them():
    got = answers(FunctionOracle(lambda X: ["a", [1, 2], np.array([]), np.zeros(3), 5]))
    assert got[0] == "a"
    assert got[1] == [1, 2]
    assert got[4] == 5


def test_one_string_is_not_five_answers():
    """A string has a length; it is still one answer."""
    with pytest.raises(ValueError, match="one answer a row"):
        answers(FunctionOracle(lambda X: "zebra"))


def test_one_bad_row_does_not_fail_its_batch():
    def simulate(rows):
        if (rows[:, 0] == 2).any():
            raise ArithmeticError("no convergence")
        return rows.sum(axis=1)

    X = np.arange(8.0).reshape(4, 2)
    found = dict(pairs(FunctionOracle(simulate, catch=ArithmeticError), X))
    assert found == {0: 1.0, 1: Failed("ArithmeticError: no convergence"), 2: 9.0, 3: 13.0}


def test_a_wrong_number_of_answers_is_no_failed_question():
    oracle = FunctionOracle(lambda X: [1], catch=ValueError)
    with pytest.raises(ValueError, match="got 3 rows and returned 1 answers"):
        list(oracle.label(np.zeros((3, 1)), np.arange(3)))


def test_a_tensor_or_a_column_is_one_answer_a_row():
    for answer in (torch.tensor([1, 0]), pd.DataFrame({"label": [1, 0]}), np.array([[1], [0]])):
        assert answers(FunctionOracle(lambda X, a=answer: a), np.zeros((2, 1))) == [1, 0]


@pytest.mark.parametrize("answer", [{"x": "a", "y": "b"}, {"a", "b"}, pd.DataFrame([[1, 2], [3, 4]], [5, 6])])
def test_a_container_whose_order_says_nothing(answer):
    with pytest.raises(ValueError, match=f"returned a {type(answer).__name__}"):
        list(FunctionOracle(lambda X: answer).label(np.zeros((2, 1)), np.arange(2)))


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited for, without waiting."""
    seconds = []
    monkeypatch.setattr(calls_module, "sleep", seconds.append)
    return seconds


@pytest.mark.parametrize("charged", [False, True])
def test_failures_are_charged_or_not(charged):
    def simulate(x):
        if x[0] == 0:
            raise OSError("no file")
        return {2: float("nan"), 4: Failed("mine"), 6: Failed("mine", charged=True), 8: 1}[x[0]]

    got = answers(FunctionOracle(simulate, per_row=True, catch=OSError, charge_failures=charged))
    assert got[0] == Failed("OSError: no file", charged=charged)
    assert got[1] == Failed("the oracle returned nan", charged=charged)
    assert got[2:] == [Failed("mine"), Failed("mine", charged=True), 1], "what a function says stays"


@pytest.mark.parametrize("per_row", [False, True])
def test_a_service_that_recovers_is_asked_again(waits, per_row):
    down = iter([True, True, False])

    def service(X):
        if np.ndim(X) == 1 or len(X) == 1:
            if np.ravel(X)[0] == 4 and next(down):
                raise ConnectionError("busy")
        elif 4 in X:
            raise ConnectionError("busy")
        return int(np.ravel(X)[0]) if per_row else [int(row[0]) for row in X]

    oracle = FunctionOracle(service, per_row=per_row, catch=ConnectionError, retries=2, backoff=3.0)
    assert sorted(answers(oracle)) == [0, 2, 4, 6, 8]
    assert waits == [3.0, 6.0]


def test_an_exception_that_is_not_caught_is_not_asked_again(waits):
    seen = Seen(lambda x: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        answers(FunctionOracle(seen, per_row=True, catch=OSError, retries=5))
    assert len(seen.got) == 1
    assert waits == []


def test_a_row_that_kills_its_worker_is_asked_again_and_then_failed(waits, tmp_path):
    note = tmp_path / "attempts"
    path = str(note)

    def simulate(x):
        if x[0] == 4:
            with open(path, "a") as file:
                file.write("x")
            os._exit(1)
        return int(x[0])

    got = dict(FunctionOracle(simulate, per_row=True, n_jobs=2, retries=2).label(POOL, np.arange(5)))
    assert isinstance(got[2], Failed)
    assert got[2].reason.startswith("the worker process died")
    assert {i: got[i] for i in (0, 1, 3, 4)} == {0: 0, 1: 2, 3: 6, 4: 8}
    assert note.read_text() == "xxx"
    assert waits == [1.0, 2.0]


def test_a_batch_that_hangs_at_one_row_answers_the_others():
    def simulate(X):
        if 4 in X:
            time.sleep(600)
        return X[:, 0].tolist()

    got = dict(pairs(FunctionOracle(simulate, timeout=1.0), POOL[1:3]))
    assert got == {0: 2, 1: Failed("timeout: no answer within 1 s")}


def test_a_batch_is_cut_into_four_pieces_a_worker():
    pool = np.arange(40.0)[:, None]
    oracle = FunctionOracle(lambda X: [len(X)] * len(X), n_jobs=2)
    assert answers(oracle, pool) == [5] * 40


def test_a_frame_is_cut_too():
    oracle = FunctionOracle(lambda frame: (frame["b"] * frame["a"]).tolist(), n_jobs=2)
    assert dict(pairs(oracle, FRAME)) == {0: "x", 1: "yy", 2: "zzz"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retries": -1}, "retries must be a whole number of at least 0, got -1"),
        ({"retries": 1.5}, "retries must be a whole number of at least 0, got 1.5"),
        ({"backoff": -1}, "backoff must be a finite number of at least 0"),
        ({"timeout": 0}, "timeout must be a finite number above 0, or None"),
        ({"timeout": float("inf")}, "timeout must be a finite number above 0, or None"),
        ({"backoff": 10**400}, "backoff must be a finite number"),
        ({"retries": True}, "retries must be a whole number of at least 0, got True"),
        ({"n_jobs": 0}, "n_jobs must be a whole number other than 0"),
        ({"n_jobs": "2"}, "n_jobs must be a whole number other than 0, or None, got '2' of type str"),
        ({"n_jobs": float("nan")}, "n_jobs must be a whole number other than 0"),
        ({"n_jobs": True}, "n_jobs must be a whole number other than 0"),
        ({"catch": "NotConverged"}, "catch must be an exception type.*got 'NotConverged'"),
        ({"catch": ("OSError",)}, "catch must be an exception type.*got 'OSError'"),
        ({"catch": [OSError, OSError("down")]}, r"got OSError\('down'\)"),
        ({"catch": KeyboardInterrupt}, "catch must be an exception type"),
        ({"catch": None}, r"catch must be an exception type.*\(\) for none"),
        ({"charge_failures": "False"}, "charge_failures must be True or False, got 'False'"),
        ({"per_row": "no"}, "per_row must be True or False"),
        ({"cost": -1}, "cost of id 0 is -1.0"),
        ({"cost": float("nan")}, "is nan"),
        ({"cost": "2"}, "cost must be one number.*got '2' of type str"),
        ({"cost": True}, "cost must be one number.*got True"),
        ({"cost": 10**400}, "cost must give numbers"),
        ({"cost": ["1"] * 5}, "cost must give numbers"),
        ({"cost": {"a": float("inf")}}, "cost of id 'a' is inf"),
        ({"cost": np.ma.masked_equal([1.0, 2.0, 3.0, 4.0, 5.0], 3)}, "cost of id 2 is nan"),
    ],
)
def test_wrong_policies_are_refused_before_anything_is_asked(settings, message):
    seen = Seen(lambda X: [0] * len(X))
    oracle = FunctionOracle(seen, **settings)
    with pytest.raises((ValueError, TypeError), match=message):
        oracle.check_pool(None, 5)
    if "cost" not in settings:
        with pytest.raises((ValueError, TypeError), match=message):
            answers(oracle)
    assert seen.got == []


def test_costs_that_leave_a_row_out_are_refused_before_anything_is_asked():
    seen = Seen(lambda X: [0] * len(X))
    oracle = FunctionOracle(seen, cost={i: 1.0 for i in range(40) if i != 33})
    with pytest.raises(ValueError, match="cost holds no entry for the id .*33"):
        AdaptiveLatentSampler(strategy="random", oracle=oracle, n_initial=5).fit(np.arange(40.0)[:, None])
    assert seen.got == []
