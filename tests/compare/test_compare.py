"""compare_strategies and its summary: paired arms, kept runs, and numbers checked by hand."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from scipy import stats
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, make_scorer

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.compare import (
    compare_strategies,
    labels_to_target,
    learning_areas,
    mean_interval,
    paired_runs,
    summarize_comparison,
)
from skalss.compare import run as compare_module
from skalss.datasets import load_digits_pool
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import FunctionOracle
from skalss.strategies import RandomStrategy, UncertaintyStrategy

POOL = load_digits_pool()
X, Y = POOL.X[:200], POOL.y[:200]
TEST = {"X_test": POOL.X_test[:100], "y_test": POOL.y_test[:100]}
SECONDS = ["latent_seconds", "query_seconds", "fit_seconds"]


def make_sampler(net=None, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 30,
        "device": "cpu",
    }
    return AdaptiveLatentSampler(net or net_classifier(max_epochs=5), **{**defaults, **params})


def compare(strategies, sampler=None, *, y=Y, **params):
    params = {**TEST, "seeds": 2, **params}
    return compare_strategies(sampler or make_sampler(), X, y, strategies, **params)


def without_seconds(results):
    return results.drop(columns=SECONDS)


def rows_asked(monkeypatch):
    """Collect the positions asked in each campaign of this process, keyed by strategy and seed."""
    asked, run = {}, compare_module._run

    def watched(sampler, *data):
        kept = []

        class Watched(compare_module.Campaign):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                kept.append(self)

        monkeypatch.setattr(compare_module, "Campaign", Watched)
        table = run(sampler, *data)
        asked[data[-1]["arm"], data[-1]["seed"]] = kept[0].queries["position"].to_numpy()
        return table

    monkeypatch.setattr(compare_module, "_run", watched)
    return asked


# -- the table ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results():
    return compare({"margin": "margin", "clusters": {"strategy": "margin", "initial": "kmeans"}})


def test_the_table_has_a_row_for_each_arm_seed_and_round(results):
    assert results.columns.tolist() == (
        ["arm", "seed", "settings", "round", "n_labels", "n_queries", "score", "network_rows"]
        + [*SECONDS, "class_balance"]
    )
    expected = [
        (arm, seed, round_)
        for arm in ("random", "margin", "clusters")
        for seed in (0, 1)
        for round_ in range(3)
    ]
    assert list(zip(results["arm"], results["seed"], results["round"], strict=True)) == expected
    assert results["n_labels"].tolist() == [10, 20, 30] * 6
    assert results["n_queries"].tolist() == results["n_labels"].tolist()
    assert results["score"].between(0, 1).all()
    assert results["class_balance"].between(0, 1).all()
    assert results.groupby("arm")["settings"].nunique().eq(1).all()
    assert results["settings"].nunique() == 3
    assert results.attrs["metric_name"] == "accuracy"


def test_columns_are_numbers(results):
    assert results[["seed", "round", "n_labels", "n_queries", "network_rows"]].dtypes.eq("int64").all()
    assert results[["score", *SECONDS, "class_balance"]].dtypes.eq("float64").all()


def test_network_rows_are_those_passed_to_choose(results):
    rows = results.groupby(["arm", "seed"])["network_rows"].agg(list)
    assert rows["random", 0] == [0, 0, 0]
    assert rows["margin", 1] == [0, 190, 180]


def test_class_balance_is_the_entropy_of_the_classes_bought(monkeypatch):
    asked = rows_asked(monkeypatch)
    table = compare([], seeds=1)
    bought = Y[asked["random", 0]]
    expected = [stats.entropy(np.bincount(bought[:n])) / np.log(10) for n in (10, 20, 30)]
    np.testing.assert_allclose(table["class_balance"], expected, atol=1e-4)


def test_the_scores_are_those_of_the_campaign_of_that_seed(results):
    sampler = make_sampler(strategy="margin", initial="random", pseudo_labels=None, random_state=1)
    fitted = sampler.fit(X, Y, X_val=TEST["X_test"], y_val=TEST["y_test"])
    curve = results[(results["arm"] == "margin") & (results["seed"] == 1)]["score"]
    np.testing.assert_allclose(curve, fitted.history_["val_score"].dropna(), atol=1e-5)


def test_seconds_hold_what_a_committee_trains_before_it_asks(monkeypatch):
    kept, campaign = [], compare_module.Campaign

    class Watched(campaign):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            kept.append(self)

    monkeypatch.setattr(compare_module, "Campaign", Watched)
    table = compare(["committee"], seeds=1)
    for arm, of_arm in zip(("random", "committee"), kept[-2:], strict=True):
        spent = table[table["arm"] == arm][SECONDS].sum()
        np.testing.assert_allclose(spent, of_arm.history[SECONDS].sum(), atol=0.005)


# -- pairing --------------------------------------------------------------------------------------


def test_arms_that_start_alike_share_their_first_rows(monkeypatch):
    asked = rows_asked(monkeypatch)
    table = compare(["margin", "mms"])
    for seed in (0, 1):
        first = asked["random", seed][:10]
        assert (asked["margin", seed][:10] == first).all()
        assert (asked["mms", seed][:10] == first).all()
        assert (asked["margin", seed][10:] != asked["random", seed][10:]).any()
    assert (asked["random", 0][:10] != asked["random", 1][:10]).any()
    starts = table[table["round"] == 0].pivot(index="seed", columns="arm", values="score")
    assert (starts["margin"] == starts["random"]).all()


def test_the_control_of_a_seed_is_the_same_beside_other_arms(results):
    again = compare(["entropy"], seeds=[1])
    expected = results[(results["arm"] == "random") & (results["seed"] == 1)]
    pd.testing.assert_frame_equal(
        without_seconds(again[again["arm"] == "random"]), without_seconds(expected).reset_index(drop=True)
    )


def test_two_arms_with_the_same_settings_are_the_same(monkeypatch):
    asked = rows_asked(monkeypatch)
    table = compare({"one": "auto", "other": {"strategy": "auto"}}, seeds=1)
    np.testing.assert_array_equal(asked["one", 0], asked["other", 0])
    one, other = (without_seconds(table[table["arm"] == arm]).drop(columns="arm") for arm in ("one", "other"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


def test_the_control_is_plain_whatever_the_sampler_does(results):
    plain = compare([], make_sampler(strategy="auto", initial="kmeans", pseudo_labels="spread"))
    columns = ["seed", "round", "n_labels", "score", "class_balance"]
    pd.testing.assert_frame_equal(
        plain[columns], results[results["arm"] == "random"][columns].reset_index(drop=True)
    )


def test_the_latent_model_is_fitted_once_and_alike(monkeypatch):
    fits, fit = [], LinearLatent.fit

    def counted(self, X, y=None):
        fits.append((self.random_state, self.n_components))
        return fit(self, X, y)

    monkeypatch.setattr(LinearLatent, "fit", counted)
    own = {"own": {"strategy": "kmeans", "initial": "kmeans", "latent_model__n_components": 2}}
    compare({"auto": "auto", "kmeans": "kmeans", **own}, seeds=1)
    assert fits[0] == (0, 4)  # seeded, so that a call repeated fits the same
    assert [n for _, n in fits[1:]] == [2]


def test_a_frozen_latent_model_is_not_fitted_again(monkeypatch):
    frozen = FrozenEstimator(LinearLatent(4).fit(X))
    monkeypatch.setattr(LinearLatent, "fit", lambda *_: pytest.fail("fitted again"))
    compare(["kmeans"], make_sampler(latent_model=frozen), seeds=1)


def test_the_sampler_and_the_arms_are_left_as_they_were():
    sampler, arms = make_sampler(), {"own": {"strategy": UncertaintyStrategy("entropy")}}
    before, expected = {**sampler.get_params(deep=False)}, copy.deepcopy(arms)
    compare(arms, sampler, seeds=1)
    assert sampler.get_params(deep=False) == before
    assert str(arms) == str(expected)
    assert not hasattr(sampler, "queries_")


def test_test_rows_are_in_no_fit(monkeypatch):
    seen, train, fit = [], TaskNet._train, LinearLatent.fit
    monkeypatch.setattr(TaskNet, "_train", lambda self, X, y, **kw: seen.append(X) or train(self, X, y, **kw))
    monkeypatch.setattr(LinearLatent, "fit", lambda self, X, y=None: seen.append(X) or fit(self, X, y))
    test = {"X_test": X[:50] + 0.01, "y_test": Y[:50]}
    compare(["auto"], seeds=1, **test)
    assert len(seen) == 1 + 2 * 3
    rows = {row.tobytes() for part in seen for row in np.asarray(part, dtype=np.float32)}
    assert rows <= {row.tobytes() for row in X}
    assert not rows & {row.tobytes() for row in test["X_test"].astype(np.float32)}


# -- arms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategies", "names"),
    [
        ("margin", ["random", "margin"]),
        (UncertaintyStrategy("margin"), ["random", "UncertaintyStrategy(score='margin')"]),
        (["margin", "random"], ["random", "margin"]),
        ((name for name in ["margin"]), ["random", "margin"]),
        ({"a": "margin", "b": {"initial": "kmeans"}}, ["random", "a", "b"]),
        ({1: RandomStrategy()}, ["random", "1"]),
        ({"two\nlines": "margin"}, ["random", "two lines"]),
        ([], ["random"]),
    ],
    ids=["name", "object", "list", "generator", "dict", "number", "lines", "none"],  # the same in any process
)
def test_arms_are_named_and_the_control_comes_first(strategies, names):
    sampler = make_sampler(net_classifier(max_epochs=1), max_labels=10)
    assert compare(strategies, sampler, seeds=1)["arm"].tolist() == names


@pytest.mark.parametrize("arms", [["margin", "margin"], {1: "margin", "1": "mms"}], ids=str)
def test_an_arm_twice_is_refused(arms):
    with pytest.raises(ValueError, match=r"holds an arm twice.*a name of its own in a dict"):
        compare(arms)


@pytest.mark.parametrize("arm", ["margin", {"strategy": "random", "initial": "kmeans"}], ids=str)
def test_another_arm_named_as_the_control_is_refused(arm):
    with pytest.raises(ValueError, match=r"'random' is that of the control arm.*Give this arm another name"):
        compare({"random": arm})


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (["margins"], r"strategy must be one of"),
        ({"a": {"strategie": "mms"}}, r"Invalid parameter 'strategie'"),
        ({"a": {"initial": "margin"}}, r"initial must be one of"),
        (["si"], r"only labels rows of the pool"),
    ],
    ids=["strategy", "parameter", "initial", "oracle"],
)
def test_wrong_settings_are_refused_before_anything_trains(arms, message, monkeypatch):
    monkeypatch.setattr(LinearLatent, "fit", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr(TaskNet, "fit", lambda *_: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        compare(arms)


@pytest.mark.parametrize(
    ("seeds", "error", "message"),
    [
        (0, ValueError, r"seeds must be a whole number of at least 1, got 0"),
        (True, TypeError, r"seeds must be a whole number"),
        ([], ValueError, r"seeds must be .* at least one; got \[\]"),
        ([3, 3], ValueError, r"seeds that differ.*got \[3, 3\]"),
    ],
)
def test_wrong_seeds_are_refused(seeds, error, message):
    with pytest.raises(error, match=message):
        compare([], seeds=seeds)


def test_test_rows_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"X_test has rows of shape \(3,\), X has \(64,\)"):
        compare([], X_test=np.ones((100, 3)))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare([], y_test=[1, 2])


# -- kinds of task --------------------------------------------------------------------------------


def test_regression_is_scored_by_r2():
    y = X @ np.linspace(-1, 1, 64)
    y_test = TEST["X_test"] @ np.linspace(-1, 1, 64)
    sampler = make_sampler(net_regressor(max_epochs=30))
    table = compare(["snn"], sampler, y=y, y_test=y_test)
    assert table["class_balance"].isna().all()
    assert table.attrs["metric_name"] == "R²"
    sampler.set_params(strategy="random", initial="random", random_state=0)
    assert table["score"][2] == pytest.approx(sampler.fit(X, y).score(TEST["X_test"], y_test), abs=1e-4)
    assert summarize_comparison(table)["class_balance"].isna().all()


@pytest.mark.parametrize(
    ("scoring", "name"),
    [("balanced_accuracy", "balanced_accuracy"), (make_scorer(balanced_accuracy_score), "score")],
    ids=["name", "scorer"],
)
def test_the_scoring_of_the_sampler_is_used(scoring, name):
    table = compare([], make_sampler(scoring=scoring), seeds=1)
    fitted = make_sampler(strategy="random", initial="random", random_state=0).fit(X, Y)
    expected = balanced_accuracy_score(TEST["y_test"], fitted.predict(TEST["X_test"]))
    assert table["score"].iloc[-1] == pytest.approx(expected, abs=1e-5)
    assert table.attrs["metric_name"] == name


def nearest_label(rows):
    gaps = np.square(np.asarray(rows)[:, None] - X[None]).sum(axis=2)
    return Y[gaps.argmin(axis=1)]


def test_a_function_labels_what_a_strategy_makes():
    questions = []

    def ask(rows):
        questions.extend(rows)
        return nearest_label(rows)

    sampler = make_sampler(oracle=FunctionOracle(ask), classes=range(10))
    table = compare(["si"], sampler, y=None, seeds=1)
    assert table.groupby("arm")["n_labels"].max().to_dict() == {"random": 30, "si": 30}
    assert len(questions) == 60  # the function itself was asked, not a copy
    of_pool = {row.tobytes() for row in X}
    assert sum(np.asarray(row, dtype=np.float32).tobytes() in of_pool for row in questions) == 40
    assert table["class_balance"].notna().all()


def test_an_oracle_that_cannot_be_copied_is_asked():
    class Line(FunctionOracle):
        def __deepcopy__(self, memo):
            raise TypeError("a line to a labeller")

    table = compare([], make_sampler(oracle=Line(nearest_label)), y=None, seeds=1)
    assert table["n_labels"].max() == 30
    assert table["class_balance"].isna().all()  # nobody named the classes


def test_rounds_without_a_label_are_left_out():
    answers = iter([None] * 10 + list(Y[:40]))
    sampler = make_sampler(oracle=lambda rows: [next(answers) for _ in rows])
    table = compare([], sampler, y=None, seeds=1)
    assert table[["round", "n_labels", "n_queries"]].to_numpy().tolist() == [[1, 10, 20], [2, 20, 30]]


# -- several at a time ----------------------------------------------------------------------------


def test_two_at_a_time_give_the_same(results, tmp_path):
    arms = {"margin": "margin", "clusters": {"strategy": "margin", "initial": "kmeans"}}
    assert torch.get_num_threads() == 1
    with parallel_config("loky", inner_max_num_threads=1):
        together = compare(arms, n_jobs=2, csv=tmp_path / "runs.csv")
    pd.testing.assert_frame_equal(without_seconds(together), without_seconds(results))
    kept = compare(arms, csv=tmp_path / "runs.csv")
    pd.testing.assert_frame_equal(kept, together)


# -- runs that are kept ---------------------------------------------------------------------------


@pytest.fixture
def runs(monkeypatch):
    """Names and seeds of the campaigns that are run."""
    names, run = [], compare_module._run

    def counted(*args):
        names.append((args[-1]["arm"], args[-1]["seed"]))
        return run(*args)

    monkeypatch.setattr(compare_module, "_run", counted)
    return names


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The results of two arms and two seeds, and the file that keeps them."""
    csv = tmp_path_factory.mktemp("kept") / "folder" / "runs.csv"
    return compare(["margin"], csv=csv), csv.read_bytes()


@pytest.fixture
def csv(kept, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_bytes(kept[1])
    return path


def test_a_second_call_runs_nothing(kept, csv, runs):
    again = compare(["margin"], csv=csv)
    assert runs == []
    pd.testing.assert_frame_equal(again, kept[0])
    assert again.attrs == kept[0].attrs
    assert csv.read_bytes() == kept[1]


def test_only_what_is_missing_is_run(kept, csv, runs):
    lines = csv.read_text().splitlines(keepends=True)
    csv.write_text("".join(line for line in lines if not line.startswith("margin,1,")))
    again = compare(["margin"], csv=csv)
    assert runs == [("margin", 1)]
    pd.testing.assert_frame_equal(without_seconds(again), without_seconds(kept[0]))


def test_more_seeds_and_arms_are_added(csv, runs):
    table = compare(["margin", "entropy"], csv=csv, seeds=[1, 2])
    assert runs == [("entropy", 1), ("random", 2), ("margin", 2), ("entropy", 2)]
    assert table.groupby("arm", sort=False)["seed"].unique().map(list).to_dict() == {
        arm: [1, 2] for arm in ("random", "margin", "entropy")
    }


@pytest.mark.parametrize(
    "change",
    [
        {"sampler": make_sampler(n_per_round=20)},
        {"sampler": make_sampler(net_classifier(max_epochs=5, lr=0.01))},
        {"sampler": make_sampler(latent_model=LinearLatent(3))},
        {"y": np.roll(Y, 1)},
        {"X_test": POOL.X_test[100:200], "y_test": POOL.y_test[100:200]},
    ],
    ids=["sampler", "net", "latent model", "labels", "test rows"],
)
def test_other_settings_are_not_mixed_in(kept, csv, runs, change):
    table = compare(["margin"], csv=csv, **change)
    assert len(runs) == 4
    assert not set(table["settings"]) & set(kept[0]["settings"])
    assert not table.duplicated(["arm", "seed", "round"]).any()
    compare(["margin"], csv=csv)
    assert len(runs) == 4  # the first settings are still there


def test_seed_device_and_progress_bar_are_no_settings(csv, runs):
    compare(["margin"], make_sampler(verbose=1, random_state=7, device="auto"), csv=csv)
    assert runs == []


@pytest.mark.parametrize(
    ("cut", "rerun"),
    [
        (1, [("margin", 1)]),  # the end of the last line
        (30, [("margin", 1)]),  # half of it
        ("last line", []),  # whole lines: a campaign that looks whole
        ("margin,1 but 3 letters", [("margin", 1)]),
        ("margin,1 but its first line and a half", [("margin", 1)]),
        ("random,1 and three letters of margin,1", [("margin", 1)]),
        ("half the header", [("random", 0), ("margin", 0), ("random", 1), ("margin", 1)]),
        ("everything", [("random", 0), ("margin", 0), ("random", 1), ("margin", 1)]),
    ],
    ids=str,
)
def test_a_torn_end_of_the_file_loses_no_other_run(kept, csv, runs, cut, rerun):
    whole = kept[1]
    lines = whole.splitlines(keepends=True)
    text = {
        "last line": b"".join(lines[:-1]),
        "margin,1 but 3 letters": b"".join(lines[:-3]) + lines[-3][:-3],
        "margin,1 but its first line and a half": b"".join(lines[:-2]) + lines[-2][:-12],
        "random,1 and three letters of margin,1": b"".join(lines[:-3]) + lines[-3][:3],
        "half the header": lines[0][:20],
        "everything": b"",
    }.get(cut, whole[: -cut if isinstance(cut, int) else None])
    csv.write_bytes(text)
    table = compare(["margin"], csv=csv)
    assert runs == rerun
    assert csv.read_bytes().endswith(b"\n")
    if cut != "last line":
        pd.testing.assert_frame_equal(without_seconds(table), without_seconds(kept[0]))
    compare(["margin"], csv=csv)
    assert runs == rerun  # and the file is whole again


def test_campaigns_written_twice_count_once(kept, csv, runs):
    lines = csv.read_bytes().splitlines(keepends=True)
    csv.write_bytes(b"".join([*lines, *lines[1:]]))
    pd.testing.assert_frame_equal(compare(["margin"], csv=csv), kept[0])
    assert runs == []


def test_names_that_look_like_numbers_or_nothing_are_kept(tmp_path, runs):
    arms = {"None": {"strategy": "margin"}, "007": "margin", 'a "b", c': "margin"}
    sampler = make_sampler(max_labels=10)
    first = compare(arms, sampler, csv=tmp_path / "runs.csv", seeds=1)
    again = compare(arms, sampler, csv=tmp_path / "runs.csv", seeds=1)
    assert len(runs) == 4
    pd.testing.assert_frame_equal(again, first)


# -- the summary ----------------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match=r"control must be one of the arms \['random', 'a', 'b'\], got 'c'"):
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


# -- more metrics ---------------------------------------------------------------------------------


def test_metrics_are_columns(tmp_path):
    metrics = {"balanced": "balanced_accuracy", "n_test": lambda network, X, y: len(y)}
    table = compare(["margin"], seeds=1, metrics=metrics, csv=tmp_path / "runs.csv")
    assert table.columns.tolist()[-2:] == ["balanced", "n_test"]
    assert (table["n_test"] == len(TEST["y_test"])).all()
    assert table["balanced"].between(0, 1).all()
    again = compare(["margin"], seeds=1, metrics=metrics, csv=tmp_path / "runs.csv")
    pd.testing.assert_frame_equal(table, again)


def test_a_file_with_other_metrics_is_refused(tmp_path):
    csv = tmp_path / "runs.csv"
    compare(["margin"], seeds=1, csv=csv)
    with pytest.raises(ValueError, match=r"holds runs with the metrics \[\], got \['recall'\]"):
        compare(["margin"], seeds=1, csv=csv, metrics={"recall": "recall_macro"})


@pytest.mark.parametrize("name", ["score", "round", "fit_seconds"])
def test_a_metric_named_like_a_column_is_refused(name):
    with pytest.raises(ValueError, match=rf"metrics must not be named \['{name}'\]"):
        compare(["margin"], seeds=1, metrics={name: "accuracy"})
