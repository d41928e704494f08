"""What codes know of classes that no latent model saw: a linear probe on few labels, and how codes lie.

Each latent model is fitted to the pool without labels, once. A logistic regression on standardised codes of
random rows, with their labels, is scored on test rows, over paired seeds. `structure` is that of
`LabelSpreader` with the first number of labels, `hubness` that of `find_geometry`.

Example: ``python -m skalss.benchmarks codes --data letter.npz --models vae pca contrastive scaled``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..compare import mean_interval
from ..latent import LabelSpreader, find_geometry
from .common import conditions, markdown_table
from .label_efficiency import LATENT, learned_model, load

N_SPREAD = 4000  # rows that labels are spread to


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit each model, probe its codes, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks codes", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", default="digits", help="as of label-efficiency")
    parser.add_argument("--pool", type=int, default=None, help="take only so many rows")
    parser.add_argument("--models", nargs="+", choices=tuple(LATENT), default=["vae", "pca"])
    parser.add_argument("--labels", nargs="+", type=int, default=[100, 500], help="of the probes")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--learned", type=Path, default=None, help="file that keeps the contrastive model")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    X, y, X_test, y_test = load(options.data, options.pool)
    rows = []
    for name in options.models:
        start = time.perf_counter()
        if name == "contrastive" and options.learned is not None:
            model = learned_model(X, options.learned)
        else:
            model = LATENT[name]().fit(X)
        seconds = time.perf_counter() - start
        codes, codes_test = (np.asarray(model.transform(rows), dtype=np.float32) for rows in (X, X_test))
        orders = [np.random.default_rng(seed).permutation(len(X)) for seed in range(options.seeds)]
        cells = []
        for n in options.labels:
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
            scores = [
                100 * probe.fit(codes[order[:n]], y[order[:n]]).score(codes_test, y_test) for order in orders
            ]
            cells.append("{:.1f} ({:.1f}, {:.1f})".format(*mean_interval(scores)))
        geometry, some = find_geometry(codes), orders[0]
        compared, n = geometry(codes), options.labels[0]
        labeled, others = some[:n], some[n : n + N_SPREAD]
        found = LabelSpreader().spread(compared[labeled], y[labeled], compared[others])
        how = [f"{found.structure:.2f}", f"{geometry.hubness:.2f}", f"{seconds:.0f}"]
        rows.append([name, codes.shape[1], *cells, *how])
    print(f"{options.data}, pool of {len(X)}, {conditions('wall')}. Accuracy of a linear probe in %.\n")
    header = ["codes of", "components", *(f"{n} labels" for n in options.labels)]
    print(markdown_table([*header, "structure", "hubness", "seconds to fit"], rows))


if __name__ == "__main__":
    main()
