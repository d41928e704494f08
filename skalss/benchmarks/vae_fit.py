"""How fast a VAE fits, against the same model trained by a plain float32 torch loop.

Both train on one thread, in turn, without early stopping, from the same weights and on the same batches with
the same noise, so that losses differ by the arithmetic alone. The time of `VAE` is that
of the whole of `fit`: checks, scaling, training and health. Losses are the float32 bound on the same rows
with the same noise, computed by the same code from the two encoder and decoder pairs.

Example: ``python -m skalss.benchmarks.vae_fit --data mnist --repeats 3``
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from torch import Tensor, nn

from ..datasets import load_digits_pool
from ..latent import VAE
from .common import load_data

HIDDEN = (512, 256)
N_COMPONENTS = 16
LR = 1e-3
EVALUATION_ROWS = 10_000

Pair = tuple[nn.Module, nn.Module]  # encoder, decoder


def fit_skalss(X: np.ndarray, seed: int, n_epochs: int, batch_size: int, dtype: str) -> Pair:
    """Fit `VAE`; return its encoder and decoder."""
    vae = VAE(
        N_COMPONENTS,
        hidden_layer_sizes=HIDDEN,
        lr=LR,
        max_epochs=n_epochs,
        batch_size=batch_size,
        early_stopping=False,
        dtype=dtype,
        device="cpu",
        random_state=seed,
    ).fit(X)
    return vae.encoder_, vae.decoder_


def fit_plain(X: np.ndarray, seed: int, n_epochs: int, batch_size: int) -> Pair:
    """Fit the same model with what one would write by hand: float32, default Adam, tensor slicing."""
    torch.manual_seed(check_random_state(seed).randint(2**31 - 1))  # the seed that VAE draws
    x_all = unit_range(X)
    sizes = (x_all.shape[1], *HIDDEN)
    encoder = nn.Sequential(*_hidden(sizes), nn.Linear(sizes[-1], 2 * N_COMPONENTS))
    decoder = nn.Sequential(*_hidden((N_COMPONENTS, *sizes[:0:-1])), nn.Linear(sizes[1], sizes[0]))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=LR)
    order = torch.randperm(len(x_all))  # VAE's, which may hold rows out; it also sorts a batch
    for _ in range(n_epochs):
        for ids in order[torch.randperm(len(order))].split(batch_size):
            optimizer.zero_grad()
            negative_elbo(encoder, decoder, x_all[ids.sort().values]).backward()
            optimizer.step()
    return encoder, decoder


def _hidden(sizes: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers


def negative_elbo(encoder: nn.Module, decoder: nn.Module, x: Tensor) -> Tensor:
    """Negative bound of rows in [0, 1] with a Bernoulli likelihood, nats per row, in float32."""
    mean, log_variance = encoder(x).chunk(2, dim=1)
    z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
    reconstruction = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / len(x)
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1).mean()
    return reconstruction + kl


@torch.no_grad()
def evaluate(pair: Pair, x: Tensor) -> float:
    """Negative bound of `x`, with noise that is the same for every model."""
    torch.manual_seed(0)
    encoder, decoder = pair
    return negative_elbo(encoder, nn.Sequential(decoder, nn.Flatten()), x).item()


def unit_range(X: np.ndarray) -> Tensor:
    """Return rows as a float32 tensor in [0, 1]."""
    x = torch.from_numpy(X).float()
    return x / 255 if X.dtype == np.uint8 else x


def timed(fit: Callable[[], Pair]) -> tuple[Pair, float]:
    """Run `fit`; return its result and its wall-clock seconds."""
    start = time.perf_counter()
    pair = fit()
    return pair, time.perf_counter() - start


def load(name: str) -> np.ndarray:
    """Return flat rows: uint8 for MNIST, float32 in [0, 1] for the digits of scikit-learn."""
    if name == "mnist":
        X = load_data("mnist", dtype="uint8")[0]
        return X.reshape(len(X), -1)
    return load_digits_pool().X  # type: ignore[union-attr]


def report(rows: list[tuple[int, float, float, float, float]]) -> str:
    """Write a markdown table of (seed, plain rows/s, skalss rows/s, plain loss, skalss loss)."""
    lines = [
        "| seed | plain rows/s | skalss rows/s | ratio | plain loss | skalss loss | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    for seed, plain, ours, loss_plain, loss_ours in rows:
        lines.append(
            f"| {seed} | {plain:,.0f} | {ours:,.0f} | {ours / plain:.2f} "
            f"| {loss_plain:.2f} | {loss_ours:.2f} | {loss_ours / loss_plain - 1:+.2%} |"
        )
    ratios = [ours / plain for _, plain, ours, _, _ in rows]
    differences = [ours / plain - 1 for *_, plain, ours in rows]
    lines += [
        "",
        f"Throughput ratio: median {np.median(ratios):.2f}, range {min(ratios):.2f} to {max(ratios):.2f}. "
        f"Final loss: median difference {np.median(differences):+.2%}, "
        f"range {min(differences):+.2%} to {max(differences):+.2%}.",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    parser.add_argument("--repeats", type=int, default=3, help="seeds 0, 1, ... each fitted by both")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto", help="of skalss")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    options = parser.parse_args(arguments)

    torch.set_num_threads(1)
    X = load(options.data)
    x_evaluation = unit_range(X[:EVALUATION_ROWS])
    budget = (options.epochs, options.batch_size)
    # One short fit of each warms up the libraries.
    fit_plain(X[:1024], 0, 1, options.batch_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit_skalss(X[:1024], 0, 1, options.batch_size, options.dtype)

    rows = []
    for seed in range(options.seed, options.seed + options.repeats):
        plain, seconds_plain = timed(lambda seed=seed: fit_plain(X, seed, *budget))  # type: ignore[misc]
        ours, seconds = timed(lambda seed=seed: fit_skalss(X, seed, *budget, options.dtype))  # type: ignore[misc]
        n_seen = len(X) * options.epochs
        losses = evaluate(plain, x_evaluation), evaluate(ours, x_evaluation)
        rows.append((seed, n_seen / seconds_plain, n_seen / seconds, *losses))
    sizes = "-".join(map(str, (X.shape[1], *HIDDEN, N_COMPONENTS)))
    print(
        f"VAE {sizes} on {options.data}, {len(X):,} rows, {options.epochs} epochs, "
        f"batch {options.batch_size}, dtype {options.dtype}, one thread, torch {torch.__version__}, "
        f"{platform.machine()}.\n"
    )
    print(report(rows))


if __name__ == "__main__":
    main()
