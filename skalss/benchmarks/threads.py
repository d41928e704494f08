"""Fits in threads against the same fits one after the other: how many give the same numbers, bit by bit.

Each kind of model is fitted with several seeds: in turn, in plain threads, in joblib's and in Dask's. torch's
and NumPy's own generators must be as before, too. With ``--beside`` another thread seeds both and draws from
them all the time; then they cannot be as before, and are not looked at.

Example: ``python -m skalss.benchmarks threads --fits 5``
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import joblib
import numpy as np
import torch

from ..datasets import load_digits_pool
from ..latent import VAE
from ..nets import MLP, net_classifier
from ..network import TaskNet
from ..sampler import AdaptiveLatentSampler
from ..selective import SelectiveNetClassifier
from .common import conditions, make_parser, markdown_table

Fit = Callable[[int], np.ndarray]
Tasks = list[Callable[[], Any]]


class DropoutMLP(torch.nn.Module):
    """A network that draws while it is trained."""

    def __init__(self, input_dim: int = 64, output_dim: int = 10):
        super().__init__()
        self.hidden, self.head = torch.nn.Linear(input_dim, 32), torch.nn.Linear(32, output_dim)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.head(torch.nn.functional.dropout(self.hidden(X).relu(), training=self.training))


def models(n_rows: int, epochs: int) -> dict[str, Fit]:
    """Return a function of a seed for each kind of model, which fits it and returns what it says of rows."""
    pool: Any = load_digits_pool()
    X, y = pool.X[:n_rows], pool.y[:n_rows]

    def net(seed: int) -> np.ndarray:
        made = TaskNet(net_classifier(DropoutMLP, max_epochs=epochs), random_state=seed)
        return made.fit(X, y).predict_proba(X)

    def selective(seed: int) -> np.ndarray:
        chosen = SelectiveNetClassifier(
            MLP,
            selector=("mms", "prune", "hard_negatives", "random")[seed % 4],
            max_epochs=epochs,
            criterion=torch.nn.CrossEntropyLoss,
            batch_size=16,
            lr=0.05,
        )
        return TaskNet(chosen, random_state=seed).fit(X, y).predict_proba(X)

    def latent(seed: int) -> np.ndarray:
        return VAE(4, max_epochs=epochs, random_state=seed).fit(X).encode_rows(X)

    def sampler(seed: int) -> np.ndarray:
        made = AdaptiveLatentSampler(
            net_classifier(max_epochs=epochs),
            VAE(4, max_epochs=epochs),
            n_initial=20,
            n_per_round=20,
            max_labels=60,
            random_state=seed,
        ).fit(X, y)
        return np.hstack([made.labeled_indices_, made.predict_proba(X).ravel()])

    return {
        "TaskNet with dropout": net,
        "TaskNet that chooses rows": selective,
        "VAE": latent,
        "sampler": sampler,
    }


def ways(n_threads: int) -> dict[str, Callable[[Tasks], list[Any]]]:
    """Return the ways to run functions in threads that can be had here."""

    def plain(tasks: Tasks) -> list[Any]:
        with ThreadPoolExecutor(n_threads) as pool:
            return [future.result() for future in [pool.submit(task) for task in tasks]]

    def in_joblib(tasks: Tasks) -> list[Any]:
        with joblib.parallel_config("threading", n_jobs=n_threads):
            return joblib.Parallel()(joblib.delayed(task)() for task in tasks)

    found: dict[str, Callable[[Tasks], list[Any]]] = {"threads": plain, "joblib": in_joblib}
    try:
        import dask
    except ImportError:
        return found

    def in_dask(tasks: Tasks) -> list[Any]:
        delayed = [dask.delayed(task, pure=False)() for task in tasks]
        return list(dask.compute(*delayed, scheduler="threads", num_workers=n_threads))

    return {**found, "Dask": in_dask}


@contextmanager
def seeding_beside(active: bool) -> Iterator[None]:
    """Seed torch and NumPy in another thread, over and over."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.0005):
            torch.manual_seed(0)
            torch.rand(1)
            np.random.seed(0)  # noqa: NPY002

    thread = threading.Thread(target=work)
    if active:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if active:
            thread.join()


def state() -> bytes:
    """Return where torch's and NumPy's own generators are."""
    numpys: Any = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().numpy().tobytes() + numpys[1].tobytes()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the fits, print the table, and end with 1 if one differs."""
    parser = make_parser("threads", __doc__, repeats=1)
    parser.add_argument("--fits", type=int, default=5, help="of each model, in each way")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--beside", action="store_true", help="seed torch and NumPy in one more thread")
    options = parser.parse_args(arguments)

    rows, n_equal, n_fits, moved = [], 0, 0, 0
    for name, fit in models(options.rows, options.epochs).items():
        if options.beside and "dropout" in name:
            continue  # torch has one generator for all threads that draw of it
        alone, row = [fit(seed) for seed in range(options.fits)], [name]
        for run in ways(options.threads).values():
            before = state()
            with seeding_beside(options.beside):
                found = run([partial(fit, seed) for seed in range(options.fits)])
            moved += before != state() and not options.beside
            equal = sum(map(np.array_equal, found, alone))
            row.append(f"{equal} of {len(alone)}")
            n_equal, n_fits = n_equal + equal, n_fits + len(alone)
        rows.append(row)
    print(
        f"{n_equal} of {n_fits} fits in threads as alone, {options.threads} threads, {conditions('wall')}.\n"
    )
    print(markdown_table(["equal bit by bit", *ways(options.threads)], rows))
    if moved:
        print("\nThe caller's generators moved.")
    if moved or n_equal < n_fits:
        sys.exit(1)


if __name__ == "__main__":
    main()
