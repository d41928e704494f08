"""Every check of scikit-learn for samplers of its own estimators, with all else at its default."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.utils.estimator_checks import parametrize_with_checks

from skalss import AdaptiveLatentSampler


@parametrize_with_checks([AdaptiveLatentSampler(RandomForestClassifier(10)), AdaptiveLatentSampler(Ridge())])
def test_estimator_check(estimator, check):
    check(estimator)
