"""What a latent model is fitted to does not grow with the pool: steps of a VAE, rows that are read."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skalss import AdaptiveLatentSampler
from skalss.campaign.identity import identity
from skalss.latent import VAE, ConvVAE, LinearLatent

DIGITS = load_digits().data[:1000].astype(np.float32)

pytestmark = pytest.mark.filterwarnings("ignore:The posterior has collapsed")  # tiny budgets


class Read(np.memmap):
    """A memory map that notes which of its rows are drawn."""

    drawn: list

    def __array_finalize__(self, other):
        super().__array_finalize__(other)
        self.drawn = getattr(other, "drawn", [])

    def __getitem__(self, rows):
        if isinstance(rows, np.ndarray):
            self.drawn.append(rows)
        return np.asarray(self).__getitem__(rows)


@pytest.fixture
def on_disk(tmp_path):
    DIGITS.tofile(tmp_path / "pool.bin")
    return Read(tmp_path / "pool.bin", dtype=np.float32, mode="r", shape=DIGITS.shape)


@pytest.fixture
def steps(monkeypatch):
    """Grow by one with each step: how many there were is told by nothing public."""
    taken = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: taken.append(1) or step(self))
    return taken


def make_vae(**params):
    params = {"batch_size": 20, "max_epochs": 5, "early_stopping": False, "random_state": 0, **params}
    return VAE(4, hidden_layer_sizes=(16,), **params)


@pytest.mark.parametrize(
    ("max_steps", "n_steps", "n_epochs"),
    [(None, 250, 5), (10**9, 250, 5), (250, 250, 5), (249, 245, 5), (100, 100, 5), (3, 3, 3), (1, 1, 1)],
)
def test_there_are_no_more_steps_than_allowed(max_steps, n_steps, n_epochs, steps):
    vae = make_vae(max_steps=max_steps).fit(DIGITS)
    assert (len(steps), len(vae.history_)) == (n_steps, n_epochs)


def test_an_epoch_has_at_most_a_hundred_thousand_rows_by_default(steps):
    X = np.random.default_rng(0).random((100_001, 1), dtype=np.float32)
    make_vae(batch_size=10_000, max_epochs=2).fit(X)
    assert len(steps) == 20
    make_vae(batch_size=10_000, max_epochs=2, max_steps=22).fit(X)
    assert len(steps) == 20 + 22


@pytest.mark.parametrize(
    "vae",
    [make_vae(early_stopping=True), ConvVAE(4, hidden_channels=(4,), image_shape=(1, 8, 8), max_epochs=2)],
    ids=lambda vae: type(vae).__name__,
)
def test_what_the_bound_does_not_reach_changes_nothing(vae):
    vae = clone(vae).set_params(random_state=0)
    plain = clone(vae).fit(DIGITS)
    bounded = clone(vae).set_params(max_steps=10**6).fit(DIGITS)
    np.testing.assert_array_equal(bounded.transform(DIGITS), plain.transform(DIGITS))
    assert bounded.history_ == plain.history_


def test_only_the_rows_drawn_are_read_and_none_twice_before_all_were(on_disk):
    make_vae(max_steps=125).fit_rows(on_disk)  # 5 epochs of 500 rows
    drawn = [ids for ids in on_disk.drawn if len(ids) == 500]
    assert len(drawn) == 5
    assert all((np.diff(ids) > 0).all() for ids in drawn)  # the disk is read forwards
    for first in (0, 2):
        assert len(np.union1d(drawn[first], drawn[first + 1])) == 1000
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("block", [1, 20 * 64 * 7, 2**24], ids=["a batch", "batches", "an epoch"])
def test_rows_of_a_memory_map_train_like_those_in_memory(block, on_disk, monkeypatch):
    monkeypatch.setattr("skalss.latent.rows.BLOCK_VALUES", block)
    mapped = make_vae(max_steps=150).fit(on_disk).transform(DIGITS)
    np.testing.assert_array_equal(mapped, make_vae(max_steps=150).fit(DIGITS).transform(DIGITS))


def test_early_stopping_judges_each_bounded_epoch(steps):
    vae = make_vae(early_stopping=True, max_epochs=40, max_steps=400, lr=0.1).fit(DIGITS)
    losses = [record["valid_loss"] for record in vae.history_]
    assert len(losses) < 40
    assert len(steps) == 10 * len(losses)
    assert np.argmin(losses) == len(losses) - 6


def test_components_are_found_in_as_many_rows_of_a_memory_map(on_disk, monkeypatch):
    monkeypatch.setattr("skalss.latent.linear.FULL_ROWS", 900)
    fits = [LinearLatent(4, random_state=seed).fit_rows(on_disk) for seed in (0, 0, 1)]
    assert [fit.pca_.n_samples_seen_ for fit in fits] == [900, 900, 900]
    np.testing.assert_array_equal(fits[0].transform(DIGITS), fits[1].transform(DIGITS))
    assert not np.array_equal(fits[0].transform(DIGITS), fits[2].transform(DIGITS))
    whole = LinearLatent(4).fit(DIGITS)
    assert fits[0].reconstruction_error_ == pytest.approx(whole.reconstruction_error_, rel=0.05)


def test_the_setting():
    names = [identity(AdaptiveLatentSampler(latent_model=VAE(max_steps=n))) for n in (None, 10, 20)]
    assert names[0] == identity(AdaptiveLatentSampler(latent_model=VAE()))
    assert len(set(names)) == 3
    for wrong, error in ((0, ValueError), (2.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="max_steps must be a whole number of at least 1, or None, got"):
            make_vae(max_steps=wrong).fit(DIGITS)
    search = GridSearchCV(
        make_vae(), {"max_steps": [1, 200]}, cv=2, scoring=lambda vae, X, y=None: -vae.reconstruction_error_
    )
    assert search.fit(DIGITS[:200]).best_params_ == {"max_steps": 200}
