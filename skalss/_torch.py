"""The torch chores every part needs: device, dtype, seeds, and arrays to tensors and back.

The first layer: imports nothing of skalss.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn a device name into a torch device; ``"auto"`` takes the accelerator if there is one."""
    if isinstance(device, torch.device):
        return device
    if device == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return torch.device("cpu") if accelerator is None else accelerator
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be 'auto', a torch device or its name such as 'cpu' or 'cuda:0', got {device!r}."
        ) from error


def supports_bf16(device: torch.device) -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware (emulation would be slower)."""
    if device.type == "cpu":
        features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return False


def resolve_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Turn ``"auto"``, ``"float32"`` or ``"bfloat16"`` into the dtype to compute in on `device`."""
    if dtype == "auto":
        return torch.bfloat16 if supports_bf16(device) else torch.float32
    if dtype in ("float32", "bfloat16"):
        return torch.float32 if dtype == "float32" else torch.bfloat16
    raise ValueError(f"dtype must be 'auto', 'float32' or 'bfloat16', got {dtype!r}.")


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside the block and leave the caller's generators as they were.

    Never hand control to user code inside the block: it would draw from the forked generators.
    """
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every accelerator, too
            yield
        return
    everyone = range(torch.get_device_module(device).device_count())
    with torch.random.fork_rng(devices=everyone, device_type=device.type):
        torch.manual_seed(seed)
        yield


def derive_seed(seed: int, role: str, round_: int = 0) -> int:
    """Give the seed of one role in one round, independent of the order in which seeds are asked for.

    Parameters
    ----------
    seed : int
        The user's seed.
    role : str
        What the stream is for, such as ``"network"``.
    round_ : int, default=0
        The round it is for.

    Returns
    -------
    derived : int
        Between 0 and 2**31 - 1.

    Examples
    --------
    >>> from skalss._torch import derive_seed
    >>> derive_seed(0, "network", 3) == derive_seed(0, "network", 3)
    True
    >>> derive_seed(0, "network", 3) == derive_seed(0, "query", 3)
    False
    """
    key = (zlib.crc32(role.encode()), round_)
    state = np.random.SeedSequence(entropy=seed, spawn_key=key).generate_state(1)
    return int(state[0] & 0x7FFFFFFF)


def as_tensor(X: Any, device: torch.device | str = "cpu") -> Tensor:
    """Give `X` as a tensor on `device`; read-only arrays are copied first.

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
    """Give `tensor` as a float32 or integer array, without its graph."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def module_state(module: torch.nn.Module) -> dict[str, Tensor]:
    """Give the weights of a module, by name.

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


def chunk_rows(row_shape: tuple[int, ...]) -> int:
    """Give how many rows of a shape to read at a time: 16 MiB as float32, whatever the size of a row."""
    return max(1, min(4096, 2**22 // max(1, math.prod(row_shape))))


def chunks(n_rows: int, size: int) -> Iterator[slice]:
    """Yield the slices that cut `n_rows` rows into pieces of at most `size`."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def to_host(X: Any) -> Any:
    """Turn tensors and array-API arrays into NumPy arrays; leave all else as it is."""
    if isinstance(X, Tensor):
        return X.detach().cpu().numpy()
    if hasattr(X, "__array_namespace__") and not isinstance(X, np.ndarray):
        return np.asarray(X)
    return X
