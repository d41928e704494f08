import numpy as np
import pytest
from torch import nn

from skalss import TaskNet
from skalss.nets import net_classifier
from skalss.strategies import UncertaintyStrategy


def _by_hand(world, score, rows):
    """Hardness of rows, small for a hard one, with NumPy alone."""
    logits = world.network.logits(world.X[rows]).astype(float)
    P = np.exp(logits - logits.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    if score == "entropy":
        return (P * np.log(P)).sum(axis=1)
    if score == "least_confident":
        return P.max(axis=1)
    order = logits.argsort(axis=1)
    first, second = order[:, -1], order[:, -2]
    everyone = np.arange(len(rows))
    if score == "margin":
        return P[everyone, first] - P[everyone, second]
    weight = world.network.head_weight().astype(float)
    gap = logits[everyone, first] - logits[everyone, second]
    return gap / np.linalg.norm(weight[first] - weight[second], axis=1)


@pytest.mark.parametrize("score", ["mms", "margin", "entropy", "least_confident"])
def test_picks_are_the_hardest_rows_hardest_first(score, world):
    snapshot = world.snapshot()
    candidates = UncertaintyStrategy(score).query(snapshot, 12)
    hardness = _by_hand(world, score, snapshot.unlabeled)
    np.testing.assert_array_equal(candidates.rows, snapshot.unlabeled[hardness.argsort()[:12]])
    assert (np.diff(candidates.scores) >= 0).all()


def test_mms_and_margin_scores_are_in_their_unit(world):
    snapshot = world.snapshot()
    for score in ("mms", "margin"):
        candidates = UncertaintyStrategy(score).query(snapshot, 12)
        np.testing.assert_allclose(
            candidates.scores, np.sort(_by_hand(world, score, snapshot.unlabeled))[:12], rtol=1e-3, atol=1e-5
        )


def test_only_rows_that_may_be_asked_are_scored(world):
    UncertaintyStrategy("entropy").query(world.snapshot(), 5)
    assert world.counting_net.rows == {"logits": 110}


def test_mms_without_a_last_layer_names_the_way_out(world):
    net = net_classifier(
        nn.Sequential(nn.Unflatten(1, (64, 1)), nn.Conv1d(64, 10, 1), nn.Flatten()), max_epochs=1
    )
    network = TaskNet(net, random_state=0).fit(world.X, world.y)
    snapshot = world.snapshot(network=lambda: network)
    with pytest.raises(ValueError, match="no last layer to weigh.*'margin'"):
        UncertaintyStrategy("mms").query(snapshot, 3)
    assert len(UncertaintyStrategy("margin").query(snapshot, 3).rows) == 3


def test_unknown_score():
    with pytest.raises(ValueError, match=r"score must be one of \['entropy', .*'mms'\], got 'bald'"):
        UncertaintyStrategy("bald").check()
