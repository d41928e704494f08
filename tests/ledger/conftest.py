"""A ledger that waits for answers."""

import pytest

from skalss import Campaign

from .campaigns import IDS, X, make_sampler


@pytest.fixture
def path(tmp_path):
    return tmp_path / "task.ledger"


@pytest.fixture
def asked(path):
    """Six ids that wait in the ledger."""
    with Campaign(make_sampler(path), X, sample_id=IDS) as campaign:
        return campaign.ask().ids.tolist()
