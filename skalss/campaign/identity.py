"""Which settings make a campaign what it is, and the name that files know it by."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

from sklearn.base import BaseEstimator, clone

from ..network import TaskNet
from ..utils.settings import blind_spots, describe, differing_parameters, list_settings

# They decide neither which rows are asked nor what is learned of them.
OUTSIDE = ("oracle", "ledger", "random_state", "device", "verbose", "n_jobs")
# They decide only when a campaign ends, so that it may go on with others.
STOPPING = ("max_labels", "stop")

# Parameters of parts that came later than the first files and ledgers, and their value without effect.
LATER: dict[str, object] = {
    "augment": None,
    "class_weight": None,
    "closeness": 0.3,
    "init_from_latent": False,
    "max_hubness": 1.0,
    "max_steps": None,
    "min_right": 0.33,
    "rare_share": 0.0,
    "space": "auto",
    "target": "auto",
    "temperature": 4.0,
    "vectorizer": "auto",
}
_STOPPING_BEFORE = ("max_labels", "max_cost", "n_rounds", "target_score", "stop_at_agreement", "max_failures")


def identity(sampler: BaseEstimator, *, whole: bool = False, exact: bool = True) -> str:
    """Return a text that is equal for campaigns that ask the same rows, given the same seed and answers.

    Parameters
    ----------
    sampler : AdaptiveLatentSampler
    whole : bool, default=False
        Whether the oracle and the rules that end a campaign count, too.
    exact : bool, default=True
        False: as ledgers know it that were begun before all of a function or a module counted.
    """
    ignored = [name for name in OUTSIDE if name != "oracle"] if whole else [*OUTSIDE, *STOPPING]
    kept = differing_parameters(sampler, ignored)
    return ", ".join(f"{name}={describe(value, OUTSIDE, whole=exact)}" for name, value in kept.items())


def digest(text: str, size: int = 16) -> str:
    """Return the hash of a text as a name of 2 × `size` hex digits."""
    return hashlib.blake2b(text.encode(errors="backslashreplace"), digest_size=size).hexdigest()


def name_in_ledger(sampler: BaseEstimator, codes: str = "") -> str:
    """Return the name of a campaign in a ledger; `codes` names those that were given with the pool."""
    return digest(f"{identity(sampler)} {codes}" if codes else identity(sampler))


def earlier_name_in_ledger(sampler: BaseEstimator) -> str:
    """Return the name of a campaign before all of a function or a module counted; mostly the same."""
    return digest(identity(sampler, exact=False))


def names_more_than_before(sampler: BaseEstimator) -> bool:
    """Whether settings that earlier versions could not tell apart are part of a campaign's name."""
    kept = differing_parameters(sampler, [*OUTSIDE, *STOPPING])
    return any(describe(value, OUTSIDE) != describe(value, OUTSIDE, weights=False) for value in kept.values())


def warn_of_faults(sampler: BaseEstimator, path: Any) -> None:
    """Warn where a ledger cannot know a campaign again, or tell it from another one."""
    kept = differing_parameters(sampler, [*OUTSIDE, *STOPPING])
    unseen = sorted({kind for value in kept.values() for kind in blind_spots(value, OUTSIDE)})
    if unseen:
        warnings.warn(
            f"The settings hold objects of {', '.join(unseen)}, which nothing tells from others of their "
            f"type: campaigns that differ only in them count as one in the ledger {path}. Give each such "
            "campaign a ledger of its own, or let the objects be pickled.",
            UserWarning,
            stacklevel=2,
        )
    if name_in_ledger(clone(sampler)) != name_in_ledger(sampler):
        warnings.warn(
            "The settings hold an object that is not the same after it was copied, so that a restart will "
            f"not find this campaign in the ledger {path}. Let what it is made of be its parameters.",
            UserWarning,
            stacklevel=2,
        )


def old_name_in_ledger(sampler: BaseEstimator) -> str:
    """Return the name that version 0.1.0.dev0 gave the same campaign."""
    ignored = (*_STOPPING_BEFORE, "oracle", "ledger", "random_state", "device", "verbose")
    return digest(list_settings(parameters_before(sampler), ignored))


def parameters_before(sampler: BaseEstimator) -> dict[str, Any]:
    """Return all parameters as version 0.1.0.dev0 named them, those of `stop` apart."""
    sampler, estimator, warm = clone(sampler).set_params(stop=()), sampler.estimator, False
    new = ["stop"]
    if isinstance(estimator, TaskNet):
        warm = estimator.warm_start
        sampler.set_params(estimator__warm_start=False)
        new.append("estimator__warm_start")
    params = {name: value for name, value in sampler.get_params().items() if name not in new}
    for name in [name for name in params if name.rpartition("__")[2] in LATER]:
        if params[name] == LATER[name.rpartition("__")[2]]:
            del params[name]
    return {**params, "continue_training": warm}
