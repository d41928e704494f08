"""What each part of SNN is worth on the digits, from the published procedure to our default."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator

from ..datasets import load_digits_pool
from ..latent import VAE
from ..sampler import AdaptiveLatentSampler
from ..strategies import NearestNeighborStrategy
from .common import markdown_table

ONE_STEP = {"step": 1.0, "n_steps": 1, "stop_at_flip": False, "start_once": False, "min_distance": None}


def arms(settings: dict[str, Any]) -> dict[str, Callable[[int], AdaptiveLatentSampler]]:
    """Return each arm as a function of the seed; the last three train on the rows themselves, afresh."""

    def snn(**changes):
        strategy = NearestNeighborStrategy(**{**ONE_STEP, **changes})
        return lambda seed: AdaptiveLatentSampler(strategy=strategy, random_state=seed, **settings)

    def paper(**changes):
        return lambda seed: AdaptiveLatentSampler.paper("snn", random_state=seed, **settings, **changes)

    return {
        "random": lambda seed: AdaptiveLatentSampler(strategy="random", random_state=seed, **settings),
        "paper": paper(),
        "paper, original rows": paper(train_on="original"),
        "... retrained afresh": snn(),
        "... near-copies refused": snn(min_distance="median"),
        "... starts once": snn(min_distance="median", start_once=True),
        "... climb to the flip (default)": lambda seed: AdaptiveLatentSampler(
            strategy="snn", random_state=seed, **settings
        ),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every arm with paired seeds and print accuracy by number of labels."""
    parser = argparse.ArgumentParser(prog="snn-parts", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--max-labels", type=int, default=300)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    pool: Any = load_digits_pool()
    vae = VAE(16, max_epochs=200, batch_size=64, random_state=0).fit(pool.X)
    settings = {"latent_model": FrozenEstimator(vae), "max_labels": options.max_labels}
    curves = {}
    for arm, make in arms(settings).items():
        for seed in range(options.seeds):
            fitted = make(seed).fit(pool.X, pool.y, X_val=pool.X_test, y_val=pool.y_test)
            history = fitted.history_.dropna(subset="val_score")
            curves[arm, seed] = 100 * history.set_index("n_labels")["val_score"]
    table = pd.DataFrame(curves).T.rename_axis(["arm", "seed"]).groupby("arm", sort=False).mean()
    table["mean"] = table.mean(axis=1)
    print(f"Accuracy on the digits in %, mean over {options.seeds} paired seeds, by labels bought.\n")
    rows = [
        [arm, *(f"{value:.1f}" for value in row)]
        for arm, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    print(markdown_table(["arm", *map(str, table.columns)], rows))


if __name__ == "__main__":
    main()
