"""What the calls work on: a few rows, small models, and a labeller that counts what it is paid for."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from ...campaign import Campaign
from ...compare import compare_strategies
from ...datasets import make_vessels
from ...latent import VAE, LinearLatent
from ...ledger import Ledger
from ...nets import MLP, net_classifier, net_regressor
from ...network import TaskNet
from ...oracles import BaseOracle
from ...sampler import AdaptiveLatentSampler
from ...selective import EarlyDropLR, MarginMonitor, SelectiveNetClassifier
from ...strategies import Encoded, Snapshot, make_snapshot

N_ROWS = 24
BUDGET = {"n_initial": 6, "n_per_round": 4, "max_labels": 14}


class Purse:
    """Counts the answers that were paid in a call."""

    paid = 0


class Labeller(BaseOracle):
    """Labels any row, by its id."""

    labels_new_points = True

    def __init__(self, values: bool = False):
        self.values = values

    def label(self, X: ArrayLike, ids: np.ndarray) -> Iterator[Any]:
        """Yield one answer after the other."""
        for id_ in ids:
            Purse.paid += 1
            number = zlib.crc32(str(id_).encode())
            yield id_, float(number % 7) if self.values else number % 2


def label_rows(X: Any) -> list[int]:
    """Label rows, as a function of a user's does."""
    Purse.paid += len(X)
    return [i % 2 for i in range(len(X))]


# -- data -----------------------------------------------------------------------------------------


def rows(n: int = N_ROWS, width: int = 4, seed: int = 0) -> np.ndarray:
    """Return rows (n, width) of two clouds."""
    X = np.random.default_rng(seed).normal(size=(n, width))
    X[::2] += 2
    return X


def labels(n: int = N_ROWS) -> np.ndarray:
    """Return the cloud of each row."""
    return np.arange(n) % 2


def values(n: int = N_ROWS) -> np.ndarray:
    """Return a number for each row."""
    return rows(n) @ np.arange(1.0, 5.0)


def images() -> np.ndarray:
    """Return images (n, 1, 8, 8)."""
    return np.random.default_rng(0).uniform(size=(12, 1, 8, 8)).astype(np.float32)


@cache
def vessels() -> np.ndarray:
    """Return two images for the simulator."""
    return make_vessels(2, size=16, random_state=0).X


def scores() -> torch.Tensor:
    """Return class scores (5, 3)."""
    return torch.linspace(-1, 1, 15).reshape(5, 3)


# -- models and campaigns -------------------------------------------------------------------------


def net(task: str = "classification", **params: Any) -> Any:
    """Return a small net."""
    make = net_classifier if task == "classification" else net_regressor
    return make(**{"max_epochs": 1, "module__hidden_layer_sizes": (4,), **params})


def sampler(**params: Any) -> AdaptiveLatentSampler:
    """Return a sampler with a small budget and a labeller who counts."""
    common = {
        "estimator": net(),
        "latent_model": LinearLatent(2),
        "strategy": "random",
        "oracle": Labeller(),
        "random_state": 0,
        **BUDGET,
    }
    return AdaptiveLatentSampler(**{**common, **params})


def play(X: Any, params: dict[str, Any], **data: Any) -> list[Any]:
    """Fit a sampler, and return what it says."""
    fitted = sampler(**params).fit(X, **data)
    said = [fitted.predict(X), fitted.history_[["n_labels", "n_queries", "cost"]]]
    return [*said, fitted.predict_proba(X)] if hasattr(fitted, "predict_proba") else said


def watched_net(**params: Any) -> SelectiveNetClassifier:
    """Return a trained net that takes a few steps in each of two epochs."""
    common = {
        "module__input_dim": 4,
        "module__output_dim": 2,
        "module__hidden_layer_sizes": (4,),
        "criterion": torch.nn.CrossEntropyLoss,
        "max_epochs": 2,
        "batch_size": 4,
        "train_split": None,
        "verbose": 0,
    }
    torch.manual_seed(0)
    return SelectiveNetClassifier(params.pop("module", MLP), **{**common, **params}).fit(
        rows().astype(np.float32), labels()
    )


@cache
def fitted_vae() -> VAE:
    """Return a latent model that is fitted."""
    return VAE(2, hidden_layer_sizes=(4,), max_epochs=1, random_state=0).fit(rows())


@cache
def fitted_linear() -> LinearLatent:
    """Return a latent model that is fitted."""
    return LinearLatent(2, random_state=0).fit(rows())


@cache
def fitted_tasknet() -> TaskNet:
    """Return a network that is trained."""
    return TaskNet(net(), random_state=0).fit(rows(), labels())


@cache
def fitted_sampler() -> AdaptiveLatentSampler:
    """Return a sampler that is fitted, with codes and validation rows."""
    return sampler(strategy="kmeans").fit(rows(), X_val=rows(seed=1), y_val=labels())


@cache
def monitored() -> SelectiveNetClassifier:
    """Return a trained net that a monitor has watched."""
    drops, monitor = EarlyDropLR(), MarginMonitor(warn=False)
    return watched_net(callbacks=[("drops", drops), ("monitor", monitor)])


def campaign(**params: Any) -> Campaign:
    """Return a campaign whose first rows are asked, and not told."""
    made = Campaign(sampler(**{"oracle": None, "classes": [0, 1], **params}), rows())
    made.ask()
    return made


def snapshot(**overrides: Any) -> Snapshot:
    """Return a state for a strategy to choose from."""
    state: dict[str, Any] = {
        "X": rows(),
        "labeled": np.arange(6),
        "y_labeled": labels(6),
        "latent": lambda: Encoded(fitted_linear(), fitted_linear().transform(rows())),
        "network": fitted_tasknet,
        "random_state": 0,
    }
    return make_snapshot(**{**state, **overrides})


def ledger() -> Ledger:
    """Return the ledger of a campaign that waits for six answers."""
    path = Path("good.ledger")
    campaign(ledger=path).close()
    return Ledger(path)


@cache
def _results() -> pd.DataFrame:
    return compare_strategies(
        sampler(oracle=None),
        rows(),
        labels(),
        ["margin"],
        X_test=rows(seed=1),
        y_test=labels(),
        seeds=2,
    )


def results() -> pd.DataFrame:
    """Return the table of a comparison of two arms over two seeds."""
    return _results().copy()


def encoded() -> Encoded:
    """Return the pool in its latent space."""
    return Encoded(fitted_linear(), fitted_linear().transform(rows()))


def first_id() -> int:
    """Return the first id that the campaign of `ledger` waits for."""
    return int(campaign().pending.ids[0])


def curve() -> pd.Series:
    """Return a learning curve."""
    return pd.Series([0.1, 0.4, 0.8], index=[10, 20, 30])
