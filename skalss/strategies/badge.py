"""BADGE: rows whose gradients at the last layer are large and far from each other."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import one_hot

from ..utils.checks import check_positive_int
from ..utils.tensors import as_numpy, as_tensor
from ..utils.ties import one_of_largest
from .base import BaseStrategy, Candidates
from .diversity import draw
from .snapshot import Snapshot

# Squared distances below this share of the squared norms are rounding of float32: such rows are copies.
_ROUNDING = 1e-5


class BadgeStrategy(BaseStrategy):
    """Spreads the batch over the gradients of the loss, by the seeding of k-means++.

    The gradient of a row is that of the loss at the last linear layer, had the network's own prediction been
    the label: large where the network is unsure. Rows are drawn one after the other, each in proportion to
    the squared distance from the nearest gradient drawn before.

    Parameters
    ----------
    n_candidates : int, default=None
        Unlabelled rows drawn at random to choose from; None: all.

    References
    ----------
    Deep batch active learning by diverse, uncertain gradient lower bounds, arXiv:1906.03671.

    Examples
    --------
    >>> from skalss.strategies import BadgeStrategy
    >>> BadgeStrategy(n_candidates=10_000)
    BadgeStrategy(n_candidates=10000)
    """

    tasks = frozenset({"classification", "multilabel"})
    needs = frozenset({"labels", "logits", "features"})

    def __init__(self, n_candidates: int | None = None):
        self.n_candidates = n_candidates

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        if self.n_candidates is not None:
            check_positive_int("n_candidates", self.n_candidates, also="None")

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Draw up to `n` rows.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are the squared distances at which rows were drawn; the first has its squared norm.
        """
        some = draw(snapshot, None if self.n_candidates is None else max(n, self.n_candidates))
        features, logits = snapshot.network.features_and_logits(some)
        target = snapshot.target
        beliefs = as_numpy(target.chances(as_tensor(logits)))
        chosen, gaps = badge(
            features,
            beliefs,
            min(n, len(some)),
            snapshot.random_state,
            decided=target.decode(beliefs) if target.task == "multilabel" else None,
            device=snapshot.device,
        )
        return Candidates(rows=some[chosen], scores=gaps)


def badge(
    features: np.ndarray,
    probabilities: np.ndarray,
    n: int,
    random_state: np.random.RandomState,
    device: torch.device | str = "cpu",
    decided: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose `n` rows by k-means++ seeding over gradients at the last linear layer.

    The gradient of a row is the outer product of its features and of ``probabilities - onehot(argmax)``. It
    is never formed: the product of two gradients is that of their features times that of their
    probabilities.

    Parameters
    ----------
    features : float array of shape (n_rows, n_features)
        What enters the last linear layer.
    probabilities : float array of shape (n_rows, n_classes)
    n : int
        At most `n_rows`.
    random_state : RandomState
    device : str or torch.device, default="cpu"
    decided : array of shape (n_rows, n_classes), default=None
        0 and 1: the classes that each row is taken to have. None: the one of the highest probability.

    Returns
    -------
    chosen : int array of shape (n,)
        Without duplicates, even where rows are copies.
    gaps : float array of shape (n,)
        Squared distance of each from the nearest one chosen before; the squared norm of the first.
    """
    H = as_tensor(np.asarray(features, dtype=np.float32), device)
    P = as_tensor(np.asarray(probabilities, dtype=np.float32), device)
    G = P - (one_hot(P.argmax(dim=1), P.shape[1]) if decided is None else as_tensor(decided, device))
    norms = G.square().sum(dim=1) * H.square().sum(dim=1)
    G, H = G.T.contiguous(), H.T.contiguous()  # so that their products with one row read along memory
    gaps = norms.clone()
    chosen, found = np.empty(n, dtype=np.intp), np.empty(n)
    for i in range(n):
        # The paper names k-means++, which draws its first row uniformly; the authors' own program takes the
        # largest gradient. So does this: of all rows it would change the network most.
        first = i == 0 and bool(norms.max() > 0)
        row = (
            one_of_largest(norms, random_state)
            if first
            else _draw_one(as_numpy(gaps), chosen[:i], random_state)
        )
        chosen[i], found[i] = row, float(gaps[row])
        squares = norms + norms[row]
        distances = torch.addcmul(squares, G.T @ G[:, row], H.T @ H[:, row], value=-2)
        distances.masked_fill_(distances < _ROUNDING * squares, 0.0)
        gaps = torch.minimum(gaps, distances) if i else distances
        gaps[row] = 0.0
    return chosen, found


def _draw_one(weights: np.ndarray, chosen: np.ndarray, random_state: np.random.RandomState) -> int:
    """Draw a row in proportion to its weight; one not chosen yet where all weights are 0, or one is NaN."""
    cumulative = weights.cumsum(dtype=np.float64)
    if not 0 < cumulative[-1] < np.inf:
        return int(random_state.choice(np.setdiff1d(np.arange(len(weights)), chosen)))
    # In (0, total]: so that the row found has a weight above 0.
    return int(np.searchsorted(cumulative, (1 - random_state.random_sample()) * cumulative[-1]))
