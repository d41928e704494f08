"""The budget of costs: what a campaign asks, pays and never exceeds."""

import math

import numpy as np
import pytest

from skalss import AdaptiveLatentSampler, Campaign, MaxCost
from skalss.latent import LinearLatent
from skalss.nets import net_regressor
from skalss.oracles import ABSTAIN, BaseOracle, Failed, FunctionOracle
from skalss.strategies import InterpolationStrategy

X = np.arange(20.0)[:, None]
COSTS = 1.0 + np.arange(20) % 5  # 1 to 5


def simulate(rows):
    return np.asarray(rows)[:, 0] * 2


def make(function=simulate, *, cost=COSTS, strategy="random", oracle=None, **settings):
    oracle = FunctionOracle(function, cost=cost) if oracle is None else oracle
    settings = {"n_initial": 4, "n_per_round": 4, "max_labels": 20, "random_state": 0, **settings}
    return AdaptiveLatentSampler(net_regressor(max_epochs=1), strategy=strategy, oracle=oracle, **settings)


def charged(campaign):
    return math.fsum(q.cost for q in campaign.records.questions if q.charged)


def test_without_a_limit_costs_are_only_noted():
    sampler = make().fit(X)
    assert sampler.stop_reason_ == "max_labels"
    np.testing.assert_array_equal(sampler.queries_["cost"], COSTS[sampler.queries_["position"]])
    paid = sampler.queries_.groupby("round")["cost"].sum().cumsum()
    assert sampler.history_["cost"].tolist() == [0.0, *paid[:-1]] + [paid.iloc[-1]] * (
        len(sampler.history_) - len(paid)
    )


def test_without_costs_the_column_is_zero():
    assert (make(cost=None).fit(X).queries_["cost"] == 0).all()


@pytest.mark.parametrize("max_cost", [1, 7, 12.5, 30])
def test_the_budget_is_used_and_never_exceeded(max_cost, seed):
    sampler = make(stop=MaxCost(max_cost), random_state=seed).fit(X)
    paid = sampler.queries_["cost"].sum()
    assert paid <= max_cost
    assert sampler.stop_reason_ == "max_cost"
    left = np.setdiff1d(np.arange(20), sampler.labeled_indices_)
    assert (COSTS[left] > max_cost - paid).all(), "a row that could be paid for was left"


def test_a_budget_that_buys_all_ends_with_the_pool():
    assert make(stop=MaxCost(60), max_labels=30).fit(X).stop_reason_ == "pool exhausted"


def test_max_labels_still_holds():
    sampler = make(stop=MaxCost(60), max_labels=6).fit(X)
    assert sampler.stop_reason_ == "max_labels"
    assert sampler.n_labels_ == 6


def test_tenths_add_up():
    """Ten times 0.1 is 1, though the sum of the floats is not."""
    assert make(cost=0.1, stop=MaxCost(1.0)).fit(X).n_labels_ == 10


def test_rows_are_taken_in_the_order_of_the_strategy_and_dear_ones_are_passed_over():

    costs = np.array([3.0, 3.0, 3.0, 1.0, *[50.0] * 16])
    campaign = Campaign(make(cost=costs, stop=MaxCost(7.0), n_initial=20), X)
    batch = campaign.ask()
    asked = costs[batch.ids]
    assert sorted(asked) == [1.0, 3.0, 3.0]
    assert 50.0 not in asked


def test_what_is_pending_is_reserved():
    campaign = Campaign(make(stop=MaxCost(12)), X)
    first, second = campaign.ask(), campaign.ask()
    assert COSTS[np.concatenate([first.ids, second.ids])].sum() <= 12
    while len(more := campaign.ask()):
        second = more
    pending = campaign.pending
    assert COSTS[pending.ids].sum() <= 12
    assert campaign.stop_reason is None, "a failure may give costs back"
    campaign.tell(pending.ids, [0.0] * len(pending))
    assert campaign.stop_reason == "max_cost"
    assert charged(campaign) <= 12


@pytest.mark.parametrize(
    ("answer", "is_paid"),
    [(1.0, True), (ABSTAIN, True), (Failed("why", charged=True), True), (Failed("why"), False)],
)
def test_what_is_paid(answer, is_paid):
    campaign = Campaign(make(cost=2.0, stop=MaxCost(8.0)), X)
    batch = campaign.ask()
    assert len(batch) == 4
    campaign.tell(batch.ids, [answer] * 4)
    assert charged(campaign) == campaign.records.cost() == (8.0 if is_paid else 0.0)
    assert (campaign.stop_reason == "max_cost") == is_paid
    assert len(campaign.ask()) == (0 if is_paid else 4)


def test_failed_rows_open_up_when_all_others_are_too_dear():
    costs = np.array([1.0, 1.0, *[9.0] * 18])
    campaign = Campaign(make(cost=costs, stop=MaxCost(3.0), n_initial=2), X)
    batch = campaign.ask()
    assert sorted(batch.ids) == [0, 1]
    campaign.tell(batch.ids, [Failed("why"), Failed("why")])
    assert sorted(campaign.ask().ids) == [0, 1]


def test_the_order_of_answers_changes_nothing():
    rng = np.random.RandomState(0)
    costs = rng.rand(20)
    bought = []
    for order in (1, -1):
        campaign = Campaign(make(cost=costs, stop=MaxCost(5.0)), X)
        while len(batch := campaign.ask()):
            for i in range(len(batch))[::order]:
                campaign.tell([batch.ids[i]], [float(i)])
        bought.append((campaign.queries["id"].tolist(), campaign.records.cost()))
    assert bought[0] == bought[1]


def test_control_rows_are_paid_too():
    sampler = make(stop=MaxCost(40), control_share=0.3).fit(X)
    assert sampler.queries_["control"].any()
    assert sampler.queries_["cost"].sum() <= 40


@pytest.mark.parametrize("max_cost", [21.0, 23.5, 30.0])
@pytest.mark.filterwarnings("error:.*found nothing to ask")
def test_generated_points_are_paid(max_cost):
    X2 = np.random.RandomState(0).randn(40, 3)
    sampler = AdaptiveLatentSampler(
        net_regressor(max_epochs=2),
        LinearLatent(2),
        InterpolationStrategy(),
        FunctionOracle(lambda rows: rows.sum(axis=1), cost=lambda rows: 1 + np.abs(rows[:, 0])),
        n_initial=8,
        n_per_round=5,
        max_labels=60,
        stop=MaxCost(max_cost),
        random_state=0,
        initial="random",
    ).fit(X2)
    paid = sampler.queries_["cost"].sum()
    assert paid <= max_cost
    assert sampler.stop_reason_ == "max_cost"
    made = sampler.queries_.query("kind == 'generated'")
    assert made["id"].is_unique
    np.testing.assert_allclose(made["cost"], 1 + np.abs(sampler.X_generated_[:, 0]))


def test_points_that_do_not_fit_may_fit_once_a_pending_question_has_failed():
    X2 = np.random.RandomState(0).randn(20, 3)
    sampler = AdaptiveLatentSampler(
        net_regressor(max_epochs=1),
        LinearLatent(2),
        InterpolationStrategy(),
        FunctionOracle(len, cost=1.0),
        n_initial=4,
        n_per_round=4,
        max_labels=60,
        stop=MaxCost(8.0),
        random_state=0,
        initial="random",
    )
    campaign = Campaign(sampler, X2)
    first = campaign.ask()
    campaign.tell(first.ids, X2[first.ids, 0])
    second = campaign.ask()
    assert len(second) == 4
    assert len(campaign.ask()) == 0
    assert campaign.stop_reason is None
    campaign.tell(second.ids, [Failed("why")] * 4)
    assert campaign.stop_reason is None
    third = campaign.ask()
    assert len(third) == 4
    campaign.tell(third.ids, [1.0] * 4)
    assert campaign.stop_reason == "max_cost"
    assert charged(campaign) == 8.0


@pytest.mark.parametrize("costs", [[-1.0], [float("nan")], [1.0, 2.0], ["dear"]])
def test_wrong_costs_of_an_own_oracle_are_refused(costs):
    class Own(Free):
        def row_costs(self, X, ids):
            return costs * len(ids)

    with pytest.raises(ValueError, match="cost"):
        make(oracle=Own(), stop=MaxCost(3)).fit(X)


def test_another_oracle_names_its_own_costs():
    campaign = Campaign(make(cost=1.0, stop=MaxCost(8.0)), X)
    campaign.run(FunctionOracle(simulate, cost=4.0))
    assert campaign.queries["cost"].tolist() == [4.0, 4.0]


def test_a_saved_campaign_goes_on_with_its_costs(tmp_path):
    campaign = Campaign(make(oracle=FunctionOracle(lambda rows: rows[:, 0], cost=COSTS), stop=MaxCost(12)), X)
    batch = campaign.ask()
    campaign.tell(batch.ids, [0.0] * len(batch))
    with pytest.warns(UserWarning, match="was not saved"):
        campaign.save(tmp_path / "campaign")
    again = Campaign.load(tmp_path / "campaign", X)
    for each in (campaign, again):
        each.run(FunctionOracle(simulate, cost=COSTS))
    assert campaign.queries["id"].tolist() == again.queries["id"].tolist()
    assert charged(again) == charged(campaign) <= 12


class Free(BaseOracle):
    """An oracle that knows no costs."""

    def label(self, X, ids):
        yield from zip(ids, simulate(X), strict=True)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"stop": MaxCost(0)}, ValueError, "max_cost must be a finite number above 0, got 0"),
        ({"stop": MaxCost("9")}, TypeError, "max_cost must be a finite number above 0, got '9'"),
        (
            {"stop": MaxCost(9), "cost": None},
            ValueError,
            r"MaxCost\(9\) needs an oracle that names its costs",
        ),
        (
            {"stop": MaxCost(9), "oracle": Free()},
            ValueError,
            r"MaxCost\(9\) needs an oracle.*row_costs",
        ),
        (
            {"stop": MaxCost(9), "cost": COSTS[:5]},
            ValueError,
            "cost holds 5 numbers, but the pool has 20 rows",
        ),
        ({"stop": MaxCost(9), "cost": -COSTS}, ValueError, "cost of id .*0.* is -1.0"),
    ],
)
def test_refused_before_anything_is_asked(settings, error, message):
    def never(rows):
        raise AssertionError("asked")

    with pytest.raises(error, match=message):
        make(never, **settings).fit(X)


def test_an_answer_key_has_no_costs():
    with pytest.raises(ValueError, match="needs an oracle that names its costs, got AnswerKey"):
        AdaptiveLatentSampler(net_regressor(max_epochs=1), strategy="random", stop=MaxCost(3)).fit(X, X[:, 0])
