"""TaskNet(augment=): which rows are changed, by which chance, and what is refused before it costs labels."""

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import DataLoader

from skalss import AdaptiveLatentSampler, TaskNet, load_model
from skalss.augment import ImageAugment
from skalss.campaign.identity import identity
from skalss.nets import MLP, LeNet, net_classifier, net_regressor
from skalss.network.epochs import Pseudo
from skalss.selective import HardestRows, SelectiveNetClassifier

from .nets import DIGITS, DIGITS_Y, X_REG, Y_REG, X, Y, binary_net, make_decoder

FAR = 1000.0


@dataclass
class Add:
    """Moves rows far away from where they are."""

    by: float = FAR

    def __call__(self, X):
        return X + self.by


def in_place(X):
    return X.add_(FAR)


class Watch(Callback):
    """Notes the rows that enter the module: whether in training, with gradients, and far away."""

    def on_train_begin(self, net, **kwargs):
        self.rows, self.calls = [], []
        self.handle = net.module_.register_forward_pre_hook(self.note)

    def note(self, module, args):
        rows = args[0].detach().clone()
        self.rows.append(rows)
        self.calls.append((module.training, torch.is_grad_enabled(), bool((rows > FAR / 2).all())))

    @property
    def steps(self):
        return [rows for rows, call in zip(self.rows, self.calls, strict=True) if call[:2] == (True, True)]


def watched(net, **params):
    return net.set_params(callbacks=[("watch", Watch())], **params)


def watch_of(model):
    return dict(model.net_.callbacks_)["watch"]


SHORT = {"max_epochs": 2}
NETS = {
    "classifier": (net_classifier(**SHORT), X, Y),
    "binary": (binary_net(), X, (Y > 0).astype(int)),
    "regressor": (net_regressor(**SHORT), X_REG, Y_REG),
    "a loader of the user": (
        net_classifier(
            iterator_train=DataLoader, iterator_train__collate_fn=torch.utils.data.default_collate
        ),
        X,
        Y,
    ),
    "rows in their order": (net_classifier(iterator_train__shuffle=False), X, Y),
    "all rows at once": (net_classifier(batch_size=-1, iterator_train__shuffle=False), X, Y),
    "without selection": (SelectiveNetClassifier(MLP, selector=None, criterion=nn.CrossEntropyLoss), X, Y),
}


@pytest.mark.parametrize("augment", [Add(), in_place], ids=["", "in place"])
@pytest.mark.parametrize(("net", "X", "y"), NETS.values(), ids=NETS)
def test_rows_are_changed_in_training_and_nowhere_else(net, X, y, augment):
    net = watched(clone(net), max_epochs=2, train_split=ValidSplit(3))
    model = TaskNet(net, augment=augment, random_state=0).fit(X, y)
    watch = watch_of(model)
    assert set(watch.calls) == {(True, True, True), (False, False, False)}
    values = torch.cat(watch.steps)
    assert values.max() < 1.5 * FAR  # not changed twice, and not the rows themselves
    watch.calls.clear()
    model.partial_fit(X, y)
    assert set(watch.calls) == {(True, True, True), (False, False, False)}
    watch.calls.clear()
    model.predict(X), model.logits(X), model.features(X), model.score(X, y)
    model.loss_gradient(make_decoder(3, X.shape[1:]), np.ones((4, 3), dtype=np.float32), y[:4])
    model.to_torch()(torch.tensor(X, dtype=torch.float32))
    assert {far for _, _, far in watch.calls} == {False}


def test_pseudo_labelled_rows_are_changed_too():
    net = watched(net_classifier(**SHORT))
    model = TaskNet(net, augment=Add(), random_state=0)
    model.fit_rows(X[:20], Y[:20], pseudo=Pseudo(X[20:], Y[20:], until=1.0))
    assert set(watch_of(model).calls) == {(True, True, True)}
    assert len(torch.cat(watch_of(model).rows).unique(dim=0)) == 90


class Normed(nn.Module):
    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(input_dim, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.head = nn.Linear(8, output_dim)

    def forward(self, X):
        return self.head(self.body(X))


@dataclass
class Noise:
    def __call__(self, X):
        return X + FAR + torch.randn_like(X)


@pytest.mark.parametrize("loader", [None, DataLoader], ids=["tensors", "DataLoader"])
def test_a_selective_net_trains_on_the_rows_that_it_scored(loader):
    net = SelectiveNetClassifier(
        Normed,
        selector=HardestRows(pool_factor=3, start=0.0, end=1.0, when="always"),
        batch_size=15,
        criterion=nn.CrossEntropyLoss,
    )
    if loader is not None:
        net.set_params(iterator_train=loader, iterator_train__num_workers=0, iterator_train__shuffle=True)
    model = TaskNet(watched(net, max_epochs=2), augment=Noise(), random_state=0).fit(X, Y)
    watch = watch_of(model)
    assert {call[:2]: call[2] for call in watch.calls} == {
        (False, False): True,  # scored
        (True, True): True,  # trained on
        (True, False): False,  # the statistics of batch normalisation
    }
    scored = [row for rows, call in zip(watch.rows, watch.calls, strict=True) if not call[0] for row in rows]
    scored = {tuple(row.tolist()) for row in scored}
    assert all(tuple(row.tolist()) in scored for rows in watch.steps for row in rows)


# -- chance ---------------------------------------------------------------------------------------


class Draws(Callback):
    """Draws from torch's own generator, as another thread may."""

    def on_batch_begin(self, net, **kwargs):
        torch.rand(3)


def test_the_seed_decides_and_the_callers_generator_is_left_alone():
    def fit(seed=0, augment=None, **params):
        net = net_classifier(LeNet, max_epochs=2, **params)
        return (
            TaskNet(net, augment=augment, random_state=seed, device="cpu")
            .fit(DIGITS, DIGITS_Y)
            .logits(DIGITS)
        )

    augment = ImageAugment(shift=2, cutout=3)
    state = torch.get_rng_state()
    expected = fit(augment=augment)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(5)
    np.testing.assert_array_equal(fit(augment=augment), expected)
    np.testing.assert_array_equal(fit(augment=augment, callbacks=[Draws()]), expected)
    assert not np.array_equal(fit(augment=augment, seed=1), expected)
    assert not np.array_equal(fit(), expected)


# -- manners of a setting -------------------------------------------------------------------------


def test_copies_and_searches():
    model = TaskNet(net_classifier(LeNet, max_epochs=1), augment=ImageAugment(shift=1), random_state=0)
    fitted = clone(model).fit(DIGITS, DIGITS_Y)
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy.augment == fitted.augment
    np.testing.assert_array_equal(
        copy.partial_fit(DIGITS, DIGITS_Y).logits(DIGITS), fitted.partial_fit(DIGITS, DIGITS_Y).logits(DIGITS)
    )
    assert clone(model).set_params(augment__shift=3).augment == ImageAugment(shift=3)
    grid = {"augment": [None, ImageAugment(shift=1), Add(1e6)]}
    search = GridSearchCV(clone(model).set_params(estimator__max_epochs=8), grid, cv=2).fit(DIGITS, DIGITS_Y)
    assert search.best_params_["augment"] != Add(1e6)


def test_the_identity_of_a_campaign():
    def name(**params):
        return identity(AdaptiveLatentSampler(TaskNet(net_classifier(), **params)))

    assert name() == name(augment=None)
    assert name(augment=ImageAugment()) == name(augment=ImageAugment(shift=4))
    names = [
        name(),
        name(augment=ImageAugment()),
        name(augment=ImageAugment(shift=3)),
        name(augment=in_place),
    ]
    names += [name(augment=Add(1.0)), name(augment=Add(2.0)), name(augment=nn.Dropout(0.1))]
    assert len(set(names)) == 7


def test_a_campaign_its_file_and_its_network(tmp_path):
    estimator = TaskNet(net_classifier(LeNet, max_epochs=2), augment=ImageAugment(shift=1), warm_start=True)
    sampler = AdaptiveLatentSampler(
        estimator, strategy="margin", n_initial=20, n_per_round=20, max_labels=60, random_state=0
    ).fit(DIGITS, DIGITS_Y)
    assert sampler.n_labels_ == 60
    sampler.save(tmp_path / "a.skalss")
    read = AdaptiveLatentSampler.load(tmp_path / "a.skalss", clone(sampler))
    for other in (read, load_model(tmp_path / "a.skalss")):
        np.testing.assert_array_equal(other.predict_proba(DIGITS), sampler.predict_proba(DIGITS))


# -- what is refused ------------------------------------------------------------------------------


def broken(X):
    raise RuntimeError("no such blur")


class OwnLoop(NeuralNetClassifier):
    """Makes its batches of something else."""

    def get_iterator(self, dataset, training=False):
        return [(dataset.X, dataset.y)]


FAULTS = {
    "another shape": (lambda X: X[:, :3], r"it returned \(\d+, 3\), torch.float32, on cpu"),
    "fewer rows": (lambda X: X[1:], r"augment must return a batch as it gets it"),
    "another dtype": (lambda X: X.double(), "torch.float64"),
    "an array": (lambda X: X.numpy(), "augment must return a tensor, got array"),
    "nothing": (lambda X: None, "augment must return a tensor, got None"),
    "no images": (ImageAugment(), "ImageAugment takes images"),
    "an error": (broken, "no such blur"),
    "a class": (Add, "augment must be callable, or None, got <class"),
    "no callable": (0.5, "augment must be callable, or None, got 0.5"),
}


@pytest.mark.parametrize(("augment", "text"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_one_is_refused_before_a_label_is_bought(augment, text):
    asked = []
    sampler = AdaptiveLatentSampler(
        TaskNet(net_classifier(**SHORT), augment=augment), strategy="random", oracle=asked.extend
    )
    with pytest.raises((ValueError, TypeError), match=text):
        sampler.fit(X)
    assert not asked


def test_a_net_that_would_not_heed_it_is_refused():
    net = OwnLoop(MLP, criterion=nn.CrossEntropyLoss, max_epochs=1)
    TaskNet(net).fit(X, Y)
    with pytest.raises(ValueError, match="augment was never called: OwnLoop does not train on what its iter"):
        TaskNet(net, augment=Add()).fit(X, Y)
