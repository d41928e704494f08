"""The latent climb that SNN and SI share: from labelled codes uphill on the task loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from ..neighbors import nearest_codes
from ..utils.checks import check_flag, check_number, check_positive_int, is_word
from .base import BaseStrategy
from .snapshot import Snapshot

LONGEST = 1e6  # times the spread of the codes


class BaseClimbStrategy(BaseStrategy):
    """Base of the strategies that climb the task loss in the latent space (arXiv:2004.02757)."""

    needs = frozenset({"labels", "gradient"})
    decodes = True  # the loss is taken at the decoded code

    def __init__(
        self,
        *,
        step: float = 0.5,
        n_steps: int = 10,
        stop_at_flip: bool = True,
        start_once: bool = True,
        min_distance: float | Literal["median"] | None = "median",
    ):
        self.step = step
        self.n_steps = n_steps
        self.stop_at_flip = stop_at_flip
        self.start_once = start_once
        self.min_distance = min_distance

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_number("step", self.step, most=LONGEST)
        check_positive_int("n_steps", self.n_steps)
        check_flag("stop_at_flip", self.stop_at_flip)
        check_flag("start_once", self.start_once)
        if self.min_distance is not None and not is_word(self.min_distance, "median"):
            check_number("min_distance", self.min_distance, also="'median' or None", most=LONGEST)

    def _start_order(self, snapshot: Snapshot) -> np.ndarray:
        """Every labelled row in random order; with `start_once` those not used before come first."""
        order = snapshot.random_state.permutation(len(snapshot.y_labeled))
        if self.start_once:
            order = order[np.argsort(snapshot.starts_used[order], kind="stable")]
        return order

    def _laps(
        self, snapshot: Snapshot, missing: Callable[[], int], n_laps: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield starts and the codes climbed to from them, as long as candidates are missing.

        At first as many as are missing, then twice as many, since some were refused. Later laps over the
        same starts set out from a point one step away in a random direction, so that no climb is run twice.
        """
        share = 1
        order = self._start_order(snapshot)
        for lap in range(n_laps):
            first = 0
            while first < len(order) and missing() > 0:
                starts = order[first : first + share * missing()]
                first, share = first + len(starts), 2
                Z = snapshot.latent.labeled_codes()[starts]
                if lap:
                    Z = Z + self.step * snapshot.latent.spread() * random_directions(snapshot, Z.shape)
                yield starts, self._climb(snapshot, Z, snapshot.y_labeled[starts])

    def _climb(self, snapshot: Snapshot, Z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Step up the gradient of the task loss, each row on its own."""
        Z = np.array(Z, dtype=np.float32)
        length = self.step * snapshot.latent.spread()
        # A value, or a whole mask, is never just right.
        stop_at_flip = self.stop_at_flip and not (snapshot.target.numeric or snapshot.target.is_map)
        climbing = np.arange(len(Z))
        for _ in range(self.n_steps):
            gradient, prediction = snapshot.network.loss_gradient(Z[climbing], y[climbing])
            if stop_at_flip:
                equal = np.asarray(prediction == y[climbing])
                unflipped = equal.reshape(len(equal), -1).all(axis=1)  # of all that a label holds
                climbing, gradient = climbing[unflipped], gradient[unflipped]
            if len(climbing) == 0:
                break
            Z[climbing] += length * uphill(snapshot, gradient)
        return Z

    def _far_enough(self, snapshot: Snapshot, Z: np.ndarray) -> np.ndarray:
        """Tell which codes keep `min_distance` from every labelled code: bool array (n,)."""
        if self.min_distance is None:
            return np.ones(len(Z), dtype=bool)
        labeled = snapshot.latent.labeled_codes()
        if self.min_distance == "median":
            if len(labeled) < 2:
                return np.ones(len(Z), dtype=bool)
            smallest = np.median(nearest_codes(labeled, labeled, k=2)[1][:, 1])
        else:
            smallest = float(self.min_distance) * snapshot.latent.spread()
        return nearest_codes(labeled, Z)[1][:, 0] > smallest


def uphill(snapshot: Snapshot, gradient: np.ndarray) -> np.ndarray:
    """Return unit vectors along the gradient; a random direction where a saturated loss has none."""
    gradient = gradient.astype(np.float64)  # the squares of a tiny gradient would vanish in float32
    norm = np.linalg.norm(gradient, axis=1, keepdims=True)
    flat = ~(np.isfinite(norm[:, 0]) & (norm[:, 0] > 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        direction = gradient / norm
    if flat.any():
        direction[flat] = random_directions(snapshot, (int(flat.sum()), gradient.shape[1]))
    return direction


def random_directions(snapshot: Snapshot, shape: tuple[int, ...]) -> np.ndarray:
    """Draw unit vectors."""
    direction = snapshot.random_state.standard_normal(shape).astype(np.float32)
    return direction / np.linalg.norm(direction, axis=1, keepdims=True)
