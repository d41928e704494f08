"""What a campaign shows of itself: its text, its bars, and errors of what is passed in the wrong place."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from torch.utils.data import TensorDataset
from tqdm.auto import tqdm

from skalss import AdaptiveLatentSampler, Campaign, TaskNet
from skalss.latent import VAE
from skalss.nets import net_classifier
from skalss.strategies import BaseStrategy
from skalss.utils import progress

RNG = np.random.RandomState(5)
X, Y = RNG.randn(90, 6), np.arange(90) % 3


def sampler(estimator=None, **params):
    return AdaptiveLatentSampler(
        net_classifier(max_epochs=3) if estimator is None else estimator,
        **{
            "strategy": "margin",
            "n_initial": 12,
            "n_per_round": 9,
            "max_labels": 30,
            "random_state": 0,
            **params,
        },
    )


def test_a_campaign_says_where_it_is():
    campaign = Campaign(sampler(classes=[0, 1, 2]), X)
    assert repr(campaign) == "Campaign(round 0, 0 of 30 labels, 0 pending)"
    batch = campaign.ask()
    campaign.tell(batch.ids[:5], Y[batch.ids[:5]])
    assert repr(campaign) == "Campaign(round 1, 5 of 30 labels, 7 pending)"
    done = Campaign(sampler(), X, Y).run()
    assert repr(done) == "Campaign(round 3, 30 of 30 labels, 0 pending, stopped: max_labels)"


def test_a_batch_says_what_it_holds_without_its_rows():
    batch = Campaign(sampler(n_initial=7), X, Y).ask()
    shown = ", ".join(str(id_) for id_ in batch.ids[:5])
    assert str(batch) == f"Batch(round 0, 7 rows of shape (6,), ids [{shown}, ...])"
    texts = np.array([f"note {i}" for i in range(90)])
    assert "ids ['note " in repr(Campaign(sampler(n_initial=2), X, Y, sample_id=texts).ask())


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("params", "bars"),
    [
        (
            {"strategy": "auto", "latent_model": VAE(2, max_epochs=2)},
            ["VAE", "encode rows", "train on", "look"],
        ),
        ({"strategy": "committee"}, ["train a committee", "train on 12 rows"]),
        ({"estimator": RandomForestClassifier(3)}, ["train RandomForestClassifier on 12 rows"]),
    ],
    ids=["default", "committee", "forest"],
)
def test_every_long_pass_has_a_bar(params, bars, capsys):
    quiet = Campaign(sampler(**params), X, Y)
    batch = quiet.ask()
    quiet.tell(batch.ids, Y[batch.ids])
    quiet.ask()
    assert capsys.readouterr().err == ""
    shown = Campaign(sampler(verbose=1, **params), X, Y)
    batch = shown.ask()  # outside of run, too
    shown.tell(batch.ids, Y[batch.ids])
    shown.ask()
    err = capsys.readouterr().err
    assert all(bar in err for bar in bars), err


@pytest.mark.usefixtures("at_once")
def test_bars_change_nothing_and_stay_with_who_asked_for_them(capsys):
    loud = sampler(verbose=1).fit(X, Y)
    assert "labels: 100%" in capsys.readouterr().err
    quiet = sampler().fit(X, Y)
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(loud.predict_proba(X), quiet.predict_proba(X))
    assert [name for name, _ in loud.estimator_.net_.callbacks_] == [
        name for name, _ in quiet.estimator_.net_.callbacks_
    ]


@pytest.mark.parametrize(
    "wrong",
    [None, "auto", PCA(2), AdaptiveLatentSampler, make_pipeline(PCA(2), AdaptiveLatentSampler())],
    ids=str,
)
def test_what_no_campaign_can_be_made_of(wrong):
    with pytest.raises(TypeError, match="Campaign takes an AdaptiveLatentSampler.*, got"):
        Campaign(wrong, X)


@pytest.mark.parametrize(
    "y",
    [
        np.where(Y == 1, np.nan, Y.astype(float)),
        [None if label == 1 else "ab"[label // 2] for label in Y],
        pd.Series(np.where(Y == 1, None, Y), dtype="Int64"),
        pd.Series(np.where(Y == 1, None, "a"), dtype="string"),
        pd.Categorical.from_codes(np.where(Y == 1, -1, 0), ["a"]),
    ],
    ids=["floats", "list", "nullable numbers", "nullable text", "categories"],
)
def test_holes_in_an_answer_key_are_one_error_whatever_its_dtype(y):
    with pytest.raises(ValueError, match=r"30 of 90 are missing.*set oracle=.*labeled=.*Campaign\(sampler"):
        sampler().fit(X, y)
    # For a campaign they are rows to ask for; the others are known.
    campaign = Campaign(sampler(), X, y)
    assert len(campaign.pool.given) == 60
    assert set(campaign.ask().ids) <= set(np.flatnonzero(Y == 1))


class Bare(BaseStrategy):
    def __init__(self, kind=list):
        self.kind = kind

    def query(self, snapshot, n):
        return self.kind(snapshot.unlabeled[:n])


def test_bare_positions_are_candidates():
    assert sampler(strategy=Bare(np.asarray)).fit(X, Y).n_labels_ == 30
    assert sampler(strategy=Bare(list)).fit(X, Y).n_labels_ == 30


@pytest.mark.parametrize("kind", [lambda rows: None, lambda rows: rows / 2, set, lambda rows: rows[:, None]])
def test_what_are_no_candidates(kind):
    with pytest.raises(TypeError, match="must return Candidates"):
        sampler(strategy=Bare(kind)).fit(X, Y)


@pytest.mark.parametrize(
    "fit", [TaskNet().fit, VAE(2).fit, AdaptiveLatentSampler().fit], ids=["net", "vae", "all"]
)
def test_a_data_set_is_no_array(fit):
    with pytest.raises(TypeError, match="got the data set TensorDataset. Put its rows"):
        fit(TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)), Y)


@pytest.mark.parametrize(
    ("shape", "dtype", "warned"),
    [
        ((12, 9, 7, 3), np.uint8, True),
        ((12, 8, 8, 3), np.float64, True),
        ((12, 8, 8, 1), np.uint8, True),
        ((12, 3, 8, 8), np.uint8, False),
        ((12, 6, 9, 3), np.float64, False),
        ((12, 3, 3, 3), np.uint8, False),
    ],
)
def test_images_with_their_channels_last_are_recognised(shape, dtype, warned, recwarn):
    images = RNG.randint(0, 255, shape).astype(dtype)
    TaskNet(net_classifier(max_epochs=1)).fit(images, Y[:12])
    Campaign(sampler(n_initial=6, strategy="random"), images, Y[:12])
    found = [w for w in recwarn if "np.moveaxis(X, -1, 1)" in str(w.message)]
    assert len(found) == 2 * warned
    assert all(w.filename == __file__ for w in found)


def test_quiet_work_never_waits_for_the_lock_of_tqdm():
    """A forked process may find it locked for ever, by a thread that was not forked with it."""
    worker = threading.Thread(target=lambda: sampler(strategy="auto").fit(X, Y), daemon=True)
    with tqdm.get_lock():
        worker.start()
        worker.join(60)
        assert not worker.is_alive()
