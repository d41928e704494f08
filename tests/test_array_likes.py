"""Every argument takes what X takes: each kind of array gives what NumPy's own gives."""

import array_api_strict as xp
import numpy as np
import pandas as pd
import pytest
import torch

from skalss import AdaptiveLatentSampler, Campaign
from skalss.compare import compare_strategies
from skalss.latent import LinearLatent
from skalss.nets import net_classifier
from skalss.oracles import AnswerKey

from .sampling import X_TEST, Y_TEST, X, Y

IDS = 10**16 + 1 + 3 * np.arange(len(X))  # as floats, they would be others
KNOWN = np.arange(len(X)) < 8
WEIGHTS = np.linspace(0.5, 1.5, len(X_TEST))


def _read_only(array):
    array = np.repeat(array, 2, axis=0)[::2]
    array.flags.writeable = False
    return array


def _seen_through_views(array):
    """A tensor that is a lazy view, and records gradients where it can."""
    tensor = torch.as_tensor(array.copy())
    if tensor.is_floating_point():
        tensor = torch.complex(torch.zeros_like(tensor), -tensor).requires_grad_().conj().imag
    return tensor


KINDS = {
    "tensor": _seen_through_views,
    "list": lambda array: array.tolist(),
    "list of tensors": lambda array: [torch.as_tensor(value) for value in array],
    "array API": lambda array: xp.asarray(array, device=xp.Device("device1")),
    "read-only": _read_only,
    "reversed": lambda array: array[::-1].copy()[::-1],
    "masked": lambda array: np.ma.array(array, mask=False),
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "objects": lambda array: array.astype(object) if array.ndim == 1 else array,
    "frame": pd.DataFrame,
    "nullable": lambda array: pd.array(array.tolist()) if array.ndim == 1 else array,
    "categorical": lambda array: pd.Categorical(array) if array.ndim == 1 and array.dtype == int else array,
}


def _outcome(kind):
    """All arguments of one campaign, each of a kind."""
    settings = {"n_initial": 20, "n_per_round": 15, "max_labels": 40, "random_state": 0}
    sampler = AdaptiveLatentSampler(
        net_classifier(max_epochs=2),
        LinearLatent(3),
        oracle=AnswerKey(kind(Y), kind(IDS)) if kind is not pd.DataFrame else AnswerKey(Y, IDS),
        classes=kind(np.arange(10)),
        **settings,
    )
    sampler.fit(
        kind(X), kind(Y), labeled=kind(KNOWN), sample_id=kind(IDS), X_val=kind(X_TEST), y_val=kind(Y_TEST)
    )
    score = sampler.score(kind(X_TEST), kind(Y_TEST), sample_weight=kind(WEIGHTS))
    return {
        "rows": sampler.labeled_indices_.tolist(),
        "ids": [int(id_) for id_ in sampler.queries_["id"]],
        "labels": sampler.queries_["label"].tolist(),
        "classes": sampler.classes_.tolist(),
        "held out": sampler.history_["val_score"].tolist(),
        "score": round(score, 6),
    }


@pytest.fixture(scope="module")
def expected():
    return _outcome(np.asarray)


@pytest.mark.parametrize("kind", KINDS)
def test_each_argument_takes_each_kind(kind, expected):
    assert str(_outcome(KINDS[kind])) == str(expected)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "frame"])
def test_ids_and_answers_told(kind):
    sampler = AdaptiveLatentSampler(strategy="random", classes=range(10), max_labels=20, random_state=0)
    campaign, make = Campaign(sampler, X, sample_id=IDS), KINDS[kind]
    ids = np.asarray(campaign.ask(20).ids)
    positions = (ids - IDS[0]) // 3
    campaign.tell(make(ids), make(Y[positions]))
    assert campaign.queries["label"].tolist() == Y[positions].tolist()


@pytest.mark.parametrize("kind", ["tensor", "objects", "array API"])
def test_rows_of_a_comparison(kind):
    sampler = AdaptiveLatentSampler(net_classifier(max_epochs=1), max_labels=20, n_initial=20)
    make, test = KINDS[kind], {"X_test": X_TEST, "y_test": Y_TEST}
    found = compare_strategies(
        sampler, make(X), make(Y), ["random"], seeds=1, **{name: make(value) for name, value in test.items()}
    )
    plain = compare_strategies(sampler, X, Y, ["random"], seeds=1, **test)
    assert found["score"].tolist() == plain["score"].tolist()


def test_whole_numbers_beside_missing_ones_stay_whole():
    y = [None] * len(X)
    y[:9] = (2**53 + 1 + np.arange(9) % 3).tolist()  # a float would make two classes one
    sampler = AdaptiveLatentSampler(
        net_classifier(max_epochs=1), oracle=lambda rows: [2**53 + 1] * len(rows), max_labels=5, n_initial=9
    )
    assert sampler.fit(X, y).classes_.tolist() == [2**53 + 1, 2**53 + 2, 2**53 + 3]
