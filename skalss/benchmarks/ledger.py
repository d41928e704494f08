"""How many answers a second a ledger makes durable, and what it costs a campaign.

Each commit is on the disk (fsync) when it returns, so the first numbers are those of the disk as much as of
the ledger: beside them stands what fsync alone allows. The campaigns with and without a ledger run in turn
from the same seed, and buy the same rows.

Example: ``python -m skalss.benchmarks ledger --repeats 7``
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..campaign import Campaign
from ..datasets import load_digits_pool
from ..latent import LinearLatent
from ..ledger import Ledger
from ..sampler import AdaptiveLatentSampler
from .common import CLOCKS, conditions, make_parser, markdown_table, middle


def told(n_answers: int, at_once: int, folder: Path) -> float:
    """Tell a campaign answers, so many at once; return answers a second, of its seconds in `tell`."""
    X = np.random.default_rng(0).random((n_answers, 64))
    sampler = AdaptiveLatentSampler(
        strategy="random", n_initial=n_answers, max_labels=n_answers, ledger=folder / "told", random_state=0
    )
    with Campaign(sampler, X) as campaign:
        ids = campaign.ask().ids
        labels = ids % 10
        start = time.perf_counter()
        for first in range(0, n_answers, at_once):
            campaign.tell(ids[first : first + at_once], labels[first : first + at_once])
        seconds = time.perf_counter() - start
    with Ledger(folder / "told") as ledger:
        if len(ledger.history()) != n_answers:
            raise AssertionError("The ledger does not hold what was told.")
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return n_answers / seconds


def synced(n_times: int, folder: Path) -> float:
    """Write and sync a page so often; return the times a second."""
    with (folder / "page").open("wb") as file:
        start = time.perf_counter()
        for _ in range(n_times):
            file.write(b"\x00" * 4096)
            file.flush()
            os.fsync(file.fileno())
        seconds = time.perf_counter() - start
    (folder / "page").unlink()
    return n_times / seconds


class Pair:
    """The same campaign with and without a ledger."""

    def __init__(self, n_labels: int, n_per_round: int):
        data: Any = load_digits_pool()
        self.data = data
        self.n_labels, self.n_per_round = min(n_labels, len(data.X)), n_per_round

    def fit(self, seed: int, ledger: Path | None) -> tuple[dict[str, float], np.ndarray]:
        """Fit; return the seconds of each clock and the rows bought."""
        sampler = AdaptiveLatentSampler(
            latent_model=LinearLatent(16),
            n_per_round=self.n_per_round,
            max_labels=self.n_labels,
            ledger=ledger,
            random_state=seed,
        )
        start = {name: clock() for name, clock in CLOCKS.items()}
        sampler.fit(self.data.X, self.data.y)
        return {name: clock() - start[name] for name, clock in CLOCKS.items()}, sampler.labeled_indices_

    def ratios(self, seed: int) -> dict[str, float]:
        """Run both, the first of them in turn; return the seconds with a ledger over those without."""
        runs = {}
        with tempfile.TemporaryDirectory() as folder:
            for ledger in [None, Path(folder) / "ledger"][:: 1 if seed % 2 else -1]:
                runs[ledger is not None] = self.fit(seed, ledger)
        if not np.array_equal(runs[True][1], runs[False][1]):
            raise AssertionError("The ledger changed what was bought.")
        return {name: runs[True][0][name] / runs[False][0][name] for name in CLOCKS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print two tables."""
    parser = make_parser("ledger", __doc__, repeats=7)
    parser.add_argument("--answers", type=int, default=2000)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--per-round", type=int, default=50)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    seeds = range(options.seed, options.seed + options.repeats)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = [
            (
                told(options.answers, 100, folder),
                told(max(options.answers // 10, 1), 1, folder),
                synced(max(options.answers // 10, 1), folder),
            )
            for _ in seeds
        ]
    whats = ["durable answers a second, 100 at once", "durable answers a second, one by one"]
    whats.append("bare fsyncs a second")
    rows = [
        [what, middle(values, ",.0f")] for what, values in zip(whats, zip(*runs, strict=True), strict=True)
    ]
    print(markdown_table(["on this disk", "median (range)"], rows))

    pair = Pair(options.labels, options.per_round)
    pair.fit(options.seed, None)  # warms up
    ratios = [pair.ratios(seed) for seed in seeds]
    print(f"\nA campaign of {pair.n_labels:,} labels on the digits, {conditions('wall and cpu')}.\n")
    rows = [[f"{clock} clock", middle([ratio[clock] for ratio in ratios], ".4f")] for clock in CLOCKS]
    print(markdown_table(["seconds with a ledger over those without", "median (range)"], rows))


if __name__ == "__main__":
    main()
