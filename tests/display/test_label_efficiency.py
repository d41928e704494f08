"""LabelEfficiencyDisplay: the mean and its interval, the order of the legend, and what is refused."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.exceptions import NotFittedError

from skalss import AdaptiveLatentSampler
from skalss.compare import compare_strategies, learning_areas
from skalss.display import LabelEfficiencyDisplay
from skalss.display.label_efficiency import GREY
from skalss.latent import LinearLatent
from skalss.nets import net_classifier

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make_results(**curves):
    """Make results of arm=[[score of each round] of each seed]."""
    lines = [
        {"arm": arm, "seed": seed, "round": i, "n_labels": 10 * (i + 1), "score": score}
        for arm, of_arm in curves.items()
        for seed, curve in enumerate(of_arm)
        for i, score in enumerate(curve)
    ]
    return pd.DataFrame(lines)


RESULTS = make_results(
    random=[[0.1, 0.3, 0.5], [0.2, 0.4, 0.6], [0.3, 0.2, 0.4]],
    worse=[[0.1, 0.2, 0.3], [0.2, 0.2, 0.4], [0.0, 0.3, 0.3]],
    better=[[0.4, 0.6, 0.9], [0.5, 0.6, 0.8], [0.3, 0.5, 0.7]],
)


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def bands(ax):
    return [band.get_paths()[0].vertices for band in ax.collections]


def test_lines_are_means_and_bands_their_interval():
    display = LabelEfficiencyDisplay.from_results(RESULTS)
    assert list(display.curves["arm"].unique()) == ["random", "worse", "better"]
    for arm, band in zip(("random", "worse", "better"), bands(display.ax_), strict=True):
        scores = (
            RESULTS[RESULTS["arm"] == arm].pivot(index="round", columns="seed", values="score").to_numpy()
        )
        line = display.lines_[arm]
        np.testing.assert_array_equal(line.get_xdata(), [10, 20, 30])
        np.testing.assert_allclose(line.get_ydata(), scores.mean(axis=1))
        expected = [stats.ttest_1samp(row, 0).confidence_interval(0.95) for row in scores]
        for n_labels, (low, high) in zip((10, 20, 30), expected, strict=True):
            heights = band[band[:, 0] == n_labels, 1]
            np.testing.assert_allclose([heights.min(), heights.max()], [low, high])


def test_the_legend_is_in_the_order_of_the_areas():
    display = LabelEfficiencyDisplay.from_results(RESULTS)
    expected = learning_areas(RESULTS).mean().sort_values(ascending=False).index.tolist()
    assert legend(display) == list(display.lines_) == expected == ["better", "random", "worse"]
    pd.testing.assert_series_equal(
        display.areas, learning_areas(RESULTS).mean()[["random", "worse", "better"]]
    )


def test_the_control_is_grey_and_the_others_are_not():
    lines = LabelEfficiencyDisplay.from_results(RESULTS).lines_
    assert lines["random"].get_color() == GREY
    assert GREY not in (lines["worse"].get_color(), lines["better"].get_color())
    other = LabelEfficiencyDisplay.from_results(RESULTS, control="worse").lines_
    assert other["worse"].get_color() == GREY
    assert other["random"].get_color() != GREY
    none = LabelEfficiencyDisplay.from_results(RESULTS, control=None).lines_
    assert GREY not in [line.get_color() for line in none.values()]


def test_arms_keep_their_colour_whoever_wins():
    swapped = RESULTS.replace({"arm": {"worse": "better", "better": "worse"}})
    swapped = swapped.sort_values("arm", key=lambda arm: arm.map(["random", "worse", "better"].index))
    colors = [
        {arm: line.get_color() for arm, line in LabelEfficiencyDisplay.from_results(r).lines_.items()}
        for r in (RESULTS, swapped)
    ]
    assert colors[0] == colors[1]


def test_many_arms_can_be_told_apart():
    names = ["random", *(f"arm {i}" for i in range(20))]
    lines = LabelEfficiencyDisplay.from_results(make_results(**{n: [[0.1, 0.2]] for n in names})).lines_
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines.values()}
    assert len(looks) == 21
    first = [lines[name] for name in names[1:9]]
    assert len({line.get_color() for line in first}) == len({line.get_marker() for line in first}) == 8


def test_one_seed_has_no_band():
    display = LabelEfficiencyDisplay.from_results(RESULTS[RESULTS["seed"] == 1])
    assert bands(display.ax_) == []
    assert display.curves[["low", "high"]].isna().all(axis=None)
    assert display.ax_.get_title(loc="left") == "one seed"


def test_axes_say_what_they_show():
    display = LabelEfficiencyDisplay.from_results(RESULTS)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("labels bought", "score")
    assert display.ax_.get_title(loc="left") == "mean of 3 seeds, 95 % interval"
    assert display.n_seeds == 3


@pytest.mark.parametrize(
    ("metric_name", "ylabel", "tick"),
    [
        ("accuracy", "accuracy in %", "40"),
        ("balanced_accuracy", "balanced accuracy in %", "40"),
        ("R²", "R²", "0.4"),
    ],
)
def test_an_accuracy_is_shown_in_percent(metric_name, ylabel, tick):
    display = LabelEfficiencyDisplay.from_results(RESULTS, metric_name=metric_name)
    display.figure_.canvas.draw()
    assert display.ax_.get_ylabel() == ylabel
    assert tick in [text.get_text() for text in display.ax_.get_yticklabels()]
    assert display.lines_["better"].get_ydata().max() < 1


def test_some_arms_are_drawn_in_the_order_asked():
    display = LabelEfficiencyDisplay.from_results(RESULTS, arms=["better", "random"])
    assert list(display.lines_) == ["better", "random"]
    assert list(LabelEfficiencyDisplay.from_results(RESULTS, arms="worse").lines_) == ["worse"]


def test_seeds_that_an_arm_lacks_are_left_out():
    lacking = RESULTS.drop(RESULTS.index[(RESULTS["arm"] == "worse") & (RESULTS["seed"] == 2)])
    display = LabelEfficiencyDisplay.from_results(lacking)
    assert display.n_seeds == 2
    np.testing.assert_allclose(display.lines_["random"].get_ydata(), [0.15, 0.35, 0.55])
    assert LabelEfficiencyDisplay.from_results(lacking, arms=["random", "better"]).n_seeds == 3


def test_own_axes_and_styles_are_used():
    figure, ax = plt.subplots()
    display = LabelEfficiencyDisplay.from_results(
        RESULTS,
        ax=ax,
        line_kw={"linewidth": 5},
        fill_kw={"alpha": 0.4},
        control_kw={"color": "black", "linewidth": 1},
    )
    assert (display.figure_, display.ax_) == (figure, ax)
    assert display.lines_["better"].get_linewidth() == 5
    assert display.lines_["random"].get_linewidth() == 1
    assert display.lines_["random"].get_color() == "black"
    assert {band.get_alpha() for band in ax.collections} == {0.4}


def test_plot_draws_again():
    display = LabelEfficiencyDisplay.from_results(RESULTS)
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first
    assert legend(display) == ["better", "random", "worse"]


# -- what comes out of skalss ---------------------------------------------------------------------

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def make_sampler(**params):
    return AdaptiveLatentSampler(
        net_classifier(max_epochs=2), LinearLatent(2), n_initial=5, n_per_round=5, max_labels=15, **params
    )


def test_the_results_of_a_comparison_name_their_score():
    results = compare_strategies(make_sampler(), X, Y, ["margin"], X_test=X[:40], y_test=Y[:40], seeds=2)
    display = LabelEfficiencyDisplay.from_results(results)
    assert display.metric_name == "accuracy"
    assert set(display.lines_) == {"random", "margin"}
    assert LabelEfficiencyDisplay.from_results(results, metric_name="mine").ax_.get_ylabel() == "mine"


def test_fitted_samplers_are_drawn():
    fitted = {
        name: [
            make_sampler(strategy=name, random_state=seed).fit(X, Y, X_val=X[:40], y_val=Y[:40])
            for seed in range(2)
        ]
        for name in ("margin", "random")
    }
    display = LabelEfficiencyDisplay.from_samplers(fitted, metric_name="accuracy")
    for name, samplers in fitted.items():
        scores = [sampler.history_["val_score"].dropna() for sampler in samplers]
        np.testing.assert_allclose(display.lines_[name].get_ydata(), np.mean(scores, axis=0))
        np.testing.assert_array_equal(display.lines_[name].get_xdata(), [5, 10, 15])
    assert display.n_seeds == 2
    assert display.lines_["random"].get_color() == GREY
    assert display.ax_.get_ylabel() == "accuracy in %"


def test_samplers_without_scores_are_refused():
    with pytest.raises(NotFittedError, match=r"is not fitted\. Fit it with X_val and y_val"):
        LabelEfficiencyDisplay.from_samplers({"margin": [make_sampler()]})
    fitted = make_sampler(strategy="random").fit(X, Y)
    with pytest.raises(ValueError, match=r"no val_score\. Pass X_val and y_val to fit"):
        LabelEfficiencyDisplay.from_samplers({"random": [fitted]})
    with pytest.raises(ValueError, match="samplers must hold a fitted sampler, got {}"):
        LabelEfficiencyDisplay.from_samplers({})


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("arms", [["best"], []], ids=["unknown", "none"])
def test_wrong_arms_are_refused(arms):
    with pytest.raises(ValueError, match=r"arms must be some of \['random', 'worse', 'better'\], got \["):
        LabelEfficiencyDisplay.from_results(RESULTS, arms=arms)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (RESULTS.drop(columns="score"), r"these have no column \['score'\]"),
        (RESULTS.iloc[:0], r"these have no rows"),
        (pd.DataFrame(), r"these have no column \['arm',"),
    ],
    ids=["column", "rows", "nothing"],
)
def test_other_tables_are_refused(results, message):
    with pytest.raises(ValueError, match=message):
        LabelEfficiencyDisplay.from_results(results)


def test_arms_without_a_common_seed_are_refused():
    apart = RESULTS[(RESULTS["arm"] == "random") != (RESULTS["seed"] == 0)]
    with pytest.raises(ValueError, match="a seed that was run with every arm"):
        LabelEfficiencyDisplay.from_results(apart)


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"LabelEfficiencyDisplay.plot draws .*skalss\[plot\]"):
        LabelEfficiencyDisplay.from_results(RESULTS)
