"""
Does it beat random rows?
=========================

A way to choose labels is worth its trouble if it needs fewer of them than choosing at random. One campaign
cannot tell: seeds differ by more than strategies do. ``compare_strategies`` runs each arm with several seeds,
and a control arm of random rows with the same ones:

* **random**: the control, with a random start and random queries;
* **margin**: asks for the rows whose two most probable classes are closest, after the same random start;
* **kmeans, margin**: queries as margin does, but its first rows come from clusters of the codes;
* **auto**: the default. Its first rows come from clusters, then it asks for hard rows that are spread over
  the latent space, and for the first part of each training it adds pseudo-labels, labels spread over the
  neighbour graph of the codes.

For one seed, arms that start alike share their first rows and their first network. Differences are taken
seed by seed.
"""

# %%
# The set-up that all arms share
# ------------------------------
# A training with pseudo-labels passes over at least 512 rows an epoch. ``min_epoch_rows`` gives every arm as
# many, so that none wins by training longer. The latent model is fitted once, for all campaigns.
import os
import sys

import matplotlib.pyplot as plt

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.compare import compare_strategies, summarize_comparison
from skalss.datasets import load_digits_pool
from skalss.display import LabelEfficiencyDisplay
from skalss.latent import VAE
from skalss.nets import net_classifier

tiny = os.environ.get("SKALSS_DOCS_BUDGET") == "tiny"
n_seeds, max_labels = (2, 60) if tiny else (3, 200)

pool = load_digits_pool()
sampler = AdaptiveLatentSampler(
    TaskNet(net_classifier(max_epochs=20), min_epoch_rows=512),
    VAE(16, max_epochs=100, batch_size=64, random_state=0),
    n_initial=20,
    n_per_round=20,
    max_labels=max_labels,
)
arms = {
    "margin": "margin",
    "kmeans, margin": {"strategy": "margin", "initial": "kmeans"},
    "auto": "auto",
}
results = compare_strategies(
    sampler, pool.X, pool.y, arms, X_test=pool.X_test, y_test=pool.y_test, seeds=n_seeds
)
print(results[["arm", "seed", "round", "n_labels", "score", "class_balance"]].head().to_string())

# %%
# Learning curves
# ---------------
# The line is the mean over the seeds, the band its 95 % interval by Student's t. With so few seeds the bands
# are wide.

display = LabelEfficiencyDisplay.from_results(results)
display.figure_.set_label("label_efficiency")

# %%
# Once they choose, all three arms are above random. The default is ahead from the first labels on, and so is,
# by less, margin with a start by clusters. The more labels there are, the closer the three come together,
# while random stays behind.

# %%
# In numbers
# ----------
# `aubc` is the area under the curve, in points of accuracy. `gain` is by how much it exceeds that of random,
# with a 95 % interval of the differences seed by seed: where it holds 0, the gain may be chance.
# `labels_to_target` is how many labels an arm needs for the accuracy at which random ends, `times_fewer` is
# how many times fewer that is.

summary = summarize_comparison(results)
columns = ["aubc", "gain", "gain_low", "gain_high", "final", "labels_to_target", "times_fewer"]
print(summary[columns].round(2).to_string())

# %%
# And the price of a campaign: rows that pass the network to choose one batch, seconds to choose and to train,
# and how evenly the labels bought fall on the classes; 1 is as evenly as can be.

print(summary[["network_rows", "query_seconds", "fit_seconds", "class_balance"]].round(2).to_string())

# %%
# Run as a script, the pictures go to files in the working directory.

if "sphinx_gallery" not in sys.modules:
    for name in plt.get_figlabels():
        plt.figure(name).savefig(f"{name}.png", dpi=150)
        print(f"wrote {name}.png")
