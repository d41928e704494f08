"""The digits, which need no download, and the images that the papers report on."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from ..utils.checks import check_choice, check_flag, check_path, checked_random_state

_N_DIGITS_TEST = 500


class _ImageSet(NamedTuple):
    openml: str  # version 1 there
    file: str  # under SKALSS_DATA
    shape: tuple[int, int, int]  # (c, h, w)
    n_train: int
    n_test: int
    target_names: tuple[str, ...]


_IMAGE_SETS = {
    "mnist": _ImageSet("mnist_784", "mnist.npz", (1, 28, 28), 60_000, 10_000, tuple("0123456789")),
    "cifar10": _ImageSet(
        "CIFAR_10",
        "cifar10_jpeg.npz",
        (3, 32, 32),
        50_000,
        10_000,
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
}


def load_digits_pool(
    *, as_images: bool = False, random_state: int = 0, return_X_y: bool = False
) -> Bunch | tuple[np.ndarray, np.ndarray]:
    """Load scikit-learn's 8 × 8 digits as a pool of 1,297 rows and a test set of 500; no download.

    Parameters
    ----------
    as_images : bool, default=False
        True gives rows of shape (1, 8, 8), for networks that convolve; False gives 64 columns.
    random_state : int, RandomState or None, default=0
        Seed of the split, which is stratified by class.
    return_X_y : bool, default=False
        Give ``(X, y)`` of the pool alone instead of a Bunch.

    Returns
    -------
    data : Bunch
        With these fields:

        X : float32 array of shape (1297, 64) or (1297, 1, 8, 8)
            The pool; grey values in [0, 1].
        y : int64 array of shape (1297,)
            Its labels: the answer key.
        X_test, y_test : arrays of 500 rows
            In the same form.
        target_names : list of str
            The name of each class.
        DESCR : str
            Where the rows come from.

    Examples
    --------
    >>> from skalss.datasets import load_digits_pool
    >>> digits = load_digits_pool()
    >>> digits.X.shape, digits.X_test.shape
    ((1297, 64), (500, 64))
    """
    check_flag("as_images", as_images)
    check_flag("return_X_y", return_X_y)
    rng = checked_random_state(random_state)
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    X = images[:, None] if as_images else images.reshape(len(images), -1)
    X_pool, X_test, y_pool, y_test = train_test_split(
        X,
        digits.target.astype(np.int64),
        test_size=_N_DIGITS_TEST,
        stratify=digits.target,
        random_state=rng,
    )
    if return_X_y:
        return X_pool, y_pool
    split = f"Pool: {len(X_pool)} rows, test: {len(X_test)}, stratified, random_state={random_state}."
    return Bunch(
        X=X_pool,
        y=y_pool,
        X_test=X_test,
        y_test=y_test,
        target_names=[str(name) for name in digits.target_names],
        DESCR=f"{split} Grey values are divided by 16.\n\n{digits.DESCR}",
    )


def load_images(name: str, *, data_home: str | os.PathLike | None = None, dtype: str = "float32") -> Bunch:
    """Load MNIST or CIFAR-10, from OpenML or, without a network, from a folder of your own.

    The folder is the one that the environment variable ``SKALSS_DATA`` names. If it is set, nothing is
    downloaded.

    Parameters
    ----------
    name : {"mnist", "cifar10"}
        MNIST has 60,000 rows of shape (1, 28, 28) and 10,000 to test on; CIFAR-10 has 50,000 of shape
        (3, 32, 32) and 10,000.
    data_home : path-like, default=None
        Where scikit-learn keeps its downloads; None: its usual place.
    dtype : {"float32", "uint8"}, default="float32"
        "float32" gives values in [0, 1], "uint8" the bytes 0 to 255 in a quarter of the memory.

    Returns
    -------
    data : Bunch
        With these fields:

        X : array of shape (n_samples, n_channels, height, width)
            The pool.
        y : int64 array of shape (n_samples,)
            Its labels, 0 to 9: the answer key.
        X_test, y_test : arrays
            In the same form.
        target_names : list of str
            The name of each class.
        DESCR : str
            Where the rows come from.

    Raises
    ------
    ValueError
        If `name` or `dtype` is not one of those listed, or a file does not hold what it should.
    FileNotFoundError
        If ``SKALSS_DATA`` is set and the file is not there.
    OSError
        If the download fails.
    ImportError
        If CIFAR-10 comes from a file and Pillow, which decodes it, is missing.

    Notes
    -----
    OpenML's rows are taken in its order: the first 60,000 (50,000) are the pool, the others the test set.

    ``SKALSS_DATA`` holds ``mnist.npz`` with the uint8 arrays ``X_train`` and ``X_test`` of shape
    (n, 28, 28), ``y_train`` and ``y_test``; and ``cifar10_jpeg.npz`` with JPEG files end to end in the
    uint8 arrays ``jpeg_train`` and ``jpeg_test``, of which file ``i`` is
    ``jpeg[offset[i]:offset[i + 1]]``, ``offset_train``, ``offset_test``, ``y_train`` and ``y_test``.
    JPEG changes the pixels a little: compare accuracies only within one source.
    """
    other = "your own array of shape (n_samples, n_channels, height, width) in its place"
    check_choice("name", name, _IMAGE_SETS, also=other)
    check_choice("dtype", dtype, ("float32", "uint8"))
    if data_home is not None:
        check_path("data_home", data_home, also="None")
    spec = _IMAGE_SETS[name]
    folder = os.environ.get("SKALSS_DATA")
    if folder:
        path = Path(folder) / spec.file
        parts, origin = _read_file(path, spec), str(path)
    else:
        parts, origin = _download(spec, data_home), f"OpenML {spec.openml}, version 1"
    (X, y), (X_test, y_test) = parts
    if dtype == "float32":
        X, X_test = _unit_range(X), _unit_range(X_test)
    return Bunch(
        X=X,
        y=y,
        X_test=X_test,
        y_test=y_test,
        target_names=list(spec.target_names),
        DESCR=f"{name} from {origin}.",
    )


def _unit_range(X: np.ndarray) -> np.ndarray:
    X = X.astype(np.float32)
    X /= 255  # in place: a copy of CIFAR-10 is 600 MB
    return X


_Part = tuple[np.ndarray, np.ndarray]  # images as uint8 (n, c, h, w), labels as int64 (n,)


def _download(spec: _ImageSet, data_home: str | os.PathLike | None) -> tuple[_Part, _Part]:
    data_home = None if data_home is None else os.fspath(data_home)
    n_rows, n_columns = spec.n_train + spec.n_test, int(np.prod(spec.shape))
    try:
        rows, y = fetch_openml(spec.openml, version=1, data_home=data_home, as_frame=False, return_X_y=True)
        if rows.shape != (n_rows, n_columns):
            raise ValueError(f"expected {n_rows} rows of {n_columns} values, got shape {rows.shape}")
    except (OSError, ValueError, HTTPException) as error:
        raise OSError(
            f"Could not get {spec.openml!r} from OpenML: {error}. Try again with a network connection, or "
            f"set the environment variable SKALSS_DATA to a folder that holds {spec.file!r}; the "
            "documentation of load_images says what is in it."
        ) from error
    X, y = rows.astype(np.uint8).reshape(-1, *spec.shape), np.asarray(y).astype(np.int64)
    return (X[: spec.n_train], y[: spec.n_train]), (X[spec.n_train :], y[spec.n_train :])


def _read_file(path: Path, spec: _ImageSet) -> tuple[_Part, _Part]:
    try:
        with np.load(path) as arrays:
            return _read_part(arrays, "train", spec), _read_part(arrays, "test", spec)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"The environment variable SKALSS_DATA is set, but there is no file {str(path)!r}. Put it there, "
            f"or unset SKALSS_DATA to download {spec.openml!r} from OpenML."
        ) from error
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(
            f"Could not read {str(path)!r}: {error}. The documentation of load_images says what it should "
            f"hold; or unset the environment variable SKALSS_DATA to download {spec.openml!r} from OpenML."
        ) from error


def _read_part(arrays: Mapping[str, np.ndarray], part: str, spec: _ImageSet) -> _Part:
    if spec.file.endswith("_jpeg.npz"):
        X = _decode_jpegs(arrays[f"jpeg_{part}"], arrays[f"offset_{part}"], spec.shape)
    else:
        X = arrays[f"X_{part}"]
    y = arrays[f"y_{part}"].astype(np.int64)
    if X.dtype != np.uint8 or X.size != len(y) * np.prod(spec.shape):
        raise ValueError(
            f"the images of the {part} part must be uint8 and as many as its {len(y)} labels, each with "
            f"(channels, height, width) = {spec.shape}, got {X.dtype} of shape {X.shape}"
        )
    return X.reshape(len(y), *spec.shape), y


def _decode_jpegs(jpeg: np.ndarray, offset: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    Image = import_pillow("Decoding the JPEG files of CIFAR-10")
    n_images = len(offset) - 1
    X = np.empty((n_images, *shape), dtype=np.uint8)
    for i in range(n_images):
        with Image.open(io.BytesIO(jpeg[offset[i] : offset[i + 1]].tobytes())) as image:
            X[i] = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0)  # (h, w, c) to (c, h, w)
    return X


def import_pillow(what: str) -> Any:
    """Return Pillow's module `Image`; `what` needs it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(f"{what} needs Pillow: pip install pillow.") from error
    return Image
