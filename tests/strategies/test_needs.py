"""What a strategy asks of the model that is trained, and what is refused where a model cannot answer."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.nets import net_regressor
from skalss.network import SklearnModel, make_task_model
from skalss.strategies import STRATEGIES as NAMED
from skalss.strategies import (
    BaseStrategy,
    Candidates,
    CommitteeStrategy,
    CoreSetStrategy,
    InterpolationStrategy,
    KMeansStrategy,
    LargestClusterStrategy,
    RandomStrategy,
    TypicalStrategy,
    UncertaintyStrategy,
    check_needs,
    make_strategy,
)

from .cases import STRATEGIES, each

METHODS = {
    "logits": {"logits"},
    "features": {"features", "features_and_logits", "head_weight"},
    "gradient": {"loss_gradient", "forward"},
}
ALL = frozenset(METHODS)


class Limited:
    """A task model with some of its abilities, which answers nothing else but predictions."""

    def __init__(self, model, abilities):
        allowed = {"predict", "predict_proba", "classes_", "target_"}
        allowed |= {method for ability in abilities for method in METHODS[ability]}
        self.abilities = abilities
        self._model, self._allowed = model, allowed

    def __getattr__(self, name):
        if name not in self._allowed:
            raise AttributeError(f"{name} was asked for, which is not in {sorted(self.abilities)}")
        return getattr(self._model, name)


def refuse(*args, **kwargs):
    raise AssertionError("asked for what it does not need")


@each(STRATEGIES)
def test_a_strategy_asks_for_no_more_than_it_needs(strategy, task, model, world_of):
    world = world_of(task)
    assert strategy.needs <= ALL | {"labels"}
    abilities = strategy.needs & ALL
    snapshot = world.snapshot(
        network=lambda: Limited(world.network, abilities),
        member=lambda number: Limited(world.member(number), abilities),
    )
    candidates = strategy.query(snapshot, 10)
    assert len(candidates.rows if candidates.codes is None else candidates.codes) == 10


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if not s.needs], ids=str)
def test_what_needs_nothing_asks_no_network_and_can_choose_before_there_are_labels(strategy, world):
    nothing = {"labeled": np.arange(0), "y_labeled": world.y[:0]}
    candidates = strategy.query(world.snapshot(network=refuse, member=refuse, **nothing), 10)
    assert len(candidates.rows if candidates.codes is None else candidates.codes) == 10


@pytest.mark.parametrize(
    "strategy",
    [
        RandomStrategy(),
        UncertaintyStrategy("margin"),
        UncertaintyStrategy("mms"),
        CommitteeStrategy(n_members=2),
        CoreSetStrategy("features"),
        LargestClusterStrategy(),
    ],
    ids=str,
)
def test_these_need_no_codes(strategy, world):
    assert len(strategy.query(world.snapshot(latent=refuse), 10).rows) == 10


@pytest.mark.parametrize(
    "strategy", [RandomStrategy(), KMeansStrategy(), TypicalStrategy(), CoreSetStrategy()], ids=str
)
def test_these_read_no_row(strategy, world):
    snapshot = world.snapshot(network=refuse, unread=True, taken=world.taken)
    assert len(strategy.query(snapshot, 10).rows) == 10


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["forest", "linear"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_strategy_works_or_is_refused_with_those_that_work(model, task, world_of):
    world = world_of(task, model)
    n_refused = 0
    for strategy in [s for s in STRATEGIES if task in s.tasks]:
        abilities = world.network.abilities
        if strategy.needs <= abilities | {"labels"}:
            check_needs(strategy, abilities, world.network)
            candidates = strategy.query(world.snapshot(), 3)
            assert len(candidates.rows if candidates.codes is None else candidates.codes) == 3
            continue
        n_refused += 1
        with pytest.raises(ValueError, match="needs .*, which .* does not have. Choose one of") as error:
            check_needs(strategy, abilities, world.network)
        listed = str(error.value).partition("Choose one of [")[2].partition("]")[0]
        named = listed.replace("'", "").split(", ")
        for name in named:
            check_needs(make_strategy(name, task), abilities, world.network)
        others = {name for name in NAMED if task in NAMED[name]().tasks} - set(named)
        for name in others:
            with pytest.raises(ValueError, match="does not have"):
                check_needs(make_strategy(name), abilities, world.network)
    assert n_refused > 5


@pytest.mark.parametrize(
    ("strategy", "missing"),
    [
        (make_strategy("badge"), "needs the input of a last linear layer and class scores"),
        (make_strategy("mms"), "needs the input of a last linear layer and class scores"),
        (make_strategy("margin"), "needs class scores"),
        (make_strategy("snn"), "needs gradients of the loss"),
        (InterpolationStrategy(climb="disagreement"), "needs gradients of the loss"),
        (CoreSetStrategy("features"), "needs the input of a last linear layer"),
        (LargestClusterStrategy(space="features"), "needs the input of a last linear layer"),
        (LargestClusterStrategy(space="gradients"), "needs a linear layer or a convolution that is trained"),
    ],
    ids=str,
)
def test_the_error_says_what_is_missing_and_whose(strategy, missing):
    model = make_task_model(LogisticRegression(C=3.0))
    with pytest.raises(ValueError, match=rf"{missing}, which LogisticRegression\(C=3.0\) does not have"):
        check_needs(strategy, frozenset(), model)


def test_only_strategies_for_the_task_are_named():
    """A network of values without a last linear layer has scores, which no strategy for classes may use."""
    abilities = frozenset({"logits", "gradient"})
    with pytest.raises(ValueError, match="Choose one of") as error:
        check_needs(CoreSetStrategy("features"), abilities, TaskNet(net_regressor()))
    assert "'snn'" in str(error.value)
    assert "'margin'" not in str(error.value)


@pytest.mark.parametrize("model", [TaskNet(), SklearnModel(LogisticRegression())], ids=str)
def test_a_model_that_can_do_everything_is_not_refused(model):
    for name in NAMED:
        check_needs(make_strategy(name), ALL, model)


def test_an_unknown_need_is_named():
    class Psychic(RandomStrategy):
        needs = frozenset({"labels", "foresight"})

    with pytest.raises(ValueError, match="foresight"):
        check_needs(Psychic(), ALL, TaskNet())


# -- a strategy of the user's own -----------------------------------------------------------------


class EveryOther(BaseStrategy):
    def query(self, snapshot, n):
        return Candidates(rows=snapshot.unlabeled[::2][:n])


class LeastLikely(BaseStrategy):
    """Asks what is trained about rows, without a word on what it needs."""

    def query(self, snapshot, n):
        highest = snapshot.network.logits(snapshot.unlabeled).max(axis=1)
        return Candidates(rows=snapshot.unlabeled[highest.argsort()[:n]])


class NeedsGradients(EveryOther):
    needs = frozenset({"labels", "gradient"})


@pytest.mark.parametrize("model", ["net", "forest"])
@pytest.mark.parametrize("strategy", [EveryOther(), LeastLikely()], ids=str)
def test_a_strategy_with_a_query_alone_works_in_a_campaign(strategy, model, world_of):
    world = world_of("classification", model)
    sampler = AdaptiveLatentSampler(
        world.estimator, strategy=strategy, n_initial=20, n_per_round=10, max_labels=40, random_state=0
    ).fit(world.X, world.y)
    assert sampler.n_labels_ == len(set(sampler.labeled_indices_)) == 40
    assert sampler.queries_["strategy"].tolist()[20:] == [type(strategy).__name__] * 20
    assert sampler.latent_model_ is None
    if isinstance(strategy, EveryOther):
        free = np.setdiff1d(np.arange(150), sampler.labeled_indices_[:20])
        assert sampler.labeled_indices_[20:30].tolist() == free[::2][:10].tolist()


def test_what_it_says_that_it_needs_is_refused_before_anything_is_asked(world_of):
    asked = []
    sampler = AdaptiveLatentSampler(
        world_of("regression", "linear").estimator, strategy=NeedsGradients(), oracle=asked.append
    )
    with pytest.raises(ValueError, match=r"NeedsGradients\(\) needs gradients of the loss, which Ridge\(\)"):
        sampler.fit(np.zeros((100, 3)) + np.arange(100)[:, None])
    assert not asked


def test_first_rows_are_not_left_to_a_strategy_that_does_not_say_it_needs_no_labels(world):
    with pytest.raises(ValueError, match="needs labels or a trained network"):
        AdaptiveLatentSampler(initial=EveryOther()).fit(world.X, world.y)
