"""Chance: streams keyed by seed, role and round, and a block with generators of its own."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .surroundings import CPU, holding_torch, usual_numerics


class _Own(threading.local):
    """The generator of the block that this thread is in."""

    generator: torch.Generator | None = None


_OWN = _Own()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed a block, run it as if the caller had set nothing, and leave the caller's generators as they were.

    What we draw on the CPU comes from a generator that only this block knows, `own_generator`. Modules, such
    as dropout, draw from torch's own generators, which belong to the process: one thread at a time is in such
    a block, which seeds them and puts them back. Never hand control to user code inside that may wait for
    another thread.
    """
    outer = _OWN.generator
    with holding_torch(), usual_numerics(), _forked(device):
        try:
            _OWN.generator = torch.Generator(CPU).manual_seed(seed)
            if device.type == "cpu":
                torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed every accelerator
            else:
                torch.manual_seed(seed)
            yield
        finally:
            _OWN.generator = outer


def _forked(device: torch.device) -> Any:
    """Put torch's generators of the CPU and of a kind of device back at the end of a block."""
    if device.type == "cpu":
        return torch.random.fork_rng(devices=[])
    everyone = range(torch.get_device_module(device).device_count())
    return torch.random.fork_rng(devices=everyone, device_type=device.type)


def own_generator(device: torch.device = CPU) -> torch.Generator | None:
    """Return what to draw from: the generator of the block this thread is in; None: torch's own.

    Parameters
    ----------
    device : torch.device, default="cpu"
        Where numbers are drawn; on an accelerator by torch's own generator, which `seeded` has seeded.
    """
    return _OWN.generator if device.type == "cpu" else None


def drawing_own() -> Any:
    """Let whatever draws on the CPU inside a block, such as initial weights, draw from `own_generator`.

    Each operation of torch costs some microseconds more inside.
    """
    return nullcontext() if _OWN.generator is None else _Drawing(_OWN.generator)


class _Drawing(TorchDispatchMode):
    """Hands a generator to every random operation that was given none."""

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        place = args[0].device if args and isinstance(args[0], torch.Tensor) else kwargs.get("device")
        if place is None or torch.device(place).type == "cpu":
            name = str(func).rpartition(".")[2]  # "default", or another form of the operation
            taking = "generator" if name == "default" else f"{name}_generator"
            if taking in func.overloadpacket.overloads():
                func = getattr(func.overloadpacket, taking)
            if any(argument.name == "generator" for argument in func._schema.arguments):
                kwargs["generator"] = kwargs.get("generator") or self.generator
        return func(*args, **kwargs)


def seed_parts(estimator: Any, seed: int) -> Any:
    """Seed what an estimator, and its parts, leave to chance; what has a seed keeps it.

    Parameters
    ----------
    estimator : estimator
        Changed in place. One without `get_params` comes back as it is.
    seed : int

    Returns
    -------
    estimator : estimator
    """
    if not hasattr(estimator, "get_params"):
        return estimator
    params = estimator.get_params()
    unset = [k for k, v in params.items() if k.rpartition("__")[2] == "random_state" and v is None]
    return estimator.set_params(**dict.fromkeys(unset, seed)) if unset else estimator


def branch(random_state: np.random.RandomState) -> np.random.RandomState:
    """Return a generator seeded by the next number of another one, which stays where it is."""
    ahead = np.random.RandomState()
    ahead.set_state(random_state.get_state())
    return np.random.RandomState(ahead.randint(2**31 - 1))


def derive_seed(seed: int, role: str, round_: int = 0) -> int:
    """Return the seed of one role in one round, independent of the order in which seeds are asked for.

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
    >>> from skalss.utils.seeds import derive_seed
    >>> derive_seed(0, "network", 3) == derive_seed(0, "network", 3)
    True
    >>> derive_seed(0, "network", 3) == derive_seed(0, "query", 3)
    False
    """
    key = (zlib.crc32(role.encode()), round_)
    state = np.random.SeedSequence(entropy=seed, spawn_key=key).generate_state(1)
    return int(state[0] & 0x7FFFFFFF)
