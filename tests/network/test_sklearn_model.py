"""Any classifier or regressor of scikit-learn as what a campaign trains."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skalss import AdaptiveLatentSampler, Campaign, TaskNet
from skalss.latent import LinearLatent
from skalss.nets import MLP, net_classifier, net_regressor
from skalss.network import SklearnModel, check_task_model, make_task_model
from skalss.targets import Classes

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:150], DIGITS_Y[:150]
VALUES = X[:, 20] + 0.1 * X[:, 30]
FOREST = RandomForestClassifier(5)
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression())


def make_sampler(estimator=FOREST, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "n_initial": 20,
        "n_per_round": 10,
        "max_labels": 50,
        "random_state": 0,
    }
    return AdaptiveLatentSampler(estimator, **{**defaults, **params})


@pytest.mark.parametrize("strategy", ["auto", "margin", "committee", "kmeans", "coreset", "lcmd"])
@pytest.mark.parametrize(
    "estimator",
    [FOREST, PIPELINE, HistGradientBoostingClassifier(max_iter=3)],
    ids=["forest", "pipe", "boost"],
)
def test_a_campaign_trains_it(estimator, strategy):
    sampler = make_sampler(estimator, strategy=strategy).fit(X, Y)
    assert sampler.n_labels_ == 50
    assert sampler.score(X, Y) > 0.25
    assert type(sampler.estimator_.estimator_) is type(estimator)
    again = make_sampler(estimator, strategy=strategy).fit(X, Y)
    assert again.queries_["id"].tolist() == sampler.queries_["id"].tolist()
    np.testing.assert_array_equal(again.predict_proba(X), sampler.predict_proba(X))


@pytest.mark.parametrize("strategy", ["auto", "committee", "coreset", "random"])
@pytest.mark.parametrize("estimator", [RandomForestRegressor(5), Ridge()], ids=["forest", "ridge"])
def test_values(estimator, strategy):
    sampler = make_sampler(estimator, strategy=strategy).fit(X, VALUES)
    assert sampler.score(X, VALUES) > 0.3
    assert not hasattr(sampler, "predict_proba")


@pytest.mark.parametrize(
    ("strategy", "missing"),
    [
        ("badge", "input of a last linear layer"),
        ("mms", "last linear layer"),
        ("snn", "gradients of the loss"),
    ],
)
def test_what_needs_the_inside_of_a_network_is_refused_before_anything_is_asked(strategy, missing):
    asked = []
    sampler = make_sampler(strategy=strategy, oracle=lambda rows: asked.append(rows))
    with pytest.raises(
        ValueError, match=rf"needs .*{missing}.*, which RandomForest.* Choose one of \[.*'margin'"
    ):
        sampler.fit(X)
    assert not asked


def test_a_classifier_without_probabilities_has_votes_for_a_committee_and_no_class_scores():
    assert make_sampler(RidgeClassifier(), strategy="committee").fit(X, Y).n_labels_ == 50
    assert not hasattr(make_sampler(RidgeClassifier()), "predict_proba")
    with pytest.raises(ValueError, match=r"needs class scores, which .*RidgeClassifier"):
        make_sampler(RidgeClassifier()).fit(X, Y)


def test_probabilities_have_a_column_for_each_class_that_may_come():
    model = SklearnModel(FOREST, random_state=0).fit_rows(X[Y < 3], Y[Y < 3], target=Classes(range(10)))
    P = model.predict_proba(X)
    assert P.shape == (150, 10)
    assert P[:, 3:].sum() == 0
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(model.logits(X)), P, rtol=1e-5, atol=1e-30)


def test_one_class_so_far_is_no_error():
    sampler = make_sampler(
        LogisticRegression(), classes=["a", "b"], max_labels=20, oracle=lambda X: ["b"] * len(X)
    )
    assert set(sampler.fit(X).predict(X)) == {"b"}
    assert sampler.predict_proba(X)[0].tolist() == [0, 1]


def test_text_labels_tables_images_and_a_ledger(tmp_path):
    names = np.array([f"class {y}" for y in Y])
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    sampler = make_sampler(PIPELINE, ledger=tmp_path / "digits.ledger", control_share=0.2).fit(frame, names)
    assert set(sampler.predict(frame)) <= set(names)
    assert sampler.history_["control_score"].notna().any()
    images = make_sampler(FOREST, strategy="random", latent_model=None).fit(X.reshape(-1, 1, 8, 8), Y)
    assert images.predict(X.reshape(-1, 1, 8, 8)).shape == (150,)


def test_seeds_reach_every_part():
    pipe = make_pipeline(PCA(10, svd_solver="randomized"), RandomForestClassifier(5))
    first, same, other = (SklearnModel(pipe, random_state=seed).fit(X, Y) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.predict_proba(X), same.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), other.predict_proba(X))
    assert pipe.get_params()["pca__random_state"] is None


def test_a_grid_search_reaches_its_parameters():
    grid = GridSearchCV(make_sampler(strategy="random"), {"estimator__max_depth": [1, 8]}, cv=2)
    assert grid.fit(X, Y).best_params_ == {"estimator__max_depth": 8}


def test_it_is_pickled_and_not_saved(tmp_path):
    sampler = make_sampler(strategy="random").fit(X, Y)
    with pytest.raises(TypeError, match="cannot be saved without pickle: only networks can"):
        sampler.save(tmp_path / "forest")
    campaign = Campaign(make_sampler(), X, Y)
    campaign.tell(campaign.ask().ids[:3], [0, 1, 2])
    campaign.save(tmp_path / "campaign")
    assert len(Campaign.load(tmp_path / "campaign", X).pending) == 17


def test_pseudo_labels_are_left_out_and_refused_where_they_are_asked_for():
    assert make_sampler().fit(X, Y).history_["n_pseudo"].sum() == 0
    with pytest.raises(ValueError, match="an estimator of scikit-learn has none"):
        make_sampler(pseudo_labels="spread").fit(X, Y)


@pytest.mark.parametrize("wrong", [PCA(), MLP(), MLP, RandomForestClassifier, "forest", 3], ids=str)
def test_what_is_no_classifier_or_regressor_is_refused(wrong):
    with pytest.raises(TypeError, match="estimator must be a skorch .* or a classifier or regressor of"):
        make_sampler(wrong).fit(X, Y)


@pytest.mark.parametrize("estimator", [None, net_classifier(), TaskNet(net_regressor())], ids=str)
def test_a_net_has_a_task_net(estimator):
    check_task_model(estimator)
    made = make_task_model(estimator)
    assert isinstance(made, TaskNet)
    assert made is not estimator


def test_abilities_are_known_before_anything_is_trained():
    assert make_task_model(FOREST).rehearse(X[:2], Classes()) == {"logits"}
    assert make_task_model(RidgeClassifier()).rehearse(X[:2], Classes()) == set()
    network = make_task_model(None)
    assert network.rehearse(X[:2], Classes()) == {"logits", "features", "gradient"}
    assert not hasattr(network, "net_")
