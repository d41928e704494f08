"""TrainingProgressDisplay: which panels are drawn, from what, and what is refused."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.display import TrainingProgressDisplay
from skalss.nets import MLP
from skalss.selective import MarginMonitor, SelectiveNetClassifier, SelectiveNetRegressor

plt = pytest.importorskip("matplotlib.pyplot")

TITLES = ["Progress signal", "Error", "Cost of a step and gain of a row", "Rows trained on at least once"]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(96, 4)).astype(np.float32)
    return X, (X[:, 0] > 0).astype(np.int64)


def make_net(cls=SelectiveNetClassifier, callbacks=None, **params):
    callbacks = [("monitor", MarginMonitor(warn=False))] if callbacks is None else callbacks
    if cls is SelectiveNetClassifier:
        params = {"criterion": nn.CrossEntropyLoss, **params}
    params = {"max_epochs": 3, "batch_size": 16, "lr": 0.1, "train_split": None, "verbose": 0, **params}
    return cls(MLP, callbacks=callbacks, **params)


@pytest.fixture(scope="module")
def fitted(data):
    return TaskNet(make_net(), random_state=0).fit(*data)


def titles(display):
    return [ax.get_title(loc="left") for ax in display.axes_]


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def drawn(ax, label):
    """Return the values of the line with some label."""
    (line,) = (line for line in ax.lines if line.get_label() == label)
    return np.asarray(line.get_ydata(), dtype=float)


def test_four_panels_show_the_history(fitted):
    display = TrainingProgressDisplay.from_estimator(fitted)
    assert titles(display) == TITLES
    assert all(ax.get_xlabel() == "epoch" and ax.get_ylabel() for ax in display.axes_)
    assert all(ax.figure is display.figure_ for ax in display.axes_)
    history = fitted.net_.history
    margins, errors, balance, use = display.axes_
    np.testing.assert_allclose(
        drawn(margins, "mean of the ten smallest"), history[:, "margin_smallest"], rtol=1e-6
    )
    np.testing.assert_allclose(drawn(errors, "pool"), 100 * np.array(history[:, "error_pool"]))
    np.testing.assert_allclose(drawn(balance, "cost, in plain steps"), history[:, "selection_cost"])
    np.testing.assert_allclose(use.lines[0].get_ydata(), 100 * np.array(history[:, "rows_used"]))
    assert list(display.epochs.index) == [1, 2, 3]


def test_a_net_a_history_and_a_table_give_the_same(fitted):
    history = fitted.net_.history
    expected = TrainingProgressDisplay.from_estimator(fitted).epochs
    for display in (
        TrainingProgressDisplay.from_estimator(fitted.net_),
        TrainingProgressDisplay.from_history(history),
        TrainingProgressDisplay.from_history(history.to_list()),
        TrainingProgressDisplay.from_history(pd.DataFrame(history.to_list())),
    ):
        pd.testing.assert_frame_equal(display.epochs, expected)


def test_the_network_of_a_sampler_is_found(data):
    sampler = AdaptiveLatentSampler(make_net(), strategy="random", max_labels=40, random_state=0).fit(*data)
    assert titles(TrainingProgressDisplay.from_estimator(sampler)) == TITLES


def test_validation_error_is_drawn_where_it_was_recorded(data):
    def halves(rows, y):
        return torch.utils.data.Subset(rows, range(48)), torch.utils.data.Subset(rows, range(48, 96))

    X, y = data
    net = make_net(module__input_dim=4, module__output_dim=2, train_split=halves).fit(X, y)
    errors = TrainingProgressDisplay.from_estimator(net).axes_[1]
    np.testing.assert_allclose(drawn(errors, "validation"), 100 - 100 * np.array(net.history[:, "valid_acc"]))


def test_an_unselective_training_shows_seconds_and_one_error(data):
    net = TaskNet(make_net(selector=None), random_state=0).fit(*data)
    display = TrainingProgressDisplay.from_estimator(net)
    assert titles(display) == ["Progress signal", "Error", "Time"]
    assert labels(display.axes_[1]) == ["rows trained on"]
    heights = [bar.get_height() for bar in display.axes_[2].patches]
    np.testing.assert_allclose(heights, net.net_.history[:, "seconds_training"])


def test_a_regressor_shows_loss_and_stacked_seconds(data):
    X, _ = data
    net = TaskNet(make_net(SelectiveNetRegressor), random_state=0).fit(X, X[:, 0])
    display = TrainingProgressDisplay.from_estimator(net)
    assert titles(display) == ["Loss", "Time", TITLES[3]]
    assert labels(display.axes_[1]) == ["training", "choosing rows"]
    bars = display.axes_[1].patches
    assert bars[3].get_y() == bars[0].get_height()


def test_own_axes_and_line_style_are_used(fitted):
    figure, axes = plt.subplots(2, 2)
    display = TrainingProgressDisplay.from_estimator(fitted, axes=axes, line_kw={"linewidth": 5})
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes.flat)
    assert axes[0, 0].lines[0].get_linewidth() == 5


def test_a_wrong_number_of_axes_is_refused(fitted):
    with pytest.raises(ValueError, match=r"needs 4 axes, one per panel, got 2"):
        TrainingProgressDisplay.from_estimator(fitted, axes=plt.subplots(1, 2)[1])


def test_one_panel_fits_one_axes():
    ax = plt.subplots()[1]
    display = TrainingProgressDisplay.from_history([{"rows_used": 0.5}, {"rows_used": None}], axes=ax)
    assert display.axes_[0] is ax
    assert list(display.epochs.index) == [1, 2]


@pytest.mark.parametrize(("smallest", "scale"), [(0.5, "log"), (0.0, "linear")])
def test_margins_are_on_a_log_scale_where_they_can_be(smallest, scale):
    display = TrainingProgressDisplay.from_history([{"margin_smallest": smallest, "margin_median": 1.0}])
    assert display.axes_[0].get_yscale() == scale


@pytest.mark.parametrize("history", [[], [{"epoch": 1, "train_loss": 0.3}]], ids=["empty", "unwatched"])
def test_a_history_without_a_monitor_is_refused(history):
    with pytest.raises(ValueError, match=r"none of the columns margin_smallest.*Add MarginMonitor"):
        TrainingProgressDisplay.from_history(history)


def test_an_unwatched_net_is_refused(data):
    net = TaskNet(make_net(callbacks=[]), random_state=0).fit(*data)
    with pytest.raises(ValueError, match="Add MarginMonitor to the callbacks"):
        TrainingProgressDisplay.from_estimator(net)


@pytest.mark.parametrize(
    "estimator",
    [TaskNet(), make_net(), make_net().initialize(), "net"],
    ids=["TaskNet", "net", "initialized", "no net"],
)
def test_an_unfitted_estimator_is_refused(estimator):
    with pytest.raises(NotFittedError, match=r"This \w+ has no training to show. Fit it first"):
        TrainingProgressDisplay.from_estimator(estimator)


def test_without_matplotlib_the_error_says_how_to_get_it(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"TrainingProgressDisplay.plot draws .*skalss\[plot\]"):
        TrainingProgressDisplay.from_estimator(fitted)
