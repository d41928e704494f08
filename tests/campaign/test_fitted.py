"""A fitted sampler, saved and loaded around the user's own objects: equal, and without pickle."""

import copy
import os
import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetBinaryClassifier
from torch import nn

from skalss import AdaptiveLatentSampler, PredictionsAgree, SelectiveNetClassifier, TaskNet
from skalss.latent import VAE, BaseLatentModel, ConvVAE, LinearLatent, PretrainedLatent
from skalss.nets import MLP, LeNet, net_classifier, net_regressor
from skalss.oracles import FunctionOracle

RNG = np.random.RandomState(0)
X = RNG.randn(60, 6).astype(np.float32)
CODE = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
IMAGES = RNG.rand(40, 1, 8, 8).astype(np.float32)


def make(net=None, latent_model=None, strategy="snn", **settings):
    settings = {"n_initial": 20, "n_per_round": 10, "max_labels": 40, "random_state": 0, **settings}
    latent_model = LinearLatent(2) if latent_model is None else latent_model
    return AdaptiveLatentSampler(net or net_classifier(max_epochs=2), latent_model, strategy, **settings)


def binary():
    return NeuralNetBinaryClassifier(
        MLP, criterion=nn.BCEWithLogitsLoss, max_epochs=2, train_split=None, verbose=0
    )


class Tied(nn.Module):
    """Has batch statistics, and one weight under two names."""

    def __init__(self, input_dim=1, output_dim=1):
        super().__init__()
        self.norm, self.first = nn.BatchNorm1d(input_dim), nn.Linear(input_dim, input_dim)
        self.again = nn.Linear(input_dim, input_dim)
        self.again.weight = self.first.weight
        self.head = nn.Linear(input_dim, output_dim)

    def forward(self, X):
        return self.head(torch.relu(self.again(self.first(self.norm(X)))))


def frozen():
    return FrozenEstimator(VAE(2, max_epochs=1, random_state=0).fit(X))


TEXT = np.array(["no", "some", "yes"])[CODE]
CASES = {
    "whole numbers": (make, X, CODE),
    "text": (make, X, TEXT),
    "objects": (make, X, TEXT.astype(object)),
    "floats": (make, X, CODE * 2.0),
    "bools": (make, X, CODE > 0),
    "binary net": (lambda: make(binary()), X, CODE > 0),
    "regression": (lambda: make(net_regressor(max_epochs=2)), X, 1e6 + X[:, 0]),
    "generated points": (
        lambda: make(
            net_regressor(max_epochs=2),
            strategy="si",
            oracle=FunctionOracle(lambda rows: rows[:, 0], cost=1.5),
        ),
        X,
        None,
    ),
    "task net": (lambda: make(TaskNet(net_classifier(max_epochs=2), min_epoch_rows=64)), X, CODE),
    "default net": (lambda: AdaptiveLatentSampler(None, LinearLatent(2), "margin", max_labels=50), X, CODE),
    "module instance": (lambda: make(net_classifier(MLP(6, 3, (5,)), max_epochs=2)), X, CODE),
    "batch norm, tied weights": (lambda: make(net_classifier(Tied, max_epochs=2)), X, CODE),
    "selective net": (
        lambda: make(SelectiveNetClassifier(MLP, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0)),
        X,
        CODE,
    ),
    "VAE": (lambda: make(latent_model=VAE(2, max_epochs=2), strategy="auto"), X, CODE),
    "raw numbers": (lambda: make(latent_model=VAE(2, max_epochs=2)), (100 * X).astype(np.int32), CODE),
    "ConvVAE": (
        lambda: make(net_classifier(LeNet, max_epochs=1), ConvVAE(2, hidden_channels=(4,), max_epochs=1)),
        IMAGES,
        CODE[:40],
    ),
    "default latent model": (lambda: AdaptiveLatentSampler(max_labels=50, n_initial=50), X, CODE),
    "pretrained": (lambda: make(latent_model=PretrainedLatent(nn.Linear(6, 2), nn.Linear(2, 6))), X, CODE),
    "frozen": (lambda: make(latent_model=frozen()), X, CODE),
    "no latent model": (lambda: make(strategy="random"), X, CODE),
    "control rows": (lambda: make(control_share=0.2, stop=PredictionsAgree(1.0)), X, CODE),
}
every_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return (sampler, loaded, X) of a case, fitted and saved once."""
    torch.manual_seed(0)
    known = {}

    def get(case):
        if case not in known:
            factory, rows, y = CASES[case]
            unfitted = factory()
            path = tmp_path_factory.mktemp("saved") / "sampler"
            sampler = clone(unfitted)
            sampler.oracle = unfitted.oracle
            sampler.fit(rows, y).save(path)
            known[case] = sampler, AdaptiveLatentSampler.load(path, unfitted), rows
        return known[case]

    return get


@every_case
def test_predictions_are_equal(case, fitted):
    sampler, loaded, rows = fitted(case)
    np.testing.assert_array_equal(loaded.predict(rows), sampler.predict(rows))
    assert loaded.predict(rows).dtype == sampler.predict(rows).dtype
    if hasattr(sampler, "predict_proba"):
        np.testing.assert_array_equal(loaded.predict_proba(rows), sampler.predict_proba(rows))
    y = sampler.predict(rows)[::-1]
    assert loaded.score(rows, y) == sampler.score(rows, y)


@every_case
def test_attributes_are_equal(case, fitted):
    sampler, loaded, _ = fitted(case)
    assert vars(sampler).keys() == vars(loaded).keys()
    assert vars(sampler.estimator_).keys() == vars(loaded.estimator_).keys()
    for name in ("queries_", "history_"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(sampler, name))
    assert [*map(type, loaded.queries_["label"])] == [*map(type, sampler.queries_["label"])]
    for name in set(vars(sampler)) - {"queries_", "history_", "estimator_", "latent_model_"}:
        value, again = getattr(sampler, name), getattr(loaded, name)
        if name.endswith("_"):
            assert type(again) is type(value)
            assert getattr(again, "dtype", None) == getattr(value, "dtype", None)
            np.testing.assert_array_equal(again, value)


@every_case
def test_latent_models_are_equal(case, fitted):
    sampler, loaded, rows = fitted(case)
    model, again = sampler.latent_model_, loaded.latent_model_
    assert type(again) is type(model)
    if model is None:
        return
    np.testing.assert_array_equal(again.transform(rows), model.transform(rows))
    codes = model.transform(rows)
    np.testing.assert_array_equal(again.inverse_transform(codes), model.inverse_transform(codes))
    assert again.reconstruction_error_ == model.reconstruction_error_
    assert vars(again).keys() == vars(model).keys()


@every_case
def test_the_network_gives_the_same_gradients_and_features(case, fitted):
    sampler, loaded, rows = fitted(case)
    for name in ("logits", "features"):
        one, other = (getattr(s.estimator_, name)(rows) for s in (sampler, loaded))
        np.testing.assert_array_equal(one, other)
    assert loaded.estimator_.head_name_ == sampler.estimator_.head_name_


@every_case
def test_pickle_works_too(case, fitted):
    sampler, _, rows = fitted(case)
    if case == "generated points":
        sampler = copy.copy(sampler).set_params(oracle=None)  # a lambda
    again = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(again.predict(rows), sampler.predict(rows))


def test_a_frame_keeps_its_names(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    sampler = make().fit(frame, TEXT, sample_id=[f"row {i}" for i in range(60)])
    sampler.save(tmp_path / "s")
    loaded = AdaptiveLatentSampler.load(tmp_path / "s", make())
    assert loaded.feature_names_in_.tolist() == list("abcdef")
    np.testing.assert_array_equal(loaded.predict(frame), sampler.predict(frame))
    pd.testing.assert_frame_equal(loaded.queries_, sampler.queries_)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "sampler"
    make(latent_model=VAE(2, max_epochs=1)).fit(X, CODE).save(path)
    return path


def load(path, **settings):
    return AdaptiveLatentSampler.load(path, make(latent_model=VAE(2, max_epochs=1)).set_params(**settings))


def test_nothing_is_unpickled_and_nothing_written(path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    for module, names in ((pickle, ("load", "loads", "Unpickler", "_Unpickler")), (torch, ("load", "save"))):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    opened = []
    sys.addaudithook(lambda event, args: opened.append((event, args)) if watching else None)
    watching = True
    load(path)
    watching = False
    assert not [event for event, _ in opened if event in ("exec", "compile", "os.system", "subprocess.Popen")]
    written = [args[0] for event, args in opened if event == "open" and set(str(args[1])) & set("wax+")]
    assert written == []
    assert not [event for event, _ in opened if event == "pickle.find_class"]


def test_saving_writes_one_file(path):
    assert os.listdir(path.parent) == ["sampler"]


def test_the_sampler_given_is_not_changed_and_keeps_its_oracle(path):
    oracle = FunctionOracle(len)
    given = make(latent_model=VAE(2, max_epochs=1), oracle=oracle)
    loaded = AdaptiveLatentSampler.load(path, given)
    assert not hasattr(given, "estimator_")
    assert loaded.oracle is given.oracle is oracle


def test_settings_that_change_nothing_may_differ(path):
    loaded = load(path, random_state=7, verbose=1, latent_model__random_state=3)
    assert loaded.random_state == 7
    assert loaded.predict(X).shape == (60,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_model__n_components": 3}, "latent_model__n_components is 3, and was 2"),
        ({"estimator__max_epochs": 9}, "estimator__max_epochs is 9, and was 2"),
        ({"estimator__module": LeNet}, "estimator__module is skalss.nets.LeNet, and was skalss.nets.MLP"),
        ({"estimator__module__dropout": 0.5}, "estimator__module__dropout is 0.5, and was not there"),
        ({"latent_model": LinearLatent(2)}, "latent_model is LinearLatent, and was VAE"),
        ({"max_labels": 41}, "max_labels is 41, and was 40"),
        ({"strategy": "margin"}, "strategy is 'margin', and was 'snn'"),
    ],
)
def test_another_sampler_is_refused_by_what_differs(path, settings, message):
    with pytest.raises(ValueError, match=f"not the one that was saved: {message}"):
        load(path, **settings)


def test_a_module_of_the_same_name_and_other_weights_is_refused(tmp_path):
    def module(width):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body, self.head = nn.Linear(6, width), nn.Linear(width, 3)

            def forward(self, X):
                return self.head(self.body(X))

        return net_classifier(Net, max_epochs=1)

    make(module(4)).fit(X, CODE).save(tmp_path / "s")
    with pytest.raises(ValueError, match="The saved weights do not fit Net"):
        AdaptiveLatentSampler.load(tmp_path / "s", make(module(5)))


def test_load_wants_a_sampler(path):
    with pytest.raises(TypeError, match="load needs an unfitted sampler like the one"):
        AdaptiveLatentSampler.load(path, net_classifier())


def test_save_wants_a_fitted_sampler(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        make().save(tmp_path / "s")


class OwnLatent(BaseLatentModel):
    """The first columns; does not say how it is saved."""

    def _fit(self, X):
        self._device, self._n_features_out = torch.device("cpu"), 2

    def _encode(self, x):
        return x[:, :2].float()

    def _decode(self, Z):
        return torch.nn.functional.pad(Z, (0, 4))


class SavedLatent(OwnLatent):
    """Says it."""

    def _own_state(self):
        return {}

    def _take_own_state(self, state):
        self._device = torch.device("cpu")


def test_an_own_latent_model_is_saved_if_it_says_how(tmp_path):
    sampler = make(latent_model=SavedLatent()).fit(X, CODE)
    sampler.save(tmp_path / "s")
    loaded = AdaptiveLatentSampler.load(tmp_path / "s", make(latent_model=SavedLatent()))
    np.testing.assert_array_equal(loaded.latent_model_.transform(X), X[:, :2])
    with pytest.raises(TypeError, match="OwnLatent does not say what of it is to be saved"):
        make(latent_model=OwnLatent()).fit(X, CODE).save(tmp_path / "t")
    assert os.listdir(tmp_path) == ["s"]


class Foreign(PCA):
    """A latent model that is none of skalss."""

    def decode(self, Z):
        components = torch.as_tensor(self.components_, dtype=torch.float32)
        return Z @ components + torch.as_tensor(self.mean_, dtype=torch.float32)


def test_a_latent_model_of_another_library_is_refused(tmp_path):
    sampler = make(latent_model=Foreign(2)).fit(X, CODE)
    with pytest.raises(TypeError, match="A latent model of type Foreign cannot be saved without pickle"):
        sampler.save(tmp_path / "s")


def test_ids_that_are_dates_are_refused(tmp_path):
    sampler = make().fit(X, CODE, sample_id=pd.date_range("2020-01-01", periods=60))
    with pytest.raises(TypeError, match="queries_.*cannot be saved without pickle"):
        sampler.save(tmp_path / "s")
