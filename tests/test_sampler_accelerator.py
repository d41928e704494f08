"""Samplers on an accelerator."""

import numpy as np
import pytest
import torch

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.latent import LevelSetLatent, LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import FunctionOracle
from skalss.strategies import InterpolationStrategy

from .sampling import X_TEST, X, Y, make_sampler


@pytest.mark.gpu
@pytest.mark.parametrize("strategy", ["snn", "mms", "random"])
def test_on_an_accelerator(strategy):
    accelerator = torch.accelerator.current_accelerator()
    sampler = make_sampler(strategy=strategy, train_on="both").fit(X, Y)
    module = sampler.estimator_.net_.module_
    assert {p.device.type for p in module.parameters()} == {accelerator.type}
    assert sampler.latent_model_.decode(torch.zeros(1, 4)).device.type == accelerator.type
    assert isinstance(sampler.predict_proba(X_TEST), np.ndarray)


@pytest.mark.gpu
@pytest.mark.parametrize(("of_net", "of_latent"), [("cpu", "cpu"), ("cpu", "auto"), ("auto", "cpu")])
def test_each_part_is_where_it_says(of_net, of_latent):
    net = TaskNet(net_classifier(max_epochs=3), device=of_net)
    sampler = make_sampler(net, strategy="snn", latent_model=LinearLatent(4, device=of_latent))
    sampler.fit(X, Y)
    accelerator = torch.accelerator.current_accelerator().type
    assert sampler.estimator_.device_.type == (accelerator if of_net == "auto" else "cpu")
    codes = torch.zeros(1, 4)
    assert sampler.latent_model_.decode(codes).device.type == (accelerator if of_latent == "auto" else "cpu")
    assert sampler.n_labels_ == 30


@pytest.mark.gpu
def test_generated_points_on_an_accelerator():
    oracle = FunctionOracle(lambda rows: (np.asarray(rows)[:, :32].mean(axis=1) > 4.8).astype(int))
    sampler = AdaptiveLatentSampler.paper(
        "si",
        estimator=net_classifier(max_epochs=3),
        latent_model=LinearLatent(4),
        oracle=oracle,
        n_initial=30,
        n_per_round=30,
        max_labels=90,
    ).fit(X)
    assert sampler.X_generated_.shape == (60, 64)


@pytest.mark.gpu
@pytest.mark.parametrize("latent_model", [LinearLatent(4), LevelSetLatent(4, image_shape=(1, 8, 8))], ids=str)
@pytest.mark.parametrize("climb", ["loss", "disagreement", "random"])
def test_residual_points_on_an_accelerator(climb, latent_model):
    strategy = InterpolationStrategy(
        climb=climb, residual=True, random_share=0.5, n_candidates=40, n_members=2, on_refusal="nearest"
    )
    sampler = AdaptiveLatentSampler(
        net_regressor(max_epochs=3),
        latent_model,
        strategy=strategy,
        oracle=FunctionOracle(lambda rows: np.asarray(rows)[:, 20].astype(float)),
        n_initial=30,
        n_per_round=30,
        max_labels=90,
    ).fit(X)
    assert sampler.n_labels_ == 90
    assert len(sampler.X_generated_) > 0


@pytest.mark.gpu
def test_the_default_for_values_on_an_accelerator():
    sampler = AdaptiveLatentSampler(net_regressor(max_epochs=3), n_initial=20, n_per_round=20, max_labels=60)
    assert sampler.fit(X, X[:, 20].astype(float)).n_labels_ == 60
