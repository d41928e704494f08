"""compare_strategies: how arms are named and checked, and the tasks they serve."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, make_scorer

from skalss import TaskNet
from skalss.compare import summarize_comparison
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import FunctionOracle
from skalss.strategies import RandomStrategy, UncertaintyStrategy

from .comparing import TEST, X, Y, compare, make_sampler

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
        (["margins"], r"strategies must be one of"),
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
