"""Masks as labels: strategies against random rows over paired seeds, mean IoU by number of labels.

``assay`` is a scratch assay, cut into tiles (`load_scratch_assay`); ``vessels`` are noisy images of arteries
(`make_vessel_masks`). All arms train the same U-Net for the same number of steps. ``in-features`` is the
default with rows covered in the network's features, each the mean over pixels, in place of the codes. The
runs are kept in a CSV file; the command, called again, goes on where it stopped.

Example: ``python -m skalss.benchmarks maps --data assay --arms auto margin --csv maps_assay.csv``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..augment import ImageAugment
from ..compare import compare_strategies, summarize_comparison
from ..datasets import load_scratch_assay, make_vessel_masks
from ..latent import LinearLatent
from ..nets import UNet, net_classifier
from ..network.tasknet import TaskNet
from ..sampler import AdaptiveLatentSampler
from ..schedules import CosineLR
from ..strategies import (
    AdaptiveStrategy,
    CommitteeStrategy,
    CoreSetStrategy,
    LargestClusterStrategy,
    UncertaintyStrategy,
)
from .common import conditions, markdown_table
from .label_efficiency import table_of

BATCH = 16


ARMS: dict[str, Any] = {
    "auto": "auto",
    "in-features": AdaptiveStrategy(space="features"),
    "lcmd": "lcmd",
    "lcmd-gradients": LargestClusterStrategy(space="gradients"),
    "lcmd-directions": LargestClusterStrategy(space="directions"),
    "margin": UncertaintyStrategy("margin"),
    "entropy": UncertaintyStrategy("entropy"),
    "committee": CommitteeStrategy(n_candidates=500),
    "coreset": "coreset",
    "coreset-features": CoreSetStrategy("features"),
    "kmeans": "kmeans",
    "kmeans/margin": {"initial": "kmeans", "strategy": "margin"},
    "random/auto": {"initial": "random", "strategy": "auto"},
    "random/in-features": {"initial": "random", "strategy": AdaptiveStrategy(space="features")},
    "kmeans/in-features": {"initial": "kmeans", "strategy": AdaptiveStrategy(space="features")},
    "random/margin": {"initial": "random", "strategy": "margin"},
}


def load(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return pool and test set with their masks."""
    if options.data == "assay":
        try:
            tiles = load_scratch_assay(size=options.size, channels=options.channels)
        except ImportError as error:
            raise SystemExit(str(error)) from error
        return tiles.X, tiles.y, tiles.X_test, tiles.y_test
    pool, test = (
        make_vessel_masks(n, size=options.size, noise=options.noise, random_state=seed)
        for seed, n in enumerate((options.pool, options.test))
    )
    return pool.X, pool.y, test.X, test.y


def make_sampler(options: argparse.Namespace) -> AdaptiveLatentSampler:
    """Build what all arms share."""
    net = net_classifier(
        UNet,
        module__width=options.width,
        module__depth=options.depth,
        batch_size=BATCH,
        max_epochs=options.max_epochs,
        lr=options.lr,
        callbacks=[("lr", CosineLR())],
    )
    return AdaptiveLatentSampler(
        TaskNet(net, min_epoch_rows=options.steps * BATCH, augment=ImageAugment(shift=4), device="cpu"),
        LinearLatent(16, random_state=0),
        n_initial=options.n_initial,
        n_per_round=options.n_per_round,
        max_labels=options.n_initial + options.rounds * options.n_per_round,
    )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks maps", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", choices=("assay", "vessels"), default="vessels")
    parser.add_argument("--size", type=int, default=32, help="pixels across a tile or an image")
    parser.add_argument("--channels", nargs="+", default=["oblique", "stain"], help="of the assay")
    parser.add_argument("--noise", type=float, default=0.3, help="speckle of vessels")
    parser.add_argument("--pool", type=int, default=1000, help="vessels that may be labelled")
    parser.add_argument("--test", type=int, default=300, help="other vessels, to test on")
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=["auto", "margin", "coreset"])
    parser.add_argument("--seeds", type=int, default=5, help="paired campaigns of each arm")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--n-initial", type=int, default=10)
    parser.add_argument("--n-per-round", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7, help="after the first")
    parser.add_argument("--width", type=int, default=8, help="channels of the first block of the U-Net")
    parser.add_argument("--depth", type=int, default=2, help="halvings of the U-Net")
    parser.add_argument("--max-epochs", type=int, default=40)
    parser.add_argument("--steps", type=int, default=10, help="of an epoch, at least")
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--csv", type=Path, default=None, help="where runs are kept, and read from")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and print the tables."""
    options = parse(arguments)
    torch.set_num_threads(1)
    X, y, X_test, y_test = load(options)
    results = compare_strategies(
        make_sampler(options),
        X,
        y,
        {name: ARMS[name] for name in options.arms},
        X_test=X_test,
        y_test=y_test,
        seeds=range(options.first_seed, options.first_seed + options.seeds),
        csv=options.csv,
    )
    print(f"U-Net on {options.data}, pool of {len(X)}, {len(X_test)} to test on, {conditions('wall')}.\n")
    print(table_of(summarize_comparison(results)))
    curves = 100 * results.pivot_table(index="n_labels", columns="arm", values="score", sort=False)
    print("\nMean IoU in %, mean over seeds:\n")
    print(markdown_table(["labels", *curves.columns], [[n, *line.round(2)] for n, line in curves.iterrows()]))


if __name__ == "__main__":
    main()
