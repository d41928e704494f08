"""Restart a campaign after some rounds, against a restart that computes nothing again.

Digits, a convolutional VAE, ``"auto"``. A campaign with a ledger is stopped after the answers of a round. The
restart makes the campaign again from its ledger and asks the next batch, for which it needs the codes and the
network of all labels so far. It is held against the least that does the same: a campaign is made, the latent
model and the codes are read from their file, and a campaign that never stopped asks its next batch, which
trains that one network. A third arm has no cache, and computes all of it again.

Example: ``python -m skalss.benchmarks restart --repeats 5``
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..campaign import Campaign
from ..latent import ConvVAE
from ..ledger import Ledger
from ..nets import net_classifier
from ..sampler import AdaptiveLatentSampler
from ..utils import store
from .common import conditions, in_turn, load_data, make_parser, markdown_table, middle, timed


def make_sampler(ledger: Ledger | None, epochs: int) -> AdaptiveLatentSampler:
    """Return the sampler of all arms."""
    return AdaptiveLatentSampler(
        net_classifier(),
        ConvVAE(max_epochs=epochs),
        n_initial=50,
        n_per_round=20,
        classes=range(10),
        ledger=ledger,
        random_state=0,
    )


def play(campaign: Campaign, y: np.ndarray, n_rounds: int) -> None:
    """Ask and answer the first set and `n_rounds` more."""
    for _ in range(n_rounds + 1):
        batch = campaign.ask()
        campaign.tell(batch.ids, y[batch.ids])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the arms in turn and print the table."""
    parser = make_parser("restart", __doc__, repeats=5)
    parser.add_argument("--rounds", type=int, default=8, help="before the restart, besides the first set")
    parser.add_argument("--epochs", type=int, default=30, help="of the VAE")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    X, y, *_ = load_data("digits")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stopped, whole = folder / "stopped", folder / "whole"
        stopped.mkdir()
        with Campaign(make_sampler(Ledger(stopped / "a.ledger"), options.epochs), X) as campaign:
            play(campaign, y, options.rounds)
        campaign = Campaign(make_sampler(None, options.epochs), X)
        play(campaign, y, options.rounds)
        campaign.save(whole)
        (codes,) = (stopped / "a.ledger-cache").glob("latent-*")

        def restart(seed: int, cache: bool = True) -> float:
            place = folder / f"restart {seed} {cache}"
            shutil.copytree(stopped, place)

            def go_on() -> Any:
                sampler = make_sampler(Ledger(place / "a.ledger", cache=cache), options.epochs)
                with Campaign(sampler, X) as again:
                    return again.ask().ids

            asked[cache], seconds = timed(go_on, options.clock)
            return seconds

        def least(seed: int) -> float:
            campaign = Campaign.load(whole, X)

            def go_on() -> Any:
                Campaign(make_sampler(None, options.epochs), X)
                store.read(codes, kind="skalss cache")
                return campaign.ask().ids

            asked[None], seconds = timed(go_on, options.clock)
            return seconds

        asked: dict[bool | None, np.ndarray] = {}
        seeds = range(options.seed, options.seed + options.repeats)
        arms = in_turn({"restart": restart, "nothing again": least}, seeds)
        everything = restart(options.seed, cache=False)
        if not all(np.array_equal(asked[True], ids) for ids in asked.values()):
            raise RuntimeError("The arms asked other rows.")
        size = sum(file.stat().st_size for file in codes.parent.iterdir())
    rows = [
        ["restart", middle(arms["restart"])],
        ["the least that does the same", middle(arms["nothing again"])],
        ["ratio", middle(arms["restart"] / arms["nothing again"])],
        ["restart without the cache (once)", f"{everything:.2f}"],
        ["the cache on the disk, MB", f"{size / 1e6:.2f}"],
    ]
    title = f"{len(X)} digits, after round {options.rounds}"
    print(markdown_table([title, "seconds, median (range)"], rows))
    print(f"\n{options.repeats} pairs in turn, {conditions(options.clock)}.")


if __name__ == "__main__":
    main()
