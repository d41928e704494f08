"""The CSV file of `compare_strategies`: runs that are kept, and read instead of being run again."""

from __future__ import annotations

import csv as csv_format
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import hash as hash_of
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from ..campaign.identity import digest, identity, parameters_before
from ..utils.columns import to_column
from ..utils.settings import list_settings
from ..utils.tensors import to_host

CONTROL = "random"
SECONDS = ["latent_seconds", "query_seconds", "fit_seconds"]


def read_runs(csv: str | Path | None, renamed: Mapping[str, str]) -> pd.DataFrame | None:
    """Read the campaigns that a file holds whole; None where there are none.

    Parameters
    ----------
    csv : path-like or None
    renamed : mapping of str to str
        What older versions called settings, to their present name.
    """
    if csv is None or not Path(csv).exists():
        return None
    _cut_torn_campaign(csv)
    if os.path.getsize(csv) == 0:
        return None
    # An arm may be named "None" or "NA".
    names = {"arm": str, "settings": str}
    known = pd.read_csv(csv, dtype=names, keep_default_na=False, na_values=[""])
    known["settings"] = known["settings"].replace(dict(renamed))
    return None if known.empty else known.drop_duplicates(["arm", "seed", "settings", "round"])


def _cut_torn_campaign(csv: str | Path) -> None:
    """Cut off a last line without an end, as a kill leaves it, and the rows of its campaign before it."""
    lines = Path(csv).read_bytes().splitlines(keepends=True)
    if not lines or lines[-1].endswith(b"\n"):
        return
    torn = lines.pop()
    campaign = _start_of(lines[-1]) if len(lines) > 1 else b""
    if torn.startswith(campaign) or campaign.startswith(torn):
        while len(lines) > 1 and lines[-1].startswith(campaign):
            lines.pop()
    os.truncate(csv, sum(map(len, lines)))


def _start_of(line: bytes) -> bytes:
    """Return the part of a line that all rows of its campaign share: arm, seed and settings."""
    settings = next(csv_format.reader([line.decode()]))[2].encode()
    before, between, _ = line.partition(b"," + settings + b",")
    return before + between


def append_runs(csv: str | Path, table: pd.DataFrame) -> None:
    """Add a campaign in a single write, so that a kill seldom tears it."""
    Path(csv).parent.mkdir(parents=True, exist_ok=True)
    with open(csv, "ab", buffering=0) as file:
        file.write(table.to_csv(index=False, header=file.tell() == 0, lineterminator="\n").encode())


def hash_data(*arrays: Any) -> str:
    """Name the data: by their shapes and up to 1,000 rows of each."""
    parts: list[Any] = []
    for array in arrays:
        if array is None:  # y, where an oracle labels
            continue
        rows = to_host(array)
        rows = rows.tocsr() if issparse(rows) else rows
        by_row = hasattr(rows, "iloc") or isinstance(rows, np.ndarray) or issparse(rows)
        rows = rows if by_row else to_column(rows)
        some = np.linspace(0, rows.shape[0] - 1, min(rows.shape[0], 1000)).astype(int)
        taken = rows.iloc[some] if hasattr(rows, "iloc") else rows[some]
        parts += [rows.shape, taken.toarray() if issparse(taken) else np.array(taken)]
    return hash_of(parts)


def hash_settings(sampler: BaseEstimator, data: str) -> str:
    """Return a name of the settings of a campaign: equal for equal ones, in any process."""
    return digest(f"{data} {identity(sampler, whole=True)}", size=4)


def old_hash_settings(sampler: BaseEstimator, data: str) -> str:
    """Return the name that version 0.1.0.dev0 gave settings without other rules than `max_labels`."""
    defaults = {"n_rounds": None, "target_score": None, "stop_at_agreement": None, "max_failures": 10}
    params = {**parameters_before(sampler), **defaults}
    text = list_settings(params, ["random_state", "device", "verbose", "ledger", "max_cost"])
    return digest(f"{data} {text}", size=4)
