"""Every check of scikit-learn for samplers of its own estimators, with all else at its default.

None is expected to fail, and none may skip itself.
"""

from unittest import SkipTest

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalss import AdaptiveLatentSampler


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")  # some checks give next to no data
@parametrize_with_checks([AdaptiveLatentSampler(RandomForestClassifier(10)), AdaptiveLatentSampler(Ridge())])
def test_estimator_check(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        pytest.fail(f"the check skipped itself: {reason}")
