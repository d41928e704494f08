"""A fitted network as one torch module: scaling, module, and what a prediction is made of its output by."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn

from ..utils.scaling import Scaling


class ScaledModule(nn.Module):
    """Rows in the units of X in, predictions out; ``torch.export`` takes it.

    Parameters
    ----------
    scaling : Scaling
        Of the rows.
    module : nn.Module
        Copied, in evaluation mode.
    finish : callable
        Makes predictions of the module's output.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, scaling: Scaling, module: nn.Module, finish: Callable[[Tensor], Tensor]):
        super().__init__()
        self.register_buffer("shift", scaling.shift)
        self.register_buffer("scale", scaling.scale)
        self.unit_range, self.finish = scaling.unit_range, finish
        self.module = copy.deepcopy(module).requires_grad_(False)
        self.eval()

    def forward(self, rows: Tensor) -> Tensor:
        """Predict.

        Parameters
        ----------
        rows : tensor of shape (n_samples, ...)
            In the units and trailing shape of X, of any numeric dtype.

        Returns
        -------
        predictions : float tensor
            Probabilities (n_samples, n_classes) in the order of `classes_`, or values (n_samples,) in the
            units of y.
        """
        scaled = Scaling(self.shift, self.scale, self.unit_range)(rows)
        output = self.module(scaled)
        return self.finish(output[0] if isinstance(output, tuple) else output)
