"""A campaign that ends between rounds goes on from its ledger and buys no label of any kind twice."""

import numpy as np
import pytest

from skalss import Campaign, Ledger
from skalss.oracles import ABSTAIN, AnswerKey

from ..kinds import KINDS


class Counting(AnswerKey):
    """Counts the ids that it is asked."""

    asked: list

    def label(self, X, ids):
        self.asked = [*getattr(self, "asked", []), *np.asarray(ids).tolist()]
        yield from super().label(X, ids)


def columns(campaign):
    frame = campaign.queries
    return [frame[name].tolist() for name in ("id", "round", "state")], frame["label"].tolist()


def check_same(found, expected):
    assert found[0] == expected[0]
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(one, other)
        assert type(one) is type(other)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_campaign_ends_between_rounds_and_goes_on(kind, path):
    settings = {"strategy": "random", "initial": "random"}
    oracle = Counting(kind.y)
    with Campaign(kind.told(oracle=oracle, **settings), kind.X) as campaign:
        campaign.run()
        expected, once = columns(campaign), list(oracle.asked)
    oracle = Counting(kind.y)
    with Campaign(kind.told(oracle=oracle, ledger=path, max_labels=18, **settings), kind.X) as campaign:
        campaign.run()
    with Campaign(kind.told(oracle=oracle, ledger=path, **settings), kind.X) as campaign:
        campaign.run()
        check_same(columns(campaign), expected)
        first = campaign.queries["id"][0]
    assert oracle.asked == once  # nothing twice
    Ledger(path).answer(first, None)
    with Campaign(kind.told(oracle=oracle, ledger=path, **settings), kind.X) as campaign:
        campaign.resume()
        assert campaign.queries["state"][0] == "abstained"
        campaign.tell([first], [kind.y[first]], correct=True)
        check_same(columns(campaign), expected)
        campaign.tell([first], [ABSTAIN], correct=True)
    assert oracle.asked == once
