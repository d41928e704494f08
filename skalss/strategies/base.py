"""What a strategy sees in one round, and what it returns."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from ..latent import BaseLatentModel
from ..latent.pseudo_labels import LabelSpreader
from ..neighbors import nearest_codes
from ..network.skorch_net import FORWARD_ROWS
from ..network.tasknet import TaskNet
from ..utils.checks import check_positive_int
from ..utils.tensors import as_numpy, as_tensor, chunk_rows, chunks


class Candidates(NamedTuple):
    """The questions of one round: pool rows, points that the strategy made, or both.

    Attributes
    ----------
    ids : int array of shape (n_ids,) or None
        Positions of pool rows; None: there are none.
    codes : float32 array of shape (n_codes, n_components) or None
        Codes of generated points; None: there are none.
    scores : float array of shape (n_ids + n_codes,) or None
        Why each was chosen, in the strategy's own measure; pool rows come first.
    starts : int array of shape (n_ids + n_codes,) or None
        Which labelled row each came from, as a position in ``snapshot.y_labeled``; -1: from none.
    rows : array of shape (n_codes, ...) or None
        The generated points in the units of X; None: what `codes` decode to.
    """

    ids: np.ndarray | None
    codes: np.ndarray | None
    scores: np.ndarray | None = None
    starts: np.ndarray | None = None
    rows: np.ndarray | None = None


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
    rows_generated : array of shape (n_generated, ...), default=None
        The labelled generated points in the units of X; None: there are none.
    refused : float32 array of shape (n_refused, n_components), default=None
        Codes of generated points that the oracle abstained on since the last query; None: there are none.
    structure : callable, default=None
        Gives the structure that the training of the network found, or None where it looked for none.

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
        rows_generated: np.ndarray | None = None,
        refused: np.ndarray | None = None,
        structure: Callable[[], float | None] | None = None,
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
        self._rows_generated = rows_generated
        self._refused = refused
        self._structure = structure
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
    def structure(self) -> float:
        """How clearly the codes keep classes apart, 0 to 1: `PseudoLabels.structure` of all labels."""
        self._network()  # its training may have found it
        found = None if self._structure is None else self._structure()
        if found is not None:
            return found
        spreader, rng = LabelSpreader(), copy.deepcopy(self.random_state)  # no draw of a query is used up
        rows = self.unlabeled
        rows = rng.choice(rows, size=min(spreader.n_rows, len(rows)), replace=False)
        codes = self.codes[np.sort(rows)]
        return spreader.spread(self.codes_labeled, self.y_labeled, codes, device=self.device).structure

    @property
    def refused(self) -> np.ndarray:
        """Codes of generated points that the oracle refused since the last query: float32 array (n, d)."""
        return self.codes[:0] if self._refused is None else self._refused

    def rows_labeled(self, positions: np.ndarray) -> np.ndarray:
        """Give labelled rows, generated points too.

        Parameters
        ----------
        positions : int array of shape (n,)
            Places in `y_labeled`.

        Returns
        -------
        rows : array of shape (n, ...)
            In the units of X.
        """
        positions = np.asarray(positions)
        n_real = len(self.labeled)
        real = positions < n_real
        rows = np.empty((len(positions), *self._X.shape[1:]), dtype=np.result_type(self._X, np.float32))
        rows[real] = self._X[self.labeled[positions[real]]]
        if not real.all():
            rows[~real] = np.asarray(self._rows_generated)[positions[~real] - n_real]
        return rows

    @cached_property
    def spread(self) -> float:
        """Root mean square of the standard deviations of the code's components: the unit of a step."""
        return float(np.sqrt(self._code_variances.mean())) or 1.0

    @cached_property
    def code_scales(self) -> np.ndarray:
        """Standard deviations of the components: float32 array (n_components,); 1 if all are 0."""
        scales = np.sqrt(self._code_variances).astype(np.float32)
        return scales if scales.any() else np.ones_like(scales)

    @cached_property
    def _code_variances(self) -> np.ndarray:
        some = self.codes[:: max(1, len(self.codes) // 100_000)]
        return some.var(axis=0, dtype=np.float64)

    @property
    def has_features(self) -> bool:
        """Whether the network has a last linear layer, whose input `embed` gives."""
        return self._network().head_name_ is not None

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

    def embed_rows(self, rows: np.ndarray) -> np.ndarray:
        """Give the features of rows that need not be in the pool, in the units of X: float32 array."""
        self.network_rows += len(rows)
        return self._network().embed(rows)

    def embed_labeled(self, limit: int = 2000) -> np.ndarray:
        """Give the features of what is labelled, generated points too.

        Parameters
        ----------
        limit : int, default=2000
            Of more labelled rows, so many are drawn at random: a round looks at no more with the network.

        Returns
        -------
        features : float32 array of shape (min(n_labeled, limit), n_hidden)
        """
        positions = np.arange(len(self.y_labeled))
        if len(positions) > limit:
            positions = np.sort(self.random_state.choice(positions, size=limit, replace=False))
        n_real = len(self.labeled)
        real = self.labeled[positions[positions < n_real]]
        features = [self.embed(real)] if len(real) else []
        if positions[-1] >= n_real:
            generated = np.asarray(self._rows_generated)
            features.append(self.embed_rows(generated[positions[positions >= n_real] - n_real]))
        return np.concatenate(features)

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
        members = self._committee(n_members)
        probable = self.task == "classification"
        self.network_rows += (n_members - 1) * len(ids)  # the first pass is counted with the rows
        return np.stack(
            self._over_rows(
                ids,
                lambda rows: tuple(m.predict_proba(rows) if probable else m.predict(rows) for m in members),
            )
        )

    def _committee(self, n_members: int) -> list[TaskNet]:
        if self._member is None:
            raise ValueError("This snapshot was made without a committee; pass member= to Snapshot.")
        while len(self._members) < n_members:
            self._members.append(self._member(len(self._members)))
        return self._members[:n_members]

    def disagreement_gradient(
        self, Z: np.ndarray, n_members: int, *, edited: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of a committee's disagreement, with respect to the code. No label enters it.

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
            `disagreement` of the predictions.
        """
        members = self._committee(n_members)
        self.network_rows += 3 * n_members * len(Z)
        gradients, found = [], []
        for piece in chunks(len(Z), FORWARD_ROWS):
            codes = as_tensor(np.asarray(Z[piece], dtype=np.float32)).requires_grad_()
            with torch.enable_grad():
                rows = self._made(codes, None if edited is None else tuple(part[piece] for part in edited))
                values = disagreement(torch.stack([member.forward(rows) for member in members]))
                (gradient,) = torch.autograd.grad(values.sum(), codes)
            gradients.append(as_numpy(gradient))
            found.append(as_numpy(values.detach()))
        return np.concatenate(gradients), np.concatenate(found)

    def edit(self, rows: np.ndarray, Z_from: np.ndarray, Z_to: np.ndarray) -> np.ndarray:
        """Change rows as decoding changes from one code to another: what a decoder loses, they keep.

        Parameters
        ----------
        rows : array of shape (n, ...)
            In the units of X.
        Z_from, Z_to : arrays of shape (n, n_components)
            `Z_from` are the codes of `rows`.

        Returns
        -------
        edited : float32 array of shape (n, ...)
            No value is outside of the range of its feature in the pool, as far as a row's own values are not.
        """
        size = chunk_rows(self._X.shape[1:])
        with torch.no_grad():
            parts = [
                as_numpy(self._made(as_tensor(np.asarray(Z_to[p], dtype=np.float32)), (rows[p], Z_from[p])))
                for p in chunks(len(rows), size)
            ]
        return np.concatenate(parts)

    def _made(self, codes: Tensor, edited: Any = None) -> Tensor:
        """Decode codes, or edit rows towards them; differentiable with respect to the codes."""
        model = self._latent()[0]
        if edited is None:
            return model.decode(codes)
        rows, Z_from = (as_tensor(np.asarray(part, dtype=np.float32)) for part in edited)
        made = model.edit(rows, Z_from, codes)
        rows = rows.to(made.device)
        low, high = (as_tensor(bound, made.device) for bound in self._range)
        return torch.clamp(made, torch.minimum(rows, low), torch.maximum(rows, high))

    @cached_property
    def _range(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest value of each feature, over up to 10,000 rows spread evenly over the pool."""
        some = np.asarray(self._X[:: max(1, len(self._X) // 10_000)], dtype=np.float32)
        return some.min(axis=0), some.max(axis=0)

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


def disagreement(P: Tensor) -> Tensor:
    """Measure how far the members of a committee are apart.

    Parameters
    ----------
    P : float tensor of shape (n_members, n_rows, n_classes) or (n_members, n_rows)
        Probabilities, or values.

    Returns
    -------
    disagreement : float tensor of shape (n_rows,)
        For probabilities the mean Kullback-Leibler divergence from their mean, in nats: 0 where all members
        agree, at most the logarithm of their number. For values their variance.
    """
    if P.ndim == 2:
        return P.var(dim=0, correction=0)
    # Of the mean, less the mean of each: the same number. `entr` takes no logarithm of 0.
    entropy = torch.special.entr
    return entropy(P.mean(dim=0)).sum(dim=-1) - entropy(P).sum(dim=-1).mean(dim=0)


def check_members(n_members: int) -> None:
    """Refuse a committee of fewer than two."""
    check_positive_int("n_members", n_members)
    if n_members < 2:
        raise ValueError(f"n_members must be at least 2, got {n_members!r}: one network cannot disagree.")


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
