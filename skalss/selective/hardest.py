"""HardestRows: train on the rows of a pool that the network finds hardest."""

from __future__ import annotations

import math

import torch
from skorch import NeuralNet
from torch import Tensor

from ..network.skorch_net import first_output
from ..utils.checks import check_choice, check_flag, check_number, check_positive_int, check_text
from ..utils.devices import resolve_dtype, warn_of_emulation
from ..utils.seeds import own_generator
from ..utils.surroundings import CPU
from .base import PoolSelector, Selection
from .rows import Rows
from .scoring import SCORES, Head, are_class_scores, device_of, hardness, outputs

PROBE = 32  # updates between two looks at what scoring would give


class HardestRows(PoolSelector):
    """Train on the rows of a large batch with the smallest minimal margin score, or another measure.

    Of `pool_factor` batches a forward pass in eval mode scores the rows, and the hardest batch of them is
    trained on. A step then costs ``1 + pool_factor * rho`` plain steps, rho being the price of scoring a row
    in that of training on it. With ``when="pays"`` a pool is scored only while that promises to pay.

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
    when : {"pays", "always"}, default="pays"
        "pays" scores a pool while the loss gradient of the rows chosen, with respect to the logits, is at
        least ``1 + pool_factor * rho`` times that of the pool; one update in 32 looks. In between, rows are
        trained on as they come. "always" is the paper's way. A callable score is always used.
    rho : float, default=0.25
        The price of scoring a row in that of training on it, to decide by. A constant, not measured, so that
        the same seed trains on the same rows. `MarginMonitor` records what was paid.
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
        when="pays",
        rho=0.25,
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
        self.when = when
        self.rho = rho
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
        if not callable(self.score) or isinstance(self.score, type):
            check_choice("score", self.score, SCORES, also="a callable")
        check_choice("bias", self.bias, ("exclude", "include"))
        check_choice("when", self.when, ("pays", "always"))
        if self.head is not None:
            check_text("head", self.head, also="None")
        check_flag("class_balance", self.class_balance)
        check_number("rho", self.rho, zero=True)
        resolve_dtype(self.score_dtype, torch.device("cpu"), name="score_dtype")
        check_positive_int("score_chunk", self.score_chunk)

    def start_training(self, net: NeuralNet) -> None:
        """Forget what selection gave in the last training."""
        super().start_training(net)
        warn_of_emulation("score_dtype", self.score_dtype, device_of(net))
        self._head: Head | None = None
        self._gain = 0.0

    @property
    def needs_classes(self) -> bool:  # type: ignore[override]
        """Whether the score is one of class scores."""
        return isinstance(self.score, str) and self.score in ("mms", "margin", "entropy")

    def pays(self, n_done: int) -> bool:
        """Whether the rows chosen pull so much harder than their pool that scoring it is worth its price."""
        always = self.when == "always" or callable(self.score)
        return always or n_done % PROBE == 0 or self._gain >= 1 + self.pool_factor * self.rho

    def look(self, net: NeuralNet, pool: Rows, **fit_params) -> Tensor:
        """Pass the pool through the network, in eval mode."""
        if self._head is None:
            self._head = Head.find(net, pool, self.head, with_bias=self.bias == "include", **fit_params)
        whole = self.score == "loss"
        return outputs(net, pool, dtype=self.score_dtype, chunk=self.score_chunk, whole=whole, **fit_params)

    def pick(self, net: NeuralNet, selection: Selection, n: int) -> Tensor:
        """Return the positions in the pool of the `n` hardest rows."""
        head, output, y = self._head, first_output(selection.output), selection.y
        assert head is not None  # found by `look`
        hard = hardness(self.score, net, head, selection.output, y, selection.X)
        picked = hardest_by_class(hard, y, n) if self.class_balance else hardest(hard, n)
        if are_class_scores(output, y):
            pull = head.pull(output, y)
            self._note_gain(float(pull[picked].nanmean() / pull.nanmean().clamp_min(1e-12)))
        return picked

    def _note_gain(self, gain: float) -> None:
        if not math.isfinite(gain):
            return
        self._gain = gain if self._gain == 0 else self._gain + 0.2 * (gain - self._gain)


def hardest(hard: Tensor, n: int) -> Tensor:
    """Return the `n` hardest rows; of equally hard ones, random ones."""
    found = hard.topk(min(n + 1, len(hard)))
    if len(hard) <= n or bool(found.values[n - 1] > found.values[n]):
        return found.indices[:n]
    order = _shuffled(len(hard), hard.device)
    return order[hard[order].argsort(descending=True, stable=True)[:n]]


def _shuffled(n: int, device: torch.device) -> Tensor:
    """Return positions in random order; what is drawn after it stays as it would be without."""
    ahead = torch.Generator(CPU).set_state((own_generator() or torch.default_generator).get_state())
    return torch.randperm(n, generator=ahead, device=CPU).to(device)


def hardest_by_class(hard: Tensor, y: Tensor, n: int) -> Tensor:
    """Return the `n` hardest rows, class by class in turn: the first of each, then the second of each, ...

    Within one turn the harder rows come first, so that a class that runs out leaves its place to the others.
    """
    if y.is_floating_point() and bool((y == y.round()).all()):
        y = y.long()
    if y.ndim != 1 or y.is_floating_point():
        raise ValueError(
            f"To balance classes the targets must be class numbers of shape (n_rows,), got {y.dtype} of "
            f"shape {tuple(y.shape)}. Leave class_balance=False."
        )
    if len(hard.unique()) < len(hard):  # of equally hard rows, random ones
        order = _shuffled(len(hard), hard.device)
        return order[_by_class(hard[order], y[order], n)]
    return _by_class(hard, y, n)


def _by_class(hard: Tensor, y: Tensor, n: int) -> Tensor:
    order = hard.argsort(descending=True, stable=True)
    order = order[y[order].argsort(stable=True)]  # class by class, hardest first
    classes = y[order]
    turn = torch.arange(len(y), device=y.device) - torch.searchsorted(classes, classes)
    by_hardness = hard[order].argsort(descending=True, stable=True)
    return order[by_hardness[turn[by_hardness].argsort(stable=True)]][:n]
