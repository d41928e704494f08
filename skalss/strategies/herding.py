"""Herding: rows that stand for as many others as possible that the network is unsure of."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..neighbors import nearest_codes
from ..utils.tensors import as_tensor
from ..utils.ties import one_of_largest

_BLOCK_CELLS = 2**22  # of the kernel that are looked at at a time: 16 MiB
_N_LABELED = 2000  # labelled points whose nearest is looked for
_N_FRESH = 32  # gains computed anew at a time


def herd(
    points: np.ndarray,
    weight: np.ndarray,
    labeled: np.ndarray,
    n: int,
    random_state: np.random.RandomState,
    *,
    closeness: float,
    least: float = 0.0,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Choose `n` points, each the one that adds most to how well all points are covered, by weight.

    A point is covered by its nearest labelled or chosen one, to exp(-(d / width)²). The width is a quantile
    of the distances of labelled points to their nearest: the more labels, the less far each reaches, until a
    point covers little but itself, and its own weight decides.

    Parameters
    ----------
    points : array of shape (n_points, n_components)
    weight : array of shape (n_points,)
        How much it counts that a point is covered; not negative.
    labeled : array of shape (n_labeled, n_components)
    n : int
        At most `n_points`.
    random_state : RandomState
        Decides between points that add the same.
    closeness : float
        The quantile, from 0 to 1.
    least : float, default=0.0
        Least weight of a chosen point, as a share of the usual weight, as far as there are such points: one
        that counts little itself may stand near many that count.
    device : str or torch.device, default="cpu"

    Returns
    -------
    chosen : int array of shape (n,)

    References
    ----------
    Bae, Oliveira and Sutherland, "Uncertainty Herding: One Active Learning Method for All Label Budgets",
    arXiv:2412.20644.

    Examples
    --------
    >>> import numpy as np
    >>> points = np.array([[0.0], [0.1], [0.2], [5.0]])
    >>> herd(points, np.ones(4), points[:0], 2, np.random.RandomState(0), closeness=0.3).tolist()
    [1, 3]
    """
    rows = as_tensor(np.asarray(points, dtype=np.float32), device)
    # What the network says NaN of counts nothing.
    counts = torch.nan_to_num(as_tensor(np.asarray(weight, dtype=np.float32), device))
    width = _width(rows, labeled, closeness, random_state)
    kernel = torch.exp(-((torch.cdist(rows, rows) / width) ** 2))
    covered = torch.zeros(len(rows), dtype=rows.dtype, device=rows.device)
    if len(labeled) and len(rows):
        gaps = nearest_codes(labeled, points, device=device)[1][:, 0]
        covered = torch.exp(-((as_tensor(gaps, device) / width) ** 2))
    usual = counts.square().sum() / counts.sum().clamp_min(torch.finfo(counts.dtype).tiny)
    allowed = counts >= (1 - 1e-6) * least * usual
    first = min(n, int(allowed.sum()))
    chosen = _greedy(kernel, counts, covered, allowed, first, random_state)
    if first == n:
        return chosen
    allowed = ~allowed
    covered = torch.maximum(covered, kernel[torch.as_tensor(chosen, device=rows.device)].amax(dim=0))
    return np.concatenate([chosen, _greedy(kernel, counts, covered, allowed, n - first, random_state)])


def _width(rows: Tensor, labeled: np.ndarray, closeness: float, random_state: np.random.RandomState) -> float:
    """Return how far a label reaches: never farther than rows lie from their middle."""
    scale = float((rows - rows.mean(dim=0)).square().sum(dim=1).mean().sqrt()) if len(rows) else 1.0
    if len(labeled) < 2:
        return scale or 1.0
    some = labeled
    if len(labeled) > _N_LABELED:  # so many tell the quantile
        some = labeled[random_state.choice(len(labeled), size=_N_LABELED, replace=False)]
    gaps = nearest_codes(labeled, some, 2, device=rows.device)[1][:, 1]  # the first is the row itself
    apart = gaps[gaps > 1e-6 * scale]  # copies say nothing
    return min(scale, float(np.quantile(apart, closeness))) if len(apart) and scale else scale or 1.0


def _greedy(
    kernel: Tensor,
    weight: Tensor,
    covered: Tensor,
    allowed: Tensor,
    n: int,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Choose one after the other; a gain only falls, so only the largest ones are computed anew (Minoux)."""

    def gain_of(some: Tensor) -> Tensor:
        return (kernel[some] - covered).clamp_min_(0) @ weight

    places = torch.arange(len(kernel), device=kernel.device)
    size = max(1, _BLOCK_CELLS // max(1, len(kernel)))
    gain = torch.cat([gain_of(some) for some in places.split(size)]) if len(kernel) else covered
    gain[~allowed] = -torch.inf
    chosen = np.empty(n, dtype=np.intp)
    for i in range(n):
        stale = torch.ones(len(kernel), dtype=torch.bool, device=kernel.device)
        while True:
            top = gain.topk(min(_N_FRESH, len(gain))).indices
            again = top[stale[top]]
            # What is as large as the largest but for rounding is a tie: it must be fresh, too.
            if (
                len(again) == 0
                or not bool(stale[top[0]])
                and bool(gain[again].max() < gain[top[0]] * (1 - 1e-6))
            ):
                break
            free = again[gain[again] > -torch.inf]
            if len(free) == 0:
                break
            gain[free] = gain_of(free)
            stale[again] = False
        best = one_of_largest(gain, random_state)
        chosen[i], covered = best, torch.maximum(covered, kernel[best])
        gain[best] = -torch.inf
    return chosen
