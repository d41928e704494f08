"""How hard each row was when last seen, so that easy rows need not be looked at each time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..utils.seeds import own_generator
from .rows import Rows

_SAMPLE = 10_000  # rows that tell the threshold


class RowMemory:
    """How hard every row was when last seen. A row that was never seen is not easy.

    Parameters
    ----------
    easy : float
        Share of the rows seen that are called easy, at most.
    max_doubt : float, default=1.0
        Share of all hardness, a number above 0 for each row, that easy rows hold together, at most.
    """

    def __init__(self, easy: float, max_doubt: float = 1.0):
        self._easy = easy
        self._max_doubt = max_doubt
        self._hard = torch.empty(0, dtype=torch.float32, device="cpu")
        self._threshold = -math.inf
        self._n_new = 0

    def record(self, rows: Rows, hard: Tensor) -> None:
        """Remember how hard rows are, if they have numbers."""
        if rows.ids is None:
            return
        ids, hard = rows.ids.cpu(), hard.detach().float().cpu()
        missing = int(ids.max()) + 1 - len(self._hard)
        if missing > 0:
            self._hard = torch.cat([self._hard, self._hard.new_full((missing,), torch.nan)])
        self._hard[ids] = hard
        self._n_new += len(ids)
        if self._n_new >= max(500, len(self._hard) // 20):  # a network in training moves on
            self._n_new = 0
            self._threshold = self._find_threshold()

    def thin(self, rows: Rows, skip: float) -> Rows:
        """Leave out each easy row with probability `skip`; those that stay weigh ``1 / (1 - skip)``."""
        easy = self._is_easy(rows)
        stays = ~easy | (torch.rand(len(easy), generator=own_generator(), device="cpu") >= skip)
        weights = torch.ones(len(easy), dtype=torch.float32, device="cpu")
        weights[easy] = 1 / (1 - skip) if skip < 1 else 0.0
        return Rows(rows.batch, rows.ids, weights).pick(stays.nonzero().flatten())

    def _is_easy(self, rows: Rows) -> Tensor:
        easy = torch.zeros(len(rows), dtype=torch.bool, device="cpu")
        if rows.ids is not None:
            ids = rows.ids.cpu()
            known = ids < len(self._hard)
            easy[known] = self._hard[ids[known]] < self._threshold  # never seen: NaN, which is not easy
        return easy

    def _find_threshold(self) -> float:
        seen = self._hard[~self._hard.isnan()]
        if len(seen) > _SAMPLE:
            seen = seen[:: len(seen) // _SAMPLE]
        if not len(seen):
            return -math.inf
        seen, n_easy = seen.sort().values, int(self._easy * len(seen))
        if self._max_doubt < 1:
            n_easy = min(n_easy, int((seen.cumsum(0) <= self._max_doubt * seen.sum()).sum()))
        return float(seen[min(n_easy, len(seen) - 1)])
