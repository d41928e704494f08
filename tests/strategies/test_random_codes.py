import numpy as np
import pytest
from scipy.stats import kstest

from skalss import AdaptiveLatentSampler
from skalss.nets import net_regressor
from skalss.oracles import AnswerKey, FunctionOracle
from skalss.strategies import Encoded, RandomCodesStrategy


def test_normal_codes_have_the_moments_of_the_pool(world):
    codes = RandomCodesStrategy(bounds=None).query(world.snapshot(), 4000).codes
    np.testing.assert_allclose(codes.mean(axis=0), world.codes.mean(axis=0), atol=1.5)
    np.testing.assert_allclose(np.cov(codes, rowvar=False), np.cov(world.codes, rowvar=False), atol=25)


def test_a_latin_hypercube_has_one_code_in_each_slice(world):
    codes = RandomCodesStrategy("latin_hypercube", bounds=None).query(world.snapshot(), 50).codes
    low, high = np.percentile(world.codes, [1, 99], axis=0)
    slices = np.floor((codes - low) / (high - low) * 50).astype(int)
    for column in slices.T:
        assert sorted(column) == list(range(50))
    assert kstest(codes[:, 0], "uniform", (low[0], high[0] - low[0])).pvalue > 0.5


def test_a_single_component(world):
    snapshot = world.snapshot(latent=lambda: Encoded(None, world.codes[:, :1]))
    for design in ("normal", "latin_hypercube"):
        assert RandomCodesStrategy(design, bounds=None).query(snapshot, 7).codes.shape == (7, 1)


def test_a_wrong_design():
    with pytest.raises(
        ValueError, match=r"design must be one of \['normal', 'latin_hypercube'\], got 'sobol'"
    ):
        RandomCodesStrategy("sobol").check()


def make_sampler(world, **params):
    settings = {
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 30,
        "random_state": 0,
    }
    return AdaptiveLatentSampler(
        net_regressor(max_epochs=2), **{**settings, "latent_model": world.latent_model, **params}
    )


def test_the_first_points_may_be_made_up(world_of):
    world = world_of("regression")
    oracle = FunctionOracle(lambda rows: rows[:, 20])
    sampler = make_sampler(world, initial="random_codes", oracle=oracle).fit(world.X)
    assert sampler.queries_["kind"].tolist() == ["generated"] * 10 + ["pool"] * 20
    assert sampler.X_generated_.shape == (10, 64)


def test_made_up_first_points_are_refused_for_a_lookup(world_of):
    world = world_of("regression")
    with pytest.raises(ValueError, match=r"RandomCodesStrategy\(\) asks for labels of generated points"):
        make_sampler(world, initial="random_codes", oracle=AnswerKey(world.y)).fit(world.X)
