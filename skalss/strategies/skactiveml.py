"""Strategies of scikit-activeml inside a campaign."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import clone

from ..utils.checks import check_positive_int
from ..utils.seeds import seeded
from .base import BaseStrategy, Candidates
from .diversity import draw
from .snapshot import Snapshot

SPACES = ("codes", "features", "original")
_NETWORK = ("clf", "estimator")  # names under which a query takes one trained classifier
_BOTH = frozenset({"classification", "regression"})
_SERVED = {"X", "y", "candidates", "batch_size", "return_utilities", "ensemble", *_NETWORK}


class SkactivemlStrategy(BaseStrategy):
    """Runs a pool-based query strategy of scikit-activeml.

    The strategy is cloned for each query, and seeded by the campaign. A classifier that it needs (`clf`,
    `estimator`) is the campaign's trained network, a committee (`ensemble`) networks trained on labelled rows
    drawn with replacement; it may ask them, and not train them. Labels reach it as numbers, so that labels of
    any type will do. Labelled points that are no rows of the pool do not reach it.

    Parameters
    ----------
    query_strategy : object of skactiveml.pool
    n_candidates : int, default=None
        Unlabelled rows drawn at random to choose from; None: all. Many strategies need memory for the square
        of their number.
    space : {"features", "codes", "original"}, default="features"
        What the strategy sees of a row: the input of the network's last linear layer, the code of the latent
        model, or the row itself, flat.
    n_members : int, default=4
        Networks in a committee.
    query_params : dict, default=None
        More arguments of its ``query``, such as ``{"discriminator": ...}``; they overrule the campaign's.

    Notes
    -----
    Needs scikit-activeml: ``pip install "skalss[skactiveml]"``.

    Examples
    --------
    >>> from skactiveml.pool import TypiClust
    >>> from skalss.strategies import SkactivemlStrategy
    >>> sorted(SkactivemlStrategy(TypiClust(), space="codes").needs)
    []
    """

    def __init__(
        self,
        query_strategy: Any,
        n_candidates: int | None = None,
        *,
        space: str = "features",
        n_members: int = 4,
        query_params: dict[str, Any] | None = None,
    ):
        self.query_strategy = query_strategy
        self.n_candidates = n_candidates
        self.space = space
        self.n_members = n_members
        self.query_params = query_params

    @property
    def tasks(self) -> frozenset[str]:  # type: ignore[override]
        """A strategy that asks a classifier serves classes only, one that asks a regressor values only."""
        wanted = set(_arguments(self.query_strategy))
        for task, names in {"classification": {"ensemble", *_NETWORK}, "regression": {"reg"}}.items():
            if wanted & names:
                return frozenset({task})
        return _BOTH

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        """What the strategy sees of a row, and whether it asks the network."""
        asks = set(_arguments(self.query_strategy)) & set(_NETWORK) - set(self.query_params or {})
        needs = {"features"} if self.space == "features" else set()
        needs |= {"logits"} if asks else set()
        return frozenset(needs | {"labels"} if needs or self.tasks != _BOTH else needs)

    def check(self) -> None:
        """Refuse a wrong parameter, or a strategy that cannot be served, before anything is trained."""
        if self.space not in SPACES:
            raise ValueError(f"space must be one of {list(SPACES)}, got {self.space!r}.")
        if self.n_candidates is not None:
            check_positive_int("n_candidates", self.n_candidates, also="None")
        check_positive_int("n_members", self.n_members)
        kind = _skactiveml().SingleAnnotatorPoolQueryStrategy
        if not isinstance(self.query_strategy, kind):
            raise TypeError(
                "query_strategy must be a strategy of skactiveml.pool for one annotator, such as CoreSet(), "
                f"got {self.query_strategy!r}."
            )
        arguments, given = _arguments(self.query_strategy), set(self.query_params or {})
        needed = {name for name, argument in arguments.items() if argument.default is argument.empty}
        missing = sorted(needed - _SERVED - given)
        if missing:
            raise TypeError(
                f"{type(self.query_strategy).__name__} needs {', '.join(missing)}, which a campaign does not "
                f"have: it gives {', '.join(sorted(_SERVED))}. Pass it in query_params, as in "
                f"query_params={{{missing[0]!r}: ...}}."
            )
        if "ignore_partial_fit" in arguments and "clf" not in given:
            raise TypeError(
                f"{type(self.query_strategy).__name__} trains its classifier anew for every candidate, which "
                "a campaign's network cannot do in time. Pass a quick classifier of scikit-activeml, as in "
                "query_params={'clf': ParzenWindowClassifier(classes=range(n_classes))}."
            )
        unknown = sorted(given - set(arguments))
        if unknown:
            raise TypeError(
                f"query_params holds {', '.join(unknown)}, but the query of "
                f"{type(self.query_strategy).__name__} takes {', '.join(arguments)}."
            )

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Whether the strategy sees codes of rows."""
        return self.space == "codes"

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Let the strategy choose up to `n` rows.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are the strategy's utilities; NaN for rows that chance filled up with, where it chose
            a row twice or one that must not be asked.

        Raises
        ------
        ImportError
            If scikit-activeml is not installed.
        TypeError
            If the strategy needs what a campaign does not have, or would train the network.
        """
        self.check()
        some = draw(snapshot, None if self.n_candidates is None else max(n, self.n_candidates))
        n = min(n, len(some))
        seen = np.sort(np.concatenate([snapshot.labeled, some]))
        seed = snapshot.random_state.randint(2**31 - 1)
        X, logits = self._look_at(snapshot, seen)
        arguments = {
            "X": X,
            "y": _labels(snapshot, seen),
            "candidates": np.searchsorted(seen, some),
            "batch_size": n,
            "return_utilities": True,
            **self._networks(snapshot, seen, X, logits, seed),
            **(self.query_params or {}),
        }
        with _seeded_globally(seed, snapshot.device):
            picked, utilities = _seeded(self.query_strategy, seed).query(**arguments)
        scores = np.asarray(utilities)[np.arange(len(picked)), picked]
        return _checked(snapshot, some, seen[np.asarray(picked)], scores, n)

    def _look_at(self, snapshot: Snapshot, seen: np.ndarray) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
        """Return `X`, and a function that gives the class scores of its rows."""
        if self.space == "features":
            features, logits = snapshot.network.features_and_logits(seen)
            return features, lambda: logits
        rows = snapshot.rows(seen) if self.space == "original" else snapshot.latent.codes()[seen]
        return rows.reshape(len(rows), -1), lambda: snapshot.network.logits(seen)

    def _networks(
        self,
        snapshot: Snapshot,
        seen: np.ndarray,
        X: np.ndarray,
        logits: Callable[[], np.ndarray],
        seed: int,
    ) -> dict[str, Any]:
        """Return the networks that the query takes, and the word that they are trained already."""
        takes = set(_arguments(self.query_strategy))
        wanted = takes & {"ensemble", *_NETWORK} - set(self.query_params or {})
        if not wanted:
            return {}
        n_classes = snapshot.target.n_classes
        find = _skactiveml().finder(X)

        def classifier(P: Callable[[], np.ndarray]) -> Any:
            made = _skactiveml().NetworkClassifier(lambda rows: P()[find(rows)], n_classes, seed)
            return made.adopt(X)

        given: dict[str, Any] = {f"fit_{name}": False for name in wanted if f"fit_{name}" in takes}
        for name in wanted & set(_NETWORK):
            given[name] = classifier(cache(lambda: softmax(logits()[:, :n_classes], axis=1)))
        if "ensemble" in wanted:
            members = snapshot.network.committee(seen, self.n_members)
            given["ensemble"] = [classifier(partial(np.asarray, P)) for P in members]
        return given


def _arguments(query_strategy: Any) -> dict[str, inspect.Parameter]:
    """Return the arguments of a strategy's query; those of the strategy inside, too, if it wraps one."""
    if not hasattr(query_strategy, "query"):
        return {}
    own = inspect.signature(query_strategy.query).parameters
    named = {name: p for name, p in own.items() if p.kind is not p.VAR_KEYWORD}
    inner = getattr(query_strategy, "query_strategy", None) if len(named) < len(own) else None
    return {**_arguments(inner), **named}


def _seeded(query_strategy: Any, seed: int) -> Any:
    """Clone a strategy, with a seed, and NaN for what has no label."""
    settings = {"random_state": seed, "missing_label": np.nan}
    made = clone(query_strategy)
    names = [(name, name.rpartition("__")[2]) for name in made.get_params()]
    return made.set_params(**{name: settings[last] for name, last in names if last in settings})


@contextmanager
def _seeded_globally(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators inside the block, which some strategies draw from; then put them back."""
    with seeded(seed, device):  # one thread at a time, for NumPy's generator, too
        before = np.random.get_state()  # noqa: NPY002
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


def _labels(snapshot: Snapshot, seen: np.ndarray) -> np.ndarray:
    """Return the labels of the rows seen, classes by their number; NaN for rows without one."""
    labels = snapshot.y_labeled[: len(snapshot.labeled)]
    y = np.full(len(seen), np.nan)
    classes = len(labels) > 0 and not snapshot.target.numeric
    known = snapshot.target.encode(labels) if classes else labels
    y[np.searchsorted(seen, snapshot.labeled)] = known
    return y


def _checked(
    snapshot: Snapshot, some: np.ndarray, picked: np.ndarray, scores: np.ndarray, n: int
) -> Candidates:
    """Keep each candidate picked once; others, drawn at random, stand in for the rest."""
    first = np.sort(np.unique(picked, return_index=True)[1])
    keep = first[np.isin(picked[first], some)]
    free = np.setdiff1d(some, picked[keep])
    others = snapshot.random_state.choice(free, size=n - len(keep), replace=False)
    return Candidates(
        rows=np.concatenate([picked[keep], others]),
        scores=np.concatenate([scores[keep], np.full(len(others), np.nan)]),
    )


def _skactiveml() -> ModuleType:
    """Import what needs scikit-activeml."""
    try:
        from . import skactiveml_network
    except ImportError as error:
        raise ImportError(
            "SkactivemlStrategy needs scikit-activeml, which is not installed. Run: "
            'pip install "skalss[skactiveml]"'
        ) from error
    return skactiveml_network
