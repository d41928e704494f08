"""Ledgers that version 0.1.0.dev0 wrote, of campaigns that were killed after 25 of 45 answers."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skalss import AdaptiveLatentSampler, Campaign, Ledger, LedgerMismatchError, MaxRounds, TaskNet
from skalss.latent import LinearLatent
from skalss.nets import net_classifier
from skalss.strategies import UncertaintyStrategy

DATA = Path(__file__).parent / "data"
DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:200], DIGITS_Y[:200]
COMMON = {"n_initial": 15, "n_per_round": 10, "max_labels": 45, "random_state": 0}


def auto(**params):
    """Return what was AdaptiveLatentSampler(net_classifier(max_epochs=3), LinearLatent(4), ...)."""
    return AdaptiveLatentSampler(net_classifier(max_epochs=3), LinearLatent(4), **{**COMMON, **params})


def continued(**params):
    """Return what had continue_training=True, n_rounds=9, device="cpu" and min_epoch_rows=64."""
    settings = {
        "strategy": UncertaintyStrategy("margin", 50),
        "initial": "random",
        "stop": MaxRounds(9),
        "classes": range(10),
        "control_share": 0.1,
    }
    net = TaskNet(net_classifier(max_epochs=3), min_epoch_rows=64, warm_start=True)
    return AdaptiveLatentSampler(net, **{**COMMON, **settings, **params})


@pytest.fixture(params=[auto, continued], ids=lambda make: make.__name__)
def old(request, tmp_path):
    """Return a sampler and a copy of its ledger."""
    name = f"version_0_1_0_dev0_{request.param.__name__}.ledger"
    shutil.copy(DATA / name, tmp_path / "digits.ledger")
    return request.param, tmp_path / "digits.ledger"


def test_the_campaign_goes_on_and_asks_nothing_twice(old):
    make, path = old
    asked = []

    def label(rows):
        positions = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in rows]
        asked.extend(positions)
        return Y[positions].tolist()

    with Ledger(path) as ledger:
        known = ledger.to_frame().query("state == 'labeled'")["id"].tolist()
    assert len(known) == 25
    sampler = make(oracle=label, ledger=path).fit(X)
    assert sampler.stop_reason_ == "max_labels"
    assert len(asked) == len(set(asked)) == 20
    assert not set(asked) & set(known)
    assert sampler.queries_["id"].tolist()[:25] == known
    assert sampler.queries_["reused"].sum() == 25
    with Ledger(path) as ledger:
        assert set(ledger.to_frame()["campaign"]) == {1}


def test_what_was_left_open_is_found(old):
    make, path = old
    with Campaign(make(ledger=path), X) as campaign:
        waiting = campaign.resume()
        assert len(waiting) == 10
        with Ledger(path) as ledger:
            assert waiting.ids.tolist() == ledger.to_frame().query("state == 'pending'")["id"].tolist()


def test_other_settings_are_another_campaign(old):
    make, path = old
    with Campaign(make(ledger=path, n_per_round=11), X) as campaign:
        assert len(campaign.resume()) == 0
        campaign.ask()
    with Ledger(path) as ledger:
        assert set(ledger.to_frame()["campaign"]) == {1, 2}


def test_other_rows_are_refused(old):
    make, path = old
    with pytest.raises(LedgerMismatchError, match="stands for another row"):
        Campaign(make(ledger=path), X[::-1])


def test_the_classes_are_known_from_now_on(old):
    make, path = old
    with Campaign(make(ledger=path, classes=range(10)), X), Ledger(path) as ledger:
        id_ = ledger.to_frame()["id"].iloc[-1]
        with pytest.raises(ValueError, match="outside classes"):
            ledger.answer(id_, 10)
        ledger.answer(id_, 3)
        assert len(ledger.history()) == 26
