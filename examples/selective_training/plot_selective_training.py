"""
Which rows are worth a training step?
=====================================

After a few epochs most rows are easy: a step on them teaches the network little. Selective training spends
the steps on the others. Three ways to train the same network on the digits:

* **uniform**: every row, once an epoch: the control;
* **mms**: a forward pass scores a pool of three batches, and the third with the smallest minimal margin score
  gets the step (arXiv:1911.06996), while that promises to pay;
* **prune**: a random share of the easier rows sits out each epoch, and those that stay weigh more, so that
  all are counted (the rule of InfoBatch, arXiv:2303.04947, by margin instead of loss). Nothing is scored.

Choosing rows takes time, too. So each arm is shown twice: by steps, and by seconds. The network comes in two
widths, because the price depends on it: where a step is a moment's work, Python takes longer to choose the
rows than torch to train on them.
"""

# %%
# The nets
# --------
# ``SelectiveNetClassifier`` is skorch's ``NeuralNetClassifier`` with a `selector`; None trains on every row.
# ``EarlyDropLR`` runs through the same schedule of learning rates in a training of any length, so that short
# and long ones can be compared. ``TaskNet`` seeds and scales.
import os
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.ticker import LogLocator, NullLocator
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from skalss import TaskNet
from skalss.datasets import load_digits_pool
from skalss.display import TrainingProgressDisplay
from skalss.nets import MLP
from skalss.selective import EarlyDropLR, MarginMonitor, SelectiveNetClassifier

tiny = os.environ.get("SKALSS_DOCS_BUDGET") == "tiny"
n_seeds, n_epochs = (2, [2, 4]) if tiny else (4, [2, 4, 8])
widths = {"narrow": 64, "wide": 640}
selectors = {"uniform": None, "mms": "mms", "prune": "prune"}

pool = load_digits_pool()
print(f"{len(pool.X)} digits to train on, {len(pool.X_test)} to test on")


def make_net(width, selector, max_epochs, callbacks=(), train_split=None):
    """Build a network of two hidden layers."""
    return SelectiveNetClassifier(
        MLP,
        selector=selector,
        module__hidden_layer_sizes=(width, width),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        lr=0.1,
        batch_size=64,
        max_epochs=max_epochs,
        train_split=train_split,
        callbacks=[("lr", EarlyDropLR()), *callbacks],
    )


# %%
# Trainings of several lengths
# ----------------------------
# Each is a whole training, with a schedule of its own length. Seed by seed all arms start from the same
# weights. The uniform arm gets one training more, twice as long as the longest of the others: the time that
# they spend on choosing rows, it may spend on steps. The arms take turns, so that a busy machine slows down
# all of them.

for selector in selectors.values():  # the first call of anything is slow
    TaskNet(make_net(widths["wide"], selector, 1), random_state=0).fit(pool.X, pool.y)

runs = []
for seed in range(n_seeds):
    for network, width in widths.items():
        for arm, selector in selectors.items():
            for epochs in n_epochs + [2 * n_epochs[-1]] * (arm == "uniform"):
                net = TaskNet(make_net(width, selector, epochs), random_state=seed).fit(pool.X, pool.y)
                history = net.net_.history
                runs.append(
                    {
                        "network": network,
                        "arm": arm,
                        "epochs": epochs,
                        "seed": seed,
                        "steps": sum(history[:, "train_batch_count"]),
                        "seconds": sum(history[:, "dur"]),
                        "error": 100 * (1 - net.score(pool.X_test, pool.y_test)),
                    }
                )
runs = pd.DataFrame(runs)

# %%
# Steps and seconds
# -----------------
# A dot is the mean over the seeds, of seconds the median; a bar goes from the lowest error to the highest.
# Below the grey line is better than uniform, above it worse.

groups = runs.groupby(["network", "arm", "epochs"], sort=False)
mean = groups[["steps", "seconds", "error"]].mean().assign(seconds=groups["seconds"].median())
low, high = groups["error"].min(), groups["error"].max()

colors = {"uniform": "#777777", "mms": "#2166ac", "prune": "#e08214"}
figure, axes = plt.subplots(
    2, 2, num="selective_curves", figsize=(7.2, 6), sharey="row", layout="constrained"
)
for row, network in zip(axes, widths, strict=True):
    for ax, price in zip(row, ("steps", "seconds"), strict=True):
        for arm in selectors:
            line = mean.loc[network, arm]
            ax.plot(line[price], line["error"], marker="o", markersize=4, color=colors[arm], label=arm)
            ax.vlines(line[price], low[network, arm], high[network, arm], color=colors[arm], alpha=0.3, lw=3)
        ax.set_title(f"{network} network, by {price}", loc="left", fontsize="medium")
        ax.set(xscale="log", yscale="log")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
    row[0].set_ylabel("test error in %")
axes[1, 0].set_xlabel("training steps")
axes[1, 1].set_xlabel("seconds of training")
axes[0, 1].legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
for ax in axes.flat:
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)

# %%
# The same in numbers, for the longest trainings of the two selective arms. First, what a step costs in plain
# steps. Then, by how many points the error is below that of uniform, once after as many epochs and once after
# as many seconds; for the latter the uniform curve is read off between its trainings. Beside each gain stands
# in how many seeds it was above 0.

errors, seconds, steps = (
    runs.pivot_table(index="seed", columns=["network", "arm", "epochs"], values=name)
    for name in ("error", "seconds", "steps")
)
last, table = n_epochs[-1], []
for network in widths:
    uniform = errors[network, "uniform"]
    log_seconds = np.log(seconds[network, "uniform"].median())
    for arm in ("mms", "prune"):
        step = seconds[network, arm, last] / steps[network, arm, last]
        plain_step = seconds[network, "uniform", last] / steps[network, "uniform", last]
        now = np.log(seconds[network, arm, last].median())
        row = {"network": network, "arm": arm, "step": f"{(step / plain_step).median():.1f}"}
        for unit, control in {
            "epochs": uniform[last],
            "seconds": [np.interp(now, log_seconds, curve) for curve in uniform.to_numpy()],
        }.items():
            gain = control - errors[network, arm, last]
            row[f"equal {unit}"] = f"{gain.mean():+.2f} ({(gain > 0).sum()} of {n_seeds})"
        table.append(row)
print(pd.DataFrame(table).set_index(["network", "arm"]).to_string())

# %%
# What wins here? **By steps** mms is ahead in the longest training, and prune gets to about the error of
# uniform in fewer. **By seconds** it depends:
#
# * In the shortest trainings nothing beats uniform. Hardly any row is easy yet, so there is nothing to save.
# * On the narrow network a step is over so soon that choosing its rows takes about as long. mms is at best
#   even there, and prune behind.
# * On the wide network the price is smaller. In the longest training both are even with uniform or a little
#   ahead.
#
# The differences are small: on 500 test digits half a point is two or three digits. And look at the end of
# the grey line: uniform gets there too, if it may go on. Selection does not make a better network here. It
# makes one sooner, and only where its price is small beside that of a step.

# %%
# How a training goes
# -------------------
# ``MarginMonitor`` among the callbacks writes margins, errors, cost, gain and the rows used into the history
# of the net, and warns at the end if selection cost more than it gave. ``TrainingProgressDisplay`` draws
# them. The test digits only draw the line called validation; nothing is chosen by them.
#
# For the first epochs mms trains on rows as they come, and only looks now and then; when gain exceeds what
# choosing costs, it begins to choose. Near the end stands the uniform phase. The gain is a ratio: once nearly
# every row is learned it is large, and yet there is nothing left to gain.

test_rows = Dataset(torch.as_tensor(pool.X_test), torch.as_tensor(pool.y_test))


def watch(arm):
    """Train the wide network once more, and draw how it went."""
    net = make_net(
        widths["wide"],
        selectors[arm],
        2 * n_epochs[-1],
        callbacks=[("monitor", MarginMonitor())],
        train_split=predefined_split(test_rows),
    )
    net = TaskNet(net, random_state=0).fit(pool.X, pool.y)
    display = TrainingProgressDisplay.from_estimator(net)
    display.figure_.suptitle(f"{arm}, wide network")
    display.figure_.set_label(f"selective_{arm}")
    return display


display = watch("mms")

# %%
# Prune scores nothing; what it costs is to remember the rows. Its gain is about what it saves in steps.

display = watch("prune")

# %%
# Run as a script, the pictures go to files in the working directory.

if "sphinx_gallery" not in sys.modules:
    for name in plt.get_figlabels():
        plt.figure(name).savefig(f"{name}.png", dpi=150)
        print(f"wrote {name}.png")
