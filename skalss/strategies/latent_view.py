"""The latent half of a snapshot: codes, and what a latent model makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..latent import BaseLatentModel, Geometry, can_decode, find_geometry, no_decoder
from ..neighbors import BaseIndex, make_index, nearest_by_chance
from ..utils.bounds import Bounds, range_of
from ..utils.checks import checked_codes
from ..utils.devices import resolve_device
from ..utils.tensors import as_numpy, as_tensor, chunk_rows, chunks

# Rows and their codes; and the bounds of what they are edited to, where these are not the pool's range.
Edited = tuple[np.ndarray, np.ndarray] | tuple[np.ndarray, np.ndarray, Bounds]


class Encoded:
    """A pool in its latent space.

    Parameters
    ----------
    model : latent model or None
        Fitted; None: the codes were given.
    codes : float32 array of shape (n_rows, n_components)
        Of the whole pool.
    device : torch.device or str, default="cpu"
        Where neighbours are searched.
    """

    def __init__(self, model: BaseLatentModel | None, codes: np.ndarray, device: torch.device | str = "cpu"):
        self.model, self.codes, self.device = model, checked_codes("codes", codes), resolve_device(device)
        self._index: BaseIndex | None = None
        self._geometry: Geometry | None = None

    def decoder(self) -> BaseLatentModel:
        """Return the latent model, which can decode.

        Raises
        ------
        ValueError
            If it cannot, or there is none.
        """
        if not can_decode(self.model):
            raise ValueError(
                f"{no_decoder(self.model)}: no code can be turned into a row. A strategy that does so says "
                "it, decodes = True, and is refused before the first question."
            )
        assert self.model is not None
        return self.model

    def index(self) -> BaseIndex:
        """Return the index of the codes, built at the first call and searched in every round after it."""
        if self._index is None:
            self._index = make_index(self.codes, device=self.device)
        return self._index

    def geometry(self) -> Geometry:
        """Return how the codes are compared, found at the first call."""
        if self._geometry is None:
            self._geometry = find_geometry(self.codes)
        return self._geometry

    def __getstate__(self) -> dict[str, object]:
        """Pickle all but the index and the geometry, which are found again."""
        return {**vars(self), "_index": None, "_geometry": None}


class LatentView:
    """What a strategy may ask of the latent space. A strategy that never asks pays for no latent model.

    Parameters
    ----------
    encode : callable
        Returns the pool, `Encoded`; the first call may fit a latent model.
    X : array of shape (n_rows, ...)
        The pool; may be a memory map.
    askable : bool array of shape (n_rows,)
        Rows that may be asked.
    labeled : int array of shape (n_labeled_rows,)
        Rows with a label.
    made : float32 array of shape (n_made, n_components)
        Codes of labelled points that a strategy made.
    refused : float32 array of shape (n_refused, n_components)
        Codes of points that the oracle abstained on since the last query.
    random_state : RandomState
        Decides between neighbours that are equally near.
    bounds : callable, default=None
        Returns the bounds of each feature in the pool; None: they are looked for in X.
    as_user_rows : callable, default=None
        Turns rows into the user's kind, for a latent model that is not of skalss; None: they are as they are.
    """

    def __init__(
        self,
        encode: Callable[[], Encoded],
        *,
        X: np.ndarray,
        askable: np.ndarray,
        labeled: np.ndarray,
        made: np.ndarray | None,
        refused: np.ndarray | None,
        random_state: np.random.RandomState,
        bounds: Callable[[], Bounds] | None = None,
        as_user_rows: Callable[[np.ndarray], Any] | None = None,
    ):
        self._encode, self._X, self._askable, self._labeled = encode, X, askable, labeled
        self._made, self._refused, self._random_state = made, refused, random_state
        self._find_bounds, self._as_user_rows = bounds, as_user_rows
        self._bounds: Bounds | None = None

    def codes(self) -> np.ndarray:
        """Return the codes of the whole pool: float32 array of shape (n_rows, n_components)."""
        return self._encode().codes

    def labeled_codes(self) -> np.ndarray:
        """Return the codes of what is labelled, made points too: one line for each of `y_labeled`."""
        codes = self.codes()[self._labeled]
        return codes if self._made is None or len(self._made) == 0 else np.concatenate([codes, self._made])

    def compared(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return codes of which distances are to be compared, by direction where that has fewer hubs.

        Parameters
        ----------
        rows : int array of shape (n,), default=None
            None: the whole pool.

        Returns
        -------
        Z : float32 array of shape (n, n_components)
        """
        encoded = self._encode()
        return encoded.geometry()(encoded.codes if rows is None else encoded.codes[rows])

    def by_direction(self) -> bool:
        """Whether codes are compared by direction."""
        return self._encode().geometry().middle is not None

    def hubness(self) -> float:
        """Return `Geometry.hubness` of the codes as they are compared."""
        return self._encode().geometry().hubness

    def compared_labeled(self) -> np.ndarray:
        """Return what `labeled_codes` does, as `compared` has codes."""
        return self._encode().geometry()(self.labeled_codes())

    def refused_codes(self) -> np.ndarray:
        """Return the codes of points that the oracle refused since the last query: float32 array (n, d)."""
        return self.codes()[:0] if self._refused is None else self._refused

    def nearest(self, Z: np.ndarray, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Find the rows that may be asked nearest to each code.

        Parameters
        ----------
        Z : array of shape (n, n_components)
        k : int, default=1

        Returns
        -------
        rows : int array of shape (n, min(k, n_unlabeled))
            Nearest first; of equally near ones, such as copies, random ones.
        distances : float32 array of the same shape
            In the units of the codes.
        """
        return nearest_by_chance(self._encode().index(), Z, k, self._askable, self._random_state)

    # -- the size of a step -----------------------------------------------------------------------

    def spread(self) -> float:
        """Return the root mean square of the components' standard deviations: the unit of a step."""
        return float(np.sqrt(self._variances().mean())) or 1.0

    def scales(self) -> np.ndarray:
        """Return the standard deviations of the components: float32 array (n_components,); 1 if all are 0."""
        scales = np.sqrt(self._variances()).astype(np.float32)
        return scales if scales.any() else np.ones_like(scales)

    def _variances(self) -> np.ndarray:
        codes = self.codes()
        return codes[:: max(1, len(codes) // 100_000)].var(axis=0, dtype=np.float64)

    # -- codes to rows ----------------------------------------------------------------------------

    def can_decode(self) -> bool:
        """Tell whether codes can be turned into rows."""
        return can_decode(self._encode().model)

    def decode(self, Z: np.ndarray) -> np.ndarray:
        """Decode codes to rows in the units and shape of X.

        Parameters
        ----------
        Z : array of shape (n, n_components)

        Returns
        -------
        rows : float32 array of shape (n, ...)
        """
        codes = as_tensor(np.asarray(Z, dtype=np.float32))
        with torch.no_grad():
            pieces = chunks(len(Z), chunk_rows(self._X.shape[1:]))
            return np.concatenate([as_numpy(self.decode_tensor(codes[p])) for p in pieces])

    def edit(
        self, rows: np.ndarray, Z_from: np.ndarray, Z_to: np.ndarray, within: Bounds | None = None
    ) -> np.ndarray:
        """Change rows as decoding changes from one code to another: what a decoder loses, they keep.

        Parameters
        ----------
        rows : array of shape (n, ...)
            In the units of X.
        Z_from, Z_to : arrays of shape (n, n_components)
            `Z_from` are the codes of `rows`.
        within : Bounds, default=None
            Where the values of an edited row may lie; None: in the range of each feature in the pool, as far
            as a row's own values do.

        Returns
        -------
        edited : float32 array of shape (n, ...)
        """
        parts = []
        with torch.no_grad():
            for p in chunks(len(rows), chunk_rows(self._X.shape[1:])):
                codes = as_tensor(np.asarray(Z_to[p], dtype=np.float32))
                edited = (rows[p], Z_from[p]) if within is None else (rows[p], Z_from[p], within)
                parts.append(as_numpy(self.decode_tensor(codes, edited)))
        return np.concatenate(parts)

    def decode_tensor(self, Z: Tensor, edited: Edited | None = None) -> Tensor:
        """Decode codes, or edit rows towards them; differentiable with respect to the codes.

        Parameters
        ----------
        Z : float32 tensor of shape (n, n_components)
        edited : tuple of arrays of shape (n, ...) and (n, n_components), default=None
            Rows and their codes, and with them the bounds of what they may become, if these are not the range
            of the pool; None: `Z` alone is decoded.

        Returns
        -------
        rows : float32 tensor of shape (n, ...)
            In the units of X, on the model's device.
        """
        model = self._encode().decoder()
        if edited is None:
            return model.decode(Z)
        rows, Z_from = (as_tensor(np.asarray(part, dtype=np.float32)) for part in edited[:2])
        changed = model.edit(rows, Z_from, Z)
        rows, within = rows.to(changed.device), edited[2] if len(edited) > 2 else None
        low, high = (
            as_tensor(bound, changed.device) for bound in within or self.bounds(edited=True).inward()
        )
        if within is None:
            low, high = torch.minimum(rows, low), torch.maximum(rows, high)
        return torch.clamp(changed, low, high)

    def bounds(self, *, edited: bool = False) -> Bounds:
        """Return the smallest and largest value of each feature in the pool, or of its `Box`.

        Parameters
        ----------
        edited : bool, default=False
            Whether for rows of the pool that are edited: for images then the range of each pixel, in place
            of that of each channel.

        Returns
        -------
        bounds : Bounds
            float64 `low` and `high`, which broadcast against a row.
        """
        if self._bounds is None:
            self._bounds = range_of(self._X) if self._find_bounds is None else self._find_bounds()
        if edited or self._X.ndim <= 2:
            return self._bounds
        pixels = tuple(range(1, self._X.ndim - 1))
        low, high = self._bounds
        return Bounds(low.min(axis=pixels, keepdims=True), high.max(axis=pixels, keepdims=True))

    def encode(self, rows: np.ndarray) -> np.ndarray:
        """Return the codes of rows that need not be in the pool.

        Parameters
        ----------
        rows : array of shape (n, ...)
            In the units of X.

        Returns
        -------
        Z : float32 array of shape (n, n_components)
        """
        model = self._encode().model
        if model is None:
            raise ValueError(
                "The codes of the pool were given with codes=, so that no other row can be encoded. Pass a "
                "latent_model in their place for a strategy that does so."
            )
        if hasattr(model, "encode_rows"):
            return model.encode_rows(rows)
        shown = rows if self._as_user_rows is None else self._as_user_rows(rows)
        return np.asarray(model.transform(shown), dtype=np.float32)
