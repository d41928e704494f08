"""Fitted TaskNets of every kind."""

import pytest

from .nets import NETS, fit


@pytest.fixture(params=NETS)
def fitted(request):
    """A fitted TaskNet and what it was trained on: `model, X, y`."""
    return fit(request.param)


@pytest.fixture(params=[name for name in NETS if name != "regressor"])
def fitted_classifier(request):
    """A fitted TaskNet that classifies, and what it was trained on."""
    return fit(request.param)
