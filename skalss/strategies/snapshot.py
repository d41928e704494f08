"""What a strategy sees in one round."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils.validation import check_array

from ..latent import LabelSpreader
from ..network import TaskModel
from ..targets import BaseTarget, Classes
from ..utils.bounds import Bounds
from ..utils.checks import check_callable, checked_mask, checked_positions, checked_random_state, show
from ..utils.devices import resolve_device
from ..utils.seeds import branch
from ..utils.sparse_rows import SparseRows
from ..utils.tensors import to_host
from .latent_view import Encoded, LatentView
from .network_view import NetworkView

STRUCTURE_ROWS = (
    4000  # a graph of so many tells nearly as well how clear classes are, at a quarter of the price
)


class MadePoints(NamedTuple):
    """Labelled points that a strategy made.

    Attributes
    ----------
    codes : float32 array of shape (n_made, n_components)
    rows : array of shape (n_made, ...)
        In the units of X.
    """

    codes: np.ndarray
    rows: np.ndarray


class Snapshot:
    """What a strategy may look at in one round: read-only, each costly part computed when first asked for.

    A row is a position in the pool; what the user calls it, its id, no strategy needs. `make_snapshot` makes
    one. What it is made of, but for `made` and `known_structure`, are its attributes, too.

    Parameters
    ----------
    X : array of shape (n_rows, ...)
        The pool; may be a memory map.
    askable : bool array of shape (n_rows,)
        Rows that may be asked: neither labelled, nor pending, nor abstained on.
    labeled : int array of shape (n_labeled_rows,)
        Rows with a label, in the order they were asked.
    y_labeled : array of shape (n_labeled,)
        Labels of `labeled`, then those of made points.
    made : MadePoints or None
        Labelled points that a strategy made.
    starts_used : bool array of shape (n_labeled,)
        Which labelled rows a query started from before.
    target : BaseTarget
        The kind of y.
    latent : LatentView
    network : NetworkView
    random_state : RandomState
        The only source of chance for this query.
    device : torch.device
        Where a strategy may compute.
    known_structure : callable
        Returns the structure of the codes that the training of the network found, or None.
    points_asked : callable
        Returns every point that was made and asked so far, answered or not: a sequence of rows.
    as_user_rows : callable
        Turns rows, an array, into the kind that the user passed: a DataFrame with the same columns, say.
    """

    def __init__(
        self,
        *,
        X: np.ndarray,
        askable: np.ndarray,
        labeled: np.ndarray,
        y_labeled: np.ndarray,
        made: MadePoints | None,
        starts_used: np.ndarray,
        target: BaseTarget,
        latent: LatentView,
        network: NetworkView,
        random_state: np.random.RandomState,
        device: torch.device,
        known_structure: Callable[[], float | None],
        points_asked: Callable[[], Sequence[np.ndarray]],
        as_user_rows: Callable[[np.ndarray], Any],
    ):
        self.X, self.askable, self.labeled, self.y_labeled = X, askable, labeled, y_labeled
        self.starts_used, self.target = starts_used, target
        self.latent, self.network = latent, network
        self.random_state, self.device = random_state, device
        self._made, self._known_structure = made, known_structure
        self.points_asked, self.as_user_rows = points_asked, as_user_rows
        self._structure: float | None = None

    @cached_property
    def unlabeled(self) -> np.ndarray:
        """Rows that may be asked: int array, ascending."""
        return np.flatnonzero(self.askable)

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of the pool as they are.

        Parameters
        ----------
        rows : int array of shape (n,)

        Returns
        -------
        X : array of shape (n, ...)
            The pool itself, not a copy, where `rows` are all of it in order.
        """
        return self.X if np.array_equal(rows, np.arange(len(self.X))) else self.X[rows]

    def labeled_rows(self, places: np.ndarray) -> np.ndarray:
        """Return what is labelled, made points too.

        Parameters
        ----------
        places : int array of shape (n,)
            Places in `y_labeled`.

        Returns
        -------
        X : array of shape (n, ...)
            In the units of the pool.
        """
        places, n_real = np.asarray(places), len(self.labeled)
        real = places < n_real
        found = np.empty((len(places), *self.X.shape[1:]), dtype=np.result_type(self.X, np.float32))
        found[real] = self.X[self.labeled[places[real]]]
        if self._made is not None and not real.all():
            found[~real] = np.asarray(self._made.rows)[places[~real] - n_real]
        return found

    def structure(self) -> float:
        """Return how clearly the codes keep classes apart, 0 to 1: `PseudoLabels.structure` of all labels."""
        if self._structure is None:
            found = self._known_structure()
            self._structure = self._find_structure() if found is None else found
        return self._structure

    def _find_structure(self) -> float:
        spreader, rng = (
            LabelSpreader(n_rows=STRUCTURE_ROWS),
            copy.deepcopy(self.random_state),
        )  # no draw of a query is used up
        rows = self.unlabeled
        rows = rng.choice(rows, size=min(spreader.n_rows, len(rows)), replace=False)
        codes, labeled = self.latent.compared(np.sort(rows)), self.latent.compared_labeled()
        spread = spreader.spread(labeled, self.y_labeled, codes, random_state=rng, device=self.device)
        return spread.structure


def make_snapshot(
    X: np.ndarray,
    labeled: np.ndarray,
    y_labeled: np.ndarray,
    *,
    latent: Callable[[], Encoded],
    network: Callable[[], TaskModel],
    target: BaseTarget | None = None,
    taken: np.ndarray | None = None,
    made: MadePoints | None = None,
    refused: np.ndarray | None = None,
    starts_used: np.ndarray | None = None,
    member: Callable[[int], TaskModel] | None = None,
    known_structure: Callable[[], float | None] | None = None,
    bounds: Callable[[], Bounds] | None = None,
    points_asked: Callable[[], Sequence[np.ndarray]] | None = None,
    as_user_rows: Callable[[np.ndarray], Any] | None = None,
    random_state: np.random.RandomState | int | None = 0,
    device: torch.device | str = "cpu",
) -> Snapshot:
    """Return the snapshot of a campaign, or of a state made up to try a strategy.

    Parameters
    ----------
    X : array of shape (n_rows, ...)
        The pool.
    labeled : int array of shape (n_labeled_rows,), or bool array of shape (n_rows,)
        Rows with a label.
    y_labeled : array of shape (n_labeled,)
        Their labels, then those of made points.
    latent : callable
        Returns the encoded pool; the first call may fit a latent model.
    network : callable
        Returns the model trained on the labels so far; the first call may train it.
    target : BaseTarget, default=None
        The kind of y; None: classes.
    taken : bool array of shape (n_rows,), default=None
        Rows that must not be asked. None: the labelled ones.
    made : MadePoints, default=None
        Labelled points that a strategy made.
    refused : float32 array of shape (n_refused, n_components), default=None
        Codes of made points that the oracle abstained on since the last query.
    starts_used : bool array of shape (n_labeled,), default=None
        Which labelled rows a query started from before; None: none.
    member : callable, default=None
        Trains the committee's model of a number; None: there is no committee.
    known_structure : callable, default=None
        Returns the structure of the codes that the training of the network found, or None.
    bounds : callable, default=None
        Returns the bounds of each feature; None: the range of X.
    points_asked : callable, default=None
        Returns every point that was made and asked so far, as a sequence of rows; None: there are none.
    as_user_rows : callable, default=None
        Turns rows, an array, into the kind that the user passed; None: they are as they are.
    random_state : RandomState, int or None, default=0
    device : torch.device or str, default="cpu"
        Where a strategy may compute.

    Returns
    -------
    snapshot : Snapshot
    """
    if (
        not isinstance(X, np.ndarray | SparseRows) or X.ndim < 2
    ):  # the pool of a campaign is, and was checked when it came in
        found: Any = check_array(to_host(X), allow_nd=True, accept_sparse="csr", input_name="X")
        X = cast("np.ndarray", SparseRows(found)) if issparse(found) else np.asarray(found)
    device, labeled = resolve_device(device), to_host(labeled)
    if isinstance(labeled, np.ndarray) and labeled.dtype == bool:
        labeled = np.flatnonzero(checked_mask("labeled", labeled, len(X)))
    labeled = checked_positions("labeled", labeled, len(X))
    target = Classes() if target is None else target
    y_labeled = target.column(y_labeled, "y_labeled")
    if len(y_labeled) != len(labeled) + (0 if made is None else len(made.rows)):
        raise ValueError(
            f"y_labeled must hold a label for each of {len(labeled)} labelled rows, and then for each made "
            f"point, got {len(y_labeled)}."
        )
    for name, function in (("latent", latent), ("network", network)):
        check_callable(name, function, classes=True)
    if taken is None:
        taken = np.zeros(len(X), dtype=bool)
        taken[labeled] = True
    taken = checked_mask("taken", taken, len(X))
    if len(y_labeled):
        target = target.fitted(y_labeled)
    rng = checked_random_state(random_state)
    latent = _returning("an Encoded pool", "latent", latent, "codes")
    network = _returning("a task model", "network", network, "abilities", "logits", "loss_gradient")
    codes_view = LatentView(
        latent,
        X=X,
        askable=~taken,
        labeled=labeled,
        made=None if made is None else made.codes,
        refused=refused,
        bounds=bounds,
        as_user_rows=as_user_rows,
        random_state=branch(rng),  # ties leave the other draws of a query as they are
    )
    return Snapshot(
        X=X,
        askable=~taken,
        labeled=labeled,
        y_labeled=y_labeled,
        made=made,
        starts_used=np.zeros(len(y_labeled), dtype=bool) if starts_used is None else starts_used,
        target=target,
        latent=codes_view,
        network=NetworkView(
            network,
            member=member,
            X=X,
            labeled=labeled,
            made=None if made is None else made.rows,
            latent=codes_view,
            target=target,
            random_state=rng,
        ),
        random_state=rng,
        device=device,
        known_structure=(lambda: None) if known_structure is None else known_structure,
        points_asked=(lambda: ()) if points_asked is None else points_asked,
        as_user_rows=(lambda rows: rows) if as_user_rows is None else as_user_rows,
    )


def _returning(what: str, name: str, function: Callable[[], Any], *one_of: str) -> Callable[[], Any]:
    """Return the function; what it returns must have one of these attributes."""

    def checked() -> Any:
        found = function()
        if not any(hasattr(found, attribute) for attribute in one_of):
            raise TypeError(f"{name} must return {what}, got {show(found)} of type {type(found).__name__}.")
        return found

    return checked
