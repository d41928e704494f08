"""Campaigns with control rows."""

from . import digits
from .digits import X

Y_REG = X[:, 20] + 0.1 * X[:, 30]


def make_sampler(net=None, **params):
    strategy = "margin" if net is None else "snn"
    return digits.make_sampler(
        net, **{"strategy": strategy, "control_share": 0.5, "max_labels": 40, **params}
    )


def control_of(campaign):
    queries = campaign.queries
    return queries[queries["control"].astype(bool)]
