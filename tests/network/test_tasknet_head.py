"""TaskNet: logits and features at the last linear layer, and gradients of the loss."""

import numpy as np
import pytest
import torch
from sklearn.base import is_classifier, is_regressor
from skorch import NeuralNetBinaryClassifier
from torch import nn

from skalss import TaskNet
from skalss.nets import ResNet8, net_classifier

from .nets import DIGITS, DIGITS_Y, FAST, Uneasy, X, Y, make_decoder


class NoHead(nn.Module):
    """Ends in a convolution: there is no last linear layer."""

    def __init__(self, output_dim):
        super().__init__()
        self.last = nn.Conv1d(1, output_dim, 5)

    def forward(self, X):
        return self.last(X[:, None]).squeeze(2)


# -- the last layer -------------------------------------------------------------------------------


def test_logits_are_those_of_the_module(fitted):
    model, X, y = fitted
    module = model.net_.module_.eval()
    with torch.no_grad():
        output = module(model.scaling_(torch.from_numpy(np.asarray(X)))).numpy()
    logits = model.logits(X)
    np.testing.assert_allclose(logits[:, -output.shape[1] :], output, rtol=1e-4, atol=1e-5)


def test_features_times_weights_are_the_logits(fitted):
    model, X, y = fitted
    head = model.net_.module_.get_submodule(model.head_name_)
    bias = head.bias.detach().numpy()
    logits = model.logits(X)
    bias = np.concatenate([np.zeros(logits.shape[1] - len(bias), np.float32), bias])
    np.testing.assert_allclose(model.features(X) @ model.head_weight().T + bias, logits, rtol=1e-3, atol=1e-3)


def test_head_is_the_last_layer_run_not_the_last_registered():
    net = net_classifier(Uneasy, criterion=nn.NLLLoss, **FAST)
    model = TaskNet(net, random_state=0).fit(X, Y)
    assert model.head_name_ == "top"
    features = model.features(X)
    top = model.net_.module_.top
    np.testing.assert_allclose(
        features @ top.weight.detach().numpy().T + top.bias.detach().numpy(), model.logits(X), atol=1e-4
    )


def test_without_a_head():
    model = TaskNet(net_classifier(NoHead, **FAST), random_state=0).fit(X, Y)
    assert model.head_name_ is None
    np.testing.assert_allclose(model.logits(X), np.log(model.predict_proba(X)), atol=1e-5)
    for method in (model.head_weight, lambda: model.features(X)):
        with pytest.raises(ValueError, match="NoHead runs no nn.Linear as wide as its output.*'margin'"):
            method()


def test_no_hook_stays_behind():
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y)
    model.logits(X)
    model.features(X)
    # torch keeps hooks in a private place, and nothing public tells of one that was forgotten.
    assert not any(module._forward_hooks for module in model.net_.module_.modules())


# -- gradients ------------------------------------------------------------------------------------


def _loss_in_float64(model, targets, decode, z, y):
    """The net's loss of one row, written out; `targets` are those of the training."""
    module = model.net_.module_.double().eval()
    with torch.no_grad():
        rows = decode(z[None])
        rows = (rows - model.scaling_.shift) / model.scaling_.scale
        output = module(rows)
        if is_regressor(model):
            target = (torch.tensor(y) - targets.mean()) / targets.std()
            loss = (output.reshape(-1) - target).square().sum()
        else:
            target = int(np.searchsorted(model.classes_, y))
            if isinstance(model.net_, NeuralNetBinaryClassifier):
                both = torch.cat([torch.zeros(1), output.reshape(-1)])
            else:
                both = output[0]
            loss = -both.log_softmax(dim=0)[target]
    model.net_.module_.float()
    return loss.item()


def test_loss_gradient_agrees_with_finite_differences(fitted):
    model, X, y = fitted
    decode = make_decoder(3, X.shape[1:])
    Z = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32) / 3
    wrong = np.roll(y, 1)[:4]
    gradient, prediction = model.loss_gradient(decode, Z, wrong)
    assert gradient.shape == Z.shape
    assert gradient.dtype == np.float32
    rows = decode(torch.from_numpy(Z)).numpy()
    if is_classifier(model):
        np.testing.assert_array_equal(prediction, model.predict(rows))
    else:
        np.testing.assert_allclose(prediction, model.predict(rows), rtol=1e-4, atol=1e-4)
    step = 1e-6
    slopes = np.empty((4, 3))
    for i in range(4):
        for j in range(3):
            ahead, behind = (torch.from_numpy(Z[i]).double() for _ in "ab")
            ahead[j] += step
            behind[j] -= step
            slopes[i, j] = (
                _loss_in_float64(model, y, decode, ahead, wrong[i])
                - _loss_in_float64(model, y, decode, behind, wrong[i])
            ) / (2 * step)
    np.testing.assert_allclose(gradient, slopes, rtol=2e-2, atol=2e-3 * np.abs(slopes).max())
    assert np.abs(slopes).max() > 1e-4


def test_a_rows_gradient_does_not_depend_on_the_others(fitted, monkeypatch):
    model, X, y = fitted
    decode = make_decoder(3, X.shape[1:])
    Z = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)
    together, predictions = model.loss_gradient(decode, Z, y[:12])
    alone = [model.loss_gradient(decode, Z[i : i + 1], y[i : i + 1]) for i in range(12)]
    scale = np.abs(together).max()
    np.testing.assert_allclose(together, np.concatenate([g for g, _ in alone]), rtol=1e-3, atol=1e-5 * scale)
    monkeypatch.setattr("skalss.network.tasknet.FORWARD_ROWS", 5)
    np.testing.assert_allclose(
        together, model.loss_gradient(decode, Z, y[:12])[0], rtol=1e-3, atol=1e-5 * scale
    )


@pytest.mark.parametrize("reduction", ["sum", "none", "mean"])
def test_loss_gradient_with_any_reduction(reduction):
    """Of the sum over rows, whatever the criterion does with it."""
    models = [
        TaskNet(net_classifier(criterion__reduction=r, lr=0.0, **FAST), random_state=0)
        for r in (reduction, "mean")
    ]
    if reduction == "none":
        models[0].estimator.set_params(criterion__reduction="mean")
    decode = make_decoder(3, (5,))
    Z = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    fitted = [model.fit(X, Y) for model in models]
    if reduction == "none":
        fitted[0].net_.criterion_.reduction = "none"
    gradients = [model.loss_gradient(decode, Z, Y[:6])[0] for model in fitted]
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


def test_loss_gradient_trains_nothing():
    model = TaskNet(net_classifier(ResNet8, max_epochs=1), random_state=0).fit(DIGITS[:40], DIGITS_Y[:40])
    before = {k: v.clone() for k, v in model.net_.module_.state_dict().items()}
    gradients = [p.grad.clone() for p in model.net_.module_.parameters()]
    model.loss_gradient(make_decoder(3, (1, 8, 8)), np.ones((4, 3)), DIGITS_Y[:4])
    assert all(torch.equal(v, before[k]) for k, v in model.net_.module_.state_dict().items())
    left = [p.grad for p in model.net_.module_.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(gradients, left, strict=True))
