"""The parts of a campaign, made of the settings of a sampler: each gets the values it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from ..latent.pseudo_labels import make_pseudo_labels, reason_for_none
from ..ledger import make_ledger
from ..network import TaskNet, check_task_model, make_task_model
from ..oracles import BaseOracle, make_oracle
from ..simulation import Box
from ..strategies import BaseStrategy, check_needs, is_auto, make_initial, make_strategy
from ..targets import BaseTarget, make_target, says_kind
from ..utils.bounds import Bounds
from ..utils.checks import check_choice, check_positive_int, check_verbose
from ..utils.sparse_rows import SparseRows
from ..utils.tensors import to_host
from .agreement import Agreement
from .budget import Budget
from .cache import Cache, NoCache, make_cache
from .control import ControlRows, check_control_share
from .history import History
from .identity import name_in_ledger
from .journal import Journal, NoJournal, SeedLike, make_journal
from .judge import Judge
from .models import TRAIN_ON, Models
from .pool import Pool, rows_of
from .records import Records
from .rehearsal import rehearse
from .replay import Replay
from .round import Rounds
from .scoring import Scorer
from .stopping import MaxCost, StoppingRule, make_rules
from .vectorizer import make_vectorizer


class Data(NamedTuple):
    """What a campaign gets besides its settings, as in ``AdaptiveLatentSampler.fit``."""

    X: ArrayLike | Box
    y: ArrayLike | None
    labeled: ArrayLike | None
    sample_id: ArrayLike | None
    X_val: ArrayLike | None
    y_val: ArrayLike | None
    show: Any = None  # anything that can be indexed by rows
    codes: ArrayLike | None = None


class Parts(NamedTuple):
    """The parts of a campaign, each explained where it is written."""

    pool: Pool
    records: Records
    history: History
    oracle: BaseOracle | None
    budget: Budget
    journal: Journal | NoJournal
    models: Models
    judge: Judge
    rounds: Rounds
    choosers: tuple[BaseStrategy, BaseStrategy]  # of the first rows, and of later ones
    seed: int


def assemble(settings: BaseEstimator, oracle: Any, random_state: SeedLike, data: Data) -> Parts:
    """Make the parts of a campaign, and refuse what cannot work before anything is trained.

    Parameters
    ----------
    settings : AdaptiveLatentSampler
        A clone of the user's, without the oracle; it gets `n_features_in_`.
    oracle : BaseOracle, callable or None
    random_state : int, RandomState or None
        The user's own: a clone of it would give each campaign the same numbers.
    data : Data

    Returns
    -------
    parts : Parts

    Raises
    ------
    ValueError, TypeError
        If settings, data or oracle are wrong, or do not fit each other.
    LedgerError
        If the ledger is damaged, locked by another campaign, full, or of other data or another task.
    """
    s, rules = settings, _checked_rules(settings, data)
    bounds = _bounds_of_box(data)
    X, (y, labeled, sample_id, X_val, y_val, show, codes) = rows_of(data.X, random_state), data[1:]
    target = _target_of(s, X, y)
    if target.n_classes == 1 and not target.independent:
        raise ValueError(
            f"classes must name at least two, got {target.classes}: with one there is nothing to learn. Name "
            "every label that may come."
        )
    pool = Pool(
        X,
        y,
        target=target,
        checker=s,
        has_oracle=oracle is not None,
        labeled=labeled,
        sample_id=sample_id,
        X_val=X_val,
        y_val=y_val,
        bounds=bounds,
        show=show,
        vectorizer=make_vectorizer(s.vectorizer, to_host(X)),
        codes=codes,
    )
    if target.independent and target.classes is None:
        raise ValueError(
            "With several labels a row, all of them must be known before the first question. Name them: "
            "classes=['car', 'dog'], or classes=range(14)."
        )
    strategy = make_strategy(s.strategy, target.task)
    initial = make_initial(s.initial, s.strategy, target.task)
    _check_show(pool, (initial, strategy))
    asked = check_oracle(oracle, pool, (initial, strategy))
    for chooser in (initial, strategy):
        chooser.check_pool(pool.X, pool.like_user_rows)
    records = Records(len(pool), pool.given, pool.given_labels)
    budget = Budget(
        pool,
        records,
        n_initial=int(s.n_initial),  # NumPy's small integers overflow
        n_per_round=int(s.n_per_round),
        max_labels=int(s.max_labels),
        max_cost=min((rule.max_cost for rule in rules if isinstance(rule, MaxCost)), default=None),
        oracle=asked,
        unlimited=strategy.generates_points,
    )
    choosers, ledger = (initial, strategy), make_ledger(s.ledger)
    with _let_go_on_error(make_journal(ledger, pool, s)) as journal:
        cache = make_cache(ledger)
        seed, history = journal.choose_seed(random_state), History(records)
        models = _models(s, pool, records, history, seed, cache)
        judge = _judge(s, pool, records, models, history, budget, rules, seed)
        n_rows = _rows_of_first_training(s, pool, budget, strategy, judge)
        trial = rehearse(
            pool, models, judge, budget, choosers=choosers, n_rows=n_rows, keeps_labels=ledger is not None
        )
        for chooser in choosers:
            check_needs(chooser, trial.abilities, models.template)
        name = "" if ledger is None else name_in_ledger(s, pool.name_of_codes())
        replay = Replay(cache, journal, pool, records, history, models, judge, name=name, seed=seed)
        rounds = Rounds(
            pool,
            records,
            history,
            models,
            budget,
            judge,
            journal,
            replay,
            initial=initial,
            strategy=strategy,
            rules=rules,
            seed=seed,
        )
        journal.start(seed)
    return Parts(pool, records, history, asked, budget, journal, models, judge, rounds, choosers, seed)


def _target_of(s: BaseEstimator, X: Any, y: ArrayLike | None) -> BaseTarget:
    """Return the kind of y: as the estimator says, or by `y`; without labels, by what a network puts out."""
    model = make_task_model(s.estimator)
    rows = to_host(X)
    shape = rows.shape[1:] if isinstance(rows, np.ndarray) else ()
    if y is None and shape and isinstance(model, TaskNet) and not says_kind(model):
        suggested = model.suggested_target(tuple(shape))
        if suggested is not None:
            suggested.know(s.classes)
            return suggested
    return make_target(model, s.classes, y)


@contextmanager
def _let_go_on_error(journal: Journal | NoJournal) -> Iterator[Journal | NoJournal]:
    """Let the ledger go where a campaign cannot be made."""
    try:
        yield journal
    except BaseException:
        journal.close()
        raise


def _bounds_of_box(data: Data) -> Bounds | None:
    """Return the bounds of a box in place of rows; None where there are rows."""
    if not isinstance(data.X, Box):
        return None
    if data.y is not None or data.labeled is not None or data.codes is not None:
        raise ValueError(
            "A Box has no rows until a campaign draws them, so y, labeled and codes cannot belong to any. "
            "Draw them first, X = box.draw(0), and pass X with y; or set oracle=."
        )
    return data.X.bounds()


def _checked_rules(s: BaseEstimator, data: Data) -> list[StoppingRule]:
    """Refuse wrong settings; return the rules that end the campaign."""
    check_task_model(s.estimator)
    check_choice("train_on", s.train_on, TRAIN_ON)
    check_positive_int("n_initial", s.n_initial)
    check_positive_int("n_per_round", s.n_per_round)
    check_verbose(s.verbose)
    check_control_share(s.control_share)
    if s.latent_model is not None and data.codes is not None:
        raise ValueError(
            f"latent_model={s.latent_model} and codes= exclude each other: with codes of the pool no latent "
            "model is fitted. Leave one of them out."
        )
    rules = make_rules(s.max_labels, s.stop)
    scored = next((rule for rule in rules if "score" in rule.needs), None)
    if scored is not None and data.X_val is None:
        raise ValueError(f"{scored} needs held-out rows to score on: pass X_val and y_val to fit.")
    return rules


def _rows_of_first_training(
    s: BaseEstimator, pool: Pool, budget: Budget, strategy: BaseStrategy, judge: Judge
) -> int:
    """Return how many rows a network is trained on for the first time; all, where nobody looks before."""
    looked_at = bool(strategy.needs) or judge.looks_at_each_round
    n_all = min(len(pool), budget.total() + len(pool.given))
    return max(1, min(n_all, max(s.n_initial, len(pool.given))) if looked_at else n_all)


def _models(
    s: BaseEstimator, pool: Pool, records: Records, history: History, seed: int, cache: Cache | NoCache
) -> Models:
    is_default, taken = is_auto(s.strategy), make_task_model(s.estimator).takes_pseudo_labels
    case = {"is_default": is_default, "taken": taken}
    spreader = make_pseudo_labels(s.pseudo_labels, pool.target, **case)
    return Models(
        pool,
        records,
        history,
        estimator=s.estimator,
        latent_model=s.latent_model,
        train_on=s.train_on,
        spreader=spreader,
        no_spreader="" if spreader else reason_for_none(s.pseudo_labels, pool.target, **case),
        seed=seed,
        cache=cache,
    )


def _judge(
    s: BaseEstimator,
    pool: Pool,
    records: Records,
    models: Models,
    history: History,
    budget: Budget,
    rules: Sequence[StoppingRule],
    seed: int,
) -> Judge:
    scorer = Scorer(s.scoring, pool.target)
    control = ControlRows(
        pool,
        records,
        scorer,
        share=float(s.control_share),
        n_initial=int(s.n_initial),
        budget=budget.total(),
        seed=seed,
    )
    compared = any("agreement" in rule.needs for rule in rules)
    agreement = Agreement(pool, seed) if compared else None
    return Judge(pool, records, models, history, scorer=scorer, control=control, agreement=agreement)


def _check_show(pool: Pool, choosers: Sequence[BaseStrategy]) -> None:
    """Refuse other rows to be shown where points are made that have none."""
    makes_points = next((s for s in choosers if s.generates_points), None)
    if makes_points is not None and (pool.vectorizer is not None or isinstance(pool.X, SparseRows)):
        kind = "sparse numbers" if pool.vectorizer is None else "the numbers of the vectorizer"
        raise ValueError(
            f"{makes_points} makes points in {kind}, and such a point is no row that anybody could label. "
            "Use strategy='snn', which asks for the nearest rows of the pool; or pass dense numbers as X."
        )
    if pool.shows_others and makes_points is not None:
        raise ValueError(
            f"{makes_points} makes points in the units of X, and for a point that is no row of X there is "
            "nothing in show. Leave show out, so that whoever labels gets rows like those of X; or use "
            "strategy='snn', which asks for the nearest rows of the pool."
        )


def check_oracle(oracle: Any, pool: Pool, choosers: Sequence[BaseStrategy]) -> BaseOracle | None:
    """Return the oracle, or None where answers come by `tell`; refuse one that cannot serve.

    Parameters
    ----------
    oracle : BaseOracle, callable or None
        None: the answer key, where there is one.
    pool : Pool
    choosers : sequence of BaseStrategy

    Returns
    -------
    oracle : BaseOracle or None

    Raises
    ------
    ValueError, TypeError
        If it is no oracle, or cannot label what the strategies ask for.
    """
    made = pool.answer_key if oracle is None else make_oracle(oracle)
    if made is None:
        return None
    makes_points = next((s for s in choosers if s.generates_points), None)
    if makes_points is not None and not made.labels_new_points:
        raise ValueError(
            f"{makes_points} asks for labels of generated points, but {type(made).__name__} only "
            "labels rows of the pool. Use strategy='snn', which asks for the nearest pool rows, or an "
            "oracle with labels_new_points=True, such as FunctionOracle(function)."
        )
    made.check_pool(pool.sample_id, len(pool))
    made.check_rows(pool.shown, pool.sample_id)
    return made
