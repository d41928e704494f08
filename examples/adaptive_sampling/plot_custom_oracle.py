"""
Three ways to label: a function, ask and tell, a spreadsheet
============================================================

Labels come from somewhere else: a simulator, a web service, a colleague with a spreadsheet. None of them
is perfect. They do not know some answers, they break down, and they take their time. So an answer is one of
three things:

* a **label**;
* an **abstention**, the labeller looked and does not know: it costs as much as a label, and the row is never
  asked again;
* a **failure**, nobody looked: it costs nothing unless you say so, and the row may be asked again
  when no other is left.

This example buys labels of handwritten digits in three ways. The labeller is simulated: it looks the answer
up, and gives up on digits whose nearest lookalike is another digit.
"""

# %%
# The pool and the labeller
# -------------------------
import itertools
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import NearestNeighbors

from skalss import AdaptiveLatentSampler, Campaign
from skalss.datasets import load_digits_pool
from skalss.latent import VAE
from skalss.oracles import ABSTAIN, FunctionOracle

tiny = os.environ.get("SKALSS_DOCS_BUDGET") == "tiny"

pool = load_digits_pool()
X = pool.X
vae = VAE(16, likelihood="gaussian", max_epochs=20 if tiny else 100, random_state=0).fit(X)

# Neighbour 0 of a row is the row itself, neighbour 1 the digit that looks most like it.
lookalike = NearestNeighbors(n_neighbors=2).fit(X).kneighbors(X, return_distance=False)[:, 1]
unclear = pool.y[lookalike] != pool.y
position = {row.tobytes(): i for i, row in enumerate(X)}
print(f"{len(X)} digits, of which the labeller cannot tell {unclear.sum()}")

# %%
# All three ways share one sampler. Nobody has told it the labels, so it is told which ones there are: then a
# typing error is refused instead of learned.

sampler = AdaptiveLatentSampler(
    latent_model=FrozenEstimator(vae),
    strategy="snn",
    n_initial=40,
    n_per_round=20,
    max_labels=80 if tiny else 160,
    classes=range(10),
    random_state=0,
)

# %%
# 1. A function
# -------------
# The shortest way. The function gets rows as we passed them and returns an answer for each; with
# ``per_row=True`` it gets one row at a time, so that each answer is kept before the next is asked for.
# ``None`` is an abstention. Exceptions named in ``catch`` are failures. Any other exception stops the
# run with an ``OracleError``: it is more likely a bug than a bad row. No answer is lost, the error
# carries the campaign.

calls = itertools.count(1)


def read_digit(row):
    """Ask a service that does not know everything, and that every 40th call does not reach."""
    if next(calls) % 40 == 0:
        raise TimeoutError("no answer within 10 s")
    i = position[row.tobytes()]
    return None if unclear[i] else int(pool.y[i])


oracle = FunctionOracle(read_digit, per_row=True, labels_new_points=False, catch=(TimeoutError,))
by_function = clone(sampler).set_params(oracle=oracle).fit(X)

print(f"stopped by {by_function.stop_reason_}: {by_function.n_queries_} paid answers, ", end="")
print(f"{by_function.n_labels_} of them labels")
print(f"accuracy {by_function.score(pool.X_test, pool.y_test):.3f}")

# %%
# ``queries_`` has a row for each question, answered or not. Save it: it is what you paid for.

queries = by_function.queries_
print(queries["state"].value_counts().to_string())
columns = ["id", "round", "state", "label", "charged", "reason"]
print(queries.loc[queries["state"] != "labeled", columns].to_string(index=False))

# %%
# What the strategy asked for once it had something to learn from, with the answers.

LOOKS = {"labeled": "black", "abstained": "#c2540a", "failed": "#b2182b", "pending": "#777777"}
WORDS = {"abstained": "don't know", "failed": "failed", "pending": "not yet"}


def draw(questions, title):
    """Draw the digits of up to 20 questions, each with its answer above it."""
    figure, axes = plt.subplots(2, 10, figsize=(7.2, 2.4), layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, question in zip(axes.flat, questions.itertuples(), strict=False):
        ax.imshow(X[question.position].reshape(8, 8), cmap="gray_r")
        labelled = question.state == "labeled"
        answer = question.label if labelled else WORDS[question.state]
        ax.set_title(answer, color=LOOKS[question.state], fontsize=11 if labelled else 8)
    figure.suptitle(title, fontsize=11)


draw(queries[queries["round"] > 0].head(20), "The first 20 digits that SNN asked for, and the answers")

# %%
# 2. Ask and tell
# ---------------
# A function must answer at once. People do not, and a cluster may take until tomorrow. A ``Campaign`` is the
# same loop with the answers left to you: ``ask`` gives a batch, ``tell`` takes answers, a part of them, in
# any order. In between it can be saved, and read back in another process.

campaign = Campaign(sampler, X)
batch = campaign.ask()
print(f"asked {len(batch)} rows, shape {batch.X.shape}, in round {batch.round}")

some = batch.ids[::-2]  # every other one, the last first
campaign.tell(some, pool.y[some])
print(f"told {len(some)}, {len(campaign.pending)} are still open")

# %%
# The file holds answers, open questions, codes and network, but not the pool, which may be large. A pool with
# other content is refused.

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "digits.campaign"
campaign.save(path)
campaign = Campaign.load(path, X)
print(f"after loading: {len(campaign.pending)} open")

rest = campaign.pending.ids
campaign.tell(rest, pool.y[rest])

# %%
# From here on it is a loop. ``ask`` returns an empty batch when a stopping rule holds. ``finish`` gives a
# fitted sampler, at any time.

while len(batch := campaign.ask()):
    campaign.tell(batch.ids, pool.y[batch.ids])
by_hand = campaign.finish()
print(f"{by_hand.n_labels_} labels, accuracy {by_hand.score(pool.X_test, pool.y_test):.3f}")

# %%
# 3. A spreadsheet
# ----------------
# For a person, a batch becomes a table with an empty column ``label``. We agree on this: a number is a label,
# ``?`` is "I looked and cannot tell", and an empty cell is "not yet".

sheet = Path(folder.name) / "please_label.csv"


def send(batch):
    """Write the questions to a file."""
    batch.to_frame(features=False).to_csv(sheet, index=False)


def person_fills_in(n):
    """Fill in the first `n` cells; the person of this example, who opens the file in a spreadsheet."""
    table = pd.read_csv(sheet, dtype={"label": str})
    answers = ["?" if unclear[i] else str(pool.y[i]) for i in table["id"].head(n)]
    table["label"] = pd.Series(answers)
    table.to_csv(sheet, index=False)


def receive(campaign):
    """Tell the cells that are filled in; empty ones stay open."""
    table = pd.read_csv(sheet, dtype={"label": str}).dropna(subset="label")
    answers = [ABSTAIN if answer == "?" else int(answer) for answer in table["label"]]
    campaign.tell(table["id"], answers)


campaign = Campaign(sampler, X)
send(campaign.ask())
person_fills_in(40)  # the first set
receive(campaign)

send(campaign.ask())
person_fills_in(14)  # of 20: it is Friday evening
receive(campaign)
print(f"{len(campaign.pending)} open: {campaign.pending.ids.tolist()}")

# %%
# The second sheet as it stands. The sampler is fitted on what is there; the open questions wait.

early = campaign.finish()
draw(early.queries_[early.queries_["round"] == 1], "The second sheet on Friday evening")
print(f"{early.n_labels_} labels, accuracy {early.score(pool.X_test, pool.y_test):.3f}")

# %%
# On Monday the open questions go out again, under the same ids, and the campaign runs to the end of its
# budget.

send(campaign.pending)
person_fills_in(len(campaign.pending))
receive(campaign)
while len(batch := campaign.ask()):
    send(batch)
    person_fills_in(len(batch))
    receive(campaign)

by_sheet = campaign.finish()
print(by_sheet.queries_["state"].value_counts().to_string())
print(f"{by_sheet.n_labels_} labels, accuracy {by_sheet.score(pool.X_test, pool.y_test):.3f}")

folder.cleanup()
plt.show()
