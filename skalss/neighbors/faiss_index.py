"""Nearest codes by cells around centres, with the package faiss."""

from __future__ import annotations

import math

import numpy as np

from .approximate import BaseApproximateIndex

_MIN_CELLS_SEARCHED = 64  # at least 0.97 of the neighbours among a million codes without clusters, width 16
_SHARE_SEARCHED = 1 / 16  # of the cells, where there are more than a thousand
_ROWS_PER_CENTRE = 64  # k-means sees so many codes for each centre


class FaissIndex(BaseApproximateIndex):
    """Sorts the codes into cells by k-means and looks only into the cells near a query (IVF).

    There are as many cells as the square root of the codes, and of these a sixteenth or 64 are searched. It
    is built within about five exact searches.

    Parameters
    ----------
    codes : array of shape (n_codes, n_components)
    device : str or torch.device, default="cpu"
        Where exact distances are computed, when it comes to them; the cells are on the CPU.

    Raises
    ------
    ValueError
        If a code is not finite.
    ImportError
        If faiss is not installed.

    References
    ----------
    Douze et al., The Faiss library, arXiv:2401.08281.
    """

    def _build(self, codes: np.ndarray) -> None:
        try:
            import faiss
        except ImportError as error:
            raise ImportError(
                "index='faiss' needs faiss, which is not installed. Install it with "
                "pip install \"skalss[index]\", or use index='exact'."
            ) from error
        n_cells = max(1, math.isqrt(len(codes)))
        self._cells = faiss.IndexIVFFlat(faiss.IndexFlatL2(codes.shape[1]), codes.shape[1], n_cells)
        # The library draws the rows for k-means with a seed of its own, the same each time.
        self._cells.cp.max_points_per_centroid = _ROWS_PER_CENTRE
        self._cells.cp.min_points_per_centroid = 1  # fewer would only print a warning
        if len(codes):
            self._cells.train(codes)
            self._cells.add(codes)

    def _find(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, effort: int) -> np.ndarray:
        import faiss

        n_probe = effort * max(_MIN_CELLS_SEARCHED, int(_SHARE_SEARCHED * self._cells.nlist))
        # A local, for it must outlive the search, and not all versions of the library see to that.
        selector = (
            None if allowed is None else faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        )
        settings = faiss.SearchParametersIVF(sel=selector, nprobe=min(n_probe, self._cells.nlist))
        return self._cells.search(queries, 2 * k, params=settings)[1]
