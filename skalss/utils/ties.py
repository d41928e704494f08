"""Ties: what scores alike is ranked by chance, so that its order in a file decides nothing."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .tensors import as_tensor

ROUNDING = 1e-6  # of a number: what two copies of a row may differ by in float32


def ranked(scores: ArrayLike, random_state: np.random.RandomState, *, rounding: float = 0.0) -> np.ndarray:
    """Order rows by their scores, smallest first; those that differ by rounding alone come in random order.

    Parameters
    ----------
    scores : float array of shape (n_rows,) or (n_lines, n_rows)
        Each line is ordered on its own. NaN comes last.
    random_state : RandomState
        One number is drawn for each score.
    rounding : float, default=0.0
        What scores may differ by besides a millionth of themselves: more than that, where they are small
        differences of large numbers.

    Returns
    -------
    order : int array of the shape of `scores`
        Positions.

    Examples
    --------
    >>> import numpy as np
    >>> sorted(ranked([0.5, 0.1, 0.5, 0.5], np.random.RandomState(0))[1:].tolist())
    [0, 2, 3]
    """
    scores = np.array(scores, dtype=np.float64)
    chance, finite = random_state.random_sample(scores.shape), np.isfinite(scores)
    scores[finite] += (ROUNDING * np.abs(scores[finite]) + rounding) * chance[finite]
    return np.lexsort((chance, scores), axis=-1)


def one_of_largest(
    values: Tensor | np.ndarray, random_state: np.random.RandomState, *, rounding: float = 0.0
) -> int:
    """Return the position of the largest value; of several that differ by rounding alone, a random one.

    Parameters
    ----------
    values : float tensor or array of shape (n_rows,)
        -inf: not to be chosen; NaN comes just before that.
    random_state : RandomState
        Drawn from only if there are several.
    rounding : float, default=0.0
        As in `ranked`.

    Returns
    -------
    position : int
    """
    values = as_tensor(values)
    top = float(values.max())
    if math.isfinite(top):
        near = values >= top - (ROUNDING * abs(top) + rounding)
    else:
        least = torch.finfo(values.dtype).min
        values = torch.nan_to_num(values, nan=least / 2, posinf=torch.inf, neginf=-torch.inf)
        top = float(values.max())
        near = values == top if math.isinf(top) else values >= top - (ROUNDING * abs(top) + rounding)
    found = near.nonzero().flatten()
    return int(found[0] if len(found) == 1 else found[random_state.randint(len(found))])
