"""What a pool ten times as large costs before the first question.

Two pools of float32 rows lie on disk as memory maps, written to a temporary folder: mixtures of clusters in a
few directions, with noise. A campaign of the default sampler with an MLP is begun on each in turn, up to its
first questions: checks, latent model, codes, the choice of the first rows.

Example: ``python -m skalss.benchmarks first-round --repeats 3 --clock cpu``
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..campaign import Campaign
from ..nets import net_classifier
from ..sampler import AdaptiveLatentSampler
from ..utils.tensors import chunks
from .common import conditions, in_turn, make_parser, markdown_table, middle, timed

CHUNK = 20_000
N_CLUSTERS, N_DIRECTIONS, SPREAD, NOISE = 20, 12, 0.5, 0.3


def write_pool(path: Path, n_rows: int, n_features: int, seed: int) -> np.ndarray:
    """Draw rows to a file; return it as a memory map."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(N_CLUSTERS, N_DIRECTIONS))
    directions = rng.normal(size=(N_DIRECTIONS, n_features))
    pool = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_rows, n_features))
    for piece in chunks(n_rows, CHUNK):
        n = piece.stop - piece.start
        inner = centres[rng.integers(N_CLUSTERS, size=n)] + SPREAD * rng.normal(size=(n, N_DIRECTIONS))
        pool[piece] = inner @ directions + NOISE * rng.normal(size=(n, n_features))
    pool.flush()
    return np.load(path, mmap_mode="r")


def begin(pool: np.ndarray, clock: str, seed: int) -> float:
    """Return the seconds up to the first questions of a campaign."""

    def ask() -> int:
        sampler = AdaptiveLatentSampler(net_classifier(), classes=range(N_CLUSTERS), random_state=seed)
        return len(Campaign(sampler, pool).ask())

    n, seconds = timed(ask, clock)
    if not n:
        raise AssertionError("The campaign asked nothing.")
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = make_parser("first-round", __doc__, repeats=3)
    parser.add_argument("--rows", type=int, nargs=2, default=(100_000, 1_000_000), help="of the two pools")
    parser.add_argument("--features", type=int, default=64)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    few, many = options.rows

    with tempfile.TemporaryDirectory() as folder:
        pools = {n: write_pool(Path(folder) / f"{n}.npy", n, options.features, n) for n in (few, many)}
        begin(pools[few][:1000], options.clock, options.seed)  # loads the libraries' parts
        arms = {str(n): partial(begin, pool, options.clock) for n, pool in pools.items()}
        seconds = in_turn(arms, range(options.seed, options.seed + options.repeats))
    small, large = seconds.values()
    rows = [(f"{n:,}", middle(taken, ".1f")) for n, taken in ((few, small), (many, large))]
    print(
        f"Pools of {options.features} features on disk; {options.repeats} rounds of the two in turn, "
        f"{conditions(options.clock)}. Median (range).\n"
    )
    print(
        markdown_table(
            ("rows", "seconds before the first question"), [*rows, ("ratio", middle(large / small))]
        )
    )


if __name__ == "__main__":
    main()
