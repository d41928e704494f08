"""Whole campaigns around classifiers and regressors of scikit-learn."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skalss import AdaptiveLatentSampler, Campaign, PredictionsAgree
from skalss.latent import LinearLatent
from skalss.oracles import FunctionOracle
from skalss.strategies import InterpolationStrategy

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:150], DIGITS_Y[:150]
NAMES = np.array([f"class {y}" for y in Y])
VALUES = X[:, 20] + 0.1 * X[:, 30]
IMAGES = X.reshape(-1, 1, 8, 8)
FOREST = RandomForestClassifier(5)
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression(tol=0.01))
CLASSIFIERS = [FOREST, PIPELINE, HistGradientBoostingClassifier(max_iter=2)]
REGRESSORS = [RandomForestRegressor(5), Ridge(), HistGradientBoostingRegressor(max_iter=2)]
OF_FORESTS = ["margin", "entropy", "committee", "lcmd", "coreset", "kmeans", "random"]
WITHOUT_PROBABILITIES = [RidgeClassifier(), LinearSVC(tol=0.1)]


def name_of(value):
    return type(value).__name__ if hasattr(value, "fit") else str(value)


def make_sampler(estimator=FOREST, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "n_initial": 20,
        "n_per_round": 10,
        "max_labels": 50,
        "random_state": 0,
    }
    return AdaptiveLatentSampler(estimator, **{**defaults, **params})


def bought(sampler):
    return sampler.queries_["id"].tolist()


@pytest.mark.parametrize(
    ("estimator", "strategy"),
    [
        *((estimator, "auto") for estimator in CLASSIFIERS),
        *((FOREST, name) for name in OF_FORESTS),
        (PIPELINE, "committee"),
    ],
    ids=name_of,
)
def test_classes(estimator, strategy):
    sampler = make_sampler(estimator, strategy=strategy).fit(X, NAMES)
    assert sampler.n_labels_ == len(set(bought(sampler))) == 50
    assert sampler.score(X, NAMES) > 0.2
    assert sampler.classes_.tolist() == np.unique(NAMES).tolist()
    assert set(sampler.predict(X)) <= set(NAMES)
    assert sampler.predict_proba(X).shape == (150, 10)
    assert type(sampler.estimator_.estimator_) is type(estimator)
    again = make_sampler(estimator, strategy=strategy).fit(X, NAMES)
    assert bought(again) == bought(sampler)
    np.testing.assert_array_equal(again.predict_proba(X), sampler.predict_proba(X))


@pytest.mark.parametrize(
    ("estimator", "strategy"),
    [*((estimator, "auto") for estimator in REGRESSORS), (Ridge(), "committee"), (Ridge(), "random")],
    ids=name_of,
)
def test_values(estimator, strategy):
    sampler = make_sampler(estimator, strategy=strategy).fit(X, VALUES)
    assert sampler.n_labels_ == 50
    assert sampler.score(X, VALUES) > 0.05
    assert not hasattr(sampler, "predict_proba")
    assert bought(make_sampler(estimator, strategy=strategy).fit(X, VALUES)) == bought(sampler)


@pytest.mark.parametrize("wrong", [PCA(), RandomForestClassifier], ids=["PCA", "class"])
def test_what_is_no_classifier_or_regressor_is_refused(wrong):
    with pytest.raises(TypeError, match="estimator must be a skorch .* or a classifier or regressor of"):
        make_sampler(wrong).fit(X, Y)


def test_another_seed_buys_other_rows():
    assert bought(make_sampler(random_state=1).fit(X, Y)) != bought(make_sampler().fit(X, Y))


@pytest.mark.parametrize(
    ("strategy", "missing"),
    [
        ("badge", "input of a last linear layer"),
        ("mms", "input of a last linear layer"),
        ("snn", "gradients of the loss"),
        ("si", "gradients of the loss"),
    ],
)
def test_what_needs_the_inside_of_a_network_is_refused_before_anything_is_asked(strategy, missing):
    asked = []
    sampler = make_sampler(strategy=strategy, oracle=FunctionOracle(asked.append))
    with pytest.raises(
        ValueError, match=rf"needs .*{missing}.*, which RandomForest.* Choose one of \[.*'margin'"
    ):
        sampler.fit(X)
    assert not asked


@pytest.mark.parametrize("estimator", WITHOUT_PROBABILITIES, ids=name_of)
def test_a_classifier_without_probabilities_has_votes_for_a_committee(estimator):
    sampler = make_sampler(estimator, strategy="committee").fit(X, NAMES)
    assert sampler.n_labels_ == 50
    assert sampler.score(X, NAMES) > 0.5
    assert not hasattr(sampler, "predict_proba")


@pytest.mark.parametrize("estimator", WITHOUT_PROBABILITIES, ids=name_of)
def test_a_classifier_without_probabilities_has_no_class_scores(estimator):
    with pytest.raises(
        ValueError, match=rf"needs class scores, which {name_of(estimator)}.* Choose .*'committee'"
    ):
        make_sampler(estimator).fit(X, Y)


# -- classes --------------------------------------------------------------------------------------


def test_probabilities_have_a_column_for_each_class_that_may_come():
    sampler = make_sampler(classes=range(12)).fit(X, Y)
    assert sampler.classes_.tolist() == list(range(12))
    P = sampler.predict_proba(X)
    assert P.shape == (150, 12)
    assert P[:, 10:].sum() == 0


@pytest.mark.parametrize("strategy", ["auto", "margin", "committee"])
@pytest.mark.parametrize("estimator", [FOREST, LogisticRegression()], ids=name_of)
def test_one_class_so_far_is_no_error(estimator, strategy):
    oracle = FunctionOracle(lambda rows: ["b"] * len(rows))
    sampler = make_sampler(estimator, strategy=strategy, oracle=oracle, classes=["a", "b"], max_labels=30)
    assert set(sampler.fit(X).predict(X)) == {"b"}
    assert sampler.predict_proba(X)[0].tolist() == [0, 1]


@pytest.mark.parametrize("strategy", ["committee", "kmeans", "auto", "margin", "entropy", "least_confident"])
def test_one_class_so_far_is_no_error_where_no_other_is_known(strategy):
    oracle = FunctionOracle(lambda rows: ["b"] * len(rows))
    sampler = make_sampler(strategy=strategy, oracle=oracle, max_labels=30).fit(X)
    assert set(sampler.predict(X)) == {"b"}


@pytest.mark.parametrize(("estimator", "y"), [(FOREST, Y), (Ridge(), VALUES)], ids=name_of)
def test_one_label_is_enough(estimator, y):
    sampler = make_sampler(estimator, n_initial=1, n_per_round=1, max_labels=4).fit(X, y)
    assert sampler.n_labels_ == 4


# -- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["margin", "auto"])
def test_images_are_flattened(strategy):
    images = make_sampler(strategy=strategy).fit(IMAGES, Y)
    flat = make_sampler(strategy=strategy).fit(X, Y)
    assert images.estimator_.estimator_.n_features_in_ == 64
    assert images.predict(IMAGES).shape == (150,)
    if strategy == "margin":  # codes of images may come in another order
        assert bought(images) == bought(flat)


def test_tables():
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    sampler = make_sampler(PIPELINE).fit(frame, Y)
    assert bought(sampler) == bought(make_sampler(PIPELINE).fit(X, Y))
    with pytest.raises(ValueError, match="feature names"):
        sampler.predict(frame[frame.columns[::-1]])


@pytest.mark.parametrize("train_on", ["decoded", "both"])
def test_decoded_rows_are_trained_on(train_on):
    sampler = make_sampler(strategy="random", train_on=train_on).fit(X, Y)
    assert sampler.score(X, Y) > 0.2


def test_points_that_are_made_are_trained_on():
    strategy = InterpolationStrategy(climb="random", residual=True, n_candidates=60)
    oracle = FunctionOracle(lambda rows: rows[:, 0, 2, 4])
    sampler = make_sampler(Ridge(), strategy=strategy, oracle=oracle).fit(IMAGES)
    assert sampler.X_generated_.shape == (30, 1, 8, 8)
    assert sampler.score(IMAGES, X[:, 20]) > 0.9


# -- around a campaign ----------------------------------------------------------------------------


def test_a_ledger_is_resumed(tmp_path):
    first = make_sampler(ledger=tmp_path / "digits.ledger", max_labels=30).fit(X, NAMES)
    more = make_sampler(ledger=tmp_path / "digits.ledger", max_labels=50).fit(X, NAMES)
    assert bought(more)[:30] == bought(first)
    assert bought(more) == bought(make_sampler().fit(X, NAMES))


def test_control_rows():
    for estimator, strategy, y in [
        (FOREST, "auto", Y),
        (RidgeClassifier(), "committee", Y),
        (Ridge(), "auto", VALUES),
    ]:
        history = make_sampler(estimator, strategy=strategy, control_share=0.3).fit(X, y).history_
        assert history["n_control"].iloc[-1] == 9
        assert history["control_score"].iloc[-1] > 0.05


def test_scores_and_rules_of_probabilities():
    sampler = make_sampler(scoring="neg_log_loss", stop=PredictionsAgree(0.6))
    history = sampler.fit(X, Y, X_val=X, y_val=Y).history_
    assert history["val_score"].iloc[1:].notna().all()
    assert history["val_score"].iloc[-1] > history["val_score"].iloc[1]


def test_pseudo_labels_are_left_out_and_refused_where_they_are_asked_for():
    assert make_sampler().fit(X, Y).history_["n_pseudo"].sum() == 0
    with pytest.raises(ValueError, match="an estimator of scikit-learn has none"):
        make_sampler(pseudo_labels="spread").fit(X, Y)


@pytest.mark.parametrize(
    ("estimator", "name", "worse", "better"),
    [
        (FOREST, "estimator__max_depth", 1, 8),
        (PIPELINE, "estimator__logisticregression__C", 1e-9, 0.1),
    ],
    ids=name_of,
)
def test_a_grid_search_reaches_its_parameters(estimator, name, worse, better):
    sampler = make_sampler(estimator, strategy="random")
    search = GridSearchCV(sampler, {name: [worse, better]}, cv=2).fit(X, Y)
    assert search.best_params_ == {name: better}


@pytest.mark.parametrize(("estimator", "y"), [(FOREST, Y), (Ridge(), VALUES)], ids=name_of)
def test_it_is_pickled_and_not_saved(estimator, y, tmp_path):
    sampler = make_sampler(estimator, strategy="random").fit(X, y)
    with pytest.raises(
        TypeError, match="cannot be saved without pickle: only networks can. Pickle the sampler"
    ):
        sampler.save(tmp_path / "saved")
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sampler)).predict(X), sampler.predict(X))


@pytest.mark.parametrize("strategy", ["auto", "committee"])
def test_a_campaign_is_saved_and_goes_on(strategy, tmp_path):
    campaign = Campaign(make_sampler(strategy=strategy), X, Y)
    next(iter(campaign.rounds()))
    campaign.save(tmp_path / "campaign")
    loaded = Campaign.load(tmp_path / "campaign", X)
    assert loaded.run().queries["id"].tolist() == campaign.run().queries["id"].tolist()
    assert len(loaded.queries) == 50
