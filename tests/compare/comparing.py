"""A small comparison on the digits."""

from skalss import AdaptiveLatentSampler
from skalss.compare import compare_strategies
from skalss.datasets import load_digits_pool
from skalss.latent import LinearLatent
from skalss.nets import net_classifier

POOL = load_digits_pool()
X, Y = POOL.X[:200], POOL.y[:200]
TEST = {"X_test": POOL.X_test[:100], "y_test": POOL.y_test[:100]}
SECONDS = ["latent_seconds", "query_seconds", "fit_seconds"]


def make_sampler(net=None, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 30,
    }
    return AdaptiveLatentSampler(net or net_classifier(max_epochs=5), **{**defaults, **params})


def compare(strategies, sampler=None, *, y=Y, **params):
    params = {**TEST, "seeds": 2, **params}
    return compare_strategies(sampler or make_sampler(), X, y, strategies, **params)


def without_seconds(results):
    return results.drop(columns=SECONDS)
