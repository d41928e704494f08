"""What TaskNet does to a skorch net: settings that suit few labels, the module's dimensions, a dry run."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from skorch import NeuralNet, NeuralNetBinaryClassifier
from skorch.dataset import Dataset, ValidSplit
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..nets import can_fuse
from ..targets import BaseTarget, Classes, Labels
from ..utils.seeds import drawing_own, seeded
from ..utils.tensors import as_tensor
from .loader import TensorLoader

FORWARD_ROWS = 256  # rows a forward pass takes; larger batches leave the processor's cache


def check_net(estimator: BaseEstimator) -> None:
    """Refuse what is not a skorch net that says which task it serves.

    Raises
    ------
    TypeError
        With what was got, and how to make one.
    """
    task = get_tags(estimator).estimator_type if isinstance(estimator, NeuralNet) else None
    if task not in ("classifier", "regressor"):
        got = estimator.__name__ if isinstance(estimator, type) else type(estimator).__name__
        raise TypeError(
            f"estimator must be a skorch NeuralNetClassifier, NeuralNetBinaryClassifier or "
            f"NeuralNetRegressor, or a TaskNet around one, got {got}. Make one of a torch module with "
            "skalss.nets.net_classifier(module) or net_regressor(module)."
        )


def is_binary(net: NeuralNet) -> bool:
    """Whether a net tells two classes apart by a single output."""
    return isinstance(net, NeuralNetBinaryClassifier)


def prepare_net(
    estimator: NeuralNet, row_shape: tuple[int, ...], target: BaseTarget, device: torch.device
) -> NeuralNet:
    """Return a clone of the net, fitted to the data and not yet initialised.

    Parameters
    ----------
    estimator : skorch net
    row_shape : tuple of int
        Shape of one row.
    target : BaseTarget
        Fitted.
    device : torch.device

    Returns
    -------
    net : skorch net
    """
    net = _without_fused(clone(estimator))
    net.set_params(verbose=0, device=str(device))
    if net.callbacks != "disable" and not any("print_log" in name for name in net.get_params(deep=False)):
        net.set_params(callbacks__print_log=None)  # it builds its table every epoch, printed or not
    if _has_default_split(net) and not _monitors_validation(net):
        net.set_params(train_split=None)
    _use_tensor_loader(net)
    n_outputs = 1 if is_binary(net) else target.n_outputs
    if target.has_probabilities and not is_binary(net) and net.classes is None:
        net.set_params(classes=np.arange(n_outputs))
    _suit_kind(net, target)
    _set_dimensions(net, input_dim=math.prod(row_shape), input_shape=row_shape, output_dim=n_outputs)
    return net


def _suit_kind(net: NeuralNet, target: BaseTarget) -> None:
    """Set what skorch's defaults, for one class a row, do not fit: loss, probabilities, accuracy of epochs.

    Raises
    ------
    ValueError
        If the criterion is for one class a row, and none that could be meant stands for it.
    """
    if isinstance(target, Labels):
        if net.criterion is nn.CrossEntropyLoss:
            net.set_params(criterion=nn.BCEWithLogitsLoss)
        elif net.criterion is nn.NLLLoss or is_binary(net):
            raise ValueError(
                f"With several labels a row each output stands by itself, and {type(net).__name__} has the "
                f"criterion {net.criterion.__name__}. Pass a NeuralNetClassifier with "
                "criterion=torch.nn.BCEWithLogitsLoss and a module that returns logits, as "
                "net_classifier does."
            )
    if target.is_map and is_binary(net):
        raise ValueError(
            "A mask needs a channel for each class, two at least, and a NeuralNetBinaryClassifier has one. "
            "Pass a NeuralNetClassifier, as net_classifier makes."
        )
    criterion = made_criterion(net)
    nonlinearity = target.nonlinearity(criterion)
    if nonlinearity is not None and isinstance(net.predict_nonlinearity, str):
        net.set_params(predict_nonlinearity=nonlinearity)
    if net.callbacks != "disable" and not isinstance(target, Classes) and target.has_probabilities:
        net.set_params(callbacks__valid_acc=None)  # scikit-learn's accuracy knows no masks


def made_criterion(net: NeuralNet) -> nn.Module:
    """Return the criterion as a net that is not initialised would make it."""
    given: Any = net.criterion
    return given if isinstance(given, nn.Module) else given(**net.get_params_for("criterion"))


def trains_each_output(net: NeuralNet) -> bool:
    """Whether a classifier is trained as one that tells of each class by itself whether it holds."""
    return not is_binary(net) and net.criterion in (nn.BCEWithLogitsLoss, nn.BCELoss)


def tried_output(net: NeuralNet, row_shape: tuple[int, ...]) -> tuple[tuple[int, ...] | None, bool]:
    """Return the shape of a module's output for a row, and whether its width was given.

    None where the module cannot be tried; a module instance is not.
    """
    given = net.get_params(deep=False)
    width_given = "module__output_dim" in given
    if isinstance(net.module, nn.Module) or not callable(net.module):
        return None, False
    try:
        trial = clone(net)
        width_given |= "output_dim" not in inspect.signature(net.module).parameters
        _set_dimensions(trial, input_dim=math.prod(row_shape), input_shape=row_shape, output_dim=2)
        with seeded(0, torch.device("cpu")), drawing_own(), torch.no_grad():
            module = made_module(trial).float().eval()
            return tuple(first_output(module(torch.zeros(2, *row_shape))).shape[1:]), width_given
    except Exception:  # whatever a module of the user raises, the dry run says it with more to go on
        return None, False


def _without_fused(net: NeuralNet) -> NeuralNet:
    """Return the net without ``fused``, which `nets` set for Adam, where it got another optimizer since."""
    params = net.get_params(deep=False)
    if "optimizer__fused" not in params or can_fuse(net.optimizer):
        return net
    return type(net)(**{name: value for name, value in params.items() if name != "optimizer__fused"})


def _set_dimensions(net: NeuralNet, **dimensions: Any) -> None:
    """Tell the module what its signature asks for and the user has not set."""
    if isinstance(net.module, nn.Module) or not callable(net.module):
        return  # an instance keeps its weights and its shape; a net may make its modules by itself
    accepted, given = inspect.signature(net.module).parameters, net.get_params(deep=False)
    free = [name for name in dimensions if name in accepted and f"module__{name}" not in given]
    net.set_params(**{f"module__{name}": dimensions[name] for name in free})


def _has_default_split(net: NeuralNet) -> bool:
    signatures = (inspect.signature(cls).parameters for cls in type(net).__mro__ if cls is not object)
    default = next((names["train_split"] for names in signatures if "train_split" in names), None)
    default_split = ValidSplit(5) if default is None else default.default
    split = net.train_split
    return isinstance(split, ValidSplit) and vars(split) == vars(default_split)


def _monitors_validation(net: NeuralNet) -> bool:
    """Whether a callback, such as early stopping, needs held-out rows."""
    if not isinstance(net.callbacks, list | tuple):
        return False
    callbacks = [c[1] if isinstance(c, tuple) else c for c in net.callbacks]
    return any("valid" in str(_monitor(callback)) for callback in callbacks)


def _monitor(callback: Any) -> Any:
    if isinstance(callback, type):  # skorch makes an object of it later
        parameter = inspect.signature(callback).parameters.get("monitor")
        return "" if parameter is None else parameter.default
    return getattr(callback, "monitor", "")


def _use_tensor_loader(net: NeuralNet) -> None:
    """Slice tensors and shuffle, unless the net has a data set or loader of its own."""
    if net.dataset is not Dataset:
        return
    given = net.get_params(deep=False)
    for role, defaults in (
        ("iterator_train", {"shuffle": True}),
        ("iterator_valid", {"batch_size": max(net.batch_size, FORWARD_ROWS)}),
    ):
        chosen = {name.removeprefix(f"{role}__") for name in given if name.startswith(f"{role}__")}
        if given[role] is DataLoader and chosen <= {"shuffle", "drop_last", "batch_size", "sampler"}:
            net.set_params(**{role: TensorLoader})
        if chosen & {"sampler", "batch_sampler"}:  # it has an order of its own
            defaults = {"batch_size": 1} if "batch_sampler" in chosen else {}  # as torch wants it
        net.set_params(**{f"{role}__{k}": v for k, v in defaults.items() if k not in chosen})


def made_module(net: NeuralNet) -> nn.Module:
    """Return the module as a net that is not initialised would make it; an instance as it is."""
    return net.module if isinstance(net.module, nn.Module) else net.module(**net.get_params_for("module"))


def plain_module(net: NeuralNet) -> nn.Module:
    """Return the module itself, not what was compiled of it: hooks do not fire in there.

    Of a net with several modules, or with one of another name, a ``ModuleDict`` of all; `net.infer` runs it.
    """
    parts = {f"{name}_": plain(getattr(net, f"{name}_")) for name in net._modules}
    if len(parts) < 2 and "module_" in vars(net):
        return plain(net.module_)
    whole = nn.ModuleDict(parts)
    whole.training = any(part.training for part in parts.values())
    return whole


def run_plain(net: NeuralNet, rows: Tensor) -> Any:
    """Run the net's module on rows, as it was written; several are run by `net.infer`."""
    module = plain_module(net)
    if not isinstance(module, nn.ModuleDict):
        return module(rows)
    with uncompiled(net):
        return net.infer(rows)


def plain(module: nn.Module) -> nn.Module:
    """Return what a compiled module was compiled of; any other as it is."""
    return getattr(module, "_orig_mod", module)


@contextmanager
def uncompiled(net: NeuralNet) -> Iterator[None]:
    """Let a net run its modules as they were written: another mode and size would compile them anew."""
    compiled = {f"{name}_": getattr(net, f"{name}_") for name in net._modules}
    vars(net).update({name: plain(module) for name, module in compiled.items()})
    try:
        yield
    finally:
        vars(net).update(compiled)


def first_output(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Return the output that skorch trains on, of a module that returns several."""
    return output[0] if isinstance(output, tuple) else output


def positive_probability(net: NeuralNet, output: Tensor) -> Tensor:
    """Return the probability of the second class from the output of a binary net, logits or not."""
    return output.sigmoid() if isinstance(net.criterion_, nn.BCEWithLogitsLoss) else output


def gives_probabilities(net: NeuralNet) -> bool:
    """Whether the module's output is taken for probabilities; logits otherwise."""
    return isinstance(net.criterion_, nn.NLLLoss | nn.BCELoss)


def check_output(net: NeuralNet, output: Tensor, target: BaseTarget) -> None:
    """Refuse an output that does not fit the target.

    Raises
    ------
    ValueError
        With the shape of the output and the shape needed.
    """
    width = output.shape[1] if output.ndim == 2 else 1
    fault = target.output_fault(tuple(output.shape[1:]))
    if is_binary(net):
        if target.n_classes > 2:
            raise ValueError(
                f"Only binary classification is supported. The type of the target is multiclass: "
                f"NeuralNetBinaryClassifier serves 2 classes, got {target.n_classes}. Use "
                "NeuralNetClassifier."
            )
        fault = None if width == 1 else "a binary classifier needs width 1"
    if fault:
        raise ValueError(
            f"The module's output has shape {('n', *output.shape[1:])}, but {fault}. Set the width of its "
            "last layer, or let the module take output_dim, which TaskNet fills in."
        )
    if isinstance(net.criterion_, nn.NLLLoss) and bool((output < 0).any()):
        raise ValueError(
            "skorch's default criterion NLLLoss takes probabilities, but the module returns negative values, "
            "as logits are. Pass criterion=torch.nn.CrossEntropyLoss to the net, or end the module with a "
            "softmax."
        )


def encoded_as(
    net: NeuralNet, encoded: np.ndarray, output_shape: tuple[int, ...], device: torch.device
) -> Tensor:
    """Return encoded labels as the net's loss takes them.

    Parameters
    ----------
    net : skorch net
    encoded : array of shape (n_samples, ...)
        From ``BaseTarget.encode``.
    output_shape : tuple of int
        Of the module's output for one row.
    device : torch.device

    Returns
    -------
    y : tensor
        Class numbers (n,), as floats for a binary net; values in the shape of the output.
    """
    y = as_tensor(encoded, device)
    if y.is_floating_point():
        return y.reshape(-1, *output_shape)
    if y.ndim > 1 and bool((y < 0).any()):  # pixels that nobody labelled
        ignored = getattr(plain(net.criterion_), "ignore_index", None)
        if ignored is None:
            raise ValueError(
                f"y has pixels that nobody labelled, and the criterion "
                f"{type(plain(net.criterion_)).__name__} has "
                "no ignore_index for them. Use torch.nn.CrossEntropyLoss, or label every pixel."
            )
        y = torch.where(y < 0, ignored, y)
    return y.float() if is_binary(net) else y.long()


def leave_out_missing(criterion: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Take values that are NaN out of what a criterion compares, as a hook before it."""
    if len(args) != 2 or not (isinstance(args[1], Tensor) and args[1].is_floating_point()):
        return None
    known = ~torch.isnan(args[1])
    if bool(known.all()) or args[0].shape != known.shape:
        return None
    return args[0][known], args[1][known]


def probabilities(net: NeuralNet, output: Tensor) -> Tensor:
    """Return what the net predicts from its output, differentiably: probabilities, two for a binary net.

    Values pass as they are.
    """
    if is_binary(net):
        positive = positive_probability(net, output).reshape(-1, 1)
        return torch.hstack([1 - positive, positive])
    return net._get_predict_nonlinearity()(output)


def decisions(net: NeuralNet, P: np.ndarray) -> np.ndarray:
    """Return scores of which the highest is decided for; for a binary net that goes by its threshold."""
    if not is_binary(net):
        return P
    positive = P[:, 1:] > net.threshold
    return np.hstack([~positive, positive])
