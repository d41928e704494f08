"""The contract of an oracle, asked of every one: list a new oracle here and it is tested."""

import pickle
import sys
import threading
from itertools import chain

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from skalss import AdaptiveLatentSampler
from skalss.oracles import ABSTAIN, AnswerKey, BaseOracle, Failed, FunctionOracle
from skalss.oracles.base import answer_chunks

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # worker processes cannot import this file

POOL = np.arange(12.0).reshape(6, 2)
LABELS = np.array(["a", "b", "c", "a", "b", "c"])


def by_content(rows):
    return LABELS[(np.asarray(rows)[:, 0] // 2).astype(int)]


def pairs(oracle, X, ids):
    return list(chain.from_iterable(answer_chunks(oracle.label(X, ids))))


def of_one(row):
    return LABELS[int(np.asarray(row)[0] // 2)]


class OwnOracle(BaseOracle):
    """As a user would write one: answers come last row first."""

    def label(self, X, ids):
        yield from reversed(list(zip(ids, by_content(X), strict=True)))


ORACLES = {
    "key": AnswerKey(LABELS),
    "key by id": AnswerKey(LABELS[::-1], sample_id=np.arange(6)[::-1]),
    "batch function": FunctionOracle(by_content),
    "row function": FunctionOracle(of_one, per_row=True),
    "function that may fail": FunctionOracle(of_one, per_row=True, catch=ValueError, retries=2, cost=1.5),
    "batches in workers": FunctionOracle(by_content, n_jobs=2),
    "rows in workers": FunctionOracle(of_one, per_row=True, n_jobs=2),
    "rows with a time limit": FunctionOracle(of_one, per_row=True, timeout=60.0),
    "own class": OwnOracle(),
}
every_oracle = pytest.mark.parametrize("oracle", ORACLES.values(), ids=ORACLES)


@every_oracle
@pytest.mark.parametrize("frame", [False, True], ids=["array", "frame"])
def test_answers_each_id_once_with_its_label(oracle, frame):
    ids = np.array([4, 1, 2])
    X = pd.DataFrame(POOL, columns=["p", "q"]).iloc[ids] if frame else POOL[ids]
    answers = pairs(oracle, X, ids)
    assert sorted(id_ for id_, _ in answers) == [1, 2, 4]
    assert dict(answers) == {4: "b", 1: "b", 2: "c"}


@every_oracle
def test_no_questions_no_answers(oracle):
    assert pairs(oracle, POOL[:0], np.array([], dtype=int)) == []


@every_oracle
def test_a_clone_is_the_oracle_itself(oracle):
    assert clone(oracle) is oracle
    sampler = AdaptiveLatentSampler(oracle=oracle)
    assert clone(sampler).oracle is oracle


@every_oracle
def test_says_whether_it_labels_new_points(oracle):
    assert oracle.labels_new_points is isinstance(oracle, FunctionOracle)


@every_oracle
def test_parameters_are_listed_and_shown(oracle):
    assert type(oracle).__name__ in repr(oracle)
    again = type(oracle)(**oracle.get_params())
    assert dict(pairs(again, POOL, np.arange(6))) == dict(pairs(oracle, POOL, np.arange(6)))


@every_oracle
def test_pickle(oracle):
    copy = pickle.loads(pickle.dumps(oracle))
    assert dict(pairs(copy, POOL, np.arange(6))) == dict(enumerate(LABELS))


@every_oracle
def test_costs_are_a_number_a_row_or_unknown(oracle):
    costs = oracle.row_costs(POOL[:4], np.arange(4))
    assert costs is None or (costs.shape == (4,) and costs.dtype == np.float64)


@every_oracle
def test_accepts_a_pool_it_can_serve(oracle):
    ids = None if getattr(oracle, "sample_id", None) is None else np.arange(6)
    oracle.check_pool(ids, 6)


def test_an_oracle_with_a_lock_survives_cloning_and_sees_the_questions():
    class Locked(OwnOracle):
        def __init__(self):
            self.lock, self.n_calls = threading.Lock(), 0

        def label(self, X, ids):
            with self.lock:
                self.n_calls += len(ids)
            return super().label(X, ids)

    oracle = Locked()
    for _ in range(3):
        list(clone(AdaptiveLatentSampler(oracle=oracle)).oracle.label(POOL, np.arange(6)))
    assert oracle.n_calls == 18


def test_three_kinds_of_answer_are_different_things():
    assert not isinstance(ABSTAIN, Failed)
    assert Failed("why") != ABSTAIN
    assert Failed("why") == Failed("why", charged=False)
    assert Failed("why") != Failed("why", charged=True)
