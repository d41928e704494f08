"""A progress bar over the epochs of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from ..utils.progress import Bar, progress_bar

_NAME = "skalss_epoch_bar"


class _EpochBar(Callback):
    """Moves a bar on after each epoch."""

    def __init__(self, bar: Bar):
        self.bar = bar

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.bar.update()


@contextmanager
def showing_epochs(net: NeuralNet, n_rows: int) -> Iterator[None]:
    """Show the epochs of an initialised net inside the block, where progress is shown.

    Parameters
    ----------
    net : skorch net
    n_rows : int
        Rows it is trained on.
    """
    with progress_bar(f"train on {n_rows} rows", total=net.max_epochs, unit="epoch") as bar:
        if bar.disable:
            yield
            return
        net.callbacks_.append((_NAME, _EpochBar(bar)))
        try:
            yield
        finally:
            net.callbacks_ = [pair for pair in net.callbacks_ if pair[0] != _NAME]
