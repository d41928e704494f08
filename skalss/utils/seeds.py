"""Chance: streams keyed by seed, role and round, and a block with torch's own generators seeded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


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
