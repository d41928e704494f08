"""Which of scikit-learn's checks and callers an estimator serves, by delegation to what it wraps."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils import Tags, get_tags
from skorch import NeuralNet, NeuralNetBinaryClassifier
from torch import nn

from ..nets import net_classifier


def copy_task_tags(tags: Tags, estimator: BaseEstimator | None) -> Tags:
    """Copy from `estimator` into `tags` what says which task it serves; None is the default classifier."""
    try:
        source = get_tags(net_classifier() if estimator is None else estimator)
    except (AttributeError, TypeError):  # repr and get_params must work with an invalid parameter
        return tags
    tags.estimator_type = source.estimator_type
    tags.classifier_tags, tags.regressor_tags = source.classifier_tags, source.regressor_tags
    if source.classifier_tags is not None:
        binary = isinstance(estimator, NeuralNetBinaryClassifier)
        several = source.classifier_tags.multi_class and not binary
        labels = _any_width(estimator) if _is_net(estimator) else source.classifier_tags.multi_label
        tags.classifier_tags = replace(
            source.classifier_tags, multi_label=labels and not binary, multi_class=several
        )
    else:
        several = _any_width(estimator) if _is_net(estimator) else source.target_tags.multi_output
        tags.target_tags.multi_output = several
    tags.target_tags.required = True
    tags.input_tags.three_d_array = tags.input_tags.sparse = True
    return tags


def _is_net(estimator: BaseEstimator | None) -> bool:
    return estimator is None or isinstance(estimator, NeuralNet)


def _any_width(estimator: BaseEstimator | None) -> bool:
    """Whether a net is as wide as the labels need: the module takes `output_dim`, and nobody has set it."""
    net: Any = net_classifier() if estimator is None else estimator
    if isinstance(net.module, nn.Module) or not callable(net.module) or net.criterion is nn.NLLLoss:
        return False
    free = "output_dim" in inspect.signature(net.module).parameters
    return free and "module__output_dim" not in net.get_params(deep=False)
