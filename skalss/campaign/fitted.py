"""What a fitted sampler has learned, apart from the user's own objects; and put back around such objects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator

from ..latent import BaseLatentModel, default_latent_model
from ..network import TaskModel, describe_net, make_task_model
from ..oracles.base import LABELED
from ..utils.settings import describe
from .history import History
from .identity import LATER, OUTSIDE
from .models import Models
from .pool import Pool
from .questions import GENERATED
from .records import Records

MODELS = ("estimator_", "latent_model_")  # they have a state of their own


def fitted_attributes(
    pool: Pool,
    records: Records,
    models: Models,
    history: History,
    *,
    model: TaskModel,
    control_scores: pd.DataFrame,
    stop_reason: str | None,
) -> dict[str, Any]:
    """Return what a fitted sampler shows of a campaign: every attribute is named here, and only here."""
    made = records.labelled(GENERATED)
    return {
        **pool.seen_of_user(),
        "vectorizer_": pool.vectorizer,
        **model.target_.fitted_attributes,
        "estimator_": model,
        "latent_model_": models.latent_model,
        "history_": history.to_frame(),
        "queries_": records.to_frame(),
        "control_scores_": control_scores,
        "labeled_indices_": records.positions(held_out=True),
        "X_generated_": np.array([q.row for q in made]).reshape(-1, *pool.X.shape[1:]),
        "y_generated_": pool.target.as_array([q.label for q in made]),
        "n_labels_": records.n_bought(),
        "n_queries_": records.n_paid,
        "n_rounds_": records.round,
        "stop_reason_": stop_reason,
    }


def state_of(sampler: BaseEstimator) -> dict[str, Any]:
    """Return the state of a fitted sampler: nested dicts of what a store can write."""
    if getattr(sampler, "vectorizer_", None) is not None:
        raise TypeError(
            f"The vectorizer {type(sampler.vectorizer_).__name__} cannot be saved without pickle. Pickle "
            "the sampler with joblib.dump, if you trust where it is read; or pass numbers as X and what "
            "they were made of as show=."
        )
    model = sampler.latent_model_
    if isinstance(model, FrozenEstimator):
        model = model.estimator
    learned = {name: value for name, value in vars(sampler).items() if name.endswith("_")}
    return {
        "version": 2,
        "settings": describe_settings(sampler),
        "attributes": {name: value for name, value in learned.items() if name not in MODELS},
        "estimator": _task_state(sampler.estimator_),
        "net": describe_net(sampler.estimator_),
        "latent_model": None if model is None else _latent_state(model),
    }


def _task_state(model: TaskModel) -> dict[str, Any]:
    if not hasattr(model, "get_state"):
        raise TypeError(
            f"{model} cannot be saved without pickle: only networks can. Pickle the sampler with "
            "joblib.dump, if you trust where it is read, or write sampler.estimator_.estimator_ with "
            "skops.io.dump."
        )
    return model.get_state()


def _latent_state(model: BaseEstimator) -> dict[str, Any]:
    if not isinstance(model, BaseLatentModel):
        raise TypeError(
            f"A latent model of type {type(model).__name__} cannot be saved without pickle. Derive it from "
            "skalss.latent.BaseLatentModel and write _own_state and _take_own_state, or pickle the sampler."
        )
    return model.get_state()


def restore(sampler: BaseEstimator, state: Mapping[str, Any]) -> None:
    """Make an unfitted sampler the fitted one that `state` was taken of.

    Raises
    ------
    ValueError
        If a setting of the sampler is not what it was, or its modules have other weights.
    """
    try:
        _restore(sampler, state)
    except (LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise ValueError(
            f"The saved sampler is damaged or forged: {type(error).__name__}: {str(error)[:200]} Load "
            "another copy."
        ) from error


def _restore(sampler: BaseEstimator, state: Mapping[str, Any]) -> None:
    given, saved = describe_settings(sampler), state["settings"]
    if "version" not in state:  # of 0.1.0.dev0, which had other parameters
        given, saved = ({k: v for k, v in s.items() if k in given and k in saved} for s in (given, saved))
    # Parameters that came later, where they are without effect.
    given = {k: v for k, v in given.items() if k in saved or v != repr(LATER.get(k.rpartition("__")[2], ...))}
    check_settings(given, saved)
    network = make_task_model(sampler.estimator)
    network.set_state(state["estimator"])
    latent = state["latent_model"]
    row_shape = tuple(state["estimator"]["row_shape"])
    if latent is not None and tuple(latent["shared"]["_row_shape"]) != row_shape:
        raise ValueError("The saved sampler is damaged or forged: its two models are of other rows.")
    model = None if latent is None else _restore_latent(sampler, latent, len(row_shape))
    attributes = dict(state["attributes"])
    if "version" not in state:
        attributes["queries_"]["state"] = attributes["queries_"]["state"].replace("labelled", LABELED)
    for name, value in {**attributes, "estimator_": network, "latent_model_": model}.items():
        if name.isidentifier() and name.endswith("_") and not name.startswith("_"):
            setattr(sampler, name, value)


def _restore_latent(sampler: BaseEstimator, state: dict[str, Any], row_ndim: int) -> BaseEstimator:
    given = sampler.latent_model
    if given is None:
        given = default_latent_model(row_ndim + 1)
    frozen = isinstance(given, FrozenEstimator)
    model = clone(given.estimator if frozen else given)
    model.set_state(state)
    return FrozenEstimator(model) if frozen else model


def describe_settings(sampler: BaseEstimator) -> dict[str, str]:
    """Return each setting as a text that is the same in any process, but for those that may differ.

    Modules go by their structure: the weights come from the file.
    """
    kept = {}
    for name, value in sampler.get_params().items():
        parts = name.split("__")
        private = any(part.startswith("_") for part in parts)  # skorch lists some of its own
        if not private and parts[-1] not in OUTSIDE and parts[0] not in OUTSIDE:
            # An estimator's parameters are settings of their own.
            named = hasattr(value, "get_params") and not isinstance(value, type)
            kept[name] = type(value).__qualname__ if named else describe(value, weights=False)
    return kept


def check_settings(given: Mapping[str, str], saved: Mapping[str, str]) -> None:
    """Refuse settings that are not those saved, by their names."""
    differ = [name for name in sorted({*given, *saved}) if not _are_alike(given.get(name), saved.get(name))]
    # Where a part is another one, or none, all of its parameters are missing on one side: that says no more.
    differ = [n for n in differ if (n in given and n in saved) or not _is_inside(n, differ)]
    if differ:
        # The innermost says most: with another module all of its parameters differ, too.
        name = next((n for n in differ if n in given and n in saved), differ[0])
        raise ValueError(
            f"The sampler is not the one that was saved: {_short(name)} is "
            f"{_short(given.get(name, 'not there'))}, and was {_short(saved.get(name, 'not there'))} "
            f"({_listed(differ)}). "
            "Pass an unfitted sampler with the settings of the one saved; device, random_state, verbose and "
            "the oracle may differ."
        )


def _short(text: object, length: int = 200) -> str:
    """Return a text of a file as an error shows it; a damaged file may hold a very long one."""
    text = str(text)
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _listed(differ: list[str]) -> str:
    more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
    return (
        f"{len(differ)} settings differ: {', '.join(map(_short, differ[:5]))}{more}"
        if len(differ) > 1
        else "no other differs"
    )


def _is_inside(name: str, others: Collection[str]) -> bool:
    """Whether a parameter belongs to a part that is among the others, as a__b belongs to a."""
    parts = name.split("__")
    return any("__".join(parts[:n]) in others for n in range(1, len(parts)))


def _are_alike(given: str | None, saved: str | None) -> bool:
    """Whether two settings are one; files of version 0.1.0.dev0 name a class without its module."""
    return given == saved or (given is not None and saved is not None and given.endswith(f".{saved}"))
