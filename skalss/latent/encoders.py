"""What may serve as an encoder: copies of modules, other callables; and the codes in what they return."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import MethodType
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ..utils.checks import show
from ..utils.tensors import as_tensor

Encoder: TypeAlias = Callable[..., Any]
# Of the outputs of Hugging Face models, the best first.
_NAMED = ("image_embeds", "pooler_output", "last_hidden_state")


def frozen(name: str, module: Any, device: torch.device) -> nn.Module:
    """Return a copy of a module in float32 and evaluation mode, without gradients for its weights.

    Raises
    ------
    TypeError
        If it is no module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"{name} must be a torch nn.Module, got {type(module).__name__}. Wrap a function in one."
        )
    return copy.deepcopy(module).to(device, torch.float32).eval().requires_grad_(False)


def frozen_encoder(encoder: Any, device: torch.device) -> Encoder:
    """Return an encoder around frozen copies: of a module, or of the one that a method belongs to.

    Any other callable comes back as it is.

    Raises
    ------
    TypeError
        If it cannot be called.
    """
    if isinstance(encoder, nn.Module):
        return frozen("encoder", encoder, device)
    if inspect.ismethod(encoder) and isinstance(encoder.__self__, nn.Module):
        return MethodType(encoder.__func__, frozen("encoder", encoder.__self__, device))
    if isinstance(encoder, partial):
        return partial(frozen_encoder(encoder.func, device), *encoder.args, **encoder.keywords)
    if not callable(encoder) or isinstance(encoder, type):
        raise TypeError(
            f"encoder must be a torch nn.Module, a function of a batch of rows, or None; got {show(encoder)}."
        )
    return encoder


def module_of(encoder: Encoder) -> nn.Module | None:
    """Return the module inside of an encoder; None where it is not known to be one."""
    if isinstance(encoder, partial):
        return module_of(encoder.func)
    owner = encoder.__self__ if inspect.ismethod(encoder) else encoder
    return owner if isinstance(owner, nn.Module) else None


def is_function(encoder: object) -> bool:
    """Whether an encoder is a function, of which nobody knows what weights it uses."""
    if isinstance(encoder, partial):
        return is_function(encoder.func)
    return inspect.isroutine(encoder) and not (
        inspect.ismethod(encoder) and isinstance(encoder.__self__, nn.Module)
    )


def codes_in(output: Any, n_rows: int) -> Tensor | None:
    """Return the codes (n_rows, d) in what an encoder returned; None where there are none.

    Parameters
    ----------
    output : tensor, array, list, tuple or mapping
        Codes; a list of the codes of each row; a tuple that starts with codes; an output of Hugging Face.
        Feature maps (n, c, h, w) are averaged over their positions, and so are the tokens of a
        `last_hidden_state`.
    n_rows : int
    """
    tokens = False
    if isinstance(output, Mapping) or any(hasattr(output, name) for name in _NAMED):
        get = output.get if isinstance(output, Mapping) else partial(_attribute, output)
        name = next((name for name in _NAMED if get(name) is not None), "")
        output, tokens = get(name), name == "last_hidden_state"
    if isinstance(output, list | tuple) and output:
        output = _stacked(output, n_rows)
    if isinstance(output, np.ndarray) and output.dtype.kind in "biuf":
        output = as_tensor(output)
    if not isinstance(output, Tensor):
        return None
    if output.ndim == 4:
        output = output.mean((2, 3))
    elif output.ndim == 3 and tokens:
        output = output.mean(1)
    return output.float() if output.ndim == 2 and len(output) == n_rows else None


def _attribute(output: Any, name: str) -> Any:
    return getattr(output, name, None)


def _stacked(output: list[Any] | tuple[Any, ...], n_rows: int) -> Any:
    """Return the codes of rows as one tensor, or the first of several outputs."""
    first = output[0]
    if len(output) != n_rows or np.ndim(first) != 1:
        return first
    if isinstance(first, Tensor):
        return torch.stack(list(output)) if len({len(row) for row in output}) == 1 else None
    try:
        return np.asarray(output, dtype=np.float32)
    except (TypeError, ValueError):  # of unequal length, or no numbers
        return None


def described(output: Any) -> str:
    """Say what an encoder or decoder returned, for an error."""
    if isinstance(output, list | tuple) and output and not np.isscalar(output[0]):
        output = output[0]
    shape = getattr(output, "shape", None)
    return f"a {type(output).__name__}" if shape is None else f"shape {tuple(shape)}"
