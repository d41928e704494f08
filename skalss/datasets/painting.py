"""From contours to anti-aliased images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_FINE = 2  # points across a pixel; the edge runs through each as a ramp


def paint(curves: Mapping[str, np.ndarray], centers: np.ndarray, size: int, width: float) -> np.ndarray:
    """Return the share of each pixel that is wall, lipid and calcification.

    Parameters
    ----------
    curves : dict of arrays of shape (n, n_angles)
        Radii around the centres, see `make_vessels`.
    centers : array of shape (n, 2)
        x and y from the middle of the image, in the unit of the radii.
    size : int
        Pixels across.
    width : float
        Of the image, in the unit of the radii.

    Returns
    -------
    images : array of shape (n, 3, size, size)
    """
    n_points = size * _FINE
    spacing = width / n_points
    at = (np.arange(n_points) + 0.5) * spacing - width / 2
    x, y = (at - centers[:, axis, None] for axis in (0, 1))
    grid = _Grid(x[:, None, :], y[:, :, None], spacing, curves["lumen"].shape[1])
    lumen, vessel = grid.filled(curves["lumen"]), grid.filled(curves["vessel"])
    wall = vessel - lumen
    lipid, calcification = (
        np.maximum(grid.filled(curves[f"{name}_outer"]) - grid.filled(curves[f"{name}_inner"]), 0)
        for name in ("lipid", "calcification")
    )
    calcification = np.minimum(calcification, wall)
    lipid = np.minimum(lipid * (1 - calcification), wall - calcification)  # calcium lies over it
    tissue = np.stack([wall, lipid, calcification], axis=1)
    return tissue.reshape(len(centers), 3, size, _FINE, size, _FINE).mean(axis=(3, 5))


class _Grid:
    """Points, all at once, around the centre of each lumen."""

    def __init__(self, x: np.ndarray, y: np.ndarray, spacing: float, n_angles: int):
        self.radius, angle = np.hypot(x, y), np.arctan2(y, x)
        self.spacing = spacing
        # A straight edge crosses a square as a ramp that is as deep as the square is wide across it, nearly.
        self.depth = spacing * np.maximum(np.abs(x), np.abs(y)) / self.radius
        position = angle * (n_angles / (2 * np.pi)) % n_angles
        index = np.minimum(position.astype(np.intp), n_angles - 1)
        self.part = position - index
        first = (n_angles + 1) * np.arange(len(x))[:, None, None]  # curves are closed by one more angle
        self.before = index + first

    def filled(self, curve: np.ndarray) -> np.ndarray:
        """Return how much of a small square around each point lies inside its curve, nearly."""
        closed = np.concatenate([curve, curve[:, :1]], axis=1)
        start, end = closed.take(self.before), closed.take(self.before + 1)
        edge = start + self.part * (end - start)
        slope = (end - start) * (curve.shape[1] / (2 * np.pi)) / np.maximum(edge, self.spacing)
        # The distance to a slanting edge is shorter than the way to it along the ray.
        distance = (edge - self.radius) / np.sqrt(1 + slope**2)
        return np.clip(distance / self.depth + 0.5, 0, 1)
