"""
A campaign that is killed and goes on
=====================================

Labels are the expensive part of a campaign. With ``ledger=`` each answer is on the disk before it is used, so
a process that dies takes none with it. This example kills a campaign in another process, starts it again, and
counts the calls to the labeller.
"""

# %%
# A script that may die
# ---------------------
# The campaign runs in a process of its own. Its labeller looks digits up, and notes each call in a file.
# After 75 calls the first process kills itself, without a goodbye.
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from skalss import Ledger

SCRIPT = """
import os
import sys

from skalss import AdaptiveLatentSampler
from skalss.datasets import load_digits_pool
from skalss.latent import LinearLatent
from skalss.oracles import FunctionOracle

folder, last_call = sys.argv[1], int(sys.argv[2])
pool = load_digits_pool()
label_of = {row.tobytes(): int(label) for row, label in zip(pool.X, pool.y)}
n_calls = 0


def read_digit(row):
    global n_calls
    if n_calls == last_call:
        os._exit(1)  # as hard as a power cut: nothing is tidied up
    n_calls += 1
    with open(f"{folder}/calls", "a") as file:
        print(last_call, file=file)
    return label_of[row.tobytes()]


sampler = AdaptiveLatentSampler(
    latent_model=LinearLatent(16),
    oracle=FunctionOracle(read_digit, per_row=True, labels_new_points=False),
    n_initial=30,
    n_per_round=30,
    max_labels=120,
    ledger=f"{folder}/digits.ledger",
    random_state=0,
).fit(pool.X)
print(f"{sampler.n_labels_} labels, accuracy {sampler.score(pool.X_test, pool.y_test):.3f}")
"""

folder = tempfile.TemporaryDirectory()


def start(last_call):
    """Run the script; give what it printed."""
    command = [sys.executable, "-c", SCRIPT, folder.name, str(last_call)]
    return subprocess.run(command, capture_output=True, text=True).stdout


print("first process:", start(last_call=75) or "died")

# %%
# What is in the ledger
# ---------------------
# 75 labels, and the 15 questions of the third round that were open when the process died.

ledger = Ledger(Path(folder.name) / "digits.ledger")
frame = ledger.to_frame()
print(frame.groupby(["round", "state"]).size().to_string())

# %%
# The same lines again
# --------------------
# The second process asks for the open rows first, then for more. It does not know that it is the second.

print("second process:", start(last_call=-1))
history = ledger.history()
calls = pd.read_csv(Path(folder.name) / "calls", names=["process"])["process"]
by_process = calls.map({75: "first process", -1: "second process"})
print(by_process.value_counts(sort=False).to_string())
print(f"{len(history)} answers, {history['id'].nunique()} different ids")

# %%
# Each call to the labeller gave one label in the ledger; no call was wasted.

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
times = pd.to_datetime(history["answered_at"])
seconds = (times - times.iloc[0]).dt.total_seconds()
for name, part in seconds.groupby(by_process.to_numpy()):
    ax.step(part, part.index + 1, where="post", label=name)
ax.axvline(seconds[74], color="0.6", linestyle=":", label="killed")
ax.set(xlabel="seconds since the first answer", ylabel="calls to the labeller = labels kept")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)

ledger.close()
folder.cleanup()
plt.show()
