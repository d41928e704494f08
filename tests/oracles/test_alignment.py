"""An answer never goes to another row: what names its rows is put in their order, or refused."""

from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge

from skalss import AdaptiveLatentSampler, Campaign, OracleAnswerError
from skalss.oracles import ABSTAIN, AnswerKey, BaseOracle, Failed, FunctionOracle
from skalss.oracles.base import answer_chunks

LABELS = ["delta", "alpha", "gamma"]
FRAME = pd.DataFrame({"x": [40.0, 10.0, 30.0]}, index=[7, 3, 5])
TRUTH = pd.Series(LABELS, index=FRAME.index)
IDS = np.array([12, 90, 31])


def answers(function, X, ids=IDS, **settings):
    pairs = chain.from_iterable(answer_chunks(FunctionOracle(function, **settings).label(X, ids)))
    found = dict(pairs)
    return [found[id_] for id_ in ids]


@pytest.mark.parametrize(
    "function",
    [
        lambda rows: TRUTH.sort_index(),
        lambda rows: TRUTH[::-1].to_frame("label"),
        lambda rows: TRUTH.sort_values().to_dict(),
        lambda rows: TRUTH.astype("category").sort_values(),
        lambda rows: pd.Series(LABELS, index=IDS).sort_values(),
        lambda rows: dict(zip(IDS[::-1], LABELS[::-1], strict=True)),
        lambda rows: pd.Series(LABELS, index=pd.Index([7.0, 3.0, 5.0])).sort_index(),
        lambda rows: LABELS,
        lambda rows: TRUTH.to_numpy(),
    ],
)
def test_answers_find_the_rows_of_a_frame(function):
    assert answers(function, FRAME) == LABELS


@pytest.mark.parametrize(
    "function",
    [
        lambda rows: pd.Series(LABELS),
        lambda rows: pd.Series(LABELS)[[2, 0, 1]],
        lambda rows: pd.Series(LABELS, index=IDS).sort_index(),
        lambda rows: {31: "gamma", 12: "delta", 90: "alpha"},
    ],
)
def test_answers_find_the_rows_of_an_array(function):
    assert answers(function, FRAME.to_numpy()) == LABELS


@pytest.mark.parametrize(
    "function",
    [
        lambda rows: pd.Series(LABELS),  # in what order?
        lambda rows: TRUTH.sort_index().reset_index(drop=True),
        lambda rows: pd.Series(LABELS, index=[7, 3, 8]),
        lambda rows: pd.Series(LABELS, index=[7, 3, 3]),
        lambda rows: pd.Series(LABELS, index=["7", "3", "5"]),
        lambda rows: {7: "delta", 3: "alpha"},
        lambda rows: {**TRUTH.to_dict(), 8: "beta"},
    ],
)
def test_an_index_of_other_rows_is_refused(function):
    with pytest.raises(ValueError, match=r"does not tell which answer is whose.*have \[7, 3, 5\].*to_numpy"):
        answers(function, FRAME)


@pytest.mark.parametrize("function", [lambda rows: TRUTH[:2], lambda rows: pd.concat([TRUTH, TRUTH])])
def test_too_few_or_too_many_named_answers(function):
    with pytest.raises(ValueError, match="got 3 rows and returned [26] answers"):
        answers(function, FRAME)


def test_rows_with_one_label_cannot_be_told_apart():
    twins = FRAME.set_axis([7, 7, 5])
    with pytest.raises(ValueError, match="does not tell which answer is whose"):
        answers(lambda rows: pd.Series(LABELS, index=rows.index), twins)
    assert answers(lambda rows: pd.Series(LABELS, index=rows.index).to_numpy(), twins) == LABELS


def test_a_default_index_is_no_label_where_both_can_be_meant():
    shuffled = FRAME.set_axis([2, 0, 1])
    with pytest.raises(ValueError, match="does not tell which answer is whose"):
        answers(lambda rows: pd.Series(LABELS), shuffled)
    with pytest.raises(ValueError, match="does not tell which answer is whose"):
        answers(lambda rows: pd.Series(LABELS)[[1, 0, 2]], FRAME.to_numpy(), ids=np.array([2, 0, 1]))


def test_labels_of_other_types_are_other_labels():
    """True is 1 to pandas, and 2**53 + 1 is 2**53 as a float."""
    for labels, index in [([0, 1], [True, False]), ([2**53 + 1, 4], [float(2**53), 4.0])]:
        with pytest.raises(ValueError, match="does not tell which answer is whose"):
            answers(lambda rows, i=index: pd.Series(["a", "b"], index=i), FRAME[:2].set_axis(labels), IDS[:2])


def test_what_other_libraries_name_is_read_through_pandas():
    class DataArray:
        """As xarray's: labels beside the values."""

        coords = {"row": [3, 5, 7]}

        def to_pandas(self):
            return TRUTH.sort_index()

    assert answers(lambda rows: DataArray(), FRAME) == LABELS


def test_pieces_of_a_batch_are_put_in_order_each():
    frame = pd.DataFrame({"x": np.arange(20.0)}, index=np.random.RandomState(0).permutation(20) + 100)
    got = answers(lambda rows: rows["x"].sort_index() * 2, frame, ids=np.arange(20), n_jobs=2)
    assert got == (2 * frame["x"]).tolist()


@pytest.mark.parametrize(
    "values",
    [
        torch.tensor([3.0, 1.0, 2.0], requires_grad=True),
        torch.tensor([[3], [1], [2]]),
        torch.tensor([3, 1, 2], dtype=torch.bfloat16),
        [torch.tensor(3), torch.tensor(1.0), 2],
        (3, 1, 2),
        pd.array([3, 1, 2], dtype="Int64"),
        pd.Categorical([3, 1, 2]),
        np.ma.masked_equal([3, 1, 2], 9),
    ],
    ids=lambda values: type(values).__name__,
)
def test_any_array_is_in_the_order_of_the_rows(values):
    assert answers(lambda rows: values, FRAME) == [3, 1, 2]


@pytest.mark.parametrize("dtype", [float, int, object])
def test_a_masked_answer_is_no_label(dtype):
    values = np.ma.array(np.array([3, 1, 2], dtype=dtype), mask=[False, True, False])
    assert answers(lambda rows: values, FRAME) == [3, ABSTAIN, 2]
    assert answers(lambda row: values[[7, 3, 5].index(row.name)], FRAME, per_row=True) == [3, ABSTAIN, 2]


def test_costs_are_put_in_order_as_answers_are():
    def costs(cost, X=FRAME, ids=IDS):
        return FunctionOracle(len, cost=cost).row_costs(X, ids).tolist()

    by_label = FRAME["x"].sort_index()
    assert costs(lambda rows: by_label) == [40.0, 10.0, 30.0]
    assert costs(by_label) == [40.0, 10.0, 30.0]
    assert costs(pd.Series([40.0, 10.0, 30.0], index=IDS).sort_index()) == [40.0, 10.0, 30.0]
    with pytest.raises(ValueError, match="cost got 3 rows.*does not tell which answer is whose"):
        costs(lambda rows: by_label.reset_index(drop=True))
    # A shuffled frame and its own column, while ids are positions.
    shuffled = FRAME.set_axis([2, 0, 1])
    assert costs(shuffled["x"], shuffled, np.arange(3)) == [40.0, 10.0, 30.0]
    with pytest.raises(ValueError, match="stand for different rows"):
        costs(shuffled["x"].sort_index(), shuffled, np.arange(3))


class Yields(BaseOracle):
    def __init__(self, found):
        self.found = found

    def label(self, X, ids):
        yield self.found


@pytest.mark.parametrize(
    "found", [pd.Series(["b", "a"], index=[9, 4]), {9: "b", 4: "a"}, [(9, "b"), (4, "a")]]
)
def test_an_oracle_may_yield_what_names_its_ids(found):
    assert list(answer_chunks(Yields(found).label(None, None))) == [[(9, "b"), (4, "a")]]
    assert list(answer_chunks(found if not isinstance(found, list) else [found])) == [[(9, "b"), (4, "a")]]


@pytest.mark.parametrize("found", [[0, 1], "ab", np.array([0, 1]), pd.Series(["b", "a"]), {"ab", "cd"}])
def test_two_things_are_no_pair(found):
    """The second would be recorded as the answer to the first."""
    with pytest.raises(ValueError, match=r"must yield \(id, answer\)"):
        list(answer_chunks(Yields(found).label(None, None)))


def test_a_key_with_ids_as_its_index():
    key = AnswerKey(pd.Series(["c", "a", "b"], index=["z", "x", "y"]))
    key.check_pool(np.array(["x", "y"]), 2)
    assert next(key.label(None, np.array(["x", "y"]))) == [("x", "a"), ("y", "b")]
    with pytest.raises(ValueError, match=r"the pool's rows have none.*to_numpy"):
        key.check_pool(None, 3)
    assert next(AnswerKey({"z": "c", "x": None}).label(None, ["x", "z"])) == [("x", ABSTAIN), ("z", "c")]


def test_a_mapping_from_positions():
    key = AnswerKey({2: "c", 0: "a", 1: "b"})
    key.check_pool(None, 3)
    assert next(key.label(None, np.array([1, 2]))) == [(1, "b"), (2, "c")]
    for other in (AnswerKey({2: "c", 0: "a", 7: "b"}), AnswerKey({0: "a", 1: "b"})):
        with pytest.raises(ValueError, match="holds no label for|pool's rows have none"):
            other.check_pool(None, 3)


@pytest.mark.parametrize("y", ["abc", {"a", "b", "c"}, iter(["a", "b", "c"]), 3])
def test_no_key(y):
    with pytest.raises(TypeError, match="AnswerKey needs the labels as a list.*got "):
        AnswerKey(y).check_pool(None, 3)


def test_a_key_and_its_ids_in_two_orders():
    table = pd.DataFrame({"name": ["x", "y", "z"], "label": ["a", "b", "c"]})
    key = AnswerKey(table["label"].sort_values(ascending=False), sample_id=table["name"])
    assert next(key.label(None, np.array(["x", "z"]))) == [("x", "a"), ("z", "c")]


def test_a_key_beside_shuffled_rows():
    key = AnswerKey(pd.Series(LABELS))
    key.check_rows(FRAME, None)
    key.check_rows(FRAME.set_axis([0, 1, 2]), None)
    with pytest.raises(ValueError, match="the same labels in another order.*go by position"):
        key.check_rows(FRAME.set_axis([1, 0, 2]), None)


@pytest.mark.parametrize(
    "y",
    [
        torch.tensor([3.0, 1.0, 2.0], requires_grad=True),
        range(3, 6),
        pd.array([3, None, 2], dtype="Int64"),
        pd.Series(pd.Categorical(["a", None, "b"])),
        np.ma.array([3.0, 1.0, 2.0], mask=[False, True, False]),
        np.array([[3], [1], [2]]),
    ],
    ids=["tensor", "range", "nullable", "categorical", "masked", "column"],
)
def test_a_key_of_any_array(y):
    (_, first), (_, second) = next(AnswerKey(y).label(None, np.array([0, 1])))
    assert first == (3 if not isinstance(y, pd.Series) else "a")
    assert second == {"Tensor": 1, "range": 4, "ndarray": 1}.get(type(y).__name__, ABSTAIN)


# -- through a campaign ----------------------------------------------------------------------------

N = 60
SEEN = pd.DataFrame(
    np.random.RandomState(1).normal(size=(N, 3)),
    columns=list("abc"),
    index=np.random.RandomState(2).permutation(N),
)
Y = pd.Series(np.where(SEEN["a"] > 0, "up", "down"), index=SEEN.index)


def make_campaign(oracle=None, X=SEEN, **data):
    sampler = AdaptiveLatentSampler(
        strategy="random",
        oracle=oracle,
        classes=["down", "up"],
        n_initial=9,
        n_per_round=9,
        max_labels=27,
        random_state=0,
    )
    return Campaign(sampler, X, **data)


def right(campaign):
    asked = campaign.queries.query("state == 'labeled'")
    return len(asked), (asked["label"].to_numpy() == Y.iloc[asked["position"]].to_numpy()).all()


def test_a_lookup_in_another_order_labels_the_right_rows():
    sorted_truth = Y.sort_index()
    campaign = make_campaign(lambda rows: sorted_truth[sorted_truth.index.isin(rows.index)])
    assert right(campaign.run()) == (27, True)


def test_what_does_not_fit_is_refused_and_bought_again():
    campaign = make_campaign(lambda rows: Y.loc[rows.index].sort_values().reset_index(drop=True))
    with pytest.raises(OracleAnswerError, match="whose index does not tell which answer is whose"):
        campaign.run()
    assert right(campaign.run(lambda rows: Y.loc[rows.index].sort_values())) == (27, True)


SCANS = pd.Index([f"scan {i}" for i in range(N)])
BY_SCAN = Y.set_axis(SCANS)


@pytest.mark.parametrize(
    "told",
    [
        lambda batch: BY_SCAN.loc[batch.X.index],
        lambda batch: BY_SCAN.loc[batch.X.index].sort_values(),
        lambda batch: BY_SCAN.loc[batch.X.index].sort_values().to_frame("label"),
        lambda batch: pd.Series(Y.iloc[batch.ids].to_numpy(), index=batch.ids).sort_index(),
        lambda batch: dict(zip(batch.ids[::-1], Y.iloc[batch.ids[::-1]], strict=True)),
        lambda batch: pd.Series(Y.iloc[batch.ids].to_numpy()),
        lambda batch: Y.iloc[batch.ids].tolist(),
    ],
)
def test_answers_that_are_told_find_their_rows(told):
    campaign = make_campaign(X=SEEN.set_axis(SCANS))
    batch = campaign.ask()
    campaign.tell(torch.tensor(batch.ids), told(batch))
    assert right(campaign) == (9, True)


def test_two_columns_of_a_table_in_two_orders():
    campaign = make_campaign()
    batch = campaign.ask()
    table = pd.DataFrame({"id": batch.ids, "label": Y.iloc[batch.ids].to_numpy()})
    campaign.tell(table["id"], table["label"].sort_values())
    assert right(campaign) == (9, True)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (lambda ids: pd.Series(["up"] * 9, index=ids + 100), "does not tell which answer is whose"),
        (lambda ids: pd.Series(["up"] * 8, index=ids[:8]), "got 9 ids and 8 answers"),
        (lambda ids: dict.fromkeys(range(100, 109), "up"), "does not tell which answer is whose"),
        (lambda ids: {"up", "down"}, "got the set"),
        (lambda ids: pd.DataFrame({"a": ["up"] * 9, "b": ["up"] * 9}), "A class label must be a number or a string, got array"),
        (lambda ids: 3, "got 3 as answers"),
    ],
)
def test_told_answers_that_could_be_anybodys(told, message):
    campaign = make_campaign()
    batch = campaign.ask()
    with pytest.raises(ValueError, match=message):
        campaign.tell(batch.ids, told(batch.ids))
    assert len(campaign.pending) == 9


@pytest.mark.parametrize("charged", [-5, float("nan"), "yes", None, 1])
def test_a_failure_that_would_move_the_budget(charged):
    """The answers beside it are recorded first."""

    def function(rows):
        return [*Y.loc[rows.index[:4]], Failed("why", charged=charged), *Y.loc[rows.index[5:]]]

    campaign = make_campaign(function)
    with pytest.raises(OracleAnswerError, match=r"Failed\(charged=...\) must be True or False, got .*'why'"):
        campaign.run()
    assert right(campaign) == (8, True)
    assert campaign.records.n_paid == 8
    assert right(campaign.run(lambda rows: Y.loc[rows.index].to_numpy())) == (27, True)


def test_a_label_of_hundreds_of_digits_loses_no_other():
    sampler = AdaptiveLatentSampler(Ridge(), strategy="random", n_initial=9, max_labels=9, random_state=0)
    campaign = Campaign(sampler, SEEN)
    with pytest.raises(OracleAnswerError, match="must be a finite number in"):
        campaign.run(lambda rows: [*range(8), 10**400])
    assert len(campaign.pending) == 1
