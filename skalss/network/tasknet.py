"""TaskNet: the one adapter between scikit-learn arrays and a skorch net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, check_random_state, column_or_1d, validate_data
from skorch import NeuralNetBinaryClassifier
from torch import Tensor

from ..nets import net_classifier
from ..utils.checks import check_positive_int
from ..utils.devices import resolve_device
from ..utils.scaling import Scaling, fit_scaling
from ..utils.seeds import seeded
from ..utils.tensors import as_numpy, as_tensor, chunk_rows, chunks, load_module_state, module_state, to_host
from .epochs import Pseudo, drawing_epochs
from .skorch_net import (
    FORWARD_ROWS,
    check_net,
    check_output,
    dry_run,
    first_output,
    plain_module,
    positive_probability,
    prepare_net,
)


def _is_classifier(task_net: TaskNet) -> bool:
    return get_tags(task_net).estimator_type == "classifier"


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
        A module *instance* is copied: each fit starts from the weights that it has.
    device : str or torch.device, default="auto"
        Where to train and predict; ``"auto"`` takes the accelerator if there is one.
    min_epoch_rows : int, default=None
        Rows of an epoch, at least: fewer rows are passed over several times. None: an epoch is one pass,
        but 512 rows where the sampler trains on pseudo-labels.
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

    def __init__(self, estimator=None, *, min_epoch_rows=None, device="auto", random_state=None):
        self.estimator = estimator
        self.min_epoch_rows = min_epoch_rows
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """Tell which checks apply, by delegation to the net."""
        return copy_task_tags(super().__sklearn_tags__(), self.estimator)

    # -- training ---------------------------------------------------------------------------------

    def fit(self, X, y) -> Self:
        """Train a fresh clone of the net.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        y : array-like of shape (n_samples,)
            Labels of any type, or real targets.

        Returns
        -------
        self : TaskNet

        Raises
        ------
        ValueError
            If the data hold NaN or infinity, or the net's output does not fit the task.
        TypeError
            If `estimator` is neither a classifier nor a regressor of skorch.
        """
        return self._train(X, y, fresh=True)

    def partial_fit(self, X, y, classes=None) -> Self:
        """Train on from the present weights, for another `max_epochs` of the net.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; None: those of the first `y`. Only the first call reads it.

        Returns
        -------
        self : TaskNet
        """
        return self._train(X, y, classes=classes, fresh=not hasattr(self, "net_"))

    def _train(
        self,
        X,
        y,
        *,
        fresh: bool,
        classes=None,
        scaling: Scaling | None = None,
        pseudo: Pseudo | None = None,
    ) -> Self:
        """Train; `scaling` may come from more rows than the labelled ones, `pseudo` comes first."""
        if self.estimator is not None:
            check_net(self.estimator)
        if self.min_epoch_rows is not None:
            check_positive_int("min_epoch_rows", self.min_epoch_rows, also="None")
        X, y = self._check_training_data(X, y, reset=fresh)
        if fresh:
            self._set_targets(y, classes)
            self.scaling_ = fit_scaling(X) if scaling is None else scaling
            self._row_shape = X.shape[1:]
            self.device_ = resolve_device(self.device)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with seeded(seed, self.device_):
            rows = self._scaled(X)
            if fresh:
                self._start_net(rows)
            extra, until = None, 0.0
            if pseudo is not None:
                extra, until = (self._scaled(pseudo.X), self._encode(pseudo.y)), pseudo.until
            data = rows, self._encode(y)
            with drawing_epochs(self.net_, *data, extra, until, self.min_epoch_rows) as drawn:
                self.net_.partial_fit(*drawn)
        return self

    def rehearse(self, X, classes) -> None:
        """Pass rows through an untrained copy of the net, which raises if its output does not fit the task.

        Parameters
        ----------
        X : array of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        classes : array-like of shape (n_classes,)
            The labels a classifier must tell apart.

        Raises
        ------
        ValueError
            With the shape of the output and the shape needed.
        """
        trial = clone(self)
        trial.device_ = resolve_device(self.device)
        trial.scaling_ = fit_scaling(X)
        trial._set_targets(np.asarray(classes if _is_classifier(self) else [0.0]), None)
        with seeded(0, trial.device_):
            trial._start_net(trial._scaled(X))

    def _check_training_data(self, X, y, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        regression = not _is_classifier(self)
        X, y = validate_data(
            self, to_host(X), to_host(y), allow_nd=True, reset=reset, y_numeric=regression, dtype="numeric"
        )
        if not regression:
            check_classification_targets(y)
        return X, column_or_1d(y, warn=True)

    def _set_targets(self, y: np.ndarray, classes) -> None:
        if _is_classifier(self):
            self._encoder = LabelEncoder().fit(y if classes is None else np.asarray(classes))
            self.classes_ = self._encoder.classes_
        else:
            self._y_mean = float(np.mean(y, dtype=np.float64))
            self._y_scale = float(np.std(y, dtype=np.float64)) or 1.0

    def _encode(self, y) -> Tensor:
        """Turn labels into what the net trains on: class numbers, or standardised targets (n, 1)."""
        if not _is_classifier(self):
            values = (np.asarray(y, dtype=np.float64) - self._y_mean) / self._y_scale
            return as_tensor(values.astype(np.float32), self.device_).reshape(-1, *self._value_shape)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y holds labels outside classes: {unknown[:5].tolist()}; known are "
                f"{self.classes_.tolist()}. Name every label in classes=, or fit anew."
            )
        codes = as_tensor(self._encoder.transform(y), self.device_)
        return codes.float() if isinstance(self.net_, NeuralNetBinaryClassifier) else codes.long()

    def _start_net(self, rows: Tensor) -> None:
        """Initialise a clone of the net, and check by a dry run that it fits the task."""
        n_classes = len(self.classes_) if _is_classifier(self) else None
        estimator = net_classifier() if self.estimator is None else self.estimator
        self.net_ = prepare_net(estimator, tuple(rows.shape[1:]), n_classes, self.device_).initialize()
        output, self.head_name_ = dry_run(self.net_, rows[:2])
        self._value_shape = output.shape[1:]
        check_output(self.net_, output, n_classes)

    # -- prediction -------------------------------------------------------------------------------

    def predict(self, X) -> np.ndarray:
        """Predict labels, or targets in the units of `y`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        y : array of shape (n_samples,)
        """
        X = self._check_rows(X)
        if _is_classifier(self):
            P = self._probabilities(X)
            if isinstance(self.net_, NeuralNetBinaryClassifier) and len(self.classes_) == 2:
                return self.classes_[(P[:, 1] > self.net_.threshold).astype(int)]
            return self.classes_[P.argmax(axis=1)]
        return self._decode_values(np.concatenate(self._in_chunks(X, self.net_.predict)))

    @available_if(_is_classifier)
    def predict_proba(self, X) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        P : float32 array of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        return self._probabilities(self._check_rows(X))

    def score(self, X, y, sample_weight=None) -> float:
        """Return the accuracy of a classifier, or the R² of a regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        metric = accuracy_score if _is_classifier(self) else r2_score
        return float(metric(y, self.predict(X), sample_weight=sample_weight))

    def logits(self, X) -> np.ndarray:
        """Give the output of the last linear layer, whatever the module does after it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        logits : float32 array of shape (n_samples, n_outputs)
            A single logit z of a binary classifier comes as the columns 0 and z. Without such a layer:
            log-probabilities.
        """
        X = self._check_rows(X)
        if self.head_name_ is None:
            return np.log(np.maximum(self._probabilities(X), np.finfo(np.float32).tiny))
        (outputs,) = self._at_head(X, lambda inputs, output: (output,))
        return self._two_columns(outputs)

    def embed(self, X) -> np.ndarray:
        """Give the input of the last linear layer: the network's own features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        features : float32 array of shape (n_samples, n_hidden)
        """
        X = self._check_rows(X)
        self.head_weight()  # raises where there is no such layer
        return self._at_head(X, lambda inputs, output: (inputs[0],))[0]

    def outputs(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Give what `embed` and `logits` give, from one pass.

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
        features, outputs = self._at_head(X, lambda inputs, output: (inputs[0], output))
        return features, self._two_columns(outputs)

    def _two_columns(self, outputs: np.ndarray) -> np.ndarray:
        """Give the single logit z of a binary classifier as the columns 0 and z."""
        single = outputs.shape[1] == 1 and _is_classifier(self)
        return np.hstack([np.zeros_like(outputs), outputs]) if single else outputs

    def head_weight(self) -> np.ndarray:
        """Give the weights of the last linear layer.

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
                f"{type(plain_module(self.net_)).__name__} runs no nn.Linear as wide as its output, so "
                "there is no last layer to weigh. Use a score without weights ('margin', 'entropy', "
                "'least_confident'), or end the module with a linear layer."
            )
        weight = as_numpy(self._head().weight)
        if len(weight) == 1 and _is_classifier(self):
            return np.vstack([np.zeros_like(weight), weight])
        return weight

    # -- save and load ----------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Give what was learned, for a file."""
        check_is_fitted(self)
        state = {
            "random_state": self.random_state,
            "n_features_in": self.n_features_in_,
            "feature_names_in": getattr(self, "feature_names_in_", None),
            "row_shape": self._row_shape,
            "scaling": self.scaling_,
            "module": module_state(plain_module(self.net_)),
            "criterion": module_state(self.net_.criterion_),
        }
        if _is_classifier(self):
            return {**state, "classes": self.classes_}
        return {**state, "y_mean": self._y_mean, "y_scale": self._y_scale}

    def set_state(self, state: dict[str, Any]) -> Self:
        """Become the network that `state` was taken of."""
        self.random_state, self.n_features_in_ = state["random_state"], state["n_features_in"]
        if state["feature_names_in"] is not None:
            self.feature_names_in_ = state["feature_names_in"]
        self._row_shape, self.scaling_ = state["row_shape"], state["scaling"]
        if _is_classifier(self):
            self._set_targets(state["classes"], None)
        else:
            self._y_mean, self._y_scale = state["y_mean"], state["y_scale"]
        self.device_ = resolve_device(self.device)
        with seeded(0, self.device_):
            self._start_net(torch.zeros(2, *self._row_shape, device=self.device_))
        load_module_state(plain_module(self.net_), state["module"])
        load_module_state(self.net_.criterion_, state["criterion"])
        return self

    # -- gradients --------------------------------------------------------------------------------

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
            predictions.append(self._read_output(first_output(output).detach()))
        return np.concatenate(gradients), np.concatenate(predictions)

    def forward(self, rows: Tensor) -> Tensor:
        """Predict, differentiably with respect to the rows.

        Parameters
        ----------
        rows : tensor of shape (n_samples, ...)
            In the units of X, on any device.

        Returns
        -------
        predictions : float tensor of shape (n_samples, n_classes) or (n_samples,)
            Probabilities, or values in the units of `y`; on the network's device, in eval mode.
        """
        check_is_fitted(self)
        plain_module(self.net_).eval()
        output = first_output(self.net_.infer(self.scaling_(rows.to(self.device_))))
        if not _is_classifier(self):
            return self._y_mean + self._y_scale * output.reshape(len(output))
        if isinstance(self.net_, NeuralNetBinaryClassifier):
            positive = positive_probability(self.net_, output).reshape(-1, 1)
            return torch.hstack([1 - positive, positive])
        P = self.net_._get_predict_nonlinearity()(output)[:, : len(self.classes_)]
        return P / P.sum(dim=1, keepdim=True)

    def _read_output(self, output: Tensor) -> np.ndarray:
        if not _is_classifier(self):
            return self._decode_values(as_numpy(output))
        if isinstance(self.net_, NeuralNetBinaryClassifier):
            positive = positive_probability(self.net_, output).reshape(-1) > self.net_.threshold
            return self.classes_[np.minimum(as_numpy(positive).astype(int), len(self.classes_) - 1)]
        return self.classes_[as_numpy(output[:, : len(self.classes_)].argmax(dim=1))]

    # -- rows in, arrays out ----------------------------------------------------------------------

    def _check_rows(self, X) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, to_host(X), allow_nd=True, reset=False, dtype="numeric")
        if X.shape[1:] != self._row_shape:
            raise ValueError(
                f"X has rows of shape {X.shape[1:]}, but TaskNet was fitted to {self._row_shape}. Give "
                "rows of that shape."
            )
        return X

    def _scaled(self, X: np.ndarray) -> Tensor:
        return self.scaling_(as_tensor(X)).to(self.device_)

    def _in_chunks(self, X: np.ndarray, function: Callable[[Tensor], Any]) -> list[Any]:
        return [function(self._scaled(X[piece])) for piece in chunks(len(X), chunk_rows(self._row_shape))]

    def _probabilities(self, X: np.ndarray) -> np.ndarray:
        P = np.concatenate(self._in_chunks(X, self.net_.predict_proba))[:, : len(self.classes_)]
        return P / P.sum(axis=1, keepdims=True) if len(self.classes_) < self._n_outputs() else P

    def _n_outputs(self) -> int:
        return 2 if isinstance(self.net_, NeuralNetBinaryClassifier) else self._value_shape[0]

    def _decode_values(self, values: np.ndarray) -> np.ndarray:
        # An offset far larger than the spread, as of Unix times, would eat the digits of float32.
        dtype = np.float64 if abs(self._y_mean) > 1e3 * self._y_scale else np.float32
        mean, scale = np.array([self._y_mean, self._y_scale], dtype=dtype)
        return mean + scale * values.reshape(len(values)).astype(dtype)

    def _at_head(
        self, X: np.ndarray, pick: Callable[[tuple, Tensor], tuple[Tensor, ...]]
    ) -> tuple[np.ndarray, ...]:
        """Run the module and keep what `pick` takes at the last linear layer."""
        kept: list[tuple[np.ndarray, ...]] = []
        module = plain_module(self.net_).eval()
        hook = self._head().register_forward_hook(
            lambda layer, inputs, output: kept.append(tuple(map(as_numpy, pick(inputs, output))))
        )
        try:
            with torch.no_grad():
                for piece in chunks(len(X), chunk_rows(self._row_shape)):
                    for rows in self._scaled(X[piece]).split(FORWARD_ROWS):
                        module(rows)
        finally:
            hook.remove()
        return tuple(np.concatenate(arrays) for arrays in zip(*kept, strict=True))

    def _head(self) -> Any:
        return plain_module(self.net_).get_submodule(self.head_name_ or "")


def copy_task_tags(tags: Tags, estimator: Any) -> Tags:
    """Copy from `estimator` into `tags` what says which task it serves; None is the default classifier."""
    try:
        source = get_tags(net_classifier() if estimator is None else estimator)
    except (AttributeError, TypeError):  # repr and get_params must work with an invalid parameter
        return tags
    tags.estimator_type = source.estimator_type
    tags.classifier_tags = source.classifier_tags
    tags.regressor_tags = source.regressor_tags
    tags.target_tags.required = True
    tags.input_tags.three_d_array = True
    return tags
