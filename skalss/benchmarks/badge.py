"""BADGE's choice of rows against scikit-activeml's.

Both get the same features and class probabilities, so that only the choice is measured: ours is the
function ``skalss.strategies.badge.badge``, scikit-activeml's is ``Badge.query`` with a classifier that gives
what was computed before. Features are positive, as after a ReLU.

Needs scikit-activeml; with the default sizes it needs about 2 GiB of memory.

Example: ``python -m skalss.benchmarks badge --clock cpu``
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ..strategies.badge import badge
from .common import conditions, in_turn, make_parser, markdown_table, middle, timed


def make_rows(n: int, n_features: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw features of shape (n, n_features) and probabilities of shape (n, n_classes)."""
    rng = np.random.default_rng(seed)
    features = np.maximum(rng.standard_normal((n, n_features), dtype=np.float32), 0)
    logits = torch.from_numpy(3 * rng.standard_normal((n, n_classes), dtype=np.float32))
    return features, logits.softmax(dim=1).numpy()


def their_query(features: np.ndarray, probabilities: np.ndarray, n: int, seed: int) -> Callable[[], Any]:
    """Return scikit-activeml's choice of `n` rows as a function without arguments."""
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.pool import Badge

    class Computed(SkactivemlClassifier):
        """Returns the probabilities that were computed before."""

        def fit(self, X, y, sample_weight=None):
            return self

        def predict_proba(self, X):
            return probabilities

    y = np.full(len(features), np.nan)
    classifier = Computed(classes=np.arange(probabilities.shape[1]))
    strategy = Badge(random_state=seed)
    return lambda: strategy.query(features, y, clf=classifier, fit_clf=False, batch_size=n)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = make_parser("badge", __doc__, repeats=3)
    parser.add_argument("--rows", type=int, default=50_000, help="to choose from")
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--queries", type=int, default=100, help="rows to choose")
    options = parser.parse_args(arguments)
    if options.rows < options.queries:
        parser.error("--rows must be at least --queries")
    torch.set_num_threads(1)
    try:
        import skactiveml
    except ImportError:
        sys.exit("This benchmark compares with scikit-activeml. Run: pip install scikit-activeml")

    features, probabilities = make_rows(options.rows, options.features, options.classes, options.seed)

    def ours(seed: int) -> float:
        rng = np.random.RandomState(seed)
        (chosen, _), seconds = timed(
            lambda: badge(features, probabilities, options.queries, rng), options.clock
        )
        assert len(np.unique(chosen)) == options.queries
        return seconds

    def theirs(seed: int) -> float:
        return timed(their_query(features, probabilities, options.queries, seed), options.clock)[1]

    ours(options.seed)  # loads the libraries' parts
    names = ("skalss", f"scikit-activeml {skactiveml.__version__}")
    with threadpool_limits(1):  # theirs computes in NumPy, which does not heed torch's setting
        seconds = in_turn(
            dict(zip(names, (ours, theirs), strict=True)),
            range(options.seed, options.seed + options.repeats),
        )
    ratio = seconds[names[1]] / seconds[names[0]]
    rows = [
        (names[0], middle(seconds[names[0]]), ""),
        (names[1], middle(seconds[names[1]]), middle(ratio, ".0f")),
    ]
    print(
        f"BADGE chooses {options.queries} of {options.rows:,} rows, {options.features} features, "
        f"{options.classes} classes; {options.repeats} rounds of the arms in turn, "
        f"{conditions(options.clock)}. Median (range).\n"
    )
    print(markdown_table(("arm", "seconds", "times ours"), rows))


if __name__ == "__main__":
    main()
