"""Codes that are learned from views of the rows, and networks that start from their encoder."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.augment import CorruptedViews, ImageViews
from skalss.latent import VAE, ContrastiveLatent, LinearLatent
from skalss.nets import MLP, LeNet, ResNet8, net_classifier

DIGITS = load_digits()
IMAGES, Y = DIGITS.images[:600, None].astype(np.float32), DIGITS.target[:600]
FLAT = IMAGES.reshape(600, 64)
SMALL = ContrastiveLatent(LeNet, views=ImageViews(flip=False), max_epochs=3, batch_size=64, random_state=0)


def test_views_of_a_row_are_found_among_those_of_others():
    model = clone(SMALL).set_params(max_epochs=10).fit(IMAGES)
    assert model.history_[-1]["loss"] < 0.8 * model.history_[0]["loss"]
    assert model.history_[-1]["accuracy"] > 2 * model.history_[0]["accuracy"]
    Z = model.transform(IMAGES)
    assert Z.shape == (600, 84)
    assert Z.dtype == np.float32
    # Nobody told it a label.
    assert KNeighborsClassifier(1).fit(Z[:300], Y[:300]).score(Z[300:], Y[300:]) > 0.6


def test_flat_rows_have_corrupted_views():
    Z = ContrastiveLatent(max_epochs=8, random_state=0).fit_transform(FLAT)
    assert Z.shape == (600, 100)
    assert KNeighborsClassifier(1).fit(Z[:300], Y[:300]).score(Z[300:], Y[300:]) > 0.85


def test_the_same_seed_gives_the_same_codes_and_leaves_torchs_generator_alone():
    before = torch.random.get_rng_state()
    one, other = (clone(SMALL).fit_transform(IMAGES) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert torch.equal(before, torch.random.get_rng_state())
    third = clone(SMALL).set_params(random_state=1).fit_transform(IMAGES)
    assert not np.array_equal(one, third)


def test_it_has_no_decoder_and_comes_back_from_pickle_and_state():
    model = clone(SMALL).fit(IMAGES)
    assert not model.has_decoder
    assert not hasattr(model, "decode")
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(IMAGES), model.transform(IMAGES))
    other = clone(SMALL)
    other.set_state(model.get_state())
    np.testing.assert_array_equal(other.transform(IMAGES), model.transform(IMAGES))


def test_a_module_instance_is_copied_and_trained_on():
    module = LeNet(input_shape=(1, 8, 8))
    before = module.body[0].weight.detach().clone()
    model = clone(SMALL).set_params(module=module, max_steps=1, lr=1e-9).fit(IMAGES)
    assert isinstance(module.head, nn.Linear)
    assert module.body[0].weight.requires_grad
    assert torch.equal(module.body[0].weight, before)
    assert torch.allclose(model.encoder_.body[0].weight, before, atol=1e-6)


def test_steps_are_bounded():
    model = clone(SMALL).set_params(max_epochs=100, max_steps=11).fit(IMAGES)
    assert [line["epoch"] for line in model.history_] == [1, 2]  # nine steps make an epoch


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"batch_size": 1}, "at least 2"),
        ({"temperature": 0}, "temperature"),
        ({"views": lambda x: x[:, :, 1:]}, "views must return"),
        ({"module": lambda: nn.Conv2d(1, 2, 3)}, "must return codes of shape"),
        ({"views": ImageViews(least_area=0.0)}, "least_area"),
        ({"lr": 1e30}, "not finite"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_fitted_is_refused(params, text):
    with pytest.raises(ValueError, match=text):
        clone(SMALL).set_params(**params).fit(IMAGES)


def test_views_change_each_row_by_its_own_draw():
    rows = torch.rand(1, 3, 8, 8).expand(64, 3, 8, 8).contiguous()
    views = ImageViews()(rows)
    assert views.shape == rows.shape
    assert len(torch.unique(views.flatten(1), dim=0)) == 64
    grey = torch.full((64, 3, 8, 8), 0.5)
    assert torch.allclose(ImageViews(colour=0.0)(grey), grey)
    assert len(torch.unique(ImageViews()(grey).flatten(1), dim=0)) > 32  # brightness
    table = torch.arange(640.0).reshape(64, 10)
    corrupted = CorruptedViews(0.5)(table)
    assert torch.equal(corrupted % 10, table % 10)  # values stay in their columns
    assert 0.3 < float((corrupted != table).float().mean()) < 0.7
    assert torch.equal(CorruptedViews(0.0)(table), table)


# -- networks that start from the encoder ---------------------------------------------------------


def make_sampler(net=LeNet, latent=SMALL, **params):
    estimator = TaskNet(net_classifier(net, max_epochs=1, lr=0.0), init_from_latent=True)
    return AdaptiveLatentSampler(
        estimator, latent, n_initial=20, n_per_round=10, max_labels=30, random_state=0, **params
    )


@pytest.mark.parametrize("strategy", ["auto", "random"])
def test_a_network_starts_from_the_encoder(strategy):
    sampler = make_sampler(strategy=strategy).fit(IMAGES, Y)
    learned = sampler.latent_model_.encoder_.state_dict()
    module = sampler.estimator_.net_.module_.state_dict()  # trained with a learning rate of 0
    assert len(learned) == len(module) - 2  # all but the head
    for name, value in learned.items():
        assert torch.equal(value, module[name])
    plain = make_sampler(strategy=strategy).set_params(estimator__init_from_latent=False).fit(IMAGES, Y)
    module = plain.estimator_.net_.module_.state_dict()
    assert not any(torch.equal(value, module[name]) for name, value in learned.items())


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"net": ResNet8}, "no layer of the network has the name and shape"),
        ({"net": MLP, "latent": VAE(2, max_epochs=1)}, "no layer of the network"),
        ({"latent": LinearLatent(2)}, "has none"),
    ],
)
def test_a_network_that_cannot_start_there_is_refused_before_a_label_is_bought(params, text):
    asked = []
    with pytest.raises(ValueError, match=text):
        make_sampler(**params, oracle=lambda X: asked.append(len(X)) or [0] * len(X)).fit(IMAGES)
    assert not asked


def test_codes_have_no_encoder_to_start_from():
    with pytest.raises(ValueError, match="codes= has"):
        make_sampler(latent=None).fit(IMAGES, Y, codes=FLAT)


def test_start_from_outside_of_a_campaign():
    encoder = clone(SMALL).fit(IMAGES).encoder_
    net = (
        TaskNet(net_classifier(LeNet, max_epochs=1, lr=0.0), random_state=0)
        .start_from(encoder)
        .fit(IMAGES, Y)
    )
    assert torch.equal(net.net_.module_.body[0].weight, encoder.body[0].weight)
    with pytest.raises(ValueError, match="no layer"):
        net.start_from(nn.Linear(2, 2))
