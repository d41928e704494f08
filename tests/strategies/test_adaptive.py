"""What the default strategy prefers: hard rows that differ."""

import numpy as np
import pytest

from skalss import AdaptiveLatentSampler, Campaign
from skalss.latent import LinearLatent, find_geometry
from skalss.nets import net_classifier
from skalss.strategies import AdaptiveStrategy, Encoded, KMeansStrategy, make_snapshot
from skalss.strategies.herding import herd
from skalss.targets import Classes

from .conftest import DIGITS, DIGITS_Y

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

    def ask(codes, structure, **params):
        snapshot = world.snapshot(
            latent=lambda: Encoded(world.latent_model, codes), known_structure=lambda: structure
        )
        rows = AdaptiveStrategy(n_candidates=60, **params).query(snapshot, 10).rows
        return rows.tolist(), snapshot.network.n_rows

    by_features = ask(noise, 0.04)
    assert by_features == ask(noise[::-1].copy(), 0.04)  # whatever the codes are
    assert by_features[1] == 60 + len(world.labeled)
    for params, structure in (({"min_structure": 0.0}, 0.04), ({}, 0.05)):
        rows, n_rows = ask(noise, structure, **params)
        assert rows != by_features[0]
        assert rows != ask(noise[::-1].copy(), structure, **params)[0]
        assert n_rows == 60


def test_codes_with_hubs_are_compared_by_direction():
    """Lengths that say nothing, as of features of an encoder, must not decide what is covered."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(600, 100)) + 0.6 * np.repeat(rng.normal(size=(6, 100)), 100, axis=0)
    codes = (directions * rng.lognormal(sigma=0.3, size=(600, 1))).astype(np.float32)
    geometry = find_geometry(codes)
    assert geometry.middle is not None
    np.testing.assert_allclose(np.linalg.norm(geometry(codes), axis=1), 1, rtol=1e-5)
    snapshot = make_snapshot(
        codes, [], np.array([]), latent=lambda: Encoded(None, codes), network=lambda: Logits()
    )
    groups = KMeansStrategy().query(snapshot, 6).rows // 100
    assert len(set(groups.tolist())) == 6


def test_herding_is_the_greedy_choice_and_ties_are_drawn():
    rng = np.random.default_rng(0)
    points, weight, known = rng.normal(size=(80, 3)), rng.random(80), rng.normal(size=(5, 3))
    chosen = herd(points, weight, known, 12, np.random.RandomState(0), closeness=0.5)
    gaps = np.linalg.norm(known[:, None] - known, axis=-1) + np.diag(np.full(5, np.inf))
    width = np.quantile(gaps.min(axis=0), 0.5)
    kernel = np.exp(-((np.linalg.norm(points[:, None] - points, axis=-1) / width) ** 2))
    covered = np.exp(-((np.linalg.norm(points[:, None] - known, axis=-1) / width) ** 2)).max(axis=1)
    expected = []
    for _ in range(12):
        gain = np.maximum(kernel - covered, 0) @ weight
        gain[expected] = -1
        expected.append(int(gain.argmax()))
        covered = np.maximum(covered, kernel[expected[-1]])
    assert chosen.tolist() == expected
    copies = np.zeros((30, 2))
    drawn = {int(herd(copies, np.ones(30), copies[:0], 1, np.random.RandomState(s), closeness=0.3)[0])
             for s in range(10)}  # fmt: skip
    assert len(drawn) > 3


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
    assert snapshot.network.n_rows == len(snapshot.unlabeled)  # four for each wanted, if there are


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
    with pytest.raises(ValueError, match="must be|must lie"):
        AdaptiveStrategy(**params).check()


# -- rare classes ----------------------------------------------------------------------------------


class Sees:
    """A network that takes a row for the class that its first feature names, more or less surely."""

    def __init__(self, *abilities):
        self.abilities = frozenset({"logits", *abilities})

    def logits(self, rows):
        return np.eye(3)[rows[:, 0].astype(int)].astype(np.float32) * (2 + rows[:, 1:2])

    def features_and_logits(self, rows):
        return rows[:, 1:3], self.logits(rows)

    def features(self, rows):
        return rows[:, 1:3]


def rare_scene(n_rare, network=None, labels=(0,) * 20 + (1,) * 18 + (2,) * 2, seed=0):
    """Return a snapshot of 300 rows, some of which are taken for the rare class 2, at the end of the file."""
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(300, 4)).astype(np.float32)
    X[:, 0] = np.arange(300) % 2
    X[300 - n_rare :, 0] = 2
    return make_snapshot(
        X,
        np.arange(len(labels)),
        np.array(labels),
        latent=lambda: Encoded(None, X[:, 1:]),
        network=lambda: network or Sees(),
        target=Classes([0, 1, 2]),
        known_structure=lambda: 0.0 if network else 1.0,
        random_state=seed,
    )


@pytest.mark.parametrize("network", [None, Sees("features")], ids=["clusters of codes", "features"])
@pytest.mark.parametrize(
    ("share", "n_rare", "expected"), [(0.5, 30, 15), (1.0, 40, 30), (0.5, 6, 6), (0.2, 0, 0)]
)
def test_rare_classes_get_their_share(network, share, n_rare, expected):
    rows = AdaptiveStrategy(rare_share=share).query(rare_scene(n_rare, network), 30).rows
    assert len(set(rows.tolist())) == 30
    assert (rows >= 300 - n_rare).sum() >= expected
    again = AdaptiveStrategy(rare_share=share).query(rare_scene(n_rare, network), 30).rows
    np.testing.assert_array_equal(again, rows)


def test_a_share_that_is_reached_anyhow_changes_nothing():
    plain = AdaptiveStrategy().query(rare_scene(150), 20).rows
    assert (plain >= 150).sum() > 3
    np.testing.assert_array_equal(AdaptiveStrategy(rare_share=0.1).query(rare_scene(150), 20).rows, plain)


@pytest.mark.parametrize("labels", [(0,) * 9, (0, 1, 2) * 6, (2,)])
def test_where_no_class_is_rare_or_one_alone_is_known(labels):
    for share in (0.5, 1.0):
        rows = AdaptiveStrategy(rare_share=share).query(rare_scene(20, labels=labels), 500).rows
        assert len(set(rows.tolist())) == 300 - len(labels)


def test_the_share_is_reached_in_a_campaign_and_by_set_params():
    keep = np.flatnonzero((DIGITS_Y < 5) | (np.arange(len(DIGITS_Y)) % 12 == 0))
    X, y = DIGITS[keep], DIGITS_Y[keep]
    sampler = AdaptiveLatentSampler(
        net_classifier(max_epochs=15),
        LinearLatent(8),
        AdaptiveStrategy(),
        n_initial=40,
        n_per_round=40,
        max_labels=120,
        random_state=0,
    )
    n_rare = [
        (sampler.set_params(strategy__rare_share=share).fit(X, y).queries_["label"].astype(int) >= 5).sum()
        for share in (0.0, 0.7)
    ]
    assert n_rare[1] > n_rare[0]
    with pytest.raises(ValueError, match="rare_share must lie in"):
        sampler.set_params(strategy__rare_share=1.5).fit(X, y)
