"""
The first labels
================

Before there is a label, no network can say which rows are hard. But the codes of the pool are there, and they
say which rows are alike. Three ways to choose the first labels:

* **random**: rows at random, which takes some kinds twice and misses others;
* **kmeans**: as many clusters of the codes as labels are wanted, and of each the row nearest to its centre;
* **typical**: of each cluster the row in its densest place (TypiClust, arXiv:2202.02794).
"""

# %%
# The first network
# -----------------
# Each way buys a few labels, once with every seed, and the network is trained on them. There are no further
# rounds. The latent model is fitted once. Each training passes over 512 rows an epoch.
import os
import sys

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.frozen import FrozenEstimator

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.compare import mean_interval
from skalss.datasets import load_digits_pool
from skalss.display import LatentSpaceDisplay
from skalss.latent import VAE
from skalss.nets import net_classifier

tiny = os.environ.get("SKALSS_DOCS_BUDGET") == "tiny"
n_seeds, budgets = (2, [10, 20]) if tiny else (8, [10, 20, 40])
ways = ["random", "kmeans", "typical"]

pool = load_digits_pool()
vae = FrozenEstimator(VAE(16, max_epochs=100, batch_size=64, random_state=0).fit(pool.X))
net = TaskNet(net_classifier(max_epochs=20), min_epoch_rows=512)

runs, fitted = [], {}
for seed in range(n_seeds):
    for n_labels in budgets:
        for way in ways:
            sampler = AdaptiveLatentSampler(
                net,
                vae,
                initial=way,
                n_initial=n_labels,
                max_labels=n_labels,
                pseudo_labels=None,
                random_state=seed,
            ).fit(pool.X, pool.y)
            fitted[way, n_labels, seed] = sampler
            runs.append(
                {
                    "way": way,
                    "labels": n_labels,
                    "seed": seed,
                    "accuracy": 100 * sampler.score(pool.X_test, pool.y_test),
                    "classes": sampler.queries_["label"].nunique(),
                }
            )
runs = pd.DataFrame(runs)

# %%
# Test accuracy in percent and how many of the ten classes were found, mean over the seeds. Below, by how much
# the accuracy exceeds that of random, with its 95 % interval over the seeds, paired.

print(
    runs.pivot_table(index="labels", columns="way", values=["accuracy", "classes"])[
        [(name, way) for name in ("accuracy", "classes") for way in ways]
    ]
    .round(1)
    .to_string()
)
accuracy = runs.pivot_table(index=["labels", "seed"], columns="way", values="accuracy")
for n_labels in budgets:
    for way in ways[1:]:
        gain, low, high = mean_interval(accuracy.loc[n_labels, way] - accuracy.loc[n_labels, "random"])
        print(f"{n_labels:>3} labels, {way:>7}: {gain:+.1f} points ({low:+.1f} to {high:+.1f})")

# %%
# A dot is one seed.

colors = {"random": "#777777", "kmeans": "#0072B2", "typical": "#D55E00"}
figure, ax = plt.subplots(num="cold_start_accuracy", figsize=(6.4, 3.6), layout="constrained")
for i, way in enumerate(ways):
    of_way = runs[runs["way"] == way]
    places = of_way["labels"].map(budgets.index) + 0.2 * (i - 1)
    ax.scatter(places, of_way["accuracy"], s=16, color=colors[way], alpha=0.6, linewidths=0)
    means = of_way.groupby("labels")["accuracy"].mean()
    ax.scatter(
        [budgets.index(n) + 0.2 * (i - 1) for n in means.index],
        means,
        s=220,
        marker="_",
        color=colors[way],
        linewidths=2.5,
        label=f"{way}, mean",
    )
ax.set_xticks(range(len(budgets)), budgets)
ax.set(xlabel="labels bought", ylabel="test accuracy of the first network in %")
ax.grid(axis="y", alpha=0.25)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)

# %%
# The fewer labels, the more it matters which. A small random set lacks some of the ten digits, and a network
# cannot learn a digit that it has never seen. Both ways by clusters are ahead with each of these budgets, and
# their seeds differ less. Between these two the difference is small. With more labels random catches up:
# clusters are for the first rows, not for all.

# %%
# What was chosen
# ---------------
# The codes in their first two principal components: the pool in grey, the rows chosen with the first seed in
# the colours of their classes. Random rows fall side by side in some places and leave others empty; those by
# clusters are spread over the pool. The plane shows only a part of the distances: rows that lie close by
# each other here may be far apart in the other components.

n_labels = budgets[1]
figure, axes = plt.subplots(
    1, 3, num="cold_start_codes", figsize=(9.6, 3.6), sharex=True, sharey=True, layout="constrained"
)
for ax, way in zip(axes, ways, strict=True):
    display = LatentSpaceDisplay.from_estimator(fitted[way, n_labels, 0], pool.X, latent_model=vae, ax=ax)
    ax.set_title(f"{way}: {n_labels} labels", loc="left", fontsize="medium")
    if way != ways[-1]:
        ax.get_legend().remove()
    ax.label_outer()

# %%
# Run as a script, the pictures go to files in the working directory.

if "sphinx_gallery" not in sys.modules:
    for name in plt.get_figlabels():
        plt.figure(name).savefig(f"{name}.png", dpi=150)
        print(f"wrote {name}.png")
