"""Every public name, and how a good call of it looks. The arguments are those of its signature.

What a good call passes is the default of a parameter, or stands in `GOOD` where the default would take
long or is no value at all.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch

from ...campaign import Campaign, StoppingRule
from ...latent import BaseLatentModel
from ...nets import MLP
from ...network import TaskNet
from ...oracles import BaseOracle, FunctionOracle
from ...selective import (
    BaseSelector,
    SelectiveNetBinaryClassifier,
    SelectiveNetClassifier,
    SelectiveNetRegressor,
)
from ...strategies import BaseStrategy
from . import world

Good = Callable[[], Any]
ROOMS = (
    *("", "latent", "strategies", "selective", "oracles", "ledger", "neighbors", "compare", "display"),
    *("datasets", "nets", "scores", "targets", "campaign", "simulation", "network", "augment", "schedules"),
)


class Subject(NamedTuple):
    """A call whose arguments can be replaced.

    Attributes
    ----------
    name : str
    good : dict of str to callable
        Makes a good value of each argument, anew for each call.
    documented : dict of str to str
        The type of each, as the docstring has it.
    call : callable
        Takes the arguments by name; returns what must be finite.
    finite : bool
        Whether it must.
    """

    name: str
    good: Mapping[str, Good]
    documented: Mapping[str, str]
    call: Callable[..., Any]
    finite: bool = True


# What a good call passes, where a default would not do.
GOOD: dict[str, Any] = {
    "n_components": 2,
    "max_epochs": 1,
    "hidden_layer_sizes": (4,),
    "hidden_channels": (2,),
    "n_candidates": 12,
    "n_members": 2,
    "n_steps": 2,
    "max_clusters": 5,
    "random_state": 0,
    "device": "cpu",
    "agreement": 0.9,
    "max_cost": 100.0,
    "max_rounds": 2,
    "score_chunk": 8,
    "n_samples": 2,
    "backoff": 0.01,
}
# What is handed on as it comes, or is nobody's but the caller's.
PASSED_ON = {"args", "kwargs", "params", "overrides", "fit_params", "self"}


def public_names() -> Iterator[tuple[str, Any]]:
    """Yield every public class and function with its dotted name, once."""
    seen = set()
    for room in ROOMS:
        module = import_module(f"skalss.{room}" if room else "skalss")
        own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", [n for n in own if not n.startswith("_")]):
            value = getattr(module, name)
            if callable(value) and id(value) not in seen:
                seen.add(id(value))
                yield f"{module.__name__}.{name}", value


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters that a caller names."""
    return {n: p for n, p in inspect.signature(function).parameters.items() if n not in PASSED_ON}


def documented_types(*documented: Any) -> dict[str, str]:
    """Return the type of each parameter as docstrings have it."""
    found = {}
    for what in documented:
        text = inspect.getdoc(what) or ""
        for names, kind in re.findall(r"^(\w+(?:, \w+)*) : (.+)$", text, flags=re.MULTILINE):
            found.update(dict.fromkeys(names.split(", "), kind))
    return found


def _always(value: Any) -> Good:
    makes = inspect.isfunction(value) or isinstance(value, partial) or hasattr(value, "cache_info")
    return value if makes else lambda: value


def of_function(name: str, function: Callable[..., Any], **good: Any) -> Subject:
    """Return a function or method as a subject; `good` are values, or functions that make them."""
    finite = good.pop("finite", True)
    made = _good_arguments(function, good)
    return Subject(name, made, documented_types(function), partial(_call, function), finite)


def of_class(name: str, cls: type, use: Callable[..., Any], **good: Any) -> Subject:
    """Return a class as a subject: made, then used with what is in `good` and no parameter of its own."""
    own = parameters_of(cls)
    made = {**_good_arguments(cls, good), **{n: _always(v) for n, v in good.items() if n not in own}}

    def call(**arguments: Any) -> Any:
        instance = cls(**{n: v for n, v in arguments.items() if n in own})
        return use(instance, **{n: v for n, v in arguments.items() if n not in own})

    return Subject(name, made, documented_types(use, *reversed(cls.__mro__)), call)


def _good_arguments(function: Callable[..., Any], good: Mapping[str, Any]) -> dict[str, Good]:
    made = {}
    for name, parameter in parameters_of(function).items():
        if name in good:
            made[name] = _always(good[name])
        elif name in GOOD:
            made[name] = _always(GOOD[name])
        elif parameter.default is not parameter.empty:
            made[name] = partial(_same, parameter.default)
    return made


def _same(value: Any) -> Any:
    return value


def _call(function: Callable[..., Any], **arguments: Any) -> Any:
    positional = [n for n, p in parameters_of(function).items() if p.kind is p.POSITIONAL_ONLY]
    return function(*(arguments.pop(n) for n in positional if n in arguments), **arguments)


# -- how a class is used --------------------------------------------------------------------------


def use_latent_model(model: BaseLatentModel, X: Any) -> list[Any]:
    """Fit it, encode, and decode where it does."""
    Z = model.fit(X).transform(X)
    if not model.has_decoder:
        return [Z]
    return [Z, model.inverse_transform(Z), model.reconstruction_error_]


def use_strategy(strategy: BaseStrategy, X: Any) -> list[Any]:
    """Let it choose in a campaign."""
    return world.play(X, {"strategy": strategy})


def use_strategy_for_values(strategy: BaseStrategy, X: Any) -> list[Any]:
    """Let it choose in a campaign of values."""
    oracle = world.Labeller(values=True)
    return world.play(X, {"strategy": strategy, "estimator": world.net("regression"), "oracle": oracle})


def use_rule(rule: StoppingRule, X: Any) -> list[Any]:
    """Let it end a campaign."""
    oracle = FunctionOracle(world.label_rows, cost=1.0)
    return world.play(X, {"stop": rule, "oracle": oracle}, X_val=world.rows(seed=1), y_val=world.labels())


def use_oracle(oracle: BaseOracle, X: Any, sample_id: Any = None) -> list[Any]:
    """Let it label a campaign."""
    return world.play(X, {"oracle": oracle}, sample_id=sample_id)


def use_selector(selector: BaseSelector) -> Any:
    """Train a net with it."""
    return world.watched_net(selector=selector).predict_proba(float_rows())


def use_callback(callback: Any) -> Any:
    """Train a net with it."""
    return world.watched_net(callbacks=[("callback", callback)]).predict_proba(float_rows())


def use_selective_net(make: Callable[..., Any], **params: Any) -> Any:
    """Make a net and train it."""
    net = make(**params)
    X, y = float_rows(), world.labels()
    if isinstance(net, SelectiveNetRegressor):
        y = world.values().astype(np.float32)[:, None]
    elif isinstance(net, SelectiveNetBinaryClassifier):
        y = y.astype(np.float32)
    width = 2 if isinstance(net, SelectiveNetClassifier) else 1
    net.set_params(module__input_dim=4, module__output_dim=width, module__hidden_layer_sizes=(4,))
    net.set_params(max_epochs=2, batch_size=4, verbose=0, train_split=None)
    return net.fit(X, y).predict(X)


def use_model(model: Any, X: Any, y: Any) -> Any:
    """Train a network and ask it."""
    fitted = model.fit(X, y)
    return [fitted.predict(X), fitted.score(X, y)]


def use_sampler(sampler: Any, X: Any, **data: Any) -> list[Any]:
    """Fit a sampler with a labeller, and ask it."""
    fitted = sampler.fit(X, **data)
    return fitted.predict(X)


def use_campaign(campaign: Campaign, answers: Any) -> Any:
    """Ask, tell and finish."""
    batch = campaign.ask()
    campaign.tell(batch.ids, answers)
    return campaign.finish().predict(world.rows())


def use_module(module: torch.nn.Module, rows: Any) -> Any:
    """Pass rows through it."""
    return module.eval()(rows)


def use_augment(augment: Callable[[Any], Any], batch: Any) -> Any:
    """Let it change a batch."""
    return augment(batch)


def use_index(index: Any, Z: Any, k: Any, allowed: Any) -> Any:
    """Search it."""
    return index.search(Z, k, allowed=allowed)


def use_answer(answer: Any) -> Any:
    """Let a labeller give it."""

    def label(X: Any) -> list[Any]:
        return [*world.label_rows(X[:-1]), answer]

    return world.play(world.rows(), {"oracle": label})


def task_net(**params: Any) -> TaskNet:
    """Return a network around a small net."""
    return TaskNet(world.net(), **params)


def mlp_factory() -> type:
    """Return a module class."""
    return MLP


def float_rows() -> np.ndarray:
    """Return rows as networks take them."""
    return world.rows().astype(np.float32)


def use_simulator(simulator: Any, X: Any) -> list[Any]:
    """Simulate."""
    n = len(X) if isinstance(X, np.ndarray) and X.ndim else 2
    return [answer for _, answer in simulator.label(X, range(n))]


def use_answer_key(key: BaseOracle, X: Any) -> list[Any]:
    """Let it label a campaign by the ids of rows."""
    return world.play(X, {"oracle": key}, sample_id=np.arange(world.N_ROWS))
