"""Which settings make a campaign what it is."""

import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from skalss import AdaptiveLatentSampler, Campaign, Ledger, MaxCost, MaxRounds, TaskNet
from skalss.campaign.identity import identity
from skalss.latent import LinearLatent, PretrainedLatent
from skalss.nets import net_classifier

from .digits import X, make_sampler


def encoder(seed):
    torch.manual_seed(seed)
    return nn.Linear(64, 4)


def latent(seed):
    return PretrainedLatent(encoder(seed), nn.Linear(4, 64))


@pytest.mark.parametrize(
    "other",
    [
        {"oracle": len},
        {"random_state": 7},
        {"verbose": 1},
        {"ledger": "other.ledger"},
        {"max_labels": 900},
        {"stop": MaxRounds(3)},
        {"estimator": net_classifier(verbose=3)},
        {"estimator": TaskNet(net_classifier(), device="cpu")},
        {"latent_model": LinearLatent(4, random_state=3)},
    ],
    ids=str,
)
def test_what_decides_no_row_does_not_count(other):
    in_task_net = isinstance(other.get("estimator"), TaskNet)
    plain = {"estimator": TaskNet(net_classifier()) if in_task_net else net_classifier()}
    plain["latent_model"] = LinearLatent(4)
    assert identity(AdaptiveLatentSampler(**plain)) == identity(AdaptiveLatentSampler(**{**plain, **other}))


def test_a_comparison_keeps_campaigns_that_end_otherwise_apart():
    plain, other = AdaptiveLatentSampler(), AdaptiveLatentSampler(stop=MaxCost(3))
    assert identity(plain) == identity(other)
    assert identity(plain, whole=True) != identity(other, whole=True)


@pytest.mark.parametrize("frozen", [False, True])
def test_encoders_that_differ_in_their_weights_are_two_campaigns_of_a_ledger(frozen, tmp_path):
    path = tmp_path / "digits.ledger"
    for seed in (0, 1, 0):
        torch.manual_seed(5)  # the decoder
        model = latent(seed)
        model = FrozenEstimator(model.fit(X)) if frozen else model
        sampler = make_sampler(latent_model=model, strategy="coreset", initial="kmeans", ledger=path)
        with Campaign(sampler, X) as campaign:
            campaign.ask()
    with Ledger(path) as ledger:
        frame = ledger.to_frame()
    assert set(frame["campaign"]) == {1, 2}
    first, second = (set(part["id"]) for _, part in frame.groupby("campaign"))
    assert first != second


def test_a_frozen_model_counts_with_what_it_learned():
    first, same, other = (
        FrozenEstimator(LinearLatent(4, random_state=0).fit(rows)) for rows in (X, X.copy(), X[:60])
    )
    texts = [identity(AdaptiveLatentSampler(latent_model=model)) for model in (first, same, other)]
    assert texts[0] == texts[1] != texts[2]
