"""PruneEasyRows: leave out a share of the easy rows, at no forward pass more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor

from ..network.skorch_net import first_output
from ..utils.checks import check_share, check_text
from .base import BaseSelector, Selection
from .memory import RowMemory
from .rows import RowStream
from .scoring import Head, device_of, seconds


class PruneEasyRows(BaseSelector):
    """Skip a random share of the easy rows in each epoch, and let the easy rows that stay weigh more.

    The margins come from the training pass itself, so nothing is scored. A skipped row's share of the
    gradient goes to the easy rows that stay, so that the sum over an epoch keeps its expectation. An epoch
    then has fewer updates than a pass has batches; that is what is saved.

    Parameters
    ----------
    easy : float, default=0.7
        Share of the rows that are called easy, at most: those whose gap of the two highest logits was
        largest when last trained on.
    max_doubt : float, default=0.05
        Share of the network's doubt that the easy rows hold together, at most. The doubt of a row is
        ``1 / (1 + exp(gap))``. Where the network is unsure of most
        rows, as in a short training, few are easy, and little is skipped.
    skip : float, default=0.6
        Probability that an easy row is skipped in an epoch; the others weigh ``1 / (1 - skip)``. Below 1.
    end : float, default=0.875
        After this share of the epochs all rows are trained on.
    head : str, default=None
        Name of the last linear layer; None: found by a dry run.

    References
    ----------
    The rule of InfoBatch, arXiv:2303.04947, which prunes by the loss; here by the margin.
    """

    needs_ids = True
    needs_classes = True

    def __init__(self, *, easy=0.7, max_doubt=0.05, skip=0.6, end=0.875, head=None):
        self.easy = easy
        self.max_doubt = max_doubt
        self.skip = skip
        self.end = end
        self.head = head

    def check(self) -> None:
        """Refuse wrong parameters before training starts.

        Raises
        ------
        ValueError
        """
        check_share("easy", self.easy)
        check_share("max_doubt", self.max_doubt)
        check_share("skip", self.skip)
        check_share("end", self.end)
        if self.head is not None:
            check_text("head", self.head, also="None")
        if self.skip == 1:
            raise ValueError("skip must be below 1: some easy rows must stay to speak for the others, got 1.")

    def start_training(self, net: NeuralNet) -> None:
        """Forget the rows of the last training."""
        self._head: Head | None = None
        self._memory = RowMemory(float(self.easy), float(self.max_doubt))

    def select(self, net: NeuralNet, iterator: Iterable[Any], **fit_params) -> Iterator[Any]:
        """Yield the batches of one pass without the rows that are skipped."""
        prune = net.progress(0) < self.end
        keep = (lambda rows: self._memory.thin(rows, float(self.skip))) if prune else None
        stream = RowStream(iterator)
        over, n_done, device = False, 0, device_of(net)
        began = seconds(device)
        while not over:
            rows = stream.take(1, keep, min_tail=2)  # batch normalisation cannot train on a single row
            over = stream.at_start
            if over and n_done == 0 and keep is not None and (rows is None or len(rows) < 2):
                rows = stream.take_batch()  # nothing is left to train on: all rows are easy, and few
            if rows is not None:
                n_done += 1
                if self._head is None:
                    self._head = Head.find(net, rows, self.head, **fit_params)
                net.selection_ = Selection(
                    rows, seconds=seconds(device) - began, seconds_plain=stream.seconds_per_batch
                )
                yield rows.batch
                began = seconds(device)

    def row_weights(self, net: NeuralNet) -> Tensor | None:
        """Put more weight on the easy rows that stay."""
        return net.selection_.rows.weights

    def after_step(self, net: NeuralNet, output: Tensor | tuple[Tensor, ...]) -> None:
        """Remember the margins of the training pass."""
        if self._head is not None:
            gap = self._head.gap(first_output(output).detach().float())
            self._memory.record(net.selection_.rows, torch.sigmoid(-gap))
