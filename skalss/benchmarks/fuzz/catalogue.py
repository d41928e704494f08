"""All subjects: a constructor with what is done with the object, a function, or a method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from ... import latent as latents
from ... import network, schedules, selective
from ...campaign import StoppingRule
from ...latent import BaseLatentModel
from ...neighbors import BaseIndex
from ...nets import MLP
from ...oracles import BaseOracle
from ...sampler import AdaptiveLatentSampler
from ...selective import BaseSelector
from ...strategies import BaseStrategy
from . import subjects as s
from . import world
from .functions import LABELED_DATA, functions, methods, pictures, tensors
from .subjects import Subject, of_class, of_function

# By base class: how an object is used, and with what.
ROLES: list[tuple[type, Callable[..., Any], dict[str, Any]]] = [
    (BaseLatentModel, s.use_latent_model, {"X": world.rows}),
    (BaseStrategy, s.use_strategy, {"X": world.rows}),
    (StoppingRule, s.use_rule, {"X": world.rows}),
    (BaseSelector, s.use_selector, {}),
    (BaseOracle, s.use_oracle, {"X": world.rows}),
    (
        BaseIndex,
        s.use_index,
        {
            "codes": s.float_rows,
            "Z": lambda: s.float_rows()[:3],
            "k": 2,
            "allowed": lambda: np.arange(24) > 3,
        },
    ),
]
# What else a class of a role needs.
MORE: dict[str, dict[str, Any]] = {
    "ConvVAE": {"X": world.images},
    "LevelSetLatent": {"X": world.images},
    "AnswerKey": {"y": world.labels, "sample_id": lambda: np.arange(24)},
    "FunctionOracle": {"function": lambda: world.label_rows},
    "ScoreReached": {"score": 0.9},
    "VesselStress": {"X": world.vessels},
    "UncertaintyStrategy": {"score": "margin"},
}
USES = {"VesselStress": s.use_simulator, "AnswerKey": s.use_answer_key}
# Names that are no subjects of their own.
LEFT_OUT = {
    **dict.fromkeys(
        ["Candidates", "MadePoints", "PseudoLabels", "Selection", "Batch", "Progress", "Geometry"], "a record"
    ),
    **dict.fromkeys(["LedgerError", "LedgerLockedError", "LedgerMismatchError"], "an error"),
    **dict.fromkeys(["OracleError", "OracleAnswerError"], "an error"),
    "Snapshot": "made by make_snapshot",
    "TaskModel": "a protocol",
    "SkactivemlStrategy": "of an optional library",
    **dict.fromkeys(["FaissIndex", "UsearchIndex"], "of an optional library"),
    "load_images": "downloads",
    "load_scratch_assay": "of an optional package",
    "Abstain": "any reason is kept as text",
    "VesselSimulation": "made by VesselStress",
    **dict.fromkeys(
        [
            "can_decode",
            "can_fuse",
            "check_needs",
            "describe_net",
            "find_geometry",
            "nearest_by_chance",
            "no_decoder",
            "sized_module",
            "warn_if_outside",
        ],
        "called by the package alone",
    ),
}


@cache
def all_subjects() -> dict[str, Subject]:
    """Return the subjects by name, in a fixed order."""
    found = [*_by_role(), *_estimators(), *functions(), *methods(), *pictures(), *tensors()]
    return {subject.name: subject for subject in found}


def _by_role() -> Iterator[Subject]:
    for name, value in s.public_names():
        last = name.rpartition(".")[2]
        if (
            not isinstance(value, type)
            or last in LEFT_OUT
            or last.startswith("Base")
            or last == "StoppingRule"
        ):
            continue
        for base, use, data in ROLES:
            if issubclass(value, base):
                use = USES.get(last, use)
                yield of_class(name, value, use, **{**data, **MORE.get(last, {})})
                if issubclass(value, BaseStrategy) and "regression" in value.tasks:
                    yield of_class(f"{name} for values", value, s.use_strategy_for_values, **data)


def _estimators() -> Iterator[Subject]:
    data = {
        **{"X": world.rows, "y": lambda: None, "labeled": lambda: None, "sample_id": lambda: np.arange(24)},
        **{"X_val": lambda: world.rows(seed=1), "y_val": world.labels, "show": world.rows},
    }
    budget = {**world.BUDGET, "strategy": "random", "classes": (0, 1), "oracle": lambda: world.Labeller()}
    budget |= {"estimator": world.net, "latent_model": lambda: latents.LinearLatent(2)}
    yield of_class("skalss.AdaptiveLatentSampler", AdaptiveLatentSampler, s.use_sampler, **budget, **data)
    looked_up = {**budget, "oracle": None, "classes": None, "strategy": "margin"}
    data = {
        **data,
        "y": world.labels,
        "sample_id": lambda: None,
        "X_val": lambda: None,
        "y_val": lambda: None,
    }
    yield of_class("AdaptiveLatentSampler, y", AdaptiveLatentSampler, s.use_sampler, **looked_up, **data)
    given = {**data, "labeled": lambda: np.arange(24) < 8, "sample_id": lambda: np.arange(24)}
    yield of_class("AdaptiveLatentSampler, labeled", AdaptiveLatentSampler, s.use_sampler, **budget, **given)
    values = {**budget, "estimator": partial(world.net, "regression"), "classes": None, "strategy": "auto"}
    values |= {"oracle": None, **data, "y": world.values}
    yield of_class("AdaptiveLatentSampler, values", AdaptiveLatentSampler, s.use_sampler, **values)
    yield of_class("skalss.TaskNet", network.TaskNet, s.use_model, estimator=world.net, **LABELED_DATA)
    regressor = {"estimator": partial(world.net, "regression"), "X": world.rows, "y": world.values}
    yield of_class("TaskNet, values", network.TaskNet, s.use_model, **regressor)
    forest = {"estimator": lambda: LogisticRegression(), **LABELED_DATA}
    yield of_class("skalss.network.SklearnModel", network.SklearnModel, s.use_model, **forest)
    for name in ("SelectiveNetClassifier", "SelectiveNetBinaryClassifier", "SelectiveNetRegressor"):
        cls = partial(getattr(selective, name), MLP)
        subject = of_function(f"skalss.selective.{name}", cls)
        yield subject._replace(call=partial(s.use_selective_net, cls))
    for callback in (selective.EarlyDropLR, selective.MarginMonitor, schedules.CosineLR):
        yield of_class(f"{callback.__module__}.{callback.__name__}", callback, s.use_callback)
