"""Run a benchmark by name: ``python -m skalss.benchmarks <name> [options]``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

BENCHMARKS = {
    "acquisition": "choosing rows of a large pool on disk against scoring the whole pool",
    "augment": "augmentation of images in a training step of ResNet8 against none",
    "badge": "BADGE's choice of rows against scikit-activeml's",
    "behaviour": "what fixed seeds do, to hold a change against the state before it",
    "campaign-rounds": "training of a round against a torch loop written by hand",
    "codes": "what codes of latent models know of classes: a linear probe on few labels",
    "csv-edits": "CSV files of ledgers as people and spreadsheet programs edit them: answers lost",
    "encoded": "pools of codes from pretrained encoders, as files that label-efficiency reads",
    "first-round": "seconds before the first question: a pool of a million rows against a tenth of it",
    "fuzz": "calls with wrong values: how many end unclear, hang or crash",
    "label-efficiency": "strategies against random rows: accuracy by number of labels",
    "labels": "several labels a row: macro F1 by number of labels, strategies over random rows",
    "ledger": "durable answers a second, and what a ledger costs a campaign",
    "ledger-kills": "campaigns that are killed and go on: nothing lost, nothing bought twice",
    "maps": "masks as labels: mean IoU of a U-Net by number of labels",
    "neighbor-index": "an index of codes: seconds to build and to search, neighbours missed",
    "oracle-jobs": "a simulator asked by two worker processes against one",
    "rare-classes": "imbalanced pools: macro-F1 by number of labels, with and without a share of rare rows",
    "restart": "a restart with a ledger against one that computes nothing again",
    "rivals": "the default against published strategies on many sets, with intervals",
    "selective": "selective training: steps and seconds to a target accuracy",
    "selective-overhead": "SelectiveNetClassifier without a selector against plain skorch",
    "simulation": "a simulator as the labeller: error of a surrogate by number of simulations",
    "snn-acquisition": "one SNN query over a large pool against scoring the pool",
    "snn-parts": "what each part of SNN is worth on the digits, in accuracy",
    "tables": "the tables that label-efficiency reads: what they are, and their files",
    "threads": "fits in threads against the same fits alone: equal bit by bit",
    "values": "regression tables: error by number of labels, the default over random rows and bmdal_reg",
    "vae-fit": "fit of a VAE against a torch loop written by hand",
    "vessel-stress": "the simulated stress of vessels: accuracy, milliseconds, and how well it is learned",
}

USAGE = "\n".join(
    [
        "usage: python -m skalss.benchmarks <name> [options]",
        "",
        *(f"  {name:18} {what}" for name, what in BENCHMARKS.items()),
        "",
        "--help after a name lists its options.",
    ]
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark that the first argument names, with the other arguments."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("-h", "--help"):
        print(USAGE)
        return
    if name not in BENCHMARKS:
        sys.exit(f"There is no benchmark {name!r}.\n\n{USAGE}")
    # Imported here: each brings in what it measures.
    import_module(f".{name.replace('-', '_')}", __package__).main(rest)


if __name__ == "__main__":
    main()
