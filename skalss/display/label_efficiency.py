"""LabelEfficiencyDisplay: the score by number of labels, arm by arm, with its interval over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ..compare import learning_areas, mean_interval, paired_runs
from ..compare.runs import CONTROL
from ..compare.summary import check_results
from ..utils.checks import check_mapping, check_text, show
from .pyplot import check_drawing, pyplot

# Okabe and Ito's colours, without the yellow that is too light for lines, and a dark red. Each has a marker,
# so that arms can be told apart without colour, too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", ":", "-.")  # the next of them where colours begin again
GREY = "#777777"


class LabelEfficiencyDisplay:
    """Learning curves of `skalss.compare.compare_strategies`, with their 95 % interval over seeds.

    Make one with `from_results` or `from_samplers`. All parameters are stored as attributes.

    Parameters
    ----------
    curves : DataFrame
        A row for each arm and round: `arm`, `n_labels`, `mean`, `low` and `high`, in units of the score. Arms
        keep their colour by their order here.
    areas : Series
        Area under the curve of each arm, mean over seeds; the legend is in its order.
    n_seeds : int
        Seeds that the curves are a mean of.
    control : str or None
        Arm to draw in grey.
    metric_name : str
        What the score is. One that ends in "accuracy" is shown in percent.

    Attributes
    ----------
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes
    lines_ : dict of str to matplotlib Line2D
        The line of each arm, in the order of the legend.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skalss import AdaptiveLatentSampler
    >>> from skalss.compare import compare_strategies
    >>> from skalss.datasets import load_digits_pool
    >>> from skalss.display import LabelEfficiencyDisplay
    >>> from skalss.latent import LinearLatent
    >>> pool = load_digits_pool()
    >>> sampler = AdaptiveLatentSampler(
    ...     latent_model=LinearLatent(16), n_initial=30, n_per_round=30, max_labels=90)
    >>> results = compare_strategies(
    ...     sampler, pool.X, pool.y, ["auto"], X_test=pool.X_test, y_test=pool.y_test, seeds=2)
    >>> display = LabelEfficiencyDisplay.from_results(results)
    >>> list(display.lines_)
    ['auto', 'random']
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, curves, areas, n_seeds, control=CONTROL, metric_name="score"):
        self.curves = curves
        self.areas = areas
        self.n_seeds = n_seeds
        self.control = control
        self.metric_name = metric_name

    @classmethod
    def from_results(
        cls,
        results: pd.DataFrame,
        *,
        arms: Sequence[str] | None = None,
        control: str | None = CONTROL,
        metric_name: str | None = None,
        ax: Any = None,
        line_kw: Mapping[str, Any] | None = None,
        fill_kw: Mapping[str, Any] | None = None,
        control_kw: Mapping[str, Any] | None = None,
    ) -> LabelEfficiencyDisplay:
        """Draw the results of a comparison.

        Parameters
        ----------
        results : DataFrame
            From `compare_strategies`. Seeds that some arm lacks are left out.
        arms : sequence of str, default=None
            Those to draw; None: all.
        control : str or None, default="random"
            Arm to draw in grey, if it is there.
        metric_name : str, default=None
            What the score is; None: what `compare_strategies` noted, or "score" of results from elsewhere.
        ax : matplotlib Axes, default=None
            See `plot`.
        line_kw, fill_kw, control_kw : dict, default=None
            See `plot`.

        Returns
        -------
        display : LabelEfficiencyDisplay

        Raises
        ------
        ValueError
            If columns are missing, there are no results, an arm is not among them, or no seed was run with
            all arms.
        """
        check_drawing(ax, line_kw=line_kw, fill_kw=fill_kw, control_kw=control_kw)
        check_results(results)
        for name, text in (("control", control), ("metric_name", metric_name)):
            if text is not None:
                check_text(name, text, also="None")
        known = list(dict.fromkeys(results["arm"]))
        arms = known if arms is None else [arms] if isinstance(arms, str) else arms
        if not isinstance(arms, Sequence) or isinstance(arms, bytes):
            raise TypeError(f"arms must be a list of some of {known}, got {show(arms)}.")
        unknown = [arm for arm in arms if not (isinstance(arm, str) and arm in known)]
        if unknown or not arms:
            raise ValueError(f"arms must be some of {known}, got {show(unknown or arms)}.")
        paired = paired_runs(results[results["arm"].isin(arms)])
        display = cls(
            curves=pd.concat([_curve(paired, arm) for arm in arms], ignore_index=True),
            areas=learning_areas(paired).mean()[arms],
            n_seeds=int(paired["seed"].nunique()),
            control=control,
            metric_name=metric_name or results.attrs.get("metric_name", "score"),
        )
        return display.plot(ax=ax, line_kw=line_kw, fill_kw=fill_kw, control_kw=control_kw)

    @classmethod
    def from_samplers(
        cls,
        samplers: Mapping[str, Iterable[Any]],
        *,
        control: str | None = CONTROL,
        metric_name: str = "score",
        ax: Any = None,
        line_kw: Mapping[str, Any] | None = None,
        fill_kw: Mapping[str, Any] | None = None,
        control_kw: Mapping[str, Any] | None = None,
    ) -> LabelEfficiencyDisplay:
        """Draw the `val_score` of samplers that were fitted with `X_val` and `y_val`.

        Parameters
        ----------
        samplers : dict of str to list of AdaptiveLatentSampler
            The fitted samplers of each arm. The first of each are taken for one seed, the second for the
            next, and so on.
        control : str or None, default="random"
            Arm to draw in grey, if it is there.
        metric_name : str or None, default="score"
            What `val_score` is.
        ax : matplotlib Axes, default=None
            See `plot`.
        line_kw, fill_kw, control_kw : dict, default=None
            See `plot`.

        Returns
        -------
        display : LabelEfficiencyDisplay

        Raises
        ------
        NotFittedError
            If a sampler is not fitted.
        ValueError
            If one was fitted without `X_val` and `y_val`.
        """
        check_mapping("samplers", samplers)
        if not any(map(bool, samplers.values())):
            raise ValueError(
                f"samplers must hold a fitted sampler, got {show(samplers)}. Or draw what compare_strategies "
                "gives with from_results."
            )
        for arm, fitted in samplers.items():
            check_text("Each name in samplers", arm)
            if not isinstance(fitted, Sequence) or isinstance(fitted, str | bytes):
                raise TypeError(f"samplers[{arm!r}] must be a list of fitted samplers, got {show(fitted)}.")
        runs = [
            _scores(sampler).assign(arm=arm, seed=seed)
            for arm, fitted in samplers.items()
            for seed, sampler in enumerate(fitted)
        ]
        return cls.from_results(
            pd.concat(runs, ignore_index=True),
            control=control,
            metric_name=metric_name,
            ax=ax,
            line_kw=line_kw,
            fill_kw=fill_kw,
            control_kw=control_kw,
        )

    def plot(self, ax=None, *, line_kw=None, fill_kw=None, control_kw=None) -> LabelEfficiencyDisplay:
        """Draw a line for each arm, the mean over seeds, and a band, its 95 % interval by Student's t.

        A single seed has no band. The band says how well the mean of an arm is known. Whether one arm beats
        another is told better by the paired intervals of `skalss.compare.summarize_comparison`.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None: a new figure.
        line_kw : dict, default=None
            Passed on to each line.
        fill_kw : dict, default=None
            Passed on to each band.
        control_kw : dict, default=None
            Passed on to the line of the control arm, after `line_kw`.

        Returns
        -------
        display : LabelEfficiencyDisplay
            This object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_drawing(ax, line_kw=line_kw, fill_kw=fill_kw, control_kw=control_kw)
        plt = pyplot("LabelEfficiencyDisplay.plot")
        if ax is None:
            ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")[1]
        lines = {}
        for arm, style in self._styles().items():
            curve = self.curves[self.curves["arm"] == arm]
            style = {**style, "linewidth": 1.8, "markersize": 5, "label": arm, **(line_kw or {})}
            if arm == self.control:
                style = {**style, **(control_kw or {})}
            (lines[arm],) = ax.plot(curve["n_labels"], curve["mean"], **style)
            if curve["low"].notna().any():
                band = {"color": lines[arm].get_color(), "alpha": 0.15, "linewidth": 0, **(fill_kw or {})}
                ax.fill_between(curve["n_labels"], curve["low"], curve["high"], **band)
        order = self.areas.sort_values(ascending=False, kind="stable").index
        self.lines_ = {arm: lines[arm] for arm in order}
        self._finish(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _styles(self) -> dict[str, dict[str, Any]]:
        """Choose a colour and a marker for each arm: grey for the control, the others in turn."""
        arms = list(dict.fromkeys(self.curves["arm"]))
        styles = {self.control: {"color": GREY, "linestyle": "--"}} if self.control in arms else {}
        for i, arm in enumerate(arm for arm in arms if arm != self.control):
            turn, place = divmod(i, len(COLORS))
            dashes = DASHES[turn % len(DASHES)]
            styles[arm] = {"color": COLORS[place], "marker": MARKERS[place], "linestyle": dashes}
        return styles

    def _finish(self, ax: Any) -> None:
        """Write what the axes mean."""
        from matplotlib.ticker import PercentFormatter

        name = self.metric_name.replace("_", " ")
        if name.endswith("accuracy"):
            ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
            name = f"{name} in %"
        ax.set(xlabel="labels bought", ylabel=name)
        seeds = f"mean of {self.n_seeds} seeds, 95 % interval" if self.n_seeds > 1 else "one seed"
        ax.set_title(seeds, loc="left", fontsize="small")
        ax.grid(alpha=0.25)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(
            handles=list(self.lines_.values()),
            title="largest area first" if len(self.lines_) > 1 else None,
            title_fontsize="small",
            fontsize="small",
            frameon=False,
            alignment="left",
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),  # inside, it would hide a curve
        )


def _curve(results: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Average an arm over seeds, round by round."""
    rounds = results[results["arm"] == arm].groupby("round")
    scores = [mean_interval(scores) for _, scores in rounds["score"]]
    curve = pd.DataFrame(scores, columns=["mean", "low", "high"])
    return curve.assign(arm=arm, n_labels=rounds["n_labels"].mean().to_numpy())


def _scores(sampler: BaseEstimator) -> pd.DataFrame:
    """Return the scores of a fitted sampler as `compare_strategies` does."""
    history = getattr(sampler, "history_", None)
    if history is None:
        raise NotFittedError(
            f"This {type(sampler).__name__} is not fitted. Fit it with X_val and y_val, and pass it in a "
            "list: {'name': [sampler]}."
        )
    scored = history.dropna(subset="val_score")
    if scored.empty:
        raise ValueError(
            f"The history_ of this {type(sampler).__name__} has no val_score. Pass X_val and y_val to fit, "
            "or draw the results of compare_strategies."
        )
    return scored[["round", "n_labels"]].assign(score=scored["val_score"])
