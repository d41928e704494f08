"""Rows that a net is trained on, augmented batch by batch; all other rows it sees are as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor

from ..utils.checks import show
from ..utils.seeds import drawing_own
from .loader import AugmentedLoader

Augment = Callable[[Tensor], Tensor]


class AugmentedIterator:
    """Makes the training iterator of a net, with batches that are augmented as they come.

    Parameters
    ----------
    iterator_train : callable
        The net's own: makes a loader of a data set.
    augment : callable
    device : torch.device
        Where rows are augmented.
    maps : bool, default=False
        Whether labels are maps, and move with their rows.
    """

    def __init__(
        self,
        iterator_train: Callable[..., Any],
        augment: Augment,
        device: torch.device,
        maps: bool = False,
    ):
        self.maps = maps
        self.iterator_train = iterator_train
        self.augment = augment
        self.device = device
        self.n_batches = 0

    def __repr__(self) -> str:
        return repr(self.iterator_train)

    def __call__(self, *args: Any, **kwargs: Any) -> AugmentedLoader:
        """Make a loader, as the net's own would be, around it."""
        return AugmentedLoader(self.iterator_train(*args, **kwargs), self.augmented)

    def augmented(self, batch: Any) -> tuple[Any, ...]:
        """Return a batch ``(X, y)`` with its rows augmented."""
        X, *rest = batch
        if not isinstance(X, Tensor):
            raise TypeError(
                f"augment takes a batch as one tensor, and the net's iterator_train yields "
                f"{type(X).__name__}. Augment such rows in its data set or its collate_fn."
            )
        self.n_batches += 1
        # A copy: what is augmented in place may be a view of the training rows.
        X = X.to(self.device, copy=True)
        if self.maps:
            return self._both(X, rest[0])
        X = self._changed(X)
        return X, *rest

    def _both(self, X: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Move rows, and their maps as further channels."""
        channels = y.to(self.device, X.dtype).reshape(len(X), -1, *X.shape[2:])
        moved = self._changed(torch.cat([X, channels], dim=1))
        return moved[:, : X.shape[1]], moved[:, X.shape[1] :].reshape(y.shape).to(y.dtype)

    def _changed(self, X: Tensor) -> Tensor:
        """Return the batch augmented, or refuse what comes back."""
        before = X.shape, X.dtype, X.device
        with torch.no_grad(), drawing_own():
            X = self.augment(X)
        if not isinstance(X, Tensor):
            raise TypeError(f"augment must return a tensor, got {show(X)} of type {type(X).__name__}.")
        if (X.shape, X.dtype, X.device) != before:
            wanted, got = (
                f"{tuple(s)}, {t}, on {place}" for s, t, place in (before, (X.shape, X.dtype, X.device))
            )
            raise ValueError(
                f"augment must return a batch as it gets it, {wanted}; it returned {got}. Keep the shape, "
                "the dtype and the device."
            )
        return X


@contextmanager
def augmenting(
    net: NeuralNet, augment: Augment | None, device: torch.device, *, maps: bool = False
) -> Iterator[None]:
    """Let a net, for one training, be trained on augmented rows. Run it under `seeded`.

    Parameters
    ----------
    net : skorch net
        Initialised.
    augment : callable or None
        From a batch of rows, as the net sees them, to a batch of the same shape. What it draws from torch on
        the CPU comes from `own_generator`. None: rows as they are.
    device : torch.device
    maps : bool, default=False
        Whether labels are maps, which must move with their rows.

    Raises
    ------
    ValueError
        If labels are maps and `augment` does more than move pixels, or if the net was trained without a look
        at its `iterator_train`.
    """
    if augment is None:
        yield
        return
    if maps and not getattr(augment, "moves_pixels", False):
        raise ValueError(
            f"augment={show(augment)} changes rows, and a label is a map of its row, which must move with "
            "it. Use "
            "Flip, ShiftCrop or ImageAugment without cutout of skalss.augment; a callable of yours that only "
            "moves pixels says so by an attribute moves_pixels=True, and gets maps as further channels."
        )
    given, n_epochs = net.iterator_train, len(net.history)
    iterator = AugmentedIterator(given, augment, device, maps)
    vars(net)["iterator_train"] = iterator  # an initialised net refuses parameters of its iterators
    try:
        yield
    finally:
        vars(net)["iterator_train"] = given
    if len(net.history) > n_epochs and not iterator.n_batches:
        raise ValueError(
            f"augment was never called: {type(net).__name__} does not train on what its iterator_train "
            "makes. Let its get_iterator use iterator_train, or leave augment=None."
        )
