"""Ready augmentations of images, for ``TaskNet(augment=...)``: each row of a batch has a draw of its own.

Any callable from a batch of tensors to a batch of the same shape will do in their place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.base import BaseEstimator
from torch import Tensor

from .utils.checks import check_count, check_flag, check_positive_int, check_tensor


class BaseAugment(BaseEstimator):
    """Base of augmentations: what draws from torch's generators, and equals others of the same settings."""

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


def _check_images(augment: BaseAugment, X: Tensor) -> None:
    check_tensor("X", X, floating=True)
    if X.ndim != 4:
        raise ValueError(
            f"{type(augment).__name__} takes images of shape (n_samples, n_channels, height, width), got "
            f"{tuple(X.shape)}. Reshape the rows of X to (n_channels, height, width)."
        )
