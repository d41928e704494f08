"""A plugin of pytest: puts selective nets in the place of skorch's, in skorch's own tests.

`SKALSS_SWAPPED_SELECTOR` says what they select by: "default" as ever, "none" nothing; "plain" swaps nothing.
"""

import contextlib
import functools
import importlib.util
import os
import sys
import time
from types import ModuleType

import skorch

from skalss import selective

SELECTOR = os.environ["SKALSS_SWAPPED_SELECTOR"]


def _swap(name, ours):
    """Subclass `ours` under the name that messages and tests have; other settings keep skorch's places."""

    def __init__(self, module, *args, **kwargs):
        if SELECTOR == "none":
            kwargs.setdefault("selector", None)
        ours.__init__(self, module, *args, **kwargs)

    made = type(name, (ours,), {"__init__": __init__, "__module__": __name__})
    globals()[name] = made  # pickle looks for it here
    setattr(skorch, name, made)


if SELECTOR != "plain":
    _swap("NeuralNetClassifier", selective.SelectiveNetClassifier)
    _swap("NeuralNetBinaryClassifier", selective.SelectiveNetBinaryClassifier)
    _swap("NeuralNetRegressor", selective.SelectiveNetRegressor)


def _flaky(max_runs):
    """Try a test again, as the package of this name does; the test takes its seed from the clock."""

    def decorate(test):
        @functools.wraps(test)
        def run(*args, **kwargs):
            for _ in range(max_runs - 1):
                with contextlib.suppress(AssertionError):
                    return test(*args, **kwargs)
                time.sleep(1)
            return test(*args, **kwargs)

        return run

    return decorate


if importlib.util.find_spec("flaky") is None:
    stub = ModuleType("flaky")
    stub.flaky = _flaky
    sys.modules["flaky"] = stub
