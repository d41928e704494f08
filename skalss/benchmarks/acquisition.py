"""What it costs to choose rows out of a large pool on disk, by strategy, against scoring the whole pool.

The pool is a memory map of 28 × 28 images, one byte a pixel, decoded from codes of ten clusters and written
to a temporary file. Codes and network (LeNet) are there already, as in a campaign. Every arm is a strategy,
asked for rows as a campaign asks it; the one that all others are compared with scores every row.

Example: ``python -m skalss.benchmarks acquisition --strategies auto snn``
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..strategies import Encoded, Snapshot, make_snapshot, make_strategy
from ..utils.tensors import chunks
from .common import conditions, in_turn, make_parser, markdown_table, middle, timed
from .snn_acquisition import SHAPE, Scene

WHOLE_POOL = "mms"
CHUNK = 20_000


def write_pool(path: Path, scene: Scene, codes: np.ndarray) -> np.ndarray:
    """Decode the codes to a file; return it as a memory map."""
    pool = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(codes), *SHAPE))
    for piece in chunks(len(codes), CHUNK):
        pool[piece] = (255 * scene.latent_model.inverse_transform(codes[piece])).astype(np.uint8)
    pool.flush()
    return np.load(path, mmap_mode="r")


def snapshot_of(scene: Scene, pool: np.ndarray, codes: np.ndarray, seed: int) -> Snapshot:
    """Show a strategy the round: the first rows of the pool are labelled."""
    return make_snapshot(
        pool,
        np.arange(scene.n_labeled),
        scene.y,
        latent=lambda: Encoded(scene.latent_model, codes),
        network=lambda: scene.network,
        random_state=seed,
        known_structure=lambda: 1.0,  # measured with the training that is left out here
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = make_parser("acquisition", __doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the pool")
    parser.add_argument("--components", type=int, default=16, help="width of the codes")
    parser.add_argument("--labeled", type=int, default=500)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--strategies", nargs="+", default=["auto"])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    scene = Scene(options.components, options.labeled, options.seed, options.clock)
    codes, _ = scene.codes(options.rows, options.seed + 1)
    # The scaling that a network in a campaign learns from a pool of bytes.
    scene.network.fit(scene.latent_model.inverse_transform(codes[: options.labeled]) * 255, scene.y)
    passed: dict[str, int] = {}

    with tempfile.TemporaryDirectory() as folder:
        pool = write_pool(Path(folder) / "pool.npy", scene, codes)

        def query(name: str, seed: int) -> float:
            snapshot = snapshot_of(scene, pool, codes, seed)
            strategy = make_strategy(name, "classification")
            candidates, seconds = timed(lambda: strategy.query(snapshot, options.queries), options.clock)
            assert candidates.rows is not None
            assert len(np.unique(candidates.rows)) == options.queries
            passed[name] = snapshot.network.n_rows
            return seconds

        arms = {name: partial(query, name) for name in dict.fromkeys([*options.strategies, WHOLE_POOL])}
        for name in options.strategies:
            query(name, options.seed)  # loads the libraries' parts
        seconds = in_turn(arms, range(options.seed, options.seed + options.repeats))
    whole = seconds[WHOLE_POOL]
    rows = [
        (name, passed[name], middle(taken), middle(whole / taken, ".0f")) for name, taken in seconds.items()
    ]
    print(
        f"{options.queries} rows out of {options.rows:,} images on disk, codes of width "
        f"{options.components}, LeNet; {options.repeats} rounds of the arms in turn, "
        f"{conditions(options.clock)}. Median (range).\n"
    )
    print(markdown_table(("strategy", "rows through the network", "seconds", "times cheaper than mms"), rows))


if __name__ == "__main__":
    main()
