"""The network that learns the stress of vessels."""

from __future__ import annotations

import torch
from skorch import NeuralNetRegressor
from skorch.callbacks import LRScheduler
from torch import Tensor, nn

from ..augment import BaseAugment
from ..nets import net_regressor


class TurningNet(nn.Module):
    """Three convolutions and a hidden layer, for images of 32 × 32 pixels.

    Stress does not change when a vessel is turned or mirrored: training turns each batch at random, and
    prediction averages the features over all eight ways.
    """

    def __init__(self, width: int = 8, n_hidden: int = 128, output_dim: int = 1):
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for n_in, n_out in zip(widths[:-1], widths[1:], strict=True):
            layers += [nn.Conv2d(n_in, n_out, 5, padding=2, bias=False), nn.BatchNorm2d(n_out)]
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * widths[-1], n_hidden), nn.ReLU())
        self.head = nn.Linear(n_hidden, output_dim)

    def forward(self, X: Tensor) -> Tensor:
        """Map images (n, 3, 32, 32) to values (n, output_dim)."""
        if self.training:
            return self.head(self.body(all_turns(X).view(8, *X.shape)[int(torch.randint(8, ()))]))
        features = self.body(all_turns(X))
        return self.head(features.view(8, len(X), -1).mean(dim=0))


def all_turns(X: Tensor) -> Tensor:
    """Turn and mirror images in all eight ways: (n, channels, h, h) to (8 n, channels, h, h)."""
    return torch.cat([torch.rot90(side, k, (2, 3)) for side in (X, X.flip(3)) for k in range(4)])


class Turn(BaseAugment):
    """Turn and mirror each square image in one of eight ways, at random; maps turn with it."""

    moves_pixels = True

    def __call__(self, X: Tensor) -> Tensor:
        """Turn images (n, channels, h, h)."""
        ways = torch.randint(8, (len(X),), device=X.device)
        return all_turns(X).view(8, *X.shape)[ways, torch.arange(len(X), device=X.device)]


def vessel_net(max_epochs: int) -> NeuralNetRegressor:
    """Build the regressor, with a rate that falls to zero by the last epoch."""
    schedule = LRScheduler(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=max_epochs)
    return net_regressor(TurningNet, max_epochs=max_epochs, lr=3e-3, callbacks=[("schedule", schedule)])
