"""What a fitted sampler has learned, apart from the user's own objects; and put back around such objects."""

from __future__ import annotations

import hashlib
import numbers
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from torch import Tensor, nn

from ..latent import VAE, BaseLatentModel, ConvVAE
from ..network.tasknet import TaskNet
from ..utils.tensors import to_host
from .models import set_known

# Only these are set from a file.
ATTRIBUTES = (
    *("history_", "queries_", "labeled_indices_", "X_generated_", "y_generated_", "classes_"),
    *("n_labels_", "n_queries_", "n_rounds_", "stop_reason_", "n_features_in_", "feature_names_in_"),
)
_FREE = ("device", "verbose", "random_state", "n_jobs")  # may differ: they change nothing of what was learned


def state_of(sampler: Any) -> dict[str, Any]:
    """Give the state of a fitted sampler: nested dicts of what a store can write."""
    model = sampler.latent_model_
    if isinstance(model, FrozenEstimator):
        model = model.estimator
    return {
        "settings": describe_settings(sampler),
        "attributes": {name: vars(sampler)[name] for name in ATTRIBUTES if name in vars(sampler)},
        "estimator": sampler.estimator_.get_state(),
        "latent_model": None if model is None else _latent_state(model),
    }


def _latent_state(model: Any) -> dict[str, Any]:
    if not isinstance(model, BaseLatentModel):
        raise TypeError(
            f"A latent model of type {type(model).__name__} cannot be saved without pickle. Derive it from "
            "skalss.latent.BaseLatentModel and write _own_state and _take_own_state, or pickle the sampler."
        )
    return model.get_state()


def restore(sampler: Any, state: dict[str, Any]) -> None:
    """Make an unfitted sampler the fitted one that `state` was taken of.

    Raises
    ------
    ValueError
        If a setting of the sampler is not what it was, or its modules have other weights.
    """
    check_settings(describe_settings(sampler), state["settings"])
    known = sampler.estimator
    network = clone(known if isinstance(known, TaskNet) else TaskNet(known))
    network.set_params(device=sampler.device).set_state(state["estimator"])
    saved = state["latent_model"]
    model = None if saved is None else _restore_latent(sampler, saved, len(state["estimator"]["row_shape"]))
    found = {name: value for name, value in state["attributes"].items() if name in ATTRIBUTES}
    vars(sampler).update(found, estimator_=network, latent_model_=model)


def _restore_latent(sampler: Any, state: dict[str, Any], row_ndim: int) -> Any:
    given = sampler.latent_model
    if given is None:
        given = VAE() if row_ndim == 1 else ConvVAE()
    frozen = isinstance(given, FrozenEstimator)
    model = clone(given.estimator if frozen else given)
    if not frozen:
        set_known(model, device=sampler.device)
    model.set_state(state)
    return FrozenEstimator(model) if frozen else model


def describe_settings(sampler: Any) -> dict[str, str]:
    """Give each setting as a text that is the same in any process, but for those that may differ."""
    params = sampler.get_params()
    names = [n for n in params if n.rpartition("__")[2] not in _FREE and n.partition("__")[0] != "oracle"]
    return {name: _describe(params[name]) for name in sorted(names)}


def check_settings(given: Mapping[str, str], saved: Mapping[str, str]) -> None:
    """Refuse settings that are not those saved, by their names."""
    differ = [name for name in sorted({*given, *saved}) if given.get(name) != saved.get(name)]
    if differ:
        # The innermost says most: with another module all of its parameters differ, too.
        name = next((n for n in differ if n in given and n in saved), differ[0])
        raise ValueError(
            f"The sampler is not the one that was saved: {name} is {given.get(name, 'not there')}, and was "
            f"{saved.get(name, 'not there')} ({len(differ)} settings differ: {', '.join(differ[:5])}). "
            "Pass an unfitted sampler with the settings of the one saved; device, random_state, verbose and "
            "the oracle may differ."
        )


def _describe(value: Any) -> str:
    """Name a value by what it is, without its address in memory."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | numbers.Number):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_describe, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_describe(item)}' for key, item in value.items())}}}"
    if isinstance(value, np.ndarray | Tensor):
        array = np.ascontiguousarray(to_host(value))
        content = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
        return f"array {array.dtype} {array.shape} {hashlib.blake2b(content, digest_size=8).hexdigest()}"
    if isinstance(value, partial):
        return f"partial of {_describe([value.func, value.args, value.keywords])}"
    if isinstance(value, nn.Module):
        return repr(value)
    # An estimator's parameters are settings of their own.
    return getattr(value, "__qualname__", type(value).__qualname__)
