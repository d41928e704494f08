import numpy as np
import pytest
import torch

from skalss import AdaptiveLatentSampler, Campaign
from skalss.nets import net_classifier, net_regressor
from skalss.strategies import CommitteeStrategy
from skalss.targets import Classes


class Voter:
    """Predicts what a function says of a row."""

    def __init__(self, function):
        self.predict = self.predict_proba = lambda rows: np.array([function(row) for row in rows])


def divergence(P):
    return Classes().disagreement(torch.as_tensor(P)).numpy()


def test_divergence_is_the_mean_of_the_members_divergences_from_their_mean():
    P = np.random.default_rng(0).dirichlet(np.ones(3), size=(4, 50))
    mean = P.mean(axis=0)
    np.testing.assert_allclose(divergence(P), (P * np.log(P / mean)).sum(axis=2).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(divergence(np.stack([P[0]] * 4)), 0, atol=1e-12)
    opposed = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(divergence(opposed), np.log(2))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_scores_are_the_disagreement_of_the_members(task, world_of):
    world = world_of(task)
    snapshot = world.snapshot()
    candidates = CommitteeStrategy(n_members=3).query(snapshot, 12)
    rows, members = world.X[snapshot.unlabeled], [world.member(i) for i in range(3)]
    if task == "classification":
        expected = divergence(np.stack([m.predict_proba(rows) for m in members]).astype(float))
    else:
        expected = np.var([m.predict(rows).astype(float) for m in members], axis=0)
    order = np.argsort(-expected, kind="stable")[:12]
    np.testing.assert_array_equal(candidates.rows, snapshot.unlabeled[order])
    np.testing.assert_allclose(candidates.scores, expected[order], rtol=1e-4)


def test_asks_where_members_contradict_each_other_and_not_where_all_are_unsure(world):
    """Ten rows divide the members, who know nothing of all others: there is no use in asking those."""
    divided = {row.tobytes() for row in world.X[world.snapshot().unlabeled[20:30]]}

    def vote(number):
        sure = np.eye(10)[number]
        return Voter(lambda row: sure if row.tobytes() in divided else np.full(10, 0.1))

    snapshot = world.snapshot(member=vote)
    candidates = CommitteeStrategy().query(snapshot, 10)
    assert set(candidates.rows) == set(snapshot.unlabeled[20:30])


def test_asks_where_predicted_values_differ(world_of):
    world = world_of("regression")
    snapshot = world.snapshot(member=lambda number: Voter(lambda row: number * row[20]))
    candidates = CommitteeStrategy().query(snapshot, 5)
    largest = np.sort(world.X[snapshot.unlabeled, 20])[::-1][:5]
    np.testing.assert_array_equal(world.X[candidates.rows, 20], largest)


def test_each_member_looks_at_the_rows_drawn(world):
    snapshot = world.snapshot()
    CommitteeStrategy(n_members=3, n_candidates=30).query(snapshot, 5)
    assert snapshot.network.n_rows == 3 * 30
    assert world.counting_net.rows == {}  # the network itself is not needed


def test_wrong_parameters():
    with pytest.raises(ValueError, match="n_members must be at least 2, got 1"):
        CommitteeStrategy(n_members=1).check()
    with pytest.raises(
        TypeError, match="n_candidates must be a whole number of at least 1, or None, got 0.5"
    ):
        CommitteeStrategy(n_candidates=0.5).check()


# -- in a campaign --------------------------------------------------------------------------------


def _campaign(world, y, **params):
    net = net_classifier if world.task == "classification" else net_regressor
    settings = {
        "n_initial": 12,
        "n_per_round": 8,
        "max_labels": 28,
        "random_state": 0,
    }
    sampler = AdaptiveLatentSampler(
        net(max_epochs=3), **{**settings, "strategy": CommitteeStrategy(n_members=3), **params}
    )
    return Campaign(sampler, world.X, y)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_campaign_trains_and_counts_the_members(task, world_of):
    world = world_of(task)
    fitted = _campaign(world, world.y).run().finish()
    assert fitted.n_labels_ == 28
    history = fitted.history_
    assert history["network_rows"].tolist() == [0, 3 * 138, 3 * 130, 0]
    assert (history["fit_seconds"].iloc[1:] > 0).all()
    again = _campaign(world, world.y).run().finish()
    np.testing.assert_array_equal(fitted.labeled_indices_, again.labeled_indices_)


def test_fit_seconds_are_those_of_all_networks(world, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("skalss.campaign.history.time.perf_counter", lambda: float(next(clock)))
    campaign = _campaign(world, world.y)
    batch = campaign.ask()
    campaign.tell(batch.ids, world.y[batch.ids])
    campaign.ask()
    assert campaign.history["fit_seconds"].tolist() == [0.0, 3.0]  # one tick a member
    campaign.network()
    assert campaign.history["fit_seconds"].iloc[-1] == 1.0
    assert (campaign.history["query_seconds"] > 0).sum() == 2


def test_members_differ_from_each_other_and_from_round_to_round(world):
    campaign = _campaign(world, world.y)
    next(campaign.rounds())
    models, records = campaign.models, campaign.records
    members = [models.member(0), models.member(1)]
    records.round += 1
    members.append(models.member(0))
    records.round -= 1
    P = [network.predict_proba(world.X) for network in (*members, models.member(0))]
    assert not np.allclose(P[0], P[1])
    assert not np.allclose(P[0], P[2])
    np.testing.assert_array_equal(P[0], P[3])


@pytest.mark.parametrize("named", [False, True])
def test_every_member_has_an_output_for_a_class_that_its_rows_miss(named, world):
    names = np.array(["zero", "one", "two", "three"])
    rows = np.flatnonzero(world.y < 4)
    y = names[world.y[rows]]
    params = {"classes": names} if named else {}
    campaign = _campaign(world, None, n_initial=5, n_per_round=5, max_labels=15, **params)
    campaign = Campaign(campaign.sampler, world.X[rows])
    once = np.array([np.flatnonzero(y == name)[0] for name in names])
    pending = campaign.ask(5)
    campaign.tell(pending.ids, names[[0, 0, 0, 1, 2]])  # each class but the first has one row at most
    members = [campaign.models.member(i) for i in range(6)]
    n_classes = 4 if named else 3
    assert {m.predict_proba(world.X[rows][once]).shape for m in members} == {(4, n_classes)}
    assert len(campaign.ask()) == 5


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_one_label_is_enough_for_a_committee(task, world_of):
    world = world_of(task)
    campaign = _campaign(world, None, n_initial=1)
    batch = campaign.ask()
    campaign.tell(batch.ids, world.y[batch.ids])
    assert len(campaign.ask()) == 8


def test_members_are_trained_on_decoded_rows_where_the_network_is(world):
    campaign = _campaign(world, world.y, train_on="both", latent_model=world.latent_model)
    assert campaign.run().finish().n_labels_ == 28
