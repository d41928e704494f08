"""Made points stay where a simulator can answer: bounds and constraints, in whole campaigns."""

import warnings

import numpy as np
import pandas as pd
import pytest

from skalss import AdaptiveLatentSampler, Campaign
from skalss.latent import VAE, ConvVAE, LinearLatent
from skalss.nets import net_regressor
from skalss.oracles import FunctionOracle
from skalss.strategies import InterpolationStrategy, RandomCodesStrategy

LOW, HIGH = np.array([-1.0, 0.1, 20.0, 1e-3, 5.0]), np.array([1.0, 0.7, 90.0, 3e-3, 5.5])
X = LOW + (HIGH - LOW) * np.random.default_rng(3).random((120, 5))
FAR = {"climb": "random", "step": 4.0, "n_steps": 1}
STRATEGIES = {
    "up the loss": InterpolationStrategy(),
    "random steps": InterpolationStrategy(**FAR),
    "edited": InterpolationStrategy(**FAR, residual=True),
    "up the disagreement": InterpolationStrategy(climb="disagreement", n_steps=4, n_members=2),
    "chosen": InterpolationStrategy(**FAR, residual=True, n_candidates=40, random_share=0.3),
    "random codes": RandomCodesStrategy(),
    "latin hypercube": RandomCodesStrategy("latin_hypercube"),
}


def simulate(rows):
    rows = np.asarray(rows, dtype=float)
    return rows[:, 0] + rows[:, 1] * rows[:, 2]


def run(strategy, rows=X, *, latent=None, oracle=simulate, **params):
    settings = {"n_initial": 10, "n_per_round": 15, "max_labels": 40, "random_state": 0, **params}
    sampler = AdaptiveLatentSampler(
        net_regressor(max_epochs=2),
        LinearLatent(5) if latent is None else latent,
        strategy,
        FunctionOracle(oracle),
        **settings,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The first network|.*did not converge")
        return sampler.fit(rows)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize("latent", [LinearLatent(5), VAE(2, max_epochs=2)], ids=["linear", "VAE"])
def test_points_lie_in_the_range_of_the_pool(strategy, latent):
    seen = []

    def oracle(rows):
        seen.append(np.asarray(rows))
        return simulate(rows)

    sampler = run(strategy, latent=latent, oracle=oracle)
    made = sampler.X_generated_
    assert len(made) >= 15
    assert (made >= X.min(axis=0)).all()
    assert (made <= X.max(axis=0)).all()
    assert len(np.unique(made, axis=0)) == len(made)
    asked = np.concatenate(seen)
    assert all((asked == row).all(axis=1).any() for row in made)


@pytest.mark.parametrize("residual", [False, True])
def test_the_code_of_a_point_that_was_moved_is_its_own(residual):
    """With as many components as features a row has one code; the codes are what later rounds start from."""
    campaign = Campaign(
        AdaptiveLatentSampler(
            net_regressor(max_epochs=2),
            LinearLatent(5),
            InterpolationStrategy(**FAR, residual=residual),
            n_initial=10,
            n_per_round=30,
            random_state=0,
        ),
        X,
    )
    first = campaign.ask()
    campaign.tell(first.ids, simulate(first.X))
    batch = campaign.ask()
    assert (np.isclose(batch.X, X.min(axis=0)) | np.isclose(batch.X, X.max(axis=0))).any()
    scale = X.std(axis=0)
    latent = campaign.models.latent_model
    np.testing.assert_allclose(latent.transform(batch.X), batch.codes, atol=1e-3)
    decoded = latent.inverse_transform(batch.codes)
    np.testing.assert_allclose(decoded / scale, batch.X / scale, atol=1e-2)


def test_bounds_wider_or_narrower_than_the_pool():
    wide = run(InterpolationStrategy(**FAR, bounds=(LOW - 1, HIGH + 1))).X_generated_
    assert (wide < X.min(axis=0)).any()
    assert ((wide >= LOW - 1) & (wide <= HIGH + 1)).all()
    edited = run(InterpolationStrategy(**FAR, residual=True, bounds=(LOW - 1, HIGH + 1))).X_generated_
    assert (edited < X.min(axis=0)).any()
    half_open = run(InterpolationStrategy(**FAR, bounds=(LOW - 1, np.inf))).X_generated_
    assert (half_open >= LOW - 1).all()
    assert (half_open > HIGH + 1).any()
    with pytest.raises(ValueError, match=r"Row \d+ of X lies outside of bounds: feature 0 is"):
        run(InterpolationStrategy(bounds=([0, *LOW[1:]], HIGH)))
    with pytest.raises(ValueError, match=r"bounds has values of shape \(4,\), but a row of X has 5 features"):
        run(InterpolationStrategy(bounds=(LOW[:4], HIGH[:4])))
    with pytest.raises(ValueError, match="bounds must be 'pool', None, or"):
        run(RandomCodesStrategy(bounds="box"))


def test_images_stay_in_the_range_of_each_channel():
    images = np.random.default_rng(0).random((60, 2, 8, 8)).astype(np.float32) * [[[1.0]], [[200.0]]] + 3
    sampler = run(
        InterpolationStrategy(**FAR),
        images,
        latent=LinearLatent(8),
        oracle=lambda rows: np.asarray(rows)[:, 0, 2, 2],
    )
    made = sampler.X_generated_
    for channel in (0, 1):
        assert made[:, channel].min() >= images[:, channel].min()
        assert made[:, channel].max() <= images[:, channel].max()
    assert (made > images.max(axis=0)).any()  # not the range of each pixel


def test_bytes_of_images_with_a_convolutional_vae():
    images = np.random.default_rng(0).integers(10, 90, (40, 1, 8, 8)).astype(np.uint8)
    made = run(
        "si", images, latent=ConvVAE(4, max_epochs=1), oracle=lambda rows: np.asarray(rows)[:, 0, 2, 2]
    ).X_generated_
    assert 10 <= made.min() <= made.max() <= 90


# -- a constraint -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["random steps", "edited", "up the loss", "random codes"])
def test_only_allowed_points_are_asked_and_the_user_sees_his_own_kind_of_rows(name):
    frame = pd.DataFrame(X, columns=list("abcde"))
    seen = []

    def allowed(rows):
        seen.append(type(rows))
        return rows["a"] + rows["b"] <= 0.5

    strategy = STRATEGIES[name].set_params(constraint=allowed)
    try:
        sampler = run(strategy, frame)
    finally:
        strategy.set_params(constraint=None)
    made = sampler.X_generated_
    assert len(made) == 30
    assert (made[:, 0].astype(np.float32) + made[:, 1] <= 0.5).all()
    assert set(seen) == {pd.DataFrame}


@pytest.mark.parametrize("strategy", [InterpolationStrategy(**FAR), RandomCodesStrategy()])
def test_a_constraint_that_allows_nothing_ends_the_campaign(strategy):
    strategy.set_params(constraint=lambda rows: np.zeros(len(rows), dtype=bool))
    try:
        with (
            pytest.warns(
                UserWarning, match=r"Only 0 of 15 points were found in \d+ tries: the constraint allowed 0"
            ),
            pytest.warns(UserWarning, match="found nothing to ask"),
        ):
            sampler = run(strategy)
    finally:
        strategy.set_params(constraint=None)
    assert sampler.n_labels_ == 10


def test_a_wrong_constraint_is_refused_before_anybody_is_asked():
    def nobody(rows):
        raise AssertionError("asked")

    for constraint, text in [
        (lambda rows: rows[:, 0], "must return a bool mask"),
        (lambda rows: True, "must return a bool mask"),
        ("x > 0", "must be a function of rows"),
    ]:
        with pytest.raises((ValueError, TypeError), match=text):
            run(InterpolationStrategy(constraint=constraint), oracle=nobody)


def test_points_that_meet_at_a_corner_are_asked_once():
    """In one dimension every long step ends at one of two points."""
    line = np.linspace(0, 1, 40)[:, None]
    with pytest.warns(UserWarning, match="no point is asked twice"):
        sampler = run(
            InterpolationStrategy(climb="random", step=20.0, n_steps=1, min_distance=None),
            line,
            latent=LinearLatent(1),
            oracle=lambda rows: np.asarray(rows)[:, 0],
        )
    ids = sampler.queries_.query("kind == 'generated'")["id"]
    assert len(ids) <= 2
    assert len(np.unique(sampler.X_generated_, axis=0)) == len(ids)


# -- the published procedure ------------------------------------------------------------------------------


def test_the_published_points_leave_the_pool_and_a_warning_says_so():
    sampler = AdaptiveLatentSampler.paper(
        "si",
        estimator=net_regressor(max_epochs=2),
        latent_model=LinearLatent(5),
        oracle=FunctionOracle(simulate),
        n_initial=10,
        n_per_round=30,
        max_labels=40,
        random_state=0,
    )
    sampler.set_params(strategy__step=3.0)
    with pytest.warns(UserWarning, match="lie outside of the range of the pool"):
        made = sampler.fit(X).X_generated_
    assert (made < X.min(axis=0)).any()
    sampler.set_params(strategy__bounds="pool")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*outside of the range")
        made = sampler.fit(X).X_generated_
    assert (made >= X.min(axis=0)).all()
