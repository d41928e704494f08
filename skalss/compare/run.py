"""compare_strategies: which way to choose labels wins, over paired seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import get_scorer
from sklearn.utils.validation import check_consistent_length

from ..campaign import Campaign
from ..campaign.scoring import Scorer
from ..campaign.vectorizer import make_vectorizer, vectorize
from ..latent import default_latent_model
from ..network import check_task_model, make_task_model
from ..sampler import AdaptiveLatentSampler
from ..simulation import Box
from ..strategies import STRATEGIES, BaseStrategy
from ..targets import BaseTarget, make_target
from ..utils.checks import (
    check_array_like,
    check_callable,
    check_choice,
    check_count,
    check_mapping,
    check_n_jobs,
    check_path,
    check_positive_int,
    check_text,
    is_whole,
    show,
)
from ..utils.progress import progress_bar
from ..utils.tensors import to_host
from .runs import CONTROL, SECONDS, append_runs, hash_data, hash_settings, old_hash_settings, read_runs

_MOST_SEEDS = 10**6
_MEASURED = ["n_labels", "n_queries", "score", "network_rows", "class_balance"]
_CONTROL_SETTINGS = {"strategy": "random", "initial": "random", "pseudo_labels": None}


def compare_strategies(
    sampler: AdaptiveLatentSampler,
    X: ArrayLike,
    y: ArrayLike | None,
    strategies: Iterable[str | BaseStrategy] | Mapping[str, Any],
    *,
    X_test: ArrayLike,
    y_test: ArrayLike,
    seeds: int | Sequence[int] = 5,
    n_jobs: int | None = None,
    csv: str | Path | None = None,
    metrics: Mapping[str, Any] | None = None,
    codes: ArrayLike | None = None,
) -> pd.DataFrame:
    """Run a campaign for each arm and seed, and score the network on test rows after each round.

    An arm is a strategy, or a set of parameters of the sampler. A control arm named ``"random"``, with a
    random start and random queries, is always run. For one seed all arms share the seed of the network,
    and those that start alike share their first rows; the latent model is fitted once for all, except for
    an arm that sets one of its own.

    Training with pseudo-labels takes at least 512 rows an epoch. For a fair comparison let the other arms
    train on as many: ``TaskNet(net, min_epoch_rows=512)``.

    Parameters
    ----------
    sampler : AdaptiveLatentSampler
        The settings that the arms share: network, budget, rows per round.
    X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        The pool.
    y : array-like of shape (n_samples,)
        Its labels: the answer key, unless the sampler has an oracle. Of every kind that
        ``AdaptiveLatentSampler.fit`` takes.
    strategies : list of str or BaseStrategy, or dict
        The arms. A dict maps names to strategies, or to dicts of sampler parameters, such as
        ``{"cold start": {"strategy": "margin", "initial": "kmeans"}}``. In a list, an object is named by
        its repr.
    X_test, y_test : arrays
        Rows to score on. No campaign sees them.
    seeds : int or sequence of int, default=5
        A number of seeds, from 0, or the seeds themselves.
    n_jobs : int, default=None
        Campaigns run at a time, by joblib. Seconds are comparable only with one.
    csv : path-like, default=None
        File to which the rows of each campaign are added when it ends. Campaigns that the file holds, with
        the same settings and data, are read and not run again. A campaign that a kill left half-written is
        run again. What an object has learnt, or what a function does, is not looked at: use another file
        after a change of these.
    metrics : dict of str to str or callable, default=None
        More scorers of the network on the test rows, such as ``{"mae": "neg_mean_absolute_error"}``; each has
        a column of its name.
    codes : array-like of shape (n_samples, n_components), default=None
        Codes of the pool for all arms, in place of a latent model; see ``AdaptiveLatentSampler.fit``.

    Returns
    -------
    results : DataFrame
        A row for each arm, seed and round: `arm`, `seed`, `round`, `n_labels`, `n_queries`, `score` (of the
        sampler's `scoring`; accuracy or R² by default), `network_rows`, `latent_seconds`, `query_seconds`,
        `fit_seconds`, `class_balance` (entropy of the classes bought so far over that of equal shares; NaN
        where the classes are not known) and `settings`, a hash of the sampler's parameters and the data.
        Then come `metrics`. ``results.attrs["metric_name"]`` names the score.

    Raises
    ------
    ValueError, TypeError
        If an arm or its settings are wrong, two arms have one name, or data do not fit, before anything
        trains.

    See Also
    --------
    summarize_comparison : Area under the curves, intervals and labels to a target.
    skalss.display.LabelEfficiencyDisplay : The learning curves in a picture.

    Examples
    --------
    >>> from skalss import AdaptiveLatentSampler
    >>> from skalss.compare import compare_strategies, summarize_comparison
    >>> from skalss.datasets import load_digits_pool
    >>> pool = load_digits_pool()
    >>> sampler = AdaptiveLatentSampler(n_initial=30, n_per_round=30, max_labels=90)
    >>> results = compare_strategies(
    ...     sampler, pool.X, pool.y, ["mms"], X_test=pool.X_test, y_test=pool.y_test, seeds=2)
    >>> results.groupby("arm")["n_labels"].max().to_dict()
    {'mms': 90, 'random': 90}
    >>> summarize_comparison(results).index.tolist()
    ['random', 'mms']
    """
    if not isinstance(sampler, AdaptiveLatentSampler):
        raise TypeError(
            f"sampler must be an AdaptiveLatentSampler with the settings that the arms share, got "
            f"{show(sampler)} of type {type(sampler).__name__}."
        )
    check_n_jobs(n_jobs)
    if csv is not None:
        check_path("csv", csv, also="None")
    if metrics is not None:
        check_mapping("metrics", metrics, also="None")
    arms, seeds = _name_arms(strategies), _list_seeds(seeds)
    for name, array in (("X", X), ("y", y), ("X_test", X_test), ("y_test", y_test)):
        if array is not None or name.endswith("test"):
            check_array_like(name, array)
    _check_test_rows(X, X_test, y_test)
    check_task_model(sampler.estimator)
    target = make_target(make_task_model(sampler.estimator), sampler.classes, y_test if y is None else y)
    y_test = target.column(y_test, "y_test")
    target.take_examples(y_test if y is None else target.column(y))
    for label in y_test:
        target.check(label)
    samplers = {name: clone(sampler).set_params(**settings) for name, settings in arms.items()}
    data = hash_data(X, y, X_test, y_test, codes)
    X_test = to_host(X_test)
    if target.independent:  # scorers of scikit-learn know 0 and 1
        y_test = target.as_array(list(y_test))
    hashes = {name: hash_settings(arm, data) for name, arm in samplers.items()}
    scorers = {name: _scorer_of(name, metric) for name, metric in (metrics or {}).items()}
    known = read_runs(csv, {old_hash_settings(arm, data): hashes[name] for name, arm in samplers.items()})
    _check_columns(known, scorers, csv)
    done = set() if known is None else set(zip(known["arm"], known["seed"], known["settings"], strict=True))
    jobs = [(name, seed) for seed in seeds for name in arms]
    todo = [(name, seed) for name, seed in jobs if (name, seed, hashes[name]) not in done]
    if todo:
        for arm in samplers.values():
            _campaign(arm, X, y, codes).close()  # refuses wrong settings before anything is trained
        shared = None if codes is not None else _fit_latent(sampler, X)
        for name, arm in samplers.items():
            if shared is not None and not any(setting.startswith("latent_model") for setting in arms[name]):
                arm.set_params(latent_model=shared)
    runs = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(_run)(
            samplers[name],
            X,
            y,
            codes,
            X_test,
            y_test,
            scorers,
            {"arm": name, "seed": seed, "settings": hashes[name]},
        )
        for name, seed in todo
    )
    tables = [] if known is None else [known]
    shown = progress_bar("campaigns", total=len(todo), unit="run", verbose=sampler.verbose)
    for table in runs:
        shown.update()
        tables.append(table)
        if csv is not None and len(table):
            append_runs(csv, table)
    shown.close()
    results = pd.concat(tables, ignore_index=True)
    wanted = pd.MultiIndex.from_tuples([(name, seed, hashes[name]) for name, seed in jobs])
    results = results[pd.MultiIndex.from_frame(results[["arm", "seed", "settings"]]).isin(wanted)]
    order = {name: i for i, name in enumerate(arms)}
    results = results.sort_values(
        ["arm", "seed", "round"], key=lambda c: c.map(order) if c.name == "arm" else c
    ).reset_index(drop=True)
    results.attrs["metric_name"] = _metric_name(sampler, target)
    return results


# -- one campaign -------------------------------------------------------------------------------------


def _name_arms(strategies: Any) -> dict[str, dict[str, Any]]:
    """Return the parameters of each arm by its name; the control comes first."""
    if isinstance(strategies, str | BaseStrategy):
        strategies = [strategies]
    if not np.iterable(strategies) or isinstance(strategies, type):
        raise TypeError(
            f"strategies must be a list of names or strategies, or a dict of them, got {show(strategies)} of "
            f"type {type(strategies).__name__}."
        )
    named = (
        list(strategies.items())
        if isinstance(strategies, Mapping)
        else [(arm if isinstance(arm, str) else repr(arm), arm) for arm in strategies]
    )
    for _, arm in named:
        if not isinstance(arm, str | BaseStrategy | Mapping):
            raise TypeError(
                f"strategies must hold names, strategies or dicts of parameters, got {show(arm)} of type "
                f"{type(arm).__name__}."
            )
        if isinstance(arm, str):
            check_choice("strategies", arm, ["auto", *sorted(STRATEGIES)], also="BaseStrategy objects")
    names = [" ".join(str(name).split()) for name, _ in named]  # one line of a CSV file, of a legend
    if len(set(names)) < len(names):
        raise ValueError(f"strategies holds an arm twice: {names}. Give each a name of its own in a dict.")
    arms = {
        name: dict(arm) if isinstance(arm, Mapping) else {"strategy": arm}
        for name, (_, arm) in zip(names, named, strict=True)
    }
    if arms.get(CONTROL, _CONTROL_SETTINGS) not in (_CONTROL_SETTINGS, {"strategy": "random"}):
        raise ValueError(
            f"The name {CONTROL!r} is that of the control arm, {_CONTROL_SETTINGS}; got {arms[CONTROL]}. "
            "Give this arm another name."
        )
    return {CONTROL: _CONTROL_SETTINGS, **{name: arm for name, arm in arms.items() if name != CONTROL}}


def _scorer_of(name: object, metric: Any) -> Any:
    """Return the scorer of a metric; refuse what is none by its name."""
    check_text("Each name in metrics", name)
    if not isinstance(metric, str):
        check_callable(f"metrics[{name!r}]", metric, also="the name of a scorer")
        return metric
    try:
        return get_scorer(metric)
    except ValueError as error:
        raise ValueError(f"metrics[{name!r}] must be the name of a scorer or a callable: {error}") from error


def _list_seeds(seeds: Any) -> list[int]:
    allowed = "a whole number of seeds, or a list of seeds"
    if is_whole(seeds):
        check_positive_int("seeds", seeds, most=_MOST_SEEDS)
        seeds = range(int(seeds))
    if (
        not isinstance(seeds, Sequence | np.ndarray)
        or isinstance(seeds, str | bytes)
        or not np.iterable(seeds)
    ):
        raise TypeError(f"seeds must be {allowed}, got {show(seeds)} of type {type(seeds).__name__}.")
    for seed in seeds:
        check_count("Each of seeds", seed)
    listed = [int(seed) for seed in seeds]
    if len(set(listed)) < max(1, len(listed)):
        raise ValueError(
            f"seeds must be a number of seeds, or seeds that differ, at least one; got {listed}. "
            "A campaign repeated with its seed tells nothing new."
        )
    return listed


def _check_test_rows(X: ArrayLike, X_test: ArrayLike, y_test: ArrayLike) -> None:
    if isinstance(X, Box):
        raise TypeError(
            "A comparison needs rows, the same for all arms: pass box.draw(0) in place of the Box."
        )
    check_consistent_length(X_test, y_test)
    try:
        shape, shape_of_X = np.shape(X_test)[1:], np.shape(X)[1:]
    except ValueError as error:  # lists of unequal length
        raise ValueError("X and X_test must hold rows of one shape; theirs differ.") from error
    if shape != shape_of_X:
        raise ValueError(f"X_test has rows of shape {shape}, X has {shape_of_X}. Give both the same shape.")


def _campaign(
    sampler: AdaptiveLatentSampler, X: ArrayLike, y: ArrayLike | None, codes: ArrayLike | None
) -> Campaign:
    return Campaign(sampler, X, y if sampler.oracle is None else None, codes=codes)


def _fit_latent(sampler: AdaptiveLatentSampler, X: ArrayLike) -> Any:
    """Fit the latent model once, for all arms and seeds; a repeated call fits the same. None: not shared."""
    if isinstance(sampler.latent_model, FrozenEstimator):
        return sampler.latent_model
    if make_vectorizer(sampler.vectorizer, to_host(X)) is not None:
        return None  # an arm may turn the rows into other numbers
    given = sampler.latent_model
    model = clone(default_latent_model(np.ndim(X)) if given is None else given)
    if model.get_params(deep=False).get("random_state", 0) is None:
        model.set_params(random_state=0)
    return FrozenEstimator(model.fit(X))


def _metric_name(sampler: AdaptiveLatentSampler, target: BaseTarget) -> str:
    if sampler.scoring is None:
        return target.metric_title
    return sampler.scoring if isinstance(sampler.scoring, str) else "score"


def _run(
    sampler: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    codes: ArrayLike | None,
    X_test: ArrayLike,
    y_test: ArrayLike,
    scorers: dict[str, Any],
    named: dict[str, Any],
) -> pd.DataFrame:
    """Run one campaign; return a row for each round after which there was a label."""
    sampler.set_params(random_state=named["seed"])
    campaign = _campaign(sampler, X, y, codes)
    scorer = Scorer(sampler.scoring, campaign.pool.target)
    if campaign.pool.vectorizer is not None:
        X_test = vectorize(campaign.pool.vectorizer, X_test, "X_test")
    lines, seconds_before = [], pd.Series(0.0, index=SECONDS)
    for _ in campaign.rounds():
        asked = campaign.history.iloc[-1]
        labels = campaign.queries.query("state == 'labeled'")["label"]
        if not campaign.records.labels():
            continue
        network = campaign.network()
        score = scorer(network, X_test, y_test)
        more = {name: round(float(metric(network, X_test, y_test)), 5) for name, metric in scorers.items()}
        trained = campaign.history.iloc[-1]
        # Of all since the last row: what a strategy trained before it asked is among them.
        seconds = campaign.history[SECONDS].sum()
        spent, seconds_before = seconds - seconds_before, seconds
        lines.append(
            {
                **named,
                "round": int(asked["round"]),
                "n_labels": int(trained["n_labels"]),
                "n_queries": int(trained["n_queries"]),
                "score": round(float(score), 5),
                "network_rows": int(asked["network_rows"]),
                **spent.round(3).to_dict(),
                "class_balance": round(_class_balance(labels, campaign.pool.target), 4),
                **more,
            }
        )
    campaign.close()
    return pd.DataFrame(lines)


def _class_balance(labels: pd.Series, target: BaseTarget) -> float:
    """Return the entropy of the classes over that of equal shares; NaN where a row has not one class."""
    if target.n_classes < 2 or target.independent or target.is_map:
        return float("nan")
    return float(stats.entropy(labels.value_counts().to_numpy()) / np.log(target.n_classes))


def _check_columns(known: pd.DataFrame | None, scorers: dict[str, Any], csv: Any) -> None:
    """Refuse metrics named like another column, and a file of runs that were scored by others."""
    taken = sorted({"arm", "seed", "settings", "round", *_MEASURED, *SECONDS} & set(scorers))
    if taken:
        raise ValueError(f"metrics must not be named {taken}: the table has columns of that name.")
    if known is None:
        return
    columns = set(known.columns) - {"arm", "seed", "settings", "round", *_MEASURED, *SECONDS}
    if columns != set(scorers):
        raise ValueError(
            f"{csv} holds runs with the metrics {sorted(columns)}, got {sorted(scorers)}. Name the same "
            "metrics, or another file."
        )
