"""The selectors that share a contract, and what their tests have in common."""

import pytest
import torch

from skalss.selective import HardestRows, PruneEasyRows
from skalss.selective.net import make_selector


def doubt(output, y):
    return -output.amax(dim=1)


SELECTORS = {
    "hard_negatives": "hard_negatives",
    "random": "random",
    "callable": HardestRows(doubt),
    "mms": "mms",
    "class_balance": HardestRows(class_balance=True),
    "prune": "prune",
}
PRUNERS = {"prune": "prune", "prune more": PruneEasyRows(easy=0.8, skip=0.8)}
POOL_SELECTORS = {name: selector for name, selector in SELECTORS.items() if name not in PRUNERS}
POOL_SELECTORS["two and a half batches"] = HardestRows(when="always", pool_factor=2.5)
# Those of which each update chooses from a pool, between start and end.
ALWAYS = {name: POOL_SELECTORS[name] for name in POOL_SELECTORS if name not in ("mms", "class_balance")}
EVERY_SETTING = POOL_SELECTORS | PRUNERS  # where the numbers of rows and batches matter
each_selector = pytest.mark.parametrize("selector", SELECTORS.values(), ids=SELECTORS)
each_setting = pytest.mark.parametrize("selector", EVERY_SETTING.values(), ids=EVERY_SETTING)
each_pool_selector = pytest.mark.parametrize("selector", POOL_SELECTORS.values(), ids=POOL_SELECTORS)
each_pruner = pytest.mark.parametrize("selector", PRUNERS.values(), ids=PRUNERS)

NAMES = ["mms", "loss", "hard_negatives", "random", "prune"]  # one of each way to choose
each_name = pytest.mark.parametrize("selector", NAMES)


def sizes(net):
    """Rows of each update, epoch by epoch, as the history has them."""
    return [[batch["train_batch_size"] for batch in epoch["batches"]] for epoch in net.history]


def as_tensors(data):
    return tuple(map(torch.from_numpy, data))


def is_pruner(selector):
    return isinstance(make_selector(selector), PruneEasyRows)
