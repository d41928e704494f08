"""Ctrl-C during training.

skorch ends a fit quietly on KeyboardInterrupt, since its early stopping raises it too; the campaign must
know which of the two it was.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noticing_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt at the end of the block if the user pressed Ctrl-C inside it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    pressed = []
    previous = signal.getsignal(signal.SIGINT)

    def note(signum, frame):
        pressed.append(signum)
        if callable(previous):
            previous(signum, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if pressed:
        raise KeyboardInterrupt
