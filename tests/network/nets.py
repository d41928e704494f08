"""Nets and data that the tests of TaskNet share."""

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs, make_regression
from skorch import NeuralNetBinaryClassifier
from torch import nn

from skalss import TaskNet
from skalss.nets import MLP, LeNet, ResNet8, net_classifier, net_regressor

X, Y = make_blobs(90, n_features=5, centers=3, random_state=0)
Y_TWO = (Y > 0).astype(int)
X_REG, Y_REG = make_regression(90, n_features=5, noise=1.0, random_state=0)
DIGITS = load_digits().images[:120, None].astype(np.float32)  # (n, 1, 8, 8)
DIGITS_Y = load_digits().target[:120]
FAST = {"max_epochs": 5}


def binary_net(module=MLP, **params):
    return NeuralNetBinaryClassifier(module, **{"verbose": 0, "lr": 0.1, **FAST, **params})


NETS = {
    "classifier": (net_classifier(**FAST), X, Y),
    "one hidden layer less": (net_classifier(module__hidden_layer_sizes=(), **FAST), X, Y),
    "strings": (net_classifier(**FAST), X, np.array(["a", "b", "c"])[Y]),
    "binary": (binary_net(), X, Y_TWO),
    "regressor": (net_regressor(**FAST), X_REG, Y_REG),
    "images": (net_classifier(LeNet, **FAST), DIGITS, DIGITS_Y),
    "batch normalisation": (net_classifier(ResNet8, max_epochs=1), DIGITS[:40], DIGITS_Y[:40]),
}

every_net = pytest.mark.parametrize(("net", "X", "y"), NETS.values(), ids=NETS)


@cache
def fit(name):
    """Fit one of the nets above, once for all tests, which must not train it on."""
    net, X, y = NETS[name]
    return TaskNet(net, random_state=0).fit(X, y), X, y


class Uneasy(nn.Module):
    """Registers its layers out of order, one of them never run, and ends in a softmax."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.top = nn.Linear(8, output_dim)
        self.bottom = nn.Linear(input_dim, 8)
        self.unused = nn.Linear(8, output_dim)

    def forward(self, X):
        return self.top(self.bottom(X).relu()).softmax(dim=1)


def make_decoder(width_in, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(width_in, int(np.prod(shape)), generator=generator)
    return lambda Z: (Z @ weight.to(Z)).reshape(-1, *shape)
