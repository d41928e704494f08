"""What `SelectiveNetClassifier(selector=None)` costs over plain skorch, which it equals bit by bit.

A small network on the digits, so that what is not arithmetic shows most. Both train in turn from the same
seed, and end with the same weights.

Example: ``python -m skalss.benchmarks selective-overhead --repeats 15``
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn

from ..datasets import load_digits_pool
from ..nets import MLP
from ..selective import SelectiveNetClassifier
from .common import conditions, in_turn, make_parser, markdown_table, middle, timed

MAKERS: dict[str, Any] = {
    "skorch": NeuralNetClassifier,
    "selector=None": lambda module, **settings: SelectiveNetClassifier(module, selector=None, **settings),
}


def train(name: str, seed: int, n_epochs: int, clock: str) -> tuple[Any, float]:
    """Train; return the net and the seconds of its fit."""
    data: Any = load_digits_pool()
    torch.manual_seed(seed)
    net = MAKERS[name](
        MLP,
        module__input_dim=64,
        module__output_dim=10,
        criterion=nn.CrossEntropyLoss,
        iterator_train__shuffle=True,
        batch_size=32,
        max_epochs=n_epochs,
        verbose=0,
    )
    return timed(lambda: net.fit(data.X, data.y), clock)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = make_parser("selective-overhead", __doc__, repeats=15)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    clock = options.clock

    nets = {name: train(name, options.seed, 1, clock)[0] for name in MAKERS}  # warms up
    weights = [torch.cat([p.flatten() for p in net.module_.parameters()]) for net in nets.values()]
    if not torch.equal(*weights):
        raise AssertionError("The two nets differ; selector=None must equal plain skorch bit by bit.")
    arms = {name: lambda seed, name=name: train(name, seed, options.epochs, clock)[1] for name in MAKERS}
    seconds = in_turn(arms, range(options.seed, options.seed + options.repeats))
    ratio = seconds["selector=None"] / seconds["skorch"]
    print(f"MLP 64-100-10 on the digits, {options.epochs} epochs, {conditions(clock)}.\n")
    rows = [[name, middle(values)] for name, values in seconds.items()]
    low, high = np.quantile(ratio, [0.25, 0.75])
    rows.append(["ratio, quartiles", f"{np.median(ratio):.3f} ({low:.3f} to {high:.3f})"])
    print(markdown_table(["seconds of fit", "median (range)"], rows))


if __name__ == "__main__":
    main()
