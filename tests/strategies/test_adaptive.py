"""What the default strategy prefers: hard rows that differ."""

import numpy as np
import pytest

from skalss import AdaptiveLatentSampler, Campaign
from skalss.nets import net_classifier
from skalss.strategies import AdaptiveStrategy, Encoded, LargestClusterStrategy

QUERY = AdaptiveStrategy.query


class Logits:
    """A network that is unsure of the rows whose first feature is 1, and sure of the others."""

    abilities = frozenset({"logits"})

    def logits(self, rows):
        sure = 1 - rows[:, 0]
        return np.stack([5 * sure, np.zeros(len(rows))], axis=1).astype(np.float32)


@pytest.fixture
def scene(world):
    """Return a function that makes a snapshot of 200 rows on a line, every second one hard."""
    codes = np.linspace(0, 1, 200, dtype=np.float32)[:, None]
    X = np.zeros((200, 64), dtype=np.float32)
    X[::2, 0] = 1

    def make(codes=codes, X=X, **settings):
        return world.snapshot(
            X=X,
            labeled=np.arange(0),
            y_labeled=world.y[:0],
            taken=np.zeros(len(X), dtype=bool),
            latent=lambda: Encoded(world.latent_model, codes),
            network=lambda: Logits(),
            **settings,
        )

    return make


def test_rows_are_hard_and_spread(scene):
    candidates = AdaptiveStrategy(power=8.0).query(scene(), 10)
    assert (candidates.rows % 2 == 0).sum() >= 8
    places = np.sort(candidates.rows)
    assert np.diff(places).min() > 5
    assert places[0] < 30
    assert places[-1] > 170


def test_without_power_hard_rows_are_not_preferred(scene):
    shares = [(AdaptiveStrategy(power=0).query(scene(seed=s), 20).rows % 2 == 0).mean() for s in range(5)]
    assert 0.3 < np.mean(shares) < 0.7


def test_more_hard_rows_where_they_are_more_frequent(scene):
    X = np.zeros((200, 64), dtype=np.float32)
    X[:100, 0] = 1
    ids = AdaptiveStrategy().query(scene(X=X), 20).rows
    assert (ids < 100).sum() >= 15


def test_scores_are_gaps_of_probabilities(scene):
    candidates = AdaptiveStrategy().query(scene(), 10)
    p = 1 / (1 + np.exp(-5.0))
    np.testing.assert_allclose(candidates.scores, np.where(candidates.rows % 2 == 0, 0, 2 * p - 1), atol=1e-6)


def test_a_query_looks_at_a_fixed_number_of_rows(world):
    for snapshot in (world.snapshot(), world.large_snapshot()):
        AdaptiveStrategy(n_candidates=60).query(snapshot, 10)
        assert snapshot.network.n_rows == 60


def test_a_model_without_features_is_always_clustered(world_of):
    """Were there features, rows would be chosen by them: the codes keep no classes apart."""
    world = world_of("classification", "forest")
    unclear, clear = world.snapshot(known_structure=lambda: 0.0), world.snapshot(known_structure=lambda: 1.0)
    chosen = AdaptiveStrategy().query(unclear, 10).rows
    assert chosen.tolist() == AdaptiveStrategy().query(clear, 10).rows.tolist()
    assert unclear.network.n_rows == 110


def test_where_codes_keep_no_classes_apart_rows_cover_the_features(world):
    noise = np.random.default_rng(0).standard_normal((150, 4)).astype(np.float32)
    snapshot = world.snapshot(latent=lambda: Encoded(world.latent_model, noise), known_structure=lambda: 0.04)
    candidates = AdaptiveStrategy(n_candidates=60).query(snapshot, 10)
    same = LargestClusterStrategy(n_candidates=60).query(world.snapshot(), 10)
    assert candidates.rows.tolist() == same.rows.tolist()
    assert snapshot.network.n_rows == 60 + len(world.labeled)
    for params, structure in (({"min_structure": 0.0}, 0.04), ({}, 0.05)):
        snapshot = world.snapshot(known_structure=lambda: structure)  # noqa: B023
        clustered = AdaptiveStrategy(n_candidates=60, **params).query(snapshot, 10)
        assert clustered.rows.tolist() != same.rows.tolist()
        assert snapshot.network.n_rows == 60


def test_a_campaign_hands_on_the_structure_of_its_training(world, monkeypatch):
    found = []
    monkeypatch.setattr(
        AdaptiveStrategy, "query", lambda self, s, n: found.append(s.structure()) or QUERY(self, s, n)
    )
    sampler = AdaptiveLatentSampler(
        net_classifier(max_epochs=2),
        world.latent_model,
        n_initial=30,
        n_per_round=10,
        max_labels=50,
        random_state=0,
    )
    campaign = Campaign(sampler, world.X, world.y).run()
    assert len(found) == 2
    assert found[-1] == campaign.models.structure
    campaign.network()  # of the last labels
    assert found[-1] != campaign.models.structure


def test_more_rows_than_candidates_are_wanted(world):
    snapshot = world.snapshot()
    assert len(set(AdaptiveStrategy(n_candidates=5).query(snapshot, 30).rows)) == 30
    assert snapshot.network.n_rows == 30


def test_copies_leave_no_gap(scene):
    candidates = AdaptiveStrategy().query(scene(codes=np.zeros((200, 1), dtype=np.float32)), 10)
    assert len(set(candidates.rows)) == 10
    assert (candidates.rows % 2 == 0).sum() >= 9


def test_a_network_that_is_sure_of_all_rows(scene):
    X = np.zeros((200, 64), dtype=np.float32)
    X[:, 0] = -1000.0
    assert np.diff(np.sort(AdaptiveStrategy().query(scene(X=X), 10).rows)).min() > 5


@pytest.mark.parametrize("params", [{"n_candidates": 0}, {"power": -1.0}, {"power": float("nan")}])
def test_wrong_parameters_are_refused(params):
    with pytest.raises(ValueError, match="must be"):
        AdaptiveStrategy(**params).check()
