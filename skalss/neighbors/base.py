"""What an index of codes is: built once from the codes of the pool, searched in every round."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch

from ..utils.checks import check_positive_int, checked_codes, checked_mask
from ..utils.devices import resolve_device


class BaseIndex(ABC):
    """Base of all indices: which of the codes lie nearest to given ones.

    An index follows from its codes alone: two that are built from the same codes on one machine answer alike,
    and a pickled one is built again where it is loaded. To add one, write `_nearest`, and build in `__init__`
    what it needs.

    Parameters
    ----------
    codes : array of shape (n_codes, n_components)
        Taken as float32 and not copied if they are that: they must not change while the index is in use.
    device : str or torch.device, default="cpu"
        Where exact distances are computed.

    Raises
    ------
    ValueError
        If `codes` is not 2-D.
    ImportError
        If a package that the index needs is not installed.
    """

    def __init__(self, codes: np.ndarray, device: torch.device | str = "cpu"):
        self.codes = checked_codes("codes", codes)
        self.device = resolve_device(device)

    def __reduce__(self) -> tuple[type[BaseIndex], tuple[np.ndarray, torch.device | str]]:
        return type(self), (self.codes, self.device)

    def search(
        self, Z: np.ndarray, k: int = 1, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` codes nearest to each row of `Z`, or nearly so: an index may miss some.

        Parameters
        ----------
        Z : array of shape (n_queries, n_components)
        k : int, default=1
            Neighbours wanted; fewer come back only if fewer codes are allowed.
        allowed : bool array of shape (n_codes,), default=None
            Codes that may be returned; None: all.

        Returns
        -------
        rows : int array of shape (n_queries, min(k, n_allowed))
            Rows of the codes, nearest first, each allowed and none twice in a line.
        distances : float32 array of the same shape
            Euclidean, in the units of the codes, exact to float32.

        Raises
        ------
        ValueError
            If `Z` has another width than the codes, or `allowed` is no mask over them.
        """
        check_positive_int("k", k)
        Z = checked_codes("Z", Z)
        n_codes, width = self.codes.shape
        if Z.shape[1] != width:
            raise ValueError(
                f"Z must have shape (n_queries, {width}) like the codes of this index, got {Z.shape}. Pass "
                "codes of the same latent model, or build the index anew from its codes."
            )
        return self._nearest(Z, k, None if allowed is None else checked_mask("allowed", allowed, n_codes))

    @abstractmethod
    def _nearest(self, Z: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return what `search` returns; the arrays are checked, `k` may exceed what is allowed."""
