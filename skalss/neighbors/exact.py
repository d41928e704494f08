"""Nearest codes, exact and in chunks, behind one call."""

from __future__ import annotations

import numpy as np
import torch

from ..utils.checks import check_positive_int, checked_codes, checked_mask
from ..utils.devices import resolve_device
from ..utils.surroundings import usual_numerics
from ..utils.tensors import as_numpy, as_tensor, chunks

_ROUNDING = 1e-4  # distances below this share of the queries' reach, squared, are not to be trusted
_BLOCK_CELLS = 2**21  # distances held at a time: 8 MiB of float32, whatever the pool


@usual_numerics()
def nearest_codes(
    codes: np.ndarray,
    Z: np.ndarray,
    k: int = 1,
    *,
    allowed: np.ndarray | None = None,
    device: torch.device | str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Find the `k` rows of `codes` nearest to each row of `Z`.

    Parameters
    ----------
    codes : array of shape (n_codes, n_components)
    Z : array of shape (n_queries, n_components)
    k : int, default=1
        Neighbours wanted; fewer come back if fewer codes are allowed.
    allowed : bool array of shape (n_codes,), default=None
        Codes that may be returned; None: all.
    device : str or torch.device, default="cpu"
        Where the distances are computed.

    Returns
    -------
    positions : int array of shape (n_queries, min(k, n_allowed))
        Rows of `codes`, nearest first.
    distances : float32 array of the same shape
        Euclidean, in the units of the codes.

    Examples
    --------
    >>> import numpy as np
    >>> nearest_codes(np.eye(3), np.array([[0.9, 0.0, 0.0]]), k=2)[0]
    array([[0, 1]])
    """
    check_positive_int("k", k)
    codes, Z, device = checked_codes("codes", codes), checked_codes("Z", Z), resolve_device(device)
    if Z.shape[1] != codes.shape[1]:
        raise ValueError(f"Z must have {codes.shape[1]} columns like codes, got {Z.shape[1]}.")
    if allowed is not None:
        allowed = checked_mask("allowed", allowed, len(codes))
    n_allowed = len(codes) if allowed is None else int(np.count_nonzero(allowed))
    k = min(k, n_allowed)
    if k < 1 or len(Z) == 0:
        shape = (len(Z), max(k, 0))
        return np.empty(shape, dtype=np.intp), np.empty(shape, dtype=np.float32)
    queries = as_tensor(Z, device)
    best, where = _search(codes, queries, k, allowed)
    # |c|² - 2 c·q loses what lies below the rounding of the largest |q|²: then search again, exactly.
    reach = (queries - queries.mean(dim=0)).square().sum(dim=1).max()
    if best.amax(dim=1).min() < _ROUNDING * reach:
        best, where = _search(codes, queries.cpu().double(), k, allowed)
    return _exact(codes, queries, where.to(queries.device))


def _search(
    codes: np.ndarray, queries: torch.Tensor, k: int, allowed: np.ndarray | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return squared distances, in the dtype of the queries, and positions of the `k` nearest codes."""
    device, dtype = queries.device, queries.dtype
    best = torch.full((len(queries), k), torch.inf, device=device, dtype=dtype)
    where = torch.zeros((len(queries), k), dtype=torch.int64, device=device)
    # Distances to the queries' centre lose the least to cancellation.
    centre = queries.mean(dim=0)
    queries = queries - centre
    for piece in chunks(len(codes), max(1, _BLOCK_CELLS // len(queries))):
        block = as_tensor(np.asarray(codes[piece], dtype=np.float32), device).to(dtype) - centre
        squares = block.square().sum(dim=1)
        if allowed is not None:
            squares[as_tensor(~allowed[piece], device)] = torch.inf
        gaps = torch.addmm(squares, queries, block.T, alpha=-2)  # (n_queries, block)
        near = gaps.topk(min(k, len(block)), largest=False, sorted=False)
        best, order = torch.cat([best, near.values], dim=1).topk(k, largest=False)
        where = torch.cat([where, near.indices + piece.start], dim=1).gather(1, order)
    return best + queries.square().sum(dim=1, keepdim=True), where


def _exact(codes: np.ndarray, queries: torch.Tensor, where: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Order the neighbours found by their distance computed without cancellation."""
    positions = as_numpy(where)
    found = as_tensor(np.asarray(codes[positions.ravel()], dtype=np.float32), queries.device)
    distances = (found.view(*where.shape, -1) - queries[:, None]).norm(dim=2)
    distances, order = distances.sort(dim=1, stable=True)
    return as_numpy(where.gather(1, order)).astype(np.intp), as_numpy(distances)
