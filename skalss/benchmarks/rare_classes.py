"""Rare classes: macro-F1 by number of labels on imbalanced pools, over paired seeds.

Arms are random rows, ``margin``, the default, and the default with a share of its questions for rows that the
network takes for rare classes (``AdaptiveStrategy(rare_share=...)``); ``balanced`` is the default with
``class_weight="balanced"``. All train the same network on as many rows. Test rows have the classes of the
pool, as rare as there. The runs are kept in a CSV file for each data set as they end; the command, called
again, goes on where it stopped. ``mnist`` must be there, see `skalss.datasets.load_images`.

Example: ``python -m skalss.benchmarks rare-classes --csv docs/results/rare_classes``
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split

from ..compare import compare_strategies, summarize_comparison
from ..latent import LinearLatent
from ..nets import net_classifier
from ..network import TaskNet
from ..network.epochs import MIN_ROWS
from ..sampler import AdaptiveLatentSampler
from ..strategies import AdaptiveStrategy
from .common import conditions, load_data, markdown_table

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def thin_out(X: np.ndarray, y: np.ndarray, shares: ArrayLike, seed: int = 0) -> Any:
    """Keep a share of the rows of each class."""
    kept = np.random.default_rng(seed).random(len(y)) < np.asarray(shares)[y]
    return X[kept], y[kept]


def made(n_classes: int, ratio: float, **params: Any) -> Data:
    """Return made-up clusters; each class has `ratio` of the rows of the one before."""
    weights = ratio ** np.arange(n_classes)
    common = {"n_features": 20, "n_informative": 10, "n_clusters_per_class": 2, "random_state": 0}
    X, y = make_classification(
        10_000, n_classes=n_classes, weights=list(weights / weights.sum()), **{**common, **params}
    )
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=0, stratify=y)
    return X, y, X_test, y_test


def digits() -> Data:
    """Return scikit-learn's digits, five of the classes with a tenth of their rows."""
    X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), test_size=0.5, random_state=0)
    shares = [1.0, 0.1] * 5
    return *thin_out(X, y, shares), *thin_out(X_test, y_test, shares)


def mnist() -> Data:
    """Return a long tail of MNIST: 0.6 of the class before in each."""
    X, y, X_test, y_test = load_data("mnist")
    shares = 0.6 ** np.arange(10)
    rows, y = thin_out(X[:20_000].reshape(20_000, -1), y[:20_000], shares)
    return rows, y, *thin_out(X_test.reshape(len(X_test), -1), y_test, shares)


DATA: dict[str, Callable[[], Data]] = {
    "digits": digits,
    "three": lambda: made(3, 0.15),
    "six": lambda: made(6, 0.5),
    "ten": lambda: made(10, 0.7, class_sep=1.5),
    "two": lambda: made(2, 0.03),
    "even": lambda: made(6, 1.0),
    "mnist": mnist,
}


def arms_of(shares: Sequence[float]) -> dict[str, Any]:
    """Return the arms; `compare_strategies` adds random rows."""
    default = {"initial": "kmeans", "pseudo_labels": "spread"}
    arms: dict[str, Any] = {"margin": "margin", "auto": "auto"}
    arms["balanced"] = {"strategy": "auto", "estimator__class_weight": "balanced"}
    for share in shares:
        arms[f"rare_share={share:g}"] = {"strategy": AdaptiveStrategy(rare_share=share), **default}
    return arms


def over(results: pd.DataFrame, arm: str, other: str) -> str:
    """Write by how much the mean macro-F1 of an arm is above another's, with its paired 95 % interval."""
    means = 100 * results.groupby(["arm", "seed"])["score"].mean()
    gaps = (means[arm] - means[other]).to_numpy()
    if len(gaps) < 2:
        return f"{gaps.mean():+.1f}"
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
    return f"{gaps.mean():+.1f} ({gaps.mean() - half:+.1f}, {gaps.mean() + half:+.1f})"


def run(name: str, options: argparse.Namespace) -> pd.DataFrame:
    """Run the arms on a data set."""
    X, y, X_test, y_test = DATA[name]()
    sampler = AdaptiveLatentSampler(
        TaskNet(net_classifier(max_epochs=options.max_epochs), min_epoch_rows=MIN_ROWS),
        LinearLatent(16, random_state=0),
        n_initial=options.n_per_round,
        n_per_round=options.n_per_round,
        max_labels=options.max_labels,
        scoring="f1_macro",
        classes=np.unique(y),
    )
    csv = None if options.csv is None else Path(f"{options.csv}_{name}.csv")
    seeds = range(options.seeds)
    arms = arms_of(options.shares)
    return compare_strategies(sampler, X, y, arms, X_test=X_test, y_test=y_test, seeds=seeds, csv=csv)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and print a table for each data set as it is done."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks rare-classes", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", nargs="+", choices=tuple(DATA), default=list(DATA))
    parser.add_argument("--shares", nargs="*", type=float, default=[0.3, 0.6], help="of rare_share")
    parser.add_argument("--seeds", type=int, default=5, help="paired campaigns of each arm")
    parser.add_argument("--n-per-round", type=int, default=50, help="also the size of the first set")
    parser.add_argument("--max-labels", type=int, default=300)
    parser.add_argument("--max-epochs", type=int, default=20)
    parser.add_argument("--csv", default=None, help="what the names of the files of runs begin with")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(
        f"Macro-F1 in hundredths, {options.seeds} paired seeds, mean and 95 % interval of differences in the "
        f"mean over the curve; {conditions('wall')}."
    )
    for name in options.data:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a class that a network never predicts has an F1 of 0
            results = run(name, options)
        summary = summarize_comparison(results)
        rows = [
            (
                arm,
                f"{100 * results[results['arm'] == arm]['score'].mean():.1f}",
                "" if arm == "random" else over(results, arm, "random"),
                "" if arm in ("random", "auto") else over(results, arm, "auto"),
                f"{line['final']:.1f}",
                f"{line['class_balance']:.3f}",
            )
            for arm, line in summary.iterrows()
        ]
        header = ["arm", "macro-F1", "over random", "over auto", "at the end", "class balance"]
        print(f"\n{name}\n\n{markdown_table(header, rows)}", flush=True)


if __name__ == "__main__":
    main()
