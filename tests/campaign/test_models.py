"""What is trained, on what, and when."""

import itertools

import numpy as np
import pytest

from skalss import Campaign
from skalss.latent import LinearLatent
from skalss.oracles import FunctionOracle

from .digits import X, Y, answer, make_sampler
from .generated import si_sampler


class CountedLatent(LinearLatent):
    n_fits = 0

    def fit(self, X, y=None):
        CountedLatent.n_fits += 1
        return super().fit(X, y)


def test_the_latent_model_is_fitted_only_where_it_is_needed():
    CountedLatent.n_fits = 0
    sampler = make_sampler(strategy="random", latent_model=CountedLatent(4)).fit(X, Y)
    assert CountedLatent.n_fits == 0
    assert sampler.latent_model_ is None
    make_sampler(strategy="random", train_on="both", latent_model=CountedLatent(4)).fit(X, Y)
    assert CountedLatent.n_fits == 1


@pytest.mark.parametrize(("train_on", "n_rows"), [("original", 30), ("decoded", 30), ("both", 60)])
def test_train_on(train_on, n_rows, monkeypatch):
    from skalss.network.tasknet import TaskNet

    seen, train = [], TaskNet.fit_rows
    monkeypatch.setattr(
        TaskNet,
        "fit_rows",
        lambda self, X, y, **kw: seen.append((X.copy(), y.copy())) or train(self, X, y, **kw),
    )
    campaign = Campaign(make_sampler(train_on=train_on), X, Y).run()
    sampler = campaign.finish()
    rows, labels = seen[-1]
    picked = sampler.labeled_indices_
    assert len(rows) == len(labels) == n_rows
    encoded = campaign.models.latent()
    decoded = encoded.model.inverse_transform(encoded.codes[picked])
    if train_on != "decoded":
        np.testing.assert_array_equal(rows[:30], X[picked])
    if train_on != "original":
        np.testing.assert_allclose(rows[-30:], decoded, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(labels, np.tile(Y[picked], n_rows // 30))


def test_generated_points_are_trained_on(monkeypatch):
    seen = []
    from skalss.network.tasknet import TaskNet

    train = TaskNet.fit_rows
    monkeypatch.setattr(
        TaskNet,
        "fit_rows",
        lambda self, X, y, **kw: seen.append((X.copy(), y.copy())) or train(self, X, y, **kw),
    )
    sampler = si_sampler().fit(X)
    rows, labels = seen[-1]
    assert len(rows) == len(labels) == 30
    np.testing.assert_allclose(rows[10:], sampler.X_generated_)
    np.testing.assert_array_equal(labels[10:], sampler.y_generated_)
    np.testing.assert_array_equal(rows[:10], X[sampler.labeled_indices_])


def test_each_round_starts_from_a_fresh_net_unless_told_to_go_on():
    nets = {}
    for go_on in (False, True):
        campaign = Campaign(make_sampler(warm_start=go_on), X)
        found = []
        while len(batch := campaign.ask()):
            answer(campaign, batch)
            found.append(campaign.network().net_)
        nets[go_on] = found
    assert len({id(net) for net in nets[False]}) == 3
    assert [len(net.history) for net in nets[True]] == [3, 6, 9]  # one that was given out stays as it was
    assert [len(net.history) for net in nets[False]] == [3, 3, 3]


def test_each_round_has_seeds_of_its_own():
    campaign = Campaign(make_sampler(strategy="random"), X)
    seeds = []
    while len(batch := campaign.ask()):
        answer(campaign, batch)
        seeds.append(campaign.network().random_state)
    assert len(set(seeds)) == len(seeds) == 3


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_class_that_turns_up_late(warm_start):
    """With `classes` not given they are those seen so far, and one more is no error."""
    asked = itertools.count()
    oracle = FunctionOracle(lambda row: "early" if next(asked) < 12 else "late", per_row=True)
    sampler = make_sampler(oracle=oracle, classes=None, warm_start=warm_start).fit(X)
    assert sampler.classes_.tolist() == ["early", "late"]
    assert sampler.n_labels_ == 30
