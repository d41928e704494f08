"""A place for a ledger, and a look at every training."""

import numpy as np
import pytest

from skalss import TaskNet


@pytest.fixture
def path(tmp_path):
    return tmp_path / "digits.ledger"


@pytest.fixture
def trained(monkeypatch):
    """The rows and labels of every training."""
    seen, fit_rows = [], TaskNet.fit_rows

    def note(self, X, y, **kwargs):
        seen.append((np.array(X), np.array(y)))
        return fit_rows(self, X, y, **kwargs)

    monkeypatch.setattr(TaskNet, "fit_rows", note)
    return seen


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Bootstraps of 60 draws: what an interval is does not depend on their number."""
    monkeypatch.setattr("skalss.campaign.scoring.N_RESAMPLES", 60)
