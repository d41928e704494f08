"""Progress bars of long passes, wherever they are: who is asked for them switches them on around its work.

Loops deep inside need no parameter for it. Short passes show no bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias, TypeVar

from tqdm.auto import tqdm

from .tensors import chunks

DELAY = 0.5  # seconds before a bar is shown
_SHOWN: ContextVar[bool] = ContextVar("progress_is_shown", default=False)
T = TypeVar("T")


@contextmanager
def showing_progress(verbose: object) -> Iterator[None]:
    """Show the bars of a block where `verbose` is above 0; otherwise leave it to who is around."""
    if not verbose:
        yield
        return
    token = _SHOWN.set(True)
    try:
        yield
    finally:
        _SHOWN.reset(token)


class NoBar:
    """Shows nothing. A disabled bar of tqdm takes a lock, which a forked process may wait for in vain."""

    disable = True

    def update(self, n: float = 1) -> None:
        """Do nothing."""

    def set_postfix(self, **values: object) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> NoBar:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Do nothing."""


Bar: TypeAlias = "tqdm[Any] | NoBar"


def progress_bar(
    description: str,
    *,
    total: int | None = None,
    unit: str = "it",
    verbose: object = 0,
    at_once: bool = False,
) -> Bar:
    """Return a bar to be moved on with `update`, and to be closed or used in a ``with`` block.

    Parameters
    ----------
    description : str
    total : int, default=None
        Of the units.
    unit : str, default="it"
    verbose : int, default=0
        Above 0: it is shown, whoever is around, and stays when it is done.
    at_once : bool, default=False
        Whether it is shown from the start, and not only once it has taken a while.
    """
    if not (verbose or _SHOWN.get()):
        return NoBar()
    delay = 0 if verbose or at_once else DELAY
    return tqdm(desc=description, total=total, unit=unit, leave=bool(verbose), delay=delay)


def track(items: Iterable[T], description: str, *, total: int | None = None, unit: str = "it") -> Iterator[T]:
    """Yield what `items` does, with a bar.

    Parameters
    ----------
    items : iterable
    description : str
    total : int, default=None
        How many there are; None: as many as `items` has, if it knows.
    unit : str, default="it"
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar(description, total=total, unit=unit) as bar:
        for item in items:
            yield item
            bar.update()


def track_chunks(n_rows: int, size: int, description: str) -> Iterator[slice]:
    """Yield the slices that cut rows into pieces of at most `size`, with a bar that counts rows."""
    with progress_bar(description, total=n_rows, unit="row") as bar:
        for piece in chunks(n_rows, size):
            yield piece
            bar.update(piece.stop - piece.start)
