r"""Linear elasticity in plane strain on a ring of quadrilaterals, under pressure from inside.

Bilinear displacements with the dilatation of each element replaced by its mean (B-bar), so that nearly
incompressible tissue does not lock. With gradients :math:`G`, shear modulus :math:`\mu` and bulk modulus
:math:`\kappa`, the energy of an element of area :math:`A` is

.. math:: \int \mu \, \mathrm{dev}\,\varepsilon : \mathrm{dev}\,\varepsilon \; dA + \kappa A \bar\theta^2 / 2

and everything is computed for all elements at once.

References
----------
- T. J. R. Hughes, "Generalization of selective integration procedures to anisotropic and nonlinear media",
  International Journal for Numerical Methods in Engineering 15, 1980: B-bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy.linalg import solveh_banded

from .mesh import element_corners

# The bilinear functions of a quadrilateral, corners at (-1, -1), (1, -1), (1, 1), (-1, 1).
CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])


def shape_gradients(s: float, t: float) -> np.ndarray:
    """Return the derivatives of the four functions by (s, t): array of shape (4, 2)."""
    a, b = CORNERS.T
    return np.stack([a * (1 + b * t), b * (1 + a * s)], axis=-1) / 4


GAUSS = np.array([shape_gradients(*point) for point in CORNERS / np.sqrt(3)])  # (4 points, 4 corners, 2)
CENTER = shape_gradients(0, 0)[None]


@dataclass(frozen=True)
class Solution:
    """Displacement and stress; lengths in the unit of the nodes, stress in that of the pressure.

    Attributes
    ----------
    displacement : array of shape (n_angles, n_layers + 1, 2)
        Of each node.
    stress : array of shape (n_angles, n_layers, 4)
        xx, yy, zz and xy at the centre of each element.
    """

    displacement: np.ndarray
    stress: np.ndarray

    @cached_property
    def von_mises(self) -> np.ndarray:
        """Von Mises stress at the centre of each element: array of shape (n_angles, n_layers)."""
        xx, yy, zz, xy = (self.stress[..., i] for i in range(4))
        return np.sqrt(((xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2) / 2 + 3 * xy**2)


def solve_ring(nodes: np.ndarray, young: np.ndarray, poisson: float, pressure: float) -> Solution:
    """Solve for a ring that is free outside and under pressure inside.

    Parameters
    ----------
    nodes : array of shape (n_angles, n_layers + 1, 2)
    young : array of shape (n_angles, n_layers)
        Young's modulus of each element, in the unit of the pressure.
    poisson : float
        Below 0.5.
    pressure : float
        On the inner contour.

    Returns
    -------
    solution : Solution

    Raises
    ------
    numpy.linalg.LinAlgError
        If the ring cannot be solved, as when elements are turned inside out.
    """
    shear, bulk = moduli(young.ravel(), poisson)
    corners = flat_corners(nodes)
    stiffness, mean_gradient = element_stiffness(corners, shear, bulk)
    layout = _layout(*young.shape)
    u = np.empty(layout.n_unknowns)
    u[layout.order] = solveh_banded(
        layout.assemble(stiffness),
        pressure_load(nodes, pressure).ravel()[layout.order],
        overwrite_ab=True,
        overwrite_b=True,
        lower=True,
        check_finite=False,
    )
    displacement = u.reshape(nodes.shape)
    stress = element_stress(corners, flat_corners(displacement), mean_gradient, shear, bulk)
    return Solution(displacement, stress.T.reshape(*young.shape, 4))


# In what follows the elements are the last axis, of length m: NumPy then runs along it.


def moduli(young: np.ndarray, poisson: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the shear and the bulk modulus."""
    return young / (2 * (1 + poisson)), young / (3 * (1 - 2 * poisson))


def flat_corners(values: np.ndarray) -> np.ndarray:
    """Return what nodes have at the corners of each element: array of shape (4, 2, m)."""
    corners = element_corners(values)
    return np.ascontiguousarray(corners.transpose(2, 3, 0, 1)).reshape(4, 2, -1)


def gradients(corners: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of the shape functions at points (p, 4, 2), and the Jacobian determinant.

    Returns
    -------
    gradient : array of shape (p, 4, 2, m)
        By x and y.
    determinant : array of shape (p, m)
    """
    n_points, n_elements = len(points), corners.shape[-1]
    s, t = points[:, :, 0], points[:, :, 1]
    (xs, ys), (xt, yt) = (
        (direction @ corners.reshape(4, -1)).reshape(n_points, 2, n_elements).swapaxes(0, 1)
        for direction in (s, t)
    )
    determinant = xs * yt - xt * ys
    gradient = np.empty((n_points, 4, 2, n_elements))
    s, t = s[..., None], t[..., None]
    gradient[:, :, 0] = s * (yt / determinant)[:, None] - t * (ys / determinant)[:, None]
    gradient[:, :, 1] = t * (xs / determinant)[:, None] - s * (xt / determinant)[:, None]
    return gradient, determinant


def element_stiffness(
    corners: np.ndarray, shear: np.ndarray, bulk: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the stiffness of each element, (8, 8, m), and the mean gradients of its functions, (8, m)."""
    gradient, determinant = gradients(corners, GAUSS)
    mean = np.einsum("paim,pm->aim", gradient, determinant)
    weighted = gradient * (shear * determinant)[:, None, None]
    # Integrals of mu dN_a/dx_i dN_b/dx_j, in the order a, i, b, j.
    product = np.einsum("paim,pbjm->aibjm", weighted, gradient)
    stiffness = product.swapaxes(1, 3) - 2 / 3 * product
    laplace = product[:, 0, :, 0] + product[:, 1, :, 1]
    stiffness[:, 0, :, 0] += laplace
    stiffness[:, 1, :, 1] += laplace
    area = determinant.sum(axis=0)
    stiffness, mean = stiffness.reshape(8, 8, -1), mean.reshape(8, -1)
    stiffness += (bulk / area * mean)[:, None] * mean
    return stiffness, mean / area


def element_stress(
    corners: np.ndarray, moved: np.ndarray, mean_gradient: np.ndarray, shear: np.ndarray, bulk: np.ndarray
) -> np.ndarray:
    """Return xx, yy, zz and xy, (4, m), at the centres: pressure comes from the mean dilatation."""
    gradient = gradients(corners, CENTER)[0][0]
    (xx, xy), (yx, yy) = np.einsum("aim,ajm->ijm", moved, gradient)
    mean = (xx + yy) / 3
    dilatation = (mean_gradient * moved.reshape(8, -1)).sum(axis=0)
    stress = 2 * shear * np.stack([xx - mean, yy - mean, -mean, (xy + yx) / 2])
    stress[:3] += bulk * dilatation
    return stress


def pressure_load(nodes: np.ndarray, pressure: float) -> np.ndarray:
    """Return the force on each node: half of that on each edge of the lumen that it ends."""
    lumen = nodes[:, 0]
    chord = np.concatenate([lumen[1:], lumen[:1]]) - np.concatenate([lumen[-1:], lumen[:-1]])
    load = np.zeros_like(nodes)
    load[:, 0, 0] = pressure / 2 * chord[:, 1]  # the chord turned by 90 degrees, out of the lumen
    load[:, 0, 1] = -pressure / 2 * chord[:, 0]
    return load


@cache
def _layout(n_angles: int, n_layers: int) -> _Layout:
    return _Layout(n_angles, n_layers)


class _Layout:
    """Where the entries of the element matrices go in the banded matrix of a ring.

    Angles are taken in the order 0, 1, N - 1, 2, N - 2 and so on: neighbours are then never more than two
    places apart, also across the seam, and the band is as narrow as it can be.
    """

    def __init__(self, n_angles: int, n_layers: int):
        self.n_unknowns = 2 * n_angles * (n_layers + 1)
        fold = np.arange(1, n_angles)
        place = np.zeros(n_angles, dtype=int)
        place[fold] = np.where(fold <= n_angles // 2, 2 * fold - 1, 2 * (n_angles - fold))
        number = place[:, None] * (n_layers + 1) + np.arange(n_layers + 1)
        unknowns = 2 * number[..., None] + np.arange(2)  # (n_angles, n_layers + 1, 2)
        self.order = np.argsort(unknowns.ravel())
        row = flat_corners(unknowns).reshape(8, 1, -1)
        column = row.swapaxes(0, 1)
        self.n_bands = int((row - column).max()) + 1
        self.entry = np.flatnonzero(row >= column)
        self.target = (column * self.n_bands + row - column).ravel()[self.entry]
        # Three springs hold the ring in its place: both ways at one node, and across at the opposite one.
        # The load is balanced, so they carry nothing and their stiffness does not matter.
        self.held = [*unknowns[0, -1], unknowns[n_angles // 2, -1, 1]]

    def assemble(self, stiffness: np.ndarray) -> np.ndarray:
        """Add the element matrices up: the lower bands, array of shape (n_bands, n_unknowns)."""
        entries = stiffness.ravel()[self.entry]
        bands = np.bincount(self.target, entries, minlength=self.n_bands * self.n_unknowns)
        bands = bands.reshape(self.n_unknowns, self.n_bands).T  # as LAPACK wants it, without a copy
        bands[0, self.held] += bands[0].mean()
        return bands
