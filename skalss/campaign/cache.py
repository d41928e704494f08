"""What a campaign computed, in a folder beside its ledger, so that a restart does not compute it again.

Nothing in the folder is needed. A file that is missing, damaged, or of other rows or settings is passed over,
and what it held is computed again; the folder can be deleted at any time.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator

from ..latent import BaseLatentModel
from ..ledger import Ledger
from ..utils import store
from ..utils.settings import describe
from .identity import digest
from .pool import Pool

KIND = "skalss cache"
_ANYWHERE = ("device", "verbose", "n_jobs")  # they do not decide what a latent model learns


class NoCache:
    """Keeps nothing. What `Cache` does, without a folder."""

    def read(self, name: str, key: str) -> dict[str, Any] | None:
        """Return nothing."""
        return None

    def write(self, name: str, key: str, content: dict[str, Any]) -> bool:
        """Do nothing."""
        return False


class Cache:
    """Files by name, each with the key of what it was computed from. None of them is a pickle.

    Parameters
    ----------
    folder : Path
        Made when the first file is written.
    """

    def __init__(self, folder: Path):
        self.folder, self._is_ready = folder, False

    def read(self, name: str, key: str) -> dict[str, Any] | None:
        """Return what was written under this name and key; None if that is not there whole."""
        try:
            found = store.read(self.folder / name, kind=KIND)
        except (OSError, ValueError, MemoryError):
            return None
        content = found.get("content")
        return content if found.get("key") == key and isinstance(content, dict) else None

    def write(self, name: str, key: str, content: dict[str, Any]) -> bool:
        """Write a file in one step; return whether that was possible. A campaign goes on without it."""
        try:
            self._make_ready()
            store.write(self.folder / name, {"key": key, "content": content}, kind=KIND)
        except TypeError:  # it holds what only a pickle could
            return False
        except OSError as error:
            warnings.warn(
                f"What the campaign computed cannot be kept in {self.folder}: {error}. It goes on; a restart "
                "will compute it again.",
                UserWarning,
                stacklevel=2,
            )
            return False
        return True

    def _make_ready(self) -> None:
        """Make the folder, and delete what a killed process left half written."""
        if not self._is_ready:
            self.folder.mkdir(exist_ok=True)
            for draft in self.folder.glob("*.tmp"):
                draft.unlink(missing_ok=True)
            self._is_ready = True


def make_cache(ledger: Ledger | None) -> Cache | NoCache:
    """Return the cache beside a ledger; none where there is no ledger, or it does not want one."""
    if ledger is None or not ledger.cache:
        return NoCache()
    return Cache(ledger.path.with_name(f"{ledger.path.name}-cache"))


def recall_latent(
    cache: Cache | NoCache, model: BaseEstimator, pool: Pool
) -> tuple[BaseEstimator, np.ndarray] | None:
    """Return a latent model as an earlier process fitted it to this pool, and the codes of the pool.

    Parameters
    ----------
    cache : Cache or NoCache
    model : latent model
        Not fitted, unless it is frozen; it is not changed.
    pool : Pool

    Returns
    -------
    model : latent model
    codes : float32 array of shape (n_rows, n_components)
    """
    if isinstance(cache, NoCache) or not _is_kept(model):
        return None
    key = _latent_key(model, pool)
    found = cache.read(f"latent-{key[:16]}", key)
    codes = None if found is None else found.get("codes")
    if found is None or not isinstance(codes, np.ndarray) or codes.dtype != np.float32:
        return None
    if codes.ndim != 2 or len(codes) != len(pool):
        return None
    if isinstance(model, FrozenEstimator):
        return model, codes
    made = clone(model)
    try:
        made.set_state(found["model"])
    except Exception:  # of another version, say: it is fitted again
        return None
    vars(made).pop("feature_names_in_", None)  # the same rows may have other names now
    for name, value in pool.seen.items():
        setattr(made, name, value)
    return made, codes


def keep_latent(cache: Cache | NoCache, model: BaseEstimator, codes: np.ndarray, pool: Pool) -> None:
    """Keep a fitted latent model and the codes of the pool; a frozen one is the user's to keep.

    Parameters
    ----------
    cache : Cache or NoCache
    model : latent model
    codes : float32 array of shape (n_rows, n_components)
    pool : Pool
    """
    if isinstance(cache, NoCache) or not _is_kept(model):
        return
    frozen = isinstance(model, FrozenEstimator)
    try:
        state = None if frozen else model.get_state()
    except TypeError:  # modules may have a state that is no tensor
        return
    key = _latent_key(model, pool)
    cache.write(f"latent-{key[:16]}", key, {"codes": codes, "model": state})


def _is_kept(model: BaseEstimator) -> bool:
    inner = model.estimator if isinstance(model, FrozenEstimator) else model
    if not isinstance(inner, BaseLatentModel) or not inner.codes_may_be_kept:
        return False
    return inner is not model or inner.says_what_it_learned


def _latent_key(model: BaseEstimator, pool: Pool) -> str:
    """Name a latent model and the rows it learns; its `random_state` is the campaign's by now."""
    return digest(f"latent model {describe(model, _ANYWHERE)} of {pool.fingerprint()}")
