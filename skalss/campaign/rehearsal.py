"""The whole round, tried on a few rows before the first question: what fails here has cost nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..network import TaskModel
from ..strategies import BaseStrategy
from .budget import Budget
from .judge import Judge
from .models import Models
from .pool import Pool


def rehearse(
    pool: Pool,
    models: Models,
    judge: Judge,
    budget: Budget,
    *,
    choosers: Sequence[BaseStrategy],
    n_rows: int,
    keeps_labels: bool,
) -> TaskModel:
    """Train, score, price and write down, on rows of the pool with made-up labels.

    Parameters
    ----------
    pool : Pool
    models : Models
    judge : Judge
    budget : Budget
    choosers : sequence of BaseStrategy
        Of the first rows and of later ones.
    n_rows : int
        How many the first training will have.
    keeps_labels : bool
        Whether answers go to a ledger.

    Returns
    -------
    trial : TaskModel
        Trained for a moment; what it can do is known.

    Raises
    ------
    ValueError, TypeError
        With what went wrong, and what to do.
    """
    X, y = np.asarray(pool.X[:n_rows]), made_up_labels(pool, n_rows)
    trial = models.rehearse(X, y)
    models.rehearse_latent(
        used=any(strategy.uses_codes(trial.abilities) for strategy in choosers),
        decoding=next((strategy for strategy in choosers if strategy.decodes), None),
        network=trial,
    )
    judge.rehearse(trial, X, y)
    budget.rehearse()
    if keeps_labels:
        for label in np.unique(y) if y.ndim == 1 else map(pool.target.check, y[:2]):
            pool.target.to_text(label)
    return trial


def made_up_labels(pool: Pool, n: int) -> np.ndarray:
    """Return labels like those that will come, each of them about as often.

    Where no classes are named, those that are known count: of given labels and of held-out rows.
    """
    held_out = [] if pool.y_val is None else pool.y_val.tolist() if pool.y_val.ndim == 1 else [*pool.y_val]
    return pool.target.made_up(n, [*pool.given_labels, *held_out])
