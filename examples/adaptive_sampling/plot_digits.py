"""
The main job: which digits are worth a label?
=============================================

A pool of 1,297 handwritten digits, a labeller who charges for each answer, and a budget of 300 labels. Five
ways to spend it:

* **random**: rows at random, the control that every method must beat;
* **paper SNN**: adaptive latent space sampling by nearest neighbour as published (arXiv:2004.02757);
* **SNN**: ours, the same climb in the latent space, but it ends where the network changes its mind, starts
  from each labelled row once, and passes over rows that are near-copies of labelled ones;
* **MMS**: the smallest minimal margin score (arXiv:1911.06996), which passes the whole pool through the
  network in every round;
* **auto**: the default. First rows in the middle of clusters of the codes, then hard rows that differ, and
  labels that spread to rows which nobody labelled.

All arms share the network, the number of rows it is trained on, and the budget; the first four share, seed by
seed, the first 50 rows. The labels are looked up in `y`
as they are bought; with a person or a simulator in place of `y`, nothing else would change.
"""

# %%
# The pool, and a VAE that learns it without labels
# --------------------------------------------------
import os
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.datasets import load_digits_pool
from skalss.latent import VAE
from skalss.nets import net_classifier

tiny = os.environ.get("SKALSS_DOCS_BUDGET") == "tiny"
n_seeds, max_labels = (2, 150) if tiny else (5, 300)

pool = load_digits_pool()
vae = VAE(16, max_epochs=200, batch_size=64, random_state=0).fit(pool.X)
print(
    f"{len(pool.X)} unlabelled digits; reconstruction error {vae.reconstruction_error_:.4f}, "
    f"{vae.n_active_units_} active units, KL {vae.kl_:.1f} nats"
)

# %%
# Five ways to spend the budget
# -----------------------------
# A frozen latent model is fitted once and shared by every run. With few labels an epoch is a few updates;
# here it passes at least 512 rows, in all arms.

shared = {
    "estimator": TaskNet(net_classifier(), min_epoch_rows=512),
    "latent_model": FrozenEstimator(vae),
    "n_initial": 50,
    "n_per_round": 50,
    "max_labels": max_labels,
}
arms = {
    "random": lambda seed: AdaptiveLatentSampler(strategy="random", random_state=seed, **shared),
    "paper SNN": lambda seed: AdaptiveLatentSampler.paper("snn", random_state=seed, **shared),
    "SNN": lambda seed: AdaptiveLatentSampler(strategy="snn", random_state=seed, **shared),
    "MMS": lambda seed: AdaptiveLatentSampler(strategy="mms", random_state=seed, **shared),
    "auto": lambda seed: AdaptiveLatentSampler(random_state=seed, **shared),
}
curves, fitted = [], {}
for arm, make in arms.items():
    for seed in range(n_seeds):
        # The test set draws the learning curve. Nothing is chosen by it.
        fitted[arm] = make(seed).fit(pool.X, pool.y, X_val=pool.X_test, y_val=pool.y_test)
        curve = fitted[arm].history_[["n_labels", "val_score"]].dropna()
        curves.append(curve.assign(arm=arm, seed=seed))
curves = pd.concat(curves)

# %%
# Accuracy by number of labels
# ----------------------------
# Mean over the seeds in percent, and the difference to random, paired by seed, over the whole curve.

accuracy = 100 * curves.pivot_table(index="n_labels", columns="arm", values="val_score")[list(arms)]
print(f"\nAccuracy in %, mean over {n_seeds} seeds\n{accuracy.round(1).to_string()}")
paired = 100 * curves.pivot_table(index=["seed", "n_labels"], columns="arm", values="val_score")
gain = paired.sub(paired["random"], axis=0).groupby("seed").mean()[list(arms)[1:]]
print("\nGain over random in points, mean over the curve, by seed")
print(gain.round(2).to_string())

# %%
# The table in a picture: the line is the mean over the seeds, the band its spread.

colors = {"random": "#777777", "paper SNN": "#e08214", "SNN": "#2166ac", "MMS": "#5aae61", "auto": "#762a83"}
figure, ax = plt.subplots(num="digits_curves", figsize=(6.4, 4), layout="constrained")
for arm in arms:
    group = 100 * curves[curves["arm"] == arm].pivot(index="n_labels", columns="seed", values="val_score")
    ax.plot(group.index, group.mean(axis=1), marker="o", markersize=4, color=colors[arm], label=arm)
    ax.fill_between(group.index, group.min(axis=1), group.max(axis=1), color=colors[arm], alpha=0.15, lw=0)
ax.set(xlabel="labels bought", ylabel="test accuracy in %")
handles, labels = ax.get_legend_handles_labels()
order = accuracy.mean().sort_values(ascending=False).index
beside = {
    "loc": "upper left",
    "bbox_to_anchor": (1, 1),
    "frameon": False,
}  # a legend inside would hide a curve
ax.legend([handles[labels.index(arm)] for arm in order], order, **beside)
ax.set_title(f"Digits: mean and range over {n_seeds} seeds")
ax.grid(alpha=0.25)
ax.spines[["top", "right"]].set_visible(False)

# %%
# What was asked
# --------------
# From the last batch of each arm, in the last seed's run: MMS and auto ask for digits that are hard to read.

figure, axes = plt.subplots(len(arms), 1, num="digits_asked", figsize=(6.4, 4.4), layout="constrained")
for ax, (arm, sampler) in zip(axes, fitted.items(), strict=True):
    rows = sampler.queries_["position"].tail(15)
    ax.imshow(np.hstack(pool.X[rows].reshape(-1, 8, 8)), cmap="gray_r")
    ax.set_ylabel(arm, rotation=0, ha="right", va="center")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
figure.suptitle("The last fifteen digits that each arm asked for")

# %%
# Where in the latent space
# -------------------------
# The codes of the pool in their first two principal components, coloured by class, and the rows that each
# arm asked for after the first set, in the last seed's run.

codes = vae.transform(pool.X)
centred = codes - codes.mean(axis=0)
plane = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
figure, axes = plt.subplots(
    1, 3, num="digits_latent", figsize=(8.4, 3.2), layout="constrained", sharex=True, sharey=True
)
for ax, arm in zip(axes, ("random", "SNN", "auto"), strict=True):
    ax.scatter(*plane.T, c=pool.y, cmap="tab10", s=6, alpha=0.35, lw=0)
    queries = fitted[arm].queries_
    asked = plane[queries.loc[queries["round"] > 0, "position"]]
    ax.scatter(*asked.T, s=14, facecolors="none", edgecolors="black", linewidths=0.6, label="asked")
    ax.set(title=arm, xticks=[], yticks=[])
axes[-1].legend(fontsize=8, **beside)

# %%
# Run as a script, the pictures go to files in the working directory.

if "sphinx_gallery" not in sys.modules:
    for name in plt.get_figlabels():
        plt.figure(name).savefig(f"{name}.png", dpi=150)
        print(f"wrote {name}.png")
