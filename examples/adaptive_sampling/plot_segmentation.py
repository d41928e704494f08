"""
Masks as labels: the tissue of an artery, pixel by pixel
========================================================

An image of an artery is easily had; its mask, the tissue of each pixel, takes an expert minutes. A U-Net
learns to draw it, and the sampler chooses the images that are worth the expert's time. Strokes are enough:
pixels that nobody labelled cost nothing, and are not trained on.

The vessels are generated, and the images only look roughly like ultrasound: this shows how labels are bought,
and is no model for patients.
"""

# %%
# Images and masks
# ----------------
# Images are (n, 1, height, width), masks (n, height, width) of whole numbers. Nothing else tells the sampler
# that a label is a mask.
import os

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.augment import ImageAugment
from skalss.compare import compare_strategies
from skalss.datasets import make_vessel_masks
from skalss.display import LabelEfficiencyDisplay
from skalss.latent import LinearLatent
from skalss.nets import UNet, net_classifier
from skalss.schedules import CosineLR
from skalss.targets import ClassMap

tiny = os.environ.get("SKALSS_DOCS_BUDGET") == "tiny"
n_seeds, n_epochs = (1, 4) if tiny else (2, 60)

pool = make_vessel_masks(100 if tiny else 300, size=16, noise=0.3, random_state=0)
test = make_vessel_masks(100, size=16, noise=0.3, random_state=1)
print(pool.X.shape, pool.y.shape, pool.target_names)

# %%
# A network and a sampler
# -----------------------
# The augmentation moves each mask with its image. The last layer of a `UNet` is a 1 × 1 convolution; what
# enters it, as the mean over pixels, are the features that strategies compare.

net = net_classifier(
    UNet, module__width=8, max_epochs=n_epochs, lr=0.01, batch_size=16, callbacks=[CosineLR()]
)
model = TaskNet(net, min_epoch_rows=128, augment=ImageAugment(shift=1))
sampler = AdaptiveLatentSampler(
    model, LinearLatent(16), n_initial=10, n_per_round=15, max_labels=40, random_state=0
)
sampler.fit(pool.X, pool.y)
print(f"mean IoU {sampler.score(test.X, test.y):.2f} after {sampler.n_labels_} masks")

# %%
# What it draws, and what it doubts
# ---------------------------------
# Doubt is 1 less the gap of the two highest probabilities of a pixel. The doubt of an image, by which
# strategies choose, is the mean over its pixels.

probabilities = sampler.predict_proba(test.X)
highest = np.sort(probabilities, axis=1)
doubt = 1 - (highest[:, -1] - highest[:, -2])
drawn = sampler.predict(test.X)

order = np.argsort(doubt.mean(axis=(1, 2)))
some = order[np.linspace(0, len(order) - 1, 6).astype(int)]  # from the surest to the most doubtful
tissues = ListedColormap(["white", "#b23a48", "#c8b8a6", "#e8c02e", "#3b6ea5"])
figure, axes = plt.subplots(4, len(some), figsize=(8, 5.4), layout="constrained")
shown = [(test.X[:, 0], "gray", 1), (test.y, tissues, 4), (drawn, tissues, 4), (doubt, "magma", 1)]
names = ["image", "true", "drawn", "doubt"]
for line, (maps, colors, most), name in zip(axes, shown, names, strict=True):
    for ax, i in zip(line, some, strict=True):
        ax.imshow(maps[i], cmap=colors, vmin=0, vmax=most)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)
handles = [plt.Rectangle((0, 0), 1, 1, facecolor=color, edgecolor="gray") for color in tissues.colors]
figure.legend(handles, pool.target_names, loc="outside lower center", ncols=5, frameon=False)
plt.show()

# %%
# Strokes in place of whole masks
# -------------------------------
# Here nine of ten pixels have the value -1: nobody labelled them. With as many labelled pixels in all, the
# network sees ten times as many images.

rng = np.random.default_rng(0)
strokes = np.where(rng.random(pool.y.shape) < 0.1, pool.y, -1)
rows = rng.permutation(len(pool.y))
whole = TaskNet(net, min_epoch_rows=128, augment=ImageAugment(shift=1), random_state=0)
few, many = rows[:10], rows[:100]
print(f"10 whole masks: mean IoU {whole.fit(pool.X[few], pool.y[few]).score(test.X, test.y):.2f}")
partly = TaskNet(
    net, target=ClassMap(ignore=-1), min_epoch_rows=128, augment=ImageAugment(shift=1), random_state=0
)
print(f"100 with strokes: mean IoU {partly.fit(pool.X[many], strokes[many]).score(test.X, test.y):.2f}")

# %%
# Does choosing pay?
# ------------------
# Two seeds only show the way to ask. With masks we have not seen choosing pay for sure: the user guide has
# runs with five seeds and intervals ("What a label can be").

results = compare_strategies(sampler, pool.X, pool.y, ["auto"], X_test=test.X, y_test=test.y, seeds=n_seeds)
LabelEfficiencyDisplay.from_results(results)
plt.show()
