"""What a user adds from outside of the package: each is one class, written here."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from skorch import NeuralNetRegressor

from skalss import AdaptiveLatentSampler, Campaign, Progress, StoppingRule, TaskNet
from skalss.latent import LinearLatent
from skalss.neighbors import BaseIndex, make_index, nearest_codes
from skalss.nets import MLP, net_classifier
from skalss.oracles import BaseOracle
from skalss.strategies import BaseStrategy, Candidates, UncertaintyStrategy
from skalss.targets import Values, make_target

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:120], DIGITS_Y[:120]


def make_sampler(estimator=None, **params):
    defaults = {"latent_model": LinearLatent(4), "n_initial": 10, "n_per_round": 10, "max_labels": 50}
    estimator = net_classifier(max_epochs=2) if estimator is None else estimator
    return AdaptiveLatentSampler(estimator, **{**defaults, "random_state": 0, **params})


class EnoughOfEach(StoppingRule):
    """Stops at a number of rounds and answers that only this rule knows."""

    def __init__(self, n_labels):
        self.n_labels = n_labels

    def reason(self, progress):
        assert isinstance(progress, Progress)
        return "enough" if progress.n_labels >= self.n_labels and progress.round >= 1 else None


def test_a_stopping_rule():
    sampler = make_sampler(stop=EnoughOfEach(25), strategy="random").fit(X, Y)
    assert (sampler.stop_reason_, sampler.n_labels_) == ("enough", 30)


class ScoreFallsBelow(StoppingRule):
    needs = frozenset({"score"})

    def reason(self, progress):
        return "too low" if progress.score < 2 else None


def test_a_stopping_rule_that_needs_a_score():
    with pytest.raises(ValueError, match=r"ScoreFallsBelow\(\) needs held-out rows to score on"):
        make_sampler(stop=ScoreFallsBelow()).fit(X, Y)
    sampler = make_sampler(stop=[EnoughOfEach(40), ScoreFallsBelow()]).fit(X, Y, X_val=X, y_val=Y)
    assert (sampler.stop_reason_, sampler.n_labels_) == ("too low", 10)


class LastRows(BaseStrategy):
    def query(self, snapshot, n):
        return Candidates(rows=snapshot.unlabeled[::-1][:n])


def test_a_strategy():
    sampler = make_sampler(strategy=LastRows(), max_labels=20).fit(X, Y)
    free = np.setdiff1d(np.arange(120), sampler.labeled_indices_[:10])
    assert sampler.labeled_indices_[10:].tolist() == free[::-1][:10].tolist()


class Angles(Values):
    """Degrees: 370 is 10."""

    def check(self, answer):
        return super().check(answer) % 360


class AngleNet(NeuralNetRegressor):
    target_type = Angles


def test_a_kind_of_y():
    net = TaskNet(AngleNet(MLP, max_epochs=2))
    assert type(make_target(net)) is Angles
    assert type(make_target(Ridge())) is Values
    sampler = make_sampler(net, strategy="random", oracle=lambda rows: 350 + rows[:, 20]).fit(X)
    assert max(sampler.queries_["label"]) < 360
    assert min(sampler.queries_["label"]) < 10


class Backwards(BaseIndex):
    """Finds the same neighbours in another way."""

    def _nearest(self, Z, k, allowed):
        rows, distances = nearest_codes(self.codes[::-1], Z, k, allowed=allowed[::-1])
        return len(self.codes) - 1 - rows, distances


def test_an_index():
    codes = np.random.default_rng(0).normal(size=(300, 4))
    allowed = np.arange(300) % 3 > 0
    found = make_index(codes, Backwards).search(codes[:9], 5, allowed)
    expected = make_index(codes, "exact").search(codes[:9], 5, allowed)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


class Two(BaseOracle):
    def label(self, X, ids):
        yield from ((id_, 2) for id_ in ids)


def test_an_oracle():
    assert set(make_sampler(oracle=Two(), strategy="random").fit(X).queries_["label"]) == {2}


class Centred(LinearLatent):
    """A latent model that changes how rows are encoded."""

    def transform(self, X):
        return super().transform(X) - 1


def test_a_latent_model_with_a_transform_of_its_own_is_asked_for_its_codes():
    campaign = Campaign(make_sampler(strategy="snn", latent_model=Centred(4)), X, Y)
    campaign.run()
    encoded = campaign.models.latent()
    np.testing.assert_allclose(encoded.codes, encoded.model.transform(X), rtol=1e-5, atol=1e-5)


def test_strategies_outside_the_package_say_what_they_need():
    assert BaseStrategy.needs == {"labels"}
    assert UncertaintyStrategy("mms").needs == {"labels", "logits", "features"}
