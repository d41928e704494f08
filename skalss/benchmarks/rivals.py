"""The default against published strategies on many sets: one table, with intervals.

Each cell is the area under the learning curve less that of random rows of the same seed, in points of the
score, with a 95 % interval over paired seeds. The last column is what a campaign of the default says of its
chance to gain, before it asks for its second set of rows. Runs are kept in a CSV file for each set in the
folder; the command, called again, goes on where it stopped.

MNIST is read as `label-efficiency` reads it; `tables` and `encoded` write the files of most other sets.
Vowel, Vehicle and Shuttle are those of the R package mlbench, with three quarters of each class in the pool.
Sets whose file is missing are left out.

Example: ``python -m skalss.benchmarks rivals satellite letter --folder docs/results``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..campaign import Campaign
from ..compare import summarize_comparison
from . import label_efficiency
from .common import markdown_table

ARMS = {
    "auto": "auto",
    "auto, no pseudo-labels": "kmeans/auto/plain",
    "k-means / margin": "kmeans/margin/plain",
    "k-means / BADGE": "kmeans/badge/plain",
    "TypiClust": "typical/typical/plain",
    "UHerding": "maxherding/uherding/plain",
    "REFINE, one step": "kmeans/refine/plain",
    "MaxHerding": "sk-maxherding/sk-maxherding/plain",
    "k-means / DropQuery": "kmeans/sk-dropquery/plain",
}


class DataSet(NamedTuple):
    """What a campaign runs on."""

    codes: str  # what rows are compared by, for the table
    options: str  # of label-efficiency


_FEW = "--net mlp --n-per-round 50"
SETS = {
    "mnist": DataSet("VAE", "--data mnist --pool 20000 --net lenet"),
    "digits": DataSet("VAE", "--data digits --net mlp --n-initial 20 --n-per-round 40"),
    "letter": DataSet("VAE", "--data letter.npz --net mlp --n-initial 100 --n-per-round 200 --rounds 5"),
    "letter-many": DataSet(
        "VAE", "--data letter.npz --net mlp --n-initial 1000 --n-per-round 1000 --rounds 3"
    ),
    "satellite": DataSet("VAE", f"--data satellite.npz {_FEW}"),
    "dna": DataSet("VAE", f"--data dna.npz {_FEW}"),
    "shuttle": DataSet("VAE", f"--data shuttle.npz --pool 10000 --scoring f1_macro {_FEW}"),
    "vowel": DataSet("VAE", "--data vowel.npz --net mlp --n-initial 30 --n-per-round 30"),
    "vehicle": DataSet("VAE", "--data vehicle.npz --net mlp --n-initial 20 --n-per-round 30"),
    "letter-rows": DataSet(
        "rows", "--data letter.npz --latent scaled --net mlp --n-initial 100 --n-per-round 200 --rounds 5"
    ),
    "satellite-rows": DataSet("rows", f"--data satellite.npz --latent scaled {_FEW}"),
    "images": DataSet("EfficientNet-Lite0", "--data images.npz --latent rows --net mlp"),
    "images-many": DataSet(
        "EfficientNet-Lite0",
        "--data images.npz --latent rows --net mlp --n-initial 1000 --n-per-round 1000 --rounds 3",
    ),
    "texts": DataSet(
        "MiniLM",
        "--data texts.npz --latent rows --net mlp --scoring f1_macro --n-initial 30 --n-per-round 45",
    ),
    "words": DataSet(
        "TF-IDF, 100", "--data words.npz --latent rows --net mlp --scoring f1_macro --n-per-round 100"
    ),
}


def cell(line: pd.Series) -> str:
    """Write a gain with its interval."""
    return f"{line['gain']:+.2f} ({line['gain_low']:+.2f}, {line['gain_high']:+.2f})"


def outlook_of(options: argparse.Namespace) -> str:
    """Return what the default says of its chance before its second set of rows, in one campaign."""
    X, y, *_ = label_efficiency.load(options.data, options.pool)
    sampler = label_efficiency.make_sampler(options, X, y).set_params(random_state=0)
    campaign = Campaign(sampler, X, y)
    for _ in campaign.rounds():
        if campaign.round == 2:
            break
    return str(campaign.history["outlook"].iloc[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, set after set, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks rivals", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(SETS)}; else all")
    parser.add_argument("--folder", type=Path, default=Path("docs/results"), help="of the CSV files")
    parser.add_argument("--seeds", type=int, default=5, help="paired campaigns of each arm")
    parser.add_argument("--max-epochs", type=int, default=60)
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.sets) - set(SETS))
    if unknown:
        parser.error(f"there is no set {', '.join(unknown)}; there are {', '.join(SETS)}")
    rows = []
    for name in options.sets or SETS:
        csv = options.folder / f"rivals_{name}.csv"
        given = [*SETS[name].options.split(), "--seeds", str(options.seeds), "--csv", str(csv)]
        given += ["--max-epochs", str(options.max_epochs)]
        parsed = label_efficiency.parse([*given, "--strategies", *ARMS.values()])
        try:
            results, outlook = label_efficiency.run(parsed), outlook_of(parsed)
        except SystemExit as missing:
            print(f"{name} is left out: {missing}\n")
            continue
        summary = summarize_comparison(results)
        first, last = results["n_labels"].min(), results["n_labels"].max()
        curve = results[results["arm"] == "random"].groupby("n_labels")["score"].mean()
        begin, end = 100 * curve.iloc[0], 100 * curve.iloc[-1]
        rows.append(
            [
                f"{name} ({SETS[name].codes}), {first} to {last}",
                f"{begin:.1f} to {end:.1f}",
                *(cell(summary.loc[arm]) for arm in ARMS.values()),
                outlook,
            ]
        )
        print(markdown_table(["set", "random rows", *ARMS, "outlook"], rows[-1:]), flush=True)
    print("\n" + markdown_table(["set", "random rows", *ARMS, "outlook"], rows))


if __name__ == "__main__":
    main()
