"""LCMD: rows that cover what the network tells apart, densest parts first."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.preprocessing import normalize
from torch import Tensor

from ..utils.checks import check_choice, check_positive_int
from ..utils.tensors import as_tensor
from ..utils.ties import ROUNDING, one_of_largest
from .base import BaseStrategy, Candidates
from .diversity import draw
from .snapshot import Snapshot

SPACES = ("auto", "gradients", "directions", "features", "codes")
WIDE = 128  # columns


class LargestClusterStrategy(BaseStrategy):
    """Asks for the farthest row of the largest cluster, again and again (LCMD).

    Every row belongs to the nearest of the labelled and chosen rows. The cluster whose rows are farthest away
    in sum, of squared distances, gives its farthest row, which becomes the next centre. So the rows asked are
    many where there are many that the network tells apart, unlike those of a core-set, which are at the rim.
    What the labels are does not matter: it serves values as well as classes.

    A round looks at `n_candidates` rows and at up to 2,000 labelled ones with the network, however large the
    pool.

    Parameters
    ----------
    n_candidates : int, default=2000
        Unlabelled rows drawn at random to choose from.
    space : {"auto", "gradients", "directions", "features", "codes"}, default="auto"
        Where distances are taken. ``"gradients"``: between sketched gradients of the network's output with
        respect to the weights of all its layers, as published; see `TaskNet.gradients`. ``"directions"``:
        the same, each of length 1. ``"features"``: between inputs of its last linear layer. ``"codes"``: in
        the latent space, which needs no network. ``"auto"``: for values, gradients, and directions where rows
        have several axes, such as images; for classes, features. A network that lacks these serves with what
        it has of gradients and features, else codes are compared.

    References
    ----------
    Holzmüller et al., "A framework and benchmark for deep batch active learning for regression",
    arXiv:2203.09410: LCMD, in mode TP, with the kernels of all layers, sketched, and of the last.

    Examples
    --------
    >>> from skalss.strategies import LargestClusterStrategy
    >>> LargestClusterStrategy(n_candidates=4000)
    LargestClusterStrategy(n_candidates=4000)
    """

    def __init__(self, n_candidates: int = 2000, space: str = "auto"):
        self.n_candidates = n_candidates
        self.space = space

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        """Codes alone need no labels."""
        if self.space == "codes":
            return frozenset()
        if self.space == "auto":
            return frozenset({"labels"})
        return frozenset({"labels", "features" if self.space == "features" else "gradients"})

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_positive_int("n_candidates", self.n_candidates)
        check_choice("space", self.space, SPACES)

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Whether distances are taken between codes."""
        return self.space == "codes" or (self.space == "auto" and not abilities & {"gradients", "features"})

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose up to `n` rows.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are the distances at which rows were chosen; infinity without any label.
        """
        some = draw(snapshot, max(self.n_candidates, n))
        n = min(n, len(some))
        space = self._where(snapshot)
        if space == "codes":
            points, centres = snapshot.latent.codes()[some], snapshot.latent.labeled_codes()
        elif space == "features":
            points, centres = snapshot.network.features(some), snapshot.network.labeled_features()
        else:
            points, centres = snapshot.network.gradients(some), snapshot.network.labeled_gradients()
            if space == "directions":
                points, centres = normalize(points), normalize(centres)
        chosen, gaps = farthest_of_largest(points, centres, n, snapshot.random_state, device=snapshot.device)
        return Candidates(rows=some[chosen], scores=gaps)

    def _where(self, snapshot: Snapshot) -> str:
        """Return the space that distances are taken in."""
        if self.space != "auto":
            return self.space
        # Class scores, and pixels, have a gradient each; of these a sketch has one random sum, and less than
        # the features.
        many = snapshot.target.has_probabilities or snapshot.target.is_map
        order = ("features", "gradients") if many else ("gradients", "features")
        found = next((space for space in order if snapshot.network.can(space)), "codes")
        # A convolution adds up gradients over positions: they are long where an image is full, not where it
        # is new.
        return "directions" if found == "gradients" and snapshot.X.ndim > 2 else found


def farthest_of_largest(
    points: np.ndarray,
    centres: np.ndarray,
    n: int,
    random_state: np.random.RandomState,
    device: torch.device | str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Choose `n` points, each the farthest of the cluster with the largest sum of squared distances.

    Parameters
    ----------
    points : float array of shape (n_points, n_dimensions)
    centres : float array of shape (n_centres, n_dimensions)
        Without any, the point nearest to the mean of all comes first.
    n : int
    random_state : RandomState
        Decides between clusters, and between points, that are equal.
    device : str or torch.device, default="cpu"

    Returns
    -------
    chosen : int array of shape (n,)
    gaps : float array of shape (n,)
        Distance of each from its centre when it was chosen.
    """
    rows, middles = _centred(points, centres, device)
    norms = rows.square().sum(dim=1)
    # A squared distance below it is that of a copy.
    copies = 2 * (ROUNDING**2 if rows.dtype == torch.float64 else ROUNDING) * norms
    if len(middles):
        gaps, own = torch.cdist(rows, middles).min(dim=1)
        squares = gaps.square()
        squares.masked_fill_(squares < copies, 0.0)
    else:
        own = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        squares = torch.full((len(rows),), torch.inf, dtype=rows.dtype, device=rows.device)
    n_centres = max(1, len(middles))
    rounding = float(copies.max()) if n else 0.0
    free = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    chosen, found = np.empty(n, dtype=np.intp), np.empty(n)
    for i in range(n):
        if i == 0 and not len(middles):
            far = one_of_largest(-norms, random_state, rounding=rounding)  # nearest to the mean
        else:
            sizes = torch.zeros(n_centres + i, dtype=rows.dtype, device=rows.device)
            sizes.index_add_(0, own, squares)
            largest = one_of_largest(sizes, random_state)
            # Chosen rows, and their copies, are at 0. Where all are, any that is free will do.
            inside = (own == largest) & (squares > 0) if sizes[largest] > 0 else free
            far = one_of_largest(torch.where(inside, squares, -torch.inf), random_state, rounding=rounding)
        chosen[i], found[i] = far, float(squares[far].sqrt())
        free[far] = False
        new = torch.addmv(norms + norms[far], rows, rows[far], alpha=-2)
        new.masked_fill_(new < copies, 0.0)
        nearer = new < squares
        squares, own = torch.where(nearer, new, squares), torch.where(nearer, n_centres + i, own)
    return chosen, found


def _centred(points: np.ndarray, centres: np.ndarray, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Return points and centres less the mean of the points, which spares their distances digits.

    Wide float32 points stay float32; the few columns of others cost nothing in float64, where there is that.
    """
    rows, middles = (as_tensor(np.asarray(part), device) for part in (points, centres))
    exact = rows.shape[1] < WIDE or rows.dtype != torch.float32
    dtype = torch.float64 if exact and torch.device(device).type == "cpu" else torch.float32
    rows, middles = rows.to(dtype), middles.to(dtype)
    mean = rows.mean(dim=0)
    return rows - mean, middles - mean
