"""Kill campaigns at random moments, start them again, and count what got lost or was bought twice.

Each run is a small campaign on the digits with a ledger, in a process of its own. Its labeller notes each
charge in a file that is on the disk before it answers, and remembers: the same id is charged once. The
process is killed (SIGKILL), at a random moment or by the labeller between charge and answer, and started
again, until it ends by itself. A run is good if it ends with the questions, labels and weights of a campaign
that nobody killed, no recorded answer was asked for again, and nothing was charged twice.

Example: ``python -m skalss.benchmarks ledger-kills --runs 100``
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.datasets import load_digits

from ..campaign import MaxFailures
from ..latent import LinearLatent
from ..ledger import Ledger
from ..nets import net_classifier
from ..oracles import BaseOracle, Failed
from ..sampler import AdaptiveLatentSampler
from .common import markdown_table

N_ROWS = 150
KINDS = ("at a random moment", "between charge and answer")
FAULTS = ("other questions, labels or weights", "a recorded answer asked for again", "an id charged twice")


class Remembering(BaseOracle):
    """Labels the digits one by one or a few at a time, and charges for each id once.

    Some rows it does not know, and some fail. It notes what it was asked, and charges, in files.

    Parameters
    ----------
    folder : Path
    attempt : int
        How often the campaign was started before.
    dies_after : int
        Charges after which it kills its process, before it answers; -1 for never.
    """

    def __init__(self, folder: Path, attempt: int = 0, dies_after: int = -1):
        self.folder, self.attempt, self.dies_after = folder, attempt, dies_after
        self.y = load_digits(return_X_y=True)[1]

    def label(self, X: ArrayLike, ids: np.ndarray) -> Iterator[Any]:
        """Yield answers in lists of one to four."""
        rng = np.random.default_rng([self.attempt, len(ids)])
        together = []
        for id_ in ids:
            together.append((id_, self._ask(int(id_))))
            if rng.random() < 0.4 or len(together) == 4:
                yield together
                together = []
        yield together

    def _ask(self, id_: int) -> Any:
        note(self.folder / "asked", f"{self.attempt} {id_}")
        time.sleep(0.001)
        if id_ not in read_ids(self.folder / "charged"):
            note(self.folder / "charged", f"{self.attempt} {id_}")
            self.dies_after -= 1
            if self.dies_after == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        if id_ % 17 == 0:
            return None
        return Failed("blurred") if id_ % 19 == 0 else int(self.y[id_])


def note(path: Path, line: str) -> None:
    """Add a line that is on the disk when this returns."""
    with path.open("a") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


def read_ids(path: Path, attempt: int | None = None) -> list[int]:
    """Read the ids that were noted, of one attempt or of all."""
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    return [int(id_) for at, id_ in lines if attempt in (None, int(at))]


def campaign(folder: Path, attempt: int, dies_after: int, seed: int) -> None:
    """Run the campaign of `folder` to its end and write what came out."""
    torch.set_num_threads(1)
    sampler = AdaptiveLatentSampler(
        net_classifier(max_epochs=2),
        latent_model=LinearLatent(4),
        oracle=Remembering(folder, attempt, dies_after),
        n_initial=10,
        n_per_round=10,
        max_labels=40,
        stop=MaxFailures(100),
        classes=range(10),
        ledger=folder / "digits.ledger",
        random_state=seed,
    )
    sampler.fit(load_digits(return_X_y=True)[0][:N_ROWS])
    queries = sampler.queries_
    weights = torch.cat([p.flatten() for p in sampler.estimator_.net_.module_.parameters()])
    draft = folder / "draft.npz"
    np.savez(
        draft,
        id=queries["id"].to_numpy(dtype=int),
        state=queries["state"].to_numpy(dtype=str),
        label=queries["label"].fillna(-1).to_numpy(dtype=int),
        weights=weights.detach().numpy(),
    )
    draft.rename(folder / "end.npz")


class Run:
    """A campaign that is killed and started again until it ends.

    Parameters
    ----------
    folder : Path
        An empty one.
    seed : int
        Of the campaign and of the moments.
    seconds : float
        How long one takes that nobody kills.
    """

    def __init__(self, folder: Path, seed: int, seconds: float):
        self.folder, self.seed, self.seconds = folder, seed, seconds
        self.kills: Counter[str] = Counter()
        self.n_asked_again = 0

    def play(self, n_kills: int) -> dict[str, np.ndarray]:
        """Start, kill up to `n_kills` times, and give what came out at the end."""
        rng = np.random.default_rng(self.seed)
        for attempt in range(n_kills):
            known = self._known()
            self._attempt(attempt, rng)
            self.n_asked_again += len(known & set(read_ids(self.folder / "asked", attempt)))
            if (self.folder / "end.npz").exists():
                break
        else:
            known = self._known()
            process = self._start(n_kills, -1)
            process.join()
            self.n_asked_again += len(known & set(read_ids(self.folder / "asked", n_kills)))
            if process.exitcode != 0:
                raise RuntimeError(f"The campaign in {self.folder} did not end: {process.exitcode}.")
        with np.load(self.folder / "end.npz") as arrays:
            return dict(arrays)

    def _known(self) -> set[int]:
        """Return the ids that have an answer in the ledger, whose file must be sound after each kill."""
        path = self.folder / "digits.ledger"
        if not path.exists() or path.stat().st_size == 0:
            return set()
        try:
            with Ledger(path) as ledger:
                return set(ledger.history()["id"])
        except RuntimeError as error:
            if "no ledger yet" in str(error):  # killed before the tables were written
                return set()
            raise

    def _attempt(self, attempt: int, rng: np.random.Generator) -> None:
        kind = KINDS[rng.integers(2)]
        process = self._start(attempt, int(rng.integers(1, 12)) if kind == KINDS[1] else -1)
        process.join(None if kind == KINDS[1] else rng.uniform(0, self.seconds))
        if process.is_alive():
            process.kill()
            process.join()
        self.kills[kind] += process.exitcode == -signal.SIGKILL

    def _start(self, attempt: int, dies_after: int) -> Any:
        # A fork of this process needs no time for its imports.
        method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
        context: Any = multiprocessing.get_context(method)
        process = context.Process(target=campaign, args=(self.folder, attempt, dies_after, self.seed))
        process.start()
        return process

    def n_charged_twice(self) -> int:
        """Count the charges beyond the first of each id."""
        charged = read_ids(self.folder / "charged")
        return len(charged) - len(set(charged))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, print the table, and exit with an error if a run was not good."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks ledger-kills", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=4, help="at most, of each run")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as folder:  # what is imported late is there for the forks
        campaign(Path(folder), 0, -1, options.seed)
    kills: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    seconds = 2.0
    n_good = 0
    for seed in range(options.seed, options.seed + options.runs):
        with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as killed:
            start = time.perf_counter()
            expected = Run(Path(whole), seed, seconds).play(0)
            seconds = time.perf_counter() - start
            run = Run(Path(killed), seed, seconds)
            found = run.play(1 + seed % options.kills)
            differs = any(not np.array_equal(found[name], expected[name]) for name in expected)
            faulty = [differs, run.n_asked_again > 0, run.n_charged_twice() > 0]
        kills += run.kills
        bad.update(name for name, is_there in zip(FAULTS, faulty, strict=True) if is_there)
        n_good += not any(faulty)
    rows = [[f"kills {kind}", kills[kind]] for kind in KINDS]
    rows += [[f"runs with {name}", bad[name]] for name in FAULTS]
    rows.append(["good runs", f"{n_good} of {options.runs}"])
    print(markdown_table(["campaigns of 40 answers on the digits", "count"], rows))
    if n_good < options.runs:
        sys.exit(1)


if __name__ == "__main__":
    main()
