"""A simulator as the labeller: error of a surrogate by number of simulations, over paired seeds.

A network learns the logarithm of the peak stress of vessels from simulations. Arms choose rows of a pool of
vessels, or make up vessels with a latent model: level sets, or a VAE where the name ends so. ``si-paper`` is
the published procedure with the VAE, and ``random-paper`` its control: random rows, trained on as it trains.
A simulation that is refused counts like any other. With ``--output map`` a U-Net learns the von Mises stress
at each pixel of the wall, in units of 100 kPa. The runs are kept in a CSV file; the command, called again,
goes on where it stopped.

Example: ``python -m skalss.benchmarks simulation --arms auto si-mixed --seeds 5 --csv simulation.csv``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator

from ..compare import compare_strategies, labels_to_target, mean_interval, paired_runs
from ..datasets import make_vessels
from ..latent import ConvVAE, LevelSetLatent
from ..nets import UNet, net_regressor
from ..network.tasknet import TaskNet
from ..oracles import Abstain, FunctionOracle
from ..sampler import AdaptiveLatentSampler
from ..schedules import CosineLR
from ..simulation import VesselStress
from ..strategies import (
    CommitteeStrategy,
    InterpolationStrategy,
    LargestClusterStrategy,
    RandomCodesStrategy,
)
from .common import conditions, markdown_table
from .vessel_net import Turn, all_turns, vessel_net

MIN_ROWS = 300  # of an epoch: few labels are trained on for as long as 300
_JITTER: dict[str, Any] = {"climb": "random", "n_steps": 1, "residual": True, "on_refusal": "nearest"}
_CLIMB: dict[str, Any] = {"step": 0.5, "n_steps": 2, "residual": True, "on_refusal": "nearest"}
STRATEGIES: dict[str, Any] = {
    "auto": "auto",
    "committee": CommitteeStrategy(n_candidates=2000),
    "coreset": "coreset",
    "lcmd-features": LargestClusterStrategy(space="features"),
    "lcmd-directions": LargestClusterStrategy(space="directions"),
    "snn": "snn",
    "random-codes": RandomCodesStrategy(),
    "latin-hypercube": RandomCodesStrategy("latin_hypercube"),
    "si-jitter": InterpolationStrategy(step=1.0, **_JITTER),
    "si-far": InterpolationStrategy(step=3.0, **_JITTER),
    "si-loss": InterpolationStrategy(**_CLIMB),
    "si-climb": InterpolationStrategy(climb="disagreement", **_CLIMB),
    "si-mixed": InterpolationStrategy(step=1.0, random_share=0.5, **_JITTER),
    "si-chosen-far": InterpolationStrategy(step=3.0, n_candidates=2000, **_JITTER),
    "si-chosen-mixed": InterpolationStrategy(step=1.0, n_candidates=2000, random_share=0.75, **_JITTER),
}


def make_arms(names: Sequence[str], vae: Any) -> dict[str, Any]:
    """Return the sampler's parameters for each arm; `vae` serves the arms that end in ``-vae``."""
    decoded = {"train_on": "decoded", "estimator__warm_start": True, "latent_model": vae, "initial": "random"}
    published = AdaptiveLatentSampler.paper("si").strategy
    arms: dict[str, Any] = {}
    for name in names:
        if name in ("si-paper", "random-paper"):
            arms[name] = {**decoded, "strategy": published if name == "si-paper" else "random"}
        elif name.removesuffix("-vae") in STRATEGIES:
            strategy = STRATEGIES[name.removesuffix("-vae")]
            arms[name] = {"strategy": strategy, **({"latent_model": vae} if name.endswith("-vae") else {})}
        elif name != "random":
            known = [*STRATEGIES, "si-paper", "random-paper"]
            raise SystemExit(f"There is no arm {name!r}. Choose of {known}, or one of them with -vae.")
    return arms


def label_maps(X: np.ndarray) -> list[Any]:
    """Simulate vessels; return their stress in 100 kPa, (height, width) each, or why there is none."""
    answers = (answer for _, answer in VesselStress(output="map").label(X, np.arange(len(X))))
    return [answer if isinstance(answer, Abstain) else answer / 100 for answer in answers]


def map_net(max_epochs: int) -> Any:
    """Build the U-Net that learns stress at each pixel."""
    rate = [("lr", CosineLR())]
    return net_regressor(
        UNet, module__width=8, module__depth=2, max_epochs=max_epochs, lr=0.01, batch_size=16, callbacks=rate
    )


def rmse_map(network: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Return the root mean squared error over all pixels of walls."""
    return float(np.sqrt(np.nanmean((network.predict(X) - y) ** 2)))


def rmse_hardest_map(network: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Return the same over the tenth of the pixels with the highest stress."""
    high = np.nan_to_num(y) >= np.nanquantile(y, 0.9)
    return float(np.sqrt(np.mean((network.predict(X) - y)[high] ** 2)))


def rmse_hardest(network: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Return the root mean squared error over the tenth of the rows with the highest labels."""
    rows = np.argsort(y)[-max(1, len(y) // 10) :]
    return float(np.sqrt(np.mean((np.ravel(network.predict(X[rows])) - y[rows]) ** 2)))


def table_of(results: pd.DataFrame, variance: float, target: float | None) -> str:
    """Write the summary as a markdown table; `variance` is that of the test labels."""
    results = paired_runs(results)
    header = ["arm", "simulations", "refused", "R²", "RMSE", "over random's", "mean of the curve"]
    header += ["hardest tenth", "over random's", "mean of the curve", "simulations to the target"]
    rows = []
    curves = {arm: part.set_index(["seed", "round"]) for arm, part in results.groupby("arm", sort=False)}
    for name, part in curves.items():
        last = part.groupby("seed").tail(1)
        r2 = (1 - last["rmse"] ** 2 / variance).mean()
        line = [name, f"{last['n_queries'].mean():.0f}", f"{_refused(last):.1%}", f"{r2:.3f}"]
        for metric in ("rmse", "rmse_hardest"):
            line += [f"{last[metric].mean():.4f}", *_ratios(part[metric], curves["random"][metric])]
        mean_curve = part.groupby("n_queries")["rmse"].mean()
        needed = np.nan if target is None else labels_to_target(-mean_curve, -target)
        rows.append([*line, "" if np.isnan(needed) else f"{needed:.0f}"])
    return markdown_table(header, rows)


def _refused(last: pd.DataFrame) -> float:
    return float(1 - last["n_labels"].sum() / last["n_queries"].sum())


def _ratios(errors: pd.Series, control: pd.Series) -> list[str]:
    """Write the ratio to the control at the end, and its mean over rounds after the first."""
    both = np.log(errors / control).dropna().rename("log").reset_index()
    asked = both[both["round"] > 0].groupby("seed")["log"]
    if not len(asked):
        return ["", ""]
    return ["{:.3f} ({:.3f}, {:.3f})".format(*np.exp(mean_interval(v))) for v in (asked.last(), asked.mean())]


def _latent_models(X: np.ndarray, options: argparse.Namespace) -> tuple[FrozenEstimator, Any]:
    """Fit level sets, and the VAE if any arm needs it."""
    shapes = all_turns(torch.from_numpy(X)).numpy() if options.turned else X
    level_sets = LevelSetLatent(32, device="cpu", random_state=0).fit(shapes)
    vae = ConvVAE(16, max_epochs=options.vae_epochs, batch_size=64, lr=2e-3, device="cpu", random_state=0)
    if any(name.endswith(("-vae", "-paper")) for name in options.arms):
        return FrozenEstimator(level_sets), FrozenEstimator(vae.fit(X))
    return FrozenEstimator(level_sets), vae


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks simulation", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--arms", nargs="+", default=["auto", "si-mixed", "si-paper", "random-paper"])
    parser.add_argument(
        "--output", choices=("peak", "map"), default="peak", help="map: stress at each pixel of the wall"
    )
    parser.add_argument("--pool", type=int, default=6500, help="vessels that may be simulated")
    parser.add_argument("--test", type=int, default=2000, help="other vessels, to test on")
    parser.add_argument("--seeds", type=int, default=5, help="paired campaigns of each arm")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--n-initial", type=int, default=60)
    parser.add_argument("--n-per-round", type=int, default=180)
    parser.add_argument("--rounds", type=int, default=3, help="after the first")
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--vae-epochs", type=int, default=30)
    parser.add_argument(
        "--turned", action="store_true", help="fit the level sets to turned and mirrored vessels, too"
    )
    parser.add_argument(
        "--target",
        type=float,
        default=None,
        help="share of random's last RMSE that simulations are counted to",
    )
    parser.add_argument("--csv", type=Path, default=None, help="where runs are kept, and read from")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and print the tables."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    X = make_vessels(options.pool, random_state=0).X
    X_test = make_vessels(options.test, random_state=1).X
    maps = options.output == "map"
    simulate: Any = FunctionOracle(label_maps) if maps else VesselStress(output="log_peak")
    if maps:
        y_test = np.stack(label_maps(X_test))
    else:
        y_test = np.array(
            [label for _, label in simulate.label(X_test, np.arange(options.test))], dtype=float
        )
    level_sets, vae = _latent_models(X, options)
    sampler = AdaptiveLatentSampler(
        TaskNet(map_net(options.max_epochs), min_epoch_rows=MIN_ROWS, augment=Turn())
        if maps
        else TaskNet(vessel_net(options.max_epochs), min_epoch_rows=MIN_ROWS),
        level_sets,
        oracle=simulate,
        scoring=None if maps else "neg_root_mean_squared_error",
        n_initial=options.n_initial,
        n_per_round=options.n_per_round,
        max_labels=options.n_initial + options.rounds * options.n_per_round,
    )
    results = compare_strategies(
        sampler,
        X,
        None,
        make_arms(options.arms, vae),
        X_test=X_test,
        y_test=y_test,
        seeds=range(options.first_seed, options.first_seed + options.seeds),
        csv=options.csv,
        metrics=(
            {"rmse": rmse_map, "rmse_hardest": rmse_hardest_map} if maps else {"rmse_hardest": rmse_hardest}
        ),
    )
    if not maps:
        results["rmse"] = -results["score"]
    end = results[results["arm"] == "random"].groupby("seed").tail(1)["rmse"].mean()
    target = None if options.target is None else options.target * end
    print(f"Pool of {options.pool} vessels, {options.test} others to test on, {conditions('wall')}.\n")
    print(table_of(results, float(np.nanvar(y_test)), target))
    for metric in ("rmse", "rmse_hardest"):
        curves = results.pivot_table(index="n_queries", columns="arm", values=metric, sort=False)
        what = "stress in the wall, in 100 kPa" if maps else "the logarithm of the peak stress"
        print(f"\n{metric} of {what}, mean over seeds:\n")
        lines = [[n, *("" if np.isnan(v) else f"{v:.4f}" for v in line)] for n, line in curves.iterrows()]
        print(markdown_table(["simulations", *curves.columns], lines))


if __name__ == "__main__":
    main()
