"""What a simulation of a vessel gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .contours import Contours


@dataclass(frozen=True)
class VesselSimulation:
    """A solved cross-section. Lengths are in pixels, stress in kPa.

    Attributes
    ----------
    contours : Contours
        Where lumen and vessel end: `center`, `inner`, `outer`.
    nodes : array of shape (n_angles, n_layers + 1, 2)
        x and y of the mesh, the lumen first.
    lipid, calcification : arrays of shape (n_angles, n_layers)
        Their share of each element.
    displacement : array of shape (n_angles, n_layers + 1, 2)
    stress : array of shape (n_angles, n_layers, 4)
        xx, yy, zz and xy at the centre of each element.
    von_mises : array of shape (n_angles, n_layers)
    peak : float
        The label.
    """

    contours: Contours
    nodes: np.ndarray
    lipid: np.ndarray
    calcification: np.ndarray
    displacement: np.ndarray
    stress: np.ndarray
    von_mises: np.ndarray
    peak: float

    def to_image(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the von Mises stress at each pixel, NaN outside of the wall.

        Parameters
        ----------
        shape : (height, width)
            Of the image that was simulated.

        Returns
        -------
        image : array of shape (height, width)
            In kPa: for a pixel whose middle is in the wall, that of the element there.
        """
        center, inner, outer = self.contours
        n_angles, n_layers = self.von_mises.shape
        y, x = np.indices(shape) - center[::-1, None, None]
        radius, angle = np.hypot(x, y), np.arctan2(y, x) % (2 * np.pi)
        at = np.append(np.arange(n_angles), n_angles) * (2 * np.pi / n_angles)
        low, high = (np.interp(angle, at, np.append(edge, edge[0])) for edge in (inner, outer))
        depth = np.log(np.maximum(radius, 1e-9) / low) / np.log(high / low)  # as the layers are spaced
        layer = np.clip(depth * n_layers, 0, n_layers - 1).astype(int)
        ray = np.minimum(angle / at[1], n_angles - 1).astype(int)
        return np.where((depth >= 0) & (depth <= 1), self.von_mises[ray, layer], np.nan)
