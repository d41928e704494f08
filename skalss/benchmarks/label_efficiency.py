"""Label efficiency: strategies against random rows over paired seeds, accuracy by number of labels.

An arm is written ``initial/strategy``, such as ``kmeans/mms``. ``/pseudo`` or ``/plain`` after it are for
training with or without pseudo-labels; with ``/learned`` codes and first weights of the network come from a
`ContrastiveLatent`, fitted to the pool once and kept in ``--learned``. A strategy alone starts and trains as
the sampler does by default. Strategies of scikit-activeml are ``sk-margin``, ``sk-badge``, ``sk-coreset``,
``sk-typiclust``, ``sk-probcover``, ``sk-maxherding`` and ``sk-dropquery``. ``uherding``, its start
``maxherding``, and ``refine`` are published rivals of the default. ``snn-one-step``, ``snn-climb``,
``snn-one-step-once-far`` and ``random-far`` stand between the published procedure, random rows and ``snn``.

All arms share the network, the optimiser and the number of rows trained on; ``--sgd``, ``--cosine`` and
``--augment`` train as the guide advises for photographs. Labels that are real numbers are learned by a
regressor, and scores are R². The runs are kept in a CSV file; the command, called again, goes on where it
stopped.

Example: ``python -m skalss.benchmarks label-efficiency --data mnist --net lenet --strategies mms kmeans/mms``
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNet
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import LinearLR

from ..augment import ImageAugment
from ..compare import compare_strategies, summarize_comparison
from ..latent import VAE, ContrastiveLatent, ConvVAE, LinearLatent, PretrainedLatent
from ..nets import MLP, LeNet, ResNet8, net_classifier, net_regressor
from ..network.epochs import MIN_ROWS
from ..network.tasknet import TaskNet
from ..sampler import AdaptiveLatentSampler
from ..schedules import CosineLR
from ..selective import SelectiveNetClassifier
from .arms import named_strategy
from .common import conditions, load_data, markdown_table

NETS = {"mlp": MLP, "lenet": LeNet, "resnet8": ResNet8}
LATENT = {
    "vae": lambda: VAE(16, hidden_layer_sizes=(512, 256), max_epochs=20, random_state=0),
    "conv_vae": lambda: ConvVAE(random_state=0),
    "pca": lambda: LinearLatent(16, random_state=0),
    "rows": PretrainedLatent,
    "scaled": StandardScaler,
    "contrastive": lambda: ContrastiveLatent(max_epochs=60, max_steps=100_000, random_state=0),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "pseudo": {"pseudo_labels": "spread"},
    "plain": {"pseudo_labels": None},
}


def load(name: str, n_pool: int | None) -> Any:
    """Return X, y, X_test and y_test; a pool smaller than the data is drawn at random."""
    X, y, X_test, y_test = load_data(name)
    some = np.random.default_rng(0).permutation(len(X))[:n_pool]
    return X[np.sort(some)], y[np.sort(some)], X_test, y_test


def make_net(options: argparse.Namespace, regression: bool = False) -> NeuralNet:
    """Build the network that all arms train."""
    epochs = options.max_epochs
    params: dict[str, Any] = {"max_epochs": epochs, "batch_size": options.batch_size, "lr": options.lr}
    if options.sgd:
        params |= {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__nesterov": True}
        params |= {"optimizer__weight_decay": 5e-4}
    if options.cosine:
        params["callbacks"] = [("lr", CosineLR())]
    elif options.lr_decay:
        params["callbacks"] = [LRScheduler(LinearLR, start_factor=1.0, end_factor=0.0, total_iters=epochs)]
    if regression:
        return net_regressor(NETS[options.net], **params)
    net = net_classifier(NETS[options.net], **params)
    if options.dtype == "float32":
        return net
    fast = {"selector": None, "dtype": options.dtype, "channels_last": True}
    return SelectiveNetClassifier(**{**net.get_params(deep=False), **fast})


def arm_of(name: str, X: np.ndarray, learned: Path | None) -> dict[str, Any]:
    """Read ``initial/strategy/setting`` into parameters of the sampler."""
    parts = name.split("/")
    *initial, strategy = [part for part in parts if part not in (*SETTINGS, "learned")]
    arm: dict[str, Any] = {"strategy": named_strategy(strategy)}
    if initial:
        arm["initial"] = named_strategy(initial[0])
    if "learned" in parts:
        arm |= {"latent_model": learned_model(X, learned), "estimator__init_from_latent": True}
    for part in parts:
        arm |= SETTINGS.get(part, {})
    return arm


def learned_model(X: np.ndarray, file: Path | None) -> FrozenEstimator:
    """Read the contrastive model of the pool; fit and keep it where there is none yet."""
    if file is None:
        sys.exit("An arm with /learned needs a file for what is learned: --learned cifar10.joblib")
    if not file.exists():
        joblib.dump(LATENT["contrastive"]().fit(X), file)
    return FrozenEstimator(joblib.load(file))


def make_sampler(options: argparse.Namespace, X: np.ndarray, y: np.ndarray) -> AdaptiveLatentSampler:
    """Build what all arms share."""
    # As many rows in each training of each arm, and enough of them when there are few labels.
    net = TaskNet(
        make_net(options, y.dtype.kind == "f"),
        min_epoch_rows=MIN_ROWS,
        augment=ImageAugment() if options.augment else None,
    )
    return AdaptiveLatentSampler(
        net,
        LATENT[options.latent](),
        n_initial=options.n_initial,
        n_per_round=options.n_per_round,
        max_labels=options.n_initial + options.rounds * options.n_per_round,
        scoring=options.scoring,
    )


def table_of(summary: pd.DataFrame) -> str:
    """Write the summary as a markdown table."""

    def between(line: pd.Series, name: str) -> str:
        mean, low, high = (line[f"{name}{end}"] for end in ("", "_low", "_high"))
        return f"{mean:+.2f}" + ("" if np.isnan(low) else f" ({low:+.2f}, {high:+.2f})")

    header = ["arm", "AUBC", "over random", "over the best other", "at the end", "labels to the target"]
    header += ["times fewer", "network rows a round", "seconds querying", "training", "class balance"]
    rows = [
        [
            name,
            f"{line['aubc']:.2f}",
            between(line, "gain"),
            between(line, "over_best"),
            f"{line['final']:.2f}",
            f"{line['labels_to_target']:.0f}",
            f"{line['times_fewer']:.2f}",
            f"{line['network_rows']:.0f}",
            f"{line['query_seconds']:.1f}",
            f"{line['fit_seconds']:.1f}",
            f"{line['class_balance']:.3f}",
        ]
        for name, line in summary.iterrows()
    ]
    return markdown_table(header, rows)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks label-efficiency", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--data",
        default="mnist",
        help="mnist, cifar10, digits, file.npz, or one of tables",
    )
    parser.add_argument("--pool", type=int, default=None, help="take only so many rows")
    parser.add_argument("--net", choices=tuple(NETS), default="lenet")
    parser.add_argument("--latent", choices=tuple(LATENT), default="vae")
    parser.add_argument("--learned", type=Path, default=None, help="file of the model of arms with /learned")
    parser.add_argument("--scoring", default=None, help="such as f1_macro; else accuracy or R²")
    parser.add_argument("--strategies", nargs="+", default=["auto", "mms", "kmeans/mms"])
    parser.add_argument("--seeds", type=int, default=5, help="paired campaigns of each arm")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--n-initial", type=int, default=50)
    parser.add_argument("--n-per-round", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=6, help="after the first")
    parser.add_argument("--max-epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument(
        "--dtype", choices=("float32", "auto"), default="float32", help="auto: what trains fastest here"
    )
    parser.add_argument("--lr", type=float, default=0.002, help="of Adam, or of SGD")
    parser.add_argument("--sgd", action="store_true", help="with Nesterov momentum and weight decay 5e-4")
    parser.add_argument("--cosine", action="store_true", help="the learning rate falls to 0 by a cosine")
    parser.add_argument("--augment", action="store_true", help="flip and shift training images")
    parser.add_argument("--lr-decay", action="store_true", help="to zero by the last epoch, linearly")
    parser.add_argument("--n-jobs", type=int, default=None, help="campaigns at a time")
    parser.add_argument("--csv", type=Path, default=None, help="where runs are kept, and read from")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Run what is missing; return what `compare_strategies` does, with the size of the pool in its attrs."""
    torch.set_num_threads(1)
    X, y, X_test, y_test = load(options.data, options.pool)
    results = compare_strategies(
        make_sampler(options, X, y),
        X,
        y,
        {name: arm_of(name, X, options.learned) for name in options.strategies},
        X_test=X_test,
        y_test=y_test,
        seeds=range(options.first_seed, options.first_seed + options.seeds),
        n_jobs=options.n_jobs,
        csv=options.csv,
    )
    results.attrs["pool"] = len(X)
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and print the table."""
    options = parse(arguments)
    results = run(options)
    print(f"{options.net} on {options.data}, pool of {results.attrs['pool']}, {conditions('wall')}.\n")
    print(table_of(summarize_comparison(results)))
    curves = 100 * results.pivot_table(index="n_labels", columns="arm", values="score", sort=False)
    score = options.scoring or results.attrs["metric_name"]
    print(f"\n{score} in %, mean over seeds:\n")
    print(markdown_table(["labels", *curves.columns], [[n, *line.round(2)] for n, line in curves.iterrows()]))


if __name__ == "__main__":
    main()
