import numpy as np
import pytest

from skalss.campaign.questions import Question
from skalss.campaign.records import Records
from skalss.oracles import ABSTAIN, Abstain, Failed
from skalss.oracles.base import ABSTAINED, FAILED, LABELED, PENDING


def question(position, kind="pool", **fields):
    id_ = f"generated-{position}" if kind == "generated" else position
    at = -1 if kind == "generated" else position
    return Question(id=id_, kind=kind, position=at, round=0, strategy="S", **fields)


@pytest.fixture
def records():
    return Records(10, given=np.array([9, 8]), given_labels=["x", "y"])


def test_given_labels_are_there_from_the_start(records):
    assert records.labels() == ["x", "y"]
    assert records.positions().tolist() == [9, 8]
    assert np.flatnonzero(records.taken).tolist() == [8, 9]
    assert records.n_paid == 0


def test_asked_rows_are_pending_and_taken(records):
    records.ask([question(3), question(1)])
    assert list(records.pending) == [3, 1]
    assert np.flatnonzero(records.taken).tolist() == [1, 3, 8, 9]
    assert records.n_paid == 0
    assert records.labels() == ["x", "y"]


@pytest.mark.parametrize(
    ("answer", "state", "charged", "taken"),
    [
        ("a", LABELED, True, True),
        (ABSTAIN, ABSTAINED, True, True),
        (Abstain("why"), ABSTAINED, True, True),
        (Failed("why"), FAILED, False, False),
        (Failed("why", charged=True), FAILED, True, False),
    ],
)
def test_what_an_answer_does(records, answer, state, charged, taken):
    records.ask([question(3)])
    records.answer(3, answer)
    asked = records.questions[0]
    assert (asked.state, asked.charged) == (state, charged)
    assert asked.label == ("a" if state == LABELED else None)
    assert asked.reason == getattr(answer, "reason", "")
    assert records.taken[3] == taken
    assert records.failed[3] == (state == FAILED)
    assert records.pending == {}
    assert records.n_paid == charged
    assert records.count(state) == 1


def test_order_is_that_of_the_questions_not_of_the_answers(records):
    records.ask([question(3), question(1), question(5)])
    for id_ in (5, 3, 1):
        records.answer(id_, f"label {id_}")
    assert records.positions().tolist() == [9, 8, 3, 1, 5]
    assert records.labels() == ["x", "y", "label 3", "label 1", "label 5"]


def test_generated_points_stand_after_pool_rows(records):
    records.ask([question(0, "generated"), question(3)])
    records.answer("generated-0", "g")
    records.answer(3, "p")
    assert records.labels() == ["x", "y", "p", "g"]
    assert records.positions().tolist() == [9, 8, 3]
    assert [q.kind for q in records.labelled()] == ["pool", "generated"]


def test_labels_of_control_rows_are_held_out(records):
    records.ask([question(3), question(1, control=True), question(0, "generated"), question(5, control=True)])
    for id_ in (1, "generated-0", 3):
        records.answer(id_, f"label {id_}")
    assert records.labels() == ["x", "y", "label 3", "label generated-0"]
    assert records.positions().tolist() == [9, 8, 3]
    assert len(records.start_keys()) == len(records.starts_used()) == 4
    assert [q.position for q in records.held_out()] == [1]
    assert records.labels(held_out=True) == ["x", "y", "label 3", "label 1", "label generated-0"]
    assert records.positions(held_out=True).tolist() == [9, 8, 3, 1]
    assert records.taken[[1, 5]].all()
    assert records.n_paid == 3
    assert records.to_frame()["control"].tolist() == [False, True, False, True]


def test_a_failed_generated_point_blocks_nothing(records):
    records.ask([question(0, "generated")])
    records.answer("generated-0", Failed("why"))
    assert not records.failed.any()
    assert np.flatnonzero(records.taken).tolist() == [8, 9]


def test_failed_rows_wait_until_no_other_row_is_left(records):
    records.ask([question(i) for i in range(6)])
    for i in range(4):
        records.answer(i, Failed("why"))
    assert np.flatnonzero(~records.blocked()).tolist() == [6, 7]
    records.ask([question(6)])
    assert np.flatnonzero(~records.blocked()).tolist() == [7]
    records.ask([question(7)])
    assert np.flatnonzero(~records.blocked()).tolist() == [0, 1, 2, 3]


def test_blocked_is_a_copy(records):
    records.blocked()[:] = True
    assert np.flatnonzero(records.taken).tolist() == [8, 9]
    records.ask([question(i) for i in range(8)])
    for i in range(8):
        records.answer(i, Failed("why"))
    records.blocked()[:] = True
    assert np.flatnonzero(records.taken).tolist() == [8, 9]


def test_start_keys_stay_when_answers_come_late(records):
    records.ask([question(3), question(1)])
    records.answer(1, "b")
    (key,) = records.start_keys()[2:]
    records.answer(3, "a")
    assert records.start_keys()[3] == key
    assert len(set(records.start_keys())) == 4


def test_starts_used(records):
    records.ask([question(3), question(1)])
    for id_ in (3, 1):
        records.answer(id_, "a")
    records.ask([question(5, start=records.start_keys()[2]), question(6, start=records.start_keys()[0])])
    assert records.starts_used().tolist() == [True, False, True, False]


def test_frame_has_a_row_for_each_question(records):
    assert records.to_frame().empty
    empty_columns = records.to_frame().columns.tolist()
    records.ask([question(3, score=0.5), question(1)])
    records.answer(1, Failed("why"))
    frame = records.to_frame()
    assert frame.columns.tolist() == empty_columns
    assert frame["state"].tolist() == [PENDING, FAILED]
    assert frame["position"].tolist() == [3, 1]
    assert frame["reason"].tolist() == ["", "why"]
