"""The protocol of a latent model: what the rest of skalss may ask of the space it samples in."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from ..utils.checks import checked_codes, checked_rows, checked_shape, reading
from ..utils.layout import warn_of_channels_last
from ..utils.progress import track_chunks
from ..utils.scaling import Scaling
from ..utils.surroundings import usual_numerics
from ..utils.tensors import as_numpy, as_tensor, chunk_rows, chunks, to_host

HEALTH_ROWS = 10_000
# Set by `fit` here. The sampler sets random_state.
_SAVED = (
    *("random_state", "n_features_in_", "feature_names_in_", "_row_shape", "_n_features_out"),
    "reconstruction_error_",
)


def _decodes(model: BaseLatentModel) -> bool:
    if not model.has_decoder:  # the cause that scikit-learn's own text is followed by
        raise AttributeError(
            f"{type(model).__name__} has no decoder here: it encodes rows, and cannot turn codes into rows. "
            "Use a latent model that has one, such as VAE, ConvVAE, LinearLatent or "
            "PretrainedLatent(encoder, decoder)."
        )
    return True


def can_decode(model: BaseEstimator | None) -> bool:
    """Whether a latent model, or what takes its place, turns codes into rows; None cannot."""
    return hasattr(model, "decode")


def no_decoder(model: BaseEstimator | None) -> str:
    """Say of what has no decoder that it has none, for an error."""
    return "Codes given with codes= come without a decoder" if model is None else f"{model} has no decoder"


class BaseLatentModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """A transformer to codes; its way back, `decode`, is differentiable where there is one.

    A concrete model writes `_fit` and `_encode`, and `_decode` where it can; validation, chunks, units and
    health are here. To be saved with a sampler it also writes `_own_state` and `_take_own_state`.
    Without a decoder there are no `decode`, `inverse_transform`, `edit` and `reconstruction_error_`; it
    serves every strategy that decodes nothing.
    Rows are (n_features,) or images (n_channels, height, width), of any numeric dtype. A memory map stays
    one: rows are read in chunks and only codes are resident.

    Attributes
    ----------
    n_features_in_ : int
        Size of the second axis of X: features, or channels of images.
    reconstruction_error_ : float
        Mean over rows and features of (x - decode(transform(x)))², in squared units of X; over up to
        10,000 rows spread evenly over X. Only with a decoder.
    """

    reconstruction_error_: float
    _device: torch.device
    _n_features_out: int
    _row_shape: tuple[int, ...]
    _known_scaling: Scaling | None = None

    @property
    def has_encoder(self) -> bool:
        """Whether a fit leaves a module, `encoder_`, that a network may start from; False by default."""
        return False

    @property
    def has_decoder(self) -> bool:
        """Whether codes can be turned into rows; here where the class writes `_decode`."""
        return type(self)._decode is not BaseLatentModel._decode

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> BaseLatentModel:
        """Fit the model to unlabelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, height, width)
            Numeric and finite, of any dtype.
        y : ignored

        Returns
        -------
        self : BaseLatentModel
        """
        warn_of_channels_last(X)
        with reading("X"):
            rows: Any = validate_data(self, to_host(X), dtype="numeric", allow_nd=True, accept_sparse="csr")
        return self.fit_rows(checked_rows("X", rows))

    @usual_numerics()
    def fit_rows(
        self, X: np.ndarray, *, seen: Mapping[str, Any] | None = None, scaling: Scaling | None = None
    ) -> BaseLatentModel:
        """Fit the model to rows that were checked already.

        Parameters
        ----------
        X : array of shape (n_samples, ...)
        seen : mapping, default=None
            What the check has found: `n_features_in_`, and `feature_names_in_` where there are names. None:
            the check was this model's own.
        scaling : Scaling, default=None
            Of these rows, where it is known.

        Returns
        -------
        self : BaseLatentModel
        """
        for name, value in (seen or {}).items():
            setattr(self, name, value)
        self._row_shape = X.shape[1:]
        if scaling is not None:
            self._known_scaling = scaling
        try:
            self._fit(X)
        finally:
            if scaling is not None:
                del self._known_scaling  # it belongs to these rows
        if self.has_decoder:
            self._report_health(X)
        else:
            self.__dict__.pop("reconstruction_error_", None)  # of an earlier fit
        return self

    def rehearse(self, X: np.ndarray) -> None:  # noqa: B027 (a user's model may need more rows)
        """Try a few rows, on a copy that is thrown away: what cannot be fitted must show before it costs.

        Does nothing by default.

        Parameters
        ----------
        X : array of shape (n_samples, ...)
            Checked rows.
        """

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the codes of rows: the posterior mean, so the same rows give the same codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            In the units and trailing shape of the X fitted.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_codes), float32

        Raises
        ------
        ValueError
            If the rows have another shape than the rows fitted.
        """
        check_is_fitted(self)
        self._check_row_shape(None if isinstance(X, type) else getattr(X, "shape", None))
        with reading("X"):
            rows: Any = validate_data(
                self, to_host(X), dtype="numeric", allow_nd=True, reset=False, accept_sparse="csr"
            )
        return self.encode_rows(checked_rows("X", rows))

    @usual_numerics()
    def encode_rows(self, X: np.ndarray) -> np.ndarray:
        """Return the codes of rows that were checked already.

        Parameters
        ----------
        X : array of shape (n_samples, ...)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_codes), float32
        """
        Z = np.empty((len(X), self._n_features_out), dtype=np.float32)
        with torch.no_grad():
            for piece in track_chunks(len(X), self._chunk_rows(), "encode rows"):
                Z[piece] = as_numpy(self._encode(as_tensor(X[piece])))
        return Z

    @available_if(_decodes)
    @usual_numerics()
    def inverse_transform(self, Z: ArrayLike) -> np.ndarray:
        """Decode codes to rows in the units and trailing shape of X.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_codes)

        Returns
        -------
        X : ndarray of shape (n_samples, ...), float32
        """
        check_is_fitted(self)
        Z = as_tensor(checked_codes("Z", Z))
        X = np.empty((len(Z), *self._row_shape), dtype=np.float32)
        with torch.no_grad():
            for piece in track_chunks(len(Z), self._chunk_rows(), "decode codes"):
                X[piece] = as_numpy(self.decode(Z[piece]))
        return X

    @available_if(_decodes)
    @usual_numerics()
    def decode(self, Z: Tensor) -> Tensor:
        """Decode codes to rows, differentiably with respect to `Z`.

        Parameters
        ----------
        Z : tensor of shape (n_samples, n_codes)
            On any device; gradients flow back to it there.

        Returns
        -------
        X : tensor of shape (n_samples, ...), float32
            In the units of the X fitted, on the model's device.

        Raises
        ------
        TypeError
            If `Z` is no tensor.
        ValueError
            If `Z` has another width than the codes.
        """
        check_is_fitted(self)
        if not isinstance(Z, Tensor):
            raise TypeError(
                f"decode takes a torch tensor, got {type(Z).__name__}. Use inverse_transform for arrays."
            )
        if Z.ndim != 2 or Z.shape[1] != self._n_features_out:
            raise ValueError(
                f"Z must have shape (n_samples, {self._n_features_out}), got {tuple(Z.shape)}. "
                "Pass codes as transform gives them."
            )
        return self._decode(Z.to(self._device, torch.float32)).float()

    @available_if(_decodes)
    @usual_numerics()
    def edit(self, X: Tensor, Z_from: Tensor, Z_to: Tensor) -> Tensor:
        """Change rows as decoding changes from one code to another, differentiably with respect to `Z_to`.

        What the decoder does not show, such as fine detail, the rows keep: here they are
        ``X + decode(Z_to) - decode(Z_from)``.

        Parameters
        ----------
        X : tensor of shape (n_samples, ...)
            In the units of the X fitted.
        Z_from, Z_to : tensors of shape (n_samples, n_codes)
            `Z_from` are the codes of `X`.

        Returns
        -------
        edited : tensor of shape (n_samples, ...), float32
            On the model's device; values may be outside of the range of X.
        """
        change = self.decode(Z_to) - self.decode(Z_from)
        return X.to(change.device, torch.float32) + change

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.sparse = True
        return tags

    def get_state(self) -> dict[str, Any]:
        """Return what was learned, for a file."""
        check_is_fitted(self)
        shared = {name: vars(self)[name] for name in _SAVED if name in vars(self)}
        return {"shared": shared, "own": self._own_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Become the model that `state` was taken of; the parameters of both are the same.

        Raises
        ------
        ValueError
            If its numbers do not fit each other.
        """
        shared = state["shared"]
        checked_shape("row_shape", shared["_row_shape"])
        checked_shape("n_features_out", [shared["_n_features_out"]])
        for name in _SAVED:
            if name in shared:
                setattr(self, name, shared[name])
        self._take_own_state(state["own"])

    @property
    def says_what_it_learned(self) -> bool:
        """Whether `get_state` holds all that a fit learns: a class with a fit of its own says what of it."""
        order = [vars(cls) for cls in type(self).__mro__]

        def newest(name: str) -> int:
            return next(i for i, names in enumerate(order) if name in names)

        return newest("_own_state") <= min(newest("_fit"), newest("fit_rows"))

    @property
    def codes_may_be_kept(self) -> bool:
        """Whether parameters and state tell all that decides the codes, so that a file may keep these."""
        return True

    def _own_state(self) -> dict[str, Any]:
        """Return what `_fit` learned: numbers, text, arrays, tensors and `Scaling`, in dicts and lists."""
        raise TypeError(
            f"{type(self).__name__} does not say what of it is to be saved. Write its methods _own_state and "
            "_take_own_state, or pickle the sampler."
        )

    def _take_own_state(self, state: dict[str, Any]) -> None:
        """Set what `_fit` sets, `_device` included, from what `_own_state` gave."""
        raise TypeError(
            f"{type(self).__name__} has no method _take_own_state. Write it, or pickle the sampler."
        )

    @abstractmethod
    def _fit(self, X: np.ndarray) -> None:
        """Learn from checked rows; set `_device` and `_n_features_out`."""

    @abstractmethod
    def _encode(self, x: Tensor) -> Tensor:
        """Return float32 codes of rows that come on the CPU, in X's units and dtype."""

    def _decode(self, Z: Tensor) -> Tensor:
        """Decode float32 codes on the model's device to rows in X's units and trailing shape."""
        raise NotImplementedError(f"{type(self).__name__} has no decoder. Write its method _decode.")

    def _report_health(self, X: np.ndarray) -> None:
        total, n_values = 0.0, 0
        with torch.no_grad():
            for rows in self._health_rows(X):
                decoded = as_numpy(self._decode(self._encode(as_tensor(rows))))
                total += float(np.square(rows - decoded.astype(np.float64)).sum())
                n_values += rows.size
        self.reconstruction_error_ = total / n_values
        if not math.isfinite(self.reconstruction_error_):
            raise ValueError(
                f"{type(self).__name__} decodes X to values that are not finite. Lower lr and beta, where it "
                "has them, or scale X."
            )

    def _health_rows(self, X: np.ndarray) -> Iterator[np.ndarray]:
        ids = np.linspace(0, len(X) - 1, min(len(X), HEALTH_ROWS)).astype(np.intp)
        for piece in chunks(len(ids), self._chunk_rows()):
            yield X[ids[piece]]

    def _chunk_rows(self) -> int:
        return chunk_rows(self._row_shape)

    def _check_row_shape(self, shape: tuple[int, ...] | None) -> None:
        # Flat rows of another width are left to validate_data, whose text is the usual one.
        flat = shape is not None and len(shape) <= 2 and len(self._row_shape) == 1
        if shape is not None and not flat and tuple(shape[1:]) != self._row_shape:
            raise ValueError(
                f"X has rows of shape {tuple(shape[1:])}, but {type(self).__name__} was fitted on rows of "
                f"shape {self._row_shape}. Reshape X to (n_samples, {', '.join(map(str, self._row_shape))})."
            )
