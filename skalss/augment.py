"""Ready augmentations of images, for ``TaskNet(augment=...)``: each row of a batch has a draw of its own.

Any callable from a batch of tensors to a batch of the same shape will do in their place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator
from torch import Tensor

from .utils.checks import (
    check_between,
    check_count,
    check_flag,
    check_positive_int,
    check_share,
    check_tensor,
)

_LEAST_AREA = 0.01  # of a view: less than a pixel of most images
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue look
_GREY_SHARE = 0.2  # as in SimCLR


class BaseAugment(BaseEstimator):
    """Base of augmentations: what draws from torch's generators, and equals others of the same settings.

    Attributes
    ----------
    moves_pixels : bool
        Whether it moves pixels and changes none. Then it serves masks and fields, too, which move with their
        images as further channels.
    """

    moves_pixels: bool = False

    def __call__(self, X: Tensor) -> Tensor:
        """Augment images (n, c, h, w); the batch given is left as it is."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        """Whether another one is of the same class and settings."""
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Return the same number for equal ones."""
        return hash((type(self), *sorted(vars(self).items())))


class Flip(BaseAugment):
    """Mirror every second image, left to right.

    Examples
    --------
    >>> import torch
    >>> from skalss.augment import Flip
    >>> Flip()(torch.zeros(8, 3, 32, 32)).shape
    torch.Size([8, 3, 32, 32])
    """

    moves_pixels = True

    def __call__(self, X: Tensor) -> Tensor:
        """Augment images.

        Parameters
        ----------
        X : tensor of shape (n_samples, n_channels, height, width)

        Returns
        -------
        X : tensor of the same shape

        Raises
        ------
        ValueError, TypeError
            If `X` is no batch of images.
        """
        _check_images(self, X)
        mirrored = torch.rand(len(X), 1, 1, 1, device=X.device) < 0.5
        return torch.where(mirrored, X.flip(-1), X)


class ShiftCrop(BaseAugment):
    """Move each image by some pixels up or down and left or right; the edge is mirrored into the gap.

    Parameters
    ----------
    padding : int, default=4
        Pixels an image is moved by, at most; less than its height and width.
    """

    moves_pixels = True

    def __init__(self, padding: int = 4):
        self.padding = padding

    def __call__(self, X: Tensor) -> Tensor:
        """Augment images.

        Parameters
        ----------
        X : tensor of shape (n_samples, n_channels, height, width)

        Returns
        -------
        X : tensor of the same shape

        Raises
        ------
        ValueError, TypeError
            If `X` is no batch of images, or `padding` is no whole number below their height and width.
        """
        check_positive_int("padding", self.padding)
        _check_images(self, X)
        n, _, height, width = X.shape
        if self.padding >= min(height, width):
            raise ValueError(
                f"padding must be below the height and width of the images, {height} and {width}, got "
                f"{self.padding}. An eighth of them is usual."
            )
        padded = F.pad(X, (self.padding,) * 4, mode="reflect")
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (n, c, y, x, h, w), a view
        y, x = torch.randint(2 * self.padding + 1, (2, n), device=X.device)
        return windows[torch.arange(n, device=X.device), :, y, x]


class Cutout(BaseAugment):
    """Set a square at a random place of each image to 0; it may reach beyond the edge.

    Parameters
    ----------
    size : int, default=8
        Height and width of the square, in pixels.

    References
    ----------
    DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout",
    arXiv:1708.04552.
    """

    def __init__(self, size: int = 8):
        self.size = size

    def __call__(self, X: Tensor) -> Tensor:
        """Augment images.

        Parameters
        ----------
        X : tensor of shape (n_samples, n_channels, height, width)

        Returns
        -------
        X : tensor of the same shape

        Raises
        ------
        ValueError, TypeError
            If `X` is no batch of images, or `size` no whole number of at least 1.
        """
        check_positive_int("size", self.size)
        _check_images(self, X)
        rows, columns = (self._hit(len(X), n_pixels, X.device) for n_pixels in X.shape[2:])
        return X.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)

    def _hit(self, n: int, n_pixels: int, device: torch.device) -> Tensor:
        """Draw which rows or columns of pixels the square of each image covers: (n, n_pixels)."""
        first = torch.randint(n_pixels, (n, 1), device=device) - self.size // 2
        after_first = torch.arange(n_pixels, device=device) - first
        return (after_first >= 0) & (after_first < self.size)


class ImageAugment(BaseAugment):
    """Flip, shift and cut out, as is usual for photographs.

    Parameters
    ----------
    flip : bool, default=True
        Whether every second image is mirrored. Digits, text and organs are not what they are in a mirror.
    shift : int, default=4
        Pixels an image is moved by, at most; 0: none is moved.
    cutout : int, default=0
        Height and width of the square that is set to 0; 0: none is.

    Examples
    --------
    >>> from skalss import TaskNet
    >>> from skalss.augment import ImageAugment
    >>> TaskNet(augment=ImageAugment(cutout=8)).augment
    ImageAugment(cutout=8)
    """

    def __init__(self, flip: bool = True, shift: int = 4, cutout: int = 0):
        self.flip = flip
        self.shift = shift
        self.cutout = cutout

    @property
    def moves_pixels(self) -> bool:  # type: ignore[override]
        """Whether nothing is cut out."""
        return not self.cutout

    def __call__(self, X: Tensor) -> Tensor:
        """Augment images.

        Parameters
        ----------
        X : tensor of shape (n_samples, n_channels, height, width)

        Returns
        -------
        X : tensor of the same shape

        Raises
        ------
        ValueError, TypeError
            If `X` is no batch of images, or a parameter is wrong.
        """
        check_flag("flip", self.flip)
        check_count("shift", self.shift)
        check_count("cutout", self.cutout)
        _check_images(self, X)
        if self.shift:
            X = ShiftCrop(self.shift)(X)
        if self.flip:
            X = Flip()(X)
        return Cutout(self.cutout)(X) if self.cutout else X


class ImageViews(BaseAugment):
    """Take a part of each image, bring it to full size, perhaps mirror it, and change its colours.

    Stronger than `ImageAugment`: for `ContrastiveLatent`, which learns what two views of an image share.

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

    def __init__(self, least_area: float = 0.25, flip: bool = True, colour: float = 0.4):
        self.least_area = least_area
        self.flip = flip
        self.colour = colour

    def __call__(self, X: Tensor) -> Tensor:
        """Return a view of each image.

        Parameters
        ----------
        X : tensor of shape (n_samples, n_channels, height, width)

        Returns
        -------
        X : tensor of the same shape

        Raises
        ------
        ValueError, TypeError
            If `X` is no batch of images, or a parameter is wrong.
        """
        check_between("least_area", self.least_area, _LEAST_AREA, 1)
        check_flag("flip", self.flip)
        check_share("colour", self.colour)
        _check_images(self, X)
        return self._recolour(self._crop(X))

    def _crop(self, X: Tensor) -> Tensor:
        area = float(self.least_area) + (1 - float(self.least_area)) * _uniform(X, 1)
        ratio = torch.exp((2 * _uniform(X, 1) - 1) * 0.2877)  # 3/4 to 4/3, as in SimCLR
        size = torch.sqrt(torch.cat([area * ratio, area / ratio], dim=1)).clamp_max(1)  # of the sides
        shift = (2 * _uniform(X, 2) - 1) * (1 - size)
        theta = torch.zeros(len(X), 2, 3, device=X.device)
        mirrored = torch.where(_uniform(X, 1) < 0.5 * bool(self.flip), -1.0, 1.0)[:, 0]
        theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = size[:, 0] * mirrored, size[:, 1], shift
        grid = F.affine_grid(theta, list(X.shape), align_corners=False)
        return F.grid_sample(X, grid, align_corners=False, padding_mode="reflection")

    def _recolour(self, X: Tensor) -> Tensor:
        if not self.colour:
            return X
        factors = 1 + float(self.colour) * (2 * _uniform(X, 3)[:, :, None, None, None] - 1)
        X = X * factors[:, 0]  # brightness
        mean = X.mean(dim=(1, 2, 3), keepdim=True)
        X = mean + (X - mean) * factors[:, 1]  # contrast
        if X.shape[1] != 3:
            return X
        grey = (X * X.new_tensor(_LUMA)[:, None, None]).sum(dim=1, keepdim=True)
        saturation = torch.where(_uniform(X, 1)[..., None, None] < _GREY_SHARE, 0.0, factors[:, 2])
        return grey + (X - grey) * saturation


class CorruptedViews(BaseAugment):
    """Set some features of each row to the values of other rows of the batch, as a view of a table's row.

    Parameters
    ----------
    share : float, default=0.3
        Of the features.

    References
    ----------
    Bahri et al., "SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption",
    arXiv:2106.15259; there one of two views is left as it is, with a share of 0.6.
    """

    def __init__(self, share: float = 0.3):
        self.share = share

    def __call__(self, X: Tensor) -> Tensor:
        """Return a view of each row.

        Parameters
        ----------
        X : tensor of shape (n_samples, ...)

        Returns
        -------
        X : tensor of the same shape

        Raises
        ------
        ValueError, TypeError
            If `share` is out of range, or `X` holds no rows.
        """
        check_share("share", self.share)
        check_tensor("X", X, floating=True)
        if X.ndim < 2:
            raise ValueError(f"CorruptedViews takes rows of shape (n_samples, ...), got {tuple(X.shape)}.")
        rows = X.flatten(1)
        others = rows.gather(0, _uniform(rows, rows.shape[1]).argsort(dim=0))
        return torch.where(_uniform(rows, rows.shape[1]) < float(self.share), others, rows).reshape(X.shape)


def _check_images(augment: BaseAugment, X: Tensor) -> None:
    check_tensor("X", X, floating=True)
    if X.ndim != 4:
        raise ValueError(
            f"{type(augment).__name__} takes images of shape (n_samples, n_channels, height, width), got "
            f"{tuple(X.shape)}. Reshape the rows of X to (n_channels, height, width)."
        )


def _uniform(X: Tensor, n: int) -> Tensor:
    """Draw n numbers in [0, 1) for each row."""
    return torch.rand(len(X), n, device=X.device)
