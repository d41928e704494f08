"""Indices by name, and when one is worth building."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch

from ..utils.checks import checked_codes, show
from ..utils.devices import resolve_device
from .base import BaseIndex
from .exact_index import ExactIndex
from .faiss_index import FaissIndex
from .usearch_index import UsearchIndex

INDEXES: dict[str, type[BaseIndex]] = {"exact": ExactIndex, "faiss": FaissIndex, "usearch": UsearchIndex}

# Where "auto" builds an index. Measured with 50 queries for 20 neighbours each, codes of width 16, one
# thread of an AMD EPYC with AVX-512: among a million codes an exact search takes 0.1 s; faiss builds in 0.5
# s and searches in 0.025 s, which saves one of the two seconds of 20 rounds. It halves the seconds of
# smaller pools too, but less than a second is not worth answers that may differ. usearch is not taken at any
# size: its build takes 60 µs a code and more, an exact search 0.1 µs a code, so only many hundreds of
# searches would earn it back.
_LARGE = 1_000_000


def make_index(
    codes: np.ndarray, index: str | type[BaseIndex] = "auto", device: torch.device | str = "cpu"
) -> BaseIndex:
    """Build an index of codes, by name or class.

    Parameters
    ----------
    codes : array of shape (n_codes, n_components)
        Taken as float32; they must not change while the index is in use.
    index : {"auto", "exact", "faiss", "usearch"} or subclass of BaseIndex, default="auto"
        ``"auto"``: exact; with a million codes or more on the CPU, ``"faiss"`` if it is installed.
    device : str or torch.device, default="cpu"
        Where exact distances are computed.

    Returns
    -------
    index : BaseIndex

    Raises
    ------
    ValueError
        If the name is unknown, `codes` is not 2-D, or not finite and the index not exact.
    TypeError
        If `index` is neither a name nor a class of indices.
    ImportError
        If a package that it needs is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> type(make_index(np.eye(3)))
    <class 'skalss.neighbors.exact_index.ExactIndex'>
    """
    codes, device = checked_codes("codes", codes), resolve_device(device)
    if isinstance(index, str):
        if index == "auto":
            index = _best_for(len(codes), device)
        if index not in INDEXES:
            raise ValueError(
                f"index must be 'auto', one of {sorted(INDEXES)} or a subclass of BaseIndex, got "
                f"{show(index)}."
            )
        index = INDEXES[index]
    if not (isinstance(index, type) and issubclass(index, BaseIndex)):
        raise TypeError(
            f"index must be 'auto', one of {sorted(INDEXES)} or a subclass of BaseIndex, got {show(index)} "
            f"of type {type(index).__name__}. Pass the class: it is built when the codes are known."
        )
    return index(codes, device)


def _best_for(n_codes: int, device: torch.device) -> str:
    on_cpu = device.type == "cpu"  # accelerators compare with all codes faster than we search
    return "faiss" if n_codes >= _LARGE and on_cpu and find_spec("faiss") else "exact"
