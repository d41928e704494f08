"""A start from bounds alone."""

import numpy as np
import pandas as pd
import pytest

from skalss import AdaptiveLatentSampler, Campaign
from skalss.latent import LinearLatent
from skalss.nets import net_regressor
from skalss.oracles import FunctionOracle
from skalss.simulation import Box
from skalss.strategies import InterpolationStrategy

LOW, HIGH = [0.1, -5.0, 1e-3], [0.3, 5.0, 1e3]
METHODS = ["sobol", "lhs", "random"]


def simulate(rows):
    rows = np.asarray(rows, dtype=float)
    return rows[:, 0] * 10 + rows[:, 1]


def make_sampler(**params):
    settings = {
        "latent_model": LinearLatent(3),
        "strategy": "si",
        "oracle": FunctionOracle(simulate),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 30,
        "random_state": 4,
    }
    return AdaptiveLatentSampler(net_regressor(max_epochs=2), **{**settings, **params})


@pytest.mark.parametrize("method", METHODS)
def test_rows_fill_the_box(method):
    X = Box(LOW, HIGH, n=200, method=method, log=[2]).draw(random_state=1)
    assert X.shape == (200, 3)
    assert ((X >= LOW) & (X <= HIGH)).all()
    unit = np.c_[(X[:, :2] - LOW[:2]) / np.subtract(HIGH[:2], LOW[:2]), (np.log10(X[:, 2]) + 3) / 6]
    counts = np.array([np.histogram(column, bins=10, range=(0, 1))[0] for column in unit.T])
    slack = {"sobol": 4, "lhs": 0, "random": 15}[method]
    assert np.abs(counts - 20).max() <= slack
    np.testing.assert_array_equal(X, Box(LOW, HIGH, n=200, method=method, log=[2]).draw(random_state=1))
    assert (Box(LOW, HIGH, n=200, method=method, log=[2]).draw(random_state=2) != X).any()


def test_each_way_to_name_what_is_logarithmic():
    expected = Box([1, 1, 1], 100, n=16, log=[1]).draw()
    names = ["a", "load", "c"]
    for log in ("load", ["load"], [1], [False, True, False], np.array([False, True, False])):
        np.testing.assert_array_equal(Box([1, 1, 1], 100, n=16, names=names, log=log).draw(), expected)


def test_a_numpy_number_of_rows():
    assert Box([0], [1], n=np.int64(6)).draw().shape == (6, 1)


def test_names_make_a_frame():
    box = Box(0, [1, 2], n=5, names=["angle", "load"])
    assert list(box.draw().columns) == ["angle", "load"]
    pd.testing.assert_frame_equal(box.draw(), box.draw(0))


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"low": [0, 0], "high": [1, -1]}, "low and high of feature 1 has low 0 above high -1"),
        ({"low": [0, 0], "high": [1, 1, 1]}, r"one value for each feature, got shapes \(2,\) and \(3,\)"),
        ({"low": 0, "high": 1}, r"For one feature write Box\(\[0\], \[1\]\)"),
        ({"low": [0], "high": [np.inf]}, "finite"),
        ({"low": [np.nan], "high": [1]}, "NaN"),
        ({"low": ["a"], "high": [1]}, "must be"),
        ({"low": [0], "high": [1], "n": 0}, "n must be a whole number"),
        ({"low": [0], "high": [1], "method": "grid"}, "method must be one of"),
        ({"low": [0], "high": [1], "names": ["a", "b"]}, "names must be 1 texts"),
        ({"low": [0], "high": [1], "log": [0]}, "low must be above 0"),
        ({"low": [1], "high": [2], "log": ["x"]}, "log must hold features"),
    ],
)
def test_what_is_refused(params, text):
    with pytest.raises(ValueError, match=text):
        make_sampler().fit(Box(**params))


@pytest.mark.parametrize("strategy", ["si", "random_codes", "auto", "random"])
def test_a_sampler_is_fitted_to_bounds_alone(strategy):
    seen = []

    def oracle(rows):
        seen.append(rows)
        return simulate(rows)

    box = Box(LOW, HIGH, n=64, names=["a", "b", "c"], log=["c"])
    sampler = make_sampler(strategy=strategy, oracle=FunctionOracle(oracle)).fit(box)
    assert all(isinstance(rows, pd.DataFrame) for rows in seen)
    asked = np.concatenate([rows.to_numpy() for rows in seen])
    assert len(asked) == 30
    assert ((asked >= LOW) & (asked <= HIGH)).all()
    assert sampler.feature_names_in_.tolist() == ["a", "b", "c"]
    assert sampler.predict(box.draw(9)).shape == (64,)


def test_points_may_go_to_the_bounds_of_the_box_where_no_row_is():
    box = Box([0, 0, 0], [1, 1, 1], n=30)
    strategy = InterpolationStrategy(climb="random", step=5.0, n_steps=1)
    made = make_sampler(strategy=strategy).fit(box).X_generated_
    assert made.min() == 0
    assert made.max() == 1
    assert box.draw(4).min() > 0


@pytest.mark.parametrize("random_state", [None, 7])
def test_a_campaign_with_a_ledger_draws_the_same_rows_again(random_state, tmp_path):
    calls = []

    def oracle(rows):
        calls.extend(map(tuple, np.asarray(rows)))
        if len(calls) == 20:
            raise RuntimeError("power cut")
        return simulate(rows)

    box = Box(LOW, HIGH, n=50)
    settings = {"ledger": tmp_path / "box.ledger", "random_state": random_state}
    with pytest.raises(Exception, match="power cut"):
        make_sampler(oracle=FunctionOracle(oracle), **settings).fit(box)
    fitted = make_sampler(oracle=FunctionOracle(oracle), **settings).fit(box)
    assert fitted.n_labels_ == 30
    assert len(set(calls)) == 30  # the ten of the power cut were asked again, under the same ids
    assert fitted.queries_["reused"].sum() == 10


def test_a_saved_campaign_is_loaded_with_the_box(tmp_path):
    box = Box(LOW, HIGH, n=50, method="lhs")
    campaign = Campaign(make_sampler(oracle=None, random_state=np.random.RandomState(3)), box)
    batch = campaign.ask()
    campaign.save(tmp_path / "campaign")
    loaded = Campaign.load(tmp_path / "campaign", box)
    np.testing.assert_array_equal(loaded.pending.X, batch.X)
    loaded.tell(batch.ids, simulate(batch.X))
    assert len(loaded.ask()) == 10
    with pytest.raises(ValueError, match="X is not the pool"):
        Campaign.load(tmp_path / "campaign", Box(LOW, HIGH, n=49, method="lhs"))


def test_labels_belong_to_rows_that_are_drawn_first():
    box = Box(LOW, HIGH, n=50)
    for given in ({"y": np.zeros(50)}, {"labeled": np.zeros(50, dtype=bool)}):
        with pytest.raises(ValueError, match=r"Draw them first, X = box.draw\(0\)"):
            Campaign(make_sampler(), box, **given)
    X = box.draw(0)
    assert make_sampler(oracle=None, strategy="random").fit(X, simulate(X)).n_labels_ == 30
