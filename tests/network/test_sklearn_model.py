"""Any classifier or regressor of scikit-learn as what a campaign trains; campaigns have their own file."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import get_tags

from skalss.network import SklearnModel
from skalss.network.epochs import Pseudo
from skalss.targets import Classes, Values

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:150], DIGITS_Y[:150]
FOREST = RandomForestClassifier(5)


def test_the_clone_that_was_trained_is_there():
    model = SklearnModel(FOREST, random_state=0).fit(X, Y)
    assert type(model.estimator_) is RandomForestClassifier
    assert model.estimator_ is not FOREST
    np.testing.assert_array_equal(model.predict(X), model.estimator_.predict(X))
    np.testing.assert_array_equal(model.predict_proba(X), model.estimator_.predict_proba(X))


@pytest.mark.parametrize("estimator", [FOREST, Ridge()], ids=str)
def test_tags_are_those_of_the_estimator(estimator):
    assert get_tags(SklearnModel(estimator)).estimator_type == get_tags(estimator).estimator_type


def test_a_class_that_no_label_has_gets_0():
    model = SklearnModel(FOREST, random_state=0).fit_rows(X[Y < 3], Y[Y < 3], target=Classes(range(10)))
    P = model.predict_proba(X)
    assert P.shape == (150, 10)
    assert P[:, 3:].sum() == 0
    np.testing.assert_allclose(P.sum(axis=1), 1)


def test_columns_go_by_classes_and_not_by_what_was_seen_first():
    odd = Y % 2 == 1
    model = SklearnModel(FOREST, random_state=0).fit_rows(X[odd], Y[odd], target=Classes(range(10)))
    P = model.predict_proba(X)
    assert P[:, ::2].sum() == 0
    np.testing.assert_array_equal(P.argmax(axis=1), model.predict(X))


def test_class_scores_are_the_logarithms_of_the_probabilities():
    model = SklearnModel(FOREST, random_state=0).fit(X, Y)
    logits = model.logits(X)
    assert np.isfinite(logits).all()  # also of probabilities that are 0
    np.testing.assert_allclose(np.exp(logits), model.predict_proba(X), rtol=1e-5, atol=1e-30)


def test_where_all_labels_are_of_one_class_it_is_predicted():
    """A linear classifier of scikit-learn would refuse to be trained."""
    model = SklearnModel(LogisticRegression()).fit_rows(X[Y == 4], Y[Y == 4], target=Classes(range(10)))
    assert isinstance(model.estimator_, DummyClassifier)
    assert set(model.predict(X)) == {4}
    assert model.predict_proba(X).tolist() == np.eye(10)[[4] * 150].tolist()
    assert not hasattr(SklearnModel(RidgeClassifier()).fit(X[Y == 4], Y[Y == 4]), "predict_proba")


def test_equal_values_are_no_class():
    model = SklearnModel(Ridge()).fit(X, np.full(150, 7.0))
    assert type(model.estimator_) is Ridge
    np.testing.assert_allclose(model.predict(X), 7)


@pytest.mark.parametrize("n_dimensions", [2, 3, 4])
def test_rows_of_any_shape_are_flattened(n_dimensions):
    shaped = X.reshape([(150, 64), (150, 8, 8), (150, 1, 8, 8)][n_dimensions - 2])
    model = SklearnModel(FOREST, random_state=0).fit(shaped, Y)
    assert model.estimator_.n_features_in_ == 64
    flat = SklearnModel(FOREST, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(shaped), flat.predict_proba(X))
    np.testing.assert_array_equal(model.logits(shaped), flat.logits(X))


def test_seeds_reach_every_part():
    pipe = make_pipeline(PCA(10, svd_solver="randomized"), FOREST)
    first, same, other = (SklearnModel(pipe, random_state=seed).fit(X, Y) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.predict_proba(X), same.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), other.predict_proba(X))
    assert pipe.get_params()["pca__random_state"] is None
    given = first.estimator_.get_params()
    assert given["pca__random_state"] != given["randomforestclassifier__random_state"]


def test_what_takes_no_seed_is_trained_all_the_same():
    assert SklearnModel(GaussianNB(), random_state=0).fit(X, Y).score(X, Y) > 0.7


@pytest.mark.parametrize(
    ("estimator", "has"),
    [
        (FOREST, True),
        (make_pipeline(StandardScaler(), LogisticRegression()), True),
        (make_pipeline(StandardScaler(), LinearSVC()), False),
        (VotingClassifier([("a", GaussianNB())], voting="soft"), True),
        (VotingClassifier([("a", GaussianNB())]), False),
        (Ridge(), False),
    ],
    ids=str,
)
def test_probabilities_are_there_where_the_estimator_has_them(estimator, has):
    model = SklearnModel(estimator)
    assert hasattr(model, "predict_proba") == hasattr(model, "logits") == has
    assert model.abilities == ({"logits"} if has else set())


def test_each_training_is_a_fresh_one():
    """A forest that goes on would keep its first trees."""
    model = SklearnModel(FOREST, random_state=0)
    again = SklearnModel(FOREST, random_state=0).fit(X[:50], Y[:50])
    again.fit_rows(X, Y, fresh=False)
    np.testing.assert_array_equal(again.predict_proba(X), model.fit(X, Y).predict_proba(X))


def test_pseudo_labels_do_not_reach_it():
    pseudo = Pseudo(X[:50], np.zeros(50, dtype=int), 0.5)
    plain, given = (
        SklearnModel(FOREST, random_state=0).fit_rows(X, Y, pseudo=rows).predict_proba(X)
        for rows in (None, pseudo)
    )
    np.testing.assert_array_equal(plain, given)


def test_values_are_not_standardised():
    model = SklearnModel(Ridge()).fit_rows(X, X[:, 20] + 1e6, target=Values())
    np.testing.assert_allclose(model.predict(X), Ridge().fit(X, X[:, 20] + 1e6).predict(X))


@pytest.mark.parametrize("wrong", [PCA(), RandomForestClassifier, "forest", None], ids=str)
def test_what_is_no_classifier_or_regressor_is_refused(wrong):
    with pytest.raises(TypeError, match="or a classifier or regressor of scikit-learn, got"):
        SklearnModel(wrong).fit(X, Y)


def test_labels_are_checked_by_the_estimator():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        SklearnModel(FOREST).fit(X, X[:, 20] + 0.5)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        SklearnModel(FOREST).fit(X, Y[:5])


def test_a_label_outside_the_classes_is_refused():
    with pytest.raises(ValueError, match="outside classes"):
        SklearnModel(FOREST).fit_rows(X, Y, target=Classes([0, 9]))


@pytest.mark.parametrize(
    ("X_", "y_", "message"),
    [
        (X, None, "requires y to be passed"),
        (X[:0], Y[:0], "Found array with 0 sample"),
        (X, Y[:5], "inconsistent"),
    ],
    ids=["no y", "no rows", "too few labels"],
)
def test_rows_and_labels_are_checked(X_, y_, message):
    with pytest.raises(ValueError, match=message):
        SklearnModel(FOREST).fit(X_, y_)
