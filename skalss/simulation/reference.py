"""The same equations through scikit-fem, to check our own kernel against, or to take instead of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import diags

from .elasticity import Solution, moduli


def solve_ring_skfem(nodes: np.ndarray, young: np.ndarray, poisson: float, pressure: float) -> Solution:
    """Solve as `solve_ring` does, with scikit-fem's assembly and a sparse solver; many times slower.

    Parameters
    ----------
    nodes : array of shape (n_angles, n_layers + 1, 2)
    young : array of shape (n_angles, n_layers)
    poisson, pressure : float

    Returns
    -------
    solution : Solution

    Raises
    ------
    ImportError
        If scikit-fem is not installed.
    """
    fem = import_skfem("solve_ring_skfem")
    mesh = _mesh(fem, nodes)
    basis = fem.Basis(mesh, fem.ElementVector(fem.ElementQuad1()), intorder=3)
    shear, bulk = moduli(young.ravel(), poisson)
    stiffness, mean_dilatation = _stiffness(fem, basis, shear, bulk)
    held = basis.nodal_dofs[[0, 1, 1], _held_nodes(nodes)]
    u = fem.solve(*fem.condense(stiffness, _load(fem, basis, pressure), D=held))

    center = fem.Basis(mesh, basis.elem, quadrature=(np.full((2, 1), 0.5), np.ones(1)))
    stress = 2 * shear * _deviator(center.interpolate(u).grad[..., 0])
    stress[:3] += bulk * (mean_dilatation @ u)
    return Solution(u[basis.nodal_dofs].T.reshape(nodes.shape), stress.T.reshape(*young.shape, 4))


def _stiffness(fem: Any, basis: Any, shear: np.ndarray, bulk: np.ndarray) -> tuple[Any, Any]:
    """Return the matrix of the whole ring, and the one that gives the mean dilatation of each element."""
    from skfem.helpers import ddot, div, sym_grad

    constant = basis.with_element(fem.ElementQuad0())

    @fem.BilinearForm
    def deviator(u, v, w):
        return w["shear"] * (2 * ddot(sym_grad(u), sym_grad(v)) - 2 / 3 * div(u) * div(v))

    @fem.BilinearForm
    def dilatation(u, q, _):
        return div(u) * q

    total = dilatation.assemble(basis, constant)  # (elements, unknowns)
    area = fem.LinearForm(lambda q, _: q).assemble(constant)
    stiffness = deviator.assemble(basis, shear=constant.interpolate(shear))
    return stiffness + total.T @ diags(bulk / area) @ total, diags(1 / area) @ total


def _load(fem: Any, basis: Any, pressure: float) -> np.ndarray:
    from skfem.helpers import dot

    @fem.LinearForm
    def push(v, w):
        return -pressure * dot(w.n, v)  # the normal points out of the wall, into the lumen

    return push.assemble(fem.FacetBasis(basis.mesh, basis.elem, facets=basis.mesh.boundaries["lumen"]))


def import_skfem(caller: str) -> Any:
    """Import scikit-fem, or say how to get it."""
    try:
        import skfem
    except ImportError as error:
        raise ImportError(
            f"{caller} needs scikit-fem, which is not installed. Install it with "
            '`pip install "skalss[simulation]"`, or take solver="banded", which needs nothing more.'
        ) from error
    return skfem


def _mesh(fem: Any, nodes: np.ndarray) -> Any:
    number = np.arange(nodes[..., 0].size).reshape(nodes.shape[:2])
    ahead = np.roll(number, -1, axis=0)
    corners = np.stack([number[:, :-1], number[:, 1:], ahead[:, 1:], ahead[:, :-1]]).reshape(4, -1)
    mesh = fem.MeshQuad(nodes.reshape(-1, 2).T, corners)
    on_lumen = np.isin(mesh.facets, number[:, 0]).all(axis=0)
    return mesh.with_boundaries({"lumen": np.flatnonzero(on_lumen)})


def _held_nodes(nodes: np.ndarray) -> list[int]:
    """Return the nodes that are held in x, y and y: two at the outer contour, opposite each other."""
    n_angles, n_rings = nodes.shape[:2]
    first = n_rings - 1
    return [first, first, n_angles // 2 * n_rings + first]


def _deviator(gradient: np.ndarray) -> np.ndarray:
    """Return xx, yy, zz and xy of the deviator of strain for displacement gradients (2, 2, m)."""
    (xx, xy), (yx, yy) = gradient
    mean = (xx + yy) / 3
    return np.stack([xx - mean, yy - mean, -mean, (xy + yx) / 2])
