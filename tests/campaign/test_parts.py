"""What is refused when a campaign is put together."""

import re

import pytest

from skalss import Campaign
from skalss.latent import LinearLatent
from skalss.nets import net_regressor
from skalss.oracles import AnswerKey, FunctionOracle
from skalss.strategies import InterpolationStrategy

from .digits import ONE_STEP, X, Y, make_sampler
from .generated import brightness


class CountedLatent(LinearLatent):
    n_fits = 0

    def fit(self, X, y=None):
        CountedLatent.n_fits += 1
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("strategy", "oracle"),
    [
        ("si", None),
        ("si", AnswerKey(Y)),
        (InterpolationStrategy(**ONE_STEP), FunctionOracle(brightness, labels_new_points=False)),
    ],
    ids=["no oracle", "key", "function"],
)
def test_si_with_a_lookup_is_refused_before_anything_trains(oracle, strategy):
    CountedLatent.n_fits = 0
    sampler = make_sampler(strategy=strategy, oracle=oracle, latent_model=CountedLatent(4))
    y = Y if oracle is None else None
    with pytest.raises(ValueError, match=r"labels of generated points, but .* only labels rows.*'snn'"):
        sampler.fit(X, y)
    assert CountedLatent.n_fits == 0
    make_sampler(latent_model=CountedLatent(4)).fit(X, Y)
    assert CountedLatent.n_fits == 1  # the counter counts


def test_what_is_no_oracle():
    with pytest.raises(TypeError, match=r"oracle must be a BaseOracle, a callable or None.*AnswerKey\(y\)"):
        Campaign(make_sampler(oracle=[1, 2, 3]), X)


def test_messages_name_the_sampler_parts():
    sampler = make_sampler(strategy="margin")
    sampler.set_params(estimator=net_regressor())
    with pytest.raises(
        ValueError, match=re.escape("UncertaintyStrategy(score='margin') serves classification")
    ):
        Campaign(sampler.set_params(classes=None), X)
