"""The two models of a campaign, fitted when first asked for: the latent model and the task network."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from ..latent import VAE, BaseLatentModel, ConvVAE
from ..latent.pseudo_labels import make_pseudo_labels
from ..network.epochs import Pseudo
from ..network.tasknet import TaskNet
from ..utils.devices import resolve_device
from ..utils.interrupt import noticing_ctrl_c
from ..utils.seeds import derive_seed
from ..utils.tensors import as_numpy, as_tensor
from .pool import Pool
from .questions import GENERATED
from .records import Records


class Models:
    """Latent model and network over a pool and what is labelled of it.

    Parameters
    ----------
    sampler : AdaptiveLatentSampler
    pool : Pool
    records : Records
    seed : int
    """

    def __init__(self, sampler: Any, pool: Pool, records: Records, seed: int):
        self.sampler, self.pool, self.records, self.seed = sampler, pool, records, seed
        self.spreader = make_pseudo_labels(sampler.pseudo_labels, pool.task, sampler.strategy)
        self.device = resolve_device(sampler.device)
        self.latent_model: BaseLatentModel | None = None
        self.codes: np.ndarray | None = None
        self.trained: TaskNet | None = None
        self.interrupted = False
        self.n_pseudo = 0  # rows with pseudo-labels in the last training
        self.structure: float | None = None  # of the codes, if labels were spread over them for it
        self._accepted: TaskNet | None = None  # what the next round goes on from
        self._n_seen: int | None = None  # labels the network has seen

    @property
    def has_codes(self) -> bool:
        """Whether the latent model is fitted, and the pool encoded."""
        return self.latent_model is not None and self.codes is not None

    def latent(self) -> tuple[BaseLatentModel, np.ndarray]:
        """Give the latent model, fitted on the pool at the first call, and the codes of the pool."""
        if self.latent_model is None or self.codes is None:
            default = VAE() if self.pool.X.ndim == 2 else ConvVAE()
            model = clone(default if self.sampler.latent_model is None else self.sampler.latent_model)
            set_known(model, device=self.sampler.device, random_state=derive_seed(self.seed, "latent model"))
            model.fit(self.pool.user_X, None)  # a FrozenEstimator wants y too
            self.codes = np.asarray(model.transform(self.pool.user_X), dtype=np.float32)
            self.latent_model = model
        return self.latent_model, self.codes

    def rehearse(self) -> None:
        """Pass two rows through an untrained network: no label is bought for one that does not fit."""
        classes = self.pool.classes if self.pool.classes is not None else np.arange(2)
        self._new_network().rehearse(self.pool.X[:2], classes)
        if self.sampler.latent_model is not None:
            self._check_latent_model(self.sampler.latent_model)

    def _check_latent_model(self, model: Any) -> None:
        missing = [name for name in ("fit", "transform", "decode") if not hasattr(model, name)]
        if missing:
            raise TypeError(
                f"latent_model must be a latent model or None, got {model!r}, which has no "
                f"{' or '.join(missing)}. Use one of skalss.latent: VAE, ConvVAE, LinearLatent (PCA), or "
                "PretrainedLatent around modules of yours."
            )
        if isinstance(model, FrozenEstimator):
            # Raises if it is not fitted, or to other rows.
            model.transform(self.pool.user_rows(np.arange(min(2, len(self.pool)))))

    def is_current(self) -> bool:
        """Whether a network has seen every label that is not held out."""
        return self.trained is not None and self._n_seen == len(self.records.labels())

    def network(self, round_: int) -> TaskNet:
        """Give the network, trained first where there are new labels.

        A network that was given out is never changed: with `continue_training` a copy goes on, and it
        goes on from the last one that `advance` accepted, so that looking in between changes nothing.
        """
        if not self.is_current():
            y = self._labels()
            self.trained = self._train(self.records.positions(), y, round_)
            self._n_seen = len(y)
        assert self.trained is not None
        return self.trained

    def final(self, round_: int) -> TaskNet:
        """Train a network on every label, those held out, too. Nothing goes on from it."""
        positions = self.records.positions(held_out=True)
        return self._train(positions, self._labels(held_out=True), round_)

    def member(self, number: int, round_: int) -> TaskNet:
        """Train a fresh network on as many rows as are labelled, drawn with replacement."""
        X, y = self._training_rows(self.records.positions(), self._labels())
        rng = np.random.RandomState(derive_seed(self.seed, f"committee {number}", round_))
        rows = rng.randint(len(y), size=len(y))
        network = self._new_network().set_params(random_state=int(rng.randint(2**31 - 1)))
        # Every member has an output for each class, even for one that its rows miss.
        classes = np.unique(y) if self.pool.classes is None else self.pool.classes
        with noticing_ctrl_c():
            network._train(X[rows], y[rows], fresh=True, classes=classes, scaling=self.pool.scaling)
        return network

    def _labels(self, held_out: bool = False) -> np.ndarray:
        labels = self.records.labels(held_out=held_out)
        if not labels:
            raise ValueError(
                "There is no label to train on yet. tell() at least one label first; abstentions and "
                "failures do not count."
            )
        return self.pool.as_labels(labels)

    def advance(self) -> None:
        """Accept the network as the one that the next round goes on from."""
        self._accepted = self.trained

    def _train(self, positions: np.ndarray, y: np.ndarray, round_: int) -> TaskNet:
        fresh = self._accepted is None or not self.sampler.continue_training or self._has_new_class(y)
        network = self._new_network() if fresh else copy.deepcopy(self._accepted)
        assert network is not None
        network.set_params(random_state=derive_seed(self.seed, "network", round_))
        pseudo = self._pseudo(positions, y, round_)
        X, y = self._training_rows(positions, y)
        with noticing_ctrl_c():
            network._train(
                X, y, fresh=fresh, classes=self.pool.classes, scaling=self.pool.scaling, pseudo=pseudo
            )
        return network

    def _pseudo(self, positions: np.ndarray, y: np.ndarray, round_: int) -> Pseudo | None:
        """Give rows of the pool with pseudo-labels to start the training with, if it is asked for."""
        if self.spreader is None or (self.interrupted and self.codes is None):
            return None
        codes = self.latent()[1]
        rng = np.random.RandomState(derive_seed(self.seed, "pseudo-labels", round_))
        # Nor on control rows, in any way: they stand for rows that no network has seen.
        control = [q.position for q in self.records.questions if q.control]
        free = np.setdiff1d(np.arange(len(self.pool)), [*positions, *control])
        free = np.sort(rng.choice(free, size=min(self.spreader.n_rows, len(free)), replace=False))
        generated = [q.code[None] for q in self.records.labelled(GENERATED)]
        labelled = np.concatenate([codes[positions], *generated])
        with torch.no_grad():
            rows = as_numpy(self.pool.scaling(as_tensor(self._labelled_rows(positions))))
        found = self.spreader.spread(labelled, y, codes[free], rows_labeled=rows, device=self.device)
        self.n_pseudo, self.structure = len(found.rows), found.structure
        if not self.n_pseudo:
            return None
        return Pseudo(self.pool.X[free[found.rows]], found.labels, self.spreader.until)

    def _has_new_class(self, y: np.ndarray) -> bool:
        """Whether a class turned up that the network has no output for."""
        known = getattr(self._accepted, "classes_", None)
        return known is not None and not np.isin(y, known).all()

    def _new_network(self) -> TaskNet:
        estimator = self.sampler.estimator
        network = estimator if isinstance(estimator, TaskNet) else TaskNet(estimator)
        return clone(network).set_params(device=self.sampler.device)

    def _training_rows(self, positions: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give the labelled rows as they are, decoded from their codes, or both one after the other."""
        parts = []
        # After Ctrl-C nobody waits for a latent model that is not there yet.
        decoded = self.sampler.train_on != "original" and not (self.interrupted and self.codes is None)
        if self.sampler.train_on != "decoded" or not decoded:
            parts.append(self._labelled_rows(positions))
        if decoded:
            model, codes = self.latent()
            generated = [q.code[None] for q in self.records.labelled(GENERATED)]
            parts.append(np.asarray(model.inverse_transform(np.concatenate([codes[positions], *generated]))))
        return np.concatenate(parts), np.concatenate([y] * len(parts))

    def _labelled_rows(self, positions: np.ndarray) -> np.ndarray:
        rows = np.asarray(self.pool.X[positions])
        generated = [q.row[None] for q in self.records.labelled(GENERATED)]
        return np.concatenate([rows, *generated]) if generated else rows


def set_known(model: Any, **settings: Any) -> None:
    """Set the parameters that the model has; a frozen model keeps its own."""
    known = model.get_params(deep=False)
    model.set_params(**{name: value for name, value in settings.items() if name in known})
