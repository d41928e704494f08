"""What a campaign says of its own chance to gain."""

import logging

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from skalss import AdaptiveLatentSampler

from .digits import X, Y, make_sampler

RNG = np.random.RandomState(0)
NOISE = RNG.normal(size=(len(X), 4))
# A few words that all texts share, and many that few have: neighbours of most rows are the shortest ones.
WORDS = RNG.exponential(size=(len(X), 300)) * (RNG.uniform(size=(len(X), 300)) < 0.03)


def outlooks(sampler, **fit_params):
    return sampler.fit(X, Y, **fit_params).history_["outlook"].tolist()


@pytest.fixture(scope="module")
def codes_of_classes():
    """Codes in which each class has a place of its own."""
    return np.eye(10)[Y.astype(int)] * 10 + np.random.RandomState(1).normal(size=(len(Y), 10))


def test_codes_that_keep_the_classes_apart(codes_of_classes):
    first, *chosen, last = outlooks(make_sampler(latent_model=None), codes=codes_of_classes)
    assert first == last == ""  # the first set is chosen without labels, and after the last answer none is
    assert all(text.startswith("likely: near codes are of one class (structure 0.") for text in chosen)


def test_codes_that_say_nothing_of_the_classes():
    chosen = outlooks(make_sampler(latent_model=None), codes=NOISE)[1:-1]
    assert all(text.startswith("unclear: the codes do not keep the classes apart") for text in chosen)


def test_codes_with_hubs():
    chosen = outlooks(make_sampler(latent_model=None), codes=WORDS)[1:-1]
    assert all(text.startswith("unclear: some codes are neighbours of nearly all") for text in chosen)


def test_a_budget_that_pays_for_most_of_the_pool(codes_of_classes):
    sampler = make_sampler(latent_model=None, n_per_round=len(X) // 2, max_labels=len(X) // 2 + 20)
    assert outlooks(sampler, codes=codes_of_classes)[1].startswith("unclear: the budget pays for 67%")


def test_a_network_that_learned_nothing(codes_of_classes):
    labels = np.random.RandomState(2).permutation(Y)
    sampler = make_sampler(latent_model=None, n_per_round=24, max_labels=58, control_share=0.9)
    found = sampler.fit(X, labels, codes=codes_of_classes).history_["outlook"]
    assert found.iloc[2].startswith("unclear: on 22 held-out rows the network is right in ")


@pytest.mark.parametrize("strategy", ["random", "margin"])
def test_nothing_is_said_where_nothing_is_known(strategy):
    assert set(outlooks(make_sampler(strategy=strategy, initial="random"))) == {""}


@pytest.mark.parametrize(
    ("noise", "start"),
    [
        ("normal", "unclear: errors are alike everywhere (RMSE/MAE 1."),
        ("pareto", "likely: a few errors are far"),
    ],
)
def test_values_by_how_uneven_the_errors_are(noise, start):
    rng = np.random.RandomState(0)
    rows = rng.normal(size=(2000, 3))
    y = rows.sum(axis=1) + (rng.normal(size=2000) if noise == "normal" else rng.pareto(1.5, size=2000))
    sampler = AdaptiveLatentSampler(
        LinearRegression(), strategy="coreset", n_initial=50, n_per_round=200, max_labels=450,
        control_share=0.5, random_state=0,
    )  # fmt: skip
    found = sampler.fit(rows, y, codes=rows).history_["outlook"]
    assert found.iloc[2].startswith(start)


def test_the_log_says_it_when_it_is_news(caplog, codes_of_classes):
    with caplog.at_level(logging.INFO, logger="skalss"):
        outlooks(make_sampler(latent_model=None), codes=codes_of_classes)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "A gain over random rows is likely"
    ]
