"""What a caller may have set for a whole thread or process, kept out of what is computed here.

torch's generator and its default dtype, and the warnings filters, belong to the process: whoever changes them
for a while holds a lock, so that threads take turns. User code that may wait for other threads, such as an
oracle, never runs inside.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import sklearn
import torch

CPU = torch.device("cpu")
PATIENCE = 5.0  # seconds


class _Locks:
    """Re-entrant locks of this process; a forked one has its own, since nobody there would let these go."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.torch, self.warnings = threading.RLock(), threading.RLock()
        self.n_dtypes = 0  # blocks for which the default dtype is changed


_LOCKS = _Locks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LOCKS.renew)


@contextmanager
def holding_torch() -> Iterator[None]:
    """Let no other thread into such a block, in which torch's own generator or default dtype is changed."""
    with _LOCKS.torch:
        yield


@contextmanager
def usual_numerics(*, keep_dtype: bool = False) -> Iterator[None]:
    """Run a block, or a function that this decorates, as if the caller had set nothing in torch and NumPy.

    The default device is the CPU, the default dtype float32; there is no autocast and no inference mode;
    NumPy warns of what has no value, and lets tiny numbers become 0. Whether gradients are recorded, and
    whether algorithms must be deterministic, stays as it is.

    Parameters
    ----------
    keep_dtype : bool, default=False
        Whether the default dtype stays as it is.
    """
    with ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(CPU)
        if torch.is_inference_mode_enabled():
            grad = torch.is_grad_enabled()
            stack.enter_context(torch.inference_mode(False))  # would record gradients, too
            stack.enter_context(torch.set_grad_enabled(grad))
        accelerator = torch.accelerator.current_accelerator()
        for kind in ["cpu"] if accelerator is None else ["cpu", accelerator.type]:
            if torch.is_autocast_enabled(kind):
                # The caller's cache of cast weights would hold those of the first step.
                stack.enter_context(torch.autocast(kind, enabled=False, cache_enabled=False))
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        if not keep_dtype and (_LOCKS.n_dtypes or torch.get_default_dtype() != torch.float32):
            stack.enter_context(_float32())
        yield


@contextmanager
def _float32() -> Iterator[None]:
    with holding_torch():
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        _LOCKS.n_dtypes += 1
        try:
            yield
        finally:
            _LOCKS.n_dtypes -= 1
            torch.set_default_dtype(before)


@contextmanager
def usual_sklearn() -> Iterator[None]:
    """Run parts of scikit-learn inside as by default, whatever `sklearn.set_config` was told.

    Only for parts that we chose: an estimator of the user is run as the user has set it.
    """
    with sklearn.config_context(
        transform_output="default",
        array_api_dispatch=False,
        enable_metadata_routing=False,
        print_changed_only=True,
    ):
        yield


@contextmanager
def ignoring(*categories: type[Warning]) -> Iterator[None]:
    """Ignore kinds of warnings; the caller's filters are as before after it, whatever other threads do.

    Code of a user may run inside, and wait for threads that come here, too: after some seconds a thread goes
    on without its turn, and with its warnings.
    """
    lock = _LOCKS.warnings
    if not lock.acquire(timeout=PATIENCE):
        yield
        return
    try:
        with warnings.catch_warnings():
            for category in categories:
                warnings.simplefilter("ignore", category)
            yield
    finally:
        lock.release()
