"""Snapshots of small campaigns."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skalss import TaskNet
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.strategies import Encoded, make_snapshot
from skalss.targets import Classes, Values

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
N_ROWS = 150
N_LABELED = 40
CLASSES = np.arange(10)


class CountingNet:
    """Passes calls on to a TaskNet and counts the rows the network is asked about."""

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
    """A pool, its codes, and a network trained on a few of its rows."""

    def __init__(self, task, n_rows=N_ROWS, n_labeled=N_LABELED):
        rng = np.random.RandomState(0)
        self.task = task
        self.X = DIGITS[:n_rows]
        self.y = DIGITS_Y[:n_rows] if task == "classification" else self.X[:, 20] + 0.1 * self.X[:, 30]
        self.latent_model = LinearLatent(4, random_state=0).fit(self.X)
        self.codes = self.latent_model.transform(self.X)
        self.encoded = Encoded(self.latent_model, self.codes)
        self.target = Classes(CLASSES) if task == "classification" else Values()
        self.labeled = rng.permutation(n_rows)[:n_labeled]
        self.taken = np.isin(np.arange(n_rows), self.labeled)
        self.network = self.train(self.labeled, seed=0)
        self.counting_net = CountingNet(self.network)
        self.members = {}

    def train(self, rows, seed):
        net = net_classifier if self.task == "classification" else net_regressor
        network = TaskNet(net(max_epochs=10), device="cpu", random_state=seed)
        classes = CLASSES if self.task == "classification" else None
        return network.partial_fit(self.X[rows], self.y[rows], classes=classes)

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
        return make_snapshot(X, labeled, y_labeled, **{**settings, **overrides})


_WORLDS = {task: World(task) for task in ("classification", "regression")}


@pytest.fixture
def world_of():
    """Return the world of a task."""

    def find(task):
        world = _WORLDS[task]
        world.counting_net.rows.clear()
        return world

    return find


@pytest.fixture
def world(world_of):
    return world_of("classification")


@pytest.fixture
def make_world():
    return World
