"""SI, sampling by interpolation: points that nobody has seen, made by the decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from ..utils.checks import check_choice, check_flag, check_positive_int, check_share, is_word
from .base import Candidates, check_members
from .climb import BaseClimbStrategy, random_directions, uphill
from .largest_cluster import farthest_of_largest
from .limits import TRIES, Constraint, Limits, Made
from .snapshot import Snapshot

CLIMBS = ("loss", "disagreement", "random")


class InterpolationStrategy(BaseClimbStrategy):
    """Climbs from rows to harder codes and asks for the points there, which nobody has seen.

    For oracles that can label any point, such as a simulator. A round looks at about `n` rows times
    `n_steps` with the network, more where many points are refused, but never at the pool.

    The published procedure climbs the loss from labelled rows, takes one step, decodes, and has none of the
    other options: ``AdaptiveLatentSampler.paper("si")``. On the simulator that we measured, points from
    random, residual steps taught more than points from climbs (user guide, "When your labeller is a
    simulator").

    Parameters
    ----------
    climb : {"loss", "disagreement", "random"}, default="loss"
        What a climb goes up on, and where it starts. ``"loss"``: the task loss at the row's own label, from
        labelled rows. ``"disagreement"``: how far a committee of networks is apart, which needs no label,
        from random rows of the pool that have none; from any where these are too few. ``"random"``: nothing;
        from the same rows, each in a random direction.
    step : float, default=0.5
        Length of a step. Up the loss in units of the spread of the codes (the root mean square of their
        standard deviations); else each component of the codes is in units of its own standard deviation, so
        that a component that hardly varies hardly moves.
    n_steps : int, default=10
        Steps of a climb, at most.
    residual : bool, default=False
        Whether a point is the start row, changed as decoding changes along the climb
        (x + decode(z') - decode(z), or what the latent model's `edit` makes of it), instead of the decoded
        code alone. It keeps the detail that the decoder loses. Values stay within the range of the pool.
    random_share : float, default=0.0
        Share, in [0, 1], of a round, or of its `n_candidates`, that is random rows of the pool, as long as
        there are any.
    on_refusal : {"nearest"} or None, default=None
        ``"nearest"``: for each point that the oracle abstained on, the next round first asks for the row of
        the pool with the nearest code, in place of a new point. The point itself is not asked again.
    n_candidates : int, default=None
        Points and random rows to choose from: those are asked that cover best what the network tells apart,
        as `LargestClusterStrategy` chooses. None: as many as are asked.
    n_members : int, default=4
        Networks of the committee, at least 2; only ``climb="disagreement"`` trains them.
    stop_at_flip : bool, default=True
        Whether a climb of the loss ends where the network no longer predicts the row's label. Without effect
        in regression.
    start_once : bool, default=True
        Whether a climb of the loss prefers labelled rows that no query came from yet as starts.
    min_distance : float, "median" or None, default="median"
        Points nearer than this to a labelled code are refused, unless too few are left. A float is in
        units of the spread; ``"median"`` is the median distance of labelled codes from each other's
        nearest.
    bounds : "pool", None, tuple (low, high), or array-like of pairs, default="pool"
        Where the values of a point may lie. ``"pool"``: in the range of each feature over the pool, for
        images of each channel; or in the `Box` that was fitted. ``(low, high)``: numbers, or one value for
        each feature; or pairs, one for each feature; or ``scipy.optimize.Bounds``. A point outside is moved
        to the nearest one inside, and its code with it. None: nothing is moved, as published.
    constraint : callable, default=None
        Takes rows as X was passed, an array or a DataFrame, in its units; returns a bool mask of those that
        may be asked. Others are made anew, up to 100 for each that is wanted; then the round has fewer
        points, with a warning. It is tried on rows of the pool before anything is trained.

    References
    ----------
    Adaptive latent space sampling, arXiv:2004.02757.

    Examples
    --------
    >>> from skalss.strategies import InterpolationStrategy
    >>> InterpolationStrategy(climb="disagreement", residual=True).generates_points
    True
    """

    generates_points = True

    def __init__(
        self,
        *,
        climb: Literal["loss", "disagreement", "random"] = "loss",
        step: float = 0.5,
        n_steps: int = 10,
        residual: bool = False,
        random_share: float = 0.0,
        on_refusal: Literal["nearest"] | None = None,
        n_candidates: int | None = None,
        n_members: int = 4,
        stop_at_flip: bool = True,
        start_once: bool = True,
        min_distance: float | Literal["median"] | None = "median",
        bounds: Any = "pool",
        constraint: Constraint | None = None,
    ):
        super().__init__(
            step=step,
            n_steps=n_steps,
            stop_at_flip=stop_at_flip,
            start_once=start_once,
            min_distance=min_distance,
        )
        self.climb = climb
        self.residual = residual
        self.random_share = random_share
        self.on_refusal = on_refusal
        self.n_candidates = n_candidates
        self.n_members = n_members
        self.bounds = bounds
        self.constraint = constraint

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        """Only a random direction needs no gradient."""
        return frozenset({"labels"} if is_word(self.climb, "random") else {"labels", "gradient"})

    @property
    def decodes(self) -> bool:  # type: ignore[override]
        """Where all that is asked are rows of the pool, nothing is decoded."""
        return self.random_share != 1

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        super().check()
        check_choice("climb", self.climb, CLIMBS)
        check_flag("residual", self.residual)
        if self.on_refusal is not None:
            check_choice("on_refusal", self.on_refusal, ("nearest",), also="None")
        check_share("random_share", self.random_share)
        if self.n_candidates is not None:
            check_positive_int("n_candidates", self.n_candidates, also="None")
        check_members(self.n_members)
        Limits(self.bounds, self.constraint).check()

    def check_pool(self, X: np.ndarray, as_user_rows: Callable[[np.ndarray], Any]) -> None:
        """Refuse rows outside of `bounds`, and a constraint that does not work on a few of them."""
        Limits(self.bounds, self.constraint).check_pool(X, as_user_rows)

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Return True."""
        return True

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Make harder points; rows of the pool come first, where there are any.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            `n` of them, or fewer where `bounds` and `constraint` leave no more; all codes distinct. `starts`
            tells which labelled row a climb of the loss came from. Where the committee was climbed, `scores`
            are its disagreements before the last step: variances in the squared units of
            `y`, or divergences in nats.
        """
        stand_ins = self._stand_ins(snapshot, n)
        n -= len(stand_ins)
        n_candidates = max(n, self.n_candidates or n) if n else 0
        free = np.setdiff1d(snapshot.unlabeled, stand_ins)
        n_random = min(round(self.random_share * n_candidates), len(free))
        rows = snapshot.random_state.permutation(free)[:n_random].astype(np.intp)
        made = Candidates(rows=None, codes=snapshot.latent.codes()[:0])
        if n_candidates > n_random and (self.decodes or snapshot.latent.can_decode()):
            made = self._points(snapshot, n_candidates - n_random)
        if n_candidates > n:
            rows, made = self._select(snapshot, rows, made, n)
        return _after(np.concatenate([stand_ins, rows]), made)

    def _stand_ins(self, snapshot: Snapshot, n: int) -> np.ndarray:
        """Choose rows in place of refused points."""
        chosen: list[int] = []
        if self.on_refusal == "nearest" and len(snapshot.latent.refused_codes()) and len(snapshot.unlabeled):
            refused = snapshot.latent.refused_codes()[:n]
            # With as many neighbours as points, each finds one that no other has taken.
            for row in snapshot.latent.nearest(refused, len(refused))[0].tolist():
                chosen += [near for near in row if near not in chosen][:1]
        return np.array(chosen, dtype=np.intp)

    def _points(self, snapshot: Snapshot, n: int) -> Candidates:
        """Make `n` distinct points, at first those that are far from labelled codes."""
        limits = Limits(self.bounds, self.constraint)
        found: list[tuple] = []
        near: list[tuple] = []
        made, n_starts = Made(snapshot, limits, n), self._n_starts(snapshot, n)
        n_laps = 4 + -(-n // max(1, n_starts))  # more laps for more points than starts

        def missing() -> int:
            looked_enough = made.n_tried >= n_laps * n_starts  # for far ones: near ones will do
            return 0 if made.out_of_tries else n - len(found) - (len(near) if looked_enough else 0)

        more = -(-TRIES * n // max(1, n_starts)) if limits.any else 0  # where some are not allowed
        for starts, Z, scores in self._climbs(snapshot, missing, n_laps + more):
            Z, rows = self._keep(snapshot, starts, Z) if limits.any else (Z, None)
            far = self._far_enough(snapshot, Z)
            for i in np.flatnonzero(made.take(Z, rows)):
                point = (starts[i], Z[i], scores[i], None if rows is None else rows[i])
                (found if far[i] else near).append(point)
        chosen = (found + near)[:n]
        made.warn_if_short(len(chosen))
        if not chosen:
            return Candidates(rows=None, codes=snapshot.latent.codes()[:0])
        starts, codes, scores, rows = (np.array(part) for part in zip(*chosen, strict=True))
        points: np.ndarray | None = rows
        if not limits.any:
            points = self._edit(snapshot, starts, codes) if self.residual else None
        if self.climb == "loss":
            return Candidates(rows=None, codes=codes, starts=starts.astype(np.intp), points=points)
        return Candidates(rows=None, codes=codes, scores=scores, points=points)

    def _n_starts(self, snapshot: Snapshot, n: int) -> int:
        if self.climb == "loss":
            return len(snapshot.y_labeled)
        n_free = len(snapshot.unlabeled)
        return n_free if n_free >= n else len(snapshot.latent.codes())

    def _keep(self, snapshot: Snapshot, starts: np.ndarray, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the points that codes stand for, kept within the bounds, and their codes."""
        limits = Limits(self.bounds, self.constraint)
        rows = self._edit(snapshot, starts, Z) if self.residual else snapshot.latent.decode(Z)
        return limits.keep(snapshot, Z, rows, limits.within(snapshot, edited=self.residual))

    def _select(
        self, snapshot: Snapshot, rows: np.ndarray, made: Candidates, n: int
    ) -> tuple[np.ndarray, Candidates]:
        """Keep `n` of the rows and points together."""
        codes, network = made.codes, snapshot.network
        assert codes is not None
        if len(rows) + len(codes) <= n:
            return rows, made
        if network.can("features"):
            parts, centres = [network.features(rows)] if len(rows) else [], network.labeled_features()
            if len(codes):
                points = snapshot.latent.decode(codes) if made.points is None else made.points
                parts.append(network.features_of(points))
        else:
            parts, centres = [snapshot.latent.codes()[rows], codes], snapshot.latent.labeled_codes()
        kept, _ = farthest_of_largest(
            np.concatenate(parts), centres, n, snapshot.random_state, device=snapshot.device
        )
        points = kept[kept >= len(rows)] - len(rows)
        of_made = {name: None if v is None else v[points] for name, v in made._asdict().items()}
        return rows[kept[kept < len(rows)]], Candidates(**of_made)

    def _climbs(self, snapshot, missing, n_laps):
        """Yield starts, the codes climbed to from them, and the disagreement there; as in `_laps`."""
        if self.climb == "loss":
            for starts, Z in self._laps(snapshot, missing, n_laps):
                yield starts, Z, np.full(len(Z), np.nan)
            return
        pool, share = snapshot.unlabeled, 1
        if len(pool) < missing():  # too few: any row of the pool is a start
            pool = np.arange(len(snapshot.latent.codes()))
        for lap in range(n_laps):
            order, first = snapshot.random_state.permutation(pool), 0
            while first < len(order) and missing() > 0:
                starts = order[first : first + share * missing()]
                first, share = first + len(starts), 2
                yield starts, *self._climb_from_rows(snapshot, starts, again=lap > 0)

    def _climb_from_rows(self, snapshot, starts, again):
        """Climb the committee's disagreement, or go in a random direction."""
        Z_from = snapshot.latent.codes()[starts]
        Z, lengths = Z_from.astype(np.float32), self.step * snapshot.latent.scales()
        if self.climb == "random":
            directions = random_directions(snapshot, Z.shape)
            return Z + self.n_steps * lengths * directions, np.full(len(Z), np.nan)
        if again:  # so that no climb is run twice
            Z = Z + lengths * random_directions(snapshot, Z.shape)
        limits = Limits(self.bounds, self.constraint)
        within = limits.within(snapshot, edited=True)
        edited = (snapshot.rows(starts), Z_from, within) if self.residual else None
        apart = np.full(len(Z), np.nan)
        for _ in range(self.n_steps):
            gradient, apart = snapshot.network.disagreement_gradient(Z, self.n_members, edited=edited)
            uphills = uphill(snapshot, gradient * snapshot.latent.scales())
            Z = Z + (lengths * uphills).astype(np.float32)
        return Z, apart

    def _edit(self, snapshot: Snapshot, starts: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Edit the start rows, wherever that leads."""
        latent, anywhere = snapshot.latent, Limits(None, None).within(snapshot)
        if self.climb == "loss":
            rows, Z_from = snapshot.labeled_rows(starts), latent.labeled_codes()[starts]
        else:
            rows, Z_from = snapshot.rows(starts), latent.codes()[starts]
        return latent.edit(rows, Z_from, codes, anywhere)


def _after(rows: np.ndarray, made: Candidates) -> Candidates:
    """Put rows of the pool ahead of points that were made."""
    if len(rows) == 0:
        return made
    n_made = 0 if made.codes is None else len(made.codes)
    scores = np.full(n_made, np.nan) if made.scores is None else made.scores
    starts = np.full(n_made, -1, dtype=np.intp) if made.starts is None else made.starts
    return made._replace(
        rows=rows,
        scores=np.concatenate([np.full(len(rows), np.nan), scores]),
        starts=np.concatenate([np.full(len(rows), -1, dtype=np.intp), starts]),
    )
