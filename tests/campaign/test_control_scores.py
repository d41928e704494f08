"""Scores on control rows, of networks that have not seen them."""

import numpy as np
import pandas as pd
import pytest

from skalss import Campaign
from skalss.campaign.models import Models
from skalss.campaign.scoring import accuracy_interval
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import FunctionOracle

from .control_rows import Y_REG, control_of, make_sampler
from .digits import DIGITS, DIGITS_Y, X_TEST, X, Y, drive


def test_each_network_is_scored_on_what_it_has_not_seen():
    campaign = Campaign(make_sampler(), X, Y)
    networks = {}
    for batch in campaign.rounds():
        networks[batch.round + 1] = campaign.network()
    history = campaign.finish().history_.set_index("round")
    queries = campaign.queries
    assert np.isnan(history.loc[[0, 1], "control_score"]).all()
    assert np.isnan(history.loc[[0, 4], "asked_score"]).all()
    assert history["n_control"].tolist() == [0, 0, 5, 10, 15]
    for round_ in (2, 3, 4):
        rows = queries[queries["control"] & (queries["round"] < round_)]["position"]
        right = networks[round_].predict(X[rows]) == Y[rows]
        line = history.loc[round_]
        assert line["control_score"] == pytest.approx(right.mean())
        low, high = accuracy_interval(right.sum(), len(right))
        assert (line["control_low"], line["control_high"]) == pytest.approx((low, high))
    for round_ in (1, 2, 3):  # by the network that chose them
        rows = queries[~queries["control"] & (queries["round"] == round_)]["position"]
        assert history.loc[round_, "asked_score"] == pytest.approx(networks[round_].score(X[rows], Y[rows]))


@pytest.mark.parametrize("held_out", [True, False])
def test_the_score_is_right_on_average(held_out, monkeypatch):
    """Over seeds, that of random rows nobody trained on; it would not be if the labels were trained on."""
    if not held_out:
        as_it_is = Models.network
        monkeypatch.setattr(
            Models, "network", lambda self: self.final() if self.records.held_out() else as_it_is(self)
        )
    pool, y, errors = DIGITS[:600], DIGITS_Y[:600], []
    for seed in range(12):
        sampler = make_sampler(net_classifier(max_epochs=12), strategy="margin", random_state=seed)
        campaign = Campaign(sampler.set_params(n_initial=30, n_per_round=30, max_labels=60), pool, y).run()
        network = campaign.network()
        rest = np.setdiff1d(np.arange(600), campaign.records.positions())
        campaign.finish()
        errors.append(campaign.history["control_score"].iloc[-1] - network.score(pool[rest], y[rest]))
    is_biased = np.mean(errors) > 0.08
    assert is_biased == (not held_out)
    if held_out:
        assert abs(np.mean(errors)) < 3 * np.std(errors, ddof=1) / np.sqrt(len(errors))


def test_regression():
    campaign = Campaign(make_sampler(net_regressor(max_epochs=30)), X, Y_REG).run()
    network, history = campaign.network(), campaign.finish().history_
    rows = control_of(campaign)["position"]
    last = history.iloc[-1]
    assert last["control_score"] == pytest.approx(network.score(X[rows], Y_REG[rows]))
    assert last["control_low"] < last["control_score"] < last["control_high"]
    assert history["asked_score"].iloc[1:4].notna().all()
    again = make_sampler(net_regressor(max_epochs=30)).fit(X, Y_REG).history_
    columns = [c for c in history if not c.endswith("_seconds")]
    pd.testing.assert_frame_equal(history[columns], again[columns])


def test_fewer_than_two_control_rows_have_no_score():
    history = make_sampler(control_share=0.1, max_labels=30).fit(X, Y).history_
    assert history["n_control"].tolist() == [0, 0, 1, 2]
    assert history["control_score"].notna().tolist() == [False, False, False, True]


@pytest.mark.parametrize("warm_start", [False, True])
def test_finish_in_mid_campaign_changes_nothing(warm_start):
    params = {"warm_start": warm_start}
    expected = drive(Campaign(make_sampler(**params), X))
    campaign = Campaign(make_sampler(**params), X)
    while len(batch := campaign.ask()):
        campaign.tell(batch.ids[::2], Y[batch.ids[::2]])
        campaign.finish()
        campaign.tell(batch.ids[1::2], Y[batch.ids[1::2]])
        early = campaign.finish()
        assert early.n_labels_ == len(early.labeled_indices_) == len(campaign.queries)
    fitted = campaign.finish()
    pd.testing.assert_frame_equal(fitted.queries_, expected.queries_)
    np.testing.assert_array_equal(fitted.predict_proba(X_TEST), expected.predict_proba(X_TEST))
    columns = ["round", "n_labels", "n_asked", "n_control"]
    columns += ["control_score", "control_low", "control_high", "asked_score"]
    asked = fitted.history_[fitted.history_["n_labels"] % 10 == 0]
    pd.testing.assert_frame_equal(asked[columns].reset_index(drop=True), expected.history_[columns])


@pytest.mark.parametrize("cut", range(3))
@pytest.mark.parametrize("strategy", ["margin", "random"])
def test_through_a_file_in_the_middle_of_a_round(strategy, cut, tmp_path):
    expected = drive(Campaign(make_sampler(strategy=strategy), X))
    campaign = Campaign(make_sampler(strategy=strategy), X)
    while len(batch := campaign.ask()):
        for i, piece in enumerate(np.array_split(batch.ids, 3)):
            if i == cut:
                campaign.save(tmp_path / "c")
                campaign = Campaign.load(tmp_path / "c", X)
            campaign.tell(piece, Y[piece])
    fitted = campaign.finish()
    pd.testing.assert_frame_equal(fitted.queries_, expected.queries_)
    columns = [c for c in expected.history_ if not c.endswith("_seconds")]
    pd.testing.assert_frame_equal(fitted.history_[columns], expected.history_[columns])
    np.testing.assert_array_equal(fitted.predict_proba(X_TEST), expected.predict_proba(X_TEST))


def test_generated_points_and_control_rows():
    def brightness(rows):
        return (np.asarray(rows)[:, :32].mean(axis=1) > 4.8).astype(int)

    sampler = make_sampler(strategy="si", oracle=FunctionOracle(brightness), classes=[0, 1])
    campaign = Campaign(sampler, X).run()
    fitted = campaign.finish()
    assert fitted.X_generated_.shape == (15, 64)
    assert len(fitted.labeled_indices_) == 25
    assert set(control_of(campaign)["kind"]) == {"pool"}
    assert len(control_of(campaign)) == 15
    np.testing.assert_array_equal(fitted.y_generated_, brightness(fitted.X_generated_))
    assert fitted.history_["control_score"].iloc[2:].notna().all()
    assert fitted.history_["asked_score"].iloc[1:4].notna().all()
    # The pool may end before the budget does: then there is no control row to draw.
    small = make_sampler(strategy="si", oracle=FunctionOracle(brightness), classes=[0, 1]).fit(X[:15])
    assert (small.n_labels_, len(small.labeled_indices_), small.queries_["control"].sum()) == (40, 15, 5)


def test_the_recall_of_each_class():
    names = np.array([f"digit {i}" for i in range(10)])
    campaign = Campaign(make_sampler(control_share=0.4, max_labels=60, classes=None), X, names[Y])
    networks = {}
    for batch in campaign.rounds():
        networks[batch.round + 1] = campaign.network()
    fitted = campaign.finish()
    found, queries = fitted.control_scores_, fitted.queries_
    pd.testing.assert_frame_equal(campaign.control_scores, found)
    scored = fitted.history_.dropna(subset="control_score")
    assert found["round"].unique().tolist() == scored["round"].tolist()
    for _, line in scored.iterrows():
        part = found[found["round"] == line["round"]]
        assert part["n_control"].sum() == line["n_control"]
        share = (part["recall"] * part["n_control"]).sum() / line["n_control"]
        assert share == pytest.approx(line["control_score"])
    for _, line in found.iterrows():
        asked = queries[queries["control"] & (queries["round"] < line["round"])]
        rows = asked[asked["label"] == line["label"]]["position"].to_numpy()
        right = networks[line["round"]].predict(X[rows]) == line["label"]
        assert (line["n_control"], line["recall"]) == (len(rows), pytest.approx(right.mean()))
        bounds = accuracy_interval(right.sum(), len(right))
        assert (line["recall_low"], line["recall_high"]) == pytest.approx(bounds)


def test_values_and_campaigns_without_control_rows_have_no_classes_to_score():
    for sampler, y in (
        (make_sampler(net_regressor(max_epochs=2)), Y_REG),
        (make_sampler(control_share=0.0), Y),
    ):
        found = sampler.fit(X, y).control_scores_
        assert found.empty
        assert "recall_low" in found


def test_scores_of_classes_go_through_files(tmp_path):
    sampler = make_sampler(control_share=0.4).fit(X, Y)
    sampler.save(tmp_path / "s")
    loaded = type(sampler).load(tmp_path / "s", make_sampler(control_share=0.4))
    assert len(sampler.control_scores_)
    pd.testing.assert_frame_equal(loaded.control_scores_, sampler.control_scores_)
