"""A campaign with a ledger goes on where it was stopped."""

import pickle

import numpy as np
import pytest

from skalss import Campaign, Ledger, LedgerError, LedgerMismatchError, MaxFailures, PredictionsAgree
from skalss.nets import net_regressor
from skalss.oracles import AnswerKey, FunctionOracle
from skalss.strategies import NearestNeighborStrategy

from .digits import X, Y
from .generated import brightness
from .ledgers import Counting, Stop, answer_all, assert_same, make_sampler, weights

RESUMED = {
    "auto": {},
    "snn": {"strategy": "snn"},
    "published snn": {
        "strategy": NearestNeighborStrategy(step=1.0, n_steps=1),
        "train_on": "decoded",
        "warm_start": True,
    },
    "random": {"strategy": "random"},
    "control rows": {"strategy": "mms", "control_share": 0.3, "stop": PredictionsAgree(1.0)},
}


@pytest.mark.parametrize("params", RESUMED.values(), ids=RESUMED)
def test_a_stopped_fit_goes_on_as_if_nothing_had_happened(params, path):
    whole = Counting()
    expected = make_sampler(oracle=whole, **params).fit(X)
    asked = []
    for stop_after in (3, 9, 0, 14, 1):
        oracle = Counting(stop_after)
        with pytest.raises(Stop):
            make_sampler(path, oracle=oracle, **params).fit(X)
        asked += oracle.asked
    last = Counting()
    resumed = make_sampler(path, oracle=last, **params).fit(X)
    assert_same(resumed, expected)
    assert asked + last.asked == whole.asked  # each once, in the same order
    assert resumed.queries_["reused"].sum() == len(asked)
    again = Counting()
    assert_same(make_sampler(path, oracle=again, **params).fit(X), expected)
    assert again.asked == []


def test_a_ledger_changes_nothing(path):
    assert_same(make_sampler(path, oracle=Counting()).fit(X), make_sampler(oracle=Counting()).fit(X))


def test_failures_are_replayed_and_asked_again_as_before(path):
    """With a pool so small that failed rows come twice."""

    def fit(ledger, oracle):
        return make_sampler(
            ledger, oracle=oracle, strategy="random", max_labels=100, stop=MaxFailures(9)
        ).fit(X[:60])

    whole = Counting()
    with pytest.warns(UserWarning, match="Stopped after 1. failed answers"):
        expected = fit(None, whole)
    assert (expected.queries_["state"] == "failed").sum() > 9
    assert expected.queries_["id"].duplicated().sum() > 4  # failed rows, asked again
    asked = []
    for stop_after in (20, 25, 17):
        oracle = Counting(stop_after)
        if len(asked) + stop_after < len(whole.asked):
            with pytest.raises(Stop):
                fit(path, oracle)
        else:
            with pytest.warns(UserWarning, match="Stopped after 1. failed answers"):
                assert_same(fit(path, oracle), expected)
        asked += oracle.asked
    last = Counting()
    with pytest.warns(UserWarning, match="Stopped after 1. failed answers"):
        assert_same(fit(path, last), expected)
    assert asked + last.asked == whole.asked


def test_a_regression_resumes(path):
    def value(row):
        return float(row[20]) + 0.5

    def fit(ledger, function):
        oracle = FunctionOracle(function, per_row=True)
        return make_sampler(ledger, net_regressor(max_epochs=3), oracle=oracle, strategy="snn").fit(X)

    calls = []

    def dies(row):
        if len(calls) == 23:
            raise Stop
        calls.append(1)
        return value(row)

    with pytest.raises(Stop):
        fit(path, dies)
    assert_same(fit(path, value), fit(None, value))
    assert set(Ledger(path).to_frame()["label"].map(type)) == {float}


def test_generated_points_resume_with_code_and_row(path):
    n_bought = []

    def fit(ledger, stop_after=None):
        n_bought.append(0)

        def function(row):
            if n_bought[-1] == stop_after:
                raise Stop
            n_bought[-1] += 1
            return brightness(row[None])[0]

        oracle = FunctionOracle(function, per_row=True)
        return make_sampler(ledger, strategy="si", classes=[0, 1], oracle=oracle).fit(X)

    expected = fit(None)
    with pytest.raises(Stop):
        fit(path, 24)
    resumed = fit(path)
    assert_same(resumed, expected)
    np.testing.assert_array_equal(resumed.X_generated_, expected.X_generated_)
    assert n_bought[1:] == [24, 16]
    made = Ledger(path).to_frame().query("kind == 'generated'")
    np.testing.assert_array_equal(np.stack(made["row"]), expected.X_generated_)
    assert np.stack(made["code"]).shape == (30, 4)
    assert made["id"].tolist() == expected.queries_["id"].tolist()[10:]


def test_without_a_random_state_the_seed_is_that_of_the_last_campaign(path):
    oracle = Counting(stop_after=23)
    with pytest.raises(Stop):
        make_sampler(path, oracle=oracle, random_state=None).fit(X)
    rest = Counting()
    resumed = make_sampler(path, oracle=rest, random_state=None).fit(X)
    assert not set(oracle.asked) & set(rest.asked)
    assert len(oracle.asked + rest.asked) == len(resumed.queries_)
    seeds = set(Ledger(path).to_frame()["seed"])
    assert len(seeds) == 1
    other = make_sampler(path, oracle=Counting(), random_state=None, n_per_round=5).fit(X)
    assert set(Ledger(path).to_frame()["seed"]) > seeds  # other settings, a seed of their own
    assert other.queries_["id"].tolist() != resumed.queries_["id"].tolist()


def test_a_larger_budget_goes_on(path):
    first = make_sampler(path, oracle=Counting(), random_state=None, max_labels=25).fit(X)
    rest = Counting()
    second = make_sampler(path, oracle=rest, random_state=None, max_labels=45).fit(X)
    assert second.queries_["id"].tolist()[: len(first.queries_)] == first.queries_["id"].tolist()
    assert second.n_queries_ == 45
    assert second.queries_["reused"].sum() == len(first.queries_)
    assert not set(rest.asked) & set(first.queries_["id"])


def test_a_smaller_budget_takes_less(path):
    make_sampler(path, oracle=Counting(odd=False)).fit(X)
    small = make_sampler(path, oracle=Counting(stop_after=0), max_labels=15).fit(X)
    assert (small.n_queries_, small.stop_reason_) == (15, "max_labels")


def test_a_correction_is_used_by_the_next_fit_for_the_same_rows(path):
    first = make_sampler(path, oracle=Counting(odd=False)).fit(X)
    id_ = first.queries_["id"][0]
    Ledger(path).answer(id_, int(Y[id_] + 1) % 10, annotator="ann")
    oracle = Counting(stop_after=0)
    second = make_sampler(path, oracle=oracle).fit(X)
    assert second.queries_["id"].tolist() == first.queries_["id"].tolist()
    assert second.queries_["label"][0] == (Y[id_] + 1) % 10
    assert second.queries_["annotator"][0] == "ann"
    assert second.queries_["label"].tolist()[1:] == first.queries_["label"].tolist()[1:]


# -- saved campaigns -------------------------------------------------------------------------------


def test_a_saved_campaign_opens_its_ledger_again(path, tmp_path):
    expected = make_sampler(oracle=Counting()).fit(X)
    campaign = Campaign(make_sampler(path, oracle=Counting()), X)
    batch = campaign.ask()
    campaign.save(tmp_path / "c")
    campaign.close()
    answer_all(path, [i for i in batch.ids[:3].tolist() if i % 11 and i % 13])
    loaded = Campaign.load(tmp_path / "c", X)
    finished = loaded.run().finish()
    assert finished.queries_["id"].tolist() == expected.queries_["id"].tolist()
    for one, other in zip(weights(finished), weights(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    loaded.close()


def test_a_saved_campaign_finds_what_went_on_without_it(path, tmp_path):
    campaign = Campaign(make_sampler(path, oracle=Counting()), X)
    campaign.save(tmp_path / "c")
    done = campaign.run().finish()
    campaign.close()
    loaded = Campaign.load(tmp_path / "c", X)
    assert_same(loaded.run(Counting(stop_after=0)).finish(), done)
    loaded.close()


def test_a_saved_campaign_without_its_ledger(path, tmp_path):
    campaign = Campaign(make_sampler(path), X)
    batch = campaign.ask()
    campaign.save(tmp_path / "c")
    campaign.close()
    path.rename(tmp_path / "moved")
    loaded = Campaign.load(tmp_path / "c", X)
    with pytest.raises(LedgerError, match="There is no ledger at"):
        loaded.tell(batch.ids, Y[batch.ids])
    with Campaign(make_sampler(path, n_initial=9), X):
        pass
    with pytest.raises(LedgerMismatchError, match="is not the ledger that this campaign began with"):
        loaded.tell(batch.ids, Y[batch.ids])
    path.unlink()
    (tmp_path / "moved").rename(path)
    loaded.tell(batch.ids, Y[batch.ids])
    assert Ledger(path).to_frame()["state"].eq("labeled").all()
    loaded.close()


def test_a_fitted_sampler_with_a_ledger_is_pickled(path):
    sampler = make_sampler(Ledger(path), oracle=AnswerKey(Y)).fit(X)
    again = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(again.predict(X), sampler.predict(X))
    assert again.ledger.path == path
