"""
A simulator as the labeller: stress in the wall of an artery
============================================================

An artery with plaque is under blood pressure. How much stress its wall bears depends on its shape, and on
what the plaque is made of: a soft lipid core under a thin cap makes the cap bear more, calcification is stiff
and bears much itself. A finite element simulation finds the stress, and so labels the image of an artery.
Unlike a person, it also labels an image that a generative model made up: sampling by interpolation needs
that.

The vessels here are generated, after published anatomy; the elasticity is computed. It is a model for
trying out how labels are bought, not for patients.
"""

# %%
# Vessels
# -------
# Each image has three channels: what share of a pixel is wall, and how much of that is lipid or
# calcification. One grey scale would not do: the blurred edge between dark and bright would look like what
# lies in between.
import os
import time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from scipy.ndimage import gaussian_filter
from sklearn.frozen import FrozenEstimator

from skalss import AdaptiveLatentSampler, TaskNet
from skalss.compare import compare_strategies
from skalss.datasets import make_vessels
from skalss.display import LatentSpaceDisplay
from skalss.latent import ConvVAE, LevelSetLatent
from skalss.nets import LeNet, net_regressor
from skalss.oracles import Abstain
from skalss.simulation import VesselStress
from skalss.strategies import InterpolationStrategy

tiny = os.environ.get("SKALSS_DOCS_BUDGET") == "tiny"
n_vessels = 200 if tiny else 1000

vessels = make_vessels(n_vessels, random_state=0)
X = vessels.X
print(f"{X.shape}, {vessels.mm_per_pixel:.3f} mm per pixel")

COLORS = {"fibrous": "#c8b8a6", "lipid": "#e8c02e", "calcification": "#3b6ea5"}


def colored(image):
    """Mix the colours of the tissues on white."""
    wall, lipid, calcification = np.clip(image, 0, 1)
    fibrous = np.clip(wall - lipid - calcification, 0, 1)
    shares = np.stack([fibrous, lipid, calcification, 1 - np.clip(wall, 0, 1)], axis=-1)
    shares /= shares.sum(axis=-1, keepdims=True)
    return np.clip(shares @ np.array([*map(to_rgb, COLORS.values()), (1, 1, 1)]), 0, 1)


def show_tissue(ax, image, title=""):
    """Draw the tissues of one image."""
    ax.imshow(colored(image))
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()


figure, axes = plt.subplots(2, 8, figsize=(8, 2.5), layout="constrained")
for ax, image in zip(axes.flat, X, strict=False):
    show_tissue(ax, image)
handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in COLORS.values()]
figure.legend(handles, COLORS, loc="outside lower center", ncols=3, frameon=False)
plt.show()

# %%
# Their stress
# ------------
# The oracle finds the contours again, meshes the wall and solves. Its label is the peak of von Mises stress
# in kPa: what 99 % of the fibrous tissue stays below.

oracle = VesselStress()
start = time.perf_counter()
answers = dict(oracle.label(X, range(n_vessels)))
print(f"{1e3 * (time.perf_counter() - start) / n_vessels:.1f} ms a vessel")
peak = np.array([answers[i] for i in range(n_vessels)], dtype=float)  # each of them is a vessel
print(f"peaks from {peak.min():.0f} to {peak.max():.0f} kPa, median {np.median(peak):.0f} kPa")

# %%
# From the vessel with the lowest peak to the one with the highest, the stress on the mesh. It is high where
# the wall is thin and in calcification, and falls from the lumen outwards; lipid bears next to nothing.

shown = np.argsort(peak)[np.linspace(0, n_vessels - 1, 6).astype(int)]


def show_stress(ax, simulation):
    """Draw von Mises stress, element by element, and the contours."""
    nodes = np.concatenate([simulation.nodes, simulation.nodes[:1]])
    mesh = ax.pcolormesh(*np.moveaxis(nodes, -1, 0), simulation.von_mises, vmin=0, vmax=150, cmap="magma_r")
    for line in (nodes[:, 0], nodes[:, -1]):
        ax.plot(*line.T, color="black", lw=0.8)
    ax.set(xlim=(-0.5, 31.5), ylim=(31.5, -0.5), aspect="equal")
    ax.set_axis_off()
    return mesh


figure, axes = plt.subplots(2, 6, figsize=(8, 2.8), layout="constrained")
for column, i in zip(axes.T, shown, strict=True):
    show_tissue(column[0], X[i], f"{peak[i]:.0f} kPa")
    mesh = show_stress(column[1], oracle.simulate(X[i]))
figure.colorbar(mesh, ax=axes, label="von Mises stress in kPa", shrink=0.8, extend="max")

# %%
# Images that are blurred, and images that are no vessel
# ------------------------------------------------------
# A decoded image is blurred, and some show no vessel at all. The simulator labels what it can and says what
# is wrong with the rest: an ``Abstain`` with a reason, which a campaign keeps in ``queries_``.

i = shown[3]
flawed = {
    "as it is": X[i],
    "blurred": gaussian_filter(X[i], (0, 0.7, 0.7)),
    "noisy": X[i] + np.random.default_rng(0).normal(0, 0.05, X[i].shape),
    "inverted": 1 - X[i],
    "four": np.tile(X[i][:, ::2, ::2], (1, 2, 2)),
}
figure, axes = plt.subplots(1, len(flawed), figsize=(8, 1.8), layout="constrained")
for ax, (name, image) in zip(axes, flawed.items(), strict=True):
    ((_, answer),) = oracle.label(image[None], [name])
    print(f"{name:12} {answer.reason if isinstance(answer, Abstain) else f'{answer:.0f} kPa'}")
    label = "refused" if isinstance(answer, Abstain) else f"{answer:.0f} kPa"
    show_tissue(ax, image, f"{name}: {label}")

# %%
# Points that a latent model makes up
# -----------------------------------
# Between the codes of two vessels lie vessels that nobody has seen, and the simulator labels them, too. The
# first and the last are vessels of the pool, decoded. A VAE trained this shortly keeps the shape of the wall
# and loses much of the plaque. ``LevelSetLatent`` describes each tissue by the distance to its edge, so what
# it decodes is sharp.

latent_models = {
    "VAE": ConvVAE(16, max_epochs=3 if tiny else 15, batch_size=64, lr=2e-3, random_state=0),
    "level sets": LevelSetLatent(32, random_state=0),
}


def labels_of(images):
    """Simulate images; NaN where the simulator abstains."""
    answers = [answer for _, answer in oracle.label(images, range(len(images)))]
    return np.array([np.nan if isinstance(answer, Abstain) else answer for answer in answers])


figure, axes = plt.subplots(2, 7, figsize=(8, 3), layout="constrained")
for row, (name, model) in zip(axes, latent_models.items(), strict=True):
    ends = model.fit(X).transform(X[shown[[1, 4]]])
    path = model.inverse_transform(np.linspace(*ends, 7).astype(np.float32))
    for ax, label, image in zip(row, labels_of(path), path, strict=True):
        show_tissue(ax, image, "refused" if np.isnan(label) else f"{label:.0f} kPa")
    row[0].set_title(f"{name}\n{row[0].get_title()}", fontsize=9)
    ratio = labels_of(model.inverse_transform(model.transform(X))) / peak
    accepted = np.isfinite(ratio)
    print(f"{name}: {100 * accepted.mean():.1f} % of the decoded vessels are labelled")
    if accepted.any():
        change = 100 * (np.median(ratio[accepted]) - 1)
        print(f"their peaks differ from the real ones' by {change:+.0f} % in the median")
print(f"the two vessels themselves: {peak[shown[1]]:.0f} and {peak[shown[4]]:.0f} kPa")

# %%
# Points to simulate
# ------------------
# Decoded vessels are no vessels to learn from, if their stress is that of a blurred image. ``residual=True``
# asks for a real one that is changed as decoding changes between two codes: with level sets, edges move
# and small parts stay. Here each moves by one standard deviation of the codes in a random direction. Half of
# each round are such points, half random rows of the pool; a point that is refused is replaced by the
# nearest row in the next round.

mixed = InterpolationStrategy(
    climb="random", step=1.0, n_steps=1, residual=True, random_share=0.5, on_refusal="nearest"
)
sampler = AdaptiveLatentSampler(
    TaskNet(net_regressor(LeNet, max_epochs=2 if tiny else 30), min_epoch_rows=256),
    FrozenEstimator(latent_models["level sets"]),
    strategy=mixed,
    oracle=VesselStress(output="log_peak"),  # squared errors suit logarithms: high peaks spread more
    n_initial=40,
    n_per_round=40,
    max_labels=80 if tiny else 200,
    random_state=0,
)
fitted = sampler.fit(X)
print(fitted.queries_.groupby(["kind", "state"]).size().to_string())

figure, axes = plt.subplots(1, 8, figsize=(8, 1.5), layout="constrained")
for ax, image, label in zip(axes, fitted.X_generated_, fitted.y_generated_, strict=False):
    show_tissue(ax, image, f"{np.exp(label):.0f} kPa")
figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
LatentSpaceDisplay.from_estimator(fitted, X, ax=ax)
plt.show()

# %%
# Does it pay?
# ------------
# Against random rows, and the default for values, which chooses rows of the pool by LCMD. Two seeds show how
# to ask, not the answer: the user guide has five.

n_test = 100 if tiny else 500
X_test = make_vessels(n_test, random_state=1).X
results = compare_strategies(
    sampler,
    X,
    None,
    {"auto": "auto", "points and rows": mixed},
    X_test=X_test,
    y_test=np.log(labels_of(X_test)),
    seeds=2,
)
figure, ax = plt.subplots(figsize=(5.5, 3.5), layout="constrained")
for i, (arm, runs) in enumerate(results.groupby("arm", sort=False)):
    for _, run in runs.groupby("seed"):
        ax.plot(run["n_queries"], run["score"], color=f"C{i}", lw=0.8, alpha=0.5)
    mean = runs.groupby("n_queries")["score"].mean()
    ax.plot(mean.index, mean, color=f"C{i}", marker="o", ms=4, label=arm)
ax.set(xlabel="simulations", ylabel="R² on other vessels")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
print(results.pivot_table(index="n_queries", columns="arm", values="score").round(3).to_string())

plt.show()
