"""How easy each row was when last seen, so that easy rows need not be looked at each time."""

from __future__ import annotations

import torch
from torch import Tensor

from ._rows import Rows

_SAMPLE = 10_000  # rows that tell the quantile


class RowMemory:
    """The last margin of every row, and the margin above which a row is easy.

    A row that was never seen is not easy.

    Parameters
    ----------
    easy : float
        Share of the rows seen that are called easy: those with the largest margins.
    """

    def __init__(self, easy: float):
        self._easy = easy
        self._margin = torch.empty(0)
        self._threshold = float("inf")
        self._n_new = 0

    def record(self, rows: Rows, margin: Tensor) -> None:
        """Remember the margins of rows, if they have numbers."""
        if rows.ids is None:
            return
        ids, margin = rows.ids.cpu(), margin.detach().float().cpu()
        missing = int(ids.max()) + 1 - len(self._margin)
        if missing > 0:
            self._margin = torch.cat([self._margin, self._margin.new_full((missing,), torch.nan)])
        self._margin[ids] = margin
        self._n_new += len(ids)
        if self._n_new >= max(500, len(self._margin) // 20):  # a network in training moves on
            self._n_new = 0
            self._threshold = self._quantile(1 - self._easy)

    def thin(self, rows: Rows, skip: float) -> Rows:
        """Leave out each easy row with probability `skip`; those that stay weigh ``1 / (1 - skip)``."""
        easy = self._is_easy(rows)
        stays = ~easy | (torch.rand(len(easy)) >= skip)
        weights = torch.where(easy, 1 / (1 - skip) if skip < 1 else 0.0, 1.0)
        return Rows(rows.batch, rows.ids, weights).pick(stays.nonzero().flatten())

    def _is_easy(self, rows: Rows) -> Tensor:
        easy = torch.zeros(len(rows), dtype=torch.bool)
        if rows.ids is not None:
            ids = rows.ids.cpu()
            known = ids < len(self._margin)
            easy[known] = self._margin[ids[known]] > self._threshold  # never seen: NaN, which is not easy
        return easy

    def _quantile(self, q: float) -> float:
        seen = self._margin[~self._margin.isnan()]
        if len(seen) > _SAMPLE:
            seen = seen[:: len(seen) // _SAMPLE]
        return float(seen.quantile(q))
