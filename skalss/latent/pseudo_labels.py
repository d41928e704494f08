"""Pseudo-labels: labels spread over the neighbour graph of the codes, for the network to start on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelEncoder
from sklearn.semi_supervised import LabelSpreading
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from ..neighbors import nearest_codes
from ..targets import BaseTarget
from ..utils.checks import (
    check_flag,
    check_number,
    check_positive_int,
    check_share,
    checked_codes,
    checked_random_state,
    checked_rows,
    reading,
)
from ..utils.columns import to_column
from ..utils.surroundings import ignoring, usual_numerics, usual_sklearn
from ..utils.tensors import to_host
from ..utils.ties import ranked

_SCALE_NEIGHBOR = 7  # its distance is the scale around a row
_BALANCES = (0.0, 0.5, 1.0)  # powers of the number of labels of a class that what it spreads is divided by
_N_FOLDS = 5
_FEWEST = 10  # held-out labels, to say that few are guessed right
_N_COMPONENTS = 50  # of the labelled rows, for a logistic regression that takes a fraction of a second


class PseudoLabels(NamedTuple):
    """Labels that nobody gave.

    Attributes
    ----------
    rows : int array of shape (n,)
        Positions of unlabelled rows, of those that were offered.
    labels : array of shape (n,)
    confidence : float array of shape (n,)
        Share of the label in what reached the row.
    structure : float
        How clearly the codes keep classes apart: 0 where every label reaches every row alike, 1 where one
        alone reaches each.
    reason : str
        Why there are some, or none.
    """

    rows: np.ndarray
    labels: np.ndarray
    confidence: np.ndarray
    structure: float
    reason: str = ""


class LabelSpreader(BaseEstimator):
    """Spreads labels from row to row over the neighbour graph of the codes.

    Used as ``pseudo_labels`` of the sampler. In each training, rows of a fresh random part of the pool get
    labels so, and fill half of each batch for the first part of the training; the last part is trained on
    labels that were bought, which takes back what pseudo-labels got wrong. The number of rows trained on
    does not grow, and no row passes the network for it. Pseudo-labels are never counted as bought.

    Where the codes do not keep classes apart, all labels reach all rows, none stands out, and there are no
    pseudo-labels. Nor are there any where spreading is worse than a logistic regression on the
    labelled rows, by labels held out in five-fold cross-validation: then the codes lose what tells classes
    apart. Nor are there any where it guesses few of them right: then most pseudo-labels are wrong. Whether a
    class with many labels counts as much as one with few, or by their number, is chosen over the same folds.

    Parameters
    ----------
    n_rows : int, default=8000
        Unlabelled rows in the graph. The price of a round depends on it, not on the pool.
    n_neighbors : int, default=15
        Edges of a row. Their weights are ``exp(-d² / (s s'))``, with the distance to the seventh neighbour as
        the scale of either row.
    alpha : float, default=0.99
        How far labels travel, as in scikit-learn's `LabelSpreading`, which is what spreads them.
    keep : float, default=0.9
        Share of the rows that are trained on: the most confident ones.
    until : float, default=0.7
        After this share of the epochs only labels are trained on.
    min_structure : float, default=0.05
        Least `PseudoLabels.structure` at which there are pseudo-labels.
    only_if_not_worse : bool, default=True
        Whether there are pseudo-labels only where spreading is no worse than a logistic regression.
    min_right : float, default=0.33
        How far spreading must close the gap between naming the commonest class and guessing every held-out
        label; it is not looked at with 0, or with fewer than ten labels.
    max_hubness : float, default=1.0
        Largest `Geometry.hubness` of the codes at which a campaign spreads labels: where some rows are
        neighbours of nearly all, the edges say little of classes. Features of pretrained encoders have such
        hubs, codes of a VAE few. `spread` itself does not look at it.

    References
    ----------
    Label spreading: Zhou et al., "Learning with local and global consistency", NeurIPS 2003. With a network
    trained on its result: arXiv:1904.04717. The local scale: Zelnik-Manor and Perona, "Self-tuning spectral
    clustering", NeurIPS 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from skalss.latent import LabelSpreader
    >>> line = np.linspace(0, 1, 40)[:, None]
    >>> Z = np.concatenate([line, line + 3])
    >>> found = LabelSpreader(n_neighbors=5).spread(Z[[0, 79]], np.array(["low", "high"]), Z[1:79])
    >>> [str(label) for label in found.labels[[0, -1]]]
    ['low', 'high']
    """

    def __init__(
        self,
        *,
        n_rows: int = 8000,
        n_neighbors: int = 15,
        alpha: float = 0.99,
        keep: float = 0.9,
        until: float = 0.7,
        min_structure: float = 0.05,
        only_if_not_worse: bool = True,
        max_hubness: float = 1.0,
        min_right: float = 0.33,
    ):
        self.n_rows = n_rows
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.keep = keep
        self.until = until
        self.min_structure = min_structure
        self.only_if_not_worse = only_if_not_worse
        self.max_hubness = max_hubness
        self.min_right = min_right

    def check(self) -> None:
        """Refuse wrong parameters before anything is trained.

        Raises
        ------
        ValueError
        """
        for name in ("n_rows", "n_neighbors"):
            check_positive_int(name, getattr(self, name))
        for name in ("alpha", "keep", "until", "min_structure", "min_right"):
            check_share(name, getattr(self, name))
        check_flag("only_if_not_worse", self.only_if_not_worse)
        check_number("max_hubness", self.max_hubness, zero=True)
        if not 0 < self.alpha < 1:
            raise ValueError(
                f"alpha must lie between 0 and 1, got {self.alpha!r}. 0.99 lets labels travel far."
            )

    @usual_numerics()
    @usual_sklearn()
    def spread(
        self,
        codes_labeled: np.ndarray,
        y: ArrayLike,
        codes: np.ndarray,
        *,
        rows_labeled: ArrayLike | None = None,
        random_state: np.random.RandomState | int | None = 0,
        device: torch.device | str = "cpu",
    ) -> PseudoLabels:
        """Label rows by their codes.

        Parameters
        ----------
        codes_labeled : array of shape (n_labeled, n_components)
        y : array of shape (n_labeled,)
        codes : array of shape (n_rows, n_components)
            Of the rows without a label.
        rows_labeled : array of shape (n_labeled, ...), default=None
            The labelled rows themselves, on a scale that suits a network, to see whether a logistic
            regression on them is better. None: it is not looked at.
        random_state : RandomState, int or None, default=0
            Decides between neighbours that are equally near, and between rows of equal confidence.
        device : str or torch.device, default="cpu"
            Where neighbours are searched.

        Returns
        -------
        pseudo_labels : PseudoLabels
            The most confident rows; none that no label reached, and none at all where there is one class,
            less structure than `min_structure`, held-out labels are guessed badly, or a logistic regression
            is better.
        """
        rng = checked_random_state(random_state)
        codes_labeled, codes = checked_codes("codes_labeled", codes_labeled), checked_codes("codes", codes)
        labels: Any = column_or_1d(to_column(y), input_name="y")
        y = labels
        if labels.dtype.names is not None or len({isinstance(label, str) for label in labels}) > 1:
            raise TypeError("y must hold a label for each row, all text or all numbers.")
        if codes.shape[1] != codes_labeled.shape[1]:
            raise ValueError(
                f"codes has {codes.shape[1]} columns, codes_labeled {codes_labeled.shape[1]}. Take both from "
                "one latent model."
            )
        if rows_labeled is not None:
            with reading("rows_labeled"):
                found: Any = check_array(to_host(rows_labeled), allow_nd=True, input_name="rows_labeled")
            rows_labeled = checked_rows("rows_labeled", found)
        check_consistent_length(codes_labeled, y, rows_labeled)
        n_labeled, encoder = len(codes_labeled), LabelEncoder().fit(y)
        n_classes, numbers = len(encoder.classes_), encoder.transform(y)
        if n_classes < 2 or len(codes) == 0:
            return _none(y, 0.0, "no unlabelled rows" if n_classes > 1 else "one class among the labels")
        graph = self._graph(np.concatenate([codes_labeled, codes]).astype(np.float32), rng, device)
        reach = self._reach(graph, numbers, n_classes)[n_labeled:]
        structure = _structure(_balance(reach, numbers, 1.0))
        if structure < float(self.min_structure):
            fault = f"structure {structure:.3f} < {float(self.min_structure):g}"
            return _none(y, structure, f"the codes do not keep the classes apart: {fault}")
        folds = _deal(numbers)
        balance, right = self._choose_balance(graph, numbers, n_classes, folds)
        beyond = _beyond_the_commonest(right, numbers)
        if self.min_right and beyond < float(self.min_right):
            fault = f"{beyond:.2f} < {float(self.min_right):g} beyond the commonest class"
            return _none(y, structure, f"held-out labels are guessed badly: {fault}")
        if self.only_if_not_worse and rows_labeled is not None:
            theirs = _right_by_regression(rows_labeled, numbers, folds)
            # In doubt none: a network that started on wrong labels loses more than it gains from right ones.
            if int(theirs.sum()) > int(right.sum()):
                fault = f"{right.mean():.3f} < {theirs.mean():.3f} of a logistic regression"
                return _none(y, structure, f"clusters disagree with the labels: {fault}")
        shares = _balance(reach, numbers, balance)
        confidence = shares.max(axis=1)
        reached = np.flatnonzero(confidence > 0)
        order = reached[ranked(-confidence[reached], rng)]
        rows = np.sort(order[: round(float(self.keep) * len(codes))])
        if not len(rows):
            return _none(y, structure, "no label reaches a row" if not len(reached) else "keep leaves no row")
        labels = encoder.inverse_transform(shares[rows].argmax(axis=1))
        return PseudoLabels(rows, labels, confidence[rows], structure, f"used {len(rows)} rows")

    def _reach(self, graph: csr_matrix, numbers: np.ndarray, n_classes: int) -> np.ndarray:
        """Return how much of each class reaches each row: the first rows have class numbers, -1 for none."""
        targets = np.full(graph.shape[0], -1)
        targets[: len(numbers)] = numbers
        spreading = LabelSpreading(kernel=lambda *_: graph, alpha=float(self.alpha))
        # 30 steps are enough for the largest share; rows that nothing reaches are divided by 0.
        with ignoring(ConvergenceWarning, RuntimeWarning):
            spreading.fit(np.zeros((len(targets), 1)), targets)
        reach = np.zeros((len(targets), n_classes))
        reach[:, spreading.classes_] = np.nan_to_num(spreading.label_distributions_)
        return reach

    def _choose_balance(
        self, graph: csr_matrix, numbers: np.ndarray, n_classes: int, folds: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Choose how far classes are made equal, and tell which held-out labels that guesses right."""
        right = {balance: np.zeros(len(numbers), dtype=bool) for balance in _BALANCES}
        for kept, out in _each_fold(numbers, folds):
            reach = self._reach(graph, kept, n_classes)[out]
            for balance in _BALANCES:
                guess = _balance(reach, kept[kept >= 0], balance).argmax(axis=1)
                right[balance][out] = guess == numbers[out]
        best = max(_BALANCES, key=lambda balance: (right[balance].sum(), balance))
        return best, right[best]

    def _graph(self, codes: np.ndarray, rng: np.random.RandomState, device: torch.device | str) -> csr_matrix:
        """Return the symmetric weights of the edges."""
        n, k = len(codes), min(self.n_neighbors, len(codes) - 1)
        # One more: a row finds itself, or a copy of itself, first.
        order = rng.permutation(n)  # of more copies than edges the first ones are not everybody's neighbours
        ids, distances = nearest_codes(codes[order], codes, k + 1, device=device)
        ids, distances = order[ids[:, 1:]], distances[:, 1:].astype(np.float64)
        scale = distances[:, min(_SCALE_NEIGHBOR, k) - 1] if k else np.ones(n)
        scale = np.maximum(scale, np.finfo(np.float32).tiny)
        weights = np.exp(-(distances**2) / (scale[:, None] * scale[ids]))
        rows = np.repeat(np.arange(n), k)
        graph = csr_matrix((weights.ravel(), (rows, ids.ravel())), shape=(n, n))
        graph.setdiag(0.0)
        return graph.maximum(graph.T)


def _deal(numbers: np.ndarray) -> np.ndarray:
    """Deal each class to the folds in turn, so that none has all of a rare one."""
    folds = np.empty(len(numbers), dtype=int)
    folds[np.argsort(numbers, kind="stable")] = np.arange(len(numbers)) % _N_FOLDS
    return folds


def _each_fold(numbers: np.ndarray, folds: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the class numbers, -1 for those held out, and the positions of these."""
    for i in range(_N_FOLDS):
        kept, out = np.where(folds == i, -1, numbers), np.flatnonzero(folds == i)
        if len(out) and (kept >= 0).any():
            yield kept, out


def _right_by_regression(rows: Any, numbers: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Tell which held-out labels a logistic regression on components of the rows guesses right."""
    rows = np.asarray(rows, dtype=np.float32).reshape(len(rows), -1)
    right = np.zeros(len(numbers), dtype=bool)
    if not (rows != rows[0]).any():
        return right
    n_components = min(_N_COMPONENTS, *rows.shape)
    found = PCA(n_components, svd_solver="randomized", random_state=0).fit_transform(rows)
    found /= (rows - rows.mean(axis=0)).std()  # what C means does not depend on the scale
    for kept, out in _each_fold(numbers, folds):
        inside = np.flatnonzero(kept >= 0)
        if len(np.unique(kept[inside])) < 2:
            guess = np.full(len(out), kept[inside[0]])
        else:
            with ignoring(ConvergenceWarning):
                model = LogisticRegression(C=0.1).fit(found[inside], kept[inside])
            guess = model.predict(found[out])
        right[out] = guess == numbers[out]
    return right


def _beyond_the_commonest(right: np.ndarray, numbers: np.ndarray) -> float:
    """Return how far guesses close the gap between naming the commonest class and being always right.

    A class with one label cannot be guessed where that is held out. With few other labels nothing is known.
    """
    counts = np.bincount(numbers)
    asked = counts[numbers] > 1
    n, commonest = int(asked.sum()), int(counts.max())
    if n < _FEWEST or n == commonest:
        return 1.0
    return (int(right[asked].sum()) - commonest) / (n - commonest)


def _balance(reach: np.ndarray, numbers: np.ndarray, power: float) -> np.ndarray:
    """Return the classes' shares of what reaches a row, each divided by a power of its number of labels."""
    n_labels = np.maximum(np.bincount(numbers, minlength=reach.shape[1]), 1)
    shares = reach / n_labels**power
    total = shares.sum(axis=1, keepdims=True)
    return shares / np.where(total > 0, total, 1.0)


def _structure(shares: np.ndarray) -> float:
    """Return by how much the largest share exceeds chance, on average: 0 by nothing, 1 by all there is."""
    chance = 1 / shares.shape[1]
    return float(np.maximum(shares.max(axis=1) - chance, 0).mean() / (1 - chance))


def _none(y: ArrayLike, structure: float, reason: str) -> PseudoLabels:
    return PseudoLabels(np.empty(0, dtype=np.intp), np.asarray(y)[:0], np.empty(0), structure, reason)


def make_pseudo_labels(
    pseudo_labels: str | LabelSpreader | None, target: BaseTarget, *, is_default: bool, taken: bool = True
) -> LabelSpreader | None:
    """Turn the parameter of the sampler into a spreader, or None.

    Parameters
    ----------
    pseudo_labels : {"auto", "spread"}, LabelSpreader or None
        ``"auto"``: where `is_default`, and labels can be spread and are taken.
    target : BaseTarget
    is_default : bool
        Whether the campaign's strategy is the default.
    taken : bool, default=True
        Whether the model that is trained takes pseudo-labels.

    Returns
    -------
    spreader : LabelSpreader or None

    Raises
    ------
    ValueError, TypeError
        If it is none of these, a parameter is wrong, or such labels cannot be spread or are not taken.
    """
    if pseudo_labels is None:
        return None
    if isinstance(pseudo_labels, str) and pseudo_labels == "auto":
        return LabelSpreader() if target.can_spread and is_default and taken else None
    if isinstance(pseudo_labels, str) and pseudo_labels == "spread":
        pseudo_labels = LabelSpreader()
    if isinstance(pseudo_labels, type | str) or not hasattr(pseudo_labels, "spread"):
        raise TypeError(
            "pseudo_labels must be 'auto', 'spread', a skalss.latent.LabelSpreader or None, "
            f"got {pseudo_labels!r}."
        )
    if not target.can_spread:
        raise ValueError(
            f"pseudo_labels spreads classes, and this is a {target.task} task. Set pseudo_labels=None or "
            "'auto'."
        )
    if not taken:
        raise ValueError(
            "pseudo_labels train a network in its first epochs, and an estimator of scikit-learn has none. "
            "Set pseudo_labels=None or 'auto', or pass a network."
        )
    pseudo_labels.check()
    return pseudo_labels


def reason_for_none(
    pseudo_labels: str | LabelSpreader | None, target: BaseTarget, *, is_default: bool, taken: bool
) -> str:
    """Say why `make_pseudo_labels` returned None for these."""
    if pseudo_labels is None:
        return "off: pseudo_labels=None"
    if not target.can_spread:
        return f"off: labels of a {target.task} task are not spread"
    return "off: the estimator takes none" if is_default and not taken else "off: the strategy is not 'auto'"
