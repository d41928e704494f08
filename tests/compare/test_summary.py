"""The summary of a comparison: numbers checked by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skalss.compare import labels_to_target, learning_areas, mean_interval, paired_runs, summarize_comparison


def curves(scores, n_labels=(10, 20, 40)):
    """Make results of arm → a list of curves, one a seed."""
    lines = [
        {"arm": arm, "seed": seed, "round": i, "n_labels": n, "n_queries": n, "score": score}
        | {"network_rows": 100 * i, "latent_seconds": 0.0, "query_seconds": 1.0, "fit_seconds": 2.0}
        | {"class_balance": 0.9 + 0.01 * i, "settings": arm}
        for arm, of_arm in scores.items()
        for seed, curve in enumerate(of_arm)
        for i, (n, score) in enumerate(zip(n_labels, curve, strict=True))
    ]
    return pd.DataFrame(lines)


SCORES = {
    "random": [[0.1, 0.3, 0.5], [0.2, 0.4, 0.4], [0.0, 0.2, 0.6]],
    "a": [[0.1, 0.5, 0.7], [0.2, 0.6, 0.8], [0.0, 0.4, 0.9]],
    "b": [[0.3, 0.5, 0.5], [0.4, 0.5, 0.7], [0.2, 0.3, 0.9]],
}

# trapezoids: (10 (s0 + s1) / 2 + 20 (s1 + s2) / 2) / 30
AREAS = {arm: [(s0 + 3 * s1 + 2 * s2) / 6 for s0, s1, s2 in of_arm] for arm, of_arm in SCORES.items()}


def test_areas_are_those_computed_by_hand():
    areas = learning_areas(curves(SCORES))
    for arm, expected in AREAS.items():
        np.testing.assert_allclose(areas[arm], expected)
    assert learning_areas(curves({"a": [[0.4]]}, n_labels=[10])).loc[0, "a"] == 0.4
    assert learning_areas(curves({"a": [[0.2, 0.4]]}, n_labels=[10, 10])).loc[0, "a"] == pytest.approx(0.3)


def test_the_summary_is_that_computed_by_hand():
    summary = summarize_comparison(curves(SCORES))
    assert summary.index.tolist() == ["random", "a", "b"]
    np.testing.assert_allclose(summary["aubc"], [100 * np.mean(AREAS[arm]) for arm in SCORES])
    np.testing.assert_allclose(summary["final"], [50, 80, 70])
    # The control's mean curve ends at 0.5: a reaches it at 20, b between 20 (13/30) and 40 (0.7).
    b = 20 + 20 * (0.5 - 1.3 / 3) / (0.7 - 1.3 / 3)
    np.testing.assert_allclose(summary["labels_to_target"], [40, 20, b])
    np.testing.assert_allclose(summary["times_fewer"], [1, 2, 40 / b])
    assert (summary["network_rows"] == 150).all()
    assert (summary["query_seconds"] == 3).all()
    assert (summary["fit_seconds"] == 6).all()
    np.testing.assert_allclose(summary["class_balance"], 0.92)


@pytest.mark.parametrize("arm", ["a", "b"])
def test_the_gain_and_its_interval_are_paired(arm):
    line = summarize_comparison(curves(SCORES)).loc[arm]
    gain = 100 * (np.array(AREAS[arm]) - AREAS["random"])
    low, high = stats.ttest_rel(AREAS[arm], AREAS["random"]).confidence_interval(0.95)
    np.testing.assert_allclose(line[["gain", "gain_low", "gain_high"]], [gain.mean(), 100 * low, 100 * high])


def test_over_best_is_over_the_best_other_arm():
    summary = summarize_comparison(curves(SCORES))
    means = {arm: np.mean(areas) for arm, areas in AREAS.items()}
    assert means["a"] > means["b"] > means["random"]
    for arm, best in {"random": "a", "a": "b", "b": "a"}.items():
        assert summary.loc[arm, "over_best"] == pytest.approx(100 * (means[arm] - means[best]))
    low, high = stats.ttest_rel(AREAS["a"], AREAS["b"]).confidence_interval(0.95)
    np.testing.assert_allclose(summary.loc["a", ["over_best_low", "over_best_high"]], [100 * low, 100 * high])


def test_one_seed_has_no_interval():
    summary = summarize_comparison(curves({arm: of_arm[:1] for arm, of_arm in SCORES.items()}))
    assert summary[["gain_low", "gain_high", "over_best_low", "over_best_high"]].isna().all(axis=None)
    assert summary["gain"].notna().all()


def test_a_target_and_a_control_can_be_given():
    summary = summarize_comparison(curves(SCORES), control="b", target=0.75)
    assert summary["labels_to_target"].tolist() == [np.inf, pytest.approx(20 + 20 * 0.25 / 0.3), np.inf]
    assert summary.loc["b", "gain"] == 0
    assert summary.loc["a", "gain"] == pytest.approx(100 * (np.mean(AREAS["a"]) - np.mean(AREAS["b"])))


def test_seeds_that_an_arm_lacks_are_left_out():
    lacking = curves({**SCORES, "a": SCORES["a"][:2]})
    expected = summarize_comparison(curves({arm: of_arm[:2] for arm, of_arm in SCORES.items()}))
    pd.testing.assert_frame_equal(summarize_comparison(lacking), expected)
    assert sorted(paired_runs(lacking)["seed"].unique()) == [0, 1]


def test_no_common_seed_is_refused():
    apart = curves({"random": SCORES["random"], "a": SCORES["a"][:1]})
    apart.loc[apart["arm"] == "a", "seed"] = 9
    with pytest.raises(ValueError, match=r"run with every arm; the seeds of each are .*'a': \[9\]"):
        summarize_comparison(apart)


def test_an_unknown_control_is_refused():
    with pytest.raises(ValueError, match=r"control must be one of \['random', 'a', 'b'\], got 'c'"):
        summarize_comparison(curves(SCORES), control="c")


def test_a_control_alone_is_summarized():
    summary = summarize_comparison(curves({"random": SCORES["random"]}))
    assert summary.loc["random", ["gain", "over_best", "times_fewer"]].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("scores", "target", "expected"),
    [
        ([0.2, 0.4, 0.8], 0.1, 10),
        ([0.2, 0.4, 0.8], 0.2, 10),
        ([0.2, 0.4, 0.8], 0.3, 15),
        ([0.2, 0.4, 0.8], 0.5, 25),
        ([0.2, 0.4, 0.8], 0.8, 40),
        ([0.2, 0.4, 0.8], 0.9, np.inf),
        ([0.2, 0.6, 0.5], 0.5, 17.5),  # the first time, though it falls again
    ],
)
def test_labels_to_target(scores, target, expected):
    curve = pd.Series(scores, index=[10, 20, 40])
    assert labels_to_target(curve, target) == pytest.approx(expected)


def test_mean_interval_is_that_of_students_t():
    values = np.array([0.3, 0.5, 0.9, 0.4])
    mean, low, high = mean_interval(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean, low, high) == (pytest.approx(values.mean()), *map(pytest.approx, expected))
    assert mean_interval([0.4])[0] == 0.4
    assert np.isnan(mean_interval([0.4])[1:]).all()
