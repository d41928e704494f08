"""See the campaigns that a comparison runs."""

import pytest

from skalss.compare import run as compare_module


@pytest.fixture
def campaigns(monkeypatch):
    """The campaigns that are run in this process, in order."""
    running = []

    class Watched(compare_module.Campaign):
        def rounds(self):
            running.append(self)
            return super().rounds()

    monkeypatch.setattr(compare_module, "Campaign", Watched)
    return running
