"""The settings of an estimator as text."""

import copy
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn

from skalss import AdaptiveLatentSampler, MaxRounds, TaskNet
from skalss.latent import LinearLatent, PretrainedLatent
from skalss.nets import MLP, LeNet, net_classifier
from skalss.strategies import UncertaintyStrategy
from skalss.utils.settings import blind_spots, describe, differing_parameters

X = np.random.default_rng(0).normal(size=(20, 3))


def module(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


class WithSlots:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


ALIKE = {  # made twice, each is the same
    "array": lambda: np.arange(4),
    "tensor": lambda: torch.ones(2),
    "partial": lambda: partial(sorted, reverse=True),
    "class": lambda: MLP,
    "set": lambda: {"b", "a", "c"},
    "mapping": lambda: {"a": [1, 2.5, None]},
    "range": lambda: range(10),
    "path": lambda: Path("a"),
    "dtype": lambda: torch.float32,
    "slots": lambda: WithSlots(1),
    "series": lambda: pd.Series([1, 2, 3]),
    "method": lambda: Ridge(2.0).fit,
    "fitted trees": lambda: FrozenEstimator(DecisionTreeRegressor(random_state=0).fit(X, X[:, 0])),
    "module": module,
    "net": lambda: net_classifier(MLP, callbacks=[EarlyStopping()], train_split=ValidSplit(4)),
    "task net": lambda: TaskNet(net_classifier()),
    "pipeline": lambda: make_pipeline(StandardScaler(), Ridge()),
    "frozen": lambda: FrozenEstimator(LinearLatent(2, random_state=0).fit(X)),
    "rule": lambda: [MaxRounds(8)],
}
OTHER = {
    "array": np.arange(4.0),
    "tensor": torch.zeros(2),
    "partial": partial(sorted, reverse=False),
    "class": nn.Linear,
    "set": {"b", "a"},
    "mapping": {"a": [1, 2.5, 0]},
    "range": range(5),
    "path": Path("b"),
    "dtype": torch.float64,
    "slots": WithSlots(2),
    "series": pd.Series([1, 2, 4]),
    "method": Ridge(3.0).fit,
    "fitted trees": FrozenEstimator(DecisionTreeRegressor(random_state=0).fit(X, X[:, 1])),
    "module": module(seed=1),
    "net": net_classifier(MLP, callbacks=[EarlyStopping(patience=2)], train_split=ValidSplit(4)),
    "task net": TaskNet(net_classifier(), warm_start=True),
    "pipeline": make_pipeline(StandardScaler(), Ridge(2.0)),
    "frozen": FrozenEstimator(LinearLatent(2, random_state=0).fit(2 * X)),
    "rule": [MaxRounds(9)],
}


@pytest.mark.parametrize("kind", ALIKE)
def test_equal_settings_have_equal_texts_and_others_another(kind):
    first, second = ALIKE[kind](), ALIKE[kind]()
    assert describe(first) == describe(second)
    assert describe(first) != describe(OTHER[kind])
    assert " at 0x" not in describe(first)


def test_use_and_order_change_no_text():
    index = pd.Index([1, 2])
    before = describe(index)
    assert index.is_unique  # pandas remembers it
    assert index.get_indexer([1]) == [0]
    assert describe(index) == before
    assert describe({"a": 1, "b": 2}) == describe({"b": 2, "a": 1})


def test_texts_are_the_same_in_any_process():
    code = (
        "from skalss.utils.settings import describe; from skalss import TaskNet; from skalss.nets import *;"
        "print(describe([TaskNet(net_classifier(LeNet, lr=.1)), {'x', 'y'}, 3.0]))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = describe([TaskNet(net_classifier(LeNet, lr=0.1)), {"x", "y"}, 3.0])
    assert there.strip() == here


def test_only_what_differs_from_a_default_counts():
    assert describe(UncertaintyStrategy("margin")) == describe(
        UncertaintyStrategy("margin", n_candidates=None)
    )
    assert "n_candidates" not in describe(UncertaintyStrategy("margin"))
    sampler = AdaptiveLatentSampler(strategy="margin", n_initial=50, ledger="a.ledger", max_labels=70)
    assert differing_parameters(sampler, ["ledger"]) == {"strategy": "margin", "max_labels": 70}
    assert differing_parameters(AdaptiveLatentSampler()) == {}


def test_what_is_ignored_is_ignored_at_any_depth():
    first = TaskNet(net_classifier(verbose=1), device="cpu", random_state=0)
    second = TaskNet(net_classifier(verbose=0), device="auto", random_state=np.random.RandomState(3))
    ignored = ["device", "random_state", "verbose"]
    assert describe(first, ignored) == describe(second, ignored)
    assert describe(first) != describe(second)


def test_weights_count_unless_they_are_to_be_read_from_a_file():
    first, second = PretrainedLatent(module(0)), PretrainedLatent(module(1))
    assert describe(first) != describe(second)
    assert describe(first, weights=False) == describe(second, weights=False)
    assert describe(clone(first)) == describe(first)


class Scaled(nn.Module):
    """Holds a number that is no weight."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


class Masked(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask, persistent=False)


def times(factor):
    def multiply(x):
        return factor * x

    return multiply


def pipeline(n_rows):
    return make_pipeline(StandardScaler(), Ridge()).fit(X[:n_rows], X[:n_rows, 0])


def attention(n_heads):
    torch.manual_seed(0)
    return nn.MultiheadAttention(4, n_heads)


def net(seed):
    torch.manual_seed(seed)
    return net_classifier(module__input_dim=3, module__output_dim=2, max_epochs=1)


DIFFER = {  # made with 1 and made with 2
    "number of a module": lambda k: Scaled(k),
    "tensor of a module": lambda k: nn.Sequential(Scaled(torch.full((3,), float(k)))),
    "function of a module": lambda k: Scaled(times(k)),
    "buffer that is not saved": lambda k: Masked(torch.full((3,), k)),
    "heads that no text shows": lambda k: attention(k),
    "lambda": lambda k: [lambda x: x + 1, lambda x: x + 2][k - 1],
    "closure": times,
    "default": lambda k: lambda x, factor=k: factor * x,
    "nested code": lambda k: [lambda xs: [x + 1 for x in xs], lambda xs: [x - 1 for x in xs]][k - 1],
    "method of a module": lambda k: Scaled(k).forward,
    "lazy layer": lambda k: nn.Sequential(nn.LazyLinear(k), nn.Flatten()),
    "frozen pipeline": lambda k: FrozenEstimator(pipeline(10 * k)),
    "frozen net": lambda k: FrozenEstimator(net(k).fit(X.astype("float32"), (X[:, 0] > 0).astype(int))),
    "frozen boosting": lambda k: FrozenEstimator(
        GradientBoostingRegressor(n_estimators=2, random_state=0).fit(X[: 10 * k], X[: 10 * k, 0])
    ),
    "module of a net": lambda k: net_classifier(module(k)),
    "criterion of a net": lambda k: net_classifier(criterion__weight=torch.full((3,), float(k))),
}


@pytest.mark.parametrize("make", DIFFER.values(), ids=DIFFER)
def test_what_is_done_counts(make):
    assert describe(make(1)) == describe(make(1))
    assert describe(make(1)) != describe(make(2))
    assert describe(copy.deepcopy(make(1))) == describe(make(1))


def test_it_is_the_same_in_any_process_with_any_seed_of_hashes():
    code = (
        "import numpy as np, torch; from torch import nn; from sklearn.frozen import FrozenEstimator;"
        "from sklearn.ensemble import GradientBoostingRegressor; from skalss.utils.settings import describe;"
        "X = np.random.default_rng(0).normal(size=(20, 3)); torch.manual_seed(0); net = nn.Linear(3, 2);"
        "net.extra = {'b': 1, 'a': {'y', 'x'}}; held = {'q', 'p'};"
        "tree = GradientBoostingRegressor(n_estimators=2, random_state=0).fit(X, X[:, 0]);"
        "make = lambda: (lambda x: (x, held));"
        "print(describe([net, FrozenEstimator(tree), make(), eval('lambda x: (x, {1, 2})')]))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_what_nothing_tells_apart_is_named():
    assert blind_spots([1, "a", net_classifier(), module(), X]) == []
    assert blind_spots({"lock": [threading.Lock()]}) == ["_thread.lock"]


def test_ordinary_settings_are_named_as_before():
    """So that ledgers of earlier versions stay good."""
    plain = [
        AdaptiveLatentSampler(net_classifier(LeNet), LinearLatent(4), UncertaintyStrategy("margin")),
        PretrainedLatent(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Flatten())),
        FrozenEstimator(LinearLatent(2, random_state=0).fit(X)),
        np.array(["a", None], dtype=object),
        partial(sorted, reverse=True),
    ]
    for value in plain:
        assert describe(value) == describe(value, whole=False)


def test_what_holds_itself_is_named_once():
    inside: list = [1]
    inside.append(inside)
    assert describe(inside) == "[1, ...]"
