"""Stopping where the predictions of one round's network and the next agree."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import cohen_kappa_score, r2_score

from skalss import AdaptiveLatentSampler, Campaign, PredictionsAgree
from skalss.campaign.agreement import N_ROWS, Agreement
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.targets import Classes

from .digits import X, Y

BLOBS, BLOBS_Y = make_blobs(300, centers=3, cluster_std=0.3, random_state=0)


def make_sampler(net=None, **params):
    defaults = {
        "latent_model": LinearLatent(2),
        "strategy": "random",
        "stop": PredictionsAgree(0.99),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 80,
        "random_state": 0,
    }
    return AdaptiveLatentSampler(net or net_classifier(max_epochs=10), **{**defaults, **params})


def easy(**params):
    return make_sampler(net_classifier(max_epochs=40), n_initial=20, max_labels=200, **params)


@pytest.mark.parametrize("strategy", ["random", "margin"])
def test_an_easy_set_stops_early(strategy):
    sampler = easy(strategy=strategy).fit(BLOBS, BLOBS_Y)
    assert sampler.stop_reason_ == "predictions_agree"
    assert sampler.n_labels_ < 100
    assert sampler.score(BLOBS, BLOBS_Y) > 0.95
    values = sampler.history_["agreement"].to_numpy()
    assert np.isnan(values[:2]).all()  # no network, and no network before it
    means = np.convolve(values[2:], np.ones(3) / 3, mode="valid")
    assert means[-1] >= 0.99
    assert (means[:-1] < 0.99).all()
    assert sampler.history_["n_asked"].iloc[-1] == 0


def test_noise_does_not_stop():
    rng = np.random.default_rng(0)
    sampler = make_sampler(stop=PredictionsAgree(0.9)).fit(rng.normal(size=(120, 8)), rng.integers(0, 2, 120))
    assert sampler.stop_reason_ == "max_labels"
    assert sampler.history_["agreement"].iloc[2:].notna().all()
    assert sampler.history_["agreement"].max() < 0.9


def test_history_has_the_agreement_of_each_network_with_the_last():
    campaign = Campaign(make_sampler(max_labels=40), X, Y)
    predicted = [campaign.network().predict(X) for _ in campaign.rounds()]
    history = campaign.finish().history_
    expected = [cohen_kappa_score(old, new) for old, new in zip(predicted[:-1], predicted[1:], strict=True)]
    np.testing.assert_allclose(history["agreement"], [np.nan, np.nan, *expected])
    assert (history["network_rows"] == 0).all()  # which is for choosing


def test_regression():
    sampler = make_sampler(net_regressor(max_epochs=10), stop=PredictionsAgree(0.7), max_labels=110)
    campaign = Campaign(sampler, X, X[:, 20])
    predicted = [campaign.network().predict(X) for _ in campaign.rounds()]
    history = campaign.finish().history_
    expected = [max(r2_score(old, new), 0) for old, new in zip(predicted[:-1], predicted[1:], strict=True)]
    np.testing.assert_allclose(history["agreement"], [np.nan, np.nan, *expected], rtol=1e-5)
    assert campaign.stop_reason == "predictions_agree"
    assert np.mean(expected[-3:]) >= 0.7


def test_ask_is_empty_once_predictions_agree():
    campaign = Campaign(easy(), BLOBS)
    while len(batch := campaign.ask()):
        assert campaign.stop_reason is None
        campaign.tell(batch.ids, BLOBS_Y[batch.ids])
    assert campaign.stop_reason == "predictions_agree"
    assert len(campaign.ask()) == 0
    told, fitted = campaign.finish(), easy().fit(BLOBS, BLOBS_Y)
    pd.testing.assert_frame_equal(told.queries_, fitted.queries_)


def test_networks_of_as_many_labels_are_not_compared():
    """Rounds of abstentions leave the network as it is, and would agree."""
    campaign = Campaign(easy(), BLOBS)
    batch = campaign.ask()
    campaign.tell(batch.ids, BLOBS_Y[batch.ids])
    for _ in range(5):
        batch = campaign.ask()
        campaign.tell(batch.ids, [None] * len(batch))
    assert campaign.stop_reason is None
    assert campaign.history["agreement"].isna().all()
    assert campaign.parts.judge.agreement.values == []


def test_a_first_set_in_parts_is_not_compared():
    campaign = Campaign(easy(), BLOBS)
    for _ in range(4):
        batch = campaign.ask(5)
        campaign.tell(batch.ids, BLOBS_Y[batch.ids])
    campaign.ask()
    assert campaign.history["agreement"].isna().all()
    assert campaign.parts.judge.agreement.values == []


def test_looking_in_between_changes_nothing():
    expected = easy().fit(BLOBS, BLOBS_Y)
    campaign = Campaign(easy(), BLOBS)
    while len(batch := campaign.ask()):
        for piece in np.array_split(batch.ids, 2):
            campaign.tell(piece, BLOBS_Y[piece])
            campaign.finish()
    pd.testing.assert_frame_equal(campaign.queries, expected.queries_)
    assert campaign.stop_reason == "predictions_agree"


@pytest.mark.parametrize("in_the_middle", [False, True])
def test_through_a_file(in_the_middle, tmp_path):
    expected = easy().fit(BLOBS, BLOBS_Y)
    campaign = Campaign(easy(), BLOBS)
    while len(batch := campaign.ask()):
        if in_the_middle:
            campaign.save(tmp_path / "c")
        else:
            campaign.tell(batch.ids, BLOBS_Y[batch.ids])
            campaign.save(tmp_path / "c")
        campaign = Campaign.load(tmp_path / "c", BLOBS)
        if in_the_middle:
            campaign.tell(batch.ids, BLOBS_Y[batch.ids])
    fitted = campaign.finish()
    columns = [c for c in expected.history_ if not c.endswith("_seconds")]
    pd.testing.assert_frame_equal(fitted.history_[columns], expected.history_[columns])
    assert fitted.stop_reason_ == "predictions_agree"


@pytest.mark.parametrize("strategy", ["random", "margin", "snn"])
def test_a_threshold_out_of_reach_buys_the_same_rows(strategy):
    sampler = make_sampler(strategy=strategy, stop=PredictionsAgree(1.0), max_labels=30)
    watched, plain = sampler.fit(X, Y), make_sampler(strategy=strategy, stop=(), max_labels=30)
    plain.fit(X, Y)
    np.testing.assert_array_equal(watched.labeled_indices_, plain.labeled_indices_)
    np.testing.assert_array_equal(watched.predict_proba(X), plain.predict_proba(X))
    assert plain.history_["agreement"].isna().all()


def test_with_control_rows():
    sampler = easy(control_share=0.3).fit(BLOBS, BLOBS_Y)
    assert sampler.stop_reason_ == "predictions_agree"
    assert sampler.n_labels_ == len(sampler.labeled_indices_)
    assert sampler.history_["control_score"].iloc[-1] > 0.9


def test_the_same_sample_of_a_large_pool_each_time():
    class Network:
        def predict(self, rows):
            seen.append(rows)
            return rows[:, 0]

    class Pool:
        X = np.arange(3 * N_ROWS)[:, None]
        target = Classes()

        def __len__(self):
            return len(self.X)

    seen: list = []
    rule = Agreement(Pool(), seed=0)
    values = []
    for n_seen in (10, 20, 20, 30, 40):
        values.append(rule.look(Network(), n_seen))
        rule.advance()
    assert np.isnan([values[0], values[2]]).all()
    assert values[1] == values[3] == values[4] == 1.0
    assert rule.values == [1.0] * 3
    assert all(len(rows) == N_ROWS for rows in seen)
    assert len(seen) == 4
    for rows in seen:
        np.testing.assert_array_equal(rows, seen[0])
    assert len(np.unique(seen[0])) == N_ROWS
