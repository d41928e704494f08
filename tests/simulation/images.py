"""Images with known contours, for the tests of this folder."""

import numpy as np


def disk(size, x, y, radius):
    """Share of each pixel inside a circle, by 16 x 16 points a pixel."""
    at = (np.arange(16 * size) + 0.5) / 16 - 0.5
    inside = np.hypot(at - x, at[:, None] - y) < radius
    return inside.reshape(size, 16, size, 16).mean(axis=(1, 3))


def ring(size=32, x=15.5, y=15.5, inner=7.0, outer=11.0, shift=0.0):
    """A wall between two circles; the outer one's centre lies `shift` to the right."""
    return disk(size, x + shift, y, outer) - disk(size, x, y, inner)


def vessel(wall, lipid=0.0, calcification=0.0):
    return np.stack([wall, np.full_like(wall, lipid), np.full_like(wall, calcification)])
