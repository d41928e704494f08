import re

import pytest

from skalss.strategies import (
    AdaptiveStrategy,
    BadgeStrategy,
    CommitteeStrategy,
    CoreSetStrategy,
    InterpolationStrategy,
    KMeansStrategy,
    LargestClusterStrategy,
    NearestNeighborStrategy,
    RandomCodesStrategy,
    RandomStrategy,
    TypicalStrategy,
    UncertaintyStrategy,
    is_auto,
    make_initial,
    make_strategy,
)

NAMES = {
    "auto": AdaptiveStrategy,
    "adaptive": AdaptiveStrategy,
    "kmeans": KMeansStrategy,
    "typical": TypicalStrategy,
    "coreset": CoreSetStrategy,
    "snn": NearestNeighborStrategy,
    "si": InterpolationStrategy,
    "random": RandomStrategy,
    "badge": BadgeStrategy,
    "committee": CommitteeStrategy,
    "lcmd": LargestClusterStrategy,
    "random_codes": RandomCodesStrategy,
    "mms": UncertaintyStrategy,
    "margin": UncertaintyStrategy,
    "entropy": UncertaintyStrategy,
    "least_confident": UncertaintyStrategy,
}

FOR_CLASSES = {"adaptive", "badge", "mms", "margin", "entropy", "least_confident"}


@pytest.mark.parametrize(("name", "kind"), NAMES.items())
def test_names(name, kind):
    strategy = make_strategy(name, "classification")
    assert type(strategy) is kind
    if kind is UncertaintyStrategy:
        assert strategy.score == name


def test_a_strategy_passes_unchanged():
    strategy = NearestNeighborStrategy(step=2.0)
    assert make_strategy(strategy) is strategy


@pytest.mark.parametrize("name", ["bald", "SNN", ""])
def test_unknown_names_are_answered_with_the_known(name):
    with pytest.raises(
        ValueError,
        match=rf"strategy must be one of \['auto', .*'snn', 'typical'\] .*got '{re.escape(name)}'",
    ):
        make_strategy(name)


@pytest.mark.parametrize(
    "strategy", [None, 3, NearestNeighborStrategy, object()], ids=["None", "int", "class", "object"]
)
def test_what_is_no_strategy(strategy):
    with pytest.raises(TypeError, match="or a BaseStrategy object, got"):
        make_strategy(strategy)


@pytest.mark.parametrize("strategy", [*sorted(FOR_CLASSES), UncertaintyStrategy()])
def test_a_strategy_for_classes_is_refused_for_regression(strategy):
    with pytest.raises(
        ValueError,
        match=r"Strategy\(.*\) serves classification and .*multilabel.*, got a regression task\. "
        r"Choose one of \['auto', 'committee', 'coreset', 'kmeans', 'lcmd', 'random', 'random_codes', 'si', "
        r"'snn', 'typical'\]",
    ):
        make_strategy(strategy, "regression")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FOR_CLASSES])
def test_these_serve_regression(name):
    assert "regression" in make_strategy(name, "regression").tasks


def test_wrong_parameters_are_found_before_anything_runs():
    with pytest.raises(ValueError, match="step must be a finite number above 0, got -1"):
        make_strategy(NearestNeighborStrategy(step=-1))
    with pytest.raises(ValueError, match="score must be one of"):
        make_strategy(UncertaintyStrategy("bald"))


def test_auto_is_lcmd_for_values():
    assert isinstance(make_strategy("auto", "regression"), LargestClusterStrategy)
    assert isinstance(make_strategy("auto"), AdaptiveStrategy)  # of any task


def test_auto_is_a_name():
    assert is_auto("auto")
    assert not is_auto("adaptive")
    assert not is_auto(AdaptiveStrategy())


@pytest.mark.parametrize(
    ("initial", "strategy", "task", "kind"),
    [
        ("auto", "auto", "classification", KMeansStrategy),
        ("auto", "auto", "regression", RandomStrategy),
        ("auto", "mms", "classification", RandomStrategy),
        ("auto", KMeansStrategy(), "classification", RandomStrategy),
        ("typical", "mms", "classification", TypicalStrategy),
        ("coreset", "auto", "regression", CoreSetStrategy),
        ("random_codes", "auto", "regression", RandomCodesStrategy),
        (LargestClusterStrategy(space="codes"), "auto", "regression", LargestClusterStrategy),
        (KMeansStrategy(n_candidates=100), "auto", "regression", KMeansStrategy),
    ],
)
def test_how_the_first_rows_are_chosen(initial, strategy, task, kind):
    assert isinstance(make_initial(initial, strategy, task), kind)


@pytest.mark.parametrize(
    "initial", ["mms", "badge", "nonsense", UncertaintyStrategy(), CoreSetStrategy("features")]
)
def test_what_needs_labels_cannot_come_first(initial):
    with pytest.raises(ValueError, match="initial.*kmeans"):
        make_initial(initial)


def test_what_only_looks_like_a_strategy_is_refused():
    class Looks:
        def query(self, snapshot, n):
            return None

    with pytest.raises(TypeError, match="or a BaseStrategy object, got"):
        make_strategy(Looks(), "classification")
