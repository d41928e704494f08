"""Ready modules and the skorch nets around them. Modules return logits, or values for regression.

`TaskNet` fills `input_dim`, `input_shape` and `output_dim` from the data where the module takes them
and the user has not set them.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import Tensor, nn

from .utils.checks import (
    LARGEST_WIDTH,
    check_callable,
    check_count,
    check_positive_int,
    check_share,
    check_sizes,
    check_tensor,
    show,
)


class MLP(nn.Module):
    """Multilayer perceptron with ReLU; rows of any shape are flattened.

    Parameters
    ----------
    input_dim : int, default=1
        Number of features of a row.
    output_dim : int, default=1
        Number of classes, or of regression targets.
    hidden_layer_sizes : sequence of int, default=(100,)
        Width of each hidden layer.
    dropout : float, default=0.0
        Share of hidden units dropped in training.
    """

    def __init__(
        self,
        input_dim: int = 1,
        output_dim: int = 1,
        hidden_layer_sizes: Sequence[int] = (100,),
        dropout: float = 0.0,
    ):
        super().__init__()
        check_positive_int("input_dim", input_dim, most=LARGEST_WIDTH)
        check_positive_int("output_dim", output_dim, most=LARGEST_WIDTH)
        hidden_layer_sizes = check_sizes("hidden_layer_sizes", hidden_layer_sizes, empty=True)
        check_share("dropout", dropout)
        self.input_dim = int(input_dim)
        layers: list[nn.Module] = [nn.Flatten()]
        widths = (input_dim, *hidden_layer_sizes)
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(float(dropout))]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], output_dim)

    def forward(self, X: Tensor) -> Tensor:
        """Map rows (n, ...) to outputs (n, output_dim)."""
        _check_rows(X, self.input_dim, next(self.parameters(), None))
        return self.head(self.body(X))


class LeNet(nn.Module):
    """LeNet-5 with ReLU and max pooling, for images of at least 4 × 4 pixels.

    Two 5 × 5 convolutions (6 and 16 channels), two hidden layers (120 and 84). Padding keeps the size of
    small images, so that 8 × 8 digits pass too.

    Parameters
    ----------
    input_shape : tuple of int, default=(1, 28, 28)
        Channels, height and width. Flat rows are reshaped to it.
    output_dim : int, default=10
        Number of classes, or of regression targets.

    References
    ----------
    LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE, 1998.
    """

    def __init__(self, input_shape: Sequence[int] = (1, 28, 28), output_dim: int = 10):
        super().__init__()
        check_positive_int("output_dim", output_dim, most=LARGEST_WIDTH)
        channels, height, width = self.input_shape = _image_shape(input_shape, least=4)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=2),
            _MaxPool(),
            nn.ReLU(),
            nn.Conv2d(6, 16, 5, padding=2),
            _MaxPool(),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * (height // 4) * (width // 4), 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
        )
        self.head = nn.Linear(84, output_dim)

    def forward(self, X: Tensor) -> Tensor:
        """Map images (n, c, h, w) or flat rows to outputs (n, output_dim)."""
        _check_rows(X, math.prod(self.input_shape), next(self.parameters(), None))
        return self.head(self.body(X.reshape(-1, *self.input_shape)))


def _check_rows(X: Tensor, n_values: int, weight: Tensor | None) -> None:
    """Refuse what are no rows of so many values, or of another dtype than the weights."""
    check_tensor("X", X)
    if X.ndim < 2 or math.prod(X.shape[1:]) != n_values:
        raise ValueError(
            f"X must be rows of {n_values} values, got a tensor of shape {tuple(X.shape)}. Set input_dim or "
            "input_shape to that."
        )
    if weight is not None and X.dtype != weight.dtype and not torch.is_autocast_enabled(X.device.type):
        raise TypeError(f"X must have the dtype of the weights, {weight.dtype}, got {X.dtype}.")


def _image_shape(input_shape: Sequence[int], least: int = 1) -> tuple[int, int, int]:
    """Return channels, height and width; refuse what is no shape of an image."""
    shape = check_sizes("input_shape", input_shape)
    if len(shape) != 3 or min(shape[1:]) < least:
        raise ValueError(
            f"input_shape must be (n_channels, height, width) with at least {least} pixels each way, got "
            f"{shape}."
        )
    return shape[0], shape[1], shape[2]


class _MaxPool(nn.Module):
    """Maximum of each 2 × 2 square.

    Without a graph it is taken by whole slices: on a CPU several times faster than torch's pooling, which
    otherwise is most of the price of a forward pass of LeNet.
    """

    def forward(self, X: Tensor) -> Tensor:
        if torch.is_grad_enabled() or X.device.type != "cpu":
            return F.max_pool2d(X, 2)
        X = X[..., : X.shape[-2] // 2 * 2, : X.shape[-1] // 2 * 2]
        rows = torch.maximum(X[..., ::2, :], X[..., 1::2, :])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


class ResNet8(nn.Module):
    """Residual network of eight layers: three stages of one block, each twice as wide as the one before.

    Parameters
    ----------
    input_shape : tuple of int, default=(3, 32, 32)
        Channels, height and width. Flat rows are reshaped to it.
    output_dim : int, default=10
        Number of classes, or of regression targets.
    width : int, default=16
        Channels of the first stage.

    References
    ----------
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", arXiv:1512.03385
    (section 4.2, with n = 1 and a projection where the width changes).
    """

    def __init__(self, input_shape: Sequence[int] = (3, 32, 32), output_dim: int = 10, width: int = 16):
        super().__init__()
        check_positive_int("output_dim", output_dim, most=LARGEST_WIDTH)
        check_positive_int("width", width, most=LARGEST_WIDTH // 4)
        self.input_shape, width = _image_shape(input_shape), int(width)
        self.stem = nn.Sequential(
            nn.Conv2d(self.input_shape[0], width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages = ((width, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2))
        self.stages = nn.Sequential(*(_Block(*stage) for stage in stages))
        self.head = nn.Linear(4 * width, output_dim)

    def forward(self, X: Tensor) -> Tensor:
        """Map images (n, c, h, w) or flat rows to outputs (n, output_dim)."""
        _check_rows(X, math.prod(self.input_shape), next(self.parameters(), None))
        features = self.stages(self.stem(X.reshape(-1, *self.input_shape)))
        return self.head(features.mean(dim=(2, 3)))


class _Block(nn.Module):
    """Two 3 × 3 convolutions with batch normalisation, added to their input."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out or stride != 1:
            self.shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)

    def forward(self, X: Tensor) -> Tensor:
        return torch.relu(self.body(X) + self.shortcut(X))


class UNet(nn.Module):
    """U-Net for maps: an output for each pixel of an image, or each voxel of a volume.

    On the way down, blocks of two 3 × 3 convolutions and a pooling that halves the sides; on the way up,
    what was pooled is enlarged again and joined with the block of the same size. The last layer, `head`, is
    a 1 × 1 convolution: linear in the features of each pixel.

    Parameters
    ----------
    input_shape : tuple of int, default=(1, 32, 32)
        Channels, height and width, or channels, depth, height and width of a volume; sides of at least 4.
        Flat rows are reshaped to it.
    output_dim : int, default=2
        Number of classes, or of values, at each pixel.
    width : int, default=16
        Channels of the first block; each halving doubles them.
    depth : int, default=None
        How often the sides are halved; None: up to 3 times, as long as the smallest is at least 4 after it.

    Notes
    -----
    Normalisation is over the batch and all its pixels, at least 16 a channel, so that even a batch of one
    row has a mean and a variance. Group normalisation [3]_, which needs no batch, learned less from few
    labels in few steps: after 150 steps of 16 rows on 100 labelled tiles of `load_scratch_assay` with both
    channels, mean IoU was 0.70 with the batch and at best 0.61 with groups (of two channels), over two
    seeds and two learning rates.

    Sides that are no multiple of 2 are rounded down by pooling; on the way up everything takes the size of
    the block that it joins, so the output has the size of the input.

    References
    ----------
    .. [1] O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for biomedical image
       segmentation", arXiv:1505.04597. Here the convolutions are padded, and enlarging is interpolation.
    .. [2] Ö. Çiçek et al., "3D U-Net: learning dense volumetric segmentation from sparse annotation",
       arXiv:1606.06650.
    .. [3] Y. Wu and K. He, "Group normalization", arXiv:1803.08494.

    Examples
    --------
    >>> import torch
    >>> from skalss.nets import UNet
    >>> UNet((3, 40, 30), output_dim=4)(torch.zeros(2, 3, 40, 30)).shape
    torch.Size([2, 4, 40, 30])
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (1, 32, 32),
        output_dim: int = 2,
        width: int = 16,
        depth: int | None = None,
    ):
        super().__init__()
        check_positive_int("output_dim", output_dim, most=LARGEST_WIDTH)
        self.input_shape = channels, *sides = _map_shape(input_shape)
        deepest = int(math.log2(min(sides) // 4))
        if depth is None:
            depth = min(3, deepest)
        check_count("depth", depth)
        if depth > deepest:
            raise ValueError(
                f"depth must be at most {deepest} for sides of {tuple(sides)}, got {show(depth)}: each "
                "halving leaves sides of at least 4. Leave it None, or pass larger images."
            )
        check_positive_int("width", width, most=LARGEST_WIDTH // 2**depth)
        widths = [int(width) * 2**level for level in range(int(depth) + 1)]
        n_dims = len(sides)
        self.pool: nn.Module = _MaxPool() if n_dims == 2 else nn.MaxPool3d(2)
        self.down = nn.ModuleList(_double_conv(n_dims, *pair) for pair in pairwise((channels, *widths)))
        self.up = nn.ModuleList(
            _double_conv(n_dims, low + high, high) for high, low in reversed(list(pairwise(widths)))
        )
        self.head = _CONV[n_dims](widths[0], output_dim, 1)

    def forward(self, X: Tensor) -> Tensor:
        """Map images (n, c, h, w), volumes (n, c, d, h, w) or flat rows to outputs (n, output_dim, ...)."""
        _check_rows(X, math.prod(self.input_shape), next(self.parameters(), None))
        first, *others = self.down
        levels = [first(X.reshape(-1, *self.input_shape))]
        for block in others:
            levels.append(block(self.pool(levels[-1])))
        features = levels.pop()
        for block in self.up:
            same_size = levels.pop()
            enlarged = F.interpolate(features, same_size.shape[2:], mode="nearest")
            features = block(torch.cat([enlarged, same_size], dim=1))
        return self.head(features)


_CONV: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}


def _map_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return channels and two or three sides; refuse what is no shape of an image or a volume."""
    shape = check_sizes("input_shape", input_shape)
    if len(shape) not in (3, 4) or min(shape[1:]) < 4:
        raise ValueError(
            "input_shape must be (n_channels, height, width) or (n_channels, depth, height, width) with at "
            f"least 4 pixels each way, got {shape}."
        )
    return shape


def _double_conv(n_dims: int, channels_in: int, channels_out: int) -> nn.Sequential:
    """Two 3 × 3 (× 3) convolutions with batch normalisation."""
    norm = nn.BatchNorm2d if n_dims == 2 else nn.BatchNorm3d
    layers: list[nn.Module] = []
    for channels in (channels_in, channels_out):
        conv = _CONV[n_dims](channels, channels_out, 3, padding=1, bias=False)
        layers += [conv, norm(channels_out), nn.ReLU()]
    return nn.Sequential(*layers)


def net_classifier(module: Callable[..., nn.Module] = MLP, **params: Any) -> NeuralNetClassifier:
    """Build a skorch classifier with settings that suit few labels.

    Cross entropy on logits, Adam, and enough short epochs to converge on a few hundred rows.

    Parameters
    ----------
    module : module class or factory, default=MLP
        Must return logits.
    **params
        Any parameter of skorch's NeuralNetClassifier; overrules the settings made here.

    Returns
    -------
    net : NeuralNetClassifier
        Not fitted.

    Notes
    -----
    Images take longer trainings, with SGD (Nesterov momentum, weight decay), `skalss.schedules.CosineLR` and
    ``TaskNet(net, augment=skalss.augment.ImageAugment())``; the user guide has settings ("Train well before
    you choose").

    Examples
    --------
    >>> from skalss.nets import LeNet, net_classifier
    >>> net_classifier(LeNet, max_epochs=20).max_epochs
    20
    """
    check_callable("module", module, classes=True)
    return NeuralNetClassifier(module, **{"criterion": nn.CrossEntropyLoss, **_few_labels(params), **params})


def net_regressor(module: Callable[..., nn.Module] = MLP, **params: Any) -> NeuralNetRegressor:
    """Build a skorch regressor with settings that suit few labels.

    Mean squared error, Adam, and enough short epochs to converge on a few hundred rows.

    Parameters
    ----------
    module : module class or factory, default=MLP
        Must return one value a row, shape (n, 1).
    **params
        Any parameter of skorch's NeuralNetRegressor; overrules the settings made here.

    Returns
    -------
    net : NeuralNetRegressor
        Not fitted.
    """
    check_callable("module", module, classes=True)
    return NeuralNetRegressor(module, **{**_few_labels(params), **params})


def _few_labels(params: Mapping[str, Any]) -> dict[str, Any]:
    optimizer = params.get("optimizer", torch.optim.Adam)
    given = {name.removeprefix("optimizer__") for name in params if name.startswith("optimizer__")}
    fused = {"optimizer__fused": True} if can_fuse(optimizer, given) else {}
    return {
        "optimizer": optimizer,
        **fused,
        "lr": 2e-3,
        "batch_size": 32,
        "max_epochs": 60,
        "train_split": None,
        "verbose": 0,
    }


def can_fuse(optimizer: Callable[..., Any], given: Collection[str] = ()) -> bool:
    """Whether an optimizer takes ``fused=True``, beside arguments that are given by name."""
    given = {*given, *getattr(optimizer, "keywords", ())}  # those of a functools.partial
    if given & {"fused", "foreach", "differentiable"}:  # torch allows one of them
        return False
    try:
        return "fused" in inspect.signature(optimizer).parameters
    except (TypeError, ValueError):
        return False


def sized_module(module: Callable[..., nn.Module], row_shape: Sequence[int]) -> nn.Module:
    """Build a module for rows of a shape, as `TaskNet` does.

    Parameters
    ----------
    module : module class, factory or nn.Module
        Gets `input_dim` and `input_shape` where it takes them by name; an instance is copied.
    row_shape : sequence of int

    Returns
    -------
    module : nn.Module
    """
    if isinstance(module, nn.Module):
        return copy.deepcopy(module)
    sizes = {"input_dim": math.prod(row_shape), "input_shape": tuple(row_shape)}
    given = getattr(module, "keywords", {})  # of a functools.partial
    try:
        taken = inspect.signature(module).parameters
    except (TypeError, ValueError):
        return module()
    return module(**{name: size for name, size in sizes.items() if name in taken and name not in given})
