"""Skorch nets that train on chosen rows of their training stream."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import torch
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import Tensor, nn

from ..network.loader import can_number, plain_loader
from ..network.skorch_net import plain_module
from ..targets import make_target
from ..utils.batchnorm import single_rows
from ..utils.checks import check_choice, check_flag, clone_checked, show
from ..utils.devices import resolve_dtype, warn_of_emulation
from ..utils.surroundings import usual_numerics
from .base import BaseSelector, Selection
from .batchnorm import recalibrate
from .hardest import HardestRows
from .negatives import HardNegatives
from .prune import PruneEasyRows
from .random import RandomRows
from .scoring import device_of, row_losses, seconds

SELECTORS = {
    "mms": HardestRows,
    "margin": lambda: HardestRows("margin"),
    "entropy": lambda: HardestRows("entropy"),
    "loss": lambda: HardestRows("loss"),
    "hard_negatives": HardNegatives,
    "random": RandomRows,
    "prune": PruneEasyRows,
}


def make_selector(selector: str | BaseSelector | None, **params: Any) -> BaseSelector | None:
    """Return a fresh selector with its parameters checked.

    Parameters
    ----------
    selector : str, BaseSelector or None
        A name of `SELECTORS`, or an object to clone. None: no selection.
    **params
        Overrule those of the object.

    Returns
    -------
    selector : BaseSelector or None

    Raises
    ------
    ValueError
        If the name is unknown, or a parameter is wrong.
    TypeError
        If it is something else.
    """
    if selector is None:
        return None  # a grid over selector=[None, "mms"] and its parameters is meant to work
    if isinstance(selector, str):
        check_choice("selector", selector, sorted(SELECTORS), also="an object, or None")
        made = SELECTORS[selector]()
    elif isinstance(selector, BaseSelector):
        made = clone_checked(selector)
    else:
        raise TypeError(
            f"selector must be one of {sorted(SELECTORS)}, an object such as HardestRows() or None, got "
            f"{show(selector)}."
        )
    made.set_params(**params).check()
    return made


class _Selective(NeuralNet):
    """What selection adds to any skorch net; the classes below say which."""

    prefixes_ = [*NeuralNet.prefixes_, "selector"]

    # What a net says before it was trained, or when `train_step` is called by hand.
    selector_: BaseSelector | None = None
    selection_: Selection | None = None
    epoch_ = 0
    seconds_recalibrating_ = 0.0  # at the end of the epoch at hand
    n_epochs_ = 1
    fit_params_: dict = {}

    def __init__(self, module, *args, selector="mms", dtype="float32", channels_last=False, **kwargs):
        super().__init__(module, *args, **kwargs)
        self.selector = selector
        self.dtype = dtype
        self.channels_last = channels_last

    # -- whatever the caller has set in torch -----------------------------------------------------

    @usual_numerics(keep_dtype=True)
    def fit(self, X, y=None, **fit_params):
        """Initialise and train. See `skorch.NeuralNet.fit`."""
        return super().fit(X, y, **fit_params)

    @usual_numerics(keep_dtype=True)
    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train on. See `skorch.NeuralNet.partial_fit`."""
        return super().partial_fit(X, y, classes=classes, **fit_params)

    @usual_numerics(keep_dtype=True)
    def predict_proba(self, X):
        """Return the module's output, with the nonlinearity of the criterion. See `skorch.NeuralNet`."""
        return super().predict_proba(X)

    # -- selection --------------------------------------------------------------------------------

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Train for some epochs with a fresh selector. See `skorch.NeuralNet.fit_loop`."""
        self.selector_ = make_selector(self.selector, **self.get_params_for("selector"))
        resolve_dtype(self.dtype, device_of(self))  # raises if it is unknown
        warn_of_emulation("dtype", self.dtype, device_of(self))
        if (
            self.selector_ is not None
            and self.selector_.needs_classes
            and not make_target(self).has_probabilities
        ):
            raise ValueError(
                f"selector={self.selector!r} needs classes, and a regressor has none. Use 'loss', 'random' "
                "or HardestRows(callable)."
            )
        self.selection_ = None
        self.epoch_ = 0
        self.n_epochs_ = self.max_epochs if epochs is None else epochs
        try:
            with nullcontext() if self.selector_ is None else single_rows(plain_module(self)):
                return super().fit_loop(X, y, epochs=epochs, **fit_params)
        finally:
            self.fit_params_ = {}
            self.selection_ = None  # its pool would be pickled with the net
            if self.selector_ is not None:
                self.selector_.end_training()

    def on_epoch_begin(self, net, **kwargs):
        """Count the epochs of this training. See `skorch.NeuralNet.on_epoch_begin`."""
        super().on_epoch_begin(net, **kwargs)
        self.epoch_ += 1

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Filter the training iterator. See `skorch.NeuralNet.run_single_epoch`."""
        selector = self.selector_ if training and iterator is not None else None
        self.fit_params_ = fit_params
        if selector is None:
            return super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
        if self.epoch_ == 1:
            if selector.needs_ids and not can_number(iterator):
                raise TypeError(
                    f"{type(selector).__name__} must know rows again, but iterator_train="
                    f"{self.iterator_train!r} over {type(getattr(iterator, 'dataset', None)).__name__} "
                    "cannot tell their positions. Use a DataLoader that keeps the order, over a data set "
                    "with a length, or a selector such as 'mms'."
                )
            selector.start_training(self)
        chosen = selector.select(self, iterator, **fit_params)
        super().run_single_epoch(chosen, training, prefix, step_fn, **fit_params)
        began = seconds(device_of(self))
        if selector.biased:
            recalibrate(self, plain_loader(iterator), **fit_params)
        self.seconds_recalibrating_ = seconds(device_of(self)) - began

    def progress(self, share_of_epoch: float) -> float:
        """Return the share of the epochs of this training that is done, in [0, 1]."""
        return (self.epoch_ - 1 + share_of_epoch) / self.n_epochs_

    def on_batch_end(self, net, batch=None, training=False, y_pred=None, **kwargs):
        """Show the outputs of a step to the selector. See `skorch.NeuralNet.on_batch_end`."""
        super().on_batch_end(net, batch=batch, training=training, y_pred=y_pred, **kwargs)
        if training and self.selector_ is not None and self.selection_ is not None:
            began = time.perf_counter()
            self.selector_.after_step(self, y_pred)
            self.selection_.seconds_after = time.perf_counter() - began

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Weigh the rows as the selector says. See `skorch.NeuralNet.get_loss`."""
        selector = self.selector_ if training and self.selection_ is not None else None
        weights = None if selector is None else selector.row_weights(self)
        if weights is None:
            return super().get_loss(y_pred, y_true, X=X, training=training)
        if self.criterion_.reduction == "none":  # what is done with the losses of rows is the user's own
            losses = super().get_loss(y_pred, y_true, X=X, training=training)
            return losses * weights.to(losses.device).reshape(-1, *[1] * (losses.ndim - 1))
        losses = row_losses(self, y_pred, y_true, X, self.plain_loss)
        weighted = (losses * weights.to(losses.device)).mean()
        if self.criterion_.reduction == "mean" and getattr(self.criterion_, "weight", None) is None:
            return weighted
        # A sum, or a mean that weighs classes: bring the mean over rows to its scale.
        plain, mean = (
            super().get_loss(y_pred, y_true, X=X, training=training).detach(),
            losses.detach().mean(),
        )
        return weighted * torch.where(mean == 0, 1.0, plain / mean)

    def plain_loss(self, y_pred, y_true, X=None):
        """Return the loss as skorch has it, without what selection or a subclass makes of it."""
        return super().get_loss(y_pred, y_true, X=X, training=False)

    # -- precision and layout ---------------------------------------------------------------------

    def initialize_module(self):
        """Lay the weights out as asked. See `skorch.NeuralNet.initialize_module`."""
        super().initialize_module()
        check_flag("channels_last", self.channels_last)
        if self.channels_last:
            module: Any = plain_module(self)
            module.to(memory_format=torch.channels_last)  # in place
        return self

    def infer(self, x, **fit_params):
        """Compute in the precision asked for, in training only. See `skorch.NeuralNet.infer`."""
        if self.dtype == "float32" or not plain_module(self).training:
            return super().infer(x, **fit_params)
        device = device_of(self)
        compute = resolve_dtype(self.dtype, device)
        with torch.autocast(device.type, compute, enabled=compute != torch.float32):
            return _float32(super().infer(x, **fit_params))

    def get_params_for(self, prefix):
        """Return parameters with a prefix. A batch sampler needs a batch size of 1, as torch wants it."""
        params = super().get_params_for(prefix)
        if prefix.startswith("iterator_") and params.get("batch_sampler") is not None:
            params.setdefault("batch_size", 1)
        return params

    # -- parameters -------------------------------------------------------------------------------

    def set_params(self, **params):
        """Set parameters; a selector's count from the next fit. See `skorch.NeuralNet.set_params`."""
        for name in [n for n in params if n in ("selector", "dtype") or n.startswith("selector__")]:
            setattr(self, name, params.pop(name))
        return super().set_params(**params) if params else self

    def get_params(self, deep=True, **kwargs):
        """Return the parameters; those set through the net overrule the selector object's own."""
        params = super().get_params(deep=deep, **kwargs)
        params.update({k: v for k, v in vars(self).items() if k.startswith("selector__")})
        return params


def _float32(output: Tensor | tuple[Tensor, ...]) -> Any:
    if isinstance(output, Tensor):
        return output.float() if output.is_floating_point() else output
    if isinstance(output, tuple):
        return tuple(map(_float32, output))
    return output


class SelectiveNetClassifier(_Selective, NeuralNetClassifier):
    """A skorch classifier that trains on well-chosen rows only.

    Parameters
    ----------
    module : torch module (class or instance)
    *args, **kwargs
        As for `skorch.NeuralNetClassifier`.
    selector : str, BaseSelector or None, default="mms"
        Which rows of the training stream get a step: "mms", "margin", "entropy", "loss", "hard_negatives",
        "random", "prune", or an object such as ``HardestRows(pool_factor=5)``. None trains on every row, and
        is plain skorch bit by bit. Set its parameters with ``selector__pool_factor=5``.
    dtype : {"float32", "auto", "bfloat16"}, default="float32"
        Precision of the forward pass in training; weights, loss and predictions stay float32. "auto" takes
        bfloat16 where the hardware multiplies it.
    channels_last : bool, default=False
        Whether convolutions keep their weights channels-last, which is faster on most hardware.

    Attributes
    ----------
    selector_ : BaseSelector or None
        The selector of the last fit.
    selection_ : Selection or None
        The choice of the step at hand, for callbacks.

    Notes
    -----
    An epoch is as many updates as a pass over the data has batches, also where each update looks at a pool
    of several batches; with "prune" it is fewer. The history counts the rows trained on.

    An epoch with chosen rows among its last 50 updates ends by averaging the statistics of batch
    normalisation anew, over 50 batches as they come.

    References
    ----------
    Selective sampling for accelerating training of deep neural networks, arXiv:1911.06996.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sklearn.datasets import load_iris
    >>> from skalss.nets import MLP
    >>> from skalss.selective import SelectiveNetClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = SelectiveNetClassifier(
    ...     MLP, module__input_dim=4, module__output_dim=3, criterion=torch.nn.CrossEntropyLoss,
    ...     iterator_train__shuffle=True, batch_size=16, lr=0.05, max_epochs=20, verbose=0)
    >>> net.fit(X.astype(np.float32), y).predict(X[:2].astype(np.float32)).tolist()
    [0, 0]
    """

    @classmethod
    def paper(cls, module, **overrides) -> SelectiveNetClassifier:
        """Return a net with the published set-up.

        The 64 rows of smallest minimal margin score of 640, all scored in float32, the bias counted in the
        norm, to the end of training; SGD with a learning rate of 0.1, momentum 0.9 and weight decay 1e-4.
        One thing is ours: the statistics of batch normalisation are averaged anew after each epoch, as with
        every selector of hard rows. Pair it with `EarlyDropLR.paper`.

        Parameters
        ----------
        module : torch module
            Must return logits.
        **overrides
            Any parameter of the net.

        Returns
        -------
        net : SelectiveNetClassifier
        """
        selector = HardestRows(pool_factor=10, end=1.0, when="always", bias="include", score_dtype="float32")
        published = {
            "criterion": nn.CrossEntropyLoss,
            "optimizer": torch.optim.SGD,
            "optimizer__momentum": 0.9,
            "optimizer__weight_decay": 1e-4,
            "lr": 0.1,
            "batch_size": 64,
            "iterator_train__shuffle": True,
        }
        return cls(module, **{"selector": selector, **published, **overrides})


class SelectiveNetBinaryClassifier(_Selective, NeuralNetBinaryClassifier):
    """A skorch classifier of one output that trains on well-chosen rows only.

    As `SelectiveNetClassifier`, for a module that gives one logit a row.
    """


class SelectiveNetRegressor(_Selective, NeuralNetRegressor):
    """A skorch regressor that trains on well-chosen rows only.

    As `SelectiveNetClassifier`; needs a selector that makes do without classes: ``"loss"``, ``"random"`` or
    ``HardestRows(callable)``.
    """

    def __init__(self, module, *args, selector="loss", **kwargs):
        super().__init__(module, *args, selector=selector, **kwargs)
