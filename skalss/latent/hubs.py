"""Hubs: codes that are among the nearest of very many others, and what to compare instead.

In many dimensions a few rows near the middle are neighbours of nearly all. Distances then say little of which
rows are alike. Directions from the middle often have fewer hubs, as those of features of pretrained encoders.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import skew

from ..neighbors import nearest_codes

N_ROWS = 2000  # looked at
N_NEIGHBORS = 10
MANY_HUBS = 1.0  # skewness: VAE codes of seven pools had 0.1 to 1.0, features of two encoders 1.7 to 4.4


class Geometry(NamedTuple):
    """How codes are compared.

    Attributes
    ----------
    middle : float32 array of shape (n_components,) or None
        Codes are compared by their directions from it. None: as they are.
    hubness : float
        Skewness of the number of codes that have each among their nearest, as compared.
    """

    middle: np.ndarray | None
    hubness: float

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        """Return codes whose Euclidean distances are to be compared: float32 array of the shape of `Z`."""
        Z = np.asarray(Z, dtype=np.float32)
        return Z if self.middle is None else _directions(Z, self.middle)


def find_geometry(Z: np.ndarray) -> Geometry:
    """Choose how codes are compared: as they are, or by direction where that has at most half the hubs.

    Parameters
    ----------
    Z : array of shape (n_rows, n_components)

    Returns
    -------
    geometry : Geometry

    References
    ----------
    Radovanović, Nanopoulos and Ivanović, "Hubs in space: popular nearest neighbors in high-dimensional data",
    Journal of Machine Learning Research 11, 2010.

    Examples
    --------
    >>> import numpy as np
    >>> flat = np.random.default_rng(0).normal(size=(500, 2))
    >>> find_geometry(flat).middle is None
    True
    """
    some = np.asarray(Z[np.random.RandomState(0).permutation(len(Z))[:N_ROWS]], dtype=np.float32)
    plain = hubness(some)
    if plain > MANY_HUBS:
        middle = some.mean(axis=0)
        turned = hubness(_directions(some, middle))
        if turned < plain / 2:
            return Geometry(middle, turned)
    return Geometry(None, plain)


def hubness(Z: np.ndarray) -> float:
    """Return the skewness of how often each code is among the nearest ten of another: about 0 without hubs.

    Parameters
    ----------
    Z : float32 array of shape (n_rows, n_components)
    """
    k = min(N_NEIGHBORS, len(Z) - 1)
    if k < 1:
        return 0.0
    near = nearest_codes(Z, Z, k + 1)[0][:, 1:]  # the nearest is the row itself, or its copy
    found = float(skew(np.bincount(near.ravel(), minlength=len(Z))))
    return found if np.isfinite(found) else 0.0


def _directions(Z: np.ndarray, middle: np.ndarray) -> np.ndarray:
    away = Z - middle
    length = np.linalg.norm(away, axis=1, keepdims=True)
    return (away / np.maximum(length, np.finfo(np.float32).tiny)).astype(np.float32)
