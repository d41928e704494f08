"""Whatever is thrown at a ledger or a campaign is a clear error, or is recorded and comes back.

SKALSS_TEST_EXAMPLES multiplies the number of examples.
"""

import math
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skalss import AdaptiveLatentSampler, Campaign, Ledger, MaxFailures
from skalss.oracles import ABSTAIN, Failed

X = np.random.default_rng(0).random((40, 3))
IDS = [f"row {i}" for i in range(40)]
FACTOR = int(os.environ.get("SKALSS_TEST_EXAMPLES", "1"))


def examples(number):
    return settings(
        max_examples=number * FACTOR,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def refusal(call, *arguments, **options):
    """Return the text of the ValueError that the call raises; None if it raises none."""
    try:
        call(*arguments, **options)
    except ValueError as error:
        return str(error)
    return None


def make_campaign(path, **params):
    defaults = {"strategy": "random", "n_initial": 40, "max_labels": 40, "stop": MaxFailures(1000)}
    sampler = AdaptiveLatentSampler(ledger=path, random_state=0, **{**defaults, **params})
    return Campaign(sampler, X, sample_id=IDS)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("ledger") / "task.ledger"
    with make_campaign(path) as campaign:
        campaign.ask()
    return path


PLAIN = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\ud800", np.int8(3), np.float32(0.1), np.str_("a"), np.bool_(True), 2**70]),
)
ODD = st.one_of(
    st.none(),
    st.just(ABSTAIN),
    st.binary(max_size=5),
    st.complex_numbers(),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.builds(Failed, st.text(max_size=10), st.booleans()),
    st.builds(lambda n: np.zeros(n), st.integers(0, 3)),
    st.dates(),
)
ANSWERS = st.one_of(PLAIN, ODD)
SOME_IDS = st.one_of(st.sampled_from(IDS), ANSWERS)


@examples(175)
@given(id_=SOME_IDS, label=ANSWERS, annotator=st.text(max_size=5), cost=st.floats())
def test_an_answer_is_recorded_or_refused(path, id_, label, annotator, cost):
    with Ledger(path) as ledger:
        before = len(ledger.history())
        refused = refusal(ledger.answer, id_, label, annotator=annotator, cost=cost)
        history = ledger.history()
        if refused is not None:
            assert len(history) == before
            assert any(
                word in refused
                for word in (
                    "keeps",
                    "never asked",
                    "is NaN",
                    "Nobody",
                    "cost must",
                    "written",
                    "must be a number",
                    "whole number",
                    "earlier ones are not",
                )
            )
            return
        assert len(history) == before + 1
        last = history.iloc[-1]
    assert last["id"] == id_
    assert (last["annotator"], last["cost"]) == (annotator, cost)
    if last["state"] == "labeled":
        plain = label.item() if isinstance(label, np.generic | np.ndarray) else label
        assert (type(last["label"]), last["label"]) == (type(plain), plain)
    elif last["state"] == "abstained":
        assert label is None or label is ABSTAIN
    else:
        assert isinstance(label, Failed) or not math.isfinite(label)


CELLS = st.text(max_size=8, alphabet=st.characters(exclude_categories=["Cs"]))
ROWS = st.fixed_dictionaries(
    {
        "id": st.one_of(st.sampled_from(IDS), CELLS),
        "label": st.one_of(st.sampled_from(["1", "a", ""]), CELLS),
    },
    optional={
        "state": st.sampled_from(["", "pending", "labeled", "abstained", "failed", "done"]),
        "label_type": st.sampled_from(["", "int", "float", "bool", "str", "list"]),
        "id_type": st.sampled_from(["", "str", "int"]),
        "cost": st.one_of(st.sampled_from(["", "1", "-1", "nan"]), CELLS),
        "charged": st.sampled_from(["", "True", "no"]),
        "content": st.sampled_from(["", "0" * 32]),
    },
)
TABLES = st.one_of(
    st.binary(max_size=40),
    st.lists(st.lists(CELLS, max_size=4), max_size=4).map(lambda t: "\n".join(map(",".join, t)).encode()),
    st.lists(ROWS, min_size=1, max_size=4).map(
        lambda rows: "\n".join(
            [",".join(rows[0])] + [",".join(row.get(name, "") for name in rows[0]) for row in rows]
        ).encode()
    ),
)


@examples(150)
@given(content=TABLES)
def test_a_table_is_read_or_refused(path, tmp_path, content):
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes(content)
    with Ledger(path) as ledger:
        before = len(ledger.history())
        refused = refusal(ledger.read_csv, sheet)
        if refused is not None:
            assert "sheet.csv" in refused
            assert len(ledger.history()) == before
        assert ledger.to_frame()["state"].isin(["pending", "labeled", "abstained", "failed"]).all()


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    with make_campaign(tmp_path_factory.mktemp("ledger") / "task.ledger", classes=[0, 1]) as campaign:
        campaign.ask()
        yield campaign


TOLD = st.one_of(
    st.lists(st.tuples(SOME_IDS, st.one_of(st.sampled_from([0, 1, None]), ANSWERS)), max_size=3).map(
        lambda pairs: ([id_ for id_, _ in pairs], [answer for _, answer in pairs])
    ),
    st.tuples(st.lists(st.sampled_from(IDS), max_size=2), st.lists(ANSWERS, max_size=2)),
)


@examples(135)
@given(told=TOLD)
def test_answers_are_told_or_refused_as_a_whole(campaign, told):
    records, path = campaign.records, campaign.sampler.ledger
    if len(records.pending) < 5 and campaign.stop_reason is None:
        campaign.ask()
    before = [q.state for q in records.questions]
    refused = refusal(campaign.tell, *told)
    if refused is not None:
        assert any(
            word in refused for word in ("waiting", "twice", "is NaN", "outside classes", "must be", "got")
        )
        assert [q.state for q in records.questions] == before
    with Ledger(path) as ledger:
        kept = ledger.to_frame()
    assert kept["state"].tolist() == campaign.queries["state"].tolist()
    assert kept["label"].tolist() == campaign.queries["label"].tolist()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 9)),
        st.tuples(st.just("tell"), st.integers(0, 9)),
        st.tuples(st.just("answer"), st.integers(0, 9)),
        st.tuples(st.just("fail"), st.integers(0, 9)),
        st.tuples(st.sampled_from(["look", "again"]), st.just(0)),
    ),
    max_size=10,
)


@examples(40)
@given(steps=STEPS)
def test_any_order_of_calls_loses_nothing_and_asks_nothing_twice(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("ledger") / "task.ledger"
    settings_ = {"classes": [0, 1], "n_initial": 10, "n_per_round": 5}
    campaign, answered, shown = make_campaign(path, **settings_), {}, []
    for step, n in steps:
        waiting = campaign.pending.ids.tolist()
        assert not set(waiting) & set(answered)
        if step == "ask":
            new = campaign.ask(n).ids.tolist()
            assert not set(new) & {*answered, *waiting}
            shown += new
        elif step == "tell":
            campaign.tell(waiting[:n], [1] * len(waiting[:n]))
            answered |= dict.fromkeys(waiting[:n], 1)
        elif step == "answer":
            for id_ in waiting[::-1][:n]:
                Ledger(path).answer(id_, 0)
                answered[id_] = 0
        elif step == "fail":
            campaign.tell(waiting[:n], [Failed("down")] * len(waiting[:n]))
            shown = [id_ for id_ in shown if id_ not in waiting[:n]]
        elif step == "again":
            campaign.close()
            campaign = make_campaign(path, **settings_)
            campaign.resume()
    assert not set(campaign.pending.ids) & set(answered)  # and the last answers are taken
    queries = campaign.queries
    labelled = queries.query("state == 'labeled'")
    assert dict(zip(labelled["id"], labelled["label"], strict=True)) == answered
    assert len(shown) == len(set(shown))
    campaign.close()
    with Ledger(path) as ledger:
        assert ledger.to_frame()["state"].tolist() == queries["state"].tolist()
