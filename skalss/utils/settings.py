"""The settings of a sampler as text, by which a file knows a campaign again."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any


def list_settings(params: dict[str, Any], ignored: Collection[str]) -> str:
    """Write parameters as text: equal for equal ones, in any process.

    Parameters
    ----------
    params : dict
        From ``get_params``.
    ignored : collection of str
        Names to leave out, also of the parts, as in ``estimator__verbose``.

    Returns
    -------
    text : str
        Sorted by name; without addresses in memory.

    Examples
    --------
    >>> list_settings({"b": 2, "a": 1, "part__verbose": 0}, ignored=["verbose"])
    "[('a', 1), ('b', 2)]"
    """
    kept = {name: value for name, value in params.items() if name.rpartition("__")[2] not in ignored}
    return re.sub(r" at 0x[0-9a-f]+", "", f"{sorted(kept.items(), key=lambda item: item[0])}")
