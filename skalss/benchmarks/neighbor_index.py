"""What an index of codes costs to build and saves in searches, and how many neighbours it misses.

Codes are drawn from ten clusters, or with ``--clusters 1`` from one, where an index helps least. A round
searches once, for queries a little off some codes, with a mask that bars a thousand rows. An index pays if
its build and its searches over a campaign take less than the searches of ``exact``. Recall is the share of
the true neighbours that were found.

Indices whose package is not installed are left out. One of a million rows takes usearch minutes to build.

Example: ``python -m skalss.benchmarks neighbor-index --rows 1000000 --indexes exact faiss --clock cpu``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ..neighbors import INDEXES, make_index, nearest_codes
from .common import conditions, in_turn, make_parser, markdown_table, middle, timed

N_BARRED = 1000


def make_codes(n_rows: int, width: int, n_clusters: int, seed: int) -> np.ndarray:
    """Draw codes of shape (n_rows, width) from Gaussian clusters."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.standard_normal((n_clusters, width), dtype=np.float32)
    return centres[rng.integers(n_clusters, size=n_rows)] + rng.standard_normal(
        (n_rows, width), dtype=np.float32
    )


def make_questions(codes: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` queries near codes, and the mask of the rows that may be asked."""
    rng = np.random.default_rng(seed)
    near = codes[rng.integers(len(codes), size=n)]
    allowed = np.ones(len(codes), dtype=bool)
    allowed[rng.integers(len(codes), size=N_BARRED)] = False
    return near + 0.3 * rng.standard_normal(near.shape, dtype=np.float32), allowed


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """Return the share of the true neighbours that were found."""
    return float(np.mean([np.isin(t, f).mean() for f, t in zip(found, true, strict=True)]))


def installed() -> list[str]:
    """Return the names of the indices whose package is there; warms them up."""
    names = []
    for name in INDEXES:
        try:
            make_index(make_codes(2000, 4, 1, 0), name).search(np.zeros((2, 4)), 2)
            names.append(name)
        except ImportError:
            continue
    return names


def campaign(
    name: str, codes: np.ndarray, options: argparse.Namespace, seed: int
) -> tuple[float, list[float], float]:
    """Return the seconds of the build and of each search, and the recall of the last."""
    index, build = timed(lambda: make_index(codes, name), options.clock)
    searches = []
    for round_ in range(options.rounds):
        Z, allowed = make_questions(codes, options.queries, seed * options.rounds + round_)
        (rows, _), seconds = timed(partial(index.search, Z, options.neighbors, allowed), options.clock)
        searches.append(seconds)
    return build, searches, recall(rows, nearest_codes(codes, Z, options.neighbors, allowed=allowed)[0])


def compare(names: Sequence[str], n_rows: int, options: argparse.Namespace) -> list[tuple[str, ...]]:
    """Run campaigns with each index in turn; return a line of the table for each."""
    codes = make_codes(n_rows, options.components, options.clusters, options.seed)
    runs: dict[str, list[tuple[float, list[float], float]]] = {name: [] for name in names}

    def run(name: str, seed: int) -> float:
        runs[name].append(campaign(name, codes, options, seed))
        build, searches, _ = runs[name][-1]
        return build + sum(searches)

    totals = in_turn(
        {name: partial(run, name) for name in names},
        range(options.seed, options.seed + options.repeats),
    )
    lines: list[tuple[str, ...]] = []
    for name in names:
        builds, searches, recalls = zip(*runs[name], strict=True)
        lines.append(
            (
                f"{n_rows:,}",
                name,
                middle(builds, ".3f"),
                middle(searches, ".4f"),
                middle(totals[name]),
                middle(recalls, ".3f"),
            )
        )
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = make_parser("neighbor-index", __doc__, repeats=3)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 300_000], help="of the pool")
    parser.add_argument("--indexes", nargs="+", choices=tuple(INDEXES), help="default: all installed")
    parser.add_argument("--components", type=int, default=16, help="width of the codes")
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--queries", type=int, default=50, help="of a round")
    parser.add_argument("--neighbors", type=int, default=20, help="of each query")
    parser.add_argument("--rounds", type=int, default=20, help="searches of a campaign")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    names = installed()
    names = [name for name in dict.fromkeys(options.indexes or names) if name in names]

    with threadpool_limits(1):  # faiss does not heed torch's setting
        lines = [line for n_rows in options.rows for line in compare(names, n_rows, options)]
    print(
        f"{options.queries} queries a round for {options.neighbors} neighbours each, codes of width "
        f"{options.components} in {options.clusters} clusters, campaigns of {options.rounds} rounds; "
        f"{options.repeats} of each in turn, {conditions(options.clock)}. Median (range).\n"
    )
    header = ("rows", "index", "seconds to build", "seconds a search", "seconds a campaign", "recall")
    print(markdown_table(header, lines))


if __name__ == "__main__":
    main()
