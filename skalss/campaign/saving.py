"""A campaign on disk: a line with the format, then a pickle; written in one step."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from ..utils.files import writing

FORMAT = 2  # the first was of 0.1.0.dev0, whose campaigns had other parts
_HEADER = b"skalss campaign, format "


def pickling_fault(value: object) -> str:
    """Say why `value` cannot be pickled; empty if it can."""
    try:
        pickle.dumps(value)
    except Exception as error:  # whatever a user's object raises
        return f"{type(error).__name__}: {error}"
    return ""


def write(path: str | os.PathLike, state: dict[str, Any]) -> None:
    """Write the state beside `path`, then move it there: a crash leaves the old file or the new one."""
    with writing(path) as file:
        file.write(_HEADER + f"{FORMAT}\n".encode())
        try:
            pickle.dump(state, file)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise TypeError(
                f"The campaign cannot be pickled: {error}. Define modules, callbacks and scorers at the "
                "top level of a file that can be imported, not inside a function or as a lambda."
            ) from error


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Read a state back; refuse what is none, or of a newer format."""
    with Path(path).open("rb") as file:
        header = file.readline(len(_HEADER) + 20)
        if not header.startswith(_HEADER):
            raise ValueError(f"{path} is not a campaign. Pass what Campaign.save wrote.")
        format_ = int(header[len(_HEADER) :])
        if format_ < FORMAT:
            raise ValueError(
                f"{path} has format {format_}, and this version reads {FORMAT}. Finish the campaign with the "
                "version of skalss that wrote it, or go on from its ledger."
            )
        if format_ > FORMAT:
            raise ValueError(
                f"{path} has format {format_}, this version reads up to {FORMAT}. Upgrade skalss."
            )
        try:
            return pickle.load(file)
        except (EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{path} is cut short or damaged: {error}. Load another copy.") from error
