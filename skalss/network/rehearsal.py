"""A training step, tried before the first label is bought."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from skorch import NeuralNet
from skorch import callbacks as skorch_callbacks
from skorch.callbacks import TrainEndCheckpoint

from ..utils.errors import explaining
from ..utils.surroundings import ignoring

# What a logger sends cannot be taken back, and one more line of output would puzzle.
_REACH_OUTSIDE = tuple(
    getattr(skorch_callbacks, name)
    for name in (
        *("NeptuneLogger", "WandbLogger", "SacredLogger", "TensorBoard", "MlflowLogger"),
        *("PrintLog", "ProgressBar"),
    )
    if hasattr(skorch_callbacks, name)
)


def keep_inside(net: NeuralNet, folder: str) -> None:
    """Let an initialised net leave no trace of a training but in a folder.

    Loggers are taken off; checkpoints are written to the folder. All other callbacks stay.
    """
    net.callbacks_ = [pair for pair in net.callbacks_ if not isinstance(pair[1], _REACH_OUTSIDE)]
    for _, callback in net.callbacks_:
        writer = callback.checkpoint_ if isinstance(callback, TrainEndCheckpoint) else callback
        if hasattr(writer, "dirname"):
            writer.dirname = folder


@contextmanager
def rehearsing(n_rows: int) -> Iterator[None]:
    """Try a training; warnings wait for the real one.

    Parameters
    ----------
    n_rows : int
        Rows it trains on.
    """
    with (
        explaining(
            f"The estimator fails when its first training is rehearsed on {n_rows} rows with made-up labels",
            "Nothing was bought. Mend the estimator or its settings; fitting it alone on a few labelled rows "
            "shows the same.",
        ),
        ignoring(Warning),
    ):
        yield
