"""A network from a file, in a process that has none of the code that trained it but its module's class."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from ..nets import net_classifier
from ..targets import TARGETS
from ..utils import store
from ..utils.checks import check_path, check_text, show
from ..utils.devices import resolve_device
from .skorch_net import plain_module
from .tasknet import TaskNet

_NETS: dict[str, type[NeuralNet]] = {  # a binary classifier is none of the others
    "binary classifier": NeuralNetBinaryClassifier,
    "classifier": NeuralNetClassifier,
    "regressor": NeuralNetRegressor,
}
# What a prediction is made of the output by; with any other criterion it is the output itself.
_CRITERIA = {
    c.__name__: c for c in (nn.CrossEntropyLoss, nn.NLLLoss, nn.BCEWithLogitsLoss, nn.BCELoss, nn.MSELoss)
}
_PREDICTING = ("predict_proba", "forward_iter", "evaluation_step", "infer")


def describe_net(model: TaskNet) -> dict[str, Any]:
    """Return in plain text what makes the net of a fitted model again, for `load_model`.

    Parameters
    ----------
    model : TaskNet

    Returns
    -------
    made_of : dict
        With the only key `fault` where it cannot be made again from plain text.
    """
    net, module = model.net_, plain_module(model.net_)
    fault = _fault(model)
    if fault:
        return {"fault": fault}
    return {
        "module": f"{type(module).__module__}.{type(module).__qualname__}",
        "parameters": dict(net.get_params_for("module")),
        "kind": _kind(net),
        "criterion": next((n for n, c in _CRITERIA.items() if isinstance(net.criterion_, c)), "MSELoss"),
        "probabilities": _given_net(model).predict_nonlinearity,
        "threshold": getattr(net, "threshold", None),
    }


def load_model(
    path: str | os.PathLike, allow: Collection[str] = ("skalss.nets",), *, device: torch.device | str = "auto"
) -> TaskNet:
    """Read the network of a sampler that ``AdaptiveLatentSampler.save`` wrote, to predict with it.

    Neither the sampler nor its latent model, strategy or oracle is needed. The file holds no code: it names
    the class of the module, which is imported if its module is among those allowed, and must be a
    ``torch.nn.Module``.

    Parameters
    ----------
    path : str or path
    allow : collection of str, default=("skalss.nets",)
        Names of Python modules that a module's class may be imported from, as ``("mypackage.nets",)``. What
        importing them runs is run.
    device : str or torch.device, default="auto"

    Returns
    -------
    model : TaskNet
        Fitted; `predict`, `predict_proba` and `classes_` are those of the sampler.

    Raises
    ------
    ValueError
        If the file is not a saved sampler, or is damaged; if it names a class that is not allowed; or if the
        net has parts that plain text cannot name, which are then named.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from skalss import AdaptiveLatentSampler, load_model
    >>> X, y = load_iris(return_X_y=True)
    >>> sampler = AdaptiveLatentSampler(strategy="random", max_labels=50, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "iris.skalss"
    ...     sampler.fit(X, y).save(path)
    ...     model = load_model(path)
    >>> bool((model.predict(X) == sampler.predict(X)).all())
    True
    """
    if isinstance(allow, str):
        raise TypeError(f"allow takes several names of modules, got the text {allow!r}. Pass ({allow!r},).")
    if isinstance(allow, type) or not isinstance(allow, Collection) or not np.iterable(allow):
        raise TypeError(f"allow must be a list of names of modules, got {show(allow)}.")
    for name in allow:
        check_text("Each name in allow", name)
    check_path("path", path)
    resolve_device(device)
    state = store.read(path)
    try:
        net = _net(state.get("net", {"fault": "it was saved by an older version"}), allow)
        model = TaskNet(net, device=device).set_state({**state["estimator"], "criterion": {}})
        names = state["attributes"].get("feature_names_in_")
    except (LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise ValueError(
            f"{path} is damaged or forged, or its module is another one by now: {type(error).__name__}: "
            f"{str(error)[:200]}"
        ) from error
    if names is not None:
        model.feature_names_in_ = names
    return model


def _net(made_of: Mapping[str, Any], allow: Collection[str]) -> NeuralNet:
    if "fault" in made_of:
        raise ValueError(
            f"The file does not say how its network is made: {made_of['fault']}. Use "
            "AdaptiveLatentSampler.load with a sampler like the one saved, or export "
            "sampler.estimator_.to_torch() with torch.export."
        )
    params = {f"module__{name}": value for name, value in made_of["parameters"].items()}
    params["criterion"] = _CRITERIA[made_of["criterion"]]
    if made_of["probabilities"] not in ("auto", None):
        raise ValueError(f"The file names the probabilities {str(made_of['probabilities'])[:50]!r}.")
    params["predict_nonlinearity"] = made_of["probabilities"]
    if made_of["threshold"] is not None:
        params["threshold"] = float(made_of["threshold"])
    return _NETS[made_of["kind"]](_module_class(made_of["module"], allow), **params)


def _module_class(path: str, allow: Collection[str]) -> type[nn.Module]:
    """Import a class of torch modules from a module that is allowed, and nothing else."""
    home, _, name = str(path).rpartition(".")
    if home not in allow:
        raise ValueError(
            f"The network is a {str(path)[:200]}, and only classes of {sorted(allow)} may be imported. If "
            f"you trust {home[:200]}, pass allow=({home[:200]!r},)."
        )
    found: Any = vars(import_module(home)).get(name)
    ours = isinstance(found, type) and issubclass(found, nn.Module) and found.__module__ == home
    if not ours or found.__qualname__ != name:  # a name may stand for a class of elsewhere
        raise ValueError(f"{home} has no class {name!r} of torch modules of its own.")
    return found


def _kind(net: NeuralNet) -> str | None:
    return next((kind for kind, cls in _NETS.items() if isinstance(net, cls)), None)


def _given_net(model: TaskNet) -> NeuralNet:
    """Return the net as the user made it: its predictions may have been set for the kind of y."""
    return net_classifier() if model.estimator is None else model.estimator


def _fault(model: TaskNet) -> str:
    """Say what of a net plain text cannot name; empty if there is nothing."""
    net, kind = model.net_, _kind(model.net_)
    module = type(plain_module(net))
    if kind is None:
        return f"a {type(net).__name__} is none of skorch's classifiers and regressors"
    if net.module is not module or module.__qualname__ != module.__name__:
        return (
            f"its module is an object or made by a function; give the net the class {module.__name__} itself"
        )
    if _given_net(model).predict_nonlinearity not in ("auto", None):
        return "its predict_nonlinearity is a function"
    known = ("skorch.", "skalss.")
    changed = [name for name in _PREDICTING if not getattr(type(net), name).__module__.startswith(known)]
    if changed:
        return f"{type(net).__name__} has a {changed[0]} of its own"
    if type(model.target_) not in TARGETS:
        return f"its y is of the kind {type(model.target_).__name__}"
    try:
        store.check(net.get_params_for("module"))
    except TypeError as error:
        return f"its module__ parameters are not numbers and text: {error}"
    return ""
