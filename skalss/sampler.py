"""AdaptiveLatentSampler: scikit-learn's fit and predict around a campaign."""

from __future__ import annotations

import copy
import os
import warnings
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch import NeuralNet

from .campaign import Campaign
from .campaign import fitted as fitted_state
from .campaign.vectorizer import check_seen, vectorize
from .network import TaskNet, check_task_model, make_task_model
from .network.tags import copy_task_tags
from .oracles.base import FAILED
from .strategies import InterpolationStrategy, NearestNeighborStrategy
from .targets import make_target
from .utils import store
from .utils.checks import check_choice, check_path, checked_rows, reading
from .utils.columns import to_column
from .utils.tensors import to_host

_PAPER_CLIMB: dict[str, Any] = {
    "step": 1.0,
    "n_steps": 1,
    "stop_at_flip": False,
    "start_once": False,
    "min_distance": None,
}
_PAPER_POINTS: dict[str, dict[str, Any]] = {"snn": {}, "si": {"bounds": None}}


def _failures(campaign: Campaign) -> str:
    """Say what failed, for an error that may come of it."""
    reasons = campaign.queries.query("state == 'failed'")["reason"]
    return f" {len(reasons)} questions failed: {reasons.unique()[:3].tolist()}." if len(reasons) else ""


def _check_whole_key(y: object) -> None:
    """Refuse an answer key with holes, whatever its dtype."""
    column = to_column(y)
    missing = int(np.asarray(pd.isna(column)).sum()) if column.ndim == 1 else 0
    if missing:
        raise ValueError(
            f"Without an oracle, y is the answer key and must hold a label for every row; {missing} of "
            f"{len(column)} are missing. Fill them in; or set oracle=, which is asked for these rows while "
            "labeled= marks those that are known; or let people answer with Campaign(sampler, X, y), its "
            "ask() and tell()."
        )


def _has_probabilities(sampler: AdaptiveLatentSampler) -> bool:
    return hasattr(make_task_model(sampler.estimator), "predict_proba")


class AdaptiveLatentSampler(MetaEstimatorMixin, BaseEstimator):
    """Learn from few, well-chosen labels: adaptive latent space sampling.

    A latent model learns the unlabelled pool. Then, round by round, a strategy chooses rows, an oracle
    labels them, and the network is trained on all labels so far. Classifier or regressor, as the wrapped
    net is.

    Parameters
    ----------
    estimator : skorch net, TaskNet, or classifier or regressor of scikit-learn, default=None
        What is trained. None: ``skalss.nets.net_classifier()``, a small MLP. To reach its parameters with
        ``set_params(estimator__lr=...)`` or a grid search, pass such a net instead of None. A
        ``TaskNet(net, warm_start=True)`` goes on from the last round's weights in each round. A forest, a
        Pipeline, or any other estimator of scikit-learn works with the strategies that need neither features
        nor gradients of a network, ``"auto"`` among them; a classifier must have `predict_proba` for it.
    latent_model : latent model, default=None
        Fitted on the pool when a strategy or `train_on` first needs it. None: ``VAE()``, or ``ConvVAE()``
        for images (n, c, h, w). A ``FrozenEstimator(vae)`` is fitted once and shared by every clone. Any
        transformer of scikit-learn will do for strategies that decode nothing; see also `codes` in `fit`.
    strategy : str or BaseStrategy, default="auto"
        How rows are chosen: ``"snn"``, ``"si"``, ``"random"``, ``"mms"``, ``"margin"``, ``"entropy"``,
        ``"least_confident"``, ``"badge"``, ``"coreset"``, ``"kmeans"``, ``"typical"``, ``"committee"``,
        ``"lcmd"``, ``"random_codes"`` or an object, whose parameters a grid search reaches as
        ``strategy__step`` and so on. ``"auto"``: the best we have for the task, today `AdaptiveStrategy`
        for one class a row and `LargestClusterStrategy` for all other labels. Where some classes are rare,
        see ``AdaptiveStrategy(rare_share=...)`` and ``TaskNet(net, class_weight="balanced")``.
    oracle : BaseOracle or callable, default=None
        Who labels. None: `y` is the answer key, and labels are looked up when they are bought.
    initial : str or BaseStrategy, default="auto"
        How the first rows are chosen, before there are labels: ``"random"``; from the codes alone
        ``"kmeans"``, ``"typical"`` or ``"coreset"``; points made of ``"random_codes"``; or a strategy whose
        `needs` are empty. ``"auto"``: ``"kmeans"`` for classes, one or several a row, with
        ``strategy="auto"``; otherwise ``"random"``.
    n_initial : int, default=50
        Rows labelled before the strategy takes over, those that are known from the start among them.
    n_per_round : int, default=50
        Rows asked in each later round.
    max_labels : int, default=500
        Budget of paid answers: labels, abstentions and charged failures. Clipped to the pool.
    stop : StoppingRule or several of them, default=()
        When to stop, besides: ``MaxCost(250)``, ``MaxRounds(8)``, ``ScoreReached(0.95)``,
        ``PredictionsAgree(0.99)``, ``MaxFailures(10)``, or a rule of yours. The first that holds ends the
        campaign, with what it has. More than ten failures always do, unless `stop` has another `MaxFailures`.
    scoring : str or callable, default=None
        Scorer for `ScoreReached`, the control rows and the history; None: accuracy or R², macro F1 with
        several labels a row, mean IoU of masks. Of masks ``"dice"`` and ``"accuracy"`` are known, too.
    classes : array-like of shape (n_classes,), default=None
        All labels that may come; a label outside is refused. None: those of `y` without an oracle,
        otherwise those seen so far; with several labels a row they must be named.
    train_on : {"original", "decoded", "both"}, default="original"
        Whether the network trains on the labelled rows, on their decoded codes, or on both.
    pseudo_labels : {"auto", "spread"}, LabelSpreader or None, default="auto"
        Whether rows that nobody labelled train the network, too, in the first part of each training: labels
        spread over the neighbour graph of the codes. ``"auto"``: for one class a row and ``strategy="auto"``.
    control_share : float, default=0.0
        Share, in [0, 1), of the questions after the first set that go to control rows: rows drawn at random
        from the whole pool before anything is asked, which no strategy may choose. Their labels are held out
        while the campaign runs, so that the network of each round has a score on random rows it has not
        seen. The network that `fit` leaves is trained on them, too. Above 0, a network is trained in each
        round, even for ``"random"``.
    ledger : str, path or Ledger, default=None
        File in which every question and answer is kept: an answer is on the disk before it is used. `fit`
        with the same ledger and settings goes on where an earlier one was killed. Campaigns on the same rows
        share it, and buy no label twice. In the folder ``<ledger>-cache`` beside it they keep what a restart
        would compute again; ``Ledger(path, cache=False)`` keeps nothing there. None: answers are kept in
        memory only.
    vectorizer : "auto", transformer, callable or None, default="auto"
        Turns the rows as you have them into the numbers that models and strategies see; who labels sees the
        rows as they are. A transformer of scikit-learn is cloned and fitted to the pool, without labels. A
        callable, such as the `encode` of a sentence encoder, gets some rows at a time. ``"auto"``: numbers
        pass as they are; a DataFrame with text, categories, dates or missing values goes through a
        ColumnTransformer; a list of texts through TF-IDF. None: X must be numbers.
    random_state : int, RandomState or None, default=None
        The same seed, machine, device and number of threads buy the same rows. With a ledger, None takes the
        seed of the last campaign there with the same settings and ids, so that a new `fit` resumes it.
    verbose : int, default=0
        1 shows a progress bar of the labels, and one of every pass that takes a while: the latent model's
        training, encoding, the network's training, a committee.

    Attributes
    ----------
    estimator_ : TaskNet or SklearnModel
        The network, trained on every label, those of control rows included. An estimator of scikit-learn is
        its ``estimator_``.
    vectorizer_ : transformer, callable or None
        Fitted; None where the rows were numbers.
    latent_model_ : latent model or None
        None if nothing needed it, as with ``strategy="random"``, or `fit` got `codes`.
    classes_ : array of shape (n_classes,)
        Classifiers only.
    history_ : DataFrame
        A row whenever rows were asked or the network was scored: `round`, `n_labels`, `n_queries`, `cost`
        (paid so far), `val_score`, `n_asked`, `latent_seconds`, `fit_seconds`, `query_seconds`,
        `network_rows` (those that passed the network to choose; one with a gradient counts as three),
        `n_pseudo` (rows with pseudo-labels in the training), `pseudo_reason` (why there were some, or none;
        empty where no network was trained), `outlook` (whether choosing these rows is likely to gain over
        random ones, and why; empty where nothing is known), `error_ratio` (of values: RMSE over MAE on rows
        that no network had seen, held-out or control rows, otherwise those asked last; from about 1.4 on
        choosing is likely to pay, NaN where there are fewer than 20). With `control_share`: `n_control`
        (labels of control rows so far), `control_score` on them with its 95 % interval from `control_low` to
        `control_high` (Wilson's for an accuracy, otherwise a percentile bootstrap), and `asked_score` of the
        same network on the rows that the strategy chose by it, before it trained on them; NaN where there are
        fewer than two control rows, none of the strategy's, or too few classes among them for the scorer. The
        last `control_score` is of the network before it was trained on the control rows. With
        `PredictionsAgree`: `agreement` with the network of the round before.
    control_scores_ : DataFrame
        With `control_share`, the score by class: a row for each round in which two or more control rows had
        labels, and each class among them: `round`, `n_labels`, `label`, `n_control` (control rows of the
        class), `recall` (share of them that the network gets right) with its 95 % interval (Wilson's) from
        `recall_low` to `recall_high`. A class with few control rows has a wide one. Empty for values.
    queries_ : DataFrame
        A row for each question: `id`, `round`, `kind` (pool or generated), `position`, `state` (pending,
        labeled, abstained, failed), `label`, `strategy`, `control` (whether it was drawn at random and held
        out), `score`, `cost` (paid if it is charged), `charged`, `reason`, `annotator`, `reused` (whether the
        ledger had the answer before this run asked for it).
    labeled_indices_ : int array
        Pool rows with a label, given ones first, then in the order asked.
    X_generated_, y_generated_ : arrays
        Labelled points that the strategy made.
    n_labels_ : int
        Usable labels bought.
    n_queries_ : int
        Paid answers.
    n_rounds_ : int
        Batches asked, the first set included.
    stop_reason_ : str or None
        Why the campaign ended: ``"max_labels"``, ``"pool exhausted"``, ``"interrupted"``, or what a rule of
        `stop` said: ``"max_cost"``, ``"max_rounds"``, ``"score_reached"``, ``"predictions_agree"``,
        ``"max_failures"``; None if it was finished before one did.
    n_features_in_ : int
        Columns of X; channels, for images.

    References
    ----------
    Adaptive latent space sampling, arXiv:2004.02757.

    Examples
    --------
    >>> from skalss import AdaptiveLatentSampler
    >>> from skalss.datasets import load_digits_pool
    >>> pool = load_digits_pool()
    >>> sampler = AdaptiveLatentSampler(n_initial=30, n_per_round=30, max_labels=90, random_state=0)
    >>> sampler.fit(pool.X, pool.y).n_labels_
    90
    >>> bool(sampler.score(pool.X_test, pool.y_test) > 0.7)
    True
    """

    def __init__(
        self,
        estimator=None,
        latent_model=None,
        strategy="auto",
        oracle=None,
        *,
        initial="auto",
        n_initial=50,
        n_per_round=50,
        max_labels=500,
        stop=(),
        scoring=None,
        classes=None,
        train_on="original",
        pseudo_labels="auto",
        control_share=0.0,
        ledger=None,
        vectorizer="auto",
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.latent_model = latent_model
        self.strategy = strategy
        self.oracle = oracle
        self.initial = initial
        self.n_initial = n_initial
        self.n_per_round = n_per_round
        self.max_labels = max_labels
        self.stop = stop
        self.scoring = scoring
        self.classes = classes
        self.train_on = train_on
        self.pseudo_labels = pseudo_labels
        self.control_share = control_share
        self.ledger = ledger
        self.vectorizer = vectorizer
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def paper(cls, strategy: str, **overrides: Any) -> Self:
        """Set up the published procedure.

        A random first set; in each round, start rows drawn at random from the labelled set, one step up
        the gradient of the task loss through the decoder, then the nearest pool row (SNN) or the decoded
        point (SI); the network trains on the decoded rows of all sets so far, continued from the last
        round's weights: an `estimator` that is a net becomes ``TaskNet(net, warm_start=True)``. As published,
        nothing keeps the points of SI inside of the pool's range; a warning says when some leave it, and
        ``strategy__bounds="pool"`` or a pair (low, high), set by `set_params`, keeps them inside.

        Parameters
        ----------
        strategy : {"snn", "si"}
        **overrides
            Any parameter of the sampler.

        Returns
        -------
        sampler : AdaptiveLatentSampler

        Examples
        --------
        >>> from skalss import AdaptiveLatentSampler
        >>> AdaptiveLatentSampler.paper("snn").train_on
        'decoded'
        """
        published = {"snn": NearestNeighborStrategy, "si": InterpolationStrategy}
        check_choice("strategy", strategy, published)
        settings = {
            "strategy": published[strategy](**_PAPER_CLIMB, **_PAPER_POINTS[strategy]),
            "initial": "random",
            "pseudo_labels": None,
            "train_on": "decoded",
        }
        estimator = overrides.pop("estimator", None)
        if isinstance(estimator, TaskNet):
            estimator = clone(estimator).set_params(warm_start=True)
        elif estimator is None or isinstance(estimator, NeuralNet):
            estimator = TaskNet(estimator, warm_start=True)
        return cls(estimator, **{**settings, **overrides})

    def __sklearn_clone__(self) -> Self:
        """Clone all but the oracle: a deep copy of a callable would be asked in place of the user's own."""
        bare = copy.copy(self)
        bare.oracle = None
        shared = not hasattr(self.vectorizer, "get_params") and callable(self.vectorizer)
        if shared:
            bare.vectorizer = None
        made = BaseEstimator.__sklearn_clone__(bare)
        made.oracle = self.oracle
        if shared:
            made.vectorizer = self.vectorizer
        return made

    def __sklearn_tags__(self) -> Tags:
        """Tell which checks apply, by delegation to the net."""
        tags = copy_task_tags(super().__sklearn_tags__(), self.estimator)
        tags.target_tags.required = self.oracle is None
        return tags

    def fit(
        self,
        X,
        y=None,
        *,
        labeled=None,
        sample_id=None,
        X_val=None,
        y_val=None,
        show=None,
        codes=None,
    ) -> Self:
        """Buy labels round by round and train on them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...), or Box
            The pool. A sparse matrix, a table with categories or gaps, or texts are taken, too, and whatever
            `vectorizer` turns into numbers; so are the rows of `predict`. A memory map is read in chunks. In
            a :class:`~skalss.simulation.Box`, the bounds of a simulator's parameters, rows are drawn from
            `random_state`.
        y : array-like of shape (n_samples,) or (n_samples, ...), default=None
            Without an oracle: the answer key, of which only bought labels are used. With one: labels that
            are known already; missing ones are None, NaN or pandas' NA. A label may also be several values
            (n_samples, n_values); several classes at once, as 0 and 1 (n_samples, n_classes) or lists of
            classes; a mask of whole numbers, or a field of values, (n_samples, height, width) or deeper: see
            `skalss.targets`. Without `y` the network's output tells which, or ``TaskNet(net, target=...)``.
        labeled : bool array of shape (n_samples,), default=None
            Rows whose `y` may be used from the start, at no cost.
        sample_id : array-like of shape (n_samples,), default=None
            What identifies each row to the oracle; None: its position.
        X_val, y_val : arrays, default=None
            Held-out rows for `ScoreReached` and the history.
        show : sequence of length n_samples, default=None
            What whoever labels sees of each row, where that is not X itself: the rows as they came, before a
            Pipeline scaled or encoded them. A DataFrame, an array, or a list of texts or paths, in the order
            of X. The oracle and its costs get these rows, and batches show them. None: X.
        codes : array-like of shape (n_samples, n_components), default=None
            Codes of the pool, in the order of X, that you computed before: no latent model is fitted, and
            `latent_model_` is None. Finite numbers; a memory map of float32 stays one. Strategies that decode
            codes, or `train_on` decoded rows, are refused. In a ledger, other codes make another campaign,
            which buys no label twice. None: codes come from `latent_model`.

        Returns
        -------
        self : AdaptiveLatentSampler

        Raises
        ------
        ValueError, TypeError
            If data or parameters are wrong, before anything trains.
        OracleError
            If the oracle breaks down; it carries the campaign, with every answer that arrived.
        LedgerError
            If the ledger is damaged, locked by another campaign, full, or of other data or another task.
        """
        if y is None and self.oracle is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None. Without an "
                "oracle, y is the answer key; or set oracle= to ask a function or a person."
            )
        check_task_model(self.estimator)
        if self.oracle is None:
            _check_whole_key(y)
            with reading("y"):
                y = make_target(make_task_model(self.estimator), y=y).checked_column(y)
        campaign = Campaign(
            self,
            X,
            y,
            labeled=labeled,
            sample_id=sample_id,
            X_val=X_val,
            y_val=y_val,
            show=show,
            codes=codes,
        )
        try:
            fitted = campaign.run().finish()
        except KeyboardInterrupt:
            fitted = self._finish_early(campaign)
        except Exception as error:
            if campaign.records.questions and not hasattr(error, "campaign"):
                error.campaign = campaign  # type: ignore[attr-defined]
                error.add_note(
                    f"The {campaign.records.n_paid} answers bought so far are kept in error.campaign."
                    + _failures(campaign)
                )
            raise
        finally:
            campaign.close()
        self._take(fitted)
        if self.stop_reason_ == "max_failures":
            warnings.warn(
                f"Stopped after {(self.queries_['state'] == FAILED).sum()} failed answers, with "
                f"{self.n_labels_} labels. queries_ has the reasons; allow more with stop=MaxFailures(n), or "
                "mend the oracle to go on.",
                UserWarning,
                stacklevel=2,
            )
        return self

    def _finish_early(self, campaign: Campaign) -> AdaptiveLatentSampler:
        if not campaign.records.labels(held_out=True):
            raise KeyboardInterrupt  # nothing to be saved
        campaign.interrupt()
        warnings.warn(
            f"Interrupted after {campaign.records.n_paid} paid answers: the sampler is fitted with the last "
            "trained network.",
            UserWarning,
            stacklevel=3,
        )
        return campaign.finish()

    def _take(self, fitted: AdaptiveLatentSampler) -> None:
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)  # nothing of an earlier fit stays
        for name, value in vars(fitted).items():
            if name.endswith("_"):
                setattr(self, name, value)

    def predict(self, X):
        """Predict labels, or targets in the units of the oracle.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        y : array of shape (n_samples,) or (n_samples, ...)
            Where several classes may hold, 0 and 1 in the order of `classes_`.
        """
        X = self._check_rows(X)
        return self.estimator_.predict(X)

    @available_if(_has_probabilities)
    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)

        Returns
        -------
        P : float array of shape (n_samples, n_classes), of masks (n_samples, n_classes, height, width)
            In float32 where a network is trained. Columns in the order of `classes_`.
        """
        X = self._check_rows(X)
        return self.estimator_.predict_proba(X)

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
        X = self._check_rows(X)
        return self.estimator_.score(X, y, sample_weight=sample_weight)

    def save(self, path: str | os.PathLike) -> None:
        """Write what was learned to one file, without pickle; atomic.

        Numbers are held as safetensors, all else as JSON. Not in it are the objects you made the sampler of
        (nets, latent models, strategies, oracles), the pool, and what training has left in the net besides
        its weights: the state of its optimiser and its record of epochs. `load` reads it back around objects
        of yours; ``skalss.load_model`` reads the network alone, to predict.

        Parameters
        ----------
        path : str or path
            Of a file; one that is there is replaced once the new one is whole.

        Raises
        ------
        TypeError
            If labels or ids are neither numbers nor text, or the latent model is of another library.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sklearn.base import clone
        >>> from sklearn.datasets import load_iris
        >>> from skalss import AdaptiveLatentSampler
        >>> X, y = load_iris(return_X_y=True)
        >>> sampler = AdaptiveLatentSampler(strategy="random", max_labels=50, random_state=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "iris.skalss"
        ...     sampler.fit(X, y).save(path)
        ...     loaded = AdaptiveLatentSampler.load(path, clone(sampler))
        >>> bool((loaded.predict(X) == sampler.predict(X)).all())
        True
        """
        check_is_fitted(self)
        check_path("path", path)
        store.write(path, fitted_state.state_of(self))

    @classmethod
    def load(cls, path: str | os.PathLike, sampler: AdaptiveLatentSampler) -> AdaptiveLatentSampler:
        """Read what `save` wrote. No code in the file runs: it holds none.

        Parameters
        ----------
        path : str or path
        sampler : AdaptiveLatentSampler
            Not fitted, made as the one that was saved; it is not changed. Its `random_state`, `verbose` and
            oracle may be others, and the devices of its parts.

        Returns
        -------
        sampler : AdaptiveLatentSampler
            Fitted: the same predictions, codes and attributes.

        Raises
        ------
        ValueError
            If the file is not a saved sampler, of a newer format or damaged; or if a setting of `sampler` is
            not what it was, which is named.
        TypeError
            If `sampler` is not an AdaptiveLatentSampler.
        """
        if not isinstance(sampler, AdaptiveLatentSampler):
            raise TypeError(
                f"load needs an unfitted sampler like the one that was saved, got {sampler!r}. Pass "
                "AdaptiveLatentSampler(...) with the same settings."
            )
        check_path("path", path)
        fitted = clone(sampler)
        fitted_state.restore(fitted, store.read(path))
        return fitted

    def _check_rows(self, X):
        check_is_fitted(self)
        vectorizer = getattr(self, "vectorizer_", None)
        if vectorizer is not None:
            X = to_host(X)
            check_seen(self, X)
            return checked_rows("X", vectorize(vectorizer, X))
        with reading("X"):
            X = validate_data(
                self, to_host(X), allow_nd=True, reset=False, dtype="numeric", accept_sparse="csr"
            )
        return checked_rows("X", X)
