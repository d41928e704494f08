"""What a sampler does with pseudo-labels."""

import re

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.latent import LinearLatent
from skalss.latent.pseudo_labels import LabelSpreader
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import FunctionOracle

DIGITS, TARGET = load_digits(return_X_y=True)
X, Y = DIGITS[:150], TARGET[:150]
X_TEST, Y_TEST = DIGITS[150:400], TARGET[150:400]


def make_sampler(net=None, *, warm_start=False, **params):
    defaults = {
        "latent_model": LinearLatent(8, random_state=0),
        "strategy": "random",
        "pseudo_labels": "spread",
        "n_initial": 20,
        "n_per_round": 10,
        "max_labels": 40,
        "random_state": 0,
    }
    net = net or net_classifier(max_epochs=4)
    net = TaskNet(net, warm_start=True) if warm_start else net
    return AdaptiveLatentSampler(net, **{**defaults, **params})


def fit(sampler, y=Y, **data):
    return sampler.fit(X, y, X_val=X_TEST, y_val=Y_TEST, **data)


def nearest_label(rows):
    return Y[np.square(np.asarray(rows)[:, None] - X[None]).sum(axis=2).argmin(axis=1)]


def test_pseudo_labels_are_never_counted_as_bought():
    with_, without = (fit(make_sampler(pseudo_labels=p)) for p in ("spread", None))
    assert with_.queries_.drop(columns="score").equals(without.queries_.drop(columns="score"))
    np.testing.assert_array_equal(with_.labeled_indices_, without.labeled_indices_)
    for name in ("n_labels_", "n_queries_", "n_rounds_", "stop_reason_"):
        assert getattr(with_, name) == getattr(without, name)
    assert with_.history_["n_labels"].tolist() == without.history_["n_labels"].tolist()
    # Of a training on 20 labels: 0.9 of the 130 other rows.
    assert with_.history_["n_pseudo"].tolist() == [0, 117, 108, 99]
    assert (without.history_["n_pseudo"] == 0).all()
    assert with_.history_["val_score"].iloc[1] > without.history_["val_score"].iloc[1]


def test_a_large_pool_gives_a_part_of_its_rows():
    spreader = LabelSpreader(n_rows=60, keep=0.5, min_structure=0.0, only_if_not_worse=False)
    history = fit(make_sampler(pseudo_labels=spreader)).history_
    assert history["n_pseudo"].tolist() == [0, 30, 30, 30]


@pytest.mark.parametrize(
    "params",
    [
        {"warm_start": True},
        {"train_on": "decoded"},
        {"strategy": "margin"},
        {"strategy": "auto", "pseudo_labels": "auto"},
        {"strategy": "si", "oracle": FunctionOracle(nearest_label)},
    ],
    ids=lambda params: " ".join(f"{k}={v}" if isinstance(v, str | bool) else k for k, v in params.items()),
)
def test_the_same_seed_gives_the_same(params):
    y = None if "oracle" in params else Y
    one, other = (fit(make_sampler(**params), y) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(X_TEST), other.predict_proba(X_TEST))
    assert one.queries_.equals(other.queries_)
    assert one.n_labels_ == one.n_queries_ == 40
    assert (one.history_["n_pseudo"].iloc[1:3] > 0).all()
    assert len(one.X_generated_) == (20 if params.get("strategy") == "si" else 0)


def test_classes_that_no_label_has_are_learnt_when_they_come():
    known = np.zeros(len(Y), dtype=bool)
    known[np.flatnonzero(Y < 8)[:20]] = True
    sampler = make_sampler(oracle=FunctionOracle(nearest_label), n_initial=30, max_labels=60)
    fit(sampler, np.where(known, Y.astype(object), None), labeled=known)
    assert sampler.classes_.tolist() == list(range(10))
    assert (sampler.history_["n_pseudo"].iloc[1:] > 0).all()
    assert sampler.predict_proba(X_TEST).shape == (250, 10)
    assert sampler.score(X_TEST, Y_TEST) > 0.6


def test_one_class_so_far_trains_without_pseudo_labels():
    sampler = make_sampler(max_labels=20, classes=[0, 1])
    fitted = sampler.fit(X, np.zeros(len(X), dtype=int), X_val=X_TEST, y_val=np.zeros(len(X_TEST), dtype=int))
    assert (fitted.history_["n_pseudo"] == 0).all()


def test_pseudo_labels_of_a_pool_bought_to_the_end():
    fitted = make_sampler(max_labels=1000, n_per_round=100).fit(X, Y)
    assert fitted.n_labels_ == len(X)
    assert fitted.stop_reason_ == "pool exhausted"


def test_pseudo_labels_of_a_regression_are_refused_before_anything_is_asked():
    with pytest.raises(ValueError, match="spreads classes"):
        make_sampler(net_regressor(max_epochs=2)).fit(X, X[:, 20])
    auto = make_sampler(net_regressor(max_epochs=2), strategy="auto", pseudo_labels="auto").fit(X, X[:, 20])
    assert (auto.history_["n_pseudo"] == 0).all()


def test_a_spreader_is_reached_by_set_params():
    sampler = make_sampler(pseudo_labels=LabelSpreader()).set_params(pseudo_labels__keep=0.5)
    assert fit(sampler).history_["n_pseudo"].tolist() == [0, 65, 60, 55]


def test_the_spreader_says_what_it_is():
    assert re.fullmatch(r"LabelSpreader\(keep=0\.5\)", repr(LabelSpreader(keep=0.5)))


def test_a_campaign_compares_with_its_rows():
    """The codes are noise that looks like clusters; the digits themselves are learnt."""
    noise = np.random.default_rng(0).normal(size=(10, 8)) * 9

    class Noise(LinearLatent):
        def transform(self, X):
            rng = np.random.default_rng(len(X))
            return (noise[rng.integers(10, size=len(X))] + rng.normal(size=(len(X), 8))).astype(np.float32)

    sampler = make_sampler(latent_model=Noise(8, random_state=0), max_labels=80, n_per_round=30)
    assert fit(sampler).history_["n_pseudo"].tolist() == [0, 0, 0, 0]
    sampler.set_params(pseudo_labels=LabelSpreader(only_if_not_worse=False, min_right=0.0))
    assert (fit(sampler).history_["n_pseudo"].iloc[1:] > 0).all()


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({}, "used {n} rows"),
        ({"pseudo_labels": LabelSpreader(min_structure=1.0)}, "do not keep the classes apart: structure 0"),
        ({"pseudo_labels": LabelSpreader(keep=0.0)}, "keep leaves no row"),
        ({"pseudo_labels": None}, "off: pseudo_labels=None"),
        ({"pseudo_labels": "auto", "strategy": "margin"}, "off: the strategy is not 'auto'"),
        (
            {"pseudo_labels": "auto", "strategy": "auto", "net": LogisticRegression(C=1e-3, tol=0.01)},
            "takes none",
        ),
        ({"pseudo_labels": "auto", "net": net_regressor(max_epochs=2)}, "off: labels of a regression task"),
    ],
    ids=str,
)
def test_the_history_says_why_there_were_pseudo_labels_or_none(params, reason):
    sampler, y = make_sampler(**params), X[:, 20] if "reg" in reason else Y
    history = sampler.fit(
        X, y, X_val=X_TEST, y_val=DIGITS[150:400, 20] if "reg" in reason else Y_TEST
    ).history_
    assert history["pseudo_reason"].iloc[0] == ""  # nothing was trained before the first answers
    for text, n in zip(history["pseudo_reason"].iloc[1:], history["n_pseudo"].iloc[1:], strict=True):
        assert reason.format(n=n) in text


def test_one_class_so_far_is_a_reason():
    sampler = make_sampler(classes=[0, 1])
    fitted = sampler.fit(X, np.zeros(len(X), int), X_val=X_TEST, y_val=np.zeros(len(X_TEST), int))
    assert set(fitted.history_["pseudo_reason"].iloc[1:]) == {"one class among the labels"}
