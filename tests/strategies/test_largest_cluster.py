import numpy as np
import pytest
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import normalize

from skalss import AdaptiveLatentSampler, Campaign
from skalss.nets import net_regressor
from skalss.strategies import LargestClusterStrategy, MadePoints
from skalss.strategies.largest_cluster import farthest_of_largest


def in_a_loop(points, centres, n):
    """The definition, without a shortcut."""
    chosen = []
    for _ in range(n):
        middles = np.concatenate([centres, points[chosen]])
        distances = pairwise_distances(points, middles)
        own, gaps = distances.argmin(axis=1), distances.min(axis=1)
        sizes = [np.sum(gaps[own == c] ** 2) for c in range(len(middles))]
        inside = np.flatnonzero(own == np.argmax(sizes))
        chosen.append(int(inside[gaps[inside].argmax()]))
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_follows_the_definition(seed):
    rng = np.random.default_rng(seed)
    points, centres = rng.normal(size=(60, 3)), rng.normal(size=(4, 3))
    chosen, gaps = farthest_of_largest(points, centres, 20, np.random.RandomState(0))
    assert chosen.tolist() == in_a_loop(points, centres, 20)
    first = pairwise_distances(points, centres).min(axis=1)[chosen[0]]
    assert gaps[0] == pytest.approx(first)


def test_many_rows_draw_more_than_one_far_row():
    """One row is farthest by far; the many of another cluster, all nearer, weigh more than it."""
    rng = np.random.default_rng(0)
    crowd, lonely = rng.normal(size=(200, 2)) + [3, 0], np.array([[-6.0, 0.0]])
    chosen, _ = farthest_of_largest(
        np.concatenate([crowd, lonely]), np.array([[0.0, 0.0], [-1.0, 0.0]]), 1, np.random.RandomState(0)
    )
    assert chosen[0] < 200


def test_copies_are_chosen_only_when_nothing_else_is_left():
    points = np.array([[0.0], [1.0], [1.0], [5.0], [0.0]])
    chosen, gaps = farthest_of_largest(points, np.array([[0.0]]), 5, np.random.RandomState(0))
    assert sorted(chosen.tolist()) == [0, 1, 2, 3, 4]
    assert set(chosen[:2].tolist()) in ({3, 1}, {3, 2})
    assert (gaps[2:] == 0).all()


def test_without_a_label_the_middle_comes_first():
    points = np.array([[-4.0], [0.1], [4.0], [9.0]])
    chosen, gaps = farthest_of_largest(points, np.empty((0, 1)), 2, np.random.RandomState(0))
    assert points[chosen, 0].tolist() == [4.0, -4.0]
    assert np.isinf(gaps[0])


@pytest.mark.parametrize(
    ("task", "space", "where"),
    [
        ("classification", "auto", "features"),
        ("regression", "auto", "gradients"),
        ("classification", "gradients", "gradients"),
        ("regression", "directions", "directions"),
        ("regression", "features", "features"),
        ("classification", "codes", "codes"),
    ],
)
def test_distances_are_taken_in_the_space(task, space, where, world_of):
    world = world_of(task)
    snapshot = world.snapshot()
    candidates = LargestClusterStrategy(space=space).query(snapshot, 12)
    rows, labeled = snapshot.unlabeled, world.labeled
    points = {
        "codes": lambda: (world.codes[rows], world.codes[labeled]),
        "features": lambda: tuple(world.network.features(world.X[i]) for i in (rows, labeled)),
        "gradients": lambda: (snapshot.network.gradients(rows), snapshot.network.labeled_gradients()),
    }
    points["directions"] = lambda: tuple(map(normalize, points["gradients"]()))
    passes = {"codes": 0, "features": 1}.get(where, 3)
    assert snapshot.network.n_rows == passes * (len(rows) + len(labeled))
    assert candidates.rows.tolist() == rows[in_a_loop(*points[where](), 12)].tolist()


def test_looks_at_as_many_rows_as_it_is_told(world):
    snapshot = world.snapshot()
    LargestClusterStrategy(n_candidates=30, space="features").query(snapshot, 5)
    assert snapshot.network.n_rows == 30 + len(world.labeled)


def test_made_points_are_centres_too(world):
    y = np.concatenate([world.y[world.labeled], [3, 4]])
    snapshot = world.snapshot(y_labeled=y, made=MadePoints(world.codes[-2:], world.X[-2:]))
    chosen = LargestClusterStrategy().query(snapshot, 12).rows
    labeled = world.network.features(np.concatenate([world.X[world.labeled], world.X[-2:]]))
    expected = in_a_loop(world.network.features(world.X[snapshot.unlabeled]), labeled, 12)
    assert chosen.tolist() == snapshot.unlabeled[expected].tolist()


def test_a_model_without_layers_is_looked_past(world):
    class Forest:
        abilities = frozenset()

    snapshot = world.snapshot(network=Forest)
    assert LargestClusterStrategy().uses_codes(Forest.abilities)
    same = LargestClusterStrategy(space="codes").query(world.snapshot(), 10)
    assert LargestClusterStrategy().query(snapshot, 10).rows.tolist() == same.rows.tolist()


@pytest.mark.parametrize("ability", ["features", "gradients"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_network_with_one_of_two_spaces_is_asked_for_that(task, ability, world_of):
    """Such as one without a last linear layer, and one whose layers nobody trains."""
    world = world_of(task)

    class Able:
        abilities = frozenset({ability})

        def __getattr__(self, name):
            assert name == ability
            return getattr(world.network, name)

    assert not LargestClusterStrategy().uses_codes(Able.abilities)
    found = LargestClusterStrategy().query(world.snapshot(network=Able), 10).rows
    same = LargestClusterStrategy(space=ability).query(world.snapshot(), 10).rows
    assert found.tolist() == same.tolist()


def test_of_images_the_directions_of_gradients_are_compared(world_of):
    world = world_of("regression")

    class Network:
        abilities = world.network.abilities

        def gradients(self, X, *args, **kwargs):
            return world.network.gradients(X.reshape(len(X), -1), *args, **kwargs)

    images = world.X.reshape(-1, 1, 8, 8)
    found = LargestClusterStrategy().query(world.snapshot(X=images, network=Network), 10).rows
    same = LargestClusterStrategy(space="directions").query(world.snapshot(), 10).rows
    assert found.tolist() == same.tolist()


def test_wide_copies_are_chosen_only_when_nothing_else_is_left():
    """Wide rows are compared in float32, by sums whose rounding is larger than their differences."""
    rng = np.random.default_rng(0)
    few = (100 + rng.normal(size=(8, 300))).astype(np.float32)
    points = np.concatenate([few, few, few[:1]])
    chosen, gaps = farthest_of_largest(points, few[:1], 17, np.random.RandomState(0))
    assert sorted(chosen.tolist()) == list(range(17))
    assert set(chosen[:7] % 8) == set(range(1, 8))
    assert (gaps[7:] == 0).all()


def test_wrong_parameters():
    with pytest.raises(
        ValueError,
        match=r"space must be one of \['auto', 'gradients', 'directions', 'features', 'codes'\]",
    ):
        LargestClusterStrategy(space="pixels").check()
    with pytest.raises(ValueError, match="n_candidates must be a whole number of at least 1, got 0"):
        LargestClusterStrategy(n_candidates=0).check()


def test_is_the_default_of_a_campaign_for_values(world_of):
    world = world_of("regression")
    sampler = AdaptiveLatentSampler(
        net_regressor(max_epochs=2), n_initial=10, n_per_round=10, max_labels=30, random_state=0
    )
    campaign = Campaign(sampler, world.X, world.y).run()
    assert campaign.queries["strategy"].tolist() == ["RandomStrategy"] * 10 + ["LargestClusterStrategy"] * 20
    assert campaign.history["network_rows"].tolist()[:3] == [0, 450, 450]
    assert campaign.models.latent_model is None  # gradients need no codes
