"""Several labels a row: macro F1 of a network by number of labelled rows, strategies over random rows.

Gains are hundredths of macro F1, the area under the curve over that of random rows, with paired 95 %
intervals over seeds. The table ``yeast`` comes with the package river, which need not run: install it with
``pip install --no-deps river``. The runs are kept in CSV files, one for each table; the command, called
again, goes on where it stopped.

Example: ``python -m skalss.benchmarks labels generated yeast --arms auto margin --folder results``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, make_multilabel_classification
from sklearn.model_selection import train_test_split

from ..compare import compare_strategies, summarize_comparison
from ..nets import MLP, net_classifier
from ..network.tasknet import TaskNet
from ..sampler import AdaptiveLatentSampler
from ..strategies import AdaptiveStrategy, LargestClusterStrategy
from .common import conditions, markdown_table
from .tables import folder_of_package

ARMS: dict[str, Any] = {
    "auto": "auto",
    "adaptive": {"strategy": AdaptiveStrategy(), "initial": "random"},
    "margin": "margin",
    "entropy": "entropy",
    "badge": "badge",
    "lcmd": "lcmd",
    "lcmd-features": LargestClusterStrategy(space="features"),
    "lcmd-gradients": LargestClusterStrategy(space="gradients"),
    "in-features": AdaptiveStrategy(space="features"),
    "random/in-features": {"strategy": AdaptiveStrategy(space="features"), "initial": "random"},
    "rare": AdaptiveStrategy(space="features", rare_share=0.5),
    "kmeans/lcmd": {"strategy": "lcmd", "initial": "kmeans"},
    "kmeans/badge": {"strategy": "badge", "initial": "kmeans"},
    "kmeans/even": {"strategy": AdaptiveStrategy(space="features", power=0), "initial": "kmeans"},
    "kmeans/mild": {"strategy": AdaptiveStrategy(space="features", power=1), "initial": "kmeans"},
    "coreset": "coreset",
    "kmeans": "kmeans",
    "committee": "committee",
    "snn": "snn",
}


def _generated(n_labels: float) -> tuple[np.ndarray, np.ndarray]:
    X, y = make_multilabel_classification(
        6000, n_features=40, n_classes=8, n_labels=n_labels, length=100, random_state=0
    )
    return X, y


def _yeast() -> tuple[np.ndarray, np.ndarray]:
    """Return genes of yeast, and which of 14 groups of functions each has (Elisseeff and Weston, 2001)."""
    frame = pd.read_csv(folder_of_package("river") / "datasets" / "yeast.csv.gz")
    labels = [name for name in frame if name.lower().startswith("class")]
    y = frame[labels].astype(str).isin(["1", "1.0", "True", "TRUE"]).to_numpy()
    return frame.drop(columns=labels).to_numpy(dtype=float), y.astype(int)


def _pairs() -> tuple[np.ndarray, np.ndarray]:
    """Return two digits side by side, and which of the ten they are."""
    X, y = load_digits(return_X_y=True)
    first, second = np.random.RandomState(0).randint(len(X), size=(2, 6000))
    held = (np.arange(10) == y[first][:, None]) | (np.arange(10) == y[second][:, None])
    return np.concatenate([X[first], X[second]], axis=1), held.astype(int)


TABLES: dict[str, tuple[str, Callable[[], tuple[np.ndarray, np.ndarray]]]] = {
    "generated": ("make_multilabel_classification, 8 labels, 3 a row", lambda: _generated(3)),
    "generated-few": ("make_multilabel_classification, 8 labels, 1 a row", lambda: _generated(1)),
    "pairs": ("two digits of scikit-learn side by side, 10 labels", _pairs),
    "yeast": ("functions of genes, 14 labels; https://www.openml.org/d/40597", _yeast),
}


def run(name: str, options: argparse.Namespace) -> pd.DataFrame:
    """Run the arms on one table."""
    X, y = TABLES[name][1]()
    X_pool, X_test, y_pool, y_test = train_test_split(X, y, test_size=1 / 3, random_state=0)
    mean, scale = X_pool.mean(axis=0), X_pool.std(axis=0)
    rows = [((part - mean) / np.where(scale > 0, scale, 1)).astype(np.float32) for part in (X_pool, X_test)]
    net = TaskNet(net_classifier(MLP, max_epochs=options.epochs), min_epoch_rows=256, device="cpu")
    sampler = AdaptiveLatentSampler(
        net, n_initial=options.first, n_per_round=options.batch, max_labels=options.labels
    )
    arms = {arm: ARMS[arm] for arm in options.arms if arm != "random"}
    csv = None if options.folder is None else options.folder / f"labels_{name}.csv"
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    return compare_strategies(
        sampler, rows[0], y_pool, arms, X_test=rows[1], y_test=y_test, seeds=list(seeds), csv=csv
    )


def table_of(results: pd.DataFrame) -> str:
    """Write the summary as a markdown table."""
    header = ["arm", "mean of the curve", "over random", "at the end", "seconds to choose"]
    rows = [
        [
            str(arm),
            f"{line['aubc']:.2f}",
            "" if arm == "random" else "{gain:+.2f} ({gain_low:+.2f}, {gain_high:+.2f})".format(**line),
            f"{line['final']:.2f}",
            f"{line['query_seconds']:.1f}",
        ]
        for arm, line in summarize_comparison(results).iterrows()
    ]
    return markdown_table(header, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the arms on the tables that are named, and print what came out."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks labels", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; all, by default")
    parser.add_argument("--arms", nargs="+", default=["auto"], choices=["random", *ARMS], metavar="ARM")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=50, help="rows of the first set")
    parser.add_argument("--batch", type=int, default=50, help="rows of a round")
    parser.add_argument("--labels", type=int, default=400, help="rows in all")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=None, help="where the CSV files are")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.tables if name not in TABLES]
    if unknown:
        parser.error(f"there is no table {unknown[0]!r}; there are {', '.join(TABLES)}")
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    print(conditions("wall"))
    for name in options.tables or TABLES:
        try:
            results = run(name, options)
        except FileNotFoundError as error:
            sys.exit(f"{name}: {error}")
        print(f"\n{name}: {TABLES[name][0]}\n\n{table_of(results)}")


if __name__ == "__main__":
    main()
