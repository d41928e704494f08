"""The two models of a campaign, fitted when first asked for: the latent model and the task model."""

from __future__ import annotations

import copy
import math
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator

from ..latent import BaseLatentModel, LabelSpreader, can_decode, default_latent_model, no_decoder
from ..network import TaskModel, make_task_model
from ..network.epochs import Pseudo
from ..strategies import BaseStrategy, Encoded
from ..utils.checks import checked_codes
from ..utils.devices import resolve_device
from ..utils.interrupt import noticing_ctrl_c
from ..utils.seeds import derive_seed, seed_parts
from ..utils.surroundings import usual_numerics
from ..utils.tensors import as_numpy, as_tensor, to_host
from .cache import Cache, NoCache, keep_latent, recall_latent
from .history import History
from .pool import Pool
from .questions import GENERATED
from .records import Records

TRAIN_ON = ("original", "decoded", "both")
LATENT_ROWS = 16  # of a rehearsal


class Models:
    """Latent model and task model over a pool and what is labelled of it. They note their own seconds.

    Parameters
    ----------
    pool : Pool
    records : Records
    history : History
    estimator, latent_model
        As in the sampler.
    train_on : {"original", "decoded", "both"}
    spreader : LabelSpreader or None
        Makes pseudo-labels.
    no_spreader : str
        Why there is none.
    seed : int
    cache : Cache or NoCache
        Where the fitted latent model and the codes are kept.

    Attributes
    ----------
    trained : TaskModel or None
        The model of the labels seen last.
    encoded : Encoded or None
        The pool in its latent space, once something needed it.
    structure : float or None
        Of the codes, if labels were spread over them for the last training.
    """

    no_spreader = "off"  # for campaigns saved by an earlier version

    def __init__(
        self,
        pool: Pool,
        records: Records,
        history: History,
        *,
        estimator: BaseEstimator | None,
        latent_model: BaseEstimator | None,
        train_on: Literal["original", "decoded", "both"],
        spreader: LabelSpreader | None,
        no_spreader: str = "off",
        seed: int,
        cache: Cache | NoCache,
    ):
        self.pool, self.records, self.history, self.seed = pool, records, history, seed
        self.cache = cache
        self.template = make_task_model(estimator)
        self.device = resolve_device(getattr(self.template, "device", "auto"))
        self.given_latent_model = latent_model
        self.train_on, self.spreader, self.no_spreader = train_on, spreader, no_spreader
        self.encoded: Encoded | None = None
        self.trained: TaskModel | None = None
        self.structure: float | None = None
        self.interrupted = False
        self._accepted: TaskModel | None = None  # what the next round goes on from
        self._seen: tuple[int, int] | None = None  # key of the labels the network has seen

    def __getstate__(self) -> dict[str, Any]:
        """Pickle all but codes that were given with the pool: they come with it again."""
        given = self.encoded is not None and self.encoded.model is None
        return {**vars(self), "encoded": None} if given else dict(vars(self))

    # -- before anything is bought ----------------------------------------------------------------

    def rehearse(self, X: np.ndarray, y: np.ndarray) -> TaskModel:
        """Train a copy of the network for a moment: no label is bought for one that fails.

        Parameters
        ----------
        X : array of shape (n_samples, ...)
            Rows of the pool.
        y : array of shape (n_samples,)
            Made-up labels.

        Returns
        -------
        trial : TaskModel
        """
        pseudo = None if self.spreader is None else Pseudo(X[:2], y[:2], self.spreader.until)
        with noticing_ctrl_c():
            return self.template.rehearse(X, y, self.pool.target, pseudo=pseudo)

    def rehearse_latent(
        self, *, used: bool, decoding: BaseStrategy | None = None, network: TaskModel | None = None
    ) -> None:
        """Fit a copy of the latent model to a few rows, where it will be used.

        Parameters
        ----------
        used : bool
            Whether a strategy looks at them.
        decoding : BaseStrategy, default=None
            One that decodes.
        network : TaskModel, default=None
            From `rehearse`; it is tried whether it can start from the encoder, where it will.
        """
        given = self.given_latent_model
        if given is not None:
            self._check_latent_model(given)
        model = default_latent_model(self.pool.X.ndim) if given is None else given
        self._check_decoder(None if self.pool.codes is not None else model, decoding)
        if self._starts_from_latent and not self._has_encoder(model):
            got = "codes=" if self.pool.codes is not None else repr(model)
            raise ValueError(
                f"init_from_latent=True starts the network from the latent model's encoder, and {got} has "
                "none. Use a latent model with an encoder_, such as ContrastiveLatent, or leave it out."
            )
        used = used or self.spreader is not None or self.train_on != "original" or self._starts_from_latent
        if not used or isinstance(model, FrozenEstimator) or self.pool.codes is not None:
            return
        trial = _seeded(clone(model), 0)
        if isinstance(model, BaseLatentModel):
            trial.rehearse(np.asarray(self.pool.X[:LATENT_ROWS]))
            if self._starts_from_latent and network is not None:
                network.start_from(trial.encoder_)  # trained already: refused if they do not fit
            return
        rows = self.pool.user_rows(np.arange(min(LATENT_ROWS, len(self.pool))))
        try:
            _codes_of(trial.fit(rows, None), rows)
        except Exception:  # it may want more rows than these: all of them, before the first question
            self.latent()

    @property
    def _starts_from_latent(self) -> bool:
        return bool(getattr(self.template, "init_from_latent", False))

    def _has_encoder(self, model: BaseEstimator) -> bool:
        inner = model.estimator if isinstance(model, FrozenEstimator) else model
        return self.pool.codes is None and bool(getattr(inner, "has_encoder", False))

    def _started(self, network: TaskModel) -> TaskModel:
        """Let a fresh network start from the encoder, where it is to."""
        if self._starts_from_latent and not (self.interrupted and self.encoded is None):
            model: Any = self.latent().model
            inner = model.estimator if isinstance(model, FrozenEstimator) else model
            network.start_from(inner.encoder_)
        return network

    def _check_decoder(self, model: BaseEstimator | None, decoding: BaseStrategy | None) -> None:
        """Refuse what decodes, where nothing can."""
        trains = self.train_on != "original"
        if trains and not (can_decode(model) and hasattr(model, "inverse_transform")):
            wanted, way = f"train_on={self.train_on!r} trains on decoded rows", "train_on='original'"
        elif decoding is not None and not can_decode(model):
            wanted, way = f"{decoding} decodes codes", "a strategy that does not, such as 'auto' or 'margin'"
        else:
            return
        raise ValueError(
            f"{wanted}. {no_decoder(model)}. Use {way}, or a latent model with a decoder: VAE, ConvVAE, "
            "LinearLatent (PCA), or PretrainedLatent(encoder, decoder)."
        )

    def _check_latent_model(self, model: BaseEstimator) -> None:
        missing = [name for name in ("fit", "transform", "get_params") if not hasattr(model, name)]
        if isinstance(model, type):
            raise TypeError(
                f"latent_model must be a latent model or None, got the class {model.__name__}. Pass an "
                f"instance, {model.__name__}(...)."
            )
        if missing:
            raise TypeError(
                f"latent_model must be a latent model or None, got {model!r}, which has no "
                f"{' or '.join(missing)}. Use one of skalss.latent: VAE, ConvVAE, LinearLatent (PCA), or "
                "PretrainedLatent around modules of yours; or a transformer of scikit-learn."
            )
        if isinstance(model, FrozenEstimator):
            # Raises if it is not fitted, or to other rows.
            model.transform(self.pool.user_rows(np.arange(min(2, len(self.pool)))))

    # -- the latent model -------------------------------------------------------------------------

    @property
    def latent_model(self) -> BaseEstimator | None:
        """The fitted latent model; None if nothing needed one, or codes were given."""
        return None if self.encoded is None else self.encoded.model

    def latent(self) -> Encoded:
        """Return the pool in its latent space; the latent model is fitted at the first call."""
        if self.encoded is None:
            with self.history.timing("latent_seconds"):
                self.encoded = self._encode()
        return self.encoded

    def _encode(self) -> Encoded:
        given, pool = self.given_latent_model, self.pool
        if pool.codes is not None:
            return Encoded(None, pool.codes, self.device)
        model = clone(default_latent_model(pool.X.ndim) if given is None else given)
        model = _seeded(model, derive_seed(self.seed, "latent model"))
        inner = model.estimator if isinstance(model, FrozenEstimator) else model
        if not _takes_checked_rows(inner):
            model.fit(pool.user_X, None)
            return Encoded(model, _codes_of(model, pool.user_X), self.device)
        known = recall_latent(self.cache, model, pool)
        if known is not None:
            return Encoded(*known, self.device)
        if inner is model:
            inner.fit_rows(pool.X, seen=pool.seen, scaling=pool.scaling)
        codes = inner.encode_rows(pool.X)
        keep_latent(self.cache, model, codes, pool)
        return Encoded(model, codes, self.device)

    # -- the task model ---------------------------------------------------------------------------

    def is_current(self) -> bool:
        """Whether a network has seen every label that is not held out."""
        return self.trained is not None and self._seen == self.records.labels_key()

    def network(self) -> TaskModel:
        """Return the network, trained first where there are new labels.

        A network that was handed out is never changed: with a warm start a copy goes on, and it goes on from
        the last one that `advance` accepted, so that looking in between changes nothing.

        Raises
        ------
        ValueError
            If there is no label yet.
        """
        if not self.is_current():
            y = self._labels()
            self.trained, n_pseudo, reason = self._train(self.records.positions(), y)
            self._seen, line = self.records.labels_key(), self.history.now()
            line.n_pseudo, line.pseudo_reason = n_pseudo, reason
        assert self.trained is not None
        return self.trained

    def final(self) -> TaskModel:
        """Return a network trained on every label, those held out, too. Nothing goes on from it."""
        if not self.records.held_out():
            return self.network()
        return self._train(self.records.positions(held_out=True), self._labels(held_out=True))[0]

    def member(self, number: int) -> TaskModel:
        """Return a fresh network trained on as many rows as are labelled, drawn with replacement."""
        if self.train_on != "original" or self._starts_from_latent:
            self.latent()
        with self.history.timing("fit_seconds"), noticing_ctrl_c():
            X, y = self._training_rows(self.records.positions(), self._labels())
            rng = np.random.RandomState(derive_seed(self.seed, f"committee {number}", self.records.round))
            rows = rng.randint(len(y), size=len(y))
            network = self._started(clone(self.template))
            network.set_params(random_state=int(rng.randint(2**31 - 1)))
            # Every member has an output for each class, even for one that its rows miss.
            target = self.pool.target.fitted(y)
            return network.fit_rows(X[rows], y[rows], target=target, scaling=self.pool.scaling)

    def known_structure(self) -> float | None:
        """Return the structure of the codes that the training of the network found, or None."""
        self.network()
        return self.structure

    def advance(self) -> None:
        """Accept the network as the one that the next round goes on from."""
        if self.template.warm_start:
            self._accepted = self.network()

    def _labels(self, held_out: bool = False) -> np.ndarray:
        labels = self.records.labels(held_out=held_out)
        if not labels:
            raise ValueError(
                "There is no label to train on yet. tell() at least one label first; abstentions and "
                "failures do not count."
            )
        return self.pool.target.as_array(labels)

    def _train(self, positions: np.ndarray, y: np.ndarray) -> tuple[TaskModel, int, str]:
        """Train on these rows; return the network, how many pseudo-labels it got, and why."""
        encoding = self.spreader is not None or self.train_on != "original" or self._starts_from_latent
        if not self.interrupted and encoding:
            self.latent()  # ahead of the training, so that the seconds are told apart
        with self.history.timing("fit_seconds"), noticing_ctrl_c():
            fresh = self._accepted is None or self._has_new_class(y)
            with usual_numerics(keep_dtype=True):  # a copy made in inference mode could not be trained
                network = self._started(clone(self.template)) if fresh else copy.deepcopy(self._accepted)
            assert network is not None
            network.set_params(random_state=derive_seed(self.seed, "network", self.records.round))
            pseudo, reason = self._pseudo(positions, y)
            X, y = self._training_rows(positions, y)
            network.fit_rows(
                X, y, fresh=fresh, target=self.pool.target, scaling=self.pool.scaling, pseudo=pseudo
            )
        return network, 0 if pseudo is None else len(pseudo.y), reason

    def _pseudo(self, positions: np.ndarray, y: np.ndarray) -> tuple[Pseudo | None, str]:
        """Return rows of the pool with pseudo-labels to start the training with; or None, and why."""
        if self.spreader is None:
            return None, self.no_spreader
        if self.interrupted and self.encoded is None:
            return None, "interrupted before there were codes"
        encoded = self.latent()
        compared, codes = encoded.geometry(), encoded.codes
        # Known before a graph is built. A spreader of a user's own may have no such limit.
        if compared.hubness > getattr(self.spreader, "max_hubness", math.inf):
            self.structure = None
            return None, f"some codes are neighbours of nearly all: hubness {compared.hubness:.2f}"
        rng = np.random.RandomState(derive_seed(self.seed, "pseudo-labels", self.records.round))
        # Nor on control rows, in any way: they stand for rows that no network has seen.
        control = [q.position for q in self.records.questions if q.control]
        free = np.setdiff1d(np.arange(len(self.pool)), [*positions, *control])
        free = np.sort(rng.choice(free, size=min(self.spreader.n_rows, len(free)), replace=False))
        generated = [q.code[None] for q in self.records.labelled(GENERATED)]
        labelled = compared(np.concatenate([codes[positions], *generated]))
        with torch.no_grad():
            rows = as_numpy(self.pool.scaling(as_tensor(self._labelled_rows(positions))))
        found = self.spreader.spread(
            labelled, y, compared(codes[free]), rows_labeled=rows, random_state=rng, device=self.device
        )
        self.structure = found.structure
        if not len(found.rows):
            return None, found.reason
        return Pseudo(self.pool.X[free[found.rows]], found.labels, self.spreader.until), found.reason

    def _has_new_class(self, y: np.ndarray) -> bool:
        """Whether a class turned up that the network has no output for."""
        return self._accepted is not None and self._accepted.target_.has_new(y)

    def _training_rows(self, positions: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the labelled rows as they are, decoded from their codes, or both one after the other."""
        parts = []
        # After Ctrl-C nobody waits for a latent model that is not there yet.
        decoded = self.train_on != "original" and not (self.interrupted and self.encoded is None)
        if self.train_on != "decoded" or not decoded:
            parts.append(self._labelled_rows(positions))
        if decoded:
            encoded = self.latent()
            generated = [q.code[None] for q in self.records.labelled(GENERATED)]
            codes = np.concatenate([encoded.codes[positions], *generated])
            parts.append(np.asarray(encoded.decoder().inverse_transform(codes)))
        return np.concatenate(parts), np.concatenate([y] * len(parts))

    def _labelled_rows(self, positions: np.ndarray) -> np.ndarray:
        rows = np.asarray(self.pool.X[positions])
        generated = [q.row[None] for q in self.records.labelled(GENERATED)]
        return np.concatenate([rows, *generated]) if generated else rows


def _takes_checked_rows(model: BaseEstimator) -> bool:
    """Whether a latent model is one of ours; one of another library, or with a `fit` of its own, is not."""
    cls = type(model)
    ours = isinstance(model, BaseLatentModel)
    return ours and (cls.fit, cls.transform) == (BaseLatentModel.fit, BaseLatentModel.transform)


def _seeded(model: BaseEstimator, seed: int) -> BaseEstimator:
    """Seed a latent model, and what a Pipeline of them leaves to chance; a frozen model keeps its own."""
    if "random_state" in model.get_params(deep=False):
        model.set_params(random_state=seed)
    return seed_parts(model, seed)


def _codes_of(model: BaseEstimator, rows: Any) -> np.ndarray:
    """Return the codes of rows, as a transformer of another library has them."""
    found = to_host(model.transform(rows))
    if issparse(found):
        raise TypeError(
            f"{model} returns a sparse matrix of shape {found.shape}, and codes are dense. Put "
            "TruncatedSVD(100) behind it in a Pipeline."
        )
    codes = checked_codes("The codes", np.asarray(found))
    if len(codes) != rows.shape[0]:
        raise ValueError(
            f"{model} returned codes of {len(codes)} rows for {rows.shape[0]}. Let it keep every row."
        )
    if not np.isfinite(codes).all():
        raise ValueError(f"{model} returned codes that are not finite. Let it return finite numbers.")
    return codes
