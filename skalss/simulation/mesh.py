"""From the two contours of a wall to a ring of quadrilaterals, and back to pixels.

Nodes stand on rays from the centre of the lumen: shape (n_angles, n_layers + 1, 2), the lumen first, with
coordinates x (along a row of the image) and y (down its columns). Elements have shape (n_angles, n_layers).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates


def ring_nodes(center: np.ndarray, inner: np.ndarray, outer: np.ndarray, n_layers: int) -> np.ndarray:
    """Place nodes between two contours, the layers thinner towards the lumen, where stress is steepest.

    Parameters
    ----------
    center : array of shape (2,)
        x and y of the centre that the radii are measured from.
    inner, outer : arrays of shape (n_angles,)
        Radius of the contours at equally spaced angles, the first along x.
    n_layers : int
        Elements across the wall.

    Returns
    -------
    nodes : array of shape (n_angles, n_layers + 1, 2)
    """
    step = 2 * np.pi / len(inner)
    angle = step * np.arange(len(inner))
    depth = np.linspace(0, 1, n_layers + 1)
    radius = inner[:, None] * (outer / inner)[:, None] ** depth
    # Chords cut into a circle. Slightly larger radii give the polygon the circle's area.
    radius *= np.sqrt(step / np.sin(step))
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return center + radius[..., None] * ray[:, None]


def element_corners(nodes: np.ndarray) -> np.ndarray:
    """Return the corners of each element in turn: array of shape (n_angles, n_layers, 4, 2)."""
    closed = np.concatenate([nodes, nodes[:1]])
    here, ahead = closed[:-1], closed[1:]
    return np.stack([here[:, :-1], here[:, 1:], ahead[:, 1:], ahead[:, :-1]], axis=2)


def element_areas(corners: np.ndarray) -> np.ndarray:
    """Return the area of each element: array of shape (n_angles, n_layers)."""
    diagonal = corners[:, :, 2:] - corners[:, :, :2]
    x, y = diagonal[..., 0], diagonal[..., 1]
    return (x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0]) / 2


def are_convex(corners: np.ndarray) -> bool:
    """Say whether all elements are convex: only then does the map to a square turn none inside out."""
    edge = np.roll(corners, -1, axis=2) - corners
    before = np.roll(edge, 1, axis=2)
    return bool((before[..., 0] * edge[..., 1] > before[..., 1] * edge[..., 0]).all())


def sample(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Interpolate an image (height, width) bilinearly at points (..., 2); 0 outside."""
    return map_coordinates(image, [points[..., 1], points[..., 0]], order=1, mode="constant")
