"""The simulator of vessels: how right it is, how long it takes, and whether its label can be learned.

The largest error of von Mises stress against Lamé's cylinder, the difference to scikit-fem on the same
elements, milliseconds from image to label, what mesh and pixels change; with ``--learn``, the R² of a small
convolutional network and the share of decoded images that the simulator accepts.

Example: ``python -m skalss.benchmarks vessel-stress --clock cpu --learn``
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ..datasets import make_vessels
from ..latent import ConvVAE
from ..network.tasknet import TaskNet
from ..oracles import Abstain
from ..simulation import VesselStress
from ..simulation.elasticity import solve_ring
from ..simulation.mesh import element_corners, ring_nodes
from .common import conditions, make_parser, markdown_table, middle, timed
from .vessel_net import vessel_net

POISSON = (0.3, 0.45, 0.49, 0.499)
RATIOS = (1.2, 1.5, 2.0, 3.0)  # outer over inner radius of the cylinder


def lame_error(poisson: float, ratio: float, n_angles: int = 64, n_layers: int = 12) -> float:
    """Return the largest relative error of von Mises stress in a cylinder of inner radius and pressure 1."""
    nodes = ring_nodes(np.zeros(2), np.ones(n_angles), np.full(n_angles, ratio), n_layers)
    found = solve_ring(nodes, np.ones((n_angles, n_layers)), poisson, 1.0).von_mises
    a = 1 / (ratio**2 - 1)
    r = np.linalg.norm(element_corners(nodes).mean(axis=2), axis=-1)
    # Radial a - b / r^2, hoop a + b / r^2, axial 2 nu a, with b = a ratio^2.
    expected = a * np.sqrt(3 * (ratio / r) ** 4 + (1 - 2 * poisson) ** 2)
    return float(np.abs(found / expected - 1).max())


def difference(X: np.ndarray) -> float:
    """Return the largest difference between the two solvers, relative to the largest value of each field."""
    largest = 0.0
    for image in X:
        own, reference = (VesselStress(solver=solver).simulate(image) for solver in ("banded", "scikit-fem"))
        for name in ("displacement", "stress", "von_mises"):
            expected = getattr(reference, name)
            largest = max(largest, np.abs(getattr(own, name) - expected).max() / np.abs(expected).max())
    return largest


def answers(X: np.ndarray, **params: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels, NaN for an abstention, and which are labels."""
    given = [answer for _, answer in VesselStress(**params).label(X, np.arange(len(X)))]
    labels = np.array([np.nan if isinstance(answer, Abstain) else answer for answer in given])
    return labels, np.isfinite(labels)


def physics(n: int, repeats: int, seed: int, clock: str) -> Iterator[tuple[str, str]]:
    """Measure the simulator itself."""
    fine, coarse = (make_vessels(n, size=size, random_state=seed).X for size in (64, 32))
    for poisson in POISSON:
        worst = max(lame_error(poisson, ratio) for ratio in RATIOS)
        yield f"Lamé, largest error, ν = {poisson}", f"{100 * worst:.3f} %"
    yield "scikit-fem, largest difference", f"{difference(coarse[:10]):.1e}"
    for solver, rows in (("banded", coarse), ("scikit-fem", coarse[:10])):
        seconds = [timed(lambda: answers(rows, solver=solver), clock)[1] for _ in range(repeats)]  # noqa: B023
        yield f"ms from image to label, {solver}", middle(1e3 / len(rows) * np.array(seconds))
    labels, accepted = answers(coarse)
    yield "accepted", f"{100 * accepted.mean():.1f} %"
    low, half, high = np.nanpercentile(labels, [1, 50, 99])
    yield "peak stress in kPa: 1, 50, 99 %", f"{low:.0f}, {half:.0f}, {high:.0f}"
    yield "SD of log stress", f"{np.nanstd(np.log(labels)):.3f}"
    for change, (others, _) in {
        "128 × 24 elements": answers(coarse, n_angles=128, n_layers=24),
        "64 × 64 pixels": answers(fine),
    }.items():
        log = np.log(others / labels)
        yield (
            f"log stress, {change} less the default: mean, SD",
            f"{np.nanmean(log):.3f}, {np.nanstd(log):.3f}",
        )


def learning(n: int, epochs: int, vae_epochs: int, seed: int) -> Iterator[tuple[str, str]]:
    """Measure what a network learns from simulations, and what the simulator says to decoded images."""
    X = make_vessels(n + 1000, random_state=seed).X
    y = np.log(answers(X)[0])
    fitted = TaskNet(vessel_net(epochs), device="cpu", random_state=seed).fit(X[:n], y[:n])
    predicted, expected = np.ravel(fitted.predict(X[n:])), y[n:]
    for unit, back in (("log kPa", lambda log: log), ("kPa", np.exp)):
        error = np.mean((back(predicted) - back(expected)) ** 2) / np.var(back(expected))
        yield f"R² on 1,000 others after {n} random simulations, {unit}", f"{1 - error:.3f}"

    pool = make_vessels(2000, random_state=seed + 1).X
    vae = ConvVAE(16, max_epochs=vae_epochs, batch_size=64, lr=2e-3, random_state=seed, device="cpu").fit(
        pool
    )
    with torch.no_grad():
        mean, log_variance = vae.posterior(torch.as_tensor(pool))
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(seed))
    decoded = vae.inverse_transform((mean + torch.exp(log_variance / 2) * noise).numpy())
    share = answers(decoded)[1].mean()
    yield "decoded codes of the aggregate posterior accepted", f"{100 * share:.1f} %"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = make_parser("vessel-stress", __doc__, repeats=5)
    parser.add_argument("--vessels", type=int, default=500)
    parser.add_argument("--learn", action="store_true", help="also train a network and a VAE; minutes")
    parser.add_argument("--simulations", type=int, default=600, help="to learn from")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--vae-epochs", type=int, default=40)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = list(physics(options.vessels, options.repeats, options.seed, options.clock))
    if options.learn:
        rows += learning(options.simulations, options.epochs, options.vae_epochs, options.seed)
    print(f"{options.vessels} vessels of 32 × 32 pixels, 64 × 12 elements, {conditions(options.clock)}.\n")
    print(markdown_table(["figure", "value"], rows))


if __name__ == "__main__":
    main()
