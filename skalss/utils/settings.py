"""The settings of an estimator as text: equal for equal ones in any process, by what they are."""

from __future__ import annotations

import hashlib
import inspect
import numbers
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from torch import Tensor, nn

from .surroundings import usual_sklearn
from .tensors import to_host


def describe(value: object, ignored: Collection[str] = (), *, weights: bool = True) -> str:
    """Name a value by what it is, without its address in memory.

    Of an estimator only the parameters are named that differ from their defaults, so that a new parameter
    changes no name. An array or a module is named by its content. What a function does is not looked at: it
    has its name.

    Parameters
    ----------
    value : object
    ignored : collection of str
        Parameters to leave out, at any depth.
    weights : bool, default=True
        Whether modules that differ only in their weights differ.

    Returns
    -------
    text : str

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> describe(Ridge(alpha=2.0, random_state=3), ignored=["random_state"])
    'sklearn.linear_model._ridge.Ridge(alpha=2.0)'
    """
    return _Describer(frozenset(ignored), weights).text(value)


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
    defaults, describer = _defaults(type(estimator)), _Describer(frozenset(ignored), weights=True)
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

    def __init__(self, ignored: frozenset[str], weights: bool):
        self.ignored, self.weights = ignored, weights
        self.inside: set[int] = set()

    def text(self, value: object) -> str:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, str | bytes | numbers.Number):
            return repr(value)
        if inspect.ismethod(value):
            return f"{self.text(value.__self__)}.{value.__name__}"
        if isinstance(value, type) or inspect.isroutine(value):
            return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', repr(value))}"
        if id(value) in self.inside:
            return "..."
        self.inside.add(id(value))
        try:
            return self._of_object(value)
        finally:
            self.inside.discard(id(value))

    def _of_object(self, value: object) -> str:
        if isinstance(value, list | tuple):
            return f"[{self._list(value)}]"
        if isinstance(value, set | frozenset):
            return f"{{{', '.join(sorted(map(self.text, value)))}}}"
        if isinstance(value, Mapping):
            pairs = [f"{self.text(key)}: {self.text(item)}" for key, item in value.items()]
            return f"{{{', '.join(sorted(pairs))}}}"  # equal ones may differ in their order
        if isinstance(value, np.ndarray | Tensor):
            return _of_array(np.ascontiguousarray(to_host(value)))
        if isinstance(value, partial):
            return f"partial of {self.text([value.func, value.args, value.keywords])}"
        if isinstance(value, nn.Module):
            learned = self.text(dict(value.state_dict())) if self.weights else ""
            return f"{value!r} {_digest(learned.encode())}" if learned else repr(value)
        if isinstance(value, FrozenEstimator):
            return f"frozen {self.text(value.estimator)} {self._learned(value.estimator)}"
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if hasattr(value, "get_params"):
            defaults = _defaults(type(value))
            given = {k: self.text(v) for k, v in value.get_params(deep=False).items()}
            # skorch counts some private attributes as parameters.
            given = {k: v for k, v in given.items() if not k.startswith("_")}
            kept = {k: v for k, v in given.items() if k not in defaults or v != self.text(defaults[k])}
            return f"{name}({', '.join(f'{k}={kept[k]}' for k in sorted(kept) if k not in self.ignored)})"
        content = _content(value)
        return f"{name}({self._list(content)})" if content else name

    def _list(self, values: Iterable[object]) -> str:
        return ", ".join(map(self.text, values))

    def _learned(self, estimator: BaseEstimator) -> str:
        """Name what an estimator was fitted to."""
        if not self.weights:
            return ""
        state = estimator.get_state() if hasattr(estimator, "get_state") else vars(estimator)
        return _digest(self.text(state).encode())


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


def _content(value: object) -> list[object]:
    """Return what would be pickled of a value: all that it is, nothing that it only remembers."""
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # no value that cannot be pickled says so in the same way
        return [vars(value)] if getattr(value, "__dict__", None) else []
    if isinstance(reduced, str):
        return [reduced]
    _, args, *state = reduced
    state = [list(part) if isinstance(part, Iterator) else part for part in state if part is not None]
    return [arg for arg in args if arg is not type(value)] + state


def _of_array(array: np.ndarray) -> str:
    by_value = array.dtype.hasobject or array.dtype.names  # the bytes are addresses, or have gaps
    content = repr(array.tolist()).encode() if by_value else array.tobytes()
    return f"array {array.dtype} {array.shape} {_digest(content)}"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
