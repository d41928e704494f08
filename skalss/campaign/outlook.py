"""The outlook of a round: whether choosing rows is likely to gain, by figures that a campaign has anyhow."""

from __future__ import annotations

import logging
import math

import numpy as np

from ..latent import MANY_HUBS
from ..strategies import BaseStrategy, Snapshot
from .judge import LEAST_UNSEEN, Judge, Unseen
from .models import Models

LIKELY, UNCLEAR = "likely", "unclear"
LEAST_STRUCTURE = 0.05  # as in `AdaptiveStrategy`: below, no class stands out anywhere
TOO_MANY_HUBS = 3.0  # hubness: the default gained at 1.4 and 1.7, and not surely at 4.7
LARGEST_SHARE = 0.5  # of the pool that the budget pays for
UNEVEN = 1.4  # RMSE over MAE: 1.25 for normal errors, 1.41 for errors with exponential tails

logger = logging.getLogger(__name__)


def outlook_of(
    snapshot: Snapshot, strategy: BaseStrategy, *, models: Models, judge: Judge, share: float
) -> str:
    """Say whether the rows that a strategy chose are likely to gain, and why.

    Nothing is trained or encoded for it.

    Parameters
    ----------
    snapshot : Snapshot
    strategy : BaseStrategy
    models : Models
    judge : Judge
    share : float
        Of the pool that the whole budget pays for.

    Returns
    -------
    outlook : str
        ``"likely: ..."`` or ``"unclear: ..."``, with the reason. Empty where nothing is known, or the
        strategy draws at random.
    """
    network = models.trained
    if network is None or not models.is_current():
        return ""
    uses_codes = models.encoded is not None and strategy.uses_codes(network.abilities)
    if not (uses_codes or strategy.needs):  # it draws at random
        return ""
    if share >= LARGEST_SHARE:
        return f"{UNCLEAR}: the budget pays for {share:.0%} of the pool, whoever chooses"
    target = models.pool.target
    if target.numeric:
        return _by_errors(judge.last_error_ratio())
    found, unseen = "", judge.unseen(network) if target.accuracy_of_rows else None
    if unseen is not None and len(unseen.y) >= LEAST_UNSEEN:
        found = _by_accuracy(unseen)
    return found if found or not uses_codes else _by_codes(snapshot)


def say_if_new(outlook: str, before: str) -> None:
    """Log an outlook that is another than the last one."""
    if outlook and outlook.partition(":")[0] != before.partition(":")[0]:
        logger.info("A gain over random rows is %s", outlook)


def _by_accuracy(unseen: Unseen) -> str:
    """Look whether the network learned anything that labels can tell."""
    n = len(unseen.y)
    commonest = np.unique(unseen.y, return_counts=True)[1].max() / n
    right = float(np.mean(unseen.y == unseen.predicted))
    if right > commonest + math.sqrt(commonest * (1 - commonest) / n):
        return ""
    return (
        f"{UNCLEAR}: on {n} held-out rows the network is right in {right:.0%}, and the commonest class has "
        f"{commonest:.0%}. Train it better first, or buy a larger first set"
    )


def _by_errors(ratio: float) -> str:
    """Look whether a few errors are far larger than the rest: then there are rows to be found."""
    if math.isnan(ratio):
        return ""
    if ratio >= UNEVEN:
        return f"{LIKELY}: a few errors are far larger than the rest (RMSE/MAE {ratio:.2f})"
    return f"{UNCLEAR}: errors are alike everywhere (RMSE/MAE {ratio:.2f}; normal errors have 1.25)"


def _by_codes(snapshot: Snapshot) -> str:
    """Look whether near codes are alike."""
    hubness = snapshot.latent.hubness()
    if hubness > TOO_MANY_HUBS:
        return (
            f"{UNCLEAR}: some codes are neighbours of nearly all (hubness {hubness:.2f}), so near rows need "
            "not be alike. Another encoder or fewer components may help"
        )
    if hubness > MANY_HUBS:  # the graph that structure is measured on says little
        return f"{LIKELY}: few codes are neighbours of nearly all (hubness {hubness:.2f})"
    if not snapshot.target.can_spread:  # nothing is known of labels that are no classes of rows
        return ""
    structure = snapshot.structure()
    if structure < LEAST_STRUCTURE:
        return (
            f"{UNCLEAR}: the codes do not keep the classes apart (structure {structure:.2f}). Codes of a "
            "pretrained encoder or of ContrastiveLatent may"
        )
    return f"{LIKELY}: near codes are of one class (structure {structure:.2f})"
