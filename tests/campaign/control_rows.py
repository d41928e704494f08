"""Campaigns with control rows."""

from skalss import (
    AdaptiveLatentSampler,
    TaskNet,
)
from skalss.latent import LinearLatent
from skalss.nets import net_classifier

from .digits import X

Y_REG = X[:, 20] + 0.1 * X[:, 30]


def make_sampler(net=None, *, warm_start=False, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "strategy": "margin" if net is None else "snn",
        "control_share": 0.5,
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 40,
        "random_state": 0,
        "classes": range(10) if net is None else None,
    }
    net = net or net_classifier(max_epochs=3)
    net = TaskNet(net, warm_start=True) if warm_start else net
    return AdaptiveLatentSampler(net, **{**defaults, **params})


def control_of(campaign):
    queries = campaign.queries
    return queries[queries["control"].astype(bool)]
