"""How long the training of a round takes, against a torch loop written by hand.

All arms train LeNet on the same labelled 28 × 28 images with the same steps: float32, batch size, fused Adam,
learning rate, and a new order of rows each epoch. The campaign and the loop start from the same weights
and see the same batches, so they must end at the same loss.

- loop: rows out of the pool, a fresh network, zero_grad, forward, backward, step. No history, no checks.
- campaign: ``Campaign.network()`` after the labels were told: all that a round spends on training, from
  the rows out of the pool, checks, scaling, a clone of the net and its dry run to skorch's history. The
  limits of the scaling are read from the pool once in a campaign; that is timed apart.
- skorch: ``NeuralNetClassifier.fit`` with the data loader it has by default, for information.

Example: ``python -m skalss.benchmarks campaign-rounds --labels 100 5000 --epochs 60 10``
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from sklearn.utils import check_random_state
from skorch import NeuralNetClassifier
from torch import nn

from ..campaign import Campaign
from ..nets import LeNet, net_classifier
from ..sampler import AdaptiveLatentSampler
from ..utils.seeds import derive_seed
from .common import conditions, in_turn, load_data, make_parser, markdown_table, middle, timed

LR = 2e-3
N_CLASSES = 10


class Round:
    """A round's training, for one number of labels; each arm gives its seconds and keeps its loss."""

    def __init__(
        self, X: np.ndarray, y: np.ndarray, n_labels: int, n_epochs: int, batch_size: int, clock: str
    ):
        self.X, self.y, self.n_labels = X, y, n_labels
        self.n_epochs, self.batch_size, self.clock = n_epochs, batch_size, clock
        self.losses: dict[str, list[float]] = {"loop": [], "campaign": [], "skorch": []}
        self.scaling_seconds: list[float] = []

    def _told(self, seed: int) -> Campaign:
        """Tell a campaign `n_labels` labels; it has not trained yet."""
        net = net_classifier(LeNet, lr=LR, batch_size=self.batch_size, max_epochs=self.n_epochs)
        sampler = AdaptiveLatentSampler(
            net,
            strategy="random",
            n_initial=self.n_labels,
            max_labels=2 * self.n_labels,
            random_state=seed,
        )
        campaign = Campaign(sampler, self.X, self.y)
        batch = campaign.ask()
        campaign.tell(batch.ids, self.y[batch.ids])
        return campaign

    def campaign(self, seed: int) -> float:
        """Train as a campaign does."""
        campaign = self._told(seed)
        self.scaling_seconds.append(timed(lambda: campaign.pool.scaling, self.clock)[1])
        network, seconds = timed(campaign.network, self.clock)
        self._note("campaign", network.net_.module_, campaign.records.positions())
        return seconds

    def loop(self, seed: int) -> float:
        """Train by hand."""
        campaign = self._told(seed)
        rows = campaign.records.positions()
        # The seed that the campaign gives its network in this round.
        network_seed = derive_seed(campaign.seed, "network", campaign.round)
        torch_seed = int(check_random_state(network_seed).randint(2**31 - 1))
        train = partial(train_by_hand, n_epochs=self.n_epochs, batch_size=self.batch_size, seed=torch_seed)
        module, seconds = timed(lambda: train(self.X[rows], self.y[rows]), self.clock)
        self._note("loop", module, rows)
        return seconds

    def skorch(self, seed: int) -> float:
        """Train with skorch as it comes."""
        rows = self._told(seed).records.positions()
        torch.manual_seed(seed)
        net = NeuralNetClassifier(
            LeNet,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            optimizer__fused=True,
            lr=LR,
            batch_size=self.batch_size,
            max_epochs=self.n_epochs,
            train_split=None,
            iterator_train__shuffle=True,
            verbose=0,
        )
        _, seconds = timed(lambda: net.fit(self.X[rows], self.y[rows]), self.clock)
        self._note("skorch", net.module_, rows)
        return seconds

    @torch.no_grad()
    def _note(self, arm: str, module: nn.Module, rows: np.ndarray) -> None:
        logits = module.eval()(torch.from_numpy(self.X[rows]))
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(self.y[rows]))
        self.losses[arm].append(loss.item())


def train_by_hand(X: np.ndarray, y: np.ndarray, n_epochs: int, batch_size: int, seed: int) -> nn.Module:
    """Train LeNet with what one would write by hand."""
    torch.manual_seed(seed)
    X_all, y_all = torch.from_numpy(X), torch.from_numpy(y)
    module = LeNet(X.shape[1:], N_CLASSES)
    optimizer = torch.optim.Adam(module.parameters(), lr=LR, fused=True)
    criterion = nn.CrossEntropyLoss()
    module.train()
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X_all)).split(batch_size):
            optimizer.zero_grad()
            criterion(module(X_all[rows]), y_all[rows]).backward()
            optimizer.step()
    return module


def load(data: str, n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 images in [0, 1] and their classes: MNIST, or noise around ten random pictures."""
    if data == "mnist" or (data == "auto" and os.environ.get("SKALSS_DATA")):
        return load_data("mnist")[:2]
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % N_CLASSES
    pictures = rng.random((N_CLASSES, 1, 28, 28), dtype=np.float32)
    return (pictures[y] + rng.random((n_rows, 1, 28, 28), dtype=np.float32)) / 2, y


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = make_parser("campaign-rounds", __doc__, repeats=5)
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 5000])
    parser.add_argument(
        "--epochs", type=int, nargs="+", default=[60], help="one, or one for each of --labels"
    )
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--data", choices=("auto", "mnist", "random"), default="auto")
    parser.add_argument("--without-skorch", action="store_true", help="leave the third arm out")
    options = parser.parse_args(arguments)
    if len(options.epochs) not in (1, len(options.labels)):
        parser.error(f"--epochs takes 1 or {len(options.labels)} numbers, got {len(options.epochs)}")

    torch.set_num_threads(1)
    X, y = load(options.data, 2 * max(options.labels), options.seed)
    seeds = range(options.seed, options.seed + options.repeats)
    all_epochs = options.epochs * (len(options.labels) // len(options.epochs))
    rows, notes = [], []
    for n_labels, n_epochs in zip(options.labels, all_epochs, strict=True):
        warm_up = Round(X, y, min(n_labels, 100), 2, options.batch_size, options.clock)
        round_ = Round(X, y, n_labels, n_epochs, options.batch_size, options.clock)
        arms: dict[str, Callable[[int], float]] = {"loop": round_.loop, "campaign": round_.campaign}
        if not options.without_skorch:
            arms["skorch"] = round_.skorch
        for arm in arms:
            getattr(warm_up, arm)(options.seed)
        seconds = in_turn(arms, seeds)
        for arm in arms:
            ratios = seconds[arm] / seconds["loop"]
            rows.append(
                (
                    f"{n_labels:,}",
                    n_epochs,
                    arm,
                    f"{np.median(seconds[arm]):.2f}",
                    "1" if arm == "loop" else middle(ratios),
                    f"{np.median(round_.losses[arm]):.4g}",
                )
            )
        gap = np.max(np.abs(np.subtract(round_.losses["campaign"], round_.losses["loop"])))
        notes.append(
            f"{n_labels:,} labels: losses of campaign and loop differ by at most {gap:.1e}; reading the "
            f"limits of {len(X):,} rows for the scaling, once in a campaign, took "
            f"{np.median(round_.scaling_seconds):.2f} s."
        )
    print(
        f"LeNet on {len(X):,} images of 28 × 28, batch size {options.batch_size}, Adam (fused), "
        f"{options.repeats} pairs, {conditions(options.clock)}.\n"
    )
    header = ("labels", "epochs", "arm", "seconds", "ratio to the loop: median (range)", "training loss")
    print(markdown_table(header, rows), *notes, sep="\n\n")


if __name__ == "__main__":
    main()
