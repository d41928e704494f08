"""The settings of an estimator as text: equal for equal ones in any process, by what they are."""

from __future__ import annotations

import hashlib
import inspect
import numbers
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import CellType, CodeType
from typing import Any

import numpy as np
import torch
import torch.fx
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNet
from torch import Tensor, nn

from .surroundings import usual_sklearn
from .tensors import to_host

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def describe(
    value: object, ignored: Collection[str] = (), *, weights: bool = True, whole: bool = True
) -> str:
    """Name a value by what it is, without its address in memory.

    Of an estimator only the parameters are named that differ from their defaults, so that a new parameter
    changes no name. An array or a module is named by its content, a frozen estimator by what it learned. A
    function has its name; one that no import finds again, such as a lambda, is also named by its code and
    what it holds, which another version of Python may write otherwise.

    Parameters
    ----------
    value : object
    ignored : collection of str
        Parameters to leave out, at any depth.
    weights : bool, default=True
        Whether modules that differ only in their weights differ, and functions of one name.
    whole : bool, default=True
        Whether all of a value counts. False: as ledgers know it that were begun before functions without a
        name, attributes of modules, and the parts of frozen estimators counted.

    Returns
    -------
    text : str

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> describe(Ridge(alpha=2.0, random_state=3), ignored=["random_state"])
    'sklearn.linear_model._ridge.Ridge(alpha=2.0)'
    """
    return _Describer(frozenset(ignored), weights, whole).text(value)


def blind_spots(value: object, ignored: Collection[str] = ()) -> list[str]:
    """Return the types of objects in a value that `describe` cannot tell from others of their type.

    Parameters
    ----------
    value : object
    ignored : collection of str
        Parameters to leave out, at any depth.

    Returns
    -------
    types : list of str
        Sorted.
    """
    describer = _Describer(frozenset(ignored))
    describer.text(value)
    return sorted(describer.unseen)


def differing_parameters(estimator: BaseEstimator, ignored: Collection[str] = ()) -> dict[str, Any]:
    """Return the parameters of an estimator that differ from their defaults.

    Parameters
    ----------
    estimator : estimator
        With ``get_params``.
    ignored : collection of str
        Names to leave out.

    Returns
    -------
    parameters : dict
    """
    defaults, describer = _defaults(type(estimator)), _Describer(frozenset(ignored))
    found = {}
    for name, value in sorted(estimator.get_params(deep=False).items()):
        if name in ignored:
            continue
        if name not in defaults or describer.text(value) != describer.text(defaults[name]):
            found[name] = value
    return found


@usual_sklearn()  # which would print other parameters, too
def list_settings(params: Mapping[str, Any], ignored: Collection[str]) -> str:
    """Write parameters as text, as files before format 2 know a campaign.

    Parameters
    ----------
    params : mapping
        From ``get_params``.
    ignored : collection of str
        Names to leave out, also of the parts, as in ``estimator__verbose``.

    Returns
    -------
    text : str
        Sorted by name; without addresses in memory.

    Examples
    --------
    >>> list_settings({"b": 2, "a": 1, "part__verbose": 0}, ignored=["verbose"])
    "[('a', 1), ('b', 2)]"
    """
    kept = {name: value for name, value in params.items() if name.rpartition("__")[2] not in ignored}
    return re.sub(r" at 0x[0-9a-f]+", "", f"{sorted(kept.items(), key=lambda item: item[0])}")


class _Describer:
    """Walks through a value; one that holds itself is named once."""

    def __init__(self, ignored: frozenset[str], weights: bool = True, whole: bool = True):
        self.ignored, self.weights, self.whole = ignored, weights, whole and weights
        self.fitted = False  # whether parts that are estimators count with what they learned
        self.inside: set[int] = set()
        self.unseen: set[str] = set()  # types that nothing tells from others

    def text(self, value: object) -> str:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, str | bytes | numbers.Number):
            return repr(value)
        if inspect.ismethod(value):
            return f"{self.text(value.__self__)}.{value.__name__}"
        if isinstance(value, type) or (inspect.isroutine(value) and not (self.whole and _is_nameless(value))):
            return _name_of(value)
        if id(value) in self.inside:
            return "..."
        self.inside.add(id(value))
        try:
            return self._of_object(value)
        finally:
            self.inside.discard(id(value))

    def _of_object(self, value: object) -> str:
        if inspect.isroutine(value):
            return f"{_name_of(value)} {self._of_function(value)}"
        if isinstance(value, list | tuple):
            return f"[{self._list(value)}]"
        if isinstance(value, set | frozenset):
            return f"{{{', '.join(sorted(map(self.text, value)))}}}"
        if isinstance(value, Mapping):
            pairs = [f"{self.text(key)}: {self.text(item)}" for key, item in value.items()]
            return f"{{{', '.join(sorted(pairs))}}}"  # equal ones may differ in their order
        if isinstance(value, Tensor) and (value.is_meta or torch.nn.parameter.is_lazy(value)):
            return f"tensor {value.dtype} without values"
        if isinstance(value, Tensor) and value.is_quantized:
            return f"quantized {self.text([value.detach().int_repr(), value.detach().dequantize()])}"
        if isinstance(value, np.ndarray | Tensor):
            return self._of_array(np.ascontiguousarray(to_host(value)))
        if isinstance(value, partial):
            return f"partial of {self.text([value.func, value.args, value.keywords])}"
        if isinstance(value, nn.Module):
            return self._of_module(value)
        if isinstance(value, FrozenEstimator):
            return f"frozen {self.text(value.estimator)} {self._learned(value.estimator)}"
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if hasattr(value, "get_params"):
            defaults = _defaults(type(value))
            given = {k: self.text(v) for k, v in value.get_params(deep=False).items()}
            # skorch counts some private attributes as parameters.
            given = {k: v for k, v in given.items() if not k.startswith("_")}
            kept = {k: v for k, v in given.items() if k not in defaults or v != self.text(defaults[k])}
            text = f"{name}({', '.join(f'{k}={kept[k]}' for k in sorted(kept) if k not in self.ignored)})"
            return f"{text} {_digest(self._state(value).encode())}" if self.fitted else text
        content = _content(value)
        if content is None:
            self.unseen.add(name)
        return f"{name}({self._list(content)})" if content else name

    def _list(self, values: Iterable[object]) -> str:
        return ", ".join(map(self.text, values))

    def _learned(self, estimator: BaseEstimator) -> str:
        """Name what an estimator was fitted to."""
        if not self.weights:
            return ""
        before, self.fitted = self.fitted, self.whole
        try:
            return _digest(self._state(estimator).encode())
        finally:
            self.fitted = before

    def _state(self, estimator: BaseEstimator) -> str:
        state = vars(estimator)
        if hasattr(estimator, "get_state"):
            with suppress(NotFittedError):
                state = estimator.get_state()
        elif self.whole and isinstance(estimator, NeuralNet):
            # Its record of epochs has their seconds.
            state = {name: part for name, part in state.items() if isinstance(part, nn.Module)}
        return self.text(state)

    def _of_module(self, module: nn.Module) -> str:
        if not self.weights:
            return repr(module)
        weights = module.state_dict()
        learned = self.text(dict(weights))
        text = f"{module!r} {_digest(learned.encode())}"
        hidden = _hidden_parts(module, weights) if self.whole else {}
        return f"{text} {_digest(self.text(hidden).encode())}" if hidden else text

    def _of_function(self, function: Any) -> str:
        """Name a function by its code and what it holds: defaults, and variables of where it was made."""
        cells = function.__closure__ or ()
        held = [cell.cell_contents for cell in cells if cell != CellType()]
        parts = [self._of_code(function.__code__), function.__defaults__, function.__kwdefaults__, held]
        return _digest(self.text(parts).encode())

    def _of_code(self, code: CodeType) -> str:
        constants = [self._of_code(c) if isinstance(c, CodeType) else self.text(c) for c in code.co_consts]
        return f"{code.co_code!r} {code.co_names} {code.co_varnames} {code.co_freevars} {constants}"

    def _of_array(self, array: np.ndarray) -> str:
        by_value = array.dtype.hasobject or array.dtype.names  # the bytes are addresses, or have gaps
        if not by_value:
            content = array.tobytes()
        else:
            content = (self.text(array.tolist()) if self.whole else repr(array.tolist())).encode()
        return f"array {array.dtype} {array.shape} {_digest(content)}"


def _name_of(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"


def _is_nameless(function: Any) -> bool:
    """Whether another function may have the same name: a lambda, one made inside another, one of a script."""
    return hasattr(function, "__code__") and (
        "<" in function.__qualname__ or function.__module__ == "__main__"
    )


def _hidden_parts(module: nn.Module, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides what a module does, and neither its text nor its weights show."""
    found: dict[str, Any] = {name: part for name, part in module.named_buffers() if name not in weights}
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule | torch.fx.GraphModule):
            found[f"{name}()"] = getattr(part, "code", "")
            continue
        # torch's own layers tell in their text what they were made with.
        told = (
            type(part).__module__.startswith("torch.nn.")
            and type(part).extra_repr is not nn.Module.extra_repr
        )
        own = {k: v for k, v in vars(part).items() if k not in _OF_EVERY_MODULE}
        if own and not told:
            found[f"{name}()"] = own
    return found


def _defaults(cls: type) -> dict[str, Any]:
    """Return the defaults of a constructor's parameters; those of its bases where it passes them on."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is object or "__init__" not in vars(base):
            continue
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items():
            if parameter.default is not parameter.empty:
                found[name] = parameter.default
    return found


def _content(value: object) -> list[object] | None:
    """Return what would be pickled of a value: all that it is, nothing that it only remembers.

    None: nothing can be seen of it.
    """
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # no value that cannot be pickled says so in the same way
        return [vars(value)] if getattr(value, "__dict__", None) else None
    if isinstance(reduced, str):
        return [reduced]
    _, args, *state = reduced
    state = [list(part) if isinstance(part, Iterator) else part for part in state if part is not None]
    return [arg for arg in args if arg is not type(value)] + state


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
