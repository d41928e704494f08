"""What a round takes from a strategy, and what it refuses."""

import numpy as np
import pytest

from skalss import Campaign
from skalss.strategies import BaseStrategy, Candidates

from .digits import X, Y, answer, make_sampler


class Picks(BaseStrategy):
    def __init__(self, function=None):
        self.function = function

    def query(self, snapshot, n):
        return Candidates(rows=np.array(self.function(snapshot, n)))


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda s, n: s.unlabeled[: n + 1], "more than the 10 candidates asked for"),
        (lambda s, n: [s.unlabeled[0]] * 2, "the same row twice"),
        (lambda s, n: s.labeled[:1], "a row that is labelled, pending or not in the pool"),
        (lambda s, n: [10_000], "a row that is labelled, pending or not in the pool"),
        (lambda s, n: [-1], "a row that is labelled, pending or not in the pool"),
    ],
)
def test_a_strategy_that_breaks_its_contract_is_told_so(function, fault):
    campaign = Campaign(make_sampler(strategy=Picks(function)), X)
    answer(campaign, campaign.ask())
    with pytest.raises(ValueError, match=rf"returned {fault}\. query must return at most n distinct rows"):
        campaign.ask()
    assert len(campaign.pending) == 0


@pytest.mark.parametrize(
    ("candidates", "fault"),
    [
        (Candidates(rows=None), "neither rows nor codes"),
        (Candidates(rows=np.array([90, 91]), codes=np.zeros((1, 4))), "codes, but its generates_points is"),
        (Candidates(rows=np.array([0.5])), "a row that is labelled, pending or not in the pool"),
    ],
)
def test_candidates_that_fit_no_strategy(candidates, fault):
    class Returns(BaseStrategy):
        needs = frozenset()

        def query(self, snapshot, n):
            return candidates

    campaign = Campaign(make_sampler(initial=Returns()), X)
    with pytest.raises(ValueError, match=rf"Returns\(\) returned {fault}"):
        campaign.ask()
    assert campaign.round == 0


def test_fewer_candidates_than_asked_for_are_taken():
    campaign = Campaign(make_sampler(strategy=Picks(lambda s, n: s.unlabeled[: n // 2])), X)
    answer(campaign, campaign.ask())
    assert len(campaign.ask()) == 5


def test_a_strategy_that_has_no_more_to_ask_ends_the_run():
    campaign = Campaign(make_sampler(strategy=Picks(lambda s, n: np.array([], dtype=int))), X, Y)
    with pytest.warns(UserWarning, match="found nothing to ask; stopped before the budget was used up"):
        campaign.run()
    assert campaign.finish().n_labels_ == 10
