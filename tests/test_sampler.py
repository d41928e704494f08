"""What a fitted sampler shows, its seeds, and its progress."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import AnswerKey, FunctionOracle
from skalss.strategies import InterpolationStrategy, NearestNeighborStrategy

from .sampling import X_TEST, Y_REG, Y_TEST, X, Y, label_of, make_sampler

# -- fitted attributes -----------------------------------------------------------------------------


def test_history_and_queries_are_as_documented():
    sampler = make_sampler().fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    queries, history = sampler.queries_, sampler.history_
    assert queries.columns.tolist() == (
        ["id", "round", "kind", "position", "state", "label"]
        + ["strategy", "control", "score", "cost", "charged", "reason"]
        + ["annotator", "reused"]
    )
    assert len(queries) == 30
    assert queries["round"].tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert queries["strategy"].unique().tolist() == ["KMeansStrategy", "AdaptiveStrategy"]
    assert set(queries["kind"]) == {"pool"}
    assert set(queries["state"]) == {"labeled"}
    assert queries["charged"].all()
    np.testing.assert_array_equal(queries["id"], queries["position"])
    np.testing.assert_array_equal(queries["label"], Y[queries["position"]])
    np.testing.assert_array_equal(sampler.labeled_indices_, queries["position"])
    assert history.columns.tolist()[:3] == ["round", "n_labels", "n_queries"]
    assert set(history.columns) == (
        {"round", "n_labels", "n_queries", "cost", "val_score", "n_asked"}
        | {"latent_seconds", "fit_seconds", "query_seconds", "network_rows", "n_pseudo"}
        | {"pseudo_reason", "outlook", "error_ratio"}
        | {"n_control", "control_score", "control_low", "control_high", "asked_score", "agreement"}
    )
    assert history["round"].tolist() == [0, 1, 2, 3]
    assert history["n_labels"].tolist() == [0, 10, 20, 30]
    assert history["n_queries"].tolist() == [0, 10, 20, 30]
    assert history["n_asked"].tolist() == [10, 10, 10, 0]
    assert (history["fit_seconds"].iloc[1:] > 0).all()
    assert (history["query_seconds"] >= 0).all()
    assert history["val_score"].iloc[1:].notna().all()


def test_fitted_attributes():
    sampler = make_sampler().fit(X, Y)
    assert (sampler.n_labels_, sampler.n_queries_, sampler.n_rounds_) == (30, 30, 3)
    assert sampler.stop_reason_ == "max_labels"
    assert sampler.n_features_in_ == 64
    assert sampler.X_generated_.shape[0] == sampler.y_generated_.shape[0] == 0
    np.testing.assert_array_equal(sampler.classes_, np.arange(10))
    assert isinstance(sampler.estimator_, TaskNet)
    assert isinstance(sampler.latent_model_, LinearLatent)
    assert not hasattr(sampler, "X_")
    P = sampler.predict_proba(X_TEST)
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(sampler.predict(X_TEST), sampler.classes_[P.argmax(axis=1)])
    assert sampler.score(X_TEST, Y_TEST) == np.mean(sampler.predict(X_TEST) == Y_TEST)


def test_no_generated_points_have_a_shape():
    assert make_sampler().fit(X, Y).X_generated_.shape == (0, X.shape[1])


def test_a_refit_forgets_the_last_fit():
    sampler = make_sampler().fit(X, Y)
    sampler.fit(X[:60], Y[:60] % 3)
    fresh = make_sampler().fit(X[:60], Y[:60] % 3)
    np.testing.assert_array_equal(sampler.predict_proba(X_TEST), fresh.predict_proba(X_TEST))
    np.testing.assert_array_equal(sampler.labeled_indices_, fresh.labeled_indices_)
    regression = sampler.set_params(estimator=net_regressor(max_epochs=3)).fit(X, Y_REG)
    assert not hasattr(regression, "classes_")


def test_a_refit_forgets_the_feature_names():
    sampler = make_sampler().fit(pd.DataFrame(X).add_prefix("c"), Y)
    assert not hasattr(sampler.fit(X, Y), "feature_names_in_")


def test_a_refused_fit_leaves_the_earlier_one():
    sampler = make_sampler().fit(X, Y)
    before = sampler.predict(X_TEST)
    with pytest.raises(ValueError, match="NaN"):
        sampler.fit(np.full((20, 3), np.nan), np.zeros(20))
    np.testing.assert_array_equal(sampler.predict(X_TEST), before)


def two_classes(rows):
    return [0, 1] * (len(rows) // 2)


def test_pickle_of_a_fitted_sampler_is_small_and_predicts():
    sampler = make_sampler(oracle=AnswerKey(Y)).fit(X)
    data = pickle.dumps(sampler)
    np.testing.assert_array_equal(pickle.loads(data).predict_proba(X_TEST), sampler.predict_proba(X_TEST))
    big = np.random.default_rng(0).random((20_000, 64))
    sampler = make_sampler(strategy="random", oracle=two_classes).fit(big)
    assert len(pickle.dumps(sampler)) < 1_000_000


def test_not_fitted():
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(AdaptiveLatentSampler(), method)(X)
    with pytest.raises(NotFittedError):
        AdaptiveLatentSampler().score(X, Y)


def test_no_probabilities_in_regression():
    assert not hasattr(AdaptiveLatentSampler(net_regressor()), "predict_proba")


# -- seeds -----------------------------------------------------------------------------------------


def test_random_state_as_an_object():
    samplers = [make_sampler(random_state=np.random.RandomState(3)).fit(X, Y) for _ in range(2)]
    np.testing.assert_array_equal(samplers[0].labeled_indices_, samplers[1].labeled_indices_)
    state = np.random.RandomState(3)
    sampler = make_sampler(random_state=state)
    first, second = sampler.fit(X, Y).labeled_indices_, sampler.fit(X, Y).labeled_indices_
    assert first.tolist() != second.tolist()  # it moves on, as scikit-learn has it


def test_without_a_seed_runs_differ():
    runs = [make_sampler(random_state=None, strategy="random").fit(X, Y).labeled_indices_ for _ in range(2)]
    assert runs[0].tolist() != runs[1].tolist()


@pytest.mark.parametrize("params", [{}, {"strategy": "random"}, {"strategy": "mms"}], ids=str)
def test_global_generators_are_untouched(params):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - the legacy generator is what must not move
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_sampler(**params).fit(X, Y)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    torch.manual_seed(4)
    np.testing.assert_array_equal(make_sampler(**params).fit(X, Y).predict_proba(X), first.predict_proba(X))


def test_the_oracle_draws_from_the_callers_generators():
    """Never inside a fork: a simulator's noise must not repeat, nor be undone."""
    drawn = []

    def noisy(rows):
        drawn.extend(torch.rand(len(rows)).tolist())
        return label_of(rows)

    torch.manual_seed(0)
    make_sampler(oracle=noisy, classes=range(10)).fit(X)
    torch.manual_seed(0)
    assert drawn == torch.cat([torch.rand(10) for _ in range(3)]).tolist()


# -- the published procedure -----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("snn", NearestNeighborStrategy), ("si", InterpolationStrategy)])
def test_published_parameters(name, kind):
    sampler = AdaptiveLatentSampler.paper(name)
    assert type(sampler.strategy) is kind
    published = {"step": 1.0, "n_steps": 1, "stop_at_flip": False, "start_once": False, "min_distance": None}
    if name == "si":
        published |= {"climb": "loss", "residual": False, "random_share": 0.0, "on_refusal": None}
    params = sampler.strategy.get_params()
    assert {key: params[key] for key in published} == published
    assert params.get("n_candidates") is None
    assert (sampler.train_on, sampler.initial) == ("decoded", "random")
    assert sampler.estimator.warm_start
    other = AdaptiveLatentSampler.paper(name, train_on="original", max_labels=7)
    assert (other.train_on, other.max_labels) == ("original", 7)
    assert clone(sampler).strategy.get_params() == sampler.strategy.get_params()


@pytest.mark.parametrize("name", ["random", "SNN", None])
def test_there_are_two_published_procedures(name):
    with pytest.raises((ValueError, TypeError), match=r"strategy must be one of \['snn', 'si'\], got"):
        AdaptiveLatentSampler.paper(name)


@pytest.mark.parametrize("name", ["snn", "si"])
def test_a_published_run(name, monkeypatch):
    trained = []
    train = TaskNet.fit_rows

    def note(self, X, y, **kwargs):
        trained.append((self, np.array(X), np.array(y)))
        return train(self, X, y, **kwargs)

    monkeypatch.setattr(TaskNet, "fit_rows", note)
    oracle = FunctionOracle(lambda rows: (np.asarray(rows)[:, :32].mean(axis=1) > 4.8).astype(int))
    sampler = AdaptiveLatentSampler.paper(
        name,
        estimator=net_classifier(max_epochs=3),
        latent_model=LinearLatent(4),
        oracle=oracle,
        classes=[0, 1],
        n_initial=10,
        n_per_round=10,
        max_labels=30,
        random_state=0,
    ).fit(X)
    assert [len(rows) for _, rows, _ in trained] == [10, 20, 30]
    np.testing.assert_array_equal(sampler.estimator_.logits(X), trained[-1][0].logits(X))
    assert len(sampler.estimator_.net_.history) == 9
    latent = sampler.latent_model_
    decoded = latent.inverse_transform(latent.transform(X[sampler.labeled_indices_]))
    n_pool = len(decoded)
    assert n_pool == (30 if name == "snn" else 10)
    np.testing.assert_allclose(trained[-1][1][:n_pool], decoded, rtol=1e-4, atol=1e-4)
    if name == "si":
        np.testing.assert_allclose(trained[-1][1][10:], sampler.X_generated_, rtol=1e-4, atol=1e-4)
    assert sampler.queries_["strategy"].iloc[0] == "RandomStrategy"
    # The labels are those of the rows asked, though the network sees them decoded.
    np.testing.assert_array_equal(trained[-1][2][:n_pool], oracle.function(X[sampler.labeled_indices_]))


# -- progress --------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["snn", "random"])
def test_quiet_by_default(strategy, capfd):
    make_sampler(strategy=strategy).fit(X, Y).predict(X)
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
def test_the_default_latent_model_is_quiet_too(capfd):
    make_sampler(latent_model=None).fit(X, Y)
    assert capfd.readouterr() == ("", "")


def test_verbose_shows_a_bar(capfd):
    make_sampler(verbose=1).fit(X, Y)
    out, err = capfd.readouterr()
    assert out == ""
    assert "30/30" in err
    assert "label/s" in err
