"""What augmentation adds to a training step of ResNet8 on images of 32 × 32 pixels.

The same network is trained on the same random images without and with augmentations, in turn. The ratio is
that of the seconds of `fit`, pair by pair.

Example: ``python -m skalss.benchmarks augment --repeats 15 --clock cpu``
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..augment import ImageAugment
from ..nets import ResNet8, net_classifier
from ..network import TaskNet
from .common import conditions, in_turn, make_parser, markdown_table, middle, timed

PLAIN = "none"
ARMS: dict[str, Callable[[Tensor], Tensor] | None] = {
    PLAIN: None,
    "flip, shift": ImageAugment(),
    "flip, shift, cutout": ImageAugment(cutout=8),
}


def train(
    X: np.ndarray,
    y: np.ndarray,
    batch_size: int,
    clock: str,
    augment: Callable[[Tensor], Tensor] | None,
    seed: int,
) -> float:
    """Return the seconds of a training of one epoch."""
    net = net_classifier(ResNet8, batch_size=batch_size, max_epochs=1)
    model = TaskNet(net, augment=augment, device="cpu", random_state=seed)
    return timed(lambda: model.fit(X, y), clock)[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = make_parser("augment", __doc__, repeats=15)
    parser.add_argument("--rows", type=int, default=1280, help="of an epoch")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[64, 128])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    X = rng.random((options.rows, 3, 32, 32), dtype=np.float32)
    y = np.arange(options.rows) % 10

    rows = []
    for batch_size in options.batch_sizes:
        arms = {name: partial(train, X, y, batch_size, options.clock, made) for name, made in ARMS.items()}
        arms[PLAIN](options.seed)  # warms up
        seconds = in_turn(arms, range(options.seed, options.seed + options.repeats))
        for name, taken in seconds.items():
            ratio = taken / seconds[PLAIN]
            low, high = np.quantile(ratio, [0.25, 0.75])
            rows.append(
                (
                    f"{name}, batch {batch_size}",
                    middle(taken),
                    f"{np.median(ratio):.3f} ({low:.3f} to {high:.3f})",
                )
            )
    print(f"ResNet8, {options.rows} images of 3 × 32 × 32, one epoch, {conditions(options.clock)}.\n")
    print(
        markdown_table(("augmentation", "seconds of fit, median (range)", "ratio, median (quartiles)"), rows)
    )


if __name__ == "__main__":
    main()
