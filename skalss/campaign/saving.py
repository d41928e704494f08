"""A campaign on disk: a line with the format, a pickle and its hash; written in one step."""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
from pathlib import Path
from typing import Any, BinaryIO

from ..utils.files import writing

FORMAT = 3  # campaigns of earlier ones had other parts, and no hash
_HEADER = b"skalss campaign, format "
_DIGEST_SIZE = 32
_PIECE = 2**20  # bytes read at a time


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
        hashing = _Hashing(file)
        try:
            pickle.dump(state, hashing)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise TypeError(
                f"The campaign cannot be pickled: {error}. Define modules, callbacks and scorers at the "
                "top level of a file that can be imported, not inside a function or as a lambda."
            ) from error
        file.write(hashing.digest.digest())


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Read a state back; refuse what is none, of another format or damaged, before any of it is unpickled."""
    path = Path(path)
    if not stat.S_ISREG(path.stat().st_mode):  # a pipe or a device may have no end
        raise ValueError(f"{path} is not a file. Pass what Campaign.save wrote.")
    with path.open("rb") as file:
        _check_format(path, file.readline(len(_HEADER) + 20))
        if not _is_whole(file):
            raise ValueError(
                f"{path} is cut short or damaged: its content is not what was written. Load another copy."
            )
        try:
            state = pickle.load(file)
        except (EOFError, pickle.UnpicklingError, MemoryError, OverflowError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is cut short or damaged: {error}. Load another copy.") from error
    if not isinstance(state, dict) or not {"campaign", "fingerprint"} <= set(state):
        raise ValueError(f"{path} holds no campaign. Pass what Campaign.save wrote.")
    return state


class _Hashing:
    """Writes to a file, and hashes what is written."""

    def __init__(self, file: BinaryIO):
        self.file, self.digest = file, hashlib.blake2b(digest_size=_DIGEST_SIZE)

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self.file.write(content)


def _check_format(path: Path, header: bytes) -> None:
    number = header.removeprefix(_HEADER).strip()
    if not header.startswith(_HEADER) or not number.isdigit():
        raise ValueError(f"{path} is not a campaign. Pass what Campaign.save wrote.")
    format_ = int(number)
    if format_ < FORMAT:
        raise ValueError(
            f"{path} has format {format_}, and this version reads {FORMAT}. Finish the campaign with the "
            "version of skalss that wrote it, or go on from its ledger."
        )
    if format_ > FORMAT:
        raise ValueError(f"{path} has format {format_}, this version reads up to {FORMAT}. Upgrade skalss.")


def _is_whole(file: BinaryIO) -> bool:
    """Whether what follows ends in its own hash; the place in the file stays."""
    start, end = file.tell(), file.seek(0, os.SEEK_END) - _DIGEST_SIZE
    file.seek(start)
    digest, left = hashlib.blake2b(digest_size=_DIGEST_SIZE), end - start
    while left > 0 and (piece := file.read(min(_PIECE, left))):
        digest.update(piece)
        left -= len(piece)
    whole = left == 0 and file.read() == digest.digest()
    file.seek(start)
    return whole
