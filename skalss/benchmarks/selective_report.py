"""What the runs of the selective benchmark say: speed-ups to a target, points at equal seconds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from .common import markdown_table

MARGIN = 0.1  # points of accuracy that the target lies below uniform training's


def interval(values: ArrayLike) -> str:
    """Write the mean and its 95 % interval by Student's t."""
    values = np.asarray(values, dtype=float)
    if len(values) < 2:
        return f"{values.mean():.2f}"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.2f} ({values.mean() - half:.2f}, {values.mean() + half:.2f})"


def at_target(accuracy: np.ndarray, cost: np.ndarray, target: float) -> float:
    """Cost at which a growing accuracy reaches the target, between runs on a logarithmic scale of cost.

    The lowest cost where even the shortest training reaches it; infinity where none does.
    """
    order = np.argsort(cost)
    accuracy, log_cost = np.maximum.accumulate(accuracy[order]), np.log(cost[order])
    if accuracy[-1] < target:
        return float("inf")
    i = int(np.argmax(accuracy >= target))
    if i == 0:
        return float(np.exp(log_cost[0]))
    share = (target - accuracy[i - 1]) / (accuracy[i] - accuracy[i - 1])
    return float(np.exp(log_cost[i - 1] + share * (log_cost[i] - log_cost[i - 1])))


def tables_of(runs: pd.DataFrame, arm: str) -> dict[str, np.ndarray]:
    """Return each column of an arm as an array (n_seeds, n_lengths), lengths ascending."""
    part = runs[runs.arm == arm]
    columns = ("test_accuracy", "steps", "cpu_seconds")
    return {name: part.pivot(index="seed", columns="epochs", values=name).to_numpy() for name in columns}


def speed_up(runs: pd.DataFrame, arm: str, cost: str, *, shortened: bool) -> str:
    """Write how many times less an arm costs to the target than uniform training, with a 95 % interval.

    `shortened` compares with uniform training of the least length that reaches the target, in place of full
    length. The interval comes from resampling the seeds, the same ones for both arms.
    """
    uniform, own = tables_of(runs, "uniform"), tables_of(runs, arm)
    n_seeds = len(uniform[cost])
    if shortened and uniform[cost].shape[1] == 1:
        return "not run"

    def ratio(seeds: np.ndarray) -> float:
        def cost_to_target(table: dict[str, np.ndarray]) -> float:
            accuracy, spent = (table[name][seeds].mean(axis=0) for name in ("test_accuracy", cost))
            return at_target(accuracy, spent, target)

        target = uniform["test_accuracy"][seeds, -1].mean() - MARGIN  # of full length
        least = cost_to_target(uniform) if shortened else uniform[cost][seeds, -1].mean()
        return least / cost_to_target(own)

    rng = np.random.default_rng(0)
    resampled = [ratio(rng.integers(n_seeds, size=n_seeds)) for _ in range(1000)]
    low, high = np.quantile(resampled, [0.025, 0.975], method="nearest")
    measured = ratio(np.arange(n_seeds))
    return f"{measured:.2f} ({low:.2f}, {high:.2f})" if measured else "not reached"


def equal_seconds(runs: pd.DataFrame, arm: str, full: int) -> np.ndarray:
    """Points of accuracy that an arm gains on full uniform training in the same processor time, per seed.

    Between the lengths of training that were run, on a logarithmic scale of time; beyond the longest, its
    accuracy stands.
    """
    gains = []
    for _, part in runs.groupby("seed"):
        whole = part[(part.arm == "uniform") & (part.epochs == full)].iloc[0]
        own = part[part.arm == arm].sort_values("cpu_seconds")
        accuracy = np.interp(np.log(whole.cpu_seconds), np.log(own.cpu_seconds), own.test_accuracy)
        gains.append(accuracy - whole.test_accuracy)
    return np.array(gains)


def complete(runs: pd.DataFrame) -> pd.DataFrame:
    """Drop the seeds for which a run is still missing."""
    n_runs = runs.groupby("seed").size()
    return runs[runs.seed.isin(n_runs.index[n_runs == n_runs.max()])]


def report(runs: pd.DataFrame, full: int) -> str:
    """Write the tables of one variant."""
    runs = complete(runs)
    arms = list(dict.fromkeys(runs.arm))
    whole = runs[(runs.arm == "uniform") & (runs.epochs == full)]
    lines = []
    for (arm, epochs), part in runs.groupby(["arm", "epochs"], sort=False):
        relative = part.set_index("seed").cpu_seconds / whole.set_index("seed").cpu_seconds
        lines.append(
            [
                arm,
                epochs,
                f"{part.lr.iloc[0]:g} {part.schedule.iloc[0]}",
                round(part.steps.mean()),
                interval(part.test_accuracy),
                f"{relative.mean():.2f}",
            ]
        )
    header = ["arm", "epochs", "learning rate", "steps", "test accuracy, %", "processor time / uniform's"]
    tables = [markdown_table(header, lines)]
    lines = [
        [
            arm,
            *(speed_up(runs, arm, cost, shortened=False) for cost in ("steps", "cpu_seconds")),
            *(speed_up(runs, arm, cost, shortened=True) for cost in ("steps", "cpu_seconds")),
            interval(equal_seconds(runs, arm, full)),
        ]
        for arm in arms
    ]
    header = [
        "to the target, times fewer",
        "steps",
        "processor seconds",
        "steps, uniform shortened",
        "seconds, uniform shortened",
        "points at equal seconds",
    ]
    target = whole.test_accuracy.mean() - MARGIN
    tables += [f"{runs.seed.nunique()} seeds. Target: {target:.2f} %.", markdown_table(header, lines)]
    return "\n\n".join(tables)
