"""Which settings make a campaign what it is."""

import warnings

import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from skalss import AdaptiveLatentSampler, Campaign, Ledger, MaxCost, MaxRounds, TaskNet
from skalss.campaign.identity import earlier_name_in_ledger, identity
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


class Scaled(nn.Module):
    """A module with a number that is no weight."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def scaled(factor, ledger):
    latent = PretrainedLatent(nn.Sequential(Scaled(factor), encoder(0)), nn.Linear(4, 64))
    return make_sampler(latent_model=latent, strategy="coreset", initial="kmeans", ledger=ledger)


def test_a_campaign_of_a_ledger_from_before_goes_on_with_a_warning(tmp_path, monkeypatch):
    path = tmp_path / "digits.ledger"
    torch.manual_seed(3)
    with monkeypatch.context() as before:
        before.setattr("skalss.campaign.journal.name_in_ledger", earlier_name_in_ledger)
        with Campaign(scaled(2.0, path), X) as campaign:
            asked = campaign.ask().ids.tolist()
    torch.manual_seed(3)
    with (
        pytest.warns(UserWarning, match="Campaign 1 in .* by an older version, .* taken for this one"),
        Campaign(scaled(2.0, path), X) as campaign,
    ):
        assert campaign.resume().ids.tolist() == asked


def test_a_campaign_with_a_line_of_its_own_takes_no_other(tmp_path):
    path = tmp_path / "digits.ledger"
    for factor in (2.0, 3.0, 2.0):
        torch.manual_seed(3)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Campaign(scaled(factor, path), X) as campaign:
                campaign.ask()
    with Ledger(path) as ledger:
        assert set(ledger.to_frame()["campaign"]) == {1, 2}


class Opaque:
    """Shows nothing of what it is."""

    __slots__ = ("value",)

    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot be pickled")

    def __call__(self, estimator, X, y):
        return 0.0


class Counted:
    """Is another one after each copy."""

    copies = 0

    def __deepcopy__(self, memo):
        Counted.copies += 1
        made = Counted()
        made.number = Counted.copies
        return made

    def __call__(self, estimator, X, y):
        return 0.0


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        (Opaque(), r"hold objects of .*Opaque, which nothing tells .* Give each such campaign a ledger"),
        (Counted(), "not the same after it was copied, so that a restart will not find"),
    ],
)
def test_what_a_ledger_cannot_tell_is_said(scoring, message, tmp_path):
    sampler = make_sampler(ledger=tmp_path / "digits.ledger").set_params(scoring=scoring)
    with pytest.warns(UserWarning, match=message):
        Campaign(sampler, X).close()
