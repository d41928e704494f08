import numpy as np
import pytest
from skorch import NeuralNetBinaryClassifier
from torch import nn

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.nets import MLP, net_classifier
from skalss.strategies import BadgeStrategy
from skalss.strategies.badge import badge


def _rows(n, seed, n_features=6, n_classes=4):
    rng = np.random.RandomState(seed)
    features = rng.standard_normal((n, n_features)).astype(np.float32)
    return features, rng.dirichlet(np.full(n_classes, 0.5), n).astype(np.float32)


def _gradients(features, P):
    """The matrix that BADGE never forms: (n, n_classes * n_features)."""
    P = P.astype(float)
    P[np.arange(len(P)), P.argmax(axis=1)] -= 1
    return (P[:, :, None] * features[:, None, :].astype(float)).reshape(len(P), -1)


def _by_hand(features, P, n, seed):
    rng, gradients = np.random.RandomState(seed), _gradients(features, P)
    chosen = [int(np.square(gradients).sum(axis=1).argmax())]
    gaps = [np.square(gradients[chosen[0]]).sum()]
    while len(chosen) < n:
        squares = np.square(gradients[:, None] - gradients[chosen]).sum(axis=2).min(axis=1)
        cumulative = np.cumsum(squares)
        drawn = int(np.searchsorted(cumulative, (1 - rng.random_sample()) * cumulative[-1]))
        chosen.append(drawn)
        gaps.append(squares[drawn])
    return chosen, gaps


@pytest.mark.parametrize("draws", range(3))
def test_like_k_means_plus_plus_over_explicit_gradients(draws):
    features, P = _rows(80, draws)
    chosen, gaps = badge(features, P, 30, np.random.RandomState(draws))
    expected, expected_gaps = _by_hand(features, P, 30, draws)
    np.testing.assert_array_equal(chosen, expected)
    np.testing.assert_allclose(gaps, expected_gaps, rtol=1e-3)


def test_the_second_row_is_drawn_in_proportion_to_squared_distance():
    features, P = _rows(12, 0)
    gradients, rng = _gradients(features, P), np.random.RandomState(0)
    squares = np.square(gradients - gradients[np.square(gradients).sum(axis=1).argmax()]).sum(axis=1)
    counts = np.bincount([badge(features, P, 2, rng)[0][1] for _ in range(1500)], minlength=12)
    share = squares / squares.sum()
    assert np.abs(counts / 1500 - share).max() < 5 * np.sqrt(0.25 / 1500)
    assert counts[share == 0].sum() == 0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_copy_is_not_drawn_while_others_are_left(scale):
    features, P = _rows(5, 0, n_features=300)
    where = np.random.RandomState(1).permutation(np.repeat(np.arange(5), 40))
    for draws in range(10):
        chosen, gaps = badge(scale * features[where], P[where], 5, np.random.RandomState(draws))
        assert set(where[chosen]) == set(range(5))
        assert (gaps > 0).all()


def test_all_rows_alike_are_drawn_uniformly_and_once():
    features, P = _rows(1, 0, n_features=300)
    features, P = np.repeat(features, 20, axis=0), np.repeat(P, 20, axis=0)
    rng, counts = np.random.RandomState(0), np.zeros(20)
    for _ in range(150):
        chosen, gaps = badge(features, P, 6, rng)
        assert len(set(chosen)) == 6
        assert (gaps[1:] == 0).all()
        counts[chosen[1:]] += 1  # the first is the largest, whichever that is among copies
    assert np.sort(counts)[1:].min() > 0.5 * 150 * 5 / 19
    np.testing.assert_array_equal(np.sort(badge(features, P, 20, rng)[0]), np.arange(20))


def test_a_network_that_is_sure_of_all_rows_leaves_the_draw_to_chance():
    features, P = _rows(30, 0)[0], np.eye(4, dtype=np.float32)[np.arange(30) % 4]
    firsts = {int(badge(features, P, 5, np.random.RandomState(draws))[0][0]) for draws in range(20)}
    assert len(firsts) > 5
    chosen, gaps = badge(features, P, 30, np.random.RandomState(0))
    np.testing.assert_array_equal(np.sort(chosen), np.arange(30))
    assert (gaps == 0).all()


def test_rows_the_network_is_sure_of_come_once_at_most():
    """Their gradients are all 0, whatever their features."""
    features, P = _rows(60, 0)
    P[:30] = np.eye(4)[0]
    for draws in range(10):
        chosen, _ = badge(features, P, 25, np.random.RandomState(draws))
        assert (chosen < 30).sum() <= 1


def test_features_that_are_not_numbers_leave_the_draw_to_chance():
    features, P = _rows(30, 0)
    features[3] = np.nan
    assert len(set(badge(features, P, 30, np.random.RandomState(0))[0])) == 30


@pytest.mark.parametrize("n_classes", [1, 2])
def test_arrays_given_are_left_alone(n_classes):
    features, P = _rows(30, 0, n_classes=n_classes)
    before = features.copy(), P.copy()
    badge(features, P, 10, np.random.RandomState(0))
    np.testing.assert_array_equal(features, before[0])
    np.testing.assert_array_equal(P, before[1])


def test_the_strategy_takes_features_and_probabilities_of_the_network_in_one_pass(world):
    snapshot = world.snapshot()
    candidates = BadgeStrategy().query(snapshot, 12)
    assert world.counting_net.rows == {"features_and_logits": 110}
    assert snapshot.network.n_rows == 110
    rows = world.X[snapshot.unlabeled]
    P = world.network.predict_proba(rows)
    expected, gaps = badge(world.network.features(rows), P, 12, np.random.RandomState(0))
    np.testing.assert_array_equal(candidates.rows, snapshot.unlabeled[expected])
    np.testing.assert_allclose(candidates.scores, gaps, rtol=1e-3)


def test_only_rows_drawn_pass_the_network(world):
    BadgeStrategy(n_candidates=30).query(world.snapshot(), 12)
    assert world.counting_net.rows == {"features_and_logits": 30}


@pytest.mark.parametrize(
    "net",
    [net_classifier(max_epochs=1), NeuralNetBinaryClassifier(MLP, max_epochs=1, verbose=0)],
    ids=["two outputs", "a single logit"],
)
def test_two_classes(net, world):
    net = TaskNet(net, device="cpu", random_state=0).fit(world.X, world.y > 4)
    candidates = BadgeStrategy().query(world.snapshot(network=lambda: net), 10)
    assert len(set(candidates.rows)) == 10


def test_a_network_without_a_last_layer_is_refused(world):
    net = net_classifier(
        nn.Sequential(nn.Unflatten(1, (64, 1)), nn.Conv1d(64, 10, 1), nn.Flatten()), max_epochs=1
    )
    network = TaskNet(net, random_state=0).fit(world.X, world.y)
    with pytest.raises(ValueError, match="no last layer to weigh"):
        BadgeStrategy().query(world.snapshot(network=lambda: network), 3)


def test_in_a_campaign(world):
    sampler = AdaptiveLatentSampler(
        net_classifier(max_epochs=3), strategy="badge", n_initial=20, n_per_round=15, max_labels=50,
        random_state=0, )  # fmt: skip
    sampler.fit(world.X, world.y.astype(str))
    assert sampler.n_labels_ == 50
    assert sampler.latent_model_ is None
    assert sampler.history_["network_rows"].tolist()[1:3] == [130, 115]


def test_wrong_n_candidates():
    with pytest.raises(ValueError, match="n_candidates must be a whole number of at least 1, or None, got 0"):
        BadgeStrategy(n_candidates=0).check()
