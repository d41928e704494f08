"""TaskNet: the settings of the net that it keeps, and those it chooses."""

import numpy as np
import pytest
from sklearn.base import is_classifier
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from skalss import TaskNet
from skalss.nets import MLP, net_classifier
from skalss.network.loader import TensorLoader

from .nets import FAST, X_REG, Y_REG, Y_TWO, X, Y


def test_chunks_do_not_change_anything(fitted, monkeypatch):
    model, X, y = fitted
    whole = model.predict(X), model.logits(X), model.features(X)
    monkeypatch.setattr("skalss.network.tasknet.chunk_rows", lambda shape: 7)
    monkeypatch.setattr("skalss.network.tasknet.FORWARD_ROWS", 3)
    np.testing.assert_allclose(model.logits(X), whole[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.features(X), whole[2], rtol=1e-4, atol=1e-4)
    if is_classifier(model):
        np.testing.assert_array_equal(model.predict(X), whole[0])


@pytest.mark.parametrize("n_rows", [1, 33])
def test_a_lone_row_does_not_break_batch_normalisation(n_rows):
    net = net_classifier(
        nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), batch_size=32, max_epochs=2
    )
    if n_rows == 1:
        net = net_classifier(**FAST)  # nothing can normalise a single row
    model = TaskNet(net, random_state=0).fit(X[:n_rows], Y[:n_rows])
    assert np.isfinite(model.logits(X)).all()


def test_the_tensor_loader_is_the_default_and_shuffles():
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y)
    assert model.net_.iterator_train is TensorLoader
    assert model.net_.iterator_valid is TensorLoader
    assert model.net_.iterator_train__shuffle is True


@pytest.mark.parametrize("shuffle", [True, False])
def test_shuffling_the_user_asked_for_is_kept(shuffle):
    net = net_classifier(iterator_train__shuffle=shuffle, **FAST)
    model = TaskNet(net, random_state=0).fit(X, Y)
    assert model.net_.iterator_train is TensorLoader
    assert model.net_.iterator_train__shuffle is shuffle


def test_a_data_loader_with_its_own_settings_stays():
    net = net_classifier(iterator_train__num_workers=0, **FAST)
    model = TaskNet(net, random_state=0).fit(X, Y)
    assert model.net_.iterator_train is DataLoader
    assert model.net_.iterator_valid is TensorLoader
    assert model.net_.iterator_train__shuffle is True
    same = TaskNet(net, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(model.logits(X), same.logits(X))


def test_a_custom_iterator_stays():
    class Loader(DataLoader):
        pass

    model = TaskNet(net_classifier(iterator_train=Loader, **FAST), random_state=0).fit(X, Y)
    assert model.net_.iterator_train is Loader
    assert np.isfinite(model.logits(X)).all()


class Count(Callback):
    """Counts the rows of each epoch."""

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        net.history.record("n_train", len(dataset_train))
        net.history.record("n_valid", 0 if dataset_valid is None else len(dataset_valid))


@pytest.mark.parametrize("kind", ["unset", "skorch's default"])
@pytest.mark.parametrize(
    ("net_type", "X", "y"),
    [
        (NeuralNetClassifier, X, Y),
        (NeuralNetRegressor, X_REG, Y_REG),
        (NeuralNetBinaryClassifier, X, Y_TWO),
    ],
    ids=["classifier", "regressor", "binary"],
)
def test_the_default_train_split_is_dropped(net_type, X, y, kind):
    stratified = net_type is not NeuralNetRegressor
    given = {"train_split": ValidSplit(5, stratified=stratified)} if kind != "unset" else {}
    criterion = {"criterion": nn.CrossEntropyLoss} if net_type is NeuralNetClassifier else {}
    net = net_type(MLP, callbacks=[Count()], **given, **criterion, **FAST)
    model = TaskNet(net, random_state=0).fit(X, y)
    assert model.net_.train_split is None
    assert model.net_.history[:, "n_train"] == [90] * 5


def test_an_explicit_train_split_is_kept():
    split = ValidSplit(3, stratified=True)
    model = TaskNet(net_classifier(train_split=split, callbacks=[Count()], **FAST), random_state=0).fit(X, Y)
    assert model.net_.history[:, "n_train"] == [60] * 5
    assert model.net_.history[:, "n_valid"] == [30] * 5
    assert "valid_loss" in model.net_.history[0]


def test_early_stopping_given_as_a_class_keeps_its_split():
    net = NeuralNetClassifier(MLP, criterion=nn.CrossEntropyLoss, callbacks=[EarlyStopping], max_epochs=2)
    assert "valid_loss" in TaskNet(net, random_state=0).fit(X, Y).net_.history[-1]
