"""compare_strategies: its table, paired arms, several at a time, more metrics."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from scipy import stats
from sklearn.frozen import FrozenEstimator

from skalss.latent import LinearLatent
from skalss.strategies import UncertaintyStrategy

from .comparing import SECONDS, TEST, X, Y, compare, make_sampler, without_seconds


@pytest.fixture(scope="module")
def results():
    return compare({"margin": "margin", "clusters": {"strategy": "margin", "initial": "kmeans"}})


def rows_asked(campaigns):
    """Return the positions asked in each campaign, keyed by strategy and seed."""
    return {(c.sampler.strategy, c.sampler.random_state): c.queries["position"].to_numpy() for c in campaigns}


# -- the table ------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_arm_seed_and_round(results):
    assert results.columns.tolist() == (
        ["arm", "seed", "settings", "round", "n_labels", "n_queries", "score", "network_rows"]
        + [*SECONDS, "class_balance"]
    )
    expected = [
        (arm, seed, round_)
        for arm in ("random", "margin", "clusters")
        for seed in (0, 1)
        for round_ in range(3)
    ]
    assert list(zip(results["arm"], results["seed"], results["round"], strict=True)) == expected
    assert results["n_labels"].tolist() == [10, 20, 30] * 6
    assert results["n_queries"].tolist() == results["n_labels"].tolist()
    assert results["score"].between(0, 1).all()
    assert results["class_balance"].between(0, 1).all()
    assert results.groupby("arm")["settings"].nunique().eq(1).all()
    assert results["settings"].nunique() == 3
    assert results.attrs["metric_name"] == "accuracy"


def test_columns_are_numbers(results):
    assert results[["seed", "round", "n_labels", "n_queries", "network_rows"]].dtypes.eq("int64").all()
    assert results[["score", *SECONDS, "class_balance"]].dtypes.eq("float64").all()


def test_network_rows_are_those_passed_to_choose(results):
    rows = results.groupby(["arm", "seed"])["network_rows"].agg(list)
    assert rows["random", 0] == [0, 0, 0]
    assert rows["margin", 1] == [0, 190, 180]


def test_class_balance_is_the_entropy_of_the_classes_bought(campaigns):
    table = compare([], seeds=1)
    bought = Y[rows_asked(campaigns)["random", 0]]
    expected = [stats.entropy(np.bincount(bought[:n])) / np.log(10) for n in (10, 20, 30)]
    np.testing.assert_allclose(table["class_balance"], expected, atol=1e-4)


def test_the_scores_are_those_of_the_campaign_of_that_seed(results):
    sampler = make_sampler(strategy="margin", initial="random", pseudo_labels=None, random_state=1)
    fitted = sampler.fit(X, Y, X_val=TEST["X_test"], y_val=TEST["y_test"])
    curve = results[(results["arm"] == "margin") & (results["seed"] == 1)]["score"]
    np.testing.assert_allclose(curve, fitted.history_["val_score"].dropna(), atol=1e-5)


def test_seconds_hold_what_a_committee_trains_before_it_asks(campaigns):
    table = compare(["committee"], seeds=1)
    for arm, of_arm in zip(("random", "committee"), campaigns, strict=True):
        spent = table[table["arm"] == arm][SECONDS].sum()
        np.testing.assert_allclose(spent, of_arm.history[SECONDS].sum(), atol=0.005)


# -- pairing --------------------------------------------------------------------------------------


def test_arms_that_start_alike_share_their_first_rows(campaigns):
    table = compare(["margin", "mms"])
    asked = rows_asked(campaigns)
    for seed in (0, 1):
        first = asked["random", seed][:10]
        assert (asked["margin", seed][:10] == first).all()
        assert (asked["mms", seed][:10] == first).all()
        assert (asked["margin", seed][10:] != asked["random", seed][10:]).any()
    assert (asked["random", 0][:10] != asked["random", 1][:10]).any()
    starts = table[table["round"] == 0].pivot(index="seed", columns="arm", values="score")
    assert (starts["margin"] == starts["random"]).all()


def test_the_control_of_a_seed_is_the_same_beside_other_arms(results):
    again = compare(["entropy"], seeds=[1])
    expected = results[(results["arm"] == "random") & (results["seed"] == 1)]
    pd.testing.assert_frame_equal(
        without_seconds(again[again["arm"] == "random"]), without_seconds(expected).reset_index(drop=True)
    )


def test_two_arms_with_the_same_settings_are_the_same(campaigns):
    table = compare({"one": "auto", "other": {"strategy": "auto"}}, seeds=1)
    _, first, second = (campaign.queries["position"] for campaign in campaigns)
    np.testing.assert_array_equal(first, second)
    one, other = (without_seconds(table[table["arm"] == arm]).drop(columns="arm") for arm in ("one", "other"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


def test_the_control_is_plain_whatever_the_sampler_does(results):
    plain = compare([], make_sampler(strategy="auto", initial="kmeans", pseudo_labels="spread"))
    columns = ["seed", "round", "n_labels", "score", "class_balance"]
    pd.testing.assert_frame_equal(
        plain[columns], results[results["arm"] == "random"][columns].reset_index(drop=True)
    )


def test_the_latent_model_is_fitted_once_and_alike(monkeypatch):
    fits, fit = [], LinearLatent.fit

    def counted(self, X, y=None):
        fits.append((self.random_state, self.n_components))
        return fit(self, X, y)

    monkeypatch.setattr(LinearLatent, "fit", counted)
    own = {"own": {"strategy": "kmeans", "initial": "kmeans", "latent_model__n_components": 2}}
    compare({"auto": "auto", "kmeans": "kmeans", **own}, seeds=1)
    assert fits[0] == (0, 4)  # seeded, so that a call repeated fits the same
    assert [n for _, n in fits[1:]] == [2]


def test_a_frozen_latent_model_is_not_fitted_again(monkeypatch):
    frozen = FrozenEstimator(LinearLatent(4).fit(X))
    monkeypatch.setattr(LinearLatent, "fit", lambda *_: pytest.fail("fitted again"))
    compare(["kmeans"], make_sampler(latent_model=frozen), seeds=1)


def test_the_sampler_and_the_arms_are_left_as_they_were():
    sampler, arms = make_sampler(), {"own": {"strategy": UncertaintyStrategy("entropy")}}
    before, expected = {**sampler.get_params(deep=False)}, copy.deepcopy(arms)
    compare(arms, sampler, seeds=1)
    assert sampler.get_params(deep=False) == before
    assert str(arms) == str(expected)
    assert not hasattr(sampler, "queries_")


def test_test_rows_are_in_no_fit():
    """Whatever they are, every network says the same of the pool."""
    metrics = {"of_pool": lambda network, *_: 1e3 * network.predict_proba(X).std()}
    tests = (X[:50] + 0.01, Y[:50]), (2 * X[50:90], np.roll(Y[:40], 1))
    one, other = (
        compare(["auto"], seeds=1, X_test=rows, y_test=labels, metrics=metrics) for rows, labels in tests
    )
    assert one["of_pool"].tolist() == other["of_pool"].tolist()
    assert one["of_pool"].nunique() > 3


# -- several at a time ----------------------------------------------------------------------------


@pytest.mark.slow  # two processes that import torch
def test_two_at_a_time_give_the_same(results, tmp_path):
    arms = {"margin": "margin", "clusters": {"strategy": "margin", "initial": "kmeans"}}
    assert torch.get_num_threads() == 1
    with parallel_config("loky", inner_max_num_threads=1):
        together = compare(arms, n_jobs=2, csv=tmp_path / "runs.csv")
    pd.testing.assert_frame_equal(without_seconds(together), without_seconds(results))
    kept = compare(arms, csv=tmp_path / "runs.csv")
    pd.testing.assert_frame_equal(kept, together)


# -- more metrics ---------------------------------------------------------------------------------


def test_metrics_are_columns(tmp_path):
    metrics = {"balanced": "balanced_accuracy", "n_test": lambda network, X, y: len(y)}
    table = compare(["margin"], seeds=1, metrics=metrics, csv=tmp_path / "runs.csv")
    assert table.columns.tolist()[-2:] == ["balanced", "n_test"]
    assert (table["n_test"] == len(TEST["y_test"])).all()
    assert table["balanced"].between(0, 1).all()
    again = compare(["margin"], seeds=1, metrics=metrics, csv=tmp_path / "runs.csv")
    pd.testing.assert_frame_equal(table, again)


def test_a_file_with_other_metrics_is_refused(tmp_path):
    csv = tmp_path / "runs.csv"
    compare(["margin"], seeds=1, csv=csv)
    with pytest.raises(ValueError, match=r"holds runs with the metrics \[\], got \['recall'\]"):
        compare(["margin"], seeds=1, csv=csv, metrics={"recall": "recall_macro"})


@pytest.mark.parametrize("name", ["score", "round", "fit_seconds"])
def test_a_metric_named_like_a_column_is_refused(name):
    with pytest.raises(ValueError, match=rf"metrics must not be named \['{name}'\]"):
        compare(["margin"], seeds=1, metrics={name: "accuracy"})
