"""Nearest codes by a graph of neighbours, with the package usearch."""

from __future__ import annotations

import numpy as np

from .approximate import BaseApproximateIndex

_LOOKED_AT = 256  # candidates that a search keeps; 64, the library's default, misses more and saves little
_LOOKED_AT_BUILDING = 64  # half the library's default: half its seconds, with as much found afterwards


class UsearchIndex(BaseApproximateIndex):
    """Walks a graph that links each code with near ones (HNSW).

    It is slow to build, one code at a time on one thread: for campaigns of very many rounds. Among hundreds
    of codes that are equal it may find only some.

    Parameters
    ----------
    codes : array of shape (n_codes, n_components)
    device : str or torch.device, default="cpu"
        Where exact distances are computed, when it comes to them; the graph is on the CPU.

    Raises
    ------
    ValueError
        If a code is not finite.
    ImportError
        If usearch is not installed.

    References
    ----------
    Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
    Small World graphs, arXiv:1603.09320.
    """

    def _build(self, codes: np.ndarray) -> None:
        try:
            from usearch.index import Index
        except ImportError as error:
            raise ImportError(
                "index='usearch' needs usearch, which is not installed. Install it with "
                "pip install \"skalss[index]\", or use index='exact'."
            ) from error
        self._graph = Index(
            ndim=codes.shape[1],
            metric="l2sq",
            dtype="f32",
            expansion_add=_LOOKED_AT_BUILDING,
            expansion_search=_LOOKED_AT,
        )
        if len(codes):
            # With more threads the order of insertion, and so the graph, differs from run to run.
            self._graph.add(np.arange(len(codes), dtype=np.uint64), codes, threads=1)

    def _find(self, queries: np.ndarray, k: int, allowed: np.ndarray | None, effort: int) -> np.ndarray:
        n_wanted = min(2 * effort * k, len(self.codes))
        rows = np.full((len(queries), n_wanted), -1, dtype=np.intp)
        for line, query in zip(rows, queries, strict=True):  # one by one: a batch pads with row 0
            keys = self._graph.search(query, n_wanted, threads=1).keys
            line[: len(keys)] = keys
        return rows
