"""Small pools with labels of every kind, and networks for them: list a new kind here and it is tested."""

from typing import Any, NamedTuple

import numpy as np
from skorch import NeuralNet
from torch import nn

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.targets import Labels, Values

FAST = {"max_epochs": 3, "lr": 0.02}
FLAT = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
IMAGES = np.random.default_rng(1).normal(size=(60, 1, 4, 6)).astype(np.float32)
VOLUMES = np.random.default_rng(2).normal(size=(60, 1, 3, 4, 4)).astype(np.float32)


class PixelNet(nn.Module):
    """A number for each pixel, or voxel, and class."""

    def __init__(self, input_shape=(1, 4, 4), output_dim=2):
        super().__init__()
        conv = nn.Conv2d if len(input_shape) == 3 else nn.Conv3d
        self.body = nn.Sequential(conv(input_shape[0], 4, 3, padding=1), nn.ReLU())
        self.head = conv(4, output_dim, 1)

    def forward(self, X):
        return self.head(self.body(X))


class Kind(NamedTuple):
    """A pool, what is true of its rows, and a network that learns it."""

    X: np.ndarray
    truth: Any  # from rows to labels
    net: NeuralNet
    classes: Any  # of a sampler; None: not needed
    target: Any = "auto"  # what must be said where there are no labels yet

    @property
    def y(self):
        return self.truth(self.X)

    def sampler(self, **settings):
        """Return a sampler of a few labels."""
        common = {"n_initial": 12, "n_per_round": 6, "max_labels": 24, "random_state": 0}
        return AdaptiveLatentSampler(self.net, LinearLatent(3), **{**common, **settings})

    def told(self, **settings):
        """Return a sampler for rows without labels."""
        net = self.net if self.target == "auto" else TaskNet(self.net, target=self.target)
        return self.sampler(classes=self.classes, **settings).set_params(estimator=net)


def names_of(X):
    return [
        [name for name, one in zip(("dog", "car", "sky"), row, strict=True) if one > 0] for row in X[:, :3]
    ]


KINDS = {
    "classes": Kind(FLAT, lambda X: (X[:, 0] > 0).astype(int), net_classifier(**FAST), [0, 1]),
    "values": Kind(FLAT, lambda X: 5.0 * X[:, 0], net_regressor(**FAST), None),
    "several values": Kind(
        FLAT, lambda X: np.stack([X[:, 0], 1e3 + 9 * X[:, 1]], axis=1), net_regressor(**FAST), None, Values(2)
    ),
    "several labels": Kind(
        FLAT, lambda X: (X[:, :3] > 0).astype(int), net_classifier(**FAST), range(3), Labels()
    ),
    "names": Kind(FLAT, names_of, net_classifier(**FAST), ["car", "dog", "sky"], Labels()),
    "masks": Kind(
        IMAGES, lambda X: np.digitize(X[:, 0], [-0.5, 0.5]), net_classifier(PixelNet, **FAST), range(3)
    ),
    "masks with gaps": Kind(
        IMAGES,
        lambda X: np.where(np.abs(X[:, 0]) > 1.5, -1, X[:, 0] > 0),
        net_classifier(PixelNet, **FAST),
        [0, 1],
    ),
    "volumes": Kind(
        VOLUMES, lambda X: (X[:, 0] > 0).astype(np.uint8), net_classifier(PixelNet, **FAST), [0, 1]
    ),
    "fields": Kind(
        IMAGES,
        lambda X: np.where(X[:, 0] > 1.5, np.nan, 1e3 + X[:, 0]),
        net_regressor(PixelNet, **FAST),
        None,
    ),
}
