"""Sketched gradients, against the gradients of each row by autograd."""

import threading

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skalss import TaskNet
from skalss.nets import MLP, LeNet, net_classifier, net_regressor
from skalss.network import make_task_model
from skalss.network.skorch_net import first_output, plain_module, run_plain

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(10, 6)).astype(np.float32)
IMAGES = RNG.normal(size=(10, 2, 12, 12)).astype(np.float32)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Odd(nn.Module):
    """Sees rows many times: turned, a batch of each; by words, one after the other; and words first."""

    def __init__(self, output_dim=1):
        super().__init__()
        self.turned = nn.Conv2d(2, 8, 3, padding=1, stride=2)
        self.grouped = nn.Conv2d(8, 8, 3, padding="same", dilation=2, groups=4, padding_mode="circular")
        self.line = nn.Conv1d(8, 6, 3, bias=False, stride=3, padding=1)
        self.deep = nn.Conv3d(1, 2, (2, 3, 1), stride=(1, 2, 1))
        self.word = nn.Linear(6, 6)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(2 * 5 * 5 * 9, output_dim)

    def forward(self, X):
        found = self.act(self.grouped(self.act(self.turned(torch.cat([X, X.flip(3)])))))
        found = self.line(found.view(2, len(X), *found.shape[1:]).mean(0).flatten(2)).transpose(1, 2)[:, :9]
        found = self.word(found.reshape(-1, 6)).view(len(X), 9, 6).tanh()
        found = self.word(found.transpose(0, 1)).transpose(0, 1)
        found = torch.stack([found, found.sin(), found.cos(), found.square(), found.exp(), found.abs()], 1)
        found = self.deep(found.transpose(2, 3)[:, None, :, :5])
        return self.head(nn.functional.pad(found.flatten(1), (0, 450))[:, :450])


def regressor(module, rows, **params):
    net = net_regressor(module, max_epochs=2, **params)
    return TaskNet(net, device="cpu", random_state=0).fit(rows, rows.reshape(len(rows), -1)[:, 0])


def classifier(module, rows):
    net = net_classifier(module, max_epochs=2)
    return TaskNet(net, device="cpu", random_state=0).fit(rows, np.arange(len(rows)) % 3)


def module_of(task_net):
    return plain_module(task_net.net_)


def inner_products(task_net, rows):
    """Sums over outputs of the inner products of gradients, row by row, by autograd."""
    weights = [
        weight
        for layer in module_of(task_net).eval().modules()
        if isinstance(layer, LAYERS)
        for weight in layer.parameters(recurse=False)
        if weight.requires_grad
    ]
    jacobians = []
    for row in torch.from_numpy(rows):
        outputs = first_output(run_plain(task_net.net_, task_net.scaling_(row[None]))).flatten()
        found = [torch.autograd.grad(out, weights, retain_graph=True) for out in outputs]
        jacobians.append(torch.stack([torch.cat([g.flatten() for g in parts]) for parts in found]))
    stacked = torch.stack(jacobians)
    return torch.einsum("ikp,jkp->ij", stacked, stacked).numpy()


def deviation(found, exact):
    """Root mean square of the deviations, each over the lengths of the two gradients."""
    lengths = np.sqrt(np.diag(exact))
    return float(np.sqrt((((found - exact) / np.outer(lengths, lengths)) ** 2).mean()))


CASES = {
    "MLP": (regressor, MLP, ROWS),
    "MLP, three classes": (classifier, MLP, ROWS),
    "LeNet": (regressor, LeNet, IMAGES[:, :1]),
    "odd layers": (regressor, Odd, IMAGES),
}


@pytest.mark.parametrize("name", CASES)
def test_inner_products_are_those_of_gradients_in_the_mean(name):
    """Of 64 components a draw deviates by up to a third; the mean of 200 by a fourteenth of that."""
    make, module, rows = CASES[name]
    model = make(module, rows)
    exact = inner_products(model, rows)
    draws = [model.gradients(rows, 64, random_state=seed) for seed in range(200)]
    assert all(G.shape == (len(rows), 64) and G.dtype == np.float32 for G in draws[:1])
    assert deviation(np.mean([G @ G.T for G in draws], axis=0), exact) < 0.04


@pytest.mark.parametrize("name", ["MLP", "LeNet", "odd layers"])
def test_many_components_deviate_little(name):
    make, module, rows = CASES[name]
    model = make(module, rows)
    G = model.gradients(rows, 8192)
    assert deviation(G @ G.T, inner_products(model, rows)) < 0.04


def test_a_row_has_the_same_sketch_in_any_company():
    model = regressor(Odd, IMAGES)
    G = model.gradients(IMAGES)
    np.testing.assert_allclose(model.gradients(IMAGES[3:4]), G[3:4], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.gradients(np.tile(IMAGES[:7], (60, 1, 1, 1)))[-7:], G[:7], rtol=1e-4, atol=1e-5
    )
    assert not np.allclose(model.gradients(IMAGES, random_state=1), G)


def test_the_network_stays_as_it_is():
    model = regressor(Odd, IMAGES)
    module = module_of(model).train()
    module.grouped.eval()
    for weight in module.parameters():
        weight.grad = torch.ones_like(weight)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    with torch.inference_mode(), torch.no_grad():
        model.gradients(IMAGES)
    assert [part.training for part in module.modules()] == modes
    assert all((weight.grad == 1).all() for weight in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())


def test_threads_may_use_the_network_at_the_same_time():
    model = regressor(LeNet, IMAGES[:, :1])
    rows = np.tile(IMAGES[:, :1], (40, 1, 1, 1))
    G, P = model.gradients(rows), model.predict(rows)
    found = []

    def work():
        for _ in range(5):
            found.append(np.allclose(model.gradients(rows), G, atol=1e-4))
            found.append(np.allclose(model.predict(rows), P, atol=1e-5))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 30


class Pair(nn.Module):
    """A frozen body that no gradient passes, and a head."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.body, self.head = nn.Linear(input_dim, 8), nn.Linear(8, output_dim)

    def forward(self, X):
        with torch.no_grad():
            hidden = self.body(X)
        return self.head(hidden)


def test_what_is_not_trained_has_no_gradient():
    model = regressor(Pair, ROWS)
    G = model.gradients(ROWS, 8192)
    features = model.features(ROWS)
    np.testing.assert_allclose(G @ G.T, features @ features.T + 1, rtol=0.05, atol=0.2)
    for weight in module_of(model).parameters():
        weight.requires_grad_(False)
    assert "gradients" not in model.abilities
    with pytest.raises(ValueError, match=r"Pair trains no nn.Linear and no convolution.*Take the"):
        model.gradients(ROWS)


class Table(nn.Module):
    """Has weights, but no layer that is known."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(input_dim, output_dim))

    def forward(self, X):
        return X @ self.weight


def test_a_network_without_layers_has_no_gradients():
    assert "gradients" not in regressor(Table, ROWS).abilities


class TwoModules(NeuralNetClassifier):
    def __init__(self, *args, tail=nn.Linear, **params):
        super().__init__(*args, **params)
        self.tail = tail

    def initialize_module(self):
        self.module_, self.tail_ = nn.Linear(6, 5), self.tail(5, 3)
        return self

    def infer(self, x, **params):
        return self.tail_(self.module_(x.float()).relu()).softmax(dim=1)


def test_a_net_of_several_modules():
    net = TwoModules(nn.Linear, max_epochs=2, train_split=None, verbose=0)
    model = make_task_model(net).set_params(device="cpu", random_state=0).fit(ROWS, np.arange(10) % 3)
    exact = inner_products(model, ROWS)
    draws = [model.gradients(ROWS, 64, random_state=seed) for seed in range(200)]
    assert deviation(np.mean([G @ G.T for G in draws], axis=0), exact) < 0.06


def test_wrong_arguments():
    model = regressor(MLP, ROWS)
    with pytest.raises(ValueError, match="n_components must be a whole number of at least 1, got 0"):
        model.gradients(ROWS, 0)
    with pytest.raises(ValueError, match="random_state must be a seed"):
        model.gradients(ROWS, random_state=-1)
