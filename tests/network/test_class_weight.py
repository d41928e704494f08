"""Weights of classes in the loss of a TaskNet."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_class_weight
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skalss import AdaptiveLatentSampler, Campaign, TaskNet
from skalss.campaign import fitted as fitted_state
from skalss.latent import LinearLatent
from skalss.nets import MLP, net_classifier, net_regressor
from skalss.network.epochs import Pseudo
from skalss.selective import SelectiveNetBinaryClassifier, SelectiveNetClassifier
from skalss.targets import Classes
from skalss.utils import store

X, NUMBERS = make_classification(
    300, 6, n_informative=4, n_classes=3, weights=[0.75, 0.2], n_clusters_per_class=1, random_state=3
)
Y = np.array(["common", "medium", "rare"])[NUMBERS]
WEIGHTS = {"common": 0.5, "medium": 2.0, "rare": 8.0}
ONE_STEP = {"max_epochs": 1, "batch_size": 300, "lr": 0.5, "optimizer": torch.optim.SGD}


class Sigmoid(nn.Module):
    def __init__(self, input_dim=1):
        super().__init__()
        self.head = nn.Linear(input_dim, 1)

    def forward(self, X):
        return self.head(X).sigmoid()


def weights_after(estimator, class_weight, y=Y, **fit):
    model = TaskNet(estimator, class_weight=class_weight, random_state=0, device="cpu")
    model.fit_rows(X, y, **fit)
    return torch.cat([p.detach().flatten() for p in model.net_.module_.parameters()])


def step_by_hand(estimator, loss_of, weight, y=Y):
    """Return the weights after a step down the mean over rows of weight times loss."""
    model = TaskNet(clone(estimator).set_params(lr=0.0), random_state=0, device="cpu")
    model.fit(X, y)  # the same first weights
    module, rows = model.net_.module_, model.scaling_(torch.as_tensor(X))
    numbers = torch.as_tensor(np.searchsorted(model.classes_, y))
    module.zero_grad()
    losses = loss_of(module(rows), numbers)
    (losses * torch.as_tensor(weight, dtype=torch.float32)).mean().backward()
    return torch.cat([(p - 0.5 * p.grad).detach().flatten() for p in module.parameters()])


@pytest.mark.parametrize("class_weight", [WEIGHTS, "balanced", {"rare": 5}], ids=str)
def test_a_step_weighs_rows_as_scikit_learn_does(class_weight):
    net = net_classifier(**ONE_STEP)
    full = class_weight if class_weight == "balanced" else {"common": 1.0, "medium": 1.0, **class_weight}
    by_class = compute_class_weight(full, classes=np.unique(Y), y=Y)
    cross_entropy = nn.CrossEntropyLoss(reduction="none")
    expected = step_by_hand(net, cross_entropy, by_class[NUMBERS])
    torch.testing.assert_close(weights_after(net, class_weight), expected, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(weights_after(net, None), expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_binary_nets(kind):
    if kind == "logits":
        module, criterion = MLP, nn.BCEWithLogitsLoss
    else:
        module, criterion = Sigmoid, nn.BCELoss

    def loss_of(output, y):
        return criterion(reduction="none")(output.flatten(), y.float())

    net = NeuralNetBinaryClassifier(module, criterion=criterion, train_split=None, **ONE_STEP)
    y = np.where(Y == "rare", 7, 3)
    expected = step_by_hand(net, loss_of, np.where(y == 7, 6.0, 0.25), y)
    found = weights_after(net, {3: 0.25, 7: 6.0}, y)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_balanced_finds_the_rare_class():
    recalls = []
    for class_weight in (None, "balanced"):
        model = TaskNet(net_classifier(max_epochs=8), class_weight=class_weight, random_state=0, device="cpu")
        recalls.append(recall_score(Y, model.fit(X, Y).predict(X), labels=["rare"], average=None)[0])
    assert recalls[1] > recalls[0] + 0.2


@pytest.mark.parametrize("selector", [None, "mms", "loss", "hard_negatives", "prune", "random"])
@pytest.mark.parametrize("binary", [False, True])
def test_nets_that_choose_their_rows(selector, binary):
    cls = SelectiveNetBinaryClassifier if binary else SelectiveNetClassifier
    criterion = nn.BCEWithLogitsLoss if binary else nn.CrossEntropyLoss
    net = cls(MLP, selector=selector, criterion=criterion, lr=0.05, batch_size=32, max_epochs=3)
    y = np.where(Y == "rare", "rare", "other") if binary else Y
    plain, even, heavy = (weights_after(net, w, y) for w in (None, {"rare": 1.0}, {"rare": 30.0}))
    torch.testing.assert_close(even, plain)
    assert torch.isfinite(heavy).all()
    assert not torch.allclose(heavy, plain, atol=1e-3)


def test_pseudo_labels_are_weighed_by_their_class():
    pseudo = Pseudo(X, Y, until=1.0)
    net = net_classifier(max_epochs=2)
    plain, heavy = (weights_after(net, w, pseudo=pseudo) for w in (None, {"rare": 30.0}))
    assert not torch.allclose(heavy, plain, atol=1e-3)


def test_nothing_stays_in_the_net():
    model = TaskNet(net_classifier(max_epochs=1), class_weight="balanced", random_state=0).fit(X, Y)
    criterion = model.net_.criterion_
    assert criterion.reduction == "mean"
    assert not criterion._forward_hooks
    assert not criterion._forward_pre_hooks
    copy.deepcopy(model).partial_fit(X, Y)
    fresh = TaskNet(net_classifier(max_epochs=1), random_state=0).set_state(model.get_state())
    np.testing.assert_array_equal(fresh.predict(X), model.predict(X))


def test_a_training_that_fails_leaves_the_criterion_as_it_was():
    class Stops(NeuralNetClassifier):
        def on_batch_end(self, *args, **kwargs):
            raise RuntimeError("stop")

    net = Stops(MLP, criterion=nn.CrossEntropyLoss, train_split=None)
    model = TaskNet(net, class_weight="balanced", random_state=0)
    with pytest.raises(RuntimeError, match="stop"):
        model.fit(X, Y)
    assert model.net_.criterion_.reduction == "mean"
    assert not model.net_.criterion_._forward_hooks


# -- labels that are there or not ------------------------------------------------------------------


def test_a_class_without_labels_yet_disturbs_nothing():
    few = Y != "rare"
    for class_weight in ("balanced", WEIGHTS, {"rare": 9.0}):
        for target in (Classes(), Classes(np.unique(Y))):
            model = TaskNet(net_classifier(max_epochs=1), class_weight=class_weight, random_state=0)
            model.fit_rows(X[few], Y[few], target=target)
            assert np.isfinite(model.predict_proba(X)).all()
    only = Y == "common"
    TaskNet(net_classifier(max_epochs=1), class_weight="balanced").fit(X[only], Y[only])
    TaskNet(net_classifier(max_epochs=1), class_weight=WEIGHTS).fit(X[few], Y[few])  # a fold without it


@pytest.mark.parametrize(
    ("class_weight", "error", "message"),
    [
        ({"rear": 5.0}, ValueError, r"\['rear'\].*none of the classes.*without a weight are \['common'"),
        ({"common": 1.0, 2: 5.0}, ValueError, r"names the labels \[2\]"),
        ({"rare": -1.0}, ValueError, "got -1.0 for 'rare'"),
        ({"rare": np.nan}, ValueError, "got nan for 'rare'"),
        ({"rare": np.inf}, ValueError, "got inf for 'rare'"),
        ({"rare": "5"}, ValueError, "got '5' for 'rare'"),
        ({"rare": True}, ValueError, "got True for 'rare'"),
        ("balance", ValueError, "got 'balance'"),
        ([1.0, 2.0, 3.0], TypeError, "must be 'balanced', a dict"),
    ],
    ids=str,
)
def test_wrong_weights_are_refused(class_weight, error, message):
    with pytest.raises(error, match=message):
        TaskNet(net_classifier(max_epochs=1), class_weight=class_weight).fit(X, Y)


def test_labels_that_look_like_numbers_are_text():
    y = NUMBERS.astype(str)
    net = net_classifier(**ONE_STEP)
    heavy = weights_after(net, {"2": 30.0}, y)
    assert not torch.allclose(heavy, weights_after(net, None, y), atol=1e-3)
    with pytest.raises(ValueError, match="of the same type"):
        weights_after(net, {2: 30.0}, y)


def test_values_have_no_classes():
    with pytest.raises(ValueError, match="this is a regression task"):
        TaskNet(net_regressor(), class_weight="balanced").fit(X, X[:, 0])


class NoReduction(nn.Module):
    def forward(self, output, y):
        return nn.functional.cross_entropy(output, y)


class DeafToReduction(NoReduction):
    reduction = "mean"


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (net_classifier(criterion=NoReduction), "NoReduction has no `reduction`"),
        (net_classifier(criterion=DeafToReduction), r"gave a loss of shape \(\) for"),
        (net_classifier(criterion__weight=torch.ones(3)), "weighs classes by its own weight"),
    ],
    ids=["no reduction", "deaf", "own weights"],
)
def test_a_criterion_whose_rows_cannot_be_weighed_is_refused(net, message):
    with pytest.raises(ValueError, match=message):
        TaskNet(net, class_weight="balanced").fit(X, Y)


# -- through the sampler ---------------------------------------------------------------------------


def make_sampler(**params):
    net = TaskNet(net_classifier(max_epochs=4), **params)
    return AdaptiveLatentSampler(
        net, LinearLatent(3), n_initial=15, n_per_round=15, max_labels=45, random_state=0
    )


def test_it_is_reached_through_the_sampler():
    fitted = make_sampler().set_params(estimator__class_weight="balanced").fit(X, Y)
    assert fitted.estimator_.class_weight == "balanced"
    plain = make_sampler().fit(X, Y)
    assert not np.allclose(fitted.predict_proba(X), plain.predict_proba(X))


def test_a_class_that_turns_up_late():
    y = np.where(np.arange(300) > 280, "late", "early")
    sampler = make_sampler(class_weight={"late": 20.0}).set_params(strategy="random", classes=None)
    oracle = sampler.set_params(
        oracle=lambda rows: y[[int(np.flatnonzero((r == X).all(1))[0]) for r in rows]]
    )
    assert oracle.fit(X).n_labels_ == 45


@pytest.mark.parametrize(
    ("class_weight", "classes"), [({"rear": 2.0}, ["common", "medium", "rare"]), ({"rare": -1}, None)]
)
def test_a_campaign_refuses_before_the_first_question(class_weight, classes):
    sampler = make_sampler(class_weight=class_weight).set_params(classes=classes)
    with pytest.raises(ValueError, match="class_weight"):
        Campaign(sampler, X)


def test_a_sampler_saved_before_there_was_class_weight_is_loaded(tmp_path):
    fitted = make_sampler().fit(X, Y)
    state = fitted_state.state_of(fitted)
    del state["settings"]["estimator__class_weight"]
    store.write(tmp_path / "old", state)
    loaded = AdaptiveLatentSampler.load(tmp_path / "old", make_sampler())
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    with pytest.raises(ValueError, match="class_weight"):
        AdaptiveLatentSampler.load(tmp_path / "old", make_sampler(class_weight="balanced"))
