"""TrainingProgressDisplay: margins, errors, price and use of rows, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError

from ..selective.monitor import COLUMNS
from ..utils.checks import show
from .pyplot import check_drawing, pyplot

MONITORED = tuple(name for name in COLUMNS if name != "class_counts")  # a list is not drawn
BESIDE = ("train_loss", "valid_loss", "valid_acc")
BLUE, ORANGE, GREEN, GREY = "#2166ac", "#e08214", "#1b7837", "#777777"


class TrainingProgressDisplay:
    """Pictures of a training that a `skalss.selective.MarginMonitor` has watched.

    Make one with `from_estimator` or `from_history`. All parameters are stored as attributes.

    Parameters
    ----------
    epochs : DataFrame
        One row per epoch, indexed by its number, with columns of the net's history: those that the monitor
        writes, and ``train_loss``, ``valid_loss`` and ``valid_acc`` if there are any.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : array of matplotlib Axes of shape (n_panels,)

    Examples
    --------
    >>> import matplotlib.pyplot as plt, torch
    >>> from sklearn.datasets import load_iris
    >>> from skalss import TaskNet
    >>> from skalss.display import TrainingProgressDisplay
    >>> from skalss.nets import MLP
    >>> from skalss.selective import MarginMonitor, SelectiveNetClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = SelectiveNetClassifier(
    ...     MLP, criterion=torch.nn.CrossEntropyLoss, batch_size=16, lr=0.05, train_split=None,
    ...     callbacks=[("monitor", MarginMonitor(warn=False))])
    >>> net = TaskNet(net, random_state=0).fit(X, y)
    >>> display = TrainingProgressDisplay.from_estimator(net)
    >>> len(display.axes_)
    4
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, epochs):
        self.epochs = epochs

    @classmethod
    def from_estimator(cls, estimator, *, axes=None, line_kw=None) -> TrainingProgressDisplay:
        """Draw the training of a net.

        Parameters
        ----------
        estimator : skorch net, TaskNet or AdaptiveLatentSampler
            Fitted, with a `MarginMonitor` among the callbacks of the net.
        axes : array-like of matplotlib Axes, default=None
            See `plot`.
        line_kw : dict, default=None
            See `plot`.

        Returns
        -------
        display : TrainingProgressDisplay

        Raises
        ------
        NotFittedError
            If the net has not been trained.
        ValueError
            If no `MarginMonitor` has watched.
        """
        net = estimator
        for attribute in ("estimator_", "net_"):  # a sampler's TaskNet, a TaskNet's net
            net = getattr(net, attribute, net)
        history = getattr(net, "history_", None)
        if not history:
            raise NotFittedError(
                f"This {type(estimator).__name__} has no training to show. Fit it first, with a "
                "MarginMonitor in the callbacks of its net."
            )
        return cls.from_history(history, axes=axes, line_kw=line_kw)

    @classmethod
    def from_history(cls, history, *, axes=None, line_kw=None) -> TrainingProgressDisplay:
        """Draw what a net's history holds.

        Parameters
        ----------
        history : skorch History, list of dict, or DataFrame
            One entry per epoch: ``net.history``, or a table made of it.
        axes : array-like of matplotlib Axes, default=None
            See `plot`.
        line_kw : dict, default=None
            See `plot`.

        Returns
        -------
        display : TrainingProgressDisplay

        Raises
        ------
        ValueError
            If it holds nothing that a `MarginMonitor` writes.
        """
        check_drawing(line_kw=line_kw)
        return cls(epochs=_table(history)).plot(axes=axes, line_kw=line_kw)

    def plot(self, axes=None, *, line_kw=None) -> TrainingProgressDisplay:
        """Draw up to four panels; one whose columns are missing is left out.

        1. The progress signal, the mean of the ten smallest margins, and the median margin of the pools.
        2. The error in the pools, on the rows trained on, and on validation rows; the loss, where there are
           no classes.
        3. The cost of a step with its selection, in plain steps, against its gain, how many random rows pull
           as hard as one that was chosen. Seconds per epoch, where nothing was chosen or nothing is known of
           the gain.
        4. The share of the rows that were trained on at least once.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, default=None
            As many as there are panels, in any shape. None: a new figure.
        line_kw : dict, default=None
            Passed on to each line that is drawn.

        Returns
        -------
        display : TrainingProgressDisplay
            This object.

        Raises
        ------
        ValueError
            If there is nothing to draw, or `axes` has another number of axes.
        ImportError
            If matplotlib is not installed.
        """
        check_drawing(line_kw=line_kw)
        plt = pyplot("TrainingProgressDisplay.plot")
        panels = self._panels()
        if axes is None:
            rows, columns = (2, 2) if len(panels) == 4 else (1, len(panels))
            size = (max(4.2 * columns, 4.8), 3.1 * rows)
            axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)[1]
        self.axes_ = np.ravel(np.asarray(axes, dtype=object))
        if len(self.axes_) != len(panels):
            raise ValueError(f"This training needs {len(panels)} axes, one per panel, got {len(self.axes_)}.")
        for ax in self.axes_:
            check_drawing(ax, name="axes")
        for ax, draw in zip(self.axes_, panels, strict=True):
            draw(_Panel(ax, self.epochs, line_kw))
        self.figure_ = self.axes_[0].figure
        return self

    def _panels(self) -> list[Callable[[_Panel], None]]:
        """Return what draws each panel that there are numbers for."""
        known = set(self.epochs.columns[self.epochs.notna().any()])
        balance = self.epochs.reindex(columns=["selection_cost", "selection_gain"]).dropna()
        selective = bool((balance != 1).any(axis=None))
        classes = {"error_pool", "error_selected"}.issubset(known)
        wanted: list[tuple[Callable[[_Panel], None], bool]] = [
            (_draw_margins, {"margin_smallest", "margin_median"}.issubset(known)),
            (_draw_errors, classes),
            (_draw_losses, "train_loss" in known and not known.isdisjoint(MONITORED) and not classes),
            (_draw_balance, selective),
            (_draw_seconds, "seconds_training" in known and not selective),
            (_draw_use, "rows_used" in known),
        ]
        panels = [draw for draw, there in wanted if there]
        if not panels:
            raise ValueError(
                f"There is nothing to draw: the history has none of the columns {', '.join(MONITORED)}. Add "
                "MarginMonitor to the callbacks of the net: callbacks=[('monitor', MarginMonitor())]."
            )
        return panels


class _Panel:
    """One axes and the table that lines of it come from."""

    def __init__(self, ax: Any, epochs: pd.DataFrame, line_kw: Mapping[str, Any] | None):
        self.ax = ax
        self.epochs = epochs
        self._line_kw = {"linewidth": 1.8, **(line_kw or {})}
        if len(epochs) <= 30:
            self._line_kw = {"marker": "o", "markersize": 3.5, **self._line_kw}

    def column(self, name: str) -> pd.Series:
        """Return a column; NaN if it is missing."""
        return self.epochs.get(name, pd.Series(np.nan, self.epochs.index))

    def line(self, values: pd.Series, label: str, color: str) -> None:
        """Draw a column, if it holds any number."""
        if values.notna().any():
            self.ax.plot(values.index, values, **{"color": color, "label": label, **self._line_kw})

    def finish(self, title: str, ylabel: str, *, loc: str | None = "best") -> None:
        """Write what the axes mean."""
        from matplotlib.ticker import MaxNLocator

        self.ax.set_title(title, loc="left", fontsize="medium")
        self.ax.set(xlabel="epoch", ylabel=ylabel)
        self.ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.ax.grid(alpha=0.25)
        self.ax.set_axisbelow(True)
        self.ax.spines[["top", "right"]].set_visible(False)
        if loc is not None:
            self.ax.legend(loc=loc, frameon=False, fontsize="small")


def _draw_margins(panel: _Panel) -> None:
    smallest, median = panel.column("margin_smallest"), panel.column("margin_median")
    panel.line(median, "median", GREY)
    panel.line(smallest, "mean of the ten smallest", BLUE)
    if (smallest.dropna() > 0).all() and (median.dropna() > 0).all():
        panel.ax.set_yscale("log")
        panel.ax.yaxis.set_major_formatter("{x:g}")
    panel.finish("Progress signal", "margin")


def _draw_errors(panel: _Panel) -> None:
    panel.line(100 * panel.column("error_selected"), "rows trained on", ORANGE)
    if not panel.column("error_pool").equals(panel.column("error_selected")):  # else: nothing was chosen
        panel.line(100 * panel.column("error_pool"), "pool", GREY)
    panel.line(100 - 100 * panel.column("valid_acc"), "validation", BLUE)
    panel.ax.set_ylim(bottom=0)
    panel.finish("Error", "wrong rows in %")


def _draw_losses(panel: _Panel) -> None:
    panel.line(panel.column("train_loss"), "rows trained on", ORANGE)
    panel.line(panel.column("valid_loss"), "validation", BLUE)
    panel.finish("Loss", "mean loss of a row")


def _draw_balance(panel: _Panel) -> None:
    panel.ax.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    panel.line(panel.column("selection_gain"), "gain, in random rows", GREEN)
    panel.line(panel.column("selection_cost"), "cost, in plain steps", ORANGE)
    highest = panel.epochs[["selection_gain", "selection_cost"]].max(axis=None)
    panel.ax.set_ylim(0, 1.35 * highest)  # room for the legend
    panel.finish("Cost of a step and gain of a row", "factor", loc="upper left")


def _draw_seconds(panel: _Panel) -> None:
    training, scoring = panel.column("seconds_training"), panel.column("seconds_scoring")
    panel.ax.bar(panel.epochs.index, training, width=0.8, color=BLUE, label="training")
    if (scoring > 0).any():
        panel.ax.bar(
            panel.epochs.index, scoring, bottom=training, width=0.8, color=ORANGE, label="choosing rows"
        )
    panel.ax.set_ylim(0, 1.35 * (training + scoring.fillna(0)).max())  # room for the legend
    panel.finish("Time", "seconds per epoch", loc="upper left")


def _draw_use(panel: _Panel) -> None:
    panel.line(100 * panel.column("rows_used"), "", BLUE)
    panel.ax.set_ylim(0, 105)
    panel.finish("Rows trained on at least once", "share of the rows in %", loc=None)


def _table(history: pd.DataFrame | Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the columns that can be drawn, indexed by epoch."""
    table = history.copy() if isinstance(history, pd.DataFrame) else None
    if table is None:
        if not isinstance(history, Sequence) or not all(isinstance(row, Mapping) for row in history):
            raise TypeError(
                f"history must be net.history, a list of dicts or a DataFrame, got {show(history)} of type "
                f"{type(history).__name__}."
            )
        names = ("epoch", *MONITORED, *BESIDE)
        table = pd.DataFrame([{name: row[name] for name in names if name in row} for row in history])
    if "epoch" in table:
        table = table.set_index("epoch")
    else:
        table.index = pd.RangeIndex(1, len(table) + 1, name="epoch")
    return table[[name for name in (*MONITORED, *BESIDE) if name in table]].astype(float)
