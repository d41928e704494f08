"""Selective training against uniform training: steps and seconds to a target, accuracy at equal seconds.

Every arm trains the same module with the same optimiser, batch size, precision, layout and schedule, for
several lengths of training, each with a whole schedule of its own; "skorch" is what one gets without
asking: float32, its default layout and loader. Learning rates are tuned for each arm by the loss on held-out
rows, with a seed of their own. A validation pass per epoch, scoring and loading are counted in the seconds;
the final test pass is not. The runs are interleaved, seed by seed, and written to a CSV file as they come,
so that the command, called again, goes on.

The target is the mean final accuracy of uniform training, full length, minus 0.1 points. Steps and seconds
to the target are read off the mean accuracy of an arm as a function of the length of training, between the
lengths that were run.

Example: ``python -m skalss.benchmarks selective --data mnist --net lenet --epochs 8 --seeds 5``
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.data import Subset

from ..nets import MLP, LeNet, ResNet8
from ..network.tasknet import TaskNet
from ..selective import EarlyDropLR, SelectiveNetClassifier
from .common import conditions, load_data, make_parser
from .selective_report import report

NETS = {"mlp": MLP, "lenet": LeNet, "resnet8": ResNet8}
BATCH_SIZE = 64
TUNING_SEED = 1000
SCHEDULES = {"linear": EarlyDropLR(), "drop": EarlyDropLR(drops=(0.5, 0.7, 0.85), factor=0.2)}


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Parameters
    ----------
    selector : str, BaseSelector or None
    lengths : tuple of float
        Lengths of training in shares of uniform training's; the learning rate is tuned at the first.
    plain : bool
        Whether it is what skorch does by itself: float32, its layout and loader.
    """

    selector: Any
    lengths: tuple[float, ...] = (3 / 8,)
    plain: bool = False


ARMS = {
    "uniform": Arm(None, (1, 4 / 8, 3 / 8, 2 / 8)),
    "mms": Arm("mms", (3 / 8, 1 / 8, 2 / 8, 5 / 8, 1)),
    "paper": Arm(SelectiveNetClassifier.paper(MLP).selector, (2 / 8, 1 / 8)),
    "prune": Arm("prune", (1,)),
    "random": Arm("random"),
    "entropy": Arm("entropy"),
    "loss": Arm("loss"),
    "hard_negatives": Arm("hard_negatives"),
    "skorch": Arm(None, (1,), plain=True),
}
VARIANTS = {
    "plain": "labels as they are",
    "noise": "a tenth of the training labels wrong",
    "imbalance": "the rarest class a tenth as frequent as the most frequent",
}
# Arms and lengths of the other variants.
VARIED = {"uniform": (1,), "mms": (3 / 8, 5 / 8, 1), "loss": (3 / 8,)}


@dataclass(frozen=True)
class Job:
    """One training; in the CSV file, what tells it from others."""

    variant: str
    arm: str
    epochs: int
    lr: float
    schedule: str
    seed: int


@dataclass
class Data:
    """Rows to train on, of which the last `n_valid` are held out, and rows to test on."""

    X: np.ndarray
    y: np.ndarray
    n_valid: int
    X_test: np.ndarray
    y_test: np.ndarray


def load(name: str, n_rows: int | None) -> Data:
    """Load a data set; a tenth of the training rows, at most 5,000, is held out."""
    X, y, X_test, y_test = load_data(name)
    order = np.random.default_rng(0).permutation(len(X))[:n_rows]
    return Data(X[order], y[order], min(5000, len(order) // 10), X_test, y_test)


def vary(data: Data, variant: str, seed: int) -> Data:
    """Make a tenth of the training labels wrong, or classes rare; the held-out rows stay as they are."""
    if variant == "plain":
        return data
    rng = np.random.default_rng(seed)
    n_rows, n_classes = len(data.y), int(data.y.max()) + 1
    trained_on = np.arange(n_rows) < n_rows - data.n_valid
    if variant == "noise":
        wrong = trained_on & (rng.random(n_rows) < 0.1)
        y = np.where(wrong, (data.y + rng.integers(1, n_classes, n_rows)) % n_classes, data.y)
        return Data(**{**vars(data), "y": y})
    frequency = 10.0 ** (-np.arange(n_classes) / (n_classes - 1))
    keep = ~trained_on | (rng.random(n_rows) < frequency[data.y])
    return Data(**{**vars(data), "X": data.X[keep], "y": data.y[keep]})


@dataclass
class HoldOutLast:
    """A `train_split` that holds the last rows out."""

    n_valid: int

    def __call__(self, dataset: Any, y: ArrayLike | None = None, **kwargs: Any) -> tuple[Subset, Subset]:
        """Split the data set as skorch asks."""
        n_train = len(dataset) - self.n_valid
        return Subset(dataset, range(n_train)), Subset(dataset, range(n_train, len(dataset)))


def settings(job: Job, data: Data) -> dict[str, Any]:
    """Return what all arms have in common."""
    return {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "optimizer__nesterov": True,
        "optimizer__weight_decay": 5e-4,
        "lr": job.lr,
        "batch_size": BATCH_SIZE,
        "max_epochs": job.epochs,
        "train_split": HoldOutLast(data.n_valid),
        "callbacks": [("schedule", SCHEDULES[job.schedule])],
        "verbose": 0,
    }


def run(job: Job, data: Data, net_name: str) -> dict[str, Any]:
    """Train once; return the row for the CSV file."""
    data, arm, module = vary(data, job.variant, job.seed), ARMS[job.arm], NETS[net_name]
    if arm.plain:
        shape = {"input_dim": int(np.prod(data.X.shape[1:])), "input_shape": data.X.shape[1:]}
        given = "input_dim" if module is MLP else "input_shape"
        torch.manual_seed(job.seed)
        net: Any = NeuralNetClassifier(
            module,
            **{f"module__{given}": shape[given], "module__output_dim": int(data.y.max()) + 1},
            **settings(job, data),
            iterator_train__shuffle=True,
        )
    else:
        net = TaskNet(
            SelectiveNetClassifier(
                module,
                **settings(job, data),
                selector=arm.selector,
                dtype="auto",
                channels_last=True,
                optimizer__fused=True,
            ),
            random_state=job.seed,
            device="cpu",
        )
    wall, cpu = time.perf_counter(), time.process_time()
    net.fit(data.X, data.y)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    history = net.history if arm.plain else net.net_.history
    return {
        **asdict(job),
        "steps": sum(history[:, "train_batch_count"]),
        "cpu_seconds": round(cpu, 2),
        "wall_seconds": round(wall, 2),
        "valid_loss": round(history[-1, "valid_loss"], 5),
        "valid_accuracy": round(100 * history[-1, "valid_acc"], 3),
        "test_accuracy": round(100 * float(np.mean(net.predict(data.X_test) == data.y_test)), 3),
    }


class Runs:
    """The rows that are done, kept in a CSV file, so that nothing is run twice."""

    def __init__(self, path: Path | None):
        self.path = path
        self.rows = pd.read_csv(path).to_dict("records") if path is not None and path.exists() else []

    def get(self, job: Job, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the row of a job, made now if it is not there."""
        for row in self.rows:
            if all(row[name] == value for name, value in asdict(job).items()):
                return row
        row = make()
        self.rows.append(row)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            pd.DataFrame([row]).to_csv(self.path, mode="a", header=not self.path.exists(), index=False)
        return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and print the tables."""
    parser = make_parser("selective", __doc__, repeats=5)
    parser.add_argument("--data", default="mnist", help="mnist, cifar10, digits or a file.npz")
    parser.add_argument("--net", choices=tuple(NETS), default="lenet")
    parser.add_argument("--epochs", type=int, default=8, help="length of uniform training")
    parser.add_argument("--rows", type=int, default=None, help="take only so many rows")
    parser.add_argument("--lr", type=float, nargs="+", default=[0.02, 0.05, 0.1], help="grid for every arm")
    parser.add_argument("--schedules", nargs="+", choices=tuple(SCHEDULES), default=["linear"])
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=list(ARMS))
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--csv", type=Path, default=None, help="where runs are kept, and read from")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    data, runs = load(options.data, options.rows), Runs(options.csv)

    def get(job: Job) -> dict[str, Any]:
        return runs.get(job, lambda: run(job, data, options.net))

    def epochs(share: float) -> int:
        return max(1, round(share * options.epochs))

    best: dict[str, tuple[float, str]] = {}
    for arm in options.arms:
        length = epochs(ARMS[arm].lengths[0])
        if ARMS[arm].plain and "uniform" in best:  # the same module, optimiser and schedule
            best[arm] = best["uniform"]
            continue
        tried = {
            (lr, schedule): get(Job("plain", arm, length, lr, schedule, TUNING_SEED))["valid_loss"]
            for schedule in options.schedules
            for lr in options.lr
        }
        best[arm] = min(tried, key=lambda setting: tried[setting])

    jobs = [
        Job(variant, arm, length, *best[arm], seed)
        for seed in range(options.seed, options.seed + options.repeats)
        for variant in options.variants
        for arm in options.arms
        if variant == "plain" or arm in VARIED
        for length in dict.fromkeys(map(epochs, ARMS[arm].lengths if variant == "plain" else VARIED[arm]))
    ]
    rows = pd.DataFrame([get(job) for job in jobs])
    print(f"{options.net} on {options.data}, {options.epochs} epochs, {conditions('cpu')}.")
    for variant in options.variants:
        print(f"\n### {variant}: {VARIANTS[variant]}\n")
        print(report(rows[rows.variant == variant], options.epochs))


if __name__ == "__main__":
    main()
