"""SI in a campaign with a simulator that refuses some points."""

import numpy as np

from skalss import AdaptiveLatentSampler, Campaign
from skalss.nets import net_regressor
from skalss.oracles import Abstain, FunctionOracle
from skalss.strategies import InterpolationStrategy


def bright(rows):
    """A simulator that refuses dark points made by the decoder."""
    rows = np.asarray(rows)
    return [
        Abstain("too dark") if r[20] < 5 and not np.allclose(r, np.round(r)) else float(r[20]) for r in rows
    ]


def make_campaign(world, **params):
    settings = {
        "strategy": InterpolationStrategy(
            climb="random", step=2.0, n_steps=1, residual=True, on_refusal="nearest"
        ),
        "oracle": FunctionOracle(bright),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 50,
        "random_state": 0,
        "latent_model": world.latent_model,
    }
    return Campaign(AdaptiveLatentSampler(net_regressor(max_epochs=2), **{**settings, **params}), world.X)


def test_each_refused_point_is_replaced_once_by_a_row_and_paid_once(world_of):
    world = world_of("regression")
    queries = make_campaign(world).run().queries
    assert len(queries) == 50  # refused ones are paid, too
    assert queries["id"].is_unique
    by_round = queries.groupby("round")
    refused = by_round.apply(lambda part: (part["state"] == "abstained").sum(), include_groups=False)
    rows = by_round.apply(lambda part: (part["kind"] == "pool").sum(), include_groups=False)
    assert refused.sum() > 4
    assert rows.tolist()[1:] == [0, *refused.tolist()[1:-1]]
    assert (queries.query("state == 'abstained'")["kind"] == "generated").all()


def test_a_point_that_is_refused_late_is_replaced_then(world_of):
    world = world_of("regression")
    campaign = make_campaign(world, oracle=None)
    first = campaign.ask()
    campaign.tell(first.ids, np.asarray(first.X)[:, 20])
    batch = campaign.ask()
    campaign.tell(batch.ids[:6], np.asarray(batch.X)[:6, 20])
    later = campaign.ask()
    assert [str(id_).startswith("generated") for id_ in later.ids] == [True] * 10
    campaign.tell(batch.ids[6:], [None] * 4)
    campaign.tell(later.ids, np.asarray(later.X)[:, 20])
    third = campaign.ask()
    assert sum(not str(id_).startswith("generated") for id_ in third.ids) == 4
    campaign.tell(third.ids, np.asarray([20.0] * 10))
    assert all(str(id_).startswith("generated") for id_ in campaign.ask().ids)


def test_what_was_asked_is_what_is_trained_on(world_of):
    world = world_of("regression")
    sampler = make_campaign(world).run().finish()
    made = sampler.queries_.query("kind == 'generated' and state == 'labeled'")
    assert len(sampler.X_generated_) == len(made)
    np.testing.assert_allclose(sampler.X_generated_[:, 20], made["label"].astype(float), rtol=1e-5)
