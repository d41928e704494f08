"""How much sooner a simulator answers with ``FunctionOracle(n_jobs=2)`` than with one job.

Each simulation works the processor for a set time, counted in seconds of the processor and not of the wall,
so that two that share a processor take twice as long. With ``--wait`` it sleeps instead, as one that runs on
another machine: that shows what asking itself costs, on a busy machine, too. Both arms ask all rows in turn;
the worker processes are started before, as they are kept from batch to batch.

Example: ``python -m skalss.benchmarks oracle-jobs --rows 200 --milliseconds 50 --repeats 5``
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..oracles import FunctionOracle
from .common import conditions, in_turn, make_parser, markdown_table, middle, timed


def simulation(milliseconds: float, wait: bool) -> Callable[[Any], float]:
    """Return a function of a row that works the processor for so long, or waits.

    It is made in here, so that a worker process need not import skalss for it.
    """

    def simulate(row):
        import time

        if wait:
            time.sleep(milliseconds / 1000)
        end, total = time.process_time() + (0 if wait else milliseconds / 1000), 0.0
        while time.process_time() < end:
            for _ in range(1000):
                total += 1.0
        return float(row[0])

    return simulate


def ask(n_jobs: int, n_rows: int, simulate: Callable[[Any], float]) -> float:
    """Ask all rows; return the seconds."""
    X, ids = np.arange(n_rows, dtype=float)[:, None], np.arange(n_rows)
    oracle = FunctionOracle(simulate, per_row=True, n_jobs=n_jobs)
    answers, seconds = timed(lambda: dict(oracle.label(X, ids)))
    if answers != dict(zip(ids.tolist(), X[:, 0].tolist(), strict=True)):
        raise AssertionError("An answer is missing or wrong.")
    return seconds


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = make_parser("oracle-jobs", __doc__, repeats=5)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--milliseconds", type=float, default=50.0, help="of a simulation")
    parser.add_argument("--wait", action="store_true", help="sleep instead of working")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    if options.clock != "wall":
        parser.error("--clock cpu does not see the worker processes; leave it at wall")

    simulate = simulation(options.milliseconds, options.wait)
    ask(options.jobs, options.jobs, simulate)  # starts the workers

    def arm(n_jobs: int) -> Callable[[int], float]:
        return lambda _: ask(n_jobs, options.rows, simulate)

    arms = {f"n_jobs={n}": arm(n) for n in (1, options.jobs)}
    seconds = in_turn(arms, range(options.repeats))
    one, several = seconds.values()
    kind = " of waiting" if options.wait else ""
    print(
        f"{options.rows} simulations of {options.milliseconds:g} ms{kind}, {os.cpu_count()} processors, "
        f"{options.repeats} pairs, {conditions(options.clock)}.\n"
    )
    rows = [[name, middle(values)] for name, values in seconds.items()]
    rows.append(["times as fast", middle(one / several)])
    print(markdown_table(["seconds for all rows", "median (range)"], rows))


if __name__ == "__main__":
    main()
