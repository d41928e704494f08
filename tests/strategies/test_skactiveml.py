import sys
from contextlib import nullcontext

import numpy as np
import pytest

pool = pytest.importorskip("skactiveml.pool")

from skactiveml.base import SingleAnnotatorPoolQueryStrategy  # noqa: E402
from skactiveml.classifier import ParzenWindowClassifier  # noqa: E402
from skactiveml.pool.multiannotator import SingleAnnotatorWrapper  # noqa: E402
from skactiveml.regressor import SklearnRegressor  # noqa: E402
from sklearn.linear_model import LinearRegression  # noqa: E402

from skalss import AdaptiveLatentSampler, strategies  # noqa: E402
from skalss.latent import LinearLatent  # noqa: E402
from skalss.nets import net_classifier, net_regressor  # noqa: E402
from skalss.strategies import (  # noqa: E402
    CommitteeStrategy,
    CoreSetStrategy,
    SkactivemlStrategy,
    UncertaintyStrategy,
    make_initial,
    make_strategy,
)
from skalss.targets import Classes  # noqa: E402

SERVED = [
    pool.RandomSampling(),
    pool.UncertaintySampling(method="margin_sampling"),
    pool.UncertaintySampling(method="entropy"),
    pool.Badge(),
    pool.CoreSet(),
    pool.TypiClust(),
    pool.ProbCover(),
    pool.Clue(),
    pool.ContrastiveAL(),
    pool.Falcun(),
    pool.QueryByCommittee(),
    pool.GreedyBALD(),
    pool.SubSamplingWrapper(pool.UncertaintySampling(), max_candidates=0.5),
]


class Chooses(SingleAnnotatorPoolQueryStrategy):
    """Chooses what a function of the arguments says."""

    def __init__(self, function=None, missing_label=np.nan, random_state=None):
        super().__init__(missing_label=missing_label, random_state=random_state)
        self.function = function

    def query(self, X, y, candidates=None, batch_size=1, return_utilities=False):
        picked = self.function(X, y, candidates, batch_size)
        return picked, np.arange(batch_size * len(X), dtype=float).reshape(batch_size, -1)


def _fit(world, strategy, y, **params):
    net = net_classifier if world.task == "classification" else net_regressor
    settings = {
        "n_initial": 20,
        "n_per_round": 10,
        "max_labels": 40,
        "random_state": 0,
    }
    sampler = AdaptiveLatentSampler(
        net(max_epochs=3), latent_model=LinearLatent(4), strategy=strategy, **{**settings, **params}
    )
    return sampler.fit(world.X, y)


@pytest.mark.parametrize("query_strategy", SERVED, ids=str)
def test_each_space_serves_and_the_seed_decides(query_strategy, world):
    names = np.array(list("abcdefghij"))
    state = {"y_labeled": names[world.y[world.labeled]], "target": Classes(names)}
    before = str(query_strategy), vars(query_strategy).keys()
    for space in ("codes", "features", "original"):
        strategy = SkactivemlStrategy(query_strategy, n_candidates=60, space=space, n_members=2)
        rows = strategy.query(world.snapshot(**state), 10).rows
        assert len(set(rows)) == 10
        np.testing.assert_array_equal(strategy.query(world.snapshot(**state), 10).rows, rows)
    assert (str(query_strategy), vars(query_strategy).keys()) == before


@pytest.mark.parametrize("query_strategy", [pool.Badge(), pool.QueryByCommittee()], ids=str)
def test_in_a_campaign_with_text_labels(query_strategy, world):
    strategy = SkactivemlStrategy(query_strategy, n_candidates=60, n_members=2)
    fitted = _fit(world, strategy, world.y.astype(str))
    assert fitted.n_labels_ == len(set(fitted.labeled_indices_)) == 40
    again = _fit(world, strategy, world.y.astype(str))
    np.testing.assert_array_equal(fitted.labeled_indices_, again.labeled_indices_)


@pytest.mark.parametrize(("theirs", "ours"), [("margin_sampling", "margin"), ("entropy", "entropy")])
@pytest.mark.parametrize("space", ["codes", "features", "original"])
def test_the_network_is_asked_about_the_right_rows(theirs, ours, space, world):
    strategy = SkactivemlStrategy(pool.UncertaintySampling(method=theirs), space=space)
    snapshot = world.snapshot()
    picked = strategy.query(snapshot, 12).rows
    np.testing.assert_array_equal(picked, UncertaintyStrategy(ours).query(world.snapshot(), 12).rows)
    assert snapshot.network.n_rows == 150  # in one pass


@pytest.mark.parametrize("space", ["codes", "features"])
def test_labelled_rows_are_told_from_candidates(space, world):
    theirs = SkactivemlStrategy(pool.CoreSet(), space=space).query(world.snapshot(), 12)
    ours = CoreSetStrategy(space).query(world.snapshot(), 12)
    np.testing.assert_array_equal(theirs.rows, ours.rows)
    np.testing.assert_allclose(theirs.scores, ours.scores, rtol=1e-3)


def test_an_ensemble_is_the_committee(world):
    theirs = SkactivemlStrategy(pool.QueryByCommittee(), space="original").query(world.snapshot(), 12)
    ours = CommitteeStrategy().query(world.snapshot(), 12)
    np.testing.assert_array_equal(theirs.rows, ours.rows)
    np.testing.assert_allclose(theirs.scores, ours.scores, rtol=1e-3)


def test_labels_are_numbers_of_classes_and_nan(world):
    seen = {}

    def look(X, y, candidates, n):
        seen.update(X=X, y=y, candidates=candidates)
        return candidates[:n]

    names = np.array(list("abcdefghij"))
    snapshot = world.snapshot(y_labeled=names[world.y[world.labeled]], target=Classes(names))
    strategy = SkactivemlStrategy(Chooses(look), space="original")
    ids = strategy.query(snapshot, 5).rows
    np.testing.assert_array_equal(ids, snapshot.unlabeled[:5])
    np.testing.assert_array_equal(seen["y"][world.labeled], world.y[world.labeled])
    assert np.isnan(seen["y"]).sum() == 110
    assert seen["X"] is world.X or np.shares_memory(seen["X"], world.X)  # no copy of the whole pool
    assert not snapshot.network.n_rows


def test_rows_picked_twice_or_not_to_be_asked_are_replaced(world):
    def pick(X, y, candidates, n):
        labelled = np.flatnonzero(~np.isnan(y))
        return np.concatenate([candidates[[5, 5, 7]], labelled[:3], candidates[[9]]])[:n]

    snapshot = world.snapshot()
    candidates = SkactivemlStrategy(Chooses(pick), space="original").query(snapshot, 7)
    assert len(set(candidates.rows)) == 7
    np.testing.assert_array_equal(candidates.rows[:3], snapshot.unlabeled[[5, 7, 9]])
    assert set(candidates.rows) <= set(snapshot.unlabeled)
    np.testing.assert_array_equal(np.isnan(candidates.scores), [False] * 3 + [True] * 4)


def test_candidates_are_a_part_of_the_pool(world):
    snapshot = world.snapshot()
    SkactivemlStrategy(pool.UncertaintySampling(), n_candidates=30).query(snapshot, 5)
    assert world.counting_net.rows == {"features_and_logits": 40 + 30}


@pytest.mark.parametrize("query_strategy", [pool.GreedySamplingX(), pool.TypiClust()], ids=str)
def test_regression(query_strategy, world_of):
    world = world_of("regression")
    assert _fit(world, SkactivemlStrategy(query_strategy), world.y).n_labels_ == 40


def test_what_the_user_passes_goes_to_the_query(world_of):
    classes, values = world_of("classification"), world_of("regression")
    regressor = SklearnRegressor(LinearRegression())
    discriminator = ParzenWindowClassifier(classes=[0, 1])
    strategy = SkactivemlStrategy(pool.DiscriminativeAL(), query_params={"discriminator": discriminator})
    assert _fit(classes, strategy, classes.y, max_labels=30).n_labels_ == 30
    strategy = SkactivemlStrategy(pool.GreedySamplingTarget(), query_params={"reg": regressor})
    assert strategy.tasks == {"regression"}
    assert _fit(values, strategy, values.y, max_labels=30).n_labels_ == 30
    for query_strategy in (pool.UncertaintySampling(), pool.MonteCarloEER()):
        parzen = ParzenWindowClassifier(classes=range(10))
        strategy = SkactivemlStrategy(query_strategy, 10, space="codes", query_params={"clf": parzen})
        assert len(set(strategy.query(classes.snapshot(network=lambda: None), 5).rows)) == 5


def test_tasks_and_need_of_labels():
    random = SkactivemlStrategy(pool.RandomSampling(), space="codes")
    assert make_initial(random) is random
    assert random.tasks == {"classification", "regression"}
    for needs in (SkactivemlStrategy(pool.Badge(), space="codes"), SkactivemlStrategy(pool.TypiClust())):
        with pytest.raises(ValueError, match="needs labels or a trained network"):
            make_initial(needs)
    with pytest.raises(ValueError, match="serves classification, got a regression task"):
        make_strategy(SkactivemlStrategy(pool.Badge()), "regression")


def test_first_rows_before_there_are_labels(world):
    initial = SkactivemlStrategy(pool.TypiClust(), space="codes")
    assert (
        _fit(world, "margin", world.y, initial=initial).queries_["strategy"].iloc[0] == "SkactivemlStrategy"
    )


@pytest.mark.parametrize(
    ("query_strategy", "params", "error", "match"),
    [
        (None, {}, TypeError, r"must be a strategy of skactiveml.pool for one annotator, .* got None"),
        (pool.CoreSet, {}, TypeError, "for one annotator"),
        (SingleAnnotatorWrapper(pool.CoreSet()), {}, TypeError, "for one annotator"),
        (
            pool.DiscriminativeAL(),
            {},
            TypeError,
            r"needs discriminator, .* query_params=\{'discriminator': \.\.\.\}",
        ),
        (pool.MonteCarloEER(), {}, TypeError, "MonteCarloEER trains its classifier anew .*'clf': Parzen"),
        (pool.GreedySamplingTarget(), {}, TypeError, "GreedySamplingTarget needs reg, which a campaign does"),
        (
            pool.CoreSet(),
            {"query_params": {"clf": 1}},
            TypeError,
            "holds clf, but the query of CoreSet takes X",
        ),
        (pool.CoreSet(), {"space": "pixels"}, ValueError, r"space must be one of \['codes', .* got 'pixels'"),
        (pool.CoreSet(), {"n_candidates": 0}, ValueError, "n_candidates must be .*, got 0"),
        (pool.CoreSet(), {"n_members": 0}, ValueError, "n_members must be .*, got 0"),
    ],
)
def test_what_cannot_be_served_is_refused_at_once(query_strategy, params, error, match):
    with pytest.raises(error, match=match):
        make_strategy(SkactivemlStrategy(query_strategy, **params))


def test_a_strategy_that_would_train_the_network(world):
    class Trains(pool.UncertaintySampling):
        def query(self, X, y, clf, candidates=None, batch_size=1, return_utilities=False):
            clf.fit(X, y)

    with pytest.raises(TypeError, match="wants to train its classifier.*query_params"):
        SkactivemlStrategy(Trains()).query(world.snapshot(), 2)


@pytest.mark.parametrize("fails", [False, True])
def test_what_draws_from_the_global_generators_is_seeded_and_leaves_them_alone(fails, world):
    def pick(X, y, candidates, n):
        if fails:
            raise ZeroDivisionError
        return np.random.permutation(candidates)[:n]  # noqa: NPY002

    strategy, picked = SkactivemlStrategy(Chooses(pick)), []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        with pytest.raises(ZeroDivisionError) if fails else nullcontext():
            picked.append(strategy.query(world.snapshot(), 10).rows.tolist())
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert fails or picked[0] == picked[1]


def test_a_strategy_that_changes_rows(world):
    strategy = SkactivemlStrategy(pool.DropQuery(), n_candidates=30)
    with pytest.raises(TypeError, match="rows that are neither candidates nor labelled"):
        strategy.query(world.snapshot(), 2)


def test_without_scikit_activeml(world, monkeypatch):
    strategy = SkactivemlStrategy(pool.RandomSampling())
    monkeypatch.delattr(strategies, "skactiveml_network", raising=False)
    monkeypatch.delitem(sys.modules, "skalss.strategies.skactiveml_network", raising=False)
    monkeypatch.setitem(sys.modules, "skactiveml.base", None)
    with pytest.raises(ImportError, match=r'Run: pip install "skalss\[skactiveml\]"'):
        strategy.query(world.snapshot(), 3)
