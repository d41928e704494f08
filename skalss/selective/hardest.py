"""HardestRows: train on the rows of a pool that the network finds hardest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._checks import check_positive_int, check_share
from .._torch import resolve_dtype
from ._memory import RowMemory
from ._rows import Rows
from ._scoring import SCORES, Head, hardness, outputs
from .base import PoolSelector, Selection


class HardestRows(PoolSelector):
    """Train on the rows of a large batch with the smallest minimal margin score, or another measure.

    Of `pool_factor` batches a forward pass in eval mode scores the rows, and the hardest batch of them is
    trained on. A step then costs ``1 + pool_factor * rho`` plain steps, rho being the price of scoring a row
    in that of training on it, about 0.1 to 0.3: selection saves time only where it saves more steps.

    Rows that were easy when last scored are mostly kept out of the pool (`easy`, `skip`): they would be
    scored for nothing.

    Parameters
    ----------
    score : {"mms", "margin", "entropy", "loss"} or callable, default="mms"
        "mms" is the gap of the two highest logits over the norm of the difference of their last-layer
        weights; "margin" the gap alone; "loss" the net's own criterion, which also picks out wrong labels.
        A callable takes the module's output, a float32 tensor (n_rows, ...), and the targets, and gives a
        tensor (n_rows,), *large* for a hard row: with it a regressor may select, too.
    pool_factor : float, default=3
        Rows of a pool in batches.
    start, end : float, default=0.0 and 0.9
        Select between these shares of the training. The uniform phase at the end undoes the bias towards
        hard rows, in the weights and in the statistics of batch normalisation.
    easy : float, default=0.7
        Share of the rows seen that are called easy: those whose margin was largest when last scored.
    skip : float, default=0.9
        Probability that an easy row is left out of the pool; 0 scores every row, as the paper does. Needs
        a loader that tells the positions of rows, a DataLoader over a data set with a length; with others
        nothing is left out.
    head : str, default=None
        Name of the last linear layer, such as ``"classifier"``; None: found by a dry run.
    bias : {"exclude", "include"}, default="exclude"
        Whether the bias counts in the norm of weights, as in the authors' code.
    score_dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the scoring pass; "auto" takes bfloat16 where the hardware multiplies it.
    score_chunk : int, default=256
        Rows a scoring pass takes at a time.
    class_balance : bool, default=False
        Whether each class gets the same share of a batch, as far as the pool has it: the hardest of each
        class, then the second hardest, and so on. Needs class numbers as targets.

    References
    ----------
    Selective sampling for accelerating training of deep neural networks, arXiv:1911.06996.

    Examples
    --------
    >>> from skalss.nets import MLP
    >>> from skalss.selective import HardestRows, SelectiveNetClassifier
    >>> net = SelectiveNetClassifier(MLP, selector=HardestRows("entropy"), selector__pool_factor=2)
    """

    def __init__(
        self,
        score="mms",
        *,
        pool_factor=3,
        start=0.0,
        end=0.9,
        easy=0.7,
        skip=0.9,
        head=None,
        bias="exclude",
        score_dtype="auto",
        score_chunk=256,
        class_balance=False,
    ):
        self.score = score
        self.pool_factor = pool_factor
        self.start = start
        self.end = end
        self.easy = easy
        self.skip = skip
        self.head = head
        self.bias = bias
        self.score_dtype = score_dtype
        self.score_chunk = score_chunk
        self.class_balance = class_balance

    def check(self) -> None:
        """Refuse wrong parameters before training starts.

        Raises
        ------
        ValueError
        """
        super().check()
        if not callable(self.score) and self.score not in SCORES:
            raise ValueError(f"score must be one of {SCORES} or a callable, got {self.score!r}.")
        if self.bias not in ("exclude", "include"):
            raise ValueError(f"bias must be 'exclude' or 'include', got {self.bias!r}.")
        check_share("easy", self.easy)
        check_share("skip", self.skip)
        resolve_dtype(self.score_dtype, torch.device("cpu"))
        check_positive_int("score_chunk", self.score_chunk)

    def keep(self, net: Any) -> Callable[[Rows], Rows] | None:
        """Leave out most of the rows that were easy when last scored."""
        if not (self.skip and self.easy and net.numbered_):
            return None
        if not hasattr(self, "_memory"):
            self._memory = RowMemory(self.easy)
        return lambda rows: self._memory.thin(rows, self.skip)

    def look(self, net: Any, pool: Rows, **fit_params) -> Tensor:
        """Pass the pool through the network, in eval mode."""
        if not hasattr(self, "_head"):
            self._head = Head.find(net, pool, self.head, with_bias=self.bias == "include", **fit_params)
        return outputs(net, pool, dtype=self.score_dtype, chunk=self.score_chunk, **fit_params)

    def pick(self, net: Any, selection: Selection, n: int) -> Tensor:
        """Give the positions in the pool of the `n` hardest rows."""
        hard = hardness(self.score, net, self._head, selection.output, selection.y)
        if hasattr(self, "_memory"):
            self._memory.record(selection.rows, -hard)
        return hardest_by_class(hard, selection.y, n) if self.class_balance else hard.topk(n).indices


def hardest_by_class(hard: Tensor, y: Tensor, n: int) -> Tensor:
    """Give the `n` hardest rows, class by class in turn: the first of each, then the second of each, ...

    Within one turn the harder rows come first, so that a class that runs out leaves its place to the others.
    """
    if y.ndim != 1 or y.is_floating_point():
        raise ValueError(
            f"To balance classes the targets must be class numbers of shape (n_rows,), got {y.dtype} of "
            f"shape {tuple(y.shape)}. Leave class_balance=False."
        )
    order = hard.argsort(descending=True)
    order = order[y[order].argsort(stable=True)]  # class by class, hardest first
    classes = y[order]
    turn = torch.arange(len(y), device=y.device) - torch.searchsorted(classes, classes)
    by_hardness = hard[order].argsort(descending=True)
    return order[by_hardness[turn[by_hardness].argsort(stable=True)]][:n]
