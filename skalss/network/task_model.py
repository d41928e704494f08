"""What a campaign trains: a network, or any classifier or regressor of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from skorch import NeuralNet
from torch import Tensor, nn

from ..targets import BaseTarget
from ..utils.scaling import Scaling
from .epochs import Pseudo
from .sklearn_model import SklearnModel
from .tasknet import TaskNet


class TaskModel(Protocol):
    """What a campaign trains. The last seven methods are there only where `abilities` say so.

    What it can do besides predicting, `abilities`, is known from a rehearsal, before anything is trained:

    ``"logits"``
        ``logits(X)``: class scores of rows.
    ``"features"``
        ``features(X)``, ``features_and_logits(X)`` and ``head_weight()``: the input of the last linear layer,
        and its weights.
    ``"gradient"``
        ``loss_gradient(decode, Z, y)`` and ``forward(rows)``: gradients with respect to rows.
    ``"gradients"``
        ``gradients(X)``: sketched gradients of the output with respect to the weights of all layers.

    A strategy names those that it cannot do without in its `needs`.

    Attributes
    ----------
    target_ : BaseTarget
        The kind of y, with what was learned of it.
    warm_start : bool
        Whether a campaign goes on from the last round's model.
    takes_pseudo_labels : bool
        Whether `fit_rows` takes rows with pseudo-labels.
    """

    target_: BaseTarget
    warm_start: bool
    takes_pseudo_labels: bool

    @property
    def abilities(self) -> frozenset[str]:
        """What it can do besides predicting, once it is trained."""

    def check(self) -> None:
        """Refuse an estimator that cannot be wrapped."""

    def set_params(self, **params: Any) -> Self:
        """Set parameters, as every estimator does; `random_state` is one."""

    def get_state(self) -> dict[str, Any]:
        """Return what was learned, for a file; only where it can be saved without pickle."""

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Become the model that `get_state` was taken of."""

    def fit_rows(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        target: BaseTarget | None = None,
        fresh: bool = True,
        scaling: Scaling | None = None,
        pseudo: Pseudo | None = None,
    ) -> Self:
        """Train on checked rows."""

    def rehearse(
        self, X: np.ndarray, y: np.ndarray, target: BaseTarget, *, pseudo: Pseudo | None = None
    ) -> Self:
        """Train a copy for a moment on made-up labels, before any is bought; return the copy."""

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return labels, or values in the units of y."""

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the score by the target's metric."""

    def logits(self, X: ArrayLike) -> np.ndarray:
        """Return class scores."""

    def features(self, X: ArrayLike) -> np.ndarray:
        """Return what enters the last linear layer."""

    def features_and_logits(self, X: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return both from one pass."""

    def head_weight(self) -> np.ndarray:
        """Return the weights of the last linear layer."""

    def gradients(self, X: ArrayLike, n_components: int = 512, *, random_state: Any = 0) -> np.ndarray:
        """Return sketched gradients of the output with respect to the weights."""

    def loss_gradient(
        self, decode: Callable[[Tensor], Tensor], Z: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradient of each row's loss with respect to its code, and what is predicted there."""

    def start_from(self, encoder: nn.Module) -> Any:
        """Let the next fresh network start from an encoder; only where `init_from_latent` is set."""

    def forward(self, rows: Tensor) -> Tensor:
        """Predict, differentiably with respect to the rows."""


def make_task_model(estimator: BaseEstimator | None) -> TaskModel:
    """Return an untrained task model around the user's estimator.

    Parameters
    ----------
    estimator : skorch net, TaskNet, classifier or regressor of scikit-learn, or None
        None: the default network.

    Returns
    -------
    model : TaskNet or SklearnModel

    Raises
    ------
    TypeError
        If it is none of these.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> make_task_model(Ridge())
    SklearnModel(estimator=Ridge())
    """
    if isinstance(estimator, TaskNet | SklearnModel):
        return clone(estimator)
    if estimator is None or isinstance(estimator, NeuralNet):
        return TaskNet(estimator)
    return SklearnModel(estimator)


def check_task_model(estimator: BaseEstimator | None) -> None:
    """Refuse what no task model can be made of, before anything is trained.

    Raises
    ------
    TypeError
        With what was got, and what will do.
    """
    model = make_task_model(estimator) if not isinstance(estimator, type) else SklearnModel(estimator)
    model.check()
