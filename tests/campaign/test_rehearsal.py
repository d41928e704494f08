"""What can be known before the first question is refused before it: nothing is bought for it."""

import warnings
from decimal import Decimal

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
    TrainEndCheckpoint,
)
from skorch.dataset import ValidSplit
from torch import nn

from skalss import AdaptiveLatentSampler, Campaign, LedgerError, TaskNet
from skalss.latent import ConvVAE
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import FunctionOracle

RNG = np.random.RandomState(3)
X = RNG.randn(120, 4)
Y = np.arange(120) % 3  # three classes
IMAGES = RNG.rand(60, 1, 8, 8)
VOLUMES = RNG.rand(60, 1, 4, 4, 4)
SHORT = {"max_epochs": 2}


class Asked:
    """Counts the rows it labels."""

    def __init__(self, answers=lambda rows: np.arange(len(rows)) % 3, **params):
        self.n, self.answers = 0, answers
        self.oracle = FunctionOracle(self, **params)

    def __call__(self, rows):
        self.n += len(rows)
        return self.answers(rows)


def net(**params):
    return net_classifier(**{**SHORT, **params})


def lambda_of_two(network, X):
    return 1.0


SETTINGS = {
    "a callback that misses a held-out set": {"estimator": net(callbacks=[EarlyStopping("valid_loss")])},
    "a monitor nobody writes": {"estimator": net(callbacks=[EarlyStopping("valid_los")])},
    "a scheduler's argument": {"estimator": net(callbacks=[LRScheduler("StepLR", gamm=0.1)])},
    "weights of too few classes": {"estimator": net(criterion__weight=torch.ones(2))},
    "a loss for values": {"estimator": net(criterion=nn.MSELoss)},
    "a split of too many parts": {"estimator": net(train_split=ValidSplit(100))},
    "no rows in a batch": {"estimator": net(batch_size=0)},
    "a misspelt parameter": {"estimator": net(optimizer__momentom=0.9)},
    "an optimizer that is none": {"estimator": net(optimizer=nn.Linear)},
    "a module for other rows": {"estimator": net(module=nn.Linear(7, 3))},
    "too few neighbours": {"estimator": KNeighborsClassifier(40), "strategy": "margin"},
    "more folds than labels": {"estimator": CalibratedClassifierCV(LogisticRegression(), cv=30)},
    "a score of two classes": {"scoring": "f1", "control_share": 0.2},
    "a ranking of three classes": {"scoring": "roc_auc", "control_share": 0.2},
    "no number for a score": {"scoring": lambda network, X, y: None, "control_share": 0.2},
    "a score of two arguments": {"scoring": lambda_of_two, "control_share": 0.2},
    "a metric for a scorer": {"scoring": accuracy_score, "control_share": 0.2},
    "pseudo-labels and a sampler of rows": {
        "estimator": net(iterator_train__sampler=torch.utils.data.SequentialSampler(range(30)))
    },
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_settings_that_fail_are_refused_before_the_first_question(settings):
    asked = Asked()
    sampler = AdaptiveLatentSampler(
        **{"n_initial": 30, "classes": [0, 1, 2], "oracle": asked.oracle, "random_state": 0, **settings}
    )
    with pytest.raises((ValueError, TypeError)) as refused:
        sampler.fit(X)
    assert asked.n == 0
    assert len(str(refused.value)) > 40  # not torch's word alone


@pytest.mark.parametrize(
    ("scoring", "y_val"),
    [
        ("roc_auc", Y),
        (None, Y + 5),  # none of the classes
        (None, np.array(["a", "b", "c"])[Y]),
        (None, np.where(Y == 1, np.nan, Y)),
        (None, Y[:-1]),
        (lambda network, X, y: float("nan"), Y),
        (lambda network, X, y: "good", Y),
    ],
)
def test_held_out_rows_that_cannot_be_scored(scoring, y_val):
    asked = Asked()
    sampler = AdaptiveLatentSampler(
        net(), strategy="margin", n_initial=30, classes=[0, 1, 2], oracle=asked.oracle, scoring=scoring
    )
    with pytest.raises((ValueError, TypeError)):
        sampler.fit(X, X_val=X, y_val=y_val)
    assert asked.n == 0


@pytest.mark.parametrize("rows", [VOLUMES, RNG.rand(60, 5, 9)], ids=["volumes", "sequences"])
@pytest.mark.parametrize("settings", [{"strategy": "snn", "initial": "random"}, {"train_on": "both"}])
def test_rows_that_the_latent_model_cannot_take(rows, settings):
    asked = Asked()
    sampler = AdaptiveLatentSampler(net(), classes=[0, 1, 2], oracle=asked.oracle, **settings)
    with pytest.raises(ValueError, match="X must have shape"):
        sampler.fit(rows)
    assert asked.n == 0
    # Who does not look at codes needs no latent model.
    plain = AdaptiveLatentSampler(net(), classes=[0, 1, 2], strategy="margin", max_labels=40, n_initial=30)
    assert plain.fit(rows, Y[:60]).n_labels_ == 40


def test_a_latent_model_with_a_wrong_setting_is_refused_although_it_comes_late():
    asked = Asked()
    wrong = ConvVAE(likelihood="bernoulli", max_epochs=1)
    sampler = AdaptiveLatentSampler(net(), wrong, strategy="snn", oracle=asked.oracle, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="likelihood='bernoulli' takes values in"):
        sampler.fit(IMAGES * 7)
    assert asked.n == 0


@pytest.mark.parametrize("cost", [lambda rows: None, lambda rows: ["a"] * len(rows), lambda rows, more: 1])
def test_costs_that_cannot_be_had(cost):
    asked = Asked(cost=cost)
    with pytest.raises((ValueError, TypeError)):
        AdaptiveLatentSampler(net(), strategy="random", oracle=asked.oracle, classes=[0, 1, 2]).fit(X)
    assert asked.n == 0


@pytest.mark.parametrize(
    "classes",
    [[0, "a"], [Decimal(1), Decimal(2)], [b"a", b"b"], [0.5, 1.5], [], {"a": 1}, [0, None], [1]],
    ids=str,
)
def test_classes_that_can_never_train(classes):
    with pytest.raises((ValueError, TypeError), match="class"):
        Campaign(AdaptiveLatentSampler(net(), classes=classes), X)


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        ({"ill", "well"}, "ill"),
        (np.array([3, 4], dtype=object), 4),
        (np.array([True, False], dtype=object), True),
    ],
    ids=["set", "objects", "truth values"],
)
def test_classes_in_any_container_train(classes, told):
    sampler = AdaptiveLatentSampler(
        net(), strategy="random", classes=classes, n_initial=6, max_labels=6, random_state=0
    )
    campaign = Campaign(sampler, X)
    batch = campaign.ask()
    campaign.tell(batch.ids, [told] * 6)
    fitted = campaign.finish()
    assert told in fitted.classes_.tolist()
    assert set(fitted.predict(X).tolist()) <= set(classes)
    assert campaign.queries["label"].map(type).unique().tolist() == [type(told)]


def test_an_answer_that_equals_a_class_is_kept_as_that_class():
    campaign = Campaign(AdaptiveLatentSampler(net(), strategy="random", classes=[0, 1], n_initial=4), X)
    campaign.tell(campaign.ask().ids, [True, 1.0, np.float32(0), np.int8(1)])
    assert campaign.queries["label"].tolist() == [1, 1, 0, 1]
    assert {type(label) for label in campaign.queries["label"]} == {int}


# -- what a rehearsal must not do -------------------------------------------------------------------


def test_a_rehearsal_changes_nothing_and_leaves_nothing(tmp_path):
    kept = [Checkpoint(dirname=tmp_path / "best", monitor=None), TrainEndCheckpoint(dirname=tmp_path / "end")]
    sampler = AdaptiveLatentSampler(net(callbacks=kept), strategy="margin", n_initial=30, classes=[0, 1, 2])
    state, of_numpy = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    Campaign(sampler, X)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], of_numpy)  # noqa: NPY002
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


class Counts(Callback):
    epochs = 0

    def on_epoch_end(self, net, **kwargs):
        type(self).epochs += 1


def test_a_rehearsal_is_one_epoch_or_two_with_a_warm_start():
    for warm_start, n in ((False, 1), (True, 2)):
        Counts.epochs = 0
        model = TaskNet(net(max_epochs=50, callbacks=[Counts()]), warm_start=warm_start)
        Campaign(AdaptiveLatentSampler(model, strategy="margin", n_initial=30, classes=[0, 1, 2]), X)
        assert Counts.epochs == n


def test_what_works_is_not_refused():
    """A score that a network which hardly learned is out of; a split that only the last training makes."""
    rows = np.abs(X)
    sampler = AdaptiveLatentSampler(
        net_regressor(**SHORT), strategy="lcmd", scoring="neg_mean_squared_log_error", max_labels=60
    )
    sampler.fit(rows, rows.sum(axis=1), X_val=rows, y_val=rows.sum(axis=1))
    split = net(train_split=ValidSplit(50), callbacks=[EpochScoring("accuracy", lower_is_better=False)])
    once = AdaptiveLatentSampler(
        split, strategy="random", initial="random", pseudo_labels=None, n_initial=20, max_labels=100
    )
    assert once.fit(X, Y).n_labels_ == 100


@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", "average_precision", "f1"])
def test_a_score_that_cannot_be_had_yet_is_nan_and_nothing_ends(scoring):
    """The first answers are all of one class."""
    y = (np.arange(120) >= 60).astype(int)
    sampler = AdaptiveLatentSampler(
        net(), strategy="margin", n_initial=10, n_per_round=20, max_labels=30, scoring=scoring, random_state=0
    )
    campaign = Campaign(sampler, X, X_val=X, y_val=y)
    campaign.tell(campaign.ask().ids, [0] * 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        early = campaign.finish()
        batch = campaign.ask()
    assert np.isnan(early.history_["val_score"].iloc[-1])
    campaign.tell(batch.ids, np.arange(20) % 2)
    assert np.isfinite(campaign.finish().history_["val_score"].iloc[-1])


def test_a_scorer_that_breaks_later_warns_once_and_costs_nothing():
    class Breaks:
        calls = 0

        def __call__(self, network, X, y):
            self.calls += 1
            if self.calls > 1:
                raise RuntimeError("no more")
            return 0.5

        def __deepcopy__(self, memo):
            return self

    sampler = AdaptiveLatentSampler(
        net(), strategy="margin", n_initial=10, n_per_round=10, max_labels=30, scoring=Breaks()
    )
    with pytest.warns(UserWarning, match="fails: RuntimeError: no more") as caught:
        sampler.fit(X, Y, X_val=X, y_val=Y)
    assert sampler.n_labels_ == 30
    assert len([w for w in caught if "no more" in str(w.message)]) == 1


def test_a_ledger_that_cannot_be_written_is_refused_before_the_first_question(tmp_path):
    asked = Asked()
    sampler = AdaptiveLatentSampler(
        net(),
        strategy="random",
        oracle=asked.oracle,
        classes=[0, 1, 2],
        ledger=tmp_path / "no" / "such" / "l",
    )
    with pytest.raises((LedgerError, OSError, ValueError)):
        sampler.fit(X)
    assert asked.n == 0


def test_a_ledger_is_free_again_after_a_refusal(tmp_path):
    wrong = AdaptiveLatentSampler(net(train_split=ValidSplit(100)), strategy="margin", ledger=tmp_path / "a")
    with pytest.raises(ValueError, match="rehearsed"):
        wrong.fit(X, Y)
    right = wrong.set_params(estimator=net(), n_initial=10, max_labels=10)
    assert right.fit(X, Y).n_labels_ == 10
