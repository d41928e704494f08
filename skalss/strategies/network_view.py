"""The network's half of a snapshot: scores, features, gradients and a committee."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..network import TaskModel
from ..network.skorch_net import FORWARD_ROWS
from ..targets import BaseTarget
from ..utils.progress import track, track_chunks
from ..utils.tensors import as_numpy, as_tensor, chunk_rows, chunks
from .latent_view import Edited, LatentView

GRADIENT_COMPONENTS = 256  # with 512, as published, LCMD chose no better on the tables
LABELED_ROWS = 2000  # with more, so many are drawn at random: a round looks at no more with the network


class NetworkView:
    """What a strategy may ask of the network. A strategy that never asks pays for no training.

    Parameters
    ----------
    train : callable
        Returns the model trained on the labels so far; the first call may train it.
    member : callable or None
        Returns the committee's model of a number, trained; None: there is no committee.
    X : array of shape (n_rows, ...)
        The pool; may be a memory map.
    labeled : int array of shape (n_labeled_rows,)
        Rows with a label.
    made : array of shape (n_made, ...) or None
        Labelled points that a strategy made, in the units of X.
    latent : LatentView
        Decodes the codes that gradients are taken at.
    target : BaseTarget
    random_state : RandomState

    Attributes
    ----------
    n_rows : int
        Rows that passed the network for this query; a row whose gradient was taken counts as three, since a
        backward pass costs about two forward passes.
    """

    def __init__(
        self,
        train: Callable[[], TaskModel],
        *,
        member: Callable[[int], TaskModel] | None,
        X: np.ndarray,
        labeled: np.ndarray,
        made: np.ndarray | None,
        latent: LatentView,
        target: BaseTarget,
        random_state: np.random.RandomState,
    ):
        self._train, self._member, self._X, self._labeled, self._made = train, member, X, labeled, made
        self._latent, self._target, self._random_state = latent, target, random_state
        self._members: list[TaskModel] = []
        self._seed: int | None = None  # of the projections of gradients
        self.n_rows = 0

    def model(self) -> TaskModel:
        """Return the trained model itself; what a strategy has it do is not counted in `n_rows`."""
        return self._train()

    def can(self, ability: str) -> bool:
        """Whether the network has one of the abilities of `TaskModel`, such as "features"."""
        return ability in self._train().abilities

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Return the network's class scores, or its value for regression.

        Parameters
        ----------
        rows : int array of shape (n,)

        Returns
        -------
        logits : float32 array of shape (n, n_outputs, ...)
        """
        return self._over_rows(rows, lambda X: (self._train().logits(X),))[0]

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return what enters the last linear layer.

        Parameters
        ----------
        rows : int array of shape (n,)

        Returns
        -------
        features : float32 array of shape (n, n_hidden)
        """
        return self._over_rows(rows, lambda X: (self._train().features(X),))[0]

    def features_and_logits(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what `features` and `logits` return, from one pass.

        Parameters
        ----------
        rows : int array of shape (n,)

        Returns
        -------
        features : float32 array of shape (n, n_hidden)
        logits : float32 array of shape (n, n_outputs)
        """
        features, logits = self._over_rows(rows, self._train().features_and_logits)
        return features, logits

    def of_logits(
        self, rows: np.ndarray, function: Callable[[Tensor], tuple[np.ndarray, ...]]
    ) -> tuple[np.ndarray, ...]:
        """Return what a function makes of class scores, chunk by chunk, as those of masks are too many.

        Parameters
        ----------
        rows : int array of shape (n,)
        function : callable
            From a float32 tensor (n_chunk, n_outputs, ...) to arrays (n_chunk, ...).

        Returns
        -------
        made : tuple of arrays of shape (n, ...)
        """
        return self._over_rows(rows, lambda X: function(as_tensor(self._train().logits(X))))

    def with_features(
        self, rows: np.ndarray, function: Callable[[Tensor], tuple[np.ndarray, ...]]
    ) -> tuple[Any, ...]:
        """Return the features of rows, and what a function makes of their class scores, from one pass.

        Parameters
        ----------
        rows : int array of shape (n,)
        function : callable
            As for `of_logits`.

        Returns
        -------
        features : float32 array of shape (n, n_hidden) or None
            None where the network has none.
        made : arrays of shape (n, ...), one after the other
        """
        if not self.can("features"):
            return None, *self.of_logits(rows, function)

        def both(X: np.ndarray) -> tuple[np.ndarray, ...]:
            found, logits = self._train().features_and_logits(X)
            return found, *function(as_tensor(logits))

        return self._over_rows(rows, both)

    def features_of(self, X: np.ndarray) -> np.ndarray:
        """Return the features of rows that need not be in the pool.

        Parameters
        ----------
        X : array of shape (n, ...)
            In the units of the pool.

        Returns
        -------
        features : float32 array of shape (n, n_hidden)
        """
        self.n_rows += len(X)
        return self._train().features(X)

    def labeled_features(self, limit: int = LABELED_ROWS) -> np.ndarray:
        """Return the features of what is labelled, made points too.

        Parameters
        ----------
        limit : int, default=2000
            With more labelled rows, so many are drawn at random.

        Returns
        -------
        features : float32 array of shape (min(n_labeled, limit), n_hidden)
        """
        return self._of_labeled(limit, self.features, self.features_of)

    def head_weight(self) -> np.ndarray:
        """Return the weights of the last linear layer: float32 array of shape (n_outputs, n_hidden)."""
        return self._train().head_weight()

    # -- sketched gradients -----------------------------------------------------------------------

    def gradients(self, rows: np.ndarray) -> np.ndarray:
        """Return sketches of the gradients of the network's output with respect to its weights.

        Parameters
        ----------
        rows : int array of shape (n,)

        Returns
        -------
        gradients : float32 array of shape (n, 256)
            See `TaskNet.gradients`. All of a query have the same projections.
        """
        self.n_rows += 2 * len(rows)  # the first pass is counted with the rows
        return self._over_rows(rows, lambda X: (self._gradients(X),))[0]

    def gradients_of(self, X: np.ndarray) -> np.ndarray:
        """Return sketched gradients of rows that need not be in the pool; `X` as in `features_of`."""
        self.n_rows += 3 * len(X)
        return self._gradients(X)

    def labeled_gradients(self, limit: int = LABELED_ROWS) -> np.ndarray:
        """Return sketched gradients of what is labelled, made points too.

        Parameters
        ----------
        limit : int, default=2000
            With more labelled rows, so many are drawn at random.

        Returns
        -------
        gradients : float32 array of shape (min(n_labeled, limit), 256)
        """
        return self._of_labeled(limit, self.gradients, self.gradients_of)

    def _gradients(self, X: np.ndarray) -> np.ndarray:
        if self._seed is None:
            self._seed = int(self._random_state.randint(2**31 - 1))
        return self._train().gradients(X, GRADIENT_COMPONENTS, random_state=self._seed)

    def _of_labeled(
        self,
        limit: int,
        of_rows: Callable[[np.ndarray], np.ndarray],
        of_points: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Apply functions to labelled rows of the pool and to made points; to so many of both at most."""
        n_real, n_made = len(self._labeled), 0 if self._made is None else len(self._made)
        places = np.arange(n_real + n_made)
        if len(places) > limit:
            places = np.sort(self._random_state.choice(places, size=limit, replace=False))
        real, made = places[places < n_real], places[places >= n_real] - n_real
        parts = [of_rows(self._labeled[real])] if len(real) else []
        if len(made):
            parts.append(of_points(np.asarray(self._made)[made]))
        return np.concatenate(parts)

    # -- a committee ------------------------------------------------------------------------------

    def committee(self, rows: np.ndarray, n_members: int) -> np.ndarray:
        """Return what each network of a committee predicts.

        The networks are trained when first asked for, each on as many labelled rows as there are, drawn with
        replacement, and serve for the whole round.

        Parameters
        ----------
        rows : int array of shape (n,)
        n_members : int

        Returns
        -------
        predictions : float array of shape (n_members, n, n_classes) or (n_members, n)
            Probabilities, or values in the units of `y`.

        Raises
        ------
        ValueError
            If the snapshot was made without a committee.
        """
        members = self._committee(n_members)
        self.n_rows += (n_members - 1) * len(rows)  # the first pass is counted with the rows
        return np.stack(
            self._over_rows(rows, lambda X: tuple(self._target.believed_by(m, X) for m in members))
        )

    def disagreement(self, rows: np.ndarray, n_members: int) -> tuple[np.ndarray, float]:
        """Return how far the networks of a committee are apart on each row; see `committee`.

        Parameters
        ----------
        rows : int array of shape (n,)
        n_members : int

        Returns
        -------
        disagreement : float64 array of shape (n,)
        largest : float
            The largest absolute number that any of them predicts.
        """
        members = self._committee(n_members)
        self.n_rows += (n_members - 1) * len(rows)
        largest = [0.0]

        def look(X: np.ndarray) -> tuple[np.ndarray, ...]:
            beliefs = np.stack([self._target.believed_by(member, X) for member in members])
            largest.append(float(np.abs(beliefs).max(initial=0.0)))
            apart = self._target.disagreement(as_tensor(beliefs).double())
            return (as_numpy(apart, dtype=torch.float64),)

        return self._over_rows(rows, look)[0], max(largest)

    def _committee(self, n_members: int) -> list[TaskModel]:
        if self._member is None:
            raise ValueError("This snapshot was made without a committee; pass member= to make_snapshot.")
        missing = range(len(self._members), n_members)
        self._members += [self._member(i) for i in track(missing, "train a committee", unit="network")]
        return self._members[:n_members]

    # -- gradients --------------------------------------------------------------------------------

    def loss_gradient(self, Z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient of each row's task loss at the decoded code, with respect to the code.

        Parameters
        ----------
        Z : array of shape (n, n_components)
        y : array of shape (n,)
            Labels that the loss is taken at.

        Returns
        -------
        gradient : float32 array of shape (n, n_components)
        prediction : array of shape (n,)
            What the network predicts at the decoded codes.
        """
        self.n_rows += 3 * len(Z)
        return self._train().loss_gradient(self._latent.decode_tensor, Z, y)

    def disagreement_gradient(
        self, Z: np.ndarray, n_members: int, *, edited: Edited | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient of a committee's disagreement, with respect to the code. No label enters it.

        Parameters
        ----------
        Z : array of shape (n, n_components)
        n_members : int
        edited : tuple of arrays of shape (n, ...) and (n, n_components), default=None
            Rows and their codes: disagreement is taken at these rows, edited as decoding changes from their
            codes to `Z`. None: at the decoded `Z`.

        Returns
        -------
        gradient : float32 array of shape (n, n_components)
        disagreement : float array of shape (n,)
        """
        members = self._committee(n_members)
        self.n_rows += 3 * n_members * len(Z)
        gradients, found = [], []
        for piece in chunks(len(Z), FORWARD_ROWS):
            codes = as_tensor(np.asarray(Z[piece], dtype=np.float32)).requires_grad_()
            part = None if edited is None else (edited[0][piece], edited[1][piece], *edited[2:])
            with torch.enable_grad():
                rows = self._latent.decode_tensor(codes, part)
                beliefs = torch.stack([member.forward(rows) for member in members])
                values = self._target.disagreement(beliefs)
                (gradient,) = torch.autograd.grad(values.sum(), codes)
            gradients.append(as_numpy(gradient))
            found.append(as_numpy(values.detach()))
        return np.concatenate(gradients), np.concatenate(found)

    def _over_rows(
        self, rows: np.ndarray, function: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    ) -> tuple[np.ndarray, ...]:
        """Apply a function that returns several arrays to rows of the pool, in chunks."""
        rows, size = np.asarray(rows), chunk_rows(self._X.shape[1:])
        self.n_rows += len(rows)
        parts = [function(self._X[rows[p]]) for p in track_chunks(len(rows), size, "look at rows")]
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
