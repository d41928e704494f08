"""Where all rows are alike, chance decides which are asked: rows at the end of a file are found, too."""

import numpy as np
import pytest

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.latent import LinearLatent
from skalss.neighbors import ExactIndex, nearest_by_chance
from skalss.nets import net_classifier, net_regressor
from skalss.strategies import (
    STRATEGIES,
    AdaptiveStrategy,
    CoreSetStrategy,
    Encoded,
    LargestClusterStrategy,
    make_snapshot,
)
from skalss.targets import Classes, Values
from skalss.utils.ties import one_of_largest, ranked

from .cases import COMMON, POOL_STRATEGIES_OF_ANY_MODEL

N_ROWS, N = 403, 40
X = np.full((N_ROWS, 6), 0.3)
LABELED = np.array([200, 7, 391, 90])
TARGETS = {"classification": Classes([0, 1, 2]), "regression": Values()}
NETS = {
    task: TaskNet(net(max_epochs=2), device="cpu", random_state=0).fit_rows(
        np.random.RandomState(0).uniform(size=(9, 6)), np.arange(9) % 3, target=TARGETS[task]
    )
    for task, net in (("classification", net_classifier), ("regression", net_regressor))
}
LATENT = LinearLatent(2, random_state=0).fit(np.random.RandomState(0).uniform(size=(50, 6)))
CASES = [
    (strategy, task)
    for strategy in [
        *(name for name in STRATEGIES if not STRATEGIES[name]().generates_points),
        *POOL_STRATEGIES_OF_ANY_MODEL,
        AdaptiveStrategy(min_structure=0),
        CoreSetStrategy("features"),
        LargestClusterStrategy(space="codes"),
    ]
    for task in COMMON
    if task in (STRATEGIES[strategy]() if isinstance(strategy, str) else strategy).tasks
]


def chosen(strategy, task, seed, n=N):
    """Return what is asked of a pool of copies."""
    strategy = STRATEGIES[strategy]() if isinstance(strategy, str) else strategy
    snapshot = make_snapshot(
        X,
        LABELED,
        np.array([0, 0, 0, 1]) if task == "classification" else np.array([0.1, 0.2, 0.1, 0.3]),
        latent=lambda: Encoded(LATENT, LATENT.transform(X)),
        network=lambda: NETS[task],
        member=lambda number: NETS[task],
        target=TARGETS[task],
        random_state=seed,
    )
    return strategy.query(snapshot, n).rows


@pytest.mark.parametrize(("strategy", "task"), CASES, ids=str)
def test_copies_are_asked_at_random(strategy, task):
    rows = chosen(strategy, task, seed=0)
    assert len(set(rows.tolist())) == N
    # Of 40 rows drawn out of 400, each quarter of the file has 10 on average, fewer than 2 once in 10,000.
    assert np.histogram(rows, bins=4, range=(0, N_ROWS))[0].min() >= 2
    np.testing.assert_array_equal(chosen(strategy, task, seed=0), rows)
    assert len(np.intersect1d(chosen(strategy, task, seed=1), rows)) < N // 2


def test_a_class_at_the_end_of_the_file_is_found_though_all_members_of_a_committee_agree():
    """The first answers are of one class: no network can tell the rows apart."""
    rng = np.random.RandomState(0)
    X, y = rng.uniform(size=(600, 5)), np.where(np.arange(600) < 540, "common", "rare")
    sampler = AdaptiveLatentSampler(
        net_classifier(max_epochs=2), LinearLatent(2), strategy="committee", n_initial=10, n_per_round=90
    )
    first = np.arange(600) < 10
    labels = np.where(first, y, None)
    sampler.set_params(max_labels=90, oracle=lambda rows: ["common"] * len(rows), random_state=0)
    rows = sampler.fit(X, labels, labeled=first).queries_["position"].to_numpy()
    assert np.histogram(rows, bins=6, range=(0, 600))[0].min() >= 4
    other = sampler.set_params(random_state=1).fit(X, labels, labeled=first).queries_["position"]
    assert len(np.intersect1d(other, rows)) < 45


def test_equally_near_rows_are_drawn_at_random_and_others_come_in_order():
    codes = np.concatenate([np.zeros((300, 2)), [[0.1, 0.0], [0.2, 0.0]]]).astype(np.float32)
    allowed = np.arange(302) % 3 > 0
    search = [
        nearest_by_chance(ExactIndex(codes), codes[:2], 20, allowed, np.random.RandomState(i)) for i in (0, 1)
    ]
    rows = search[0][0]
    assert allowed[rows].all()
    assert all(len(set(line)) == 20 for line in rows.tolist())
    assert rows.max() > 200
    assert len(np.intersect1d(rows[0], search[1][0][0])) < 15
    few = np.isin(np.arange(302), [40, 7, 300, 301])
    rows, distances = nearest_by_chance(ExactIndex(codes), codes[:1], 9, few, np.random.RandomState(0))
    assert set(rows[0, :2].tolist()) == {7, 40}
    assert rows[0, 2:].tolist() == [300, 301]
    np.testing.assert_allclose(distances[0], [0, 0, 0.1, 0.2])


def test_rounding_makes_no_order():
    noise = 1e-11 * np.arange(2000)[::-1]
    order = ranked(1 - noise, np.random.RandomState(0))
    assert abs(np.corrcoef(order, np.arange(2000))[0, 1]) < 0.1
    noise = noise + np.where(np.arange(2000) == 70, -1.0, 0.0)
    assert ranked(noise, np.random.RandomState(0), rounding=1e-7)[0] == 70
    assert ranked([np.nan, np.inf, -np.inf, 3.0, 2.0], np.random.RandomState(0)).tolist() == [2, 4, 3, 1, 0]
    found = {
        one_of_largest(np.array([1.0, 0.5, np.nan, 1 - 1e-8, -np.inf]), np.random.RandomState(i))
        for i in range(9)
    }
    assert found == {0, 3}
    assert one_of_largest(np.array([-np.inf, np.nan]), np.random.RandomState(0)) == 1
