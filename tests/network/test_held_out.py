"""Held-out rows of a net inside a TaskNet: given in the units of X, seen as the training rows are."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EarlyStopping
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch.utils.data import Subset, TensorDataset

from skalss import TaskNet
from skalss.nets import net_classifier, net_regressor

X, Y = make_blobs(240, n_features=4, centers=3, cluster_std=1.5, random_state=0)
X = (1000 + 50 * X).astype(np.float32)  # far from what a network can do without scaling
X_TRAIN, Y_TRAIN, X_VALID, Y_VALID = X[:160], Y[:160], X[160:], Y[160:]


class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return len(X_VALID)

    def __getitem__(self, i):
        return X_VALID[i].astype(np.float64), Y_VALID[i]


DATASETS = {
    "arrays": Dataset(X_VALID, Y_VALID),
    "float64": Dataset(X_VALID.astype(float), Y_VALID.astype(np.int32)),
    "tensors": Dataset(torch.from_numpy(X_VALID), torch.from_numpy(Y_VALID)),
    "TensorDataset": TensorDataset(torch.from_numpy(X_VALID), torch.from_numpy(Y_VALID)),
    "Subset": Subset(Dataset(X, Y), range(160, 240)),
    "of the user's own": Pairs(),
}


@pytest.mark.parametrize("min_epoch_rows", [None, 300])
@pytest.mark.parametrize("held_out", DATASETS.values(), ids=DATASETS)
def test_held_out_rows_are_seen_as_the_training_rows_are(held_out, min_epoch_rows):
    split = predefined_split(held_out)
    net = net_classifier(train_split=split, max_epochs=15, lr=0.02, callbacks=[EarlyStopping(patience=15)])
    model = TaskNet(net, min_epoch_rows=min_epoch_rows, random_state=0).fit(X_TRAIN, Y_TRAIN)
    assert model.net_.history[-1, "valid_acc"] == pytest.approx(model.score(X_VALID, Y_VALID))
    assert model.score(X_VALID, Y_VALID) > 0.9
    assert model.net_.train_split is not None


def test_labels_and_values_of_held_out_rows_are_those_of_y():
    names = np.array(["a", "b", "c"])
    net = net_classifier(
        train_split=predefined_split(Dataset(X_VALID, names[Y_VALID])), max_epochs=10, lr=0.02
    )
    model = TaskNet(net).fit(X_TRAIN, names[Y_TRAIN])
    assert model.net_.history[-1, "valid_acc"] == pytest.approx(model.score(X_VALID, names[Y_VALID]))
    y = 500 + 3 * X[:, 0].astype(float)
    net = net_regressor(train_split=predefined_split(Dataset(X_VALID, y[160:])), max_epochs=20, lr=0.02)
    model = TaskNet(net, random_state=0).fit(X_TRAIN, y[:160])
    error = np.mean((model.predict(X_VALID) - y[160:]) ** 2) / np.var(y[:160])
    assert model.net_.history[-1, "valid_loss"] == pytest.approx(error, rel=1e-3)


def test_rows_split_off_by_the_net_are_not_scaled_twice():
    def halves(dataset, y=None):
        return tuple(Dataset(dataset.X[part], dataset.y[part]) for part in (slice(80), slice(80, None)))

    for split in (halves, ValidSplit(2, stratified=True)):
        model = TaskNet(net_classifier(train_split=split, max_epochs=15, lr=0.02)).fit(X_TRAIN, Y_TRAIN)
        assert model.net_.history[-1, "valid_acc"] > 0.9


@pytest.mark.parametrize(
    "held_out",
    [Dataset(StandardScaler().fit_transform(X_VALID)[:, :3], Y_VALID), Dataset(X_VALID, Y_VALID + 7)],
    ids=["columns", "labels"],
)
def test_held_out_rows_that_do_not_fit_are_refused_with_a_way_out(held_out):
    with pytest.raises(
        ValueError, match="held-out rows of train_split.*in the units of X with labels as in y"
    ):
        TaskNet(net_classifier(train_split=predefined_split(held_out))).fit(X_TRAIN, Y_TRAIN)
