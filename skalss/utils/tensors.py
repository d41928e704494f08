"""Arrays to tensors and back, in chunks; weights of modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor


def as_tensor(X: ArrayLike, device: torch.device | str = "cpu") -> Tensor:
    """Return `X` as a tensor on `device`; read-only arrays are copied first.

    The dtype is kept, save for those that torch has no arithmetic for.
    """
    if isinstance(X, Tensor):
        return X.to(device)
    X = np.asarray(X)
    X = X.astype(X.dtype.newbyteorder("="), copy=False)
    if X.dtype in (np.float16, np.uint16, np.uint32, np.uint64):
        X = X.astype(np.float32 if X.dtype == np.float16 else np.float64)
    if not X.flags.writeable or any(stride < 0 for stride in X.strides):
        X = X.copy()
    return torch.from_numpy(X).to(device)


def as_numpy(tensor: Tensor) -> np.ndarray:
    """Return `tensor` as a float32 or integer array, without its graph."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def module_state(module: torch.nn.Module) -> dict[str, Tensor]:
    """Return the weights of a module, by name.

    Raises
    ------
    TypeError
        If its state holds anything but tensors.
    """
    state = module.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"The state of {type(module).__name__} holds {name!r} of type {type(value).__name__}, which "
                "cannot be saved without pickle. Keep it in a buffer, or pickle the sampler."
            )
    return dict(state)


def load_module_state(module: torch.nn.Module, state: dict[str, Tensor]) -> None:
    """Put weights back into a module of the same make.

    Raises
    ------
    ValueError
        If it has other weights.
    """
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"The saved weights do not fit {type(module).__name__}: {error}. Pass a sampler with the modules "
            "that the saved one had."
        ) from error


def check_weights_fit(make: Callable[[], torch.nn.Module], state: dict[str, Tensor]) -> None:
    """Refuse weights of other shapes than a module has, before it is made: sizes in a file may be huge.

    Parameters
    ----------
    make : callable
        Returns the module; it is called where tensors take no memory.
    state : dict
        Weights by name, as `module_state` returns them.

    Raises
    ------
    ValueError
        If it has other weights.
    """
    try:
        with torch.device("meta"):
            module = make()
        there = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    except Exception:  # a module of the user's that needs numbers, or a lazy one without shapes yet
        return
    saved = {name: tuple(tensor.shape) for name, tensor in state.items()}
    differ = sorted(name for name in {*there, *saved} if there.get(name) != saved.get(name))
    if differ:
        name = differ[0]
        raise ValueError(
            f"The saved weights do not fit {type(module).__name__}: {name} is {saved.get(name, 'missing')}, "
            f"and should be {there.get(name, 'missing')}. Pass a sampler with the modules that the saved one "
            "had."
        )


def chunk_rows(row_shape: tuple[int, ...]) -> int:
    """Return how many rows of a shape to read at a time: 16 MiB as float32, whatever the size of a row."""
    return max(1, min(4096, 2**22 // max(1, math.prod(row_shape))))


def chunks(n_rows: int, size: int) -> Iterator[slice]:
    """Yield the slices that cut `n_rows` rows into pieces of at most `size`."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def to_host(X: object) -> Any:
    """Turn tensors and array-API arrays into NumPy arrays; leave all else as it is."""
    if isinstance(X, Tensor):
        return X.detach().cpu().numpy()
    if hasattr(X, "__array_namespace__") and not isinstance(X, np.ndarray):
        return np.asarray(X)
    return X
