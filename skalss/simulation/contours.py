"""From the image of a wall to the contours of lumen and vessel, or to the reason why it has none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import label, map_coordinates

CLOSED = 0.3  # what a closed wall shows at least, also a thin or a blurred one
STEP = 0.25  # pixels between samples on a ray
REACH = 2.0  # pixels on either side of a wall over which blur may have spread it
N_MODES = 10  # Fourier modes of a contour; finer detail is noise
LEAST_RADIUS, LEAST_WALL = 1.2, 0.7  # pixels, of the lumen and of the wall: less cannot be measured
LARGEST_JUMP = 0.1  # between neighbouring rays, in widths of the image


class NotAVessel(Exception):
    """The image shows no single vessel; the message says what it shows."""


class Contours(NamedTuple):
    """Two closed curves around one centre, in pixels; pixel (0, 0) has its centre at x = y = 0.

    Attributes
    ----------
    center : array of shape (2,)
        x and y of the centre of the lumen.
    inner, outer : arrays of shape (n_angles,)
        Radius of the lumen and of the vessel at equally spaced angles, the first along x.
    """

    center: np.ndarray
    inner: np.ndarray
    outer: np.ndarray


def find_contours(wall: np.ndarray, n_angles: int) -> Contours:
    """Find where rays from the centre of the lumen enter and leave the wall, to parts of a pixel.

    Parameters
    ----------
    wall : array of shape (height, width)
        The share of each pixel that is wall, 0 to 1; sharp or blurred.
    n_angles : int

    Returns
    -------
    contours : Contours

    Raises
    ------
    NotAVessel
        If there is not one wall around one lumen, inside the image.
    """
    center = _lumen_center(wall)
    profile = _profiles(wall, center, n_angles)
    inner, outer = _unblurred(profile, *_edges(profile))
    for edge, name in ((inner, "lumen"), (outer, "outer contour")):
        if np.abs(edge - np.roll(edge, 1)).max() > LARGEST_JUMP * max(wall.shape):
            raise NotAVessel(f"the {name} jumps between neighbouring rays")
    inner, outer = _smooth(inner), _smooth(outer)
    if inner.min() < LEAST_RADIUS:
        raise NotAVessel(f"the lumen is narrower than a radius of {LEAST_RADIUS} pixels")
    if (outer - inner).min() < LEAST_WALL:
        raise NotAVessel(f"the wall is thinner than {LEAST_WALL} pixels")
    return Contours(center, inner, outer)


def _lumen_center(wall: np.ndarray) -> np.ndarray:
    """Return x and y of the middle of the one hole that the wall encloses."""
    region, n_regions = label(wall < CLOSED)
    edge = np.concatenate([region[0], region[-1], region[:, 0], region[:, -1]])
    if (edge == 0).any():
        raise NotAVessel("the wall touches the edge of the image")
    size = np.bincount(region.ravel(), minlength=n_regions + 1)
    size[0] = size[edge] = 0
    holes = np.flatnonzero(size > np.pi * LEAST_RADIUS**2)
    if len(holes) != 1:
        raise NotAVessel(f"the wall encloses {len(holes) or 'no'} lumen{'s' if len(holes) > 1 else ''}")
    # Weighted, so that the centre moves smoothly with the image.
    rows, columns = np.nonzero(region == holes[0])
    weight = 1 - wall[rows, columns]
    return np.array([columns @ weight, rows @ weight]) / weight.sum()


def _profiles(wall: np.ndarray, center: np.ndarray, n_angles: int) -> np.ndarray:
    """Sample the wall on rays from the centre: array of shape (n_angles, n_steps)."""
    angle = 2 * np.pi / n_angles * np.arange(n_angles)[:, None]
    reach = np.hypot(*np.maximum(center, np.array(wall.shape[::-1]) - 1 - center))
    radius = np.arange(0, reach + 2 * STEP, STEP)
    points = [center[1] + radius * np.sin(angle), center[0] + radius * np.cos(angle)]
    return map_coordinates(wall, points, order=1, mode="constant")


def _edges(profile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the radius at which each ray enters and leaves the wall."""
    # Half of the height, as always; a wall that blur has made flat has its own half.
    level = np.clip(profile.max(axis=1, keepdims=True) / 2, CLOSED / 2, 0.5)
    inside = profile > level
    enters = inside[:, 1:] & ~inside[:, :-1]
    leaves = inside[:, :-1] & ~inside[:, 1:]
    if inside[:, 0].any():
        raise NotAVessel("the lumen is filled")
    n_walls = enters.sum(axis=1)
    if n_walls.min() < 1:
        raise NotAVessel("the wall is open")
    if n_walls.max() > 1:
        raise NotAVessel("a ray from the lumen meets more than one wall")
    return _crossing(profile - level, enters), _crossing(profile - level, leaves)


def _unblurred(profile: np.ndarray, inner: np.ndarray, outer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Set the thickness of wall of each ray to what it has in sum, around the same middle.

    Blur makes a thin wall look thicker at half of its height, but leaves its sum as it is.
    """
    radius = STEP * np.arange(profile.shape[1])
    near = (radius > inner[:, None] - REACH) & (radius < outer[:, None] + REACH)
    middle = (inner + outer) / 2
    half = (profile * near * radius).sum(axis=1) * STEP / middle / 2
    return middle - half, middle + half


def _crossing(height: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return the radius at which each ray crosses height 0, where `change` marks the step before it."""
    ray, step = np.arange(len(height)), change.argmax(axis=1)
    before, after = height[ray, step], height[ray, step + 1]
    return (step + before / (before - after)) * STEP


def _smooth(radius: np.ndarray) -> np.ndarray:
    modes = np.fft.rfft(radius)
    modes[N_MODES + 1 :] = 0
    return np.fft.irfft(modes, len(radius))
