import itertools
import os
import pickle
import signal
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.latent import VAE, ConvVAE, LevelSetLatent, LinearLatent
from skalss.latent.rows import is_memory_mapped
from skalss.nets import MLP, LeNet, net_classifier, net_regressor
from skalss.oracles import AnswerKey, Failed, FunctionOracle
from skalss.selective import EarlyDropLR, MarginMonitor, SelectiveNetClassifier
from skalss.strategies import InterpolationStrategy, NearestNeighborStrategy

DIGITS, DIGITS_Y = load_digits(return_X_y=True)
X, Y = DIGITS[:120], DIGITS_Y[:120]
X_TEST, Y_TEST = DIGITS[120:300], DIGITS_Y[120:300]
Y_REG = X[:, 20] + 0.1 * X[:, 30]


def make_sampler(net=None, *, warm_start=False, **params):
    defaults = {
        "latent_model": LinearLatent(4),
        "n_initial": 10,
        "n_per_round": 10,
        "max_labels": 30,
        "random_state": 0,
    }
    net = net or net_classifier(max_epochs=3)
    net = TaskNet(net, warm_start=True) if warm_start else net
    return AdaptiveLatentSampler(net, **{**defaults, **params})


def label_of(rows):
    """Labels of rows of X, looked up by content."""
    rows = np.asarray(rows).reshape(len(rows), -1)
    return Y[[int(np.flatnonzero((row == X).all(axis=1))[0]) for row in rows]]


# -- fitted attributes ----------------------------------------------------------------------------


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


def test_pickle_of_a_fitted_sampler_is_small_and_predicts():
    sampler = make_sampler(oracle=AnswerKey(Y)).fit(X)
    data = pickle.dumps(sampler)
    np.testing.assert_array_equal(pickle.loads(data).predict_proba(X_TEST), sampler.predict_proba(X_TEST))
    big = np.random.default_rng(0).random((20_000, 64))
    sampler = make_sampler(strategy="random", oracle=two_classes).fit(big)
    assert len(pickle.dumps(sampler)) < 1_000_000


def two_classes(rows):
    return [0, 1] * (len(rows) // 2)


def test_not_fitted():
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(AdaptiveLatentSampler(), method)(X)
    with pytest.raises(NotFittedError):
        AdaptiveLatentSampler().score(X, Y)


def test_no_probabilities_in_regression():
    assert not hasattr(AdaptiveLatentSampler(net_regressor()), "predict_proba")


# -- kinds of data --------------------------------------------------------------------------------


def test_string_labels():
    labels = np.array([f"digit {i}" for i in Y])
    sampler, numbers = make_sampler().fit(X, labels), make_sampler().fit(X, Y)
    np.testing.assert_array_equal(sampler.classes_, np.unique(labels))
    np.testing.assert_array_equal(sampler.labeled_indices_, numbers.labeled_indices_)
    assert sampler.predict(X_TEST).tolist() == [f"digit {i}" for i in numbers.predict(X_TEST)]


def test_a_frame_goes_to_the_oracle_as_it_is():
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)], index=np.arange(120) * 3)
    got = []

    def function(rows):
        got.append(rows)
        return label_of(rows)

    sampler = make_sampler(oracle=function, classes=range(10)).fit(frame)
    for rows in got:
        pd.testing.assert_frame_equal(rows, frame.loc[rows.index])
    np.testing.assert_array_equal(sampler.feature_names_in_, frame.columns)
    plain = make_sampler().fit(X, Y)
    np.testing.assert_array_equal(sampler.labeled_indices_, plain.labeled_indices_)
    with pytest.raises(ValueError, match="feature names should match"):
        sampler.predict(frame.rename(columns={"pixel0": "other"}))


def test_a_memory_map_stays_one(tmp_path, monkeypatch):
    np.save(tmp_path / "pool.npy", X.astype(np.float32))
    pool = np.load(tmp_path / "pool.npy", mmap_mode="r")
    seen = []
    fit = LinearLatent._fit
    monkeypatch.setattr(LinearLatent, "_fit", lambda self, X: seen.append(X) or fit(self, X))
    sampler = make_sampler().fit(pool, Y)
    assert is_memory_mapped(seen[0])
    assert seen[0].dtype == np.float32
    assert sampler.n_labels_ == 30
    in_memory = make_sampler(strategy="random").fit(X.astype(np.float32), Y)
    mapped = make_sampler(strategy="random").fit(pool, Y)
    np.testing.assert_array_equal(mapped.predict_proba(X_TEST), in_memory.predict_proba(X_TEST))


def test_bytes_stay_bytes():
    pool, kinds = (15 * X).astype(np.uint8), []

    def function(rows):
        kinds.append(rows.dtype)
        return label_of(rows / 15)

    net = net_classifier(max_epochs=60)
    sampler = make_sampler(net, oracle=function, classes=range(10)).fit(pool)
    assert set(kinds) == {np.dtype(np.uint8)}
    assert sampler.score((15 * X_TEST).astype(np.uint8), Y_TEST) > 0.4


def test_images_take_a_convolutional_vae():
    images = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)[:60]
    sampler = make_sampler(net_classifier(LeNet, max_epochs=3), latent_model=None).fit(images, Y[:60])
    assert isinstance(sampler.latent_model_, ConvVAE)
    assert sampler.n_features_in_ == 1
    assert sampler.predict(images).shape == (60,)


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
def test_flat_rows_take_a_vae():
    assert isinstance(make_sampler(latent_model=None).fit(X, Y).latent_model_, VAE)


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
def test_regression_with_defaults():
    sampler = AdaptiveLatentSampler(
        net_regressor(), n_initial=20, n_per_round=20, max_labels=100, random_state=0
    )
    assert is_regressor(sampler)
    sampler.fit(X, Y_REG)
    assert not hasattr(sampler, "classes_")
    assert sampler.score(X, Y_REG) > 0.5
    assert sampler.n_labels_ == 100


@pytest.mark.parametrize("kind", ["list", "tensor", "float16"])
def test_other_array_likes(kind):
    pool = {"list": X.tolist, "tensor": lambda: torch.from_numpy(X), "float16": lambda: X.astype(np.float16)}[
        kind
    ]()
    y = torch.from_numpy(Y) if kind == "tensor" else Y.tolist()
    sampler = make_sampler(strategy="random").fit(pool, y)
    np.testing.assert_array_equal(
        sampler.labeled_indices_, make_sampler(strategy="random").fit(X, Y).labeled_indices_
    )


def test_one_class_so_far():
    sampler = make_sampler(oracle=lambda rows: ["same"] * len(rows)).fit(X)
    assert set(sampler.predict(X)) == {"same"}
    assert sampler.classes_.tolist() == ["same"]


def test_classes_name_what_has_not_been_seen():
    oracle = FunctionOracle(lambda rows: np.minimum(label_of(rows), 3))
    sampler = make_sampler(oracle=oracle, classes=range(10)).fit(X)
    assert sampler.predict_proba(X).shape == (120, 10)
    without = make_sampler(oracle=oracle).fit(X)
    assert without.classes_.tolist() == [0, 1, 2, 3]


# -- seeds ----------------------------------------------------------------------------------------


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


# -- scikit-learn's tools -------------------------------------------------------------------------


def test_pipeline():
    pipeline = make_pipeline(FunctionTransformer(lambda X: X / 16), make_sampler()).fit(X, Y)
    assert pipeline[-1].n_labels_ == 30
    assert pipeline.score(X_TEST, Y_TEST) == pipeline[-1].score(X_TEST / 16, Y_TEST)
    assert is_classifier(pipeline)


def test_grid_search_reaches_every_part():
    sampler = make_sampler(strategy=NearestNeighborStrategy())
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


# -- the published procedure ----------------------------------------------------------------------


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
    assert (sampler.train_on, sampler.warm_start, sampler.initial) == ("decoded", True, "random")
    other = AdaptiveLatentSampler.paper(name, train_on="original", max_labels=7)
    assert (other.train_on, other.max_labels) == ("original", 7)
    assert clone(sampler).strategy.get_params() == sampler.strategy.get_params()


@pytest.mark.parametrize("name", ["random", "SNN", None])
def test_there_are_two_published_procedures(name):
    with pytest.raises(ValueError, match=r"paper takes \['si', 'snn'\], got"):
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


# -- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_answers", [1, 10, 14, 29])
def test_ctrl_c_at_the_oracle_keeps_what_is_bought(n_answers):
    calls = itertools.count()

    def function(row):
        if next(calls) == n_answers:
            raise KeyboardInterrupt
        return label_of(row[None])[0]

    sampler = make_sampler(oracle=FunctionOracle(function, per_row=True), classes=range(10))
    with pytest.warns(
        UserWarning, match=f"Interrupted after {n_answers} paid answers: the sampler is fitted"
    ):
        sampler.fit(X)
    assert sampler.stop_reason_ == "interrupted"
    assert sampler.n_labels_ == sampler.n_queries_ == n_answers
    assert (sampler.queries_["state"] == "labeled").sum() == n_answers
    assert sampler.predict(X).shape == (120,)


def test_ctrl_c_before_the_first_label_is_passed_on():
    def function(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_sampler(oracle=function).fit(X)


class PressCtrlC(Callback):
    """Sends the signal of Ctrl-C to this process, once, in the given epoch."""

    n_epochs = 0
    at = None

    def on_epoch_begin(self, net, **kwargs):
        PressCtrlC.n_epochs += 1
        if PressCtrlC.n_epochs == PressCtrlC.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="only the main thread gets signals"
)
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize(("at", "n_labels"), [(2, 10), (5, 20), (8, 30)])
def test_ctrl_c_in_training_stops_the_campaign(at, n_labels, warm_start):
    PressCtrlC.n_epochs, PressCtrlC.at = 0, at
    handler = signal.getsignal(signal.SIGINT)
    sampler = make_sampler(net_classifier(max_epochs=3, callbacks=[PressCtrlC()]), warm_start=warm_start)
    with pytest.warns(UserWarning, match=f"Interrupted after {n_labels} paid answers"):
        sampler.fit(X, Y)
    assert signal.getsignal(signal.SIGINT) is handler
    assert sampler.stop_reason_ == "interrupted"
    assert sampler.n_labels_ == n_labels
    assert sampler.predict(X).shape == (120,)


# -- errors in the middle -------------------------------------------------------------------------


class Break(Callback):
    n_trainings = 0

    def on_train_begin(self, net, **kwargs):
        Break.n_trainings += 1
        if Break.n_trainings == 2:
            raise RuntimeError("out of memory")


def test_an_error_in_training_carries_the_campaign():
    Break.n_trainings = 0
    sampler = make_sampler(net_classifier(max_epochs=3, callbacks=[Break()]))
    with pytest.raises(RuntimeError, match="out of memory") as caught:
        sampler.fit(X, Y)
    campaign = caught.value.campaign
    assert campaign.records.n_paid == 20
    assert any("The 20 answers bought so far are kept in error.campaign" in n for n in caught.value.__notes__)
    assert campaign.run().finish().n_labels_ == 30


# -- progress -------------------------------------------------------------------------------------


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


@pytest.mark.gpu
@pytest.mark.parametrize("strategy", ["snn", "mms", "random"])
def test_on_an_accelerator(strategy):
    accelerator = torch.accelerator.current_accelerator()
    sampler = make_sampler(strategy=strategy, train_on="both").fit(X, Y)
    module = sampler.estimator_.net_.module_
    assert {p.device.type for p in module.parameters()} == {accelerator.type}
    assert sampler.latent_model_._device.type == accelerator.type
    assert isinstance(sampler.predict_proba(X_TEST), np.ndarray)
    on_cpu = make_sampler(strategy=strategy).fit(X, Y)
    assert {p.device.type for p in on_cpu.estimator_.net_.module_.parameters()} == {"cpu"}
    # The sampler's device overrules its parts'.
    parts = make_sampler(TaskNet(net_classifier(max_epochs=3), device="cpu")).fit(X, Y)
    assert parts.estimator_.device_.type == accelerator.type


@pytest.mark.gpu
def test_generated_points_on_an_accelerator():
    oracle = FunctionOracle(lambda rows: (np.asarray(rows)[:, :32].mean(axis=1) > 4.8).astype(int))
    sampler = AdaptiveLatentSampler.paper(
        "si",
        estimator=net_classifier(max_epochs=3),
        latent_model=LinearLatent(4),
        oracle=oracle,
        n_initial=30,
        n_per_round=30,
        max_labels=90,
    ).fit(X)
    assert sampler.X_generated_.shape == (60, 64)


@pytest.mark.gpu
@pytest.mark.parametrize("latent_model", [LinearLatent(4), LevelSetLatent(4, image_shape=(1, 8, 8))], ids=str)
@pytest.mark.parametrize("climb", ["loss", "disagreement", "random"])
def test_residual_points_on_an_accelerator(climb, latent_model):
    strategy = InterpolationStrategy(
        climb=climb, residual=True, random_share=0.5, n_candidates=40, n_members=2, on_refusal="nearest"
    )
    sampler = AdaptiveLatentSampler(
        net_regressor(max_epochs=3),
        latent_model,
        strategy=strategy,
        oracle=FunctionOracle(lambda rows: np.asarray(rows)[:, 20].astype(float)),
        n_initial=30,
        n_per_round=30,
        max_labels=90,
    ).fit(X)
    assert sampler.n_labels_ == 90
    assert len(sampler.X_generated_) > 0


@pytest.mark.gpu
def test_the_default_for_values_on_an_accelerator():
    sampler = AdaptiveLatentSampler(net_regressor(max_epochs=3), n_initial=20, n_per_round=20, max_labels=60)
    assert sampler.fit(X, X[:, 20].astype(float)).n_labels_ == 60


def test_reasons_are_told_when_every_question_failed():
    oracle = FunctionOracle(lambda rows: [Failed("licence server down")] * len(rows))
    with pytest.raises(ValueError, match="no label to train on") as caught:
        make_sampler(oracle=oracle).fit(X)
    assert any("licence server down" in note for note in caught.value.__notes__)
    assert (caught.value.campaign.queries["state"] == "failed").any()


def test_a_refused_fit_leaves_the_earlier_one():
    sampler = make_sampler().fit(X, Y)
    before = sampler.predict(X_TEST)
    with pytest.raises(ValueError, match="NaN"):
        sampler.fit(np.full((20, 3), np.nan), np.zeros(20))
    np.testing.assert_array_equal(sampler.predict(X_TEST), before)


def test_ctrl_c_in_the_latent_model_does_not_start_it_again():
    class Interrupted(LinearLatent):
        n_fits = 0

        def _fit(self, X):
            type(self).n_fits += 1
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Interrupted after"):
        sampler = make_sampler(latent_model=Interrupted(4), train_on="decoded", strategy="random").fit(X, Y)
    assert Interrupted.n_fits == 1
    assert sampler.score(X_TEST, Y_TEST) > 0.1


def test_a_frame_to_validate_on(recwarn):
    frame = pd.DataFrame(X).add_prefix("c")
    make_sampler().fit(frame, Y, X_val=pd.DataFrame(X_TEST).add_prefix("c"), y_val=Y_TEST)
    assert not [w for w in recwarn if "feature names" in str(w.message)]


def test_a_frozen_model_and_a_pool_of_one_row():
    frozen = FrozenEstimator(LinearLatent(2).fit(X))
    assert make_sampler(latent_model=frozen).fit(X[:1], Y[:1]).n_labels_ == 1


def test_no_generated_points_have_a_shape():
    assert make_sampler().fit(X, Y).X_generated_.shape == (0, X.shape[1])
