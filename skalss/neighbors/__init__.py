"""Nearest codes: exactly, or by an index that is built once and searched in every round."""

from .base import BaseIndex
from .by_chance import nearest_by_chance
from .exact import nearest_codes
from .exact_index import ExactIndex
from .faiss_index import FaissIndex
from .make import INDEXES, make_index
from .usearch_index import UsearchIndex

__all__ = [
    "INDEXES",
    "BaseIndex",
    "ExactIndex",
    "FaissIndex",
    "UsearchIndex",
    "make_index",
    "nearest_by_chance",
    "nearest_codes",
]
