"""The pool is checked once, and no property trains."""

import numpy as np
import pytest
import sklearn.utils.validation
from sklearn.datasets import load_digits

from skalss import AdaptiveLatentSampler, Campaign, ScoreReached
from skalss.nets import net_classifier

X, Y = load_digits(return_X_y=True)
X, Y = X[:150] / 16, Y[:150]  # in [0, 1], so that no scaler looks at the pool


def test_the_pool_is_checked_once(monkeypatch):
    passes, check_array = [], sklearn.utils.validation.check_array

    def counted(array, *args, **kwargs):
        if np.shape(array) == X.shape:
            passes.append(1)
        return check_array(array, *args, **kwargs)

    monkeypatch.setattr(sklearn.utils.validation, "check_array", counted)
    sampler = AdaptiveLatentSampler(net_classifier(max_epochs=2), max_labels=30, random_state=0)
    sampler.set_params(n_initial=10, n_per_round=10).fit(X, Y)
    assert sampler.latent_model_ is not None
    assert len(passes) == 1
    sampler.predict(X)
    assert len(passes) == 3  # by the sampler and by its network: the count counts


@pytest.mark.parametrize("strategy", ["auto", "margin"])
def test_no_property_trains_or_writes(strategy):
    sampler = AdaptiveLatentSampler(
        net_classifier(max_epochs=2),
        strategy=strategy,
        n_initial=10,
        n_per_round=10,
        stop=ScoreReached(0.9),
        control_share=0.2,
        random_state=0,
    )
    campaign = Campaign(sampler, X, X_val=X, y_val=Y)
    names = [name for name in dir(Campaign) if isinstance(getattr(Campaign, name), property)]
    assert {"pending", "stop_reason", "history", "queries", "round"} <= set(names)
    for _ in range(2):
        batch = campaign.ask()
        campaign.tell(batch.ids, Y[batch.ids])
        models = campaign.models
        before = models.trained, models.encoded, len(campaign.history)
        for name in names:
            getattr(campaign, name)
        assert (models.trained, models.encoded, len(campaign.history)) == before
        assert not models.is_current()
