"""The evidence lower bound of a variational autoencoder, and the short loop that climbs it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..utils.progress import progress_bar
from ..utils.seeds import own_generator
from .rows import FULL_ROWS, Rows

MIN_VARIANCE = math.exp(-12)  # of scaled rows; sigma-VAE's clamp, log sigma >= -6
PATIENCE = 5


class VaeNet(nn.Module):
    """An encoder to (n, 2 d) numbers, mean and log-variance, and a decoder from (n, d) codes."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, float32, of the codes of scaled rows."""
        mean, log_variance = self.encoder(x).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-20, 20)


class Elbo(NamedTuple):
    """Means over the rows of a batch, in nats per row; `loss` is reconstruction + beta * kl."""

    loss: Tensor
    reconstruction: Tensor
    kl: Tensor


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the posterior from N(0, 1), in nats, one number per row."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


def reconstruction_loss(output: Tensor, x: Tensor, likelihood: str) -> Tensor:
    """Mean over rows of -log p(x | z), in nats.

    For a Gaussian, one variance is shared by all features and sits at its optimum, the batch's mean squared
    error (optimal sigma-VAE, arXiv:2006.13202): it has no learning rate to lag behind.
    """
    if likelihood == "bernoulli":
        return F.binary_cross_entropy_with_logits(output, x, reduction="sum") / len(x)
    error = F.mse_loss(output, x)
    variance = error.detach().clamp_min(MIN_VARIANCE)
    return 0.5 * x[0].numel() * (torch.log(2 * math.pi * variance) + error / variance)


def elbo(
    net: VaeNet, x: Tensor, noise: Tensor, likelihood: str, beta: float, compute: torch.dtype = torch.float32
) -> Elbo:
    """Negative evidence lower bound of scaled rows; layers run in `compute`, all the rest in float32."""
    autocast = torch.autocast(x.device.type, torch.bfloat16, enabled=compute == torch.bfloat16)
    with autocast:
        mean, log_variance = net.posterior(x)
        z = mean + torch.exp(0.5 * log_variance) * noise
        output = net.decoder(z)
    reconstruction = reconstruction_loss(output.float(), x, likelihood)
    kl = kl_divergence(mean, log_variance).mean()
    return Elbo(reconstruction + beta * kl, reconstruction, kl)


@dataclass
class Trainer:
    """Maximise the bound over rows; run it under `seeded`, since all noise is torch's.

    Attributes
    ----------
    net : VaeNet
        Trained in place.
    rows : Rows
    n_components, likelihood, beta, lr, max_epochs, batch_size, early_stopping, verbose, max_steps
        As in `VAE`.
    compute : torch.dtype
        What layers run in; parameters and the optimiser's state are float32.
    device : torch.device
    """

    net: VaeNet
    rows: Rows
    n_components: int
    likelihood: str
    beta: float
    lr: float
    max_epochs: int
    batch_size: int
    early_stopping: bool
    verbose: int
    compute: torch.dtype
    device: torch.device
    max_steps: int | None = None

    def run(self) -> list[dict[str, float]]:
        """Train, leave the best weights in the network, and return one record per epoch."""
        train, valid = self._split()
        # The same noise every epoch, so that losses on the held-out rows compare.
        valid_noise = torch.randn(len(valid), self.n_components, generator=own_generator(), device="cpu")
        fused = True if self.device.type in ("cpu", "cuda") else None
        optimizer = torch.optim.Adam(self.net.parameters(), lr=self.lr, fused=fused)
        history: list[dict[str, float]] = []
        best, best_epoch, best_weights = math.inf, 0, self._weights()
        n_epochs, n_steps = self._lengths()
        drawn = _drawn(train, n_steps * self.batch_size)
        with progress_bar("VAE", total=n_epochs, unit="epoch", verbose=self.verbose) as bar:
            for epoch in range(1, n_epochs + 1):
                record = {"epoch": epoch, **self._train_epoch(next(drawn), optimizer)}
                record["valid_loss"] = self._validate(valid, valid_noise) if len(valid) else math.nan
                history.append(record)
                bar.set_postfix(loss=record["loss"], valid_loss=record["valid_loss"])
                bar.update()
                judged = record["valid_loss"] if len(valid) else record["loss"]
                self._check_finite(judged, epoch)
                if not self.early_stopping:
                    continue
                if judged < best:
                    best, best_epoch, best_weights = judged, epoch, self._weights()
                elif epoch - best_epoch >= PATIENCE:
                    break
        if self.early_stopping:
            self.net.load_state_dict(best_weights)
        if not all(bool(torch.isfinite(value).all()) for value in self.net.parameters()):
            raise ValueError(
                f"The weights are not finite after training with lr={self.lr}. Lower lr or beta, or scale X."
            )
        return history

    def _lengths(self) -> tuple[int, int]:
        """Return the number of epochs, and that of the steps of one, at most."""
        if self.max_steps is None:
            return self.max_epochs, -(-FULL_ROWS // self.batch_size)
        n_epochs = min(self.max_epochs, self.max_steps)
        return n_epochs, self.max_steps // n_epochs

    def _split(self) -> tuple[Tensor, Tensor]:
        order = torch.randperm(len(self.rows), generator=own_generator(), device="cpu")
        n_valid = min(len(order) // 10, 2000) if self.early_stopping and len(order) >= 20 else 0
        return order[n_valid:], order[:n_valid]

    def _train_epoch(self, ids: Tensor, optimizer: torch.optim.Optimizer) -> dict[str, float]:
        sums, chance = torch.zeros(3, device=self.device), own_generator(self.device)
        for x in self.rows.batches(ids, self.batch_size):
            noise = torch.randn(len(x), self.n_components, generator=chance, device=self.device)
            terms = elbo(self.net, x, noise, self.likelihood, self.beta, self.compute)
            optimizer.zero_grad()
            terms.loss.backward()
            optimizer.step()
            sums += torch.stack(terms).detach() * len(x)  # stays on the device: no wait for it in each step
        return dict(zip(Elbo._fields, (sums / len(ids)).tolist(), strict=True))

    @torch.no_grad()
    def _validate(self, ids: Tensor, noise: Tensor) -> float:
        total = 0.0
        pieces = zip(ids.split(self.batch_size), noise.split(self.batch_size), strict=True)
        for batch, batch_noise in pieces:
            x = self.rows.take(batch)
            terms = elbo(self.net, x, batch_noise.to(self.device), self.likelihood, self.beta, self.compute)
            total += terms.loss.item() * len(x)
        return total / len(ids)

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.net.state_dict().items()}

    def _check_finite(self, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss is {loss} after epoch {epoch} with lr={self.lr}; it must be finite. "
                "Lower lr or beta, or scale X."
            )


def _drawn(ids: Tensor, n: int) -> Iterator[Tensor]:
    """Yield the rows of epoch after epoch, at most `n`: none comes twice before all have come."""
    waiting, n = ids[:0], min(n, len(ids))
    while True:
        if len(waiting) < n:
            order = torch.randperm(len(ids), generator=own_generator(), device="cpu")
            waiting = torch.cat([waiting, ids[order]])
        yield waiting[:n]
        waiting = waiting[n:]


def widths(*sizes: int) -> Iterator[tuple[int, int]]:
    """Return the (in, out) widths of consecutive layers."""
    return zip(sizes[:-1], sizes[1:], strict=True)
