"""A campaign saved and loaded."""

import itertools
import pickle
import threading
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

from skalss import (
    Campaign,
    PredictionsAgree,
)
from skalss.oracles import AnswerKey, BaseOracle, FunctionOracle
from skalss.strategies import (
    NearestNeighborStrategy,
)

from .digits import ONE_STEP, X_TEST, Y_TEST, X, Y, answer, assert_same_run, make_sampler, regressor
from .generated import brightness, si_sampler

SAVED = {
    "snn": {},
    "published snn": {
        "strategy": NearestNeighborStrategy(**ONE_STEP),
        "train_on": "decoded",
        "warm_start": True,
    },
    "random": {"strategy": "random"},
    "mms": {"strategy": "mms"},
    "control rows": {"strategy": "mms", "control_share": 0.3, "stop": PredictionsAgree(1.0)},
}


def _play(sampler, cut, path, fit_params):
    """Run three rounds; after `cut` calls the campaign goes through a file."""
    campaign = Campaign(sampler, X, **fit_params)
    calls = itertools.count()

    def reached(campaign):
        if next(calls) != cut:
            return campaign
        campaign.save(path)
        return Campaign.load(path, X)

    campaign = reached(campaign)
    for _ in range(3):
        batch = campaign.ask()
        campaign = reached(campaign)
        answer(campaign, batch, np.arange(4))
        campaign = reached(campaign)
        answer(campaign, batch, np.arange(4, 10))
        campaign = reached(campaign)
    campaign.network()
    campaign = reached(campaign)
    assert next(calls) == 11
    return campaign.finish()


@cache
def _played_at_once(name):
    return _play(make_sampler(**SAVED[name]), None, None, {"X_val": X_TEST, "y_val": Y_TEST})


# Before anything, with a whole batch open, with a part of it open, answered, and later on.
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 5, 10])
@pytest.mark.parametrize("name", SAVED)
def test_a_loaded_campaign_goes_on_as_if_it_had_never_stopped(name, cut, tmp_path):
    fit_params = {"X_val": X_TEST, "y_val": Y_TEST}
    again = _play(make_sampler(**SAVED[name]), cut, tmp_path / "c", fit_params)
    assert_same_run(again, _played_at_once(name))


def test_a_regression_campaign_through_a_file_at_each_round(tmp_path):
    expected = regressor().fit(X, X[:, 20])
    campaign = Campaign(regressor(), X, X[:, 20])
    while len(batch := campaign.ask()):
        campaign.tell(batch.ids, X[batch.ids, 20])
        campaign.save(tmp_path / "c")
        campaign = Campaign.load(tmp_path / "c", X)
    assert_same_run(campaign.finish(), expected)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_campaign_with_generated_points_through_a_file(cut, tmp_path):
    runs = []
    for at in (None, cut):
        campaign = Campaign(si_sampler(oracle=None), X)
        for i in range(3):
            batch = campaign.ask()
            if i + 1 == at:
                campaign.save(tmp_path / "c")
                campaign = Campaign.load(tmp_path / "c", X)
                np.testing.assert_array_equal(campaign.pending.X, batch.X)
            campaign.tell(batch.ids, brightness(batch.X))
        runs.append(campaign.finish())
    assert_same_run(*runs)
    np.testing.assert_array_equal(runs[0].X_generated_, runs[1].X_generated_)


def test_run_goes_on_after_loading(tmp_path):
    expected = Campaign(make_sampler(), X, Y).run().finish()
    campaign = Campaign(make_sampler(), X, Y)
    answer(campaign, campaign.ask(), np.arange(3))
    campaign.save(tmp_path / "c")
    assert_same_run(Campaign.load(tmp_path / "c", X).run().finish(), expected)


@pytest.mark.parametrize(
    "other",
    [X[::-1], X[:-1], X + 1, X.astype(np.float32), X.reshape(120, 1, 8, 8)],
    ids=["order", "length", "content", "dtype", "shape"],
)
def test_another_pool_is_refused(other, tmp_path):
    campaign = Campaign(make_sampler(), X)
    answer(campaign, campaign.ask())
    campaign.save(tmp_path / "c")
    with pytest.raises(
        ValueError, match="X is not the pool this campaign was made with.*same order and dtype"
    ):
        Campaign.load(tmp_path / "c", other)


def test_a_frame_or_a_copy_of_the_pool_is_the_pool(tmp_path):
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(64)])
    campaign = Campaign(make_sampler(), frame)
    campaign.save(tmp_path / "c")
    loaded = Campaign.load(tmp_path / "c", frame.copy())
    assert isinstance(loaded.ask().X, pd.DataFrame)


def test_what_is_no_campaign_is_refused(tmp_path):
    path = tmp_path / "c"
    for content in (b"", b"some text", pickle.dumps([1, 2])):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not a campaign. Pass what Campaign.save wrote"):
            Campaign.load(path, X)
    path.write_bytes(b"skalss campaign, format 99\n")
    with pytest.raises(ValueError, match="format 99, this version reads up to 3. Upgrade skalss"):
        Campaign.load(path, X)
    Campaign(make_sampler(), X).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is cut short or damaged"):
        Campaign.load(path, X)


def test_what_cannot_be_pickled_is_said(tmp_path):
    sampler = make_sampler().set_params(scoring=lambda estimator, X, y: 0.0)
    with pytest.raises(TypeError, match="cannot be pickled.*top level of a file"):
        Campaign(sampler, X).save(tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_a_file_without_the_pool():
    big = np.random.default_rng(0).random((20_000, 64))  # 10 MB
    campaign = Campaign(make_sampler(strategy="random", max_labels=40), big)
    batch = campaign.ask()
    campaign.tell(batch.ids, [0, 1] * 5)
    campaign.network()
    assert len(pickle.dumps(campaign)) < 1_000_000
    assert len(pickle.dumps(campaign)) < big.nbytes / 10


def test_pickling_leaves_the_campaign_working():
    campaign = Campaign(make_sampler(), X)
    answer(campaign, campaign.ask())
    copy = pickle.loads(pickle.dumps(campaign))
    with pytest.raises(ValueError, match="unpickled without its pool. Use Campaign.load"):
        copy.ask()
    assert len(campaign.ask()) == 10


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    campaign = Campaign(make_sampler(), X)
    batch = campaign.ask()
    campaign.save(tmp_path / "c")
    answer(campaign, batch)

    def full(*args):
        raise OSError("disk full")

    for step in ("pickle.dump", "os.fsync", "os.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(step, full)
            with pytest.raises(OSError, match="disk full"):
                campaign.save(tmp_path / "c")
        assert [path.name for path in tmp_path.iterdir()] == ["c"]  # no draft stays behind
    assert len(Campaign.load(tmp_path / "c", X).pending) == 10


def test_an_oracle_that_cannot_be_pickled_is_left_out_with_a_warning(tmp_path):
    class Locked(BaseOracle):
        def __init__(self):
            self.lock = threading.Lock()

        def label(self, X, ids):
            return [(id_, Y[id_]) for id_ in ids]

    expected = make_sampler(oracle=Locked()).fit(X)
    campaign = Campaign(make_sampler(oracle=Locked()), X)
    answer(campaign, campaign.ask())
    with pytest.warns(UserWarning, match="Locked cannot be pickled .*pass it to campaign.run"):
        campaign.save(tmp_path / "c")
    assert campaign.oracle is not None
    loaded = Campaign.load(tmp_path / "c", X)
    with pytest.raises(ValueError, match=r"nobody to ask.*Pass an oracle to run\(\)"):
        loaded.run()
    assert_same_run(loaded.run(Locked()).finish(), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Campaign(make_sampler(oracle=AnswerKey(Y)), X).save(tmp_path / "d")


def test_a_network_trained_on_is_not_lost_with_an_unpicklable_oracle(tmp_path):
    """The weights that warm_start goes on from are in the file too."""
    oracle = FunctionOracle(lambda rows: Y[[int(np.flatnonzero((r == X).all(axis=1))[0]) for r in rows]])
    params = {"warm_start": True, "oracle": oracle}
    expected = make_sampler(**params).fit(X)
    campaign = Campaign(make_sampler(**params), X)
    answer(campaign, campaign.ask())
    answer(campaign, campaign.ask())
    with pytest.warns(UserWarning, match="cannot be pickled"):
        campaign.save(tmp_path / "c")
    assert_same_run(Campaign.load(tmp_path / "c", X).run(oracle).finish(), expected)
