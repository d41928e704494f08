"""LCMD: rows that cover what the network tells apart, densest parts first."""

from __future__ import annotations

import numpy as np
import torch

from ..utils.checks import check_choice, check_positive_int
from ..utils.tensors import as_tensor
from ..utils.ties import ROUNDING, one_of_largest
from .base import BaseStrategy, Candidates
from .diversity import draw
from .snapshot import Snapshot

SPACES = ("auto", "features", "codes")


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
    space : {"auto", "features", "codes"}, default="auto"
        Where distances are taken: in the network's features before its last layer, as published, or in the
        latent space, which needs no network. ``"auto"``: in the features, where there is a last linear layer.

    References
    ----------
    Holzmüller et al., "A framework and benchmark for deep batch active learning for regression",
    arXiv:2203.09410: LCMD with the kernel of the last layer.

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
        """Only the network's features need labels."""
        if self.space == "codes":
            return frozenset()
        return frozenset({"labels", "features"} if self.space == "features" else {"labels"})

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_positive_int("n_candidates", self.n_candidates)
        check_choice("space", self.space, SPACES)

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Whether distances are taken between codes."""
        return self.space == "codes" or (self.space == "auto" and "features" not in abilities)

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
        if self.space == "codes" or (self.space == "auto" and not snapshot.network.can("features")):
            points, centres = snapshot.latent.codes()[some], snapshot.latent.labeled_codes()
        else:
            points, centres = snapshot.network.features(some), snapshot.network.labeled_features()
        chosen, gaps = farthest_of_largest(points, centres, n, snapshot.random_state, device=snapshot.device)
        return Candidates(rows=some[chosen], scores=gaps)


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
    # Not every accelerator has float64.
    dtype = torch.float64 if torch.device(device).type == "cpu" else torch.float32
    rows, middles = (as_tensor(np.asarray(part), device).to(dtype) for part in (points, centres))
    if len(middles):
        gaps, own = torch.cdist(rows, middles).min(dim=1)
        squares = gaps.square()
    else:
        own = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
        squares = torch.full((len(rows),), torch.inf, dtype=rows.dtype, device=rows.device)
    n_centres = max(1, len(middles))
    # Of the squared distance of two copies.
    rounding = float(ROUNDING**2 * rows.square().sum(dim=1).max()) if n else 0.0
    free = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    chosen, found = np.empty(n, dtype=np.intp), np.empty(n)
    for i in range(n):
        if torch.isinf(squares[0]):
            from_mean = (rows - rows.mean(dim=0)).square().sum(dim=1)
            far = one_of_largest(-from_mean, random_state, rounding=rounding)
        else:
            # Chosen rows, and their copies, are at 0. Where all are, any that is free will do.
            sizes = torch.zeros(n_centres + i, dtype=rows.dtype, device=rows.device)
            sizes.index_add_(0, own, squares)
            inside = (own == one_of_largest(sizes, random_state)) & free & (squares > 0)
            allowed = torch.where(inside if inside.any() else free, squares, -torch.inf)
            far = one_of_largest(allowed, random_state, rounding=rounding)
        chosen[i], found[i] = far, float(squares[far].sqrt())
        free[far] = False
        new = (rows - rows[far]).square().sum(dim=1)
        nearer = new < squares
        squares, own = torch.where(nearer, new, squares), torch.where(nearer, n_centres + i, own)
    return chosen, found
