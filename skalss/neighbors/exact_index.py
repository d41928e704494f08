"""The index that is none: every search looks at all codes."""

from __future__ import annotations

import numpy as np

from .base import BaseIndex
from .exact import nearest_codes


class ExactIndex(BaseIndex):
    """Compares with every code in every search; nothing is built and nothing missed.

    Parameters
    ----------
    codes : array of shape (n_codes, n_components)
    device : str or torch.device, default="cpu"
        Where the distances are computed.

    Examples
    --------
    >>> import numpy as np
    >>> ExactIndex(np.eye(3)).search(np.array([[0.9, 0.0, 0.0]]), k=2)[0]
    array([[0, 1]])
    """

    def _nearest(self, Z: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        return nearest_codes(self.codes, Z, k, allowed=allowed, device=self.device)
