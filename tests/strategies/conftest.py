"""Snapshots of small campaigns."""

from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from torch import nn

from skalss import TaskNet
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.network import make_task_model
from skalss.strategies import Encoded, make_snapshot
from skalss.targets import Classes, ClassMap, Labels, ValueMap, Values

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
N_ROWS = 150
N_LABELED = 40
CLASSES = np.arange(10)
PIXELS = DIGITS.reshape(-1, 8, 8)


class PixelNet(nn.Module):
    """Flat digits in, a number for each pixel and class out."""

    def __init__(self, output_dim=2):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(4, output_dim, 1)

    def forward(self, X):
        return self.head(self.body(X.reshape(-1, 1, 8, 8)))


LABELS = {  # what is learned of the digits, by the kind of y
    "classification": (Classes(CLASSES), DIGITS_Y),
    "regression": (Values(), DIGITS[:, 20] + 0.1 * DIGITS[:, 30]),
    "several values": (Values(2), DIGITS[:, [20, 30]]),
    "multilabel": (Labels(range(3)), (DIGITS[:, [10, 20, 30]] > 8).astype(int)),
    "segmentation": (ClassMap([0, 1], shape=(8, 8)), np.where(PIXELS == 16, -1, PIXELS > 8)),
    "field regression": (ValueMap((8, 8)), np.where(PIXELS == 16, np.nan, np.sqrt(PIXELS))),
}
MODELS = {
    ("net", "multilabel"): TaskNet(net_classifier(max_epochs=10), device="cpu"),
    ("forest", "multilabel"): RandomForestClassifier(5),
    ("net", "several values"): TaskNet(net_regressor(max_epochs=10), device="cpu"),
    ("net", "segmentation"): TaskNet(net_classifier(PixelNet, max_epochs=10, lr=0.01), device="cpu"),
    ("net", "field regression"): TaskNet(net_regressor(PixelNet, max_epochs=10, lr=0.01), device="cpu"),
    ("net", "classification"): TaskNet(net_classifier(max_epochs=10), device="cpu"),
    ("net", "regression"): TaskNet(net_regressor(max_epochs=10), device="cpu"),
    ("forest", "classification"): RandomForestClassifier(5),
    ("forest", "regression"): RandomForestRegressor(5),
    ("linear", "classification"): LogisticRegression(C=1e-3, tol=0.01),
    ("linear", "regression"): Ridge(),
}


class Unread(np.ndarray):
    """Rows that nobody may look at."""

    def __getitem__(self, which):
        raise AssertionError("a row of the pool was read")


class CountingNet:
    """Passes calls on to a task model and counts the rows that it is asked about."""

    def __init__(self, network):
        self.network, self.rows = network, {}
        self.abilities = network.abilities

    def __getattr__(self, name):
        method = getattr(self.network, name)

        def counted(*args, **kwargs):
            if args:
                rows = args[1] if name == "loss_gradient" else args[0]
                self.rows[name] = self.rows.get(name, 0) + len(rows)
            return method(*args, **kwargs)

        return counted


class World:
    """A pool, its codes, and a task model trained on a few of its rows."""

    def __init__(self, task, model="net"):
        self.task = task
        self.X = DIGITS[:N_ROWS]
        self.target, y = LABELS[task]
        self.y = y[:N_ROWS]
        self.latent_model = LinearLatent(4, random_state=0).fit(self.X)
        self.codes = self.latent_model.transform(self.X)
        self.encoded = Encoded(self.latent_model, self.codes)
        self.labeled = np.random.RandomState(0).permutation(N_ROWS)[:N_LABELED]
        self.taken = np.isin(np.arange(N_ROWS), self.labeled)
        self.estimator = MODELS[model, task]
        self.network = self.train(self.labeled, seed=0)
        self.counting_net = CountingNet(self.network)
        self.members = {}

    def train(self, rows, seed):
        made = make_task_model(self.estimator).set_params(random_state=seed)
        return made.fit_rows(self.X[rows], self.y[rows], target=self.target)

    def member(self, number):
        """Return a member of a committee, trained at the first call."""
        if number not in self.members:
            rows = np.random.RandomState(number).choice(self.labeled, size=len(self.labeled))
            self.members[number] = self.train(rows, seed=number)
        return self.members[number]

    def snapshot(self, **overrides):
        """Return a snapshot of this world; `overrides` are arguments of `make_snapshot`."""
        labeled = overrides.pop("labeled", self.labeled)
        settings = {
            "latent": lambda: self.encoded,
            "network": lambda: self.counting_net,
            "target": self.target,
            "member": self.member,
            "random_state": overrides.pop("seed", 0),
        }
        y_labeled = overrides.pop("y_labeled", self.y[labeled])
        X = overrides.pop("X", self.X)
        if overrides.pop("unread", False):
            X = X.view(Unread)
        return make_snapshot(X, labeled, y_labeled, **{**settings, **overrides})

    def large_snapshot(self, n_rows=1500, **overrides):
        """Return a snapshot of the same state with a larger pool."""
        encoded = Encoded(self.latent_model, self.latent_model.transform(DIGITS[:n_rows]))
        return self.snapshot(X=DIGITS[:n_rows], latent=lambda: encoded, **overrides)


@cache
def _world(task, model):
    return World(task, model)


@pytest.fixture
def world_of():
    """Return the world of a task, which all tests share and none may change."""

    def find(task, model="net"):
        world = _world(task, model)
        world.counting_net.rows.clear()
        return world

    return find


@pytest.fixture
def world(world_of):
    return world_of("classification")
