import copy
import pickle

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from skalss.oracles import ABSTAIN, Abstain, Failed
from skalss.oracles.base import read_answer


@pytest.mark.parametrize(
    "travel",
    [
        copy.copy,
        copy.deepcopy,
        lambda answer: copy.deepcopy({"a": [answer]})["a"][0],
        lambda answer: cloudpickle.loads(cloudpickle.dumps(answer)),  # as to worker processes and back
        *(lambda answer, p=p: pickle.loads(pickle.dumps(answer, protocol=p)) for p in range(2, 6)),
    ],
)
def test_there_is_one_abstain(travel):
    assert travel(ABSTAIN) is ABSTAIN
    assert repr(ABSTAIN) == "ABSTAIN"


def test_an_abstention_keeps_its_reason():
    answer = Abstain("two lumens")
    assert read_answer(answer) is answer
    assert pickle.loads(pickle.dumps(answer)) == copy.deepcopy(answer) == answer
    assert answer != ABSTAIN
    assert answer != Abstain("no lumen")
    assert repr(answer) == "Abstain('two lumens')"


def test_an_abstention_without_a_reason_is_the_plain_one():
    assert Abstain() == ABSTAIN
    assert read_answer(Abstain()) is ABSTAIN
    assert pickle.loads(pickle.dumps(Abstain())) == ABSTAIN


@pytest.mark.parametrize("answer", [None, ABSTAIN, pd.NA, np.array([None], dtype=object)])
def test_does_not_know(answer):
    assert read_answer(answer) is ABSTAIN


@pytest.mark.parametrize(
    "answer", [float("nan"), np.nan, np.float32("nan"), np.inf, -np.inf, np.array(np.nan), np.array([np.nan])]
)
def test_no_number_is_a_failure(answer):
    read = read_answer(answer)
    assert isinstance(read, Failed)
    assert not read.charged
    assert "the oracle returned" in read.reason


@pytest.mark.parametrize("answer", ["cat", "nan", "", 0, 3, -1.5, True, np.int64(4), np.str_("dog"), 0.0])
def test_a_label_passes(answer):
    assert read_answer(answer) == answer


def test_a_one_element_array_is_its_element():
    assert read_answer(np.array([3])) == 3
    assert read_answer(np.array(["x"])) == "x"


def test_failed_passes_as_it_is():
    failed = Failed("no convergence", charged=True)
    assert read_answer(failed) is failed
    assert pickle.loads(pickle.dumps(failed)) == failed
