"""Arrays to tensors and back, in chunks; weights of modules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.utils.data import Dataset

from .sparse_rows import SparseRows

# Numbers that NumPy has, too: bfloat16 and smaller floats are widened.
_NATIVE = {
    *(torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128),
}


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


def as_numpy(tensor: Tensor, dtype: torch.dtype = torch.float32) -> np.ndarray:
    """Return `tensor` as an array of integers, or of floats of a dtype, without its graph."""
    tensor = tensor.detach().cpu()
    return (tensor.to(dtype) if tensor.is_floating_point() else tensor).resolve_conj().resolve_neg().numpy()


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
    """Turn tensors, array-API arrays and masked arrays into NumPy arrays on the CPU; leave all else as it is.

    Sparse rows come as the matrix that they hold. Masked entries come as NaN, or as None where NaN has no
    place. Tensors within a list or tuple are turned, too.
    """
    if isinstance(X, Dataset):
        raise TypeError(
            f"Rows must be an array, a tensor or a table, got the data set {type(X).__name__}. Put its rows "
            "into one array, np.stack([np.asarray(row) for row, _ in dataset]), and its labels into another."
        )
    if isinstance(X, SparseRows):
        return X.matrix
    if isinstance(X, Tensor):
        X = X.detach().to("cpu").to_dense().resolve_conj().resolve_neg()
        return (X if X.dtype in _NATIVE else X.float()).numpy()
    if isinstance(X, np.ma.MaskedArray):
        return _filled(X)
    if hasattr(X, "__array_namespace__") and not isinstance(X, np.ndarray | np.generic):
        try:
            return np.asarray(X)
        except (TypeError, RuntimeError, ValueError):  # on another device
            return np.from_dlpack(X, device="cpu")  # type: ignore[arg-type]
    if isinstance(X, list | tuple) and any(isinstance(x, Tensor) for x in X):
        return [to_host(x) for x in X]
    return X


def _filled(X: np.ma.MaskedArray) -> np.ndarray:
    """Return a masked array without its mask, and with what says that there is nothing under it."""
    mask = np.ma.getmaskarray(X)
    if not mask.any():
        return np.asarray(X.data)
    filled = np.array(X.data, dtype=X.dtype if X.dtype.kind == "f" else object)
    filled[mask] = np.nan if X.dtype.kind == "f" else None
    return filled
