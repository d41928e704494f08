"""Which of scikit-learn's checks and callers an estimator serves, by delegation to what it wraps."""

from __future__ import annotations

from dataclasses import replace

from sklearn.base import BaseEstimator
from sklearn.utils import Tags, get_tags
from skorch import NeuralNetBinaryClassifier

from ..nets import net_classifier


def copy_task_tags(tags: Tags, estimator: BaseEstimator | None) -> Tags:
    """Copy from `estimator` into `tags` what says which task it serves; None is the default classifier."""
    try:
        source = get_tags(net_classifier() if estimator is None else estimator)
    except (AttributeError, TypeError):  # repr and get_params must work with an invalid parameter
        return tags
    tags.estimator_type = source.estimator_type
    tags.classifier_tags, tags.regressor_tags = source.classifier_tags, source.regressor_tags
    if source.classifier_tags is not None:  # a forest takes several labels a row, a campaign one
        several = source.classifier_tags.multi_class and not isinstance(estimator, NeuralNetBinaryClassifier)
        tags.classifier_tags = replace(source.classifier_tags, multi_label=False, multi_class=several)
    tags.target_tags.required = True
    tags.input_tags.three_d_array = tags.input_tags.sparse = True
    return tags
