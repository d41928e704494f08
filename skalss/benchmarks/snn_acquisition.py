"""What one SNN query costs on a large pool, against scoring the pool with the network.

- query: ``NearestNeighborStrategy().query(snapshot, n)`` with its default settings: climb through the
  decoder, and the exact search over all codes. Network and codes are there already, as in a campaign.
- scoring: the bare forward pass of LeNet over as many 28 × 28 images, in the batch size that is fastest here.
  It takes the same block of images again and again, so reading and scaling a pool cost it nothing; and
  ranking the scores is left out.

Codes are drawn from ten clusters; images are decoded from codes by a dense decoder with one hidden layer
of 256, as wide as that of ``VAE()``. Peak memory is that of a process of its own, above what it held before
the query, the codes included; a query on a small pool warms it up.

Example: ``python -m skalss.benchmarks snn-acquisition``
"""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..latent import PretrainedLatent
from ..nets import LeNet, net_classifier
from ..network.tasknet import TaskNet
from ..strategies import Encoded, NearestNeighborStrategy, Snapshot, make_snapshot
from .common import conditions, in_turn, make_parser, markdown_table, middle, timed

SHAPE = (1, 28, 28)
N_CLASSES = 10
BATCH_SIZES = (32, 64, 128, 256, 512, 1024)
BLOCK_ROWS = 4096
MIB = 2**20


class Scene:
    """A latent model and a network trained on a few labelled rows: what a round starts from."""

    def __init__(self, n_components: int, n_labeled: int, seed: int, clock: str = "wall"):
        self.n_components, self.n_labeled, self.clock = n_components, n_labeled, clock
        rng = np.random.default_rng(seed)
        self.centres = 2 * rng.standard_normal((N_CLASSES, n_components), dtype=np.float32)
        torch.manual_seed(seed)
        n_features = int(np.prod(SHAPE))
        decoder = nn.Sequential(
            nn.Linear(n_components, 256), nn.ReLU(), nn.Linear(256, n_features), nn.Sigmoid()
        )
        self.latent_model = PretrainedLatent(
            nn.Sequential(nn.Flatten(), nn.Linear(n_features, n_components)),
            nn.Sequential(*decoder, nn.Unflatten(1, SHAPE)),
            device="cpu",
        ).fit(np.zeros((2, *SHAPE), dtype=np.float32))
        Z, self.y = self.codes(n_labeled, seed)
        net = net_classifier(LeNet, max_epochs=10)
        self.network = TaskNet(net, device="cpu", random_state=seed).fit(
            self.latent_model.inverse_transform(Z), self.y
        )

    def codes(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw `n` codes and their classes, without a temporary array of their size."""
        rng = np.random.default_rng(seed)
        Z = rng.standard_normal((n, self.n_components), dtype=np.float32)
        y = np.arange(n) % N_CLASSES
        for k in range(N_CLASSES):
            Z[k::N_CLASSES] += self.centres[k]
        return Z, y

    def snapshot(self, codes: np.ndarray, seed: int) -> Snapshot:
        """Show a strategy the round: the first rows of the pool are labelled."""
        taken = np.zeros(len(codes), dtype=bool)
        taken[: self.n_labeled] = True
        return make_snapshot(
            np.broadcast_to(np.float32(0), (len(codes), *SHAPE)),  # SNN does not look at rows
            np.arange(self.n_labeled),
            self.y,
            latent=lambda: Encoded(self.latent_model, codes),
            network=lambda: self.network,
            taken=taken,
            random_state=seed,
        )

    def query(self, codes: np.ndarray, n: int, seed: int) -> float:
        """Query `n` rows; return the seconds."""
        snapshot = self.snapshot(codes, seed)
        candidates, seconds = timed(lambda: NearestNeighborStrategy().query(snapshot, n), self.clock)
        assert candidates.rows is not None
        assert len(np.unique(candidates.rows)) == n
        return seconds

    def score(self, block: torch.Tensor, n_rows: int, batch_size: int, bf16: bool = False) -> float:
        """Pass `n_rows` images through the network, a block again and again; return the seconds."""
        module = self.network.net_.module_.eval()

        def forward() -> None:
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                left = n_rows
                while left > 0:
                    for rows in block[:left].split(batch_size):
                        module(rows)
                    left -= len(block)

        return timed(forward, self.clock)[1]

    def best_batch_size(self, block: torch.Tensor, sizes: Sequence[int], bf16: bool) -> int:
        """Return the batch size that passes the block fastest."""
        seconds = {size: min(self.score(block, len(block), size, bf16) for _ in range(3)) for size in sizes}
        return min(seconds, key=seconds.__getitem__)


# -- peak memory ------------------------------------------------------------------------------------


def memory_of_query(options: Namespace) -> float:
    """Return the peak memory of a query in a process of its own, in MiB."""
    command = [sys.executable, "-m", __package__, "snn-acquisition", "--measure-memory"]
    for name in ("rows", "components", "labeled", "queries", "seed"):
        command += [f"--{name}", str(getattr(options, name))]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(options: Namespace) -> float:
    """Query once in this process; return the growth of its peak memory in MiB."""
    scene = Scene(options.components, options.labeled, options.seed)
    small, _ = scene.codes(options.labeled + 10 * options.queries, options.seed)
    scene.query(small, options.queries, options.seed)  # loads the libraries' parts
    codes, _ = scene.codes(options.rows, options.seed + 1)
    before = _reset_peak()
    scene.query(codes, options.queries, options.seed)
    return (_peak() - before) / MIB


def _reset_peak() -> int:
    """Make the peak start at what is resident now, where the system can; return it in bytes."""
    # Elsewhere the growth is that of the highest peak so far, which is at most the growth from here.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """Return the peak resident memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) * 1024
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


# -- command line -----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = make_parser("snn-acquisition", __doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the pool")
    parser.add_argument("--components", type=int, default=16, help="width of the codes")
    parser.add_argument("--labeled", type=int, default=500)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument(
        "--batch-sizes",
        type=int,
        nargs="+",
        default=BATCH_SIZES,
        help="the scoring takes the fastest of these",
    )
    parser.add_argument(
        "--measure-memory", action="store_true", help="only print the peak memory of a query, in MiB"
    )
    options = parser.parse_args(arguments)
    if options.rows < options.labeled + options.queries:
        parser.error("--rows must be at least --labeled + --queries")
    torch.set_num_threads(1)
    if options.measure_memory:
        print(f"{measure_memory(options):.1f}")
        return

    scene = Scene(options.components, options.labeled, options.seed, options.clock)
    codes, _ = scene.codes(options.rows, options.seed + 1)
    block = torch.from_numpy(scene.latent_model.inverse_transform(codes[:BLOCK_ROWS]))
    batch, batch_bf16 = (scene.best_batch_size(block, options.batch_sizes, bf16) for bf16 in (False, True))
    arms = {
        "SNN query": lambda seed: scene.query(codes, options.queries, seed),
        f"scoring, float32, batches of {batch}": lambda seed: scene.score(block, options.rows, batch),
        f"scoring, bfloat16, batches of {batch_bf16}": lambda seed: scene.score(
            block, options.rows, batch_bf16, bf16=True
        ),
    }
    scene.query(codes, options.queries, options.seed)  # the scoring is warm from the choice of batch size
    seeds = range(options.seed, options.seed + options.repeats)
    seconds = in_turn(arms, seeds)
    rows = []
    for arm, taken in seconds.items():
        times_cheaper = "" if arm == "SNN query" else middle(taken / seconds["SNN query"], ".1f")
        rows.append((arm, middle(taken), times_cheaper))
    print(
        f"One query of {options.queries} rows out of {options.rows:,}, codes of width {options.components}, "
        f"{options.labeled} labelled, LeNet on 28 × 28; {options.repeats} rounds of the arms in turn, "
        f"{conditions(options.clock)}. Median (range).\n"
    )
    print(markdown_table(("arm", "seconds", "times the query's"), rows))
    memory = [memory_of_query(Namespace(**{**vars(options), "seed": seed})) for seed in seeds]
    print(
        f"\nPeak memory of the query, beyond the codes ({codes.nbytes / MIB:.0f} MiB): "
        f"{middle(memory, '.0f')} MiB."
    )


if __name__ == "__main__":
    main()
