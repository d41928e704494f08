"""What the benchmarks share: data, paired runs in turn, ratios with their range, markdown tables."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..datasets import load_digits_pool, load_images
from .tables import find_table

IMAGES = ("digits", "mnist", "cifar10")

# Seconds of the processor are steadier on a busy machine; with one thread they are otherwise the same.
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def load_data(name: str, *, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows and labels that a benchmark runs on; end the process with how to get what is missing.

    Parameters
    ----------
    name : str
        ``"mnist"``, ``"cifar10"``, ``"digits"``, a table of ``tables``, or an ``.npz`` file.
    dtype : {"float32", "uint8"}, default="float32"
        Of MNIST and CIFAR-10.

    Returns
    -------
    X, y, X_test, y_test : arrays
    """
    try:
        if name not in IMAGES:
            return find_table(name)
        bunch: Any = load_digits_pool(as_images=True) if name == "digits" else load_images(name, dtype=dtype)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    return bunch.X, bunch.y, bunch.X_test, bunch.y_test


def timed(function: Callable[[], Any], clock: str = "wall") -> tuple[Any, float]:
    """Run `function`; return its result and its seconds."""
    start = CLOCKS[clock]()
    result = function()
    return result, CLOCKS[clock]() - start


def in_turn(arms: Mapping[str, Callable[[int], float]], seeds: Iterable[int]) -> dict[str, np.ndarray]:
    """Run the arms A B, A B, ..., once a seed, so that what slows the machine down slows them alike.

    Parameters
    ----------
    arms : dict of callables
        Each takes a seed and gives the seconds to compare.
    seeds : iterable of int

    Returns
    -------
    seconds : dict of arrays of shape (n_seeds,)
        Pairs stand at the same place.
    """
    runs = [[arm(seed) for arm in arms.values()] for seed in seeds]
    return dict(zip(arms, np.array(runs).T, strict=True))


def middle(values: np.ndarray | Sequence[float], digits: str = ".2f") -> str:
    """Write the median and the range of `values`."""
    low, high = np.min(values), np.max(values)
    return f"{np.median(values):{digits}} ({low:{digits}} to {high:{digits}})"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a markdown table, all columns but the first right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def conditions(clock: str) -> str:
    """Say what the numbers hold for."""
    threads = torch.get_num_threads()
    return (
        f"{'one torch thread' if threads == 1 else f'{threads} torch threads'}, {clock} clock, "
        f"torch {torch.__version__}, {platform.system()} {platform.machine()}"
    )


def make_parser(name: str, description: str | None, repeats: int) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(
        prog=f"python -m skalss.benchmarks {name}", description=(description or "").partition("\n")[0]
    )
    parser.add_argument("--repeats", type=int, default=repeats, help="pairs of runs, one seed each")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--clock",
        choices=tuple(CLOCKS),
        default="wall",
        help="cpu: seconds of the processor, for a busy machine",
    )
    return parser
