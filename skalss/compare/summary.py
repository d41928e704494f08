"""What a comparison comes to: areas under learning curves, paired intervals, labels to a target."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.integrate import trapezoid
from sklearn.utils import check_array

from ..utils.checks import check_choice, check_range, check_real, reading, show
from ..utils.tensors import to_host
from .runs import CONTROL, SECONDS


def summarize_comparison(
    results: pd.DataFrame, *, control: str = CONTROL, target: float | None = None
) -> pd.DataFrame:
    """Return each arm's area under the curve, with paired 95 % intervals, and its labels to a target.

    Parameters
    ----------
    results : DataFrame
        From `compare_strategies`. Seeds that some arm lacks are left out.
    control : str, default="random"
        The arm that gains are taken over.
    target : float, default=None
        Score to be reached, in the units of `score`; None: the mean score of the control at its end.

    Returns
    -------
    summary : DataFrame
        Indexed by arm. ``aubc``, ``gain``, ``over_best`` and ``final`` are in hundredths of the score, which
        for an accuracy are points:

        aubc
            Area under the learning curve, by trapezoids over the labels, divided by their range.
        gain, gain_low, gain_high
            Of the area over the control's, mean over seeds and its paired 95 % interval by Student's t.
        over_best, over_best_low, over_best_high
            The same over the best other arm, the one of highest mean area.
        final
            Mean score at the end.
        labels_to_target, times_fewer
            Labels at which the mean curve reaches the target, between rounds in a straight line, infinity
            if it does not; and how many times fewer that is than the control needs.
        network_rows
            Mean of a round that chose by the strategy.
        latent_seconds, query_seconds, fit_seconds
            Of a campaign, mean over seeds.
        class_balance
            At the end, mean.

    Raises
    ------
    ValueError
        If the control is not among the arms, or no seed was run with all of them.
    """
    results = paired_runs(results, "network_rows", "class_balance", *SECONDS)
    arms = list(dict.fromkeys(results["arm"]))
    check_choice("control", control, arms)
    if target is not None:
        check_real("target", target, also="None")
    areas = learning_areas(results)
    curves = {arm: _mean_curve(results[results["arm"] == arm]) for arm in arms}
    target = float(curves[control].iloc[-1]) if target is None else target
    needed = {arm: labels_to_target(curve, target) for arm, curve in curves.items()}
    lines = {}
    for arm in arms:
        others = [other for other in arms if other != arm]
        best = max(others, key=lambda other: areas[other].mean()) if others else arm
        part = results[results["arm"] == arm]
        last = part.loc[part.groupby("seed")["round"].idxmax()]
        chosen = part[part["round"] > 0]["network_rows"]
        seconds = part.groupby("seed")[SECONDS].sum().mean()
        lines[arm] = {
            "aubc": 100 * areas[arm].mean(),
            **_named_interval("gain", 100 * (areas[arm] - areas[control])),
            **_named_interval("over_best", 100 * (areas[arm] - areas[best])),
            "final": 100 * last["score"].mean(),
            "labels_to_target": needed[arm],
            "times_fewer": needed[control] / needed[arm],
            "network_rows": chosen.mean() if len(chosen) else 0.0,
            **seconds,
            "class_balance": last["class_balance"].mean(),
        }
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis("arm")


def paired_runs(results: pd.DataFrame, *more: str) -> pd.DataFrame:
    """Return the runs of the seeds that every arm has.

    Parameters
    ----------
    results : DataFrame
        From `compare_strategies`, or some of its rows.
    *more : str
        Columns that it must have, besides those of a learning curve.

    Returns
    -------
    paired : DataFrame

    Raises
    ------
    ValueError, TypeError
        If there is no such seed, or `results` is no such table.
    """
    check_results(results, *more)
    n_arms = results.groupby("seed")["arm"].nunique()
    paired = results[results["seed"].isin(n_arms.index[n_arms == results["arm"].nunique()])]
    if paired.empty:
        seeds = results.groupby("arm", sort=False)["seed"].unique().map(np.ndarray.tolist).to_dict()
        raise ValueError(
            f"results must hold a seed that was run with every arm; the seeds of each are {seeds}. Run the "
            "missing ones with compare_strategies(..., csv=...)."
        )
    return paired


def learning_areas(results: pd.DataFrame) -> pd.DataFrame:
    """Return the area under each learning curve, divided by the range of labels.

    Parameters
    ----------
    results : DataFrame
        From `compare_strategies`.

    Returns
    -------
    areas : DataFrame
        A row for each seed, a column for each arm, in the units of `score`.
    """
    check_results(results)

    def area(curve: pd.DataFrame) -> float:
        n_labels = curve["n_labels"].to_numpy(dtype=float)
        if n_labels[0] == n_labels[-1]:
            return float(curve["score"].mean())
        return float(trapezoid(curve["score"], n_labels) / (n_labels[-1] - n_labels[0]))

    areas = {key: area(curve.sort_values("round")) for key, curve in results.groupby(["seed", "arm"])}
    return pd.Series(areas).unstack().rename_axis(index="seed", columns="arm")


def mean_interval(values: ArrayLike) -> tuple[float, float, float]:
    """Return the mean of `values` and its 95 % interval by Student's t; NaN around a single value."""
    with reading("values"):
        array = check_array(to_host(values), dtype=np.float64, ensure_2d=False, input_name="values")
    values = np.asarray(array)
    if values.ndim != 1:
        raise ValueError(f"values must have shape (n_values,), got {values.shape}.")
    check_range("values", values)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, np.nan, np.nan
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def labels_to_target(curve: pd.Series, target: float) -> float:
    """Return the number of labels at which a curve, indexed by labels, first reaches the target."""
    if not isinstance(curve, pd.Series) or curve.empty or curve.dtype.kind not in "iuf":
        raise TypeError(f"curve must be a Series of scores, indexed by labels, got {show(curve)}.")
    if curve.index.dtype.kind not in "iuf":
        raise TypeError(f"curve must be indexed by numbers of labels, got an index of {curve.index.dtype}.")
    check_real("target", target)
    n_labels, scores = curve.index.to_numpy(dtype=float), curve.to_numpy()
    reached = np.flatnonzero(scores >= target)
    if not len(reached):
        return float("inf")
    i = int(reached[0])
    if i == 0:
        return float(n_labels[0])
    share = (target - scores[i - 1]) / (scores[i] - scores[i - 1])
    return float(n_labels[i - 1] + share * (n_labels[i] - n_labels[i - 1]))


def check_results(results: object, *more: str) -> None:
    """Refuse what is no table of a comparison."""
    if not isinstance(results, pd.DataFrame):
        raise TypeError(
            f"results must be the DataFrame that compare_strategies returns, got {show(results)} of type "
            f"{type(results).__name__}."
        )
    missing = {"arm", "seed", "round", "n_labels", "score", *more}.difference(results.columns)
    if missing or results.empty:
        got = f"no column {sorted(missing)}" if missing else "no rows"
        raise ValueError(f"results must be what compare_strategies gives; these have {got}.")


def _named_interval(name: str, values: ArrayLike) -> dict[str, float]:
    mean, low, high = mean_interval(values)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def _mean_curve(part: pd.DataFrame) -> pd.Series:
    """Average over seeds, round by round."""
    rounds = part.groupby("round")[["n_labels", "score"]].mean()
    return rounds.set_index("n_labels")["score"]
