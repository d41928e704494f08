"""Views of rows: chance changes that leave what a row is as it was, for a contrastive latent model.

All rows of a batch are changed at once, each by its own draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils.checks import check_between, check_flag, check_share
from ..utils.seeds import own_generator

LEAST_CROP = 0.01  # of the area: less than a pixel of most images
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue look
_GREY_SHARE = 0.2  # as in SimCLR


@dataclass(frozen=True)
class ImageViews:
    """A part of each image, brought to its size, perhaps mirrored, with other colours.

    Parameters
    ----------
    least_area : float, default=0.25
        Of the part, as a share of the image; its sides differ by up to a third.
    flip : bool, default=True
        Whether half of the images are mirrored left to right. Wrong for writing.
    colour : float, default=0.4
        By how much, at most, brightness, contrast and, of three channels, saturation change, as a share; a
        fifth of images with three channels turn grey. 0: colours stay.

    References
    ----------
    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", arXiv:2002.05709.
    """

    least_area: float = 0.25
    flip: bool = True
    colour: float = 0.4

    def check(self) -> None:
        """Refuse wrong parameters.

        Raises
        ------
        ValueError, TypeError
        """
        check_between("least_area", self.least_area, LEAST_CROP, 1)
        check_flag("flip", self.flip)
        check_share("colour", self.colour)

    def __call__(self, X: Tensor) -> Tensor:
        """Return a view of each image: tensor of shape (n, channels, height, width)."""
        return self._recolour(self._crop(X))

    def _crop(self, X: Tensor) -> Tensor:
        area = self.least_area + (1 - self.least_area) * _uniform(X, 1)
        ratio = torch.exp((2 * _uniform(X, 1) - 1) * 0.2877)  # 3/4 to 4/3, as in SimCLR
        size = torch.sqrt(torch.cat([area * ratio, area / ratio], dim=1)).clamp_max(1)  # of the sides
        shift = (2 * _uniform(X, 2) - 1) * (1 - size)
        theta = torch.zeros(len(X), 2, 3, device=X.device)
        mirrored = torch.where(_uniform(X, 1) < 0.5 * self.flip, -1.0, 1.0)[:, 0]
        theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = size[:, 0] * mirrored, size[:, 1], shift
        grid = F.affine_grid(theta, list(X.shape), align_corners=False)
        return F.grid_sample(X, grid, align_corners=False, padding_mode="reflection")

    def _recolour(self, X: Tensor) -> Tensor:
        if not self.colour:
            return X
        factors = 1 + self.colour * (2 * _uniform(X, 3)[:, :, None, None, None] - 1)
        X = X * factors[:, 0]  # brightness
        mean = X.mean(dim=(1, 2, 3), keepdim=True)
        X = mean + (X - mean) * factors[:, 1]  # contrast
        if X.shape[1] != 3:
            return X
        grey = (X * X.new_tensor(_LUMA)[:, None, None]).sum(dim=1, keepdim=True)
        saturation = torch.where(_uniform(X, 1)[..., None, None] < _GREY_SHARE, 0.0, factors[:, 2])
        return grey + (X - grey) * saturation


@dataclass(frozen=True)
class CorruptedViews:
    """Rows some of whose features have the values of other rows.

    Parameters
    ----------
    share : float, default=0.3
        Of the features.

    References
    ----------
    Bahri et al., "SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption",
    arXiv:2106.15259; there one of the two views is left as it is, with a share of 0.6.
    """

    share: float = 0.3

    def check(self) -> None:
        """Refuse a wrong parameter.

        Raises
        ------
        ValueError, TypeError
        """
        check_share("share", self.share)

    def __call__(self, X: Tensor) -> Tensor:
        """Return a view of each row: tensor of the shape of `X`."""
        rows = X.flatten(1)
        others = rows.gather(0, _uniform(rows, rows.shape[1]).argsort(dim=0))
        return torch.where(_uniform(rows, rows.shape[1]) < self.share, others, rows).reshape(X.shape)


def _uniform(X: Tensor, n: int) -> Tensor:
    """Draw n numbers in [0, 1) for each row."""
    return torch.rand(len(X), n, device=X.device, generator=own_generator(X.device))
