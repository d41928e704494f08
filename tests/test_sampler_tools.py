"""Scikit-learn's tools around a sampler."""

import numpy as np
import pytest
import torch
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skalss import TaskNet
from skalss.latent import LinearLatent
from skalss.nets import MLP, LeNet, net_classifier
from skalss.oracles import AnswerKey
from skalss.selective import EarlyDropLR, MarginMonitor, SelectiveNetClassifier
from skalss.strategies import NearestNeighborStrategy

from .sampling import DIGITS, X_TEST, Y_TEST, X, Y, label_of, make_sampler


def test_pipeline():
    pipeline = make_pipeline(FunctionTransformer(lambda X: X / 16), make_sampler()).fit(X, Y)
    assert pipeline[-1].n_labels_ == 30
    assert pipeline.score(X_TEST, Y_TEST) == pipeline[-1].score(X_TEST / 16, Y_TEST)
    assert is_classifier(pipeline)


def test_grid_search_reaches_every_part():
    sampler = make_sampler(net_classifier(max_epochs=3), strategy=NearestNeighborStrategy())
    grid = {"estimator__lr": [1e-7, 0.02], "latent_model__n_components": [2, 3], "strategy__step": [0.5, 1.0]}
    search = GridSearchCV(sampler, grid, cv=2, error_score="raise").fit(X, Y)
    assert search.best_params_["estimator__lr"] == 0.02
    best = search.best_estimator_
    assert best.latent_model_.n_components_ == search.best_params_["latent_model__n_components"]
    assert best.strategy.step == search.best_params_["strategy__step"]
    assert best.n_labels_ == 30
    assert sampler.strategy.step == 0.5


@pytest.mark.parametrize("strategy", ["snn", "mms", "random"])
@pytest.mark.parametrize("selector", ["mms", "prune"])
def test_a_net_that_chooses_its_rows(selector, strategy):
    net = SelectiveNetClassifier(
        LeNet,
        module__input_shape=(1, 8, 8),
        selector=selector,
        criterion=torch.nn.CrossEntropyLoss,
        batch_size=8,
        max_epochs=5,
        lr=0.05,
        train_split=None,
        callbacks=[MarginMonitor(warn=False), EarlyDropLR()],
    )
    sampler = make_sampler(net, strategy=strategy).fit(X, Y)
    assert sampler.n_labels_ == 30
    assert len(sampler.estimator_.net_.history) == 5
    assert sampler.estimator_.net_.history[-1, "class_counts"] is not None
    again = make_sampler(net, strategy=strategy).fit(X, Y)
    np.testing.assert_array_equal(sampler.labeled_indices_, again.labeled_indices_)
    np.testing.assert_array_equal(sampler.predict(X_TEST), again.predict(X_TEST))


def test_parameters_of_a_selector_are_reached_through_a_sampler():
    net = SelectiveNetClassifier(MLP, criterion=torch.nn.CrossEntropyLoss, max_epochs=2, train_split=None)
    sampler = make_sampler(net, strategy="random").set_params(estimator__selector__pool_factor=2)
    assert sampler.fit(X, Y).estimator_.net_.selector_.pool_factor == 2


def test_parameters_of_a_task_net_are_reached_too():
    sampler = make_sampler(TaskNet(net_classifier()))
    sampler.set_params(estimator__estimator__max_epochs=2)
    assert len(sampler.fit(X, Y).estimator_.net_.history) == 2


@pytest.mark.slow
def test_cross_validation_in_two_processes():
    sampler = make_sampler()
    here = cross_validate(sampler, X, Y, cv=2, error_score="raise")["test_score"]
    there = cross_validate(sampler, X, Y, cv=2, n_jobs=2, error_score="raise")["test_score"]
    np.testing.assert_allclose(there, here, atol=0.02)


class CountedLatent(LinearLatent):
    n_fits = 0

    def fit(self, X, y=None):
        CountedLatent.n_fits += 1
        return super().fit(X, y)


@pytest.mark.parametrize(("frozen", "n_fits"), [(True, 1), (False, 5)])
def test_a_frozen_latent_model_is_fitted_once(frozen, n_fits):
    CountedLatent.n_fits = 0
    latent = FrozenEstimator(CountedLatent(4).fit(X)) if frozen else CountedLatent(4)
    sampler = make_sampler(latent_model=latent)
    GridSearchCV(sampler, {"n_per_round": [10, 20]}, cv=2, error_score="raise").fit(X, Y)
    assert CountedLatent.n_fits == n_fits


def test_a_frozen_latent_model_is_the_one_used():
    latent = LinearLatent(3).fit(DIGITS)
    sampler = make_sampler(latent_model=FrozenEstimator(latent)).fit(X, Y)
    assert sampler.latent_model_.estimator is latent
    np.testing.assert_array_equal(sampler.latent_model_.transform(X), latent.transform(X))


class Recording(AnswerKey):
    """Keeps what each fold asked for."""

    def __init__(self, y, sample_id=None):
        super().__init__(y, sample_id)
        self.asked = []

    def label(self, X, ids):
        self.asked.append(list(ids))
        yield from super().label(X, ids)


def test_folds_read_only_their_own_labels():
    ids = np.array([f"scan-{i}" for i in range(120)])
    key = Recording(Y, ids)
    sampler = make_sampler(oracle=key, classes=range(10))
    folds = [(np.arange(0, 60), np.arange(60, 120)), (np.arange(60, 120), np.arange(0, 60))]
    nothing_known = np.zeros(120, dtype=bool)
    search = GridSearchCV(sampler, {"n_per_round": [20]}, cv=folds, refit=False, error_score="raise")
    search.fit(X, Y, sample_id=ids, labeled=nothing_known)
    asked = [sum(key.asked[i : i + 2], []) for i in (0, 2)]
    for (train, _), fold_ids in zip(folds, asked, strict=True):
        assert len(fold_ids) == 30
        assert set(fold_ids) <= set(ids[train])


def test_folds_cut_the_mask_of_known_rows():
    labeled = np.arange(120) % 60 < 12  # twelve in each half
    scores = cross_validate(
        make_sampler(),
        X,
        Y,
        cv=[(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))],
        params={"labeled": labeled},
        return_estimator=True,
        error_score="raise",
    )
    for sampler in scores["estimator"]:
        assert sampler.labeled_indices_[:12].tolist() == list(range(12))
        assert len(sampler.labeled_indices_) == 42


def test_a_key_by_position_is_refused_in_cross_validation():
    sampler = make_sampler(oracle=AnswerKey(Y))
    with pytest.raises(ValueError, match="holds 120 labels, but the pool has 60 rows.*cross-validation"):
        cross_validate(sampler, X, Y, cv=2, error_score="raise")


def test_folds_without_an_oracle_are_answered_from_their_own_y():
    """The label of a row is the number of its fold: a wrong look-up would mix them."""
    fold = np.repeat([0, 1], 60)
    result = cross_validate(
        make_sampler(),
        X,
        np.where(fold, Y, Y + 10),
        cv=[(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))],
        return_estimator=True,
        error_score="raise",
    )
    first, second = result["estimator"]
    assert set(first.queries_["label"]) <= set(range(10, 20))
    assert set(second.queries_["label"]) <= set(range(10))


def test_a_clone_asks_the_same_oracle():
    class Person:
        def __call__(self, rows):
            return label_of(rows)

        def __deepcopy__(self, memo):
            raise AssertionError("another would be asked in place of the user's own")

    person = Person()
    sampler = make_sampler(oracle=person)
    again = clone(clone(sampler))
    assert again.oracle is sampler.oracle is person
    assert again.latent_model is not sampler.latent_model
    assert again.fit(X).n_labels_ == 30
