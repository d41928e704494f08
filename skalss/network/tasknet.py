"""TaskNet: the one adapter between scikit-learn arrays and a skorch net."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from skorch import NeuralNet
from skorch.dataset import Dataset
from torch import Tensor, nn

from ..nets import net_classifier
from ..targets import TARGETS, BaseTarget, check_target, make_target, target_of_task
from ..targets.kinds import output_kind
from ..utils.batchnorm import single_rows
from ..utils.checks import (
    LARGEST_WIDTH,
    check_callable,
    check_flag,
    check_positive_int,
    check_tensor,
    checked_codes,
    checked_random_state,
    checked_rows,
    checked_shape,
    reading,
)
from ..utils.devices import resolve_device
from ..utils.errors import explaining
from ..utils.layout import warn_of_channels_last
from ..utils.scaling import Scaling, fit_scaling
from ..utils.seeds import drawing_own, seeded
from ..utils.surroundings import usual_numerics
from ..utils.tensors import (
    as_numpy,
    as_tensor,
    check_weights_fit,
    chunk_rows,
    chunks,
    load_module_state,
    module_state,
    to_host,
)
from .augment import augmenting
from .class_weight import check_class_weight, check_criterion, weighing_classes, weights_of_classes
from .epoch_bar import showing_epochs
from .epochs import Pseudo, drawing_epochs
from .head import find_head, pooled, run_to_head
from .held_out import converted_split
from .rehearsal import keep_inside, rehearsing
from .sketch import can_sketch, sketch_gradients
from .skorch_net import (
    FORWARD_ROWS,
    check_net,
    check_output,
    decisions,
    encoded_as,
    first_output,
    is_binary,
    leave_out_missing,
    made_module,
    plain,
    plain_module,
    prepare_net,
    probabilities,
    run_plain,
    trains_each_output,
    tried_output,
)
from .starting import start_module, start_weights
from .tags import copy_task_tags
from .torch_module import ScaledModule

_MOST_TRIED = 2**22  # values of a row that a file of an older version may name


def _has_probabilities(task_net: TaskNet) -> bool:
    return make_target(task_net).has_probabilities


class TaskNet(BaseEstimator):
    """A compliant scikit-learn estimator around any skorch net.

    Takes arrays, DataFrames and any labels; scales the input, encodes the labels or standardises the
    target, fits the module's dimensions to the data, seeds torch and trains with a fast shuffling
    iterator. A fit never touches the caller's net or torch's global generators.

    Parameters
    ----------
    estimator : NeuralNetClassifier, NeuralNetBinaryClassifier or NeuralNetRegressor, default=None
        Cloned before each fit. None: ``skalss.nets.net_classifier()``, a small MLP; to reach parameters
        with ``set_params(estimator__lr=...)`` or a grid search, pass such a net instead of None.
        Of its parameters these are changed on the clone, where they stand at skorch's default:
        ``train_split`` (to None: a fifth of few labels is too many), ``iterator_train`` and
        ``iterator_valid``; and always ``verbose`` (to 0) and ``device``. A module class whose signature
        has `input_dim`, `input_shape` or `output_dim` gets them from the data, unless the net sets them.
        Held-out rows of ``train_split=predefined_split(...)`` are scaled and encoded as `X` and `y` are.
        A module *instance* is copied: each fit starts from the weights that it has.
        With several labels a row, a criterion ``CrossEntropyLoss`` becomes ``BCEWithLogitsLoss``.
    target : "auto" or BaseTarget, default="auto"
        The kind of `y`. ``"auto"``: by its shape, see `y` in `fit`. A target says more, such as
        ``skalss.targets.ClassMap(ignore=255)``, the value of pixels that nobody labelled.
    device : str or torch.device, default="auto"
        Where to train and predict; ``"auto"`` takes the accelerator if there is one.
    min_epoch_rows : int, default=None
        Rows of an epoch, at least: fewer rows are passed over several times. None: an epoch is one pass,
        but 512 rows where the sampler trains on pseudo-labels.
    class_weight : "balanced", dict or None, default=None
        How much the rows of a class count in the loss, by label; a label that a dict does not name has weight
        1. ``"balanced"``: the number of rows over that of the classes and of the rows of the class, counted
        anew among the labels of each fit; so a class without labels yet disturbs nothing. Pseudo-labels, and
        rows that the net holds out for a validation loss, are weighed alike. None: all rows count alike.
    augment : callable, default=None
        Changes each batch of training rows at random before its step: from a tensor of rows as the network
        sees them, scaled, float32 and on `device`, to one of the same shape. `skalss.augment` has ready ones
        for images. Pseudo-labelled rows are changed alike; rows to predict or to be judged by never are. What
        it draws from torch follows `random_state`. None: rows as they are.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before, where there was one. In a campaign: whether
        each round goes on from the last round's network instead of a fresh one.
    init_from_latent : bool, default=False
        In a campaign: whether a fresh network starts from the weights of the latent model's encoder, as far
        as layers have the same names and shapes, as those of ``ContrastiveLatent(module)`` and a net of the
        same module have. Outside of a campaign see `start_from`.
    random_state : int, RandomState or None, default=None
        Seeds the initial weights, the order of rows and dropout.

    Attributes
    ----------
    net_ : skorch net
        The fitted net. It sees scaled rows: use it through TaskNet, or apply `scaling_` first.
    scaling_ : Scaling
        The input scaling: none for rows in [0, 1], /255 for bytes of images, otherwise standardised.
    classes_ : array of shape (n_classes,)
        Labels in sorted order; classifiers only.
    n_features_in_ : int
        Columns seen in fit; channels, for images.
    head_name_ : str or None
        Name of the last linear layer the module runs, None if it has none of the output's width.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skalss import TaskNet
    >>> X, y = load_iris(return_X_y=True)
    >>> bool(TaskNet(random_state=0).fit(X, y).score(X, y) > 0.9)
    True
    """

    def __init__(
        self,
        estimator=None,
        *,
        target="auto",
        min_epoch_rows=None,
        class_weight=None,
        augment=None,
        init_from_latent=False,
        warm_start=False,
        device="auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.target = target
        self.min_epoch_rows = min_epoch_rows
        self.class_weight = class_weight
        self.augment = augment
        self.init_from_latent = init_from_latent
        self.warm_start = warm_start
        self.device = device
        self.random_state = random_state

    takes_pseudo_labels = True
    _start: dict[str, Tensor] | None = None

    def __sklearn_tags__(self) -> Tags:
        """Tell which checks apply, by delegation to the net."""
        return copy_task_tags(super().__sklearn_tags__(), self.estimator)

    def check(self) -> None:
        """Refuse an estimator that is no net, and wrong parameters.

        Raises
        ------
        TypeError, ValueError
        """
        if self.estimator is not None:
            check_net(self.estimator)
        check_target(self.target)
        check_flag("warm_start", self.warm_start)
        check_flag("init_from_latent", self.init_from_latent)
        if self.augment is not None:
            check_callable("augment", self.augment, also="None")
        if self.min_epoch_rows is not None:
            check_positive_int("min_epoch_rows", self.min_epoch_rows, also="None")
        check_class_weight(self.class_weight, make_target(self))

    # -- training ---------------------------------------------------------------------------------

    def fit(self, X, y) -> Self:
        """Train a fresh clone of the net; with `warm_start`, the present one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        y : array-like of shape (n_samples,) or (n_samples, ...)
            For a classifier, labels of any type; 0 and 1 of shape (n_samples, n_classes) or lists of classes,
            where several may hold at once; or masks of whole numbers (n_samples, height, width). For a
            regressor, values; several, (n_samples, n_values); or fields (n_samples, height, width), with NaN
            where there is no value.

        Returns
        -------
        self : TaskNet

        Raises
        ------
        ValueError
            If X or values hold NaN or infinity, the net's output does not fit the task, or `class_weight`
            does not fit the labels or the net's criterion.
        TypeError
            If `estimator` is neither a classifier nor a regressor of skorch.
        """
        warn_of_channels_last(X)
        self.check()
        return self.fit_rows(X, y, fresh=not (self.warm_start and hasattr(self, "net_")))

    def partial_fit(self, X, y, classes=None) -> Self:
        """Train on from the present weights, for another `max_epochs` of the net.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        y : array-like of shape (n_samples,) or (n_samples, ...)
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; None: those of the first `y`. Only the first call reads it.

        Returns
        -------
        self : TaskNet
        """
        target = None
        if classes is not None:
            target = make_target(self, classes, y)
        return self.fit_rows(X, y, target=target, fresh=not hasattr(self, "net_"))

    def start_from(self, encoder: nn.Module) -> Self:
        """Let the next fresh network start from the weights of an encoder.

        Parameters
        ----------
        encoder : nn.Module
            Parameters and buffers with the name and shape of one of the net's module are taken, such as all
            but the head of ``ContrastiveLatent(ResNet8).fit(X).encoder_`` for a net of `ResNet8`.

        Returns
        -------
        self : TaskNet

        Raises
        ------
        ValueError
            If no parameter can be taken: at once where the net was fitted before, otherwise in `fit`.
        """
        weights = start_weights(encoder)
        if hasattr(self, "net_"):
            start_module(copy.deepcopy(plain_module(self.net_)), weights)
        self._start = weights
        return self

    @usual_numerics()
    def fit_rows(
        self,
        X,
        y,
        *,
        target: BaseTarget | None = None,
        fresh: bool = True,
        scaling: Scaling | None = None,
        pseudo: Pseudo | None = None,
    ) -> Self:
        """Train, as a campaign does.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        y : array-like of shape (n_samples,)
        target : BaseTarget, default=None
            Knows all labels that may come. None: those in `y`. Only a fresh net reads it.
        fresh : bool, default=True
            Whether to start with a fresh clone of the net.
        scaling : Scaling, default=None
            Of the input, fitted to more rows than `X`; None: it is fitted to `X`. Only a fresh net reads it.
        pseudo : Pseudo, default=None
            Rows with pseudo-labels for the first epochs.

        Returns
        -------
        self : TaskNet
        """
        self.check()
        more_may_come = target is not None and target.classes is None
        if target is None:
            target = make_target(self, y=y) if fresh else self.target_
        X, y = self._check_training_data(X, y, target, reset=fresh)
        if fresh:
            self._prepare(X, y, target, scaling)
        seed = int(checked_random_state(self.random_state).randint(2**31 - 1))
        weights = self._weights(y, more_may_come=more_may_come)
        with seeded(seed, self.device_):
            if fresh:
                self._start_net(self._scaled(X))
            self._train(X, y, pseudo, weights)
        return self

    def _prepare(self, X: np.ndarray, y, target: BaseTarget, scaling: Scaling | None) -> None:
        """Learn what a fresh net has to know of the data."""
        target = target.copy()
        target.know_rows(X.shape[1:])
        self._set_target(target.fitted(y))
        self.scaling_ = fit_scaling(X) if scaling is None else scaling
        self._row_shape = X.shape[1:]
        self.device_ = resolve_device(self.device)

    def _train(
        self,
        X: np.ndarray,
        y: np.ndarray,
        pseudo: Pseudo | None,
        weights: np.ndarray | None,
        **fit_params: int,
    ) -> None:
        """Train the net, under `seeded`."""
        extra, until = None, 0.0
        if pseudo is not None:
            extra, until = (self._scaled(pseudo.X), self._encode(pseudo.y)), pseudo.until
        data = self._scaled(X), self._encode(y)
        with (
            weighing_classes(self.net_, weights),
            showing_epochs(self.net_, len(X)),
            converted_split(self.net_, self._held_out),
            single_rows(plain_module(self.net_)),
            drawing_epochs(self.net_, *data, extra, until, self.min_epoch_rows) as drawn,
            augmenting(self.net_, self.augment, self.device_, maps=self.target_.is_map),
        ):
            self.net_.partial_fit(*drawn, **fit_params)

    def _weights(self, y: np.ndarray, *, more_may_come: bool) -> np.ndarray | None:
        """Return the weights of the classes in this training, or None."""
        if self.class_weight is None:
            return None
        if self.target_.independent:
            check_class_weight(self.class_weight, self.target_)  # refused: the kind of y is known only here
        labels = self.target_.each_class(y)
        return weights_of_classes(self.class_weight, labels, self.classes_, more_may_come=more_may_come)

    @usual_numerics()
    def rehearse(self, X, y, target: BaseTarget, *, pseudo: Pseudo | None = None) -> Self:
        """Train an untrained copy for one epoch: what fails here fails before a label is bought.

        Its loss, callbacks and split are tried, too; loggers and printed lines are left out, and checkpoints
        go to a folder that is deleted. With `warm_start`, a second epoch goes on from the first.

        Parameters
        ----------
        X : array of shape (n_samples, n_features) or (n_samples, n_channels, ...)
            As many as the first training will have.
        y : array of shape (n_samples,)
            Made-up labels.
        target : BaseTarget
            Of the campaign.
        pseudo : Pseudo, default=None
            Rows with pseudo-labels, where there will be some.

        Returns
        -------
        trial : TaskNet
            The copy. It predicts.

        Raises
        ------
        ValueError, TypeError
            With what went wrong.
        """
        check_class_weight(self.class_weight, target)
        trial = clone(self)
        trial._prepare(X, y, target, None)
        trial.n_features_in_ = X.shape[1]
        with seeded(0, trial.device_), tempfile.TemporaryDirectory() as folder:
            trial._start_net(trial._scaled(X))
            # The dry run saw two rows: logits may all have been above 0 there, as probabilities are.
            check_output(trial.net_, trial._output(X), trial.target_)
            keep_inside(trial.net_, folder)
            if self.class_weight is not None:
                check_criterion(trial.net_)
            # Made-up labels are no labels of the user: what a class weighs is not tried, that it can be is.
            weights = None if self.class_weight is None else np.ones(len(trial.classes_))
            with rehearsing(len(X)):
                for _ in range(1 + self.warm_start):
                    trial._train(X, y, pseudo, weights, epochs=1)
                trial.predict(X[:2])
        return trial

    def suggested_target(self, row_shape: tuple[int, ...]) -> BaseTarget | None:
        """Return the kind of y that the module's output suits, where nobody says and there are no labels yet.

        Parameters
        ----------
        row_shape : tuple of int

        Returns
        -------
        target : BaseTarget or None
            None where the module cannot be tried.
        """
        net = net_classifier() if self.estimator is None else self.estimator
        shape, given = tried_output(net, row_shape)
        if shape is None:
            return None
        target = output_kind(shape, values=make_target(self).numeric, independent=trains_each_output(net))
        # A width that was tried, and not given, says nothing.
        return target if target.is_map or target.independent or given else None

    @property
    def abilities(self) -> frozenset[str]:
        """What a strategy may ask for: see `TaskModel`."""
        found = {"logits", "gradient"} | ({"features"} if self.head_name_ is not None else set())
        return frozenset(found | ({"gradients"} if self._has_gradients() else set()))

    def _check_training_data(self, X, y, target: BaseTarget, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        with reading("X or y"):
            X = validate_data(
                self, to_host(X), allow_nd=True, reset=reset, dtype="numeric", accept_sparse="csr"
            )
            y = target.checked_column(y)
            check_consistent_length(X, y)
        return checked_rows("X", X), y

    def _set_target(self, target: BaseTarget) -> None:
        self.target_ = target
        for name, value in target.fitted_attributes.items():
            setattr(self, name, value)

    def _encode(self, y) -> Tensor:
        """Turn labels into what the net trains on: class numbers, or standardised targets (n, 1)."""
        return encoded_as(self.net_, self.target_.encode(y), self._output_shape, self.device_)

    def _held_out(self, X, y) -> Dataset:
        """Return rows to be judged by as the net sees its training rows."""
        try:
            return Dataset(self._scaled(self._check_rows(X)), self._encode(self.target_.column(y)))
        except (TypeError, ValueError) as error:
            raise ValueError(
                "The held-out rows of train_split do not fit the training rows. Give predefined_split a "
                f"Dataset of rows in the units of X with labels as in y: {error}"
            ) from error

    def _start_net(self, rows: Tensor) -> None:
        """Initialise a clone of the net, and check by a dry run that it fits the task."""
        shape = tuple(rows.shape[1:])
        with drawing_own(), torch.no_grad():
            with explaining(f"The net cannot be built of its module for rows of shape {shape}"):
                self.net_ = self._prepared_net(shape).initialize()
            # A module that was made under another default dtype computes in float32, too.
            module = plain_module(self.net_).float().eval()
            self.net_.criterion_.float()
            if self._start is not None:
                start_module(module, self._start)
                del self._start  # of a fitted model nobody needs them any more
            with explaining(f"The module cannot take rows of shape {shape}"):
                output, self.head_name_ = find_head(module, lambda: run_plain(self.net_, rows[:2]))
        self._output_shape = output.shape[1:]
        check_output(self.net_, output, self.target_)
        self._skip_missing()

    def _skip_missing(self) -> None:
        """Let the loss of fields pass over pixels without a value."""
        if self.target_.is_map and self.target_.numeric:
            plain(self.net_.criterion_).register_forward_pre_hook(leave_out_missing)

    def _output(self, X: np.ndarray) -> Tensor:
        """Return what the module says of rows, before any nonlinearity of skorch's."""
        with torch.no_grad():
            return torch.cat([first_output(out) for out in self._in_chunks(X, self.net_.infer)])

    def _prepared_net(self, row_shape: tuple[int, ...]) -> NeuralNet:
        estimator = net_classifier() if self.estimator is None else self.estimator
        return prepare_net(estimator, row_shape, self.target_, self.device_)

    # -- prediction -------------------------------------------------------------------------------

    def predict(self, X) -> np.ndarray:
        """Predict labels, or targets in the units of `y`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, ...)
            As in `fit`; where several classes may hold, 0 and 1 in the order of `classes_`.
        """
        P = self._predicted(self._check_rows(X))
        return self.target_.decode(decisions(self.net_, P))

    @available_if(_has_probabilities)
    def predict_proba(self, X) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        P : float32 array of shape (n_samples, n_classes)
            Columns in the order of `classes_`; for masks of shape (n_samples, n_classes, height, width).
        """
        P = self._predicted(self._check_rows(X))
        return as_numpy(self.target_.beliefs(as_tensor(P))) if len(self.classes_) < P.shape[1] else P

    def score(self, X, y, sample_weight=None) -> float:
        """Return the accuracy of a classifier, or the R² of a regressor.

        Of several labels a row it is the macro F1, of masks the mean IoU.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        y : array-like of shape (n_samples,) or (n_samples, ...)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        predicted = self.predict(X)
        return self.target_.score(y, predicted, sample_weight)

    def logits(self, X) -> np.ndarray:
        """Return the output of the last linear layer, whatever the module does after it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        logits : float32 array of shape (n_samples, n_outputs, ...)
            A single logit z of a binary classifier comes as the columns 0 and z. Without such a layer:
            log-probabilities; of several labels a row, logarithms of the odds.
        """
        X = self._check_rows(X)
        if self.head_name_ is None:
            P = self._predicted(X)
            return self.target_.log_odds(P) if self.target_.has_probabilities else P
        (outputs,) = self._at_head(X, lambda inputs, output: (output,))
        return self._two_columns(outputs)

    def features(self, X) -> np.ndarray:
        """Return the input of the last linear layer: the network's own features.

        Where that is a 1 × 1 convolution, their mean over pixels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        features : float32 array of shape (n_samples, n_hidden)
        """
        X = self._check_rows(X)
        self.head_weight()  # raises where there is no such layer
        return self._at_head(X, lambda inputs, output: (pooled(inputs[0]),))[0]

    def features_and_logits(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Return what `features` and `logits` return, from one pass.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        features : float32 array of shape (n_samples, n_hidden)
        logits : float32 array of shape (n_samples, n_outputs)
        """
        X = self._check_rows(X)
        self.head_weight()  # raises where there is no such layer
        features, outputs = self._at_head(X, lambda inputs, output: (pooled(inputs[0]), output))
        return features, self._two_columns(outputs)

    def _two_columns(self, outputs: np.ndarray) -> np.ndarray:
        """Return the single logit z of a binary classifier as the columns 0 and z."""
        return np.hstack([np.zeros_like(outputs), outputs]) if is_binary(self.net_) else outputs

    def head_weight(self) -> np.ndarray:
        """Return the weights of the last linear layer.

        Returns
        -------
        weight : float32 array of shape (n_outputs, n_hidden)
            The single row w of a binary classifier comes as the rows 0 and w, like its logits.

        Raises
        ------
        ValueError
            If the module has no linear layer of the output's width.
        """
        check_is_fitted(self)
        if self.head_name_ is None:
            raise ValueError(
                f"{type(plain_module(self.net_)).__name__} runs no nn.Linear as wide as its output, nor "
                "such a "
                "1 × 1 convolution, so there is no last layer to weigh. Use a score without weights "
                "('margin', "
                "'entropy', 'least_confident'), or end the module with a linear layer."
            )
        head = plain_module(self.net_).get_submodule(self.head_name_)
        weight = as_numpy(head.get_parameter("weight").flatten(1))
        return np.vstack([np.zeros_like(weight), weight]) if is_binary(self.net_) else weight

    # -- sketched gradients -----------------------------------------------------------------------

    @usual_numerics()
    def gradients(self, X, n_components: int = 512, *, random_state: Any = 0) -> np.ndarray:
        """Return sketches of the gradients of the output with respect to the weights of all layers.

        Two rows have similar ones where a training step on one moves what the network says of the other. The
        inner product of two sketches is that of the gradients in the mean over seeds. The layers are all
        ``nn.Linear`` and ``nn.Conv1d`` to ``nn.Conv3d`` that are trained; the net is in eval mode. An output
        of several numbers, such as class scores, is multiplied by random signs first.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        n_components : int, default=512
            Numbers of a sketch. An inner product of two gradients of length 1 deviates by about
            ``sqrt(3 / n_components)`` at most for each layer.
        random_state : int, RandomState or None, default=0
            Of the projections. Sketches can be compared where they have the same seed and the same weights.

        Returns
        -------
        gradients : float32 array of shape (n_samples, n_components)

        Raises
        ------
        ValueError
            If the network trains no such layer.

        References
        ----------
        Holzmüller et al., arXiv:2203.09410.
        """
        X = self._check_rows(X)
        check_positive_int("n_components", n_components, most=LARGEST_WIDTH)
        seed = int(checked_random_state(random_state).randint(2**31 - 1))
        pieces = chunks(len(X), chunk_rows(self._row_shape))
        batches = (rows for piece in pieces for rows in self._scaled(X[piece]).split(FORWARD_ROWS))
        return sketch_gradients(self.net_, batches, int(n_components), seed)

    @usual_numerics()
    def _has_gradients(self) -> bool:
        return can_sketch(self.net_, torch.zeros(2, *self._row_shape, device=self.device_))

    # -- save and load ----------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Return what was learned, for a file."""
        check_is_fitted(self)
        return {
            "random_state": self.random_state,
            "n_features_in": self.n_features_in_,
            "feature_names_in": getattr(self, "feature_names_in_", None),
            "row_shape": self._row_shape,
            "output_shape": list(self._output_shape),
            "head_name": self.head_name_,
            "scaling": self.scaling_,
            "module": module_state(plain_module(self.net_)),
            "criterion": module_state(self.net_.criterion_),
            **self._kind_of_state(),
            **self.target_.get_state(),
        }

    def _kind_of_state(self) -> dict[str, str]:
        """Name the kind of y for a file; a user's own kind is known from the estimator alone."""
        return {"task": self.target_.task} if type(self.target_) in TARGETS else {}

    def set_state(self, state: dict[str, Any]) -> Self:
        """Become the network that `state` was taken of.

        Raises
        ------
        ValueError
            If its weights do not fit the net.
        """
        self.random_state, self.n_features_in_ = state["random_state"], state["n_features_in"]
        if state["feature_names_in"] is not None:
            self.feature_names_in_ = state["feature_names_in"]
        self._row_shape = checked_shape("row_shape", state["row_shape"])
        self.scaling_ = state["scaling"]
        kind = target_of_task(state["task"]) if "task" in state else make_target(self)
        self._set_target(kind.set_state(state))
        self.device_ = resolve_device(self.device)
        with seeded(0, self.device_):
            net = self._prepared_net(self._row_shape)
            check_weights_fit(lambda: made_module(net), state["module"])
            if "head_name" in state:
                self.net_ = net.initialize()
                self.head_name_, self._output_shape = state["head_name"], torch.Size(state["output_shape"])
                self._skip_missing()
            else:  # of 0.1.0.dev0
                if math.prod(self._row_shape) > _MOST_TRIED:
                    raise ValueError(
                        f"The file holds rows of shape {self._row_shape}, too large to be tried."
                    )
                self._start_net(torch.zeros(2, *self._row_shape, device=self.device_))
        load_module_state(plain_module(self.net_), state["module"])
        load_module_state(self.net_.criterion_, state["criterion"])
        if self.head_name_ is not None:
            self.head_weight()  # raises where the file names no layer
        return self

    def to_torch(self) -> ScaledModule:
        """Return the fitted network as one torch module, with its scaling inside.

        ``torch.export.export`` takes it, and what it makes needs neither skalss nor skorch to run.

        Returns
        -------
        module : nn.Module
            Maps rows (n_samples, ...) in the units of X to probabilities (n_samples, n_classes, ...), in the
            order of `classes_`, or to values in the units and shape of `y`. In evaluation mode, on the device
            of the network; a copy.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import load_iris
        >>> from skalss import TaskNet
        >>> X, y = load_iris(return_X_y=True)
        >>> module = TaskNet(random_state=0, device="cpu").fit(X, y).to_torch()
        >>> rows = torch.tensor(X, dtype=torch.float32)
        >>> exported = torch.export.export(module, (rows,), dynamic_shapes=({0: torch.export.Dim("n")},))
        >>> exported.module()(rows[:5]).shape
        torch.Size([5, 3])
        """
        check_is_fitted(self)
        net, target = self.net_, self.target_

        def finish(output: Tensor) -> Tensor:
            return target.beliefs(probabilities(net, output))

        return ScaledModule(self.scaling_, plain_module(net), finish)

    # -- gradients --------------------------------------------------------------------------------

    @usual_numerics()
    def loss_gradient(
        self, decode: Callable[[Tensor], Tensor], Z: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of each row's task loss at a decoded code, with respect to the code.

        Parameters
        ----------
        decode : callable
            Differentiable: codes (n, d) to rows in the units of X, on any device.
        Z : array of shape (n_samples, n_components)
        y : array of shape (n_samples,)
            The labels the loss is taken at.

        Returns
        -------
        gradient : float32 array of shape (n_samples, n_components)
            Of the sum over rows of the net's own loss, in eval mode. A row's gradient does not depend on the
            others, save for its length where the criterion weighs classes.
        prediction : array of shape (n_samples,)
            What the network predicts at the decoded codes.
        """
        check_is_fitted(self)
        check_callable("decode", decode)
        Z, y = checked_codes("Z", Z), self.target_.column(y)
        check_consistent_length(Z, y)
        plain_module(self.net_).eval()
        reduction = getattr(self.net_.criterion_, "reduction", "mean")
        gradients, predictions = [], []
        for piece in chunks(len(Z), FORWARD_ROWS):
            codes = as_tensor(np.asarray(Z[piece], dtype=np.float32)).requires_grad_()
            with torch.enable_grad():
                rows = self.scaling_(decode(codes).to(self.device_))
                output = self.net_.infer(rows)
                loss = self.net_.get_loss(output, self._encode(y[piece]), X=rows, training=False)
                # A mean over rows would shrink each row's gradient with the number of rows.
                total = loss.sum() if loss.ndim or reduction == "sum" else loss * len(codes)
                (gradient,) = torch.autograd.grad(total, codes)
            gradients.append(as_numpy(gradient))
            first = first_output(output).detach()
            scores = as_numpy(probabilities(self.net_, first))
            predictions.append(self.target_.decode(decisions(self.net_, scores)))
        return np.concatenate(gradients), np.concatenate(predictions)

    @usual_numerics()
    def forward(self, rows: Tensor) -> Tensor:
        """Predict, differentiably with respect to the rows.

        Parameters
        ----------
        rows : tensor of shape (n_samples, ...)
            In the units of X, on any device.

        Returns
        -------
        predictions : float tensor of shape (n_samples, n_classes, ...) or (n_samples, ...)
            Probabilities, or values in the units of `y`; on the network's device, in eval mode.
        """
        check_is_fitted(self)
        check_tensor("rows", rows)
        plain_module(self.net_).eval()
        output = first_output(self.net_.infer(self.scaling_(rows.to(self.device_))))
        return self.target_.beliefs(probabilities(self.net_, output))

    # -- rows in, arrays out ----------------------------------------------------------------------

    def _check_rows(self, X) -> np.ndarray:
        check_is_fitted(self)
        with reading("X"):
            X = validate_data(
                self, to_host(X), allow_nd=True, reset=False, dtype="numeric", accept_sparse="csr"
            )
        if X.shape[1:] != self._row_shape:
            raise ValueError(
                f"X has rows of shape {X.shape[1:]}, but TaskNet was fitted to {self._row_shape}. Give "
                "rows of that shape."
            )
        return checked_rows("X", X)

    def _scaled(self, X: np.ndarray) -> Tensor:
        return self.scaling_(as_tensor(X)).to(self.device_)

    def _in_chunks(self, X: np.ndarray, function: Callable[[Tensor], Any]) -> list[Any]:
        return [function(self._scaled(X[piece])) for piece in chunks(len(X), chunk_rows(self._row_shape))]

    @usual_numerics()
    def _predicted(self, X: np.ndarray) -> np.ndarray:
        """Return the net's own prediction: probabilities of all its outputs, or standardised values."""
        return np.concatenate(self._in_chunks(X, self.net_.predict_proba))

    @usual_numerics()
    def _at_head(
        self, X: np.ndarray, pick: Callable[[tuple[Tensor, ...], Tensor], tuple[Tensor, ...]]
    ) -> tuple[np.ndarray, ...]:
        """Run the module and keep what `pick` takes at the last linear layer."""
        pieces = chunks(len(X), chunk_rows(self._row_shape))
        batches = (rows for piece in pieces for rows in self._scaled(X[piece]).split(FORWARD_ROWS))
        module, name = plain_module(self.net_), self.head_name_ or ""
        return run_to_head(module, name, batches, pick, lambda rows: run_plain(self.net_, rows))
