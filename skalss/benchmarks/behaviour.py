"""What fixed seeds do, as digests: rows bought, weights, predictions, histories.

A change inside the package that is meant to change nothing is held against the state before it, on one
machine with one version of each library:

    python -m skalss.benchmarks behaviour --write before.json     # in the one checkout
    python -m skalss.benchmarks behaviour --against before.json   # in the other

The second prints what differs, and ends with an error if anything does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from ..campaign import (
    Campaign,
    MaxCost,
    MaxFailures,
    MaxRounds,
    PredictionsAgree,
    ScoreReached,
)
from ..compare import compare_strategies
from ..latent import VAE, ConvVAE, LabelSpreader, LinearLatent
from ..nets import MLP, net_classifier, net_regressor
from ..network import TaskNet
from ..oracles import Failed, FunctionOracle
from ..oracles.base import ABSTAINED
from ..sampler import AdaptiveLatentSampler
from ..selective import SelectiveNetClassifier
from ..strategies import STRATEGIES, InterpolationStrategy

Report = dict[str, Any]
DIGITS, CLASSES = load_digits(return_X_y=True)
X, Y, X_TEST, Y_TEST = DIGITS[:500], CLASSES[:500], DIGITS[1000:1300], CLASSES[1000:1300]
KILLED = 9  # the exit status of a campaign that ended itself


def values_of(rows: np.ndarray) -> np.ndarray:
    """Return a smooth function of a few pixels."""
    return rows[:, 20] + 0.1 * rows[:, 30] + 0.05 * rows[:, 10] * rows[:, 40]


def classes_of(rows: np.ndarray) -> np.ndarray:
    """Return the class of the nearest digit."""
    return KNeighborsClassifier(1).fit(DIGITS, CLASSES).predict(np.asarray(rows).reshape(len(rows), -1))


def make(**settings: Any) -> AdaptiveLatentSampler:
    """Return a small sampler."""
    common = {
        "estimator": net_classifier(max_epochs=6),
        "latent_model": VAE(8, max_epochs=4),
        "n_initial": 20,
        "n_per_round": 15,
        "max_labels": 65,
        "random_state": 7,
    }
    return AdaptiveLatentSampler(**{**common, **settings})


def regressor(**settings: Any) -> AdaptiveLatentSampler:
    """Return a small sampler for values."""
    return make(**{"estimator": net_regressor(max_epochs=6), **settings})


def digest(*values: Any) -> str:
    """Return a hash of arrays and tensors, with their types."""
    found = hashlib.blake2b(digest_size=8)
    for value in values:
        array = np.asarray(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)
        content = repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
        found.update(f"{array.dtype} {array.shape}".encode() + content)
    return found.hexdigest()


def weights_of(network: Any) -> str:
    """Return a hash of the weights of a TaskNet; of nothing for another model."""
    module = getattr(getattr(network, "net_", None), "module_", nn.Module())
    return digest(*module.state_dict().values())


def report(sampler: AdaptiveLatentSampler, rows: Any = X_TEST) -> Report:
    """Return what a fitted sampler bought, learned and noted."""
    asked, history = sampler.queries_, sampler.history_
    columns = sorted(name for name in history if not name.endswith("seconds"))
    return {
        "ids": [str(id_) for id_ in asked["id"]],
        "labels": [str(label) for label in asked["label"]],
        "states": digest(asked["state"].to_numpy(dtype=object)),
        "scores": digest(asked["score"].to_numpy(float)),
        "costs": digest(asked["cost"].to_numpy(float)),
        "weights": weights_of(sampler.estimator_),
        "predictions": digest(sampler.predict(rows)),
        "history": {name: [repr(value) for value in history[name].tolist()] for name in columns},
        "counts": [sampler.n_labels_, sampler.n_queries_, sampler.n_rounds_, len(sampler.labeled_indices_)],
        "stop_reason": str(sampler.stop_reason_),
        "made": digest(sampler.X_generated_),
        "codes": "" if sampler.latent_model_ is None else digest(sampler.latent_model_.transform(rows)),
    }


# -- the cases ----------------------------------------------------------------------------------------


def strategies_by_name() -> Iterator[tuple[str, Callable[[], Report]]]:
    """Yield a case for each strategy on the digits, and on values."""
    for name in ("auto", *STRATEGIES):
        yield f"digits: {name}", partial(_on_digits, name)
    for name in ("auto", "random", "snn", "committee", "coreset", "kmeans"):
        yield f"values: {name}", partial(_on_values, name)


def _on_digits(strategy: str) -> Report:
    if strategy != "auto" and STRATEGIES[strategy]().generates_points:
        return report(make(strategy=strategy, oracle=classes_of).fit(X))
    return report(make(strategy=strategy).fit(X, Y))


def _on_values(strategy: str) -> Report:
    return report(regressor(strategy=strategy).fit(X, values_of(X)))


def published_snn() -> Report:
    """Run the published procedure with the nearest rows."""
    return report(AdaptiveLatentSampler.paper("snn", **_without_pseudo_labels()).fit(X, Y))


def published_si() -> Report:
    """Run the published procedure with made points."""
    return report(AdaptiveLatentSampler.paper("si", oracle=classes_of, **_without_pseudo_labels()).fit(X))


def _without_pseudo_labels() -> dict[str, Any]:
    names = ("estimator", "latent_model", "n_initial", "n_per_round", "max_labels", "random_state")
    return {name: value for name, value in make().get_params(deep=False).items() if name in names}


def points_for_a_simulator() -> Report:
    """Choose rows and points together; some are refused."""

    def simulate(rows: np.ndarray) -> list[float | None]:
        return [None if i % 7 == 3 else float(value) for i, value in enumerate(values_of(rows))]

    strategy = InterpolationStrategy(
        climb="random", residual=True, random_share=0.3, n_candidates=40, on_refusal="nearest"
    )
    return report(regressor(strategy=strategy, oracle=simulate, latent_model=LinearLatent(6)).fit(X))


def points_up_a_disagreement() -> Report:
    """Climb the disagreement of a committee."""
    strategy = InterpolationStrategy(climb="disagreement", residual=True, n_steps=3)
    return report(regressor(strategy=strategy, oracle=values_of, latent_model=LinearLatent(6)).fit(X))


def warm_start() -> Report:
    """Go on from the network of the round before."""
    return report(
        make(strategy="margin", estimator=TaskNet(net_classifier(max_epochs=6), warm_start=True)).fit(X, Y)
    )


def rules() -> Report:
    """Stop by each rule."""
    costs = np.where(np.arange(len(X)) % 3, 1.0, 2.5)

    def failing(rows: np.ndarray) -> list[Any]:
        return [Failed("none") if label % 5 == 0 else int(label) for label in classes_of(rows)]

    trained = make(strategy="margin", max_labels=300, estimator=net_classifier(max_epochs=15))
    found = {
        "agree": make(strategy="margin", max_labels=300, stop=PredictionsAgree(0.5)).fit(X, Y),
        "score": trained.set_params(stop=ScoreReached(0.7)).fit(X, Y, X_val=X_TEST, y_val=Y_TEST),
        "rounds": make(strategy="entropy", max_labels=300, stop=[MaxRounds(2)]).fit(X, Y),
        "cost": make(
            strategy="margin", max_labels=300, stop=MaxCost(80), oracle=FunctionOracle(classes_of, cost=costs)
        ).fit(X),
        "failures": make(strategy="margin", max_labels=300, stop=MaxFailures(12), oracle=failing).fit(X),
    }
    return {name: report(sampler) for name, sampler in found.items()}


def control_rows() -> Report:
    """Score control rows by an accuracy and by another score."""
    values, held = values_of(X), {"X_val": X_TEST, "y_val": values_of(X_TEST)}
    shared = {"control_share": 0.25, "max_labels": 120}
    return {
        "classes": report(make(**shared).fit(X, Y)),
        "values": report(regressor(**shared, scoring="neg_mean_absolute_error").fit(X, values, **held)),
    }


def decoded_rows() -> Report:
    """Train on rows and on their decoded codes."""
    return report(make(strategy="mms", train_on="both").fit(X, Y))


def text_labels() -> Report:
    """Take text labels and named rows of a table, with pseudo-labels."""
    columns = [f"pixel {i}" for i in range(X.shape[1])]
    spreader = LabelSpreader(only_if_not_worse=False, min_structure=0.0, min_right=0.0)
    sampler = make(strategy="margin", pseudo_labels=spreader, max_labels=120)
    names = np.array([f"class {i}" for i in range(10)])[Y]
    sampler.fit(pd.DataFrame(X, columns=columns), names, sample_id=[f"row {i}" for i in range(len(X))])
    return report(sampler, pd.DataFrame(X_TEST, columns=columns))


def known_labels() -> Report:
    """Begin with labels that are known."""
    y = np.array([label if i < 30 else None for i, label in enumerate(Y)], dtype=object)
    return report(make(strategy="badge", oracle=classes_of, n_initial=40).fit(X, y))


def images() -> Report:
    """Take bytes of images, with a convolutional VAE."""
    bytes_, tested = ((15 * part.reshape(-1, 1, 8, 8)).astype(np.uint8) for part in (X, X_TEST))
    return report(make(latent_model=ConvVAE(max_epochs=2), max_labels=50).fit(bytes_, Y), tested)


def forest() -> Report:
    """Train a forest in place of a network."""
    return report(make(estimator=RandomForestClassifier(10)).fit(X, Y))


def networks() -> Report:
    """Train a TaskNet by itself, and nets that choose their rows."""
    found: Report = {}
    plain = TaskNet(random_state=1, min_epoch_rows=700).fit(X, Y)
    found["TaskNet"] = [weights_of(plain), digest(plain.predict_proba(X_TEST), plain.features(X_TEST))]
    plain.partial_fit(X, Y)
    found["TaskNet, trained on"] = weights_of(plain)
    values = TaskNet(net_regressor(), random_state=1).fit(X, values_of(X))
    found["TaskNet of values"] = [weights_of(values), digest(values.predict(X_TEST))]
    for selector in ("mms", "margin", "loss", "hard_negatives", "prune", "random", None):
        # Else they choose only where that saves seconds, which no seed decides.
        when = {"selector__when": "always"} if selector in ("mms", "margin", "loss") else {}
        net = SelectiveNetClassifier(
            MLP,
            selector=selector,
            criterion=nn.CrossEntropyLoss,
            lr=0.1,
            batch_size=32,
            max_epochs=5,
            **when,
        )
        fitted = TaskNet(net, random_state=3).fit(X, Y)
        found[f"selector {selector}"] = [weights_of(fitted), digest(fitted.logits(X_TEST))]
    return found


def comparison() -> Report:
    """Compare two strategies with random rows, over two seeds."""
    metrics = {"balanced": "balanced_accuracy"}
    results = compare_strategies(
        make(), X, Y, ["auto", "margin"], X_test=X_TEST, y_test=Y_TEST, seeds=2, metrics=metrics
    )
    kept = [name for name in results if not name.endswith("seconds") and name != "settings"]
    return {name: [str(value) for value in results[name]] for name in kept}


def told_in_parts() -> Report:
    """Tell answers in parts and in another order, with a file in between."""
    sampler = make(strategy="snn", classes=list(range(10)), n_per_round=10, max_labels=60)
    campaign, rng, asked = Campaign(sampler, X), np.random.RandomState(0), []
    with tempfile.TemporaryDirectory() as folder:
        while len(batch := campaign.ask()) or len(batch := campaign.pending):
            asked.append([int(id_) for id_ in batch.ids])
            part = rng.permutation(batch.ids)[: max(1, len(batch) * 2 // 3)]
            campaign.tell(part, [None if i % 11 == 0 else Y[i] for i in part])
            campaign.save(Path(folder) / "campaign.pkl")
            campaign = Campaign.load(Path(folder) / "campaign.pkl", X)
    fitted = campaign.finish()
    return {"asked": asked, "abstained": int((fitted.queries_["state"] == ABSTAINED).sum()), **report(fitted)}


def killed_and_resumed() -> Report:
    """Kill campaigns with a ledger, and run them again."""
    found: Report = {}
    for strategy in ("auto", "snn", "si"):
        with tempfile.TemporaryDirectory() as folder:
            for dies_after in (45, 10**9):
                arguments = [strategy, str(Path(folder) / "digits.ledger"), str(dies_after)]
                command = [sys.executable, "-m", "skalss.benchmarks", "behaviour", "--kill", *arguments]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != (KILLED if dies_after == 45 else 0):
                    raise RuntimeError(done.stderr)
            found[strategy] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_killed(strategy: str, ledger: str, dies_after: str) -> None:
    """Run the campaign of a ledger; its oracle ends this process after so many rows."""
    n_asked = 0

    def label(rows: np.ndarray) -> np.ndarray:
        nonlocal n_asked
        n_asked += len(rows)
        if n_asked > int(dies_after):
            os._exit(KILLED)
        return classes_of(rows)

    sampler = make(strategy=strategy, oracle=label, ledger=ledger, control_share=0.1)
    sampler.fit(X, sample_id=np.array([f"row {i}" for i in range(len(X))]))
    print(json.dumps(report(sampler)))


FUNCTIONS: tuple[Callable[[], Report], ...] = (
    published_snn,
    published_si,
    points_for_a_simulator,
    points_up_a_disagreement,
    warm_start,
    rules,
    control_rows,
    decoded_rows,
    text_labels,
    known_labels,
    images,
    forest,
    networks,
    comparison,
    told_in_parts,
    killed_and_resumed,
)
CASES = dict(strategies_by_name()) | {f.__name__.replace("_", " "): f for f in FUNCTIONS}


def differences(before: Any, now: Any, name: str) -> list[str]:
    """Return a line for each value that is not the same."""
    if isinstance(before, dict) and isinstance(now, dict):
        # Columns that a history has got since then change nothing of what was there.
        keys = sorted(before if name.endswith("/ history") else {*before, *now})
        return [line for k in keys for line in differences(before.get(k), now.get(k), f"{name} / {k}")]
    return [] if before == now else [f"{name}: {str(before)[:60]} -> {str(now)[:60]}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cases; write what they do, or hold it against a file."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks behaviour", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES), metavar="NAME")
    parser.add_argument("--write", type=Path, default=None, help="file to keep the digests in")
    parser.add_argument("--against", type=Path, default=None, help="file of an earlier --write")
    parser.add_argument("--kill", nargs=3, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.kill is not None:
        run_killed(*options.kill)
        return
    found: Report = {}
    for name in options.cases:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # short trainings: nothing is said of how well they do
            found[name] = json.loads(json.dumps(CASES[name]()))
        print(f"{name:28} {hashlib.blake2b(json.dumps(found[name]).encode(), digest_size=6).hexdigest()}")
    if options.write is not None:
        options.write.write_text(json.dumps(found))
    if options.against is not None:
        before = json.loads(options.against.read_text())
        lines = [line for name in found for line in differences(before.get(name), found[name], name)]
        print(f"\n{len(lines)} differences in {len(found)} cases", *lines, sep="\n")
        if lines:
            sys.exit(1)
