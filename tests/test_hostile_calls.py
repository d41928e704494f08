"""Wrong values for any argument of what is public: a clear error, or it works. The command is `fuzz`."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skalss.benchmarks.fuzz.calls import NOT_TRIED, Call, run_call
from skalss.benchmarks.fuzz.catalogue import LEFT_OUT, all_subjects
from skalss.benchmarks.fuzz.subjects import public_names
from skalss.benchmarks.fuzz.values import ANYTHING
from skalss.benchmarks.fuzz.verdict import Argument, judge_error, judge_result

# Estimators, strategies, rules, selectors and oracles: what is made of parameters and then used.
MADE = {name: s for name, s in all_subjects().items() if s.name.rpartition(".")[2][:1].isupper()}
PLACES = [(name, argument) for name, subject in MADE.items() for argument in subject.good]
KINDS = sorted(ANYTHING)


@settings(
    max_examples=int(os.environ.get("SKALSS_TEST_CALLS", "300")),
    derandomize="SKALSS_TEST_CALLS" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(place=st.sampled_from(PLACES), kind=st.sampled_from(KINDS))
def test_a_wrong_value_is_refused_clearly_or_works(place, kind):
    subject, argument = place
    if kind in NOT_TRIED.get(argument, ()):
        return
    verdict = run_call(Call(MADE[subject], {argument: kind}), seconds=60)
    assert verdict is None or verdict.clear, f"{subject}({argument}={kind}): {verdict.why}"


def test_every_public_name_is_called():
    called = {name for subject in all_subjects() for name in subject.replace(",", ".").split(".")}
    names = {name.rpartition(".")[2] for name, _ in public_names()}
    assert {n for n in names if not n.startswith("Base")} - {"StoppingRule"} <= called | set(LEFT_OUT)


def error_of(function, *args):
    with pytest.raises(Exception) as caught:  # noqa: PT011 (the rule is what is tested)
        function(*args)
    return caught.value


@pytest.mark.parametrize(
    ("call", "value", "bought", "clear"),
    [
        (lambda: all_subjects()["skalss.MaxRounds"].call(max_rounds="8", X=None), "8", 0, True),
        (lambda: all_subjects()["skalss.MaxRounds"].call(max_rounds="8", X=None), "8", 1, False),
        (lambda: all_subjects()["skalss.MaxRounds"].call(max_rounds=0, X=None), object(), 0, True),
        (lambda: (None).reason, None, 0, False),
        (lambda: 1 + "8", "8", 0, False),
        (lambda: {}["max_rounds"], "max_rounds", 0, False),
    ],
)
def test_which_errors_are_clear(call, value, bought, clear):
    error = error_of(call)
    assert judge_error(error, [Argument("max_rounds", 2, value)], bought=bought).clear == clear


@pytest.mark.parametrize(
    ("result", "argument", "clear"),
    [
        (1.0, Argument("n_rounds", 2, 3, "int"), True),
        (1.0, Argument("n_rounds", 2, True, "int"), False),
        (1.0, Argument("n_rounds", 2, "3", "int, default=2"), False),
        (1.0, Argument("n_rounds", None, None, "int, default=None"), True),
        (1.0, Argument("charge_failures", False, "False", "bool, default=False"), False),
        (1.0, Argument("step", 0.5, float("nan"), "float"), False),
        (float("nan"), Argument("step", 0.5, 0.1, "float"), False),
        ([1.0, {"a": float("inf")}], Argument("X", None, 0, "array-like"), False),
    ],
)
def test_which_results_are_clear(result, argument, clear):
    assert judge_result(result, [argument], []).clear == clear
