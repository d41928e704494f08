"""What the strategies over the codes prefer; that they keep the contract is tested with all others."""

import numpy as np
import pytest

from skalss.strategies import CoreSetStrategy, Encoded, KMeansStrategy, TypicalStrategy
from skalss.strategies.diversity import farthest_first

N_BLOBS = 6


@pytest.fixture
def blobs():
    """Codes (120, 2) of six blobs of 20, far apart, and the blob of each."""
    rng = np.random.default_rng(0)
    angles = 2 * np.pi * np.arange(N_BLOBS) / N_BLOBS
    centres = 10 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    blob = np.repeat(np.arange(N_BLOBS), 20)
    return (centres[blob] + rng.standard_normal((120, 2))).astype(np.float32), blob


def snapshot_of(world, codes, labeled=(), **settings):
    taken = np.zeros(len(codes), dtype=bool)
    labeled = np.array(labeled, dtype=np.intp)
    taken[labeled] = True
    return world.snapshot(
        labeled=labeled,
        y_labeled=world.y[labeled],
        taken=taken,
        X=np.zeros((len(codes), 64)),
        latent=lambda: Encoded(world.latent_model, codes),
        **settings,
    )


@pytest.mark.parametrize("strategy", [KMeansStrategy(), TypicalStrategy(), CoreSetStrategy()], ids=str)
def test_each_blob_gets_a_row(strategy, world, blobs):
    codes, blob = blobs
    for seed in range(5):
        ids = strategy.query(snapshot_of(world, codes, seed=seed), N_BLOBS).rows
        assert sorted(blob[ids]) == list(range(N_BLOBS))


@pytest.mark.parametrize("strategy", [TypicalStrategy(), CoreSetStrategy()], ids=str)
def test_blobs_with_labels_come_last(strategy, world, blobs):
    codes, blob = blobs
    ids = strategy.query(snapshot_of(world, codes, labeled=[0, 1, 25, 26]), 4).rows
    assert sorted(blob[ids]) == [2, 3, 4, 5]


def test_an_outlier_comes_first_in_a_core_set(world, blobs):
    codes, _ = blobs
    codes = codes.copy()
    codes[7] += 60
    snapshot = snapshot_of(world, codes, labeled=[30])
    assert CoreSetStrategy().query(snapshot, 3).rows[0] == 7


def test_kmeans_scores_are_distances_from_a_centre(world, blobs):
    codes, blob = blobs
    candidates = KMeansStrategy().query(snapshot_of(world, codes), N_BLOBS)
    means = np.array([codes[blob == b].mean(axis=0) for b in blob[candidates.rows]])
    np.testing.assert_allclose(
        candidates.scores, np.linalg.norm(codes[candidates.rows] - means, axis=1), atol=1e-4
    )
    for id_, score in zip(candidates.rows, candidates.scores, strict=True):
        mates = codes[blob == blob[id_]]
        assert score <= np.linalg.norm(mates - mates.mean(axis=0), axis=1).min() + 1e-4


def test_the_typical_row_is_in_the_densest_place(world, blobs):
    codes, blob = blobs
    candidates = TypicalStrategy().query(snapshot_of(world, codes), N_BLOBS)
    for id_ in candidates.rows:
        mates = np.flatnonzero(blob == blob[id_])
        gaps = np.linalg.norm(codes[mates][:, None] - codes[mates][None], axis=2).sum(axis=1)
        assert id_ == mates[gaps.argmin()]


def test_the_limit_on_clusters_holds(world, blobs):
    codes, blob = blobs
    ids = TypicalStrategy(max_clusters=2).query(snapshot_of(world, codes), 12).rows
    assert len(set(ids)) == 12


def _naive_farthest_first(points, centres, n):
    points, known, chosen = points.astype(float), list(centres.astype(float)), []
    for _ in range(n):
        gaps = np.array([min(np.linalg.norm(p - c) for c in known) for p in points])
        gaps[chosen] = -1
        chosen.append(int(gaps.argmax()))
        known.append(points[chosen[-1]])
    return chosen


def test_core_sets_are_those_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    points, centres = rng.standard_normal((60, 3)), rng.standard_normal((5, 3))
    chosen, gaps = farthest_first(points, centres, 12, np.random.RandomState(0))
    assert chosen.tolist() == _naive_farthest_first(points, centres, 12)
    assert (np.diff(gaps) <= 1e-6).all()


def test_copies_are_chosen_once_each():
    chosen, gaps = farthest_first(np.ones((5, 2)), np.ones((1, 2)), 5, np.random.RandomState(0))
    assert sorted(chosen) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(gaps, 0, atol=1e-6)


def test_core_sets_in_features_ask_the_network_about_candidates_and_labelled_rows(world):
    snapshot = world.snapshot()
    CoreSetStrategy("features", n_candidates=30).query(snapshot, 5)
    assert snapshot.network.n_rows == 30 + 40
    assert world.counting_net.rows == {"features": 70}


def test_codes_alone_will_do(world):
    def refuse(*args):
        raise AssertionError("asked for the network")

    for strategy in (KMeansStrategy(), TypicalStrategy(), CoreSetStrategy()):
        assert not strategy.needs
        assert (
            len(strategy.query(world.snapshot(network=refuse, unread=True, taken=world.taken), 10).rows) == 10
        )


@pytest.mark.parametrize(
    "strategy",
    [
        KMeansStrategy(n_candidates=0),
        TypicalStrategy(max_clusters=0),
        TypicalStrategy(n_candidates=0.5),
        CoreSetStrategy("pixels"),
        CoreSetStrategy(n_candidates=0),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(strategy):
    with pytest.raises((ValueError, TypeError), match="must be"):
        strategy.check()
