"""Batches as the user sees them, and points that a strategy makes."""

import numpy as np
import pandas as pd
import pytest

from skalss import Campaign
from skalss.oracles import FunctionOracle
from skalss.strategies import InterpolationStrategy

from .digits import ONE_STEP, X, Y, answer, make_sampler, regressor
from .generated import brightness, si_sampler


def test_a_batch_shows_what_is_asked():
    campaign = Campaign(make_sampler(strategy="snn"), X)
    first = campaign.ask()
    assert len(first) == 10
    assert first.round == 0
    assert first.codes is None  # nobody needed codes yet
    assert np.isnan(first.scores).all()
    np.testing.assert_array_equal(first.X, X[first.ids])
    answer(campaign, first)
    second = campaign.ask()
    assert second.round == 1
    assert second.codes.shape == (10, 4)
    assert np.isfinite(second.scores).any()
    assert not set(first.ids) & set(second.ids)


def test_a_batch_as_a_table_to_fill_in():
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)], index=np.arange(120) + 1000)
    campaign = Campaign(make_sampler(strategy="random"), frame, sample_id=[f"scan-{i}" for i in range(120)])
    batch = campaign.ask()
    pd.testing.assert_frame_equal(batch.X, frame.iloc[[int(i.split("-")[1]) for i in batch.ids]])
    table = batch.to_frame()
    assert table.columns.tolist() == ["id", "round", "score", *frame.columns, "label"]
    np.testing.assert_array_equal(table["pixel10"], batch.X["pixel10"])
    assert table["label"].isna().all()
    table["label"] = [Y[int(i.split("-")[1])] for i in table["id"]]
    campaign.tell(table["id"], table["label"])
    assert len(campaign.pending) == 0


def test_a_table_of_images_leaves_them_out():
    campaign = Campaign(make_sampler(strategy="random"), X.reshape(-1, 1, 8, 8))
    batch = campaign.ask()
    assert batch.X.shape == (10, 1, 8, 8)
    assert batch.to_frame().columns.tolist() == ["id", "round", "score", "label"]


def test_columns_with_the_names_of_ours():
    frame = pd.DataFrame(X[:, :4], columns=["id", "label", "c", "State"])
    asked = Campaign(make_sampler(), frame).ask().to_frame()
    features = ["feature_id", "feature_label", "c", "feature_State"]
    assert asked.columns.tolist() == ["id", "round", "score", *features, "label"]
    assert asked["label"].isna().all()


# -- points that are not in the pool ---------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["si", InterpolationStrategy(**ONE_STEP)], ids=["ours", "published"])
@pytest.mark.parametrize("shape", [(64,), (1, 8, 8)], ids=str)
def test_generated_points_are_kept(strategy, shape):
    pool = X.reshape(120, *shape)
    sampler = si_sampler(strategy=strategy).fit(pool)
    assert sampler.X_generated_.shape == (20, *shape)
    assert sampler.y_generated_.shape == (20,)
    np.testing.assert_array_equal(sampler.y_generated_, brightness(sampler.X_generated_))
    assert len(sampler.labeled_indices_) == 10
    assert (sampler.n_labels_, sampler.n_queries_, sampler.stop_reason_) == (30, 30, "max_labels")
    made = sampler.queries_.query("kind == 'generated'")
    assert made["id"].str.fullmatch("generated-[0-9a-f]{12}").all()
    assert made["id"].is_unique
    assert (made["position"] == -1).all()
    assert sampler.queries_["kind"].tolist() == ["pool"] * 10 + ["generated"] * 20
    assert len(np.unique(sampler.X_generated_.reshape(20, -1), axis=0)) == 20


def test_a_batch_of_generated_points_has_decoded_rows():
    campaign = Campaign(si_sampler(), X)
    batch = campaign.ask()
    campaign.tell(batch.ids, brightness(batch.X))
    batch = campaign.ask()
    first = set(batch.ids)
    assert len(first) == 10
    latent = campaign.models.latent().model
    decoded = latent.inverse_transform(batch.codes)
    np.testing.assert_allclose(decoded, batch.X, atol=2)  # a few were moved into the range of the pool
    inside = ((decoded > X.min(axis=0) + 0.1) & (decoded < X.max(axis=0) - 0.1)).all(axis=1)
    np.testing.assert_allclose(batch.X[inside], decoded[inside], rtol=1e-5, atol=1e-4)
    campaign.tell(batch.ids[::-1], brightness(batch.X[::-1]))
    again = si_sampler(oracle=None)
    other = Campaign(again, X)
    start = other.ask()
    other.tell(start.ids, brightness(start.X))
    np.testing.assert_array_equal(other.ask().ids, batch.ids)  # the same points have the same ids
    assert not set(campaign.ask().ids) & first


def test_the_oracle_gets_the_users_kind_of_rows():
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    kinds = []

    def function(rows):
        kinds.append((type(rows), list(rows.columns)))
        return brightness(rows)

    si_sampler(oracle=FunctionOracle(function)).fit(frame)
    assert kinds == [(pd.DataFrame, list(frame.columns))] * 3


def test_generated_points_do_not_exhaust_the_pool():
    sampler = si_sampler(max_labels=50).fit(X[:15])
    assert (sampler.n_labels_, sampler.stop_reason_) == (50, "max_labels")


def test_a_regression_campaign_with_generated_points():
    oracle = FunctionOracle(lambda rows: rows[:, 20] * 2)
    sampler = regressor(strategy="si", oracle=oracle).fit(X)
    assert sampler.X_generated_.shape == (20, 64)
    np.testing.assert_allclose(sampler.y_generated_, sampler.X_generated_[:, 20] * 2, rtol=1e-5)
