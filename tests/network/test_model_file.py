"""A saved network in a process that has none of the code that trained it."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skalss import AdaptiveLatentSampler, SelectiveNetClassifier, TaskNet, load_model
from skalss.latent import LinearLatent
from skalss.nets import MLP, LeNet, ResNet8, net_classifier, net_regressor
from skalss.utils import store

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
IMAGES = DIGITS[:150].reshape(-1, 1, 8, 8).astype(np.uint8)
X, Y = DIGITS[:150], DIGITS_Y[:150]


class Small(nn.Module):
    def __init__(self, input_dim, output_dim, slope=0.1):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(input_dim, 7), nn.LeakyReLU(slope), nn.Linear(7, output_dim))

    def forward(self, x):
        return self.layers(x)


class Softmax(Small):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


NETS = {
    "MLP": (net_classifier(max_epochs=3, module__hidden_layer_sizes=(9, 5)), X, Y),
    "LeNet of images": (net_classifier(LeNet, max_epochs=2), IMAGES, Y),
    "ResNet8": (net_classifier(ResNet8, max_epochs=1), IMAGES, np.array(list("abcdefghij"))[Y]),
    "another module": (net_classifier(Small, module__slope=0.3, max_epochs=2), X, Y),
    "probabilities": (NeuralNetClassifier(Softmax, max_epochs=2), X, Y),
    "weighed classes": (net_classifier(criterion__weight=torch.ones(10), max_epochs=2), X, Y),
    "binary": (NeuralNetBinaryClassifier(Small, module__output_dim=1, threshold=0.7, max_epochs=2), X, Y > 4),
    "values": (net_regressor(max_epochs=3), X, 5 + 100.0 * Y),
    "selective": (SelectiveNetClassifier(MLP, criterion=nn.CrossEntropyLoss, max_epochs=2), X, Y),
}


def fitted(net, X, y, **params):
    defaults = {"latent_model": LinearLatent(3), "strategy": "random", "n_initial": 40, "max_labels": 40}
    return AdaptiveLatentSampler(net, **{**defaults, "random_state": 0, **params}).fit(X, y)


@pytest.mark.parametrize(("net", "X", "y"), NETS.values(), ids=NETS)
def test_the_numbers_are_those_of_the_sampler(net, X, y, tmp_path):
    sampler = fitted(net, X, y)
    sampler.save(tmp_path / "model")
    model = load_model(tmp_path / "model", allow=("skalss.nets", __name__))
    np.testing.assert_array_equal(model.predict(X), sampler.predict(X))
    if hasattr(sampler, "classes_"):
        np.testing.assert_array_equal(model.predict_proba(X), sampler.predict_proba(X))
        np.testing.assert_array_equal(model.classes_, sampler.classes_)


@pytest.mark.parametrize(("net", "X", "y"), NETS.values(), ids=NETS)
def test_as_a_torch_module_with_its_scaling(net, X, y):
    sampler = fitted(net, X, y)
    module = sampler.estimator_.to_torch()
    found = module(torch.as_tensor(X).to(next(module.buffers()).device)).cpu()
    expected = sampler.predict_proba(X) if hasattr(sampler, "classes_") else sampler.predict(X)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert not any(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize(
    "name",
    [
        *("LeNet of images", "values"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("MLP", "ResNet8", "binary", "selective")),
    ],
)
def test_an_exported_program_runs_without_this_package(name, tmp_path):
    net, X, y = NETS[name]
    model = fitted(TaskNet(net, device="cpu"), X, y).estimator_
    rows = torch.as_tensor(X)
    n_rows = ({0: torch.export.Dim("n")},)
    torch.export.save(
        torch.export.export(model.to_torch(), (rows[:2],), dynamic_shapes=n_rows), tmp_path / "net.pt2"
    )
    np.save(tmp_path / "X.npy", X[:33])
    code = (
        "import sys, numpy as np, torch; program = torch.export.load(sys.argv[1] + '/net.pt2').module();"
        "P = program(torch.as_tensor(np.load(sys.argv[1] + '/X.npy'))); np.save(sys.argv[1] + '/P.npy', P);"
        "assert not any(name.startswith(('skalss', 'skorch')) for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=tmp_path)
    expected = model.predict_proba(X[:33]) if hasattr(model, "classes_") else model.predict(X[:33])
    np.testing.assert_allclose(np.load(tmp_path / "P.npy"), expected, rtol=1e-4, atol=1e-5)


def test_names_of_columns_are_checked(tmp_path):
    X, y = load_iris(return_X_y=True, as_frame=True)
    sampler = fitted(net_classifier(max_epochs=2), X, y)
    sampler.save(tmp_path / "model")
    model = load_model(tmp_path / "model")
    np.testing.assert_array_equal(model.predict(X), sampler.predict(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X.rename(columns={X.columns[0]: "other"}))
    assert isinstance(X, pd.DataFrame)


# -- what is refused ------------------------------------------------------------------------------


def forged(path, **changes):
    """Return a path with a file that names something else, with a right digest."""
    fitted(net_classifier(Small, max_epochs=1), X, Y).save(path)
    state = store.read(path)
    for name, value in changes.items():
        state["net"][name] = value
    store.write(path, state)
    return path


def test_only_what_is_allowed_is_imported(tmp_path, monkeypatch):
    (tmp_path / "trap_for_imports.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path = forged(tmp_path / "model", module="trap_for_imports.Net")
    with pytest.raises(ValueError, match=r"is a trap_for_imports.Net.*pass allow=\('trap_for_imports',\)"):
        load_model(path, allow=("skalss.nets", "trap", "trap_for_imports.Net", ""))
    assert "trap_for_imports" not in sys.modules


@pytest.mark.parametrize(
    "name", ["Trap", "make_trap", "os", "nn", "Linear", "Small.__init__", "__builtins__", "", "store.read"]
)
def test_only_a_class_of_torch_modules_is_taken(name, tmp_path):
    path = forged(tmp_path / "model", module=f"{__name__}.{name}")
    with pytest.raises(ValueError, match="has no class .* of torch modules|may be imported"):
        load_model(path, allow=[__name__])
    assert not Trap.sprung


class Trap:
    sprung = False

    def __new__(cls, *args, **kwargs):
        cls.sprung = True
        return super().__new__(cls)


def make_trap(*args, **kwargs):
    Trap.sprung = True


Linear = nn.Linear  # a module of another home


@pytest.mark.parametrize(
    "changes",
    [
        {"module": None},
        {"module": ["os", "system"]},
        {"parameters": None},
        {"parameters": {"input_dim": 10**9, "output_dim": 10}},
        {"parameters": {"nothing": 1}},
        {"parameters": {"input_dim": -1, "output_dim": "x"}},
        {"kind": "__class__"},
        {"criterion": "system"},
        {"probabilities": "exec"},
        {"threshold": "x"},
    ],
    ids=str,
)
def test_a_forged_description_is_refused(changes, tmp_path):
    with pytest.raises(ValueError, match="damaged or forged|imported|saved weights|could not convert|names"):
        load_model(forged(tmp_path / "model", **changes), allow=[__name__])


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (net_classifier(MLP(64, 10), max_epochs=1), "its module is an object or made by a function"),
        (
            net_classifier(predict_nonlinearity=torch.exp),
            "its predict_nonlinearity is a function",
        ),
    ],
)
def test_what_plain_text_cannot_name_is_said(net, reason, tmp_path):
    sampler = fitted(net, X, Y)
    sampler.save(tmp_path / "model")  # to be loaded with a sampler
    with pytest.raises(ValueError, match=f"{reason}.*AdaptiveLatentSampler.load"):
        load_model(tmp_path / "model")


def test_allow_is_no_text():
    with pytest.raises(TypeError, match=r"Pass \('skalss.nets',\)"):
        load_model("model", allow="skalss.nets")


def test_what_makes_the_network_stands_in_the_file_as_text(tmp_path):
    fitted(net_classifier(Small, max_epochs=1, module__slope=0.25), X, Y).save(tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    start = content.index(b'"net": ') + len(b'"net": ')
    made_of, _ = json.JSONDecoder().raw_decode(content[start:].decode(errors="replace"))
    assert made_of["module"] == f"{__name__}.Small"
    assert made_of["parameters"]["slope"] == 0.25
