"""Rows that a net is given to be judged by, as `skorch.helper.predefined_split` has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from skorch import NeuralNet
from skorch.dataset import Dataset

from ..utils.tensors import to_host


@contextmanager
def converted_split(net: NeuralNet, convert: Callable[[ArrayLike, ArrayLike], Dataset]) -> Iterator[None]:
    """Let held-out rows that are no part of the training rows be treated as those, for one training.

    Parameters
    ----------
    net : skorch net
    convert : callable
        Makes a data set of rows and labels as the user has them.
    """
    split = net.train_split
    if split is None:
        yield
        return

    def split_and_convert(dataset: Dataset, *args: Any, **kwargs: Any) -> tuple[Dataset, Dataset | None]:
        train, valid = split(dataset, *args, **kwargs)
        # A split that takes nothing away has its held-out rows from elsewhere.
        return train, convert(*_arrays(valid)) if train is dataset and valid is not None else valid

    net.train_split = split_and_convert
    try:
        yield
    finally:
        net.train_split = split


def _arrays(dataset: Any) -> tuple[ArrayLike, ArrayLike]:
    """Return the rows and the labels of any data set with a length."""
    if isinstance(dataset, Dataset) and dataset.y is not None:
        return dataset.X, dataset.y
    X, y = zip(*(dataset[i] for i in range(len(dataset))), strict=True)
    return np.stack([to_host(row) for row in X]), np.stack([np.asarray(to_host(label)) for label in y])
