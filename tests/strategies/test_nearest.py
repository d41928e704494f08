"""Which rows SNN asks for once a climb has arrived; the climb itself is in test_climb.py."""

import numpy as np
import pytest

from skalss.strategies import Encoded, InterpolationStrategy, NearestNeighborStrategy

from .cases import PLAIN_CLIMB
from .measures import to_labelled


def test_takes_the_nearest_row_to_where_the_climb_arrives(world):
    snapshot = world.snapshot()
    candidates = NearestNeighborStrategy(**PLAIN_CLIMB).query(snapshot, 10)
    points = InterpolationStrategy(bounds=None, **PLAIN_CLIMB).query(world.snapshot(), 40)  # where it arrives
    climbed = points.codes[points.starts.argsort()][candidates.starts]
    free = snapshot.unlabeled
    distance = np.linalg.norm(climbed[:, None].astype(float) - world.codes[free][None], axis=2)
    picked = []
    for row in distance:  # each start in turn takes the nearest that is not taken yet
        picked.append(next(i for i in free[row.argsort()].tolist() if i not in picked))
    assert candidates.rows.tolist() == picked
    np.testing.assert_allclose(
        candidates.scores, np.linalg.norm(climbed - world.codes[picked], axis=1), rtol=1e-3, atol=1e-3
    )


def test_rows_that_collide_are_replaced(world):
    """All climbs arrive at one place: each still gets a row of its own."""
    codes = np.zeros((150, 4), dtype=np.float32)
    codes[0] = 1  # some spread
    snapshot = world.snapshot(latent=lambda: Encoded(world.latent_model, codes))
    candidates = NearestNeighborStrategy(**{**PLAIN_CLIMB, "step": 1e-6}).query(snapshot, 30)
    assert len(set(candidates.rows)) == 30


@pytest.mark.parametrize("min_distance", ["median", 0.4, 0.8])
def test_min_distance_passes_near_rows_over(min_distance, world):
    snapshot = world.snapshot()
    labeled = snapshot.latent.labeled_codes()
    if min_distance == "median":
        gaps = np.linalg.norm(labeled[:, None].astype(float) - labeled[None], axis=2)
        np.fill_diagonal(gaps, np.inf)
        smallest = np.median(gaps.min(axis=1))
    else:
        smallest = min_distance * snapshot.latent.spread()
    settings = {**PLAIN_CLIMB, "step": 0.1}
    candidates = NearestNeighborStrategy(**{**settings, "min_distance": min_distance}).query(snapshot, 20)
    by_climb = ~np.isnan(candidates.scores)
    assert by_climb.sum() >= 10
    assert to_labelled(world.codes[candidates.rows[by_climb]], labeled).min() > smallest * 0.999
    # It makes a difference: without it near rows are asked.
    free = NearestNeighborStrategy(**settings).query(world.snapshot(), 20)
    assert to_labelled(world.codes[free.rows], labeled).min() < smallest


def test_with_one_labelled_row_the_median_refuses_nothing(world):
    strategy = NearestNeighborStrategy(**{**PLAIN_CLIMB, "min_distance": "median"})
    candidates = strategy.query(world.snapshot(labeled=world.labeled[:1]), 2)
    assert not np.isnan(candidates.scores).any()


def test_where_all_rows_are_refused_chance_decides(world):
    strategy = NearestNeighborStrategy(n_steps=2, min_distance=1e6)
    candidates = strategy.query(world.snapshot(), 12)
    assert len(set(candidates.rows)) == 12
    assert np.isnan(candidates.scores).all()
    assert (candidates.starts == -1).all()
    other = strategy.query(world.snapshot(seed=1), 12)
    assert set(other.rows) != set(candidates.rows)
