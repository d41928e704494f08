"""One question, and a batch of them as the user sees it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from ..ledger.csv_file import READ, plain_name
from ..ledger.values import content_of
from ..oracles.base import PENDING
from ..strategies import BaseStrategy, Candidates, Snapshot
from .pool import Pool

POOL, GENERATED = "pool", "generated"


@dataclass
class Question:
    """One row put to the oracle, and its answer."""

    id: Any
    kind: str  # POOL or GENERATED
    round: int
    strategy: str
    position: int = -1  # in the pool; -1 for a generated point
    score: float = np.nan
    start: tuple[str, int] | None = None  # key of the labelled row it came from, see start_keys
    code: Any = None  # array (n_components,) of a generated point
    row: Any = None  # decoded, in the units of X
    state: str = PENDING
    label: Any = None
    reason: str = ""
    charged: bool = False
    control: bool = False  # drawn at random; its label is held out
    cost: float = 0.0  # in the oracle's units; paid if it is charged
    annotator: str = ""
    reused: bool = False  # the ledger had the answer before this run asked for it
    passed_on: bool = False  # a refused generated point that a strategy has been told of


@dataclass(frozen=True, repr=False)
class Batch:
    """The questions of one ``ask``; empty when a stopping rule holds.

    Attributes
    ----------
    ids : array of shape (n,)
        The identity of each row: `sample_id`, or the position in the pool (for a DataFrame, what ``iloc``
        takes, not its index); for points that a strategy made ``"generated-"`` and twelve hex digits, the
        hash of the row.
    X : array, DataFrame or list of length n
        The rows as whoever labels sees them: those of `show`, where it was given; otherwise those of the pool
        as the user passed them. Decoded rows for generated points.
    codes : float32 array of shape (n, n_components) or None
        None if no latent model was needed so far.
    scores : float array of shape (n,)
        The strategy's measure of each row; NaN if it has none.
    round : int
        0 for the first labels.
    """

    ids: np.ndarray
    X: Any
    codes: np.ndarray | None
    scores: np.ndarray
    round: int

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.ids)

    def __repr__(self) -> str:
        """Say what it holds, without the rows: ``Batch(round 2, 12 rows of shape (64,), ids [7, ...])``."""
        shape = f" of shape {np.shape(self.X)[1:]}" if np.ndim(self.X) > 1 else ""
        ids = [repr(id_.item() if isinstance(id_, np.generic) else id_) for id_ in self.ids[:5]]
        more = ", ..." if len(self) > 5 else ""
        return f"Batch(round {self.round}, {len(self)} rows{shape}, ids [{', '.join(ids)}{more}])"

    def to_frame(self, features: bool = True) -> pd.DataFrame:
        """Return the questions as a table with an empty column `label`, to be filled in and told.

        Parameters
        ----------
        features : bool, default=True
            Whether to write out the features, too, where rows are flat; a text or path as a column `shown`.

        Returns
        -------
        frame : DataFrame
            Columns `id`, `round`, `score`, the features, and `label`. A feature of one of these names, or of
            one that `Ledger.read_csv` reads, such as `state` or `cost`, gets the prefix ``feature_``.
        """
        frame = pd.DataFrame({"id": self.ids, "round": self.round, "score": self.scores})
        columns = _flat(self.X) if features else None
        if columns is not None:
            taken = {*frame.columns, *READ}
            same = [c for c in columns.columns if plain_name(str(c)) in taken]
            columns = columns.rename(columns={c: f"feature_{c}" for c in same})
            frame = pd.concat([frame, columns.reset_index(drop=True)], axis=1)
        return frame.assign(label=None)


def _flat(X: Any) -> pd.DataFrame | None:
    """Return rows as columns of a table; None where they are not flat."""
    if isinstance(X, pd.DataFrame):
        return X
    if isinstance(X, np.ndarray) and X.ndim == 2:
        return pd.DataFrame(X).add_prefix("x")
    if isinstance(X, pd.Series):
        return X.to_frame("shown" if X.name is None else X.name)
    one_value = not issparse(X) and all(isinstance(row, str | bytes | Path) or np.isscalar(row) for row in X)
    return pd.DataFrame({"shown": list(X)}) if one_value else None


def make_batch(questions: list[Question], pool: Pool, codes: np.ndarray | None, round_: int) -> Batch:
    """Put questions side by side, rows of the pool before generated points.

    Parameters
    ----------
    questions : list of Question
    pool : Pool
    codes : array of shape (n_rows, n_components) or None
        Of the pool.
    round_ : int
        For a batch without questions.
    """
    questions = sorted(questions, key=lambda q: q.kind == GENERATED)
    made = [q for q in questions if q.kind == GENERATED]
    positions = np.array([q.position for q in questions if q.kind == POOL], dtype=np.intp)
    X = pool.rows_to_show(positions)
    if codes is not None:
        codes = np.concatenate([codes[positions], *[q.code[None] for q in made]])
    if made:
        rows = pool.like_user_rows([q.row for q in made], [q.id for q in made])
        X = rows if len(positions) == 0 else pool.stack(X, rows)
    ids = pool.ids[positions]
    if made:
        names = np.array([q.id for q in made])
        ids = np.concatenate([ids.astype(object), names]) if len(positions) else names
    return Batch(
        ids=ids,
        X=X,
        codes=codes,
        scores=np.array([q.score for q in questions], dtype=float),
        round=questions[0].round if questions else round_,
    )


def as_candidates(found: object, strategy: BaseStrategy) -> Candidates:
    """Return what a strategy found; bare positions of rows are taken, too.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(found, Candidates):
        return found
    rows = np.asarray(found) if isinstance(found, list | np.ndarray) else np.array(0.0)
    if rows.ndim == 1 and (len(rows) == 0 or np.issubdtype(rows.dtype, np.integer)):
        return Candidates(rows=rows.astype(np.intp))
    raise TypeError(
        f"{strategy} returned {type(found).__name__} from query; it must return Candidates(rows=positions), "
        "with positions out of snapshot.unlabeled."
    )


def check_candidates(candidates: Candidates, snapshot: Snapshot, n: int, strategy: BaseStrategy) -> None:
    """Refuse what breaks the contract of a strategy, and say how."""
    rows, codes, fault = candidates.rows, candidates.codes, None
    if rows is None and codes is None:
        fault = "neither rows nor codes"
    elif codes is not None and not strategy.generates_points:
        fault = "codes, but its generates_points is False"
    elif sum(len(chosen) for chosen in (rows, codes) if chosen is not None) > n:
        fault = f"more than the {n} candidates asked for"
    elif rows is not None and len(np.unique(rows)) < len(rows):
        fault = "the same row twice"
    elif rows is not None and not _are_askable(rows, snapshot.askable):
        fault = "a row that is labelled, pending or not in the pool"
    if fault:
        raise ValueError(
            f"{strategy} returned {fault}. query must return at most n distinct rows out of "
            "snapshot.unlabeled, or codes if its generates_points is True."
        )


def _are_askable(rows: np.ndarray, askable: np.ndarray) -> bool:
    rows = np.asarray(rows)
    if len(rows) and not np.issubdtype(rows.dtype, np.integer):
        return False
    inside = (rows >= 0) & (rows < len(askable))
    return bool(inside.all() and askable[rows].all())


def make_questions(
    candidates: Candidates,
    snapshot: Snapshot,
    ids: np.ndarray,
    taken: Collection[str],
    common: dict[str, Any],
) -> list[Question]:
    """Turn candidates into questions.

    Parameters
    ----------
    candidates : Candidates
    snapshot : Snapshot
        Decodes generated points.
    ids : array of shape (n_rows,)
        Of the pool.
    taken : collection of str
        Ids of the points generated so far.
    common : dict
        `round` and `strategy`.
    """
    rows = () if candidates.rows is None else candidates.rows
    questions = [Question(id=ids[i], kind=POOL, position=int(i), **common) for i in rows]
    if candidates.codes is None or len(candidates.codes) == 0:
        return questions
    codes = np.asarray(candidates.codes)
    made = snapshot.latent.decode(codes) if candidates.points is None else candidates.points
    for code, row in zip(codes, made, strict=True):
        # Named by its content, a point has one id in every campaign.
        name = f"{GENERATED}-{content_of(row)[:12]}"
        twins = sum(str(id_).startswith(name) for id_ in [*taken, *(q.id for q in questions)])
        id_ = f"{name}-{twins + 1}" if twins else name
        questions.append(Question(id=id_, kind=GENERATED, code=code, row=row, **common))
    return questions


def annotate(
    questions: list[Question], candidates: Candidates, start_keys: list[tuple[str, int]]
) -> list[Question]:
    """Note the score of each question and the labelled row it came from."""
    for i, question in enumerate(questions):
        if candidates.scores is not None:
            question.score = float(candidates.scores[i])
        if candidates.starts is not None and candidates.starts[i] >= 0:
            question.start = start_keys[candidates.starts[i]]
    return questions
