"""Sketched gradients: how each row would move all weights of a network, in a few hundred numbers.

Of a layer with inputs x and signals s (the gradient of the output with respect to what the layer returns) the
gradient with respect to its weights is the sum of the outer products of s and x over the positions where the
layer runs, such as the pixels of an image; biases have an input that is always 1. The sketch of an outer
product is (x · R1) ⊙ (s · R2), where R1 and R2 are drawn at random: its inner products are those of the
gradients in the mean over draws. Here R1 and R2 are count sketches in the frequency domain (TensorSketch),
which a fast Fourier transform multiplies by in a fraction of the time that Gaussian ones take. Where the
gradient of a layer is small, it is summed up over positions as it is, and count-sketched. Each layer has
draws of its own, so the sum of the sketches of all layers is a sketch of all gradients.

An output of several numbers is multiplied by random signs v first, the same for all rows: with the Jacobians
J and J' of two rows, the mean of the product of vᵀ J and vᵀ J' over signs is the sum of the inner products of
the gradients of each number, since the mean of v vᵀ is the identity. So that is unbiased, too; but there is
one v for all components, and its deviation does not fall as these become more.

References
----------
Holzmüller et al., "A framework and benchmark for deep batch active learning for regression",
arXiv:2203.09410: sketched gradients. Pham and Pagh, "Fast and scalable polynomial kernels via explicit
feature maps", KDD 2013: TensorSketch.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.nn import functional as F

from ..utils.tensors import as_numpy
from .skorch_net import first_output, plain_module, run_plain

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Per number of a sketch: weights of a layer up to which its gradient is formed, where it runs once on a row,
# and where it runs at many positions, whose sketches would have to be added.
_FORMED, _FORMED_OF_MANY = 1, 40
_VALUES = 2**21  # numbers to work on at a time: 8 MiB, so that they stay in the processor's cache
_TRIED = 3  # rows that tell how layers see rows


class _Call(NamedTuple):
    """One run of a layer: what went in, and the zeros that were added to what came out."""

    name: str
    layer: nn.Module
    inputs: Tensor
    probe: Tensor


def sketch_gradients(net: NeuralNet, batches: Iterable[Tensor], n_components: int, seed: int) -> np.ndarray:
    """Return sketches of the gradients of a net's output with respect to the weights of its layers.

    The layers are the linear ones and the convolutions that are trained. One that sees rows in an order that
    is not understood is left out. Parameters, their ``grad`` and the mode of the net stay as they are.

    Parameters
    ----------
    net : skorch net
        Initialised.
    batches : iterable of tensors
        Rows as the module takes them; one at least.
    n_components : int
        Numbers of a sketch.
    seed : int
        Of what is drawn: with the same, sketches of several calls can be compared.

    Returns
    -------
    sketches : float32 array of shape (n_rows, n_components)

    Raises
    ------
    ValueError
        If the module runs no such layer.
    """
    batches = iter(batches)
    first = next(batches)
    with _evaluating(plain_module(net)):
        layouts = _layouts(net, first)
        if not layouts:
            raise ValueError(
                f"{type(plain_module(net)).__name__} trains no nn.Linear and no convolution whose gradients "
                "can be taken row by row. Take the features or the codes of rows instead."
            )
        # Layers are numbered in the order of the module: those that a batch leaves out change no draws.
        numbers = {name: i for i, (name, _) in enumerate(plain_module(net).named_modules())}
        draws = _Draws(n_components, seed)
        found = [_sketched(net, rows, layouts, numbers, draws) for rows in chain([first], batches)]
    return np.concatenate(found)


def can_sketch(net: NeuralNet, rows: Tensor) -> bool:
    """Whether `sketch_gradients` works, tried on a few rows as the module takes them."""
    try:
        with _evaluating(plain_module(net)):
            return bool(_layouts(net, rows))
    except Exception:  # of the user's module: such as operations without a derivative
        return False


# -- running the net ------------------------------------------------------------------------------


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into eval mode for a while."""
    training = [part for part in module.modules() if part.training]
    if training:
        module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def _recording(module: nn.Module) -> Iterator[list[_Call]]:
    """Record the runs of the layers in this thread: others may use the module at the same time.

    Zeros are added to what a layer returns. The gradient with respect to them is the signal, whatever is done
    to the sum in place, and no gradient of a parameter is ever computed.
    """
    here, calls = threading.get_ident(), list[_Call]()

    def hook_of(name: str) -> Callable[..., Tensor | None]:
        # Keywords are left out: torch would look them up once more while another thread takes its hook away.
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            if threading.get_ident() != here or not inputs:
                return None
            probe = torch.zeros_like(output, requires_grad=True)
            calls.append(_Call(name, layer, inputs[0].detach(), probe))
            return output + probe

        return hook

    with ExitStack() as stack:
        for name, layer in module.named_modules():
            if isinstance(layer, _LAYERS) and layer.weight.requires_grad:
                stack.callback(layer.register_forward_hook(hook_of(name)).remove)
        yield calls


def _signals(
    net: NeuralNet, rows: Tensor, total: Callable[[Tensor], Tensor]
) -> list[tuple[_Call, Tensor | None]]:
    """Run the net forwards and backwards; return the runs of its layers with their signals, None without."""
    with torch.enable_grad(), _recording(plain_module(net)) as calls:
        value = total(first_output(run_plain(net, rows)))
        if not calls or not value.requires_grad:
            return []
        found = torch.autograd.grad(value, [call.probe for call in calls], allow_unused=True)
    return list(zip(calls, found, strict=True))


def _layouts(net: NeuralNet, rows: Tensor) -> dict[str, list[str]]:
    """Tell for each layer, and each of its runs, where the rows of a batch are in what it sees.

    A module may see a row many times: the words of a text, or an image turned. Only the output of the second
    of three rows is differentiated, and signals that are not 0 show where in the layer that row is.

    Returns
    -------
    layouts : dict of lists of {"blocks", "strides", "columns"}
        Parts of a row stand next to each other, or a whole batch of first parts comes first, or rows are
        along the second axis. Layers that see rows otherwise are missing.
    """
    few = rows[torch.arange(_TRIED, device=rows.device) % len(rows)]
    layouts: dict[str, list[str]] = {}
    unclear = set()
    for call, signal in _signals(net, few, lambda output: output[1].float().sum()):
        layout = None if signal is None else _layout(call.layer, signal)
        if layout is None:
            unclear.add(call.name)
        layouts.setdefault(call.name, []).append(layout or "")
    return {name: found for name, found in layouts.items() if name not in unclear}


def _layout(layer: nn.Module, signal: Tensor) -> str | None:
    if not isinstance(layer, nn.Linear) and signal.ndim != len(layer.kernel_size) + 2:  # type: ignore[arg-type]
        return None  # an image without a batch around it
    n_parts, rest = divmod(len(signal), _TRIED)
    if signal.ndim >= 2 and not rest:
        seen = (signal != 0).flatten(1).any(dim=1).nonzero().flatten()
        blocks, strides = bool((seen // n_parts == 1).all()), bool((seen % _TRIED == 1).all())
        if n_parts == 1 and blocks:
            return "blocks"
        if n_parts > 1 and blocks != strides:
            return "blocks" if blocks else "strides"
    if isinstance(layer, nn.Linear) and signal.ndim >= 3 and signal.shape[1] == _TRIED:
        seen = (signal != 0).transpose(0, 1).flatten(1).any(dim=1).nonzero().flatten()
        return "columns" if bool((seen == 1).all()) and len(seen) else None
    return None


# -- sketching ------------------------------------------------------------------------------------


_ROLES = ("output", "weight", "bias", "inputs", "signals")


class _Draws:
    """What is drawn at random: for the number of a layer, always the same."""

    def __init__(self, n_components: int, seed: int):
        self.n_components, self._seed = n_components, seed
        self._hashes: dict[tuple[int, str, int], _Hash] = {}

    def hash(self, number: int, role: str, width: int, device: torch.device) -> _Hash:
        """Return the count sketch of `width` columns."""
        key = number, role, width
        if key not in self._hashes:
            self._hashes[key] = _Hash(width, self.n_components, self._generator(number, role), device)
        return self._hashes[key]

    def signs(self, width: int, device: torch.device) -> Tensor:
        """Return the signs that the numbers of an output are added up with; one stays as it is."""
        if width == 1:
            return torch.ones(1, device=device)
        return _signs(width, self._generator(0, "output")).to(device)

    def _generator(self, number: int, role: str) -> np.random.RandomState:
        return np.random.RandomState([self._seed, number, _ROLES.index(role)])


class _Hash:
    """A count sketch: columns get random signs and are dealt out to bins, evenly; bins are added up."""

    def __init__(self, width: int, n_bins: int, random_state: np.random.RandomState, device: torch.device):
        self.n_bins = n_bins
        bins = random_state.permutation(math.ceil(width / n_bins) * n_bins)[:width] % n_bins
        self._bins = torch.from_numpy(bins).to(device)
        self._signs = _signs(width, random_state).to(device)

    def __call__(self, values: Tensor) -> Tensor:
        """Sketch rows: (n, width) to (n, n_bins); where the last column is missing, it is 1."""
        given = values.shape[1]
        found = values.new_zeros(len(values), self.n_bins)
        found.index_add_(1, self._bins[:given], values * self._signs[:given])
        if given < len(self._bins):
            found[:, self._bins[-1]] += self._signs[-1]
        return found


def _signs(n: int, random_state: np.random.RandomState) -> Tensor:
    return torch.from_numpy(random_state.choice(np.array([-1, 1], dtype=np.float32), n))


def _sketched(
    net: NeuralNet, rows: Tensor, layouts: dict[str, list[str]], numbers: dict[str, int], draws: _Draws
) -> np.ndarray:
    """Return the sketches of a batch."""

    def total(output: Tensor) -> Tensor:
        flat = output.reshape(len(rows), -1).float()
        return (flat @ draws.signs(flat.shape[1], flat.device)).sum()

    plain = torch.zeros(len(rows), draws.n_components, device=rows.device)
    spectrum: Tensor | None = None
    times = dict.fromkeys(layouts, 0)
    for call, signal in _signals(net, rows, total):
        if call.name not in layouts or times[call.name] >= len(layouts[call.name]):
            continue
        layout = layouts[call.name][times[call.name]]
        times[call.name] += 1
        if signal is None:
            continue
        inputs, signal = (_by_row(part.float(), len(rows), layout) for part in (call.inputs, signal))
        formed, product = _sketch_layer(call.layer, inputs, signal, numbers[call.name], draws)
        if formed is not None:
            plain += formed
        if product is not None:
            spectrum = product if spectrum is None else spectrum.add_(product)
    if spectrum is not None:
        plain += torch.fft.irfft(spectrum, draws.n_components)
    return as_numpy(plain)


def _by_row(values: Tensor, n_rows: int, layout: str) -> Tensor:
    """Return what a layer saw as (n_rows, n_parts, ...)."""
    if layout == "columns":
        return values.transpose(0, 1)
    if layout == "strides":
        return values.view(-1, n_rows, *values.shape[1:]).transpose(0, 1)
    return values.reshape(n_rows, -1, *values.shape[1:])


def _sketch_layer(
    layer: Any, inputs: Tensor, signals: Tensor, number: int, draws: _Draws
) -> tuple[Tensor | None, Tensor | None]:
    """Return the sketch of a layer's gradient: a part as it is, and a part in the frequency domain."""
    linear, m = isinstance(layer, nn.Linear), draws.n_components
    n_groups = 1 if linear else layer.groups
    n_out = (layer.out_features if linear else layer.out_channels) // n_groups
    n_in, biased = layer.weight[0].numel(), layer.bias is not None
    n_positions = signals[0].numel() // (n_out * n_groups)
    form = n_groups > 1 or n_out * n_in <= m * (_FORMED_OF_MANY if n_positions > 1 else _FORMED)
    if form:
        size = (n_positions * (n_in + n_out) + 2 * inputs.shape[1] * n_in * n_out) * n_groups
    else:
        size = n_positions * (n_in + n_out + 4 * m)
    step, found = max(1, _VALUES // size), []
    for x, s in zip(inputs.split(step), signals.split(step), strict=True):
        n_rows = len(x)
        if linear:
            x, s = (part.reshape(n_rows, -1, part.shape[-1]).transpose(1, 2) for part in (x, s))
        else:
            x, s = _windows(layer, x.flatten(0, 1)), s.flatten(0, 1).flatten(2)
        # Now (n_runs, width, n_positions), where a row may have several runs.
        if form:
            x, s = (part.reshape(len(x) * n_groups, -1, part.shape[2]) for part in (x, s))
            # For a single position products are faster one by one.
            gradients = torch.bmm(s, x.mT) if n_positions > 1 else s * x.mT
            gradients = _summed(gradients.view(n_rows, -1, n_groups * n_out * n_in))
            found.append(draws.hash(number, "weight", gradients.shape[1], x.device)(gradients))
        else:
            of_x, of_s = (
                torch.fft.rfft(draws.hash(number, role, width, x.device)(part.mT.reshape(-1, part.shape[1])))
                for role, width, part in (("inputs", n_in + biased, x), ("signals", n_out, s))
            )
            found.append(_summed((of_x * of_s).view(n_rows, -1, m // 2 + 1)))
    sketch = found[0] if len(found) == 1 else torch.cat(found)
    if not form:
        return None, sketch
    if biased:
        sums = signals.movedim(-1 if linear else 2, 1).flatten(2)
        sums = sums[..., 0] if sums.shape[2] == 1 else sums.sum(dim=2)
        sketch = sketch + draws.hash(number, "bias", sums.shape[1], sums.device)(sums)
    return sketch, None


def _summed(values: Tensor) -> Tensor:
    """Add up the parts of each row: (n, n_parts, width) to (n, width)."""
    return values[:, 0] if values.shape[1] == 1 else values.sum(dim=1)


def _windows(layer: Any, images: Tensor) -> Tensor:
    """Return what a convolution sees at each position: (n, n_channels * n_places, n_positions)."""
    n_axes = len(layer.kernel_size)
    padding: list[int] = []
    for axis in reversed(range(n_axes)):
        if layer.padding == "same":
            both = layer.dilation[axis] * (layer.kernel_size[axis] - 1)
            padding += [both // 2, both - both // 2]
        else:
            padding += [0, 0] if layer.padding == "valid" else [layer.padding[axis]] * 2
    if any(padding):
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        images = F.pad(images, padding, mode)
    for axis, (size, step, gap) in enumerate(
        zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
    ):
        images = images.unfold(2 + axis, gap * (size - 1) + 1, step)[..., ::gap]
    places = range(2 + n_axes, 2 + 2 * n_axes)
    images = images.permute(0, 1, *places, *range(2, 2 + n_axes))
    return images.reshape(len(images), math.prod(images.shape[1 : 2 + n_axes]), -1)
