"""What a strategy sees in one round, and what it returns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator

from .._torch import as_numpy, as_tensor, chunk_rows, chunks
from ..latent import BaseLatentModel
from ..neighbors import nearest_codes
from ..tasknet import TaskNet


class Candidates(NamedTuple):
    """The questions of one round.

    Attributes
    ----------
    ids : int array of shape (n,) or None
        Positions of pool rows; None for generated points.
    codes : float32 array of shape (n, n_components) or None
        Codes of generated points; None for pool rows.
    scores : float array of shape (n,) or None
        Why each was chosen, in the strategy's own measure.
    starts : int array of shape (n,) or None
        Which labelled row each came from, as a position in ``snapshot.y_labeled``; -1: from none.
    """

    ids: np.ndarray | None
    codes: np.ndarray | None
    scores: np.ndarray | None = None
    starts: np.ndarray | None = None


class Head(NamedTuple):
    """The last linear layer.

    Attributes
    ----------
    weight : float32 array of shape (n_outputs, n_hidden)
    """

    weight: np.ndarray


class Snapshot:
    """What a strategy may look at in one round: read-only, each part computed when first asked for.

    A strategy that never looks at codes never pays for a latent model, one that never looks at the
    network never pays for training it, and one that never asks for the logits of the whole pool never
    pays for scoring it. In a snapshot and in `Candidates` a row's id is its position in the pool.

    Parameters
    ----------
    task : str
        ``"classification"`` or ``"regression"``.
    X : array of shape (n_samples, ...)
        The pool; may be a memory map.
    taken : bool array of shape (n_samples,)
        Rows that must not be asked: labelled, pending or abstained.
    labeled : int array of shape (n_labeled_rows,)
        Pool rows with a label, in the order they were asked.
    y_labeled : array of shape (n_labeled,)
        Labels of `labeled`, then those of generated points.
    codes_generated : float32 array of shape (n_generated, n_components)
        Codes of the labelled generated points.
    starts_used : bool array of shape (n_labeled,)
        Which labelled rows a query started from before.
    latent : callable
        Gives the fitted latent model and the codes of the pool.
    network : callable
        Gives the TaskNet trained on the labels so far.
    random_state : RandomState
        The only source of chance for this query.
    device : torch.device
        Where neighbours are searched.
    classes : array of shape (n_classes,), default=None
        Labels in the order of the class scores; None: those in `y_labeled`.
    member : callable, default=None
        Trains the committee's network of a number; None: there is no committee.

    Attributes
    ----------
    network_rows : int
        Rows that passed the network for this query; a row whose gradient was taken counts as three, since a
        backward pass costs about two forward passes.
    """

    def __init__(
        self,
        *,
        task: str,
        X: np.ndarray,
        taken: np.ndarray,
        labeled: np.ndarray,
        y_labeled: np.ndarray,
        codes_generated: np.ndarray | None,
        starts_used: np.ndarray,
        latent: Callable[[], tuple[BaseLatentModel, np.ndarray]],
        network: Callable[[], TaskNet],
        random_state: np.random.RandomState,
        device: torch.device,
        classes: np.ndarray | None = None,
        member: Callable[[int], TaskNet] | None = None,
    ):
        self.task = task
        self.labeled = labeled
        self.y_labeled = y_labeled
        self.starts_used = starts_used
        self.random_state = random_state
        self._X = X
        self._taken = taken
        self._codes_generated = codes_generated
        self._latent = latent
        self._network = network
        self._classes = classes
        self._member = member
        self._members: list[TaskNet] = []
        self.device = device
        self.network_rows = 0

    @cached_property
    def askable(self) -> np.ndarray:
        """Which rows may be asked: bool array of shape (n_samples,)."""
        return ~self._taken

    @cached_property
    def unlabeled(self) -> np.ndarray:
        """Positions of the rows that may be asked: int array, ascending."""
        return np.flatnonzero(self.askable)

    @cached_property
    def classes(self) -> np.ndarray:
        """Labels in the order of the class scores: array of shape (n_classes,); classification only."""
        return np.unique(self.y_labeled) if self._classes is None else self._classes

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Give rows of the pool as they are.

        Parameters
        ----------
        ids : int array of shape (n,)

        Returns
        -------
        rows : array of shape (n, ...)
            The pool itself, not a copy, where `ids` are all of it in order.
        """
        return self._X if np.array_equal(ids, np.arange(len(self._X))) else self._X[ids]

    @property
    def codes(self) -> np.ndarray:
        """Codes of the whole pool: float32 array of shape (n_samples, n_components)."""
        return self._latent()[1]

    @cached_property
    def codes_labeled(self) -> np.ndarray:
        """Codes of what is labelled, generated points too: one row for each of `y_labeled`."""
        codes = self.codes[self.labeled]
        generated = self._codes_generated
        return codes if generated is None or len(generated) == 0 else np.concatenate([codes, generated])

    @cached_property
    def spread(self) -> float:
        """Root mean square of the standard deviations of the code's components: the unit of a step."""
        some = self.codes[:: max(1, len(self.codes) // 100_000)]
        return float(np.sqrt(some.var(axis=0, dtype=np.float64).mean())) or 1.0

    @property
    def head(self) -> Head:
        """The last linear layer of the trained network."""
        return Head(self._network().head_weight())

    def logits(self, ids: np.ndarray) -> np.ndarray:
        """Give the network's class scores, or its value for regression.

        Parameters
        ----------
        ids : int array of shape (n,)

        Returns
        -------
        logits : float32 array of shape (n, n_outputs)
        """
        return self._over_rows(ids, lambda rows: (self._network().logits(rows),))[0]

    def embed(self, ids: np.ndarray) -> np.ndarray:
        """Give the features that enter the last linear layer.

        Parameters
        ----------
        ids : int array of shape (n,)

        Returns
        -------
        features : float32 array of shape (n, n_hidden)
        """
        return self._over_rows(ids, lambda rows: (self._network().embed(rows),))[0]

    def outputs(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give what `embed` and `logits` give, from one pass.

        Parameters
        ----------
        ids : int array of shape (n,)

        Returns
        -------
        features : float32 array of shape (n, n_hidden)
        logits : float32 array of shape (n, n_outputs)
        """
        features, logits = self._over_rows(ids, self._network().outputs)
        return features, logits

    def committee(self, ids: np.ndarray, n_members: int) -> np.ndarray:
        """Give what each network of a committee predicts.

        The networks are trained when first asked for, each on as many labelled rows as there are, drawn with
        replacement, and serve for the whole round.

        Parameters
        ----------
        ids : int array of shape (n,)
        n_members : int

        Returns
        -------
        predictions : float array of shape (n_members, n, n_classes) or (n_members, n)
            Probabilities, in the order of `classes`; values in the units of `y` for regression.

        Raises
        ------
        ValueError
            If the snapshot was made without a committee.
        """
        if self._member is None:
            raise ValueError("This snapshot was made without a committee; pass member= to Snapshot.")
        while len(self._members) < n_members:
            self._members.append(self._member(len(self._members)))
        members = self._members[:n_members]
        probable = self.task == "classification"
        self.network_rows += (n_members - 1) * len(ids)  # the first pass is counted with the rows
        return np.stack(
            self._over_rows(
                ids,
                lambda rows: tuple(m.predict_proba(rows) if probable else m.predict(rows) for m in members),
            )
        )

    def loss_gradient(
        self, Z: np.ndarray, y: np.ndarray, return_prediction: bool = False
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Gradient of each row's task loss at the decoded code, with respect to the code.

        Parameters
        ----------
        Z : array of shape (n, n_components)
        y : array of shape (n,)
            Labels that the loss is taken at.
        return_prediction : bool, default=False
            Whether to return what the network predicts at the decoded codes, too.

        Returns
        -------
        gradient : float32 array of shape (n, n_components)
        prediction : array of shape (n,)
            Only with ``return_prediction=True``.
        """
        self.network_rows += 3 * len(Z)
        gradient, prediction = self._network().loss_gradient(self._latent()[0].decode, Z, y)
        return (gradient, prediction) if return_prediction else gradient

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """Decode codes to rows in the units and shape of X.

        Parameters
        ----------
        Z : array of shape (n, n_components)

        Returns
        -------
        rows : float32 array of shape (n, ...)
        """
        model = self._latent()[0]
        with torch.no_grad():
            codes = as_tensor(np.asarray(Z, dtype=np.float32))
            rows = chunk_rows(self._X.shape[1:])
            return np.concatenate([as_numpy(model.decode(codes[p])) for p in chunks(len(Z), rows)])

    def nearest(self, Z: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Find the rows that may be asked nearest to each code.

        Parameters
        ----------
        Z : array of shape (n, n_components)
        k : int, default=1

        Returns
        -------
        ids : int array of shape (n, min(k, n_unlabeled))
            Nearest first.
        distances : float32 array of the same shape
            In the units of the codes.
        """
        return nearest_codes(self.codes, Z, k, allowed=self.askable, device=self.device)

    def _over_rows(self, ids: np.ndarray, function: Callable[[Any], tuple]) -> tuple[np.ndarray, ...]:
        """Apply a function that gives several arrays to rows of the pool, in chunks."""
        ids, rows = np.asarray(ids), chunk_rows(self._X.shape[1:])
        self.network_rows += len(ids)
        parts = [function(self._X[ids[p]]) for p in chunks(len(ids), rows)]
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


class BaseStrategy(BaseEstimator):
    """Base of all strategies: how the next rows to label are chosen.

    A strategy only stores its parameters: what it must remember between rounds is in the snapshot.

    Attributes
    ----------
    tasks : set of str
        The tasks it serves: ``"classification"``, ``"regression"`` or both.
    generates_points : bool
        Whether it asks for points that are not in the pool.
    needs_labels : bool
        Whether it looks at labels or at the network. One that does not can choose the first rows.
    """

    tasks: frozenset[str] = frozenset({"classification", "regression"})
    generates_points: bool = False
    needs_labels: bool = True

    def check(self) -> None:
        """Refuse a wrong parameter; called before anything is trained. Does nothing by default."""

    @abstractmethod
    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose what to label next.

        Parameters
        ----------
        snapshot : Snapshot
        n : int
            How many are wanted.

        Returns
        -------
        candidates : Candidates
            No duplicates, only rows of ``snapshot.unlabeled``; fewer than `n` only if fewer are left.
        """
