"""LatentSpaceDisplay: where in the latent space labels were bought."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_array, column_or_1d

from ..campaign.vectorizer import vectorize
from ..oracles.base import LABELED
from ..targets import BaseTarget
from ..utils.checks import (
    check_count,
    check_positive_int,
    check_range,
    checked_positions,
    checked_random_state,
    reading,
    show,
)
from ..utils.columns import to_column
from ..utils.sparse_rows import SparseRows
from ..utils.surroundings import usual_sklearn
from ..utils.tensors import to_host
from .pyplot import check_drawing, pyplot

# Paul Tol's muted colours and a black, told apart by readers who see colours differently.
COLORS = (
    *("#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677"),
    *("#AA4499", "#44AA99", "#882255", "#999933", "#111111"),
)
GREY, DARK = "#c4c4c4", "#555555"
MAX_CLASSES = 24  # in the legend; beyond, and for values, a bar of colours
_LEGEND_ROWS = 14


class LatentSpaceDisplay:
    """The codes of a pool in two dimensions, with what is labelled of it and what was asked last.

    Make one with `from_estimator` or `from_codes`. All parameters are stored as attributes.

    Parameters
    ----------
    pool : array of shape (n_pool, 2)
        Places of the rows that are shown in grey.
    labeled : array of shape (n_labeled, 2)
        Places of labelled rows.
    labels : array of shape (n_labeled,)
        Classes, or values in the units of the target; None or NaN where not known.
    asked : array of shape (n_asked, 2)
        Places of what is marked as asked.
    generated : array of shape (n_generated, 2)
        Places of labelled points that a strategy made.
    labels_generated : array of shape (n_generated,)
    classes : array of shape (n_classes,) or None
        Classes in the order of their colours; None: values, coloured by a bar.
    axis_names : tuple of two str

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skalss import AdaptiveLatentSampler
    >>> from skalss.datasets import load_digits_pool
    >>> from skalss.display import LatentSpaceDisplay
    >>> from skalss.latent import LinearLatent
    >>> pool = load_digits_pool()
    >>> sampler = AdaptiveLatentSampler(
    ...     latent_model=LinearLatent(16), n_initial=30, n_per_round=30, max_labels=90, random_state=0)
    >>> display = LatentSpaceDisplay.from_estimator(sampler.fit(pool.X, pool.y), pool.X)
    >>> len(display.pool), len(display.labeled), len(display.asked)
    (1297, 90, 30)
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, pool, labeled, labels, asked, generated, labels_generated, classes, axis_names):
        self.pool = pool
        self.labeled = labeled
        self.labels = labels
        self.asked = asked
        self.generated = generated
        self.labels_generated = labels_generated
        self.classes = classes
        self.axis_names = axis_names

    @classmethod
    def from_estimator(
        cls,
        sampler: BaseEstimator,
        X: np.ndarray | pd.DataFrame,
        *,
        round: int | None = None,
        latent_model: BaseEstimator | None = None,
        n_pool: int | None = 5000,
        random_state: int | np.random.RandomState | None = 0,
        ax: Any = None,
        pool_kw: Mapping[str, Any] | None = None,
        labeled_kw: Mapping[str, Any] | None = None,
        asked_kw: Mapping[str, Any] | None = None,
    ) -> LatentSpaceDisplay:
        """Draw what a sampler has labelled up to a round, and what it asked in that round.

        Parameters
        ----------
        sampler : AdaptiveLatentSampler
            Fitted.
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
            The pool it was fitted on. Only the rows that are shown are encoded.
        round : int, default=None
            As in the column `round` of ``queries_``, from 0; None: the last.
        latent_model : latent model, default=None
            Fitted. None: that of the sampler. Give one where the sampler needed none.
        n_pool : int or None, default=5000
            Rows drawn at random to be shown in grey; None: all.
        random_state : int, RandomState or None, default=0
            Draws them.
        ax : matplotlib Axes, default=None
            See `plot`.
        pool_kw, labeled_kw, asked_kw : dict, default=None
            See `plot`.

        Returns
        -------
        display : LatentSpaceDisplay

        Raises
        ------
        NotFittedError
            If the sampler is not fitted.
        ValueError
            If it has no latent model, `X` is shorter than the pool, or there was no such round.
        """
        check_drawing(ax, pool_kw=pool_kw, labeled_kw=labeled_kw, asked_kw=asked_kw)
        queries = getattr(sampler, "queries_", None)
        if queries is None:
            raise NotFittedError(
                f"This {type(sampler).__name__} is not fitted. Call fit first, or finish() of a Campaign."
            )
        model = getattr(sampler, "latent_model_", None) if latent_model is None else latent_model
        if model is None:
            raise ValueError(
                "The sampler has no latent model, because nothing in it needed one, or it got codes "
                "(latent_model_ is None). Pass one that is fitted on the pool, as in "
                "latent_model=VAE().fit(X), or codes of your own to LatentSpaceDisplay.from_codes."
            )
        if not all(hasattr(model, name) for name in ("fit", "transform")) or isinstance(model, type):
            raise TypeError(f"latent_model must be a fitted latent model, got {show(model)}.")
        shown = _up_to(queries, round)
        last = shown["round"] == shown["round"].max()
        labelled = shown["state"] == LABELED
        rows, made = shown[labelled & (shown["kind"] == "pool")], shown[labelled & (shown["kind"] != "pool")]
        asked = shown.loc[last & (shown["kind"] == "pool"), "position"].to_numpy(dtype=np.intp)
        given = np.setdiff1d(sampler.labeled_indices_, queries["position"])  # their labels are not kept
        labeled = np.concatenate([given, rows["position"]]).astype(np.intp)
        vectorizer = getattr(sampler, "vectorizer_", None)
        X = _indexable(X if vectorizer is None else vectorize(vectorizer, to_host(X)))
        if np.ndim(X) < 2:
            raise ValueError(f"X must be the pool that the sampler was fitted on, got shape {np.shape(X)}.")
        needed = np.union1d(labeled, asked)
        if len(needed) and needed[-1] >= len(X):
            raise ValueError(
                f"X must be the pool that the sampler was fitted on: it asked for row {needed[-1]}, and X "
                f"has {len(X)} rows. Pass all of its rows, in their order."
            )
        drawn = _draw(len(X), n_pool, random_state)
        encoded = np.union1d(drawn, needed)
        codes_generated = None
        if len(made):  # in queries_ and X_generated_ alike in the order asked
            codes_generated = model.transform(_like(X, sampler.X_generated_[: len(made)]))
        shades, classes = shades_of(sampler.estimator_.target_, [*rows["label"], *made["label"]])
        return cls._from_places(
            np.asarray(model.transform(_rows(X, encoded))),
            drawn=np.searchsorted(encoded, drawn),
            labeled=np.searchsorted(encoded, labeled),
            labels=[None] * len(given) + shades[: len(rows)],
            asked=np.searchsorted(encoded, asked),
            codes_generated=codes_generated,
            labels_generated=shades[len(rows) :],
            asked_generated=np.flatnonzero(last[made.index]),
            classes=classes,
            random_state=random_state,
        ).plot(ax=ax, pool_kw=pool_kw, labeled_kw=labeled_kw, asked_kw=asked_kw)

    @classmethod
    def from_codes(
        cls,
        codes: np.ndarray,
        *,
        labeled: np.ndarray | Sequence[int] = (),
        labels: np.ndarray | Sequence[Any] | None = None,
        asked: np.ndarray | Sequence[int] = (),
        codes_generated: np.ndarray | None = None,
        labels_generated: ArrayLike | None = None,
        n_pool: int | None = 5000,
        random_state: int | np.random.RandomState | None = 0,
        ax: Any = None,
        pool_kw: Mapping[str, Any] | None = None,
        labeled_kw: Mapping[str, Any] | None = None,
        asked_kw: Mapping[str, Any] | None = None,
    ) -> LatentSpaceDisplay:
        """Draw codes, and which of them are labelled and asked.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_components)
        labeled : int array-like of shape (n_labeled,), default=()
            Positions of labelled rows.
        labels : array-like of shape (n_labeled,), default=None
            Their labels; None: not known. Text and at most 24 different whole numbers are taken for classes,
            other numbers for values.
        asked : int array-like of shape (n_asked,), default=()
            Positions of the rows to mark.
        codes_generated : array-like of shape (n_generated, n_components), default=None
            Points that are no rows.
        labels_generated : array-like of shape (n_generated,), default=None
            Their labels.
        n_pool : int or None, default=5000
            Rows drawn at random to be shown in grey; None: all.
        random_state : int, RandomState or None, default=0
            Draws them.
        ax : matplotlib Axes, default=None
            See `plot`.
        pool_kw, labeled_kw, asked_kw : dict, default=None
            See `plot`.

        Returns
        -------
        display : LatentSpaceDisplay

        Raises
        ------
        ValueError
            If `codes` is not 2-D, a position lies outside, or there are more or fewer labels than rows.
        """
        check_drawing(ax, pool_kw=pool_kw, labeled_kw=labeled_kw, asked_kw=asked_kw)
        codes = _checked("codes", codes)
        positions = {
            "labeled": checked_positions("labeled", labeled, len(codes)),
            "asked": checked_positions("asked", asked, len(codes)),
        }
        if codes_generated is not None:
            codes_generated = _checked("codes_generated", codes_generated)
            if codes_generated.shape[1] != codes.shape[1]:
                raise ValueError(
                    f"codes_generated has {codes_generated.shape[1]} columns, codes {codes.shape[1]}. Give "
                    "both the same number."
                )
        n_generated = 0 if codes_generated is None else len(codes_generated)
        labels = _checked_labels("labels", labels, len(positions["labeled"]))
        labels_generated = _checked_labels("labels_generated", labels_generated, n_generated)
        return cls._from_places(
            codes,
            drawn=_draw(len(codes), n_pool, random_state),
            **positions,
            labels=labels,
            codes_generated=codes_generated,
            labels_generated=labels_generated,
            asked_generated=np.empty(0, dtype=np.intp),
            classes=_classes_of(labels + labels_generated),
            random_state=random_state,
        ).plot(ax=ax, pool_kw=pool_kw, labeled_kw=labeled_kw, asked_kw=asked_kw)

    @classmethod
    def _from_places(
        cls,
        codes: np.ndarray,
        *,
        drawn: Any,
        labeled: np.ndarray,
        labels: list[Any],
        asked: np.ndarray,
        codes_generated: np.ndarray | None,
        labels_generated: list[Any],
        asked_generated: np.ndarray,
        classes: np.ndarray | None,
        random_state: int | np.random.RandomState | None,
    ) -> LatentSpaceDisplay:
        """Bring codes to two dimensions, those of the rows drawn."""
        generated = (
            np.empty((0, codes.shape[1])) if codes_generated is None else np.asarray(to_host(codes_generated))
        )
        places, axis_names = _plane(codes, generated, drawn, random_state)
        made = places[len(codes) :]
        return cls(
            pool=places[drawn],
            labeled=places[labeled],
            labels=np.array(labels, dtype=object),
            asked=np.concatenate([places[asked], made[asked_generated]]),
            generated=made,
            labels_generated=np.array(labels_generated, dtype=object),
            classes=None if classes is None else np.asarray(classes),
            axis_names=axis_names,
        )

    def plot(self, ax=None, *, pool_kw=None, labeled_kw=None, asked_kw=None) -> LatentSpaceDisplay:
        """Draw the pool in grey, labelled rows as dots, generated points as diamonds, rings around the asked.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        pool_kw : dict, default=None
            Passed on to the scatter of the pool.
        labeled_kw : dict, default=None
            Passed on to the scatters of labelled rows and generated points.
        asked_kw : dict, default=None
            Passed on to the scatter of the rings.

        Returns
        -------
        display : LatentSpaceDisplay
            This object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_drawing(ax, pool_kw=pool_kw, labeled_kw=labeled_kw, asked_kw=asked_kw)
        plt = pyplot("LatentSpaceDisplay.plot")
        if ax is None:
            ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")[1]
        ax.scatter(
            *self.pool.T, **{"color": GREY, "s": 6, "linewidths": 0, "label": "pool", **(pool_kw or {})}
        )
        style = {"s": 26, "linewidths": 0.4, "edgecolors": "white", "zorder": 3, **(labeled_kw or {})}
        unknown = pd.isna(self.labels)
        if unknown.any():
            ax.scatter(*self.labeled[unknown].T, **{"color": DARK, "label": "label not known", **style})
        if self.classes is None:
            self._draw_values(ax, style)
        else:
            self._draw_classes(ax, style)
        if len(self.asked):
            ring = {"s": 60, "facecolors": "none", "edgecolors": "black", "linewidths": 0.8, "zorder": 4}
            ax.scatter(*self.asked.T, **{**ring, "label": "asked", **(asked_kw or {})})
        self._finish(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _groups(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Return marker, places and labels of rows and of generated points."""
        return [("o", self.labeled, self.labels), ("D", self.generated, self.labels_generated)]

    def _draw_classes(self, ax: Any, style: Mapping[str, Any]) -> None:
        colors = _colors(len(self.classes))
        for marker, places, labels in self._groups():
            for name, color in zip(self.classes, colors, strict=True):
                there = labels == name
                if there.any():
                    label = str(name) if marker == "o" or name not in self.labels else None
                    ax.scatter(
                        *places[there].T, **{"color": color, "marker": marker, "label": label, **style}
                    )
        if len(self.generated):  # in the legend once, without a class
            ax.scatter([], [], **{**style, "color": DARK, "marker": "D", "label": "generated"})

    def _draw_values(self, ax: Any, style: Mapping[str, Any]) -> None:
        values = np.concatenate([self.labels, self.labels_generated]).astype(float)
        if np.isnan(values).all():
            return
        scale = {"cmap": "viridis", "vmin": np.nanmin(values), "vmax": np.nanmax(values)}
        for (marker, places, labels), name in zip(self._groups(), ("labeled", "generated"), strict=True):
            there = ~pd.isna(labels)
            if there.any():
                values = labels[there].astype(float)
                look = {"c": values, "marker": marker, "label": name, **scale, **style}
                dots = ax.scatter(*places[there].T, **look)
        ax.figure.colorbar(dots, ax=ax, label="label")

    def _finish(self, ax: Any) -> None:
        """Write what the axes and the colours mean."""
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        ax.spines[["top", "right"]].set_visible(False)
        handles, names = ax.get_legend_handles_labels()
        if self.classes is not None and len(self.classes) > MAX_CLASSES:
            kept = [i for i, name in enumerate(names) if name in ("pool", "asked", "generated")]
            handles, names = [handles[i] for i in kept], [names[i] for i in kept]
        columns = math.ceil(len(names) / _LEGEND_ROWS)
        where = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "ncols": columns}
        legend = ax.legend(handles, names, fontsize="small", frameon=False, **where)
        for handle in legend.legend_handles:
            handle.set_sizes([26])  # the dots of the pool are too small to be seen alone


def _up_to(queries: pd.DataFrame, round: int | None) -> pd.DataFrame:
    """Return the questions up to a round, or all."""
    asked = queries["round"].unique().tolist()
    if round is None:
        return queries
    check_count("round", round)
    if round not in asked:
        raise ValueError(
            f"round must be one of those in queries_, {asked}, or None for the last, got {round!r}."
        )
    return queries[queries["round"] <= round]


def _draw(n_rows: int, n_pool: int | None, random_state: int | np.random.RandomState | None) -> np.ndarray:
    if n_pool is None:
        return np.arange(n_rows)
    check_positive_int("n_pool", n_pool, also="None for all rows")
    rng = checked_random_state(random_state)
    return np.sort(rng.choice(n_rows, size=min(n_pool, n_rows), replace=False))


def _indexable(rows: object) -> Any:
    X = to_host(rows)
    if issparse(X):
        return SparseRows(X.tocsr())
    if hasattr(X, "iloc") or isinstance(X, np.ndarray):
        return X
    try:
        return np.asarray(X)
    except ValueError as error:  # lists of unequal length
        raise ValueError(f"X must hold rows of one length, got {show(X)}.") from error


def _rows(X: np.ndarray | pd.DataFrame, positions: np.ndarray) -> Any:
    return X.iloc[positions] if hasattr(X, "iloc") else X[positions]


def _like(X: np.ndarray | pd.DataFrame, rows: np.ndarray) -> Any:
    return pd.DataFrame(rows, columns=X.columns) if isinstance(X, pd.DataFrame) else rows


def _checked_labels(name: str, labels: ArrayLike | None, n: int) -> list[Any]:
    if labels is None:
        return [None] * n
    found = column_or_1d(to_column(labels), dtype=None, input_name=name).tolist()
    if len(found) != n:
        raise ValueError(f"{name} must hold a label for each of {n} places, got {len(found)}.")
    return found


def _checked(name: str, codes: Any) -> np.ndarray:
    with reading(name):
        codes = check_array(to_host(codes), dtype=np.float64, input_name=name)
    check_range(name, codes)
    return codes


def shades_of(target: BaseTarget, labels: list[Any]) -> tuple[list[Any], np.ndarray | None]:
    """Return what labels are coloured by, one class or number each, and the classes; None: numbers."""
    if not (target.is_map or target.independent or target.numeric):
        return labels, target.classes
    return target.shades(labels).tolist(), None


def _classes_of(labels: list[Any]) -> np.ndarray | None:
    """Return the classes, sorted; None where the labels are values."""
    found = {label for label in labels if not pd.isna(label)}
    numeric = all(isinstance(label, numbers.Real) for label in found)
    if numeric and (len(found) > MAX_CLASSES or any(isinstance(label, float) for label in found)):
        return None
    if not numeric and not all(isinstance(label, str) for label in found):
        raise TypeError(f"labels must be all numbers or all text, got {show(sorted(map(str, found)))}.")
    return np.array(sorted(found), dtype=object)


@usual_sklearn()
def _plane(
    codes: np.ndarray,
    generated: np.ndarray,
    drawn: np.ndarray,
    random_state: int | np.random.RandomState | None,
) -> tuple[np.ndarray, tuple[str, str]]:
    """Bring codes to (n, 2), rows first and generated points behind them, and name the axes."""
    together = np.concatenate([codes, generated]).astype(np.float64)
    if codes.shape[1] == 1:
        beside = checked_random_state(random_state).uniform(size=(len(together), 1))
        return np.hstack([together, beside]), ("code", "at random, to keep dots apart")
    if codes.shape[1] == 2:
        return together, ("code 1", "code 2")
    if len(drawn) < 2:
        return together[:, :2], ("code 1", "code 2")
    # Of the rows drawn alone: samplers over one pool are shown in one plane.
    pca = PCA(2, random_state=0)
    with np.errstate(invalid="ignore"):  # codes that are all alike have no variance
        pca.fit(codes[drawn])
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    first, second = (
        f"component {i} ({100 * share:.0f} % of variance)" for i, share in enumerate(shares, start=1)
    )
    return pca.transform(together), (first, second)


def _colors(n: int) -> list[Any]:
    if n <= len(COLORS):
        return list(COLORS[:n])
    from matplotlib import colormaps

    return list(colormaps["turbo"](np.linspace(0.03, 0.97, n)))
