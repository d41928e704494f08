"""The kernel against the closed solution of Lamé, against scikit-fem, and against itself turned round."""

import numpy as np
import pytest

from skalss.simulation.elasticity import pressure_load, solve_ring
from skalss.simulation.mesh import element_areas, element_corners, ring_nodes

YOUNG, PRESSURE = 600.0, 13.3


def cylinder(n_angles, n_layers, ratio):
    return ring_nodes(np.zeros(2), np.ones(n_angles), np.full(n_angles, ratio), n_layers)


def egg(n_angles=48, n_layers=8):
    """An eccentric ring with soft and stiff parts, as a plaque has them."""
    angle = 2 * np.pi / n_angles * np.arange(n_angles)
    inner, outer = 1 + 0.1 * np.cos(2 * angle), 1.6 + 0.3 * np.cos(angle) + 0.05 * np.sin(3 * angle)
    nodes = ring_nodes(np.array([0.3, -2.0]), inner, outer, n_layers)
    young = np.full((n_angles, n_layers), 600.0)
    young[:9, 2:6], young[30:36, 4:] = 10, 5000
    return nodes, young


def lame(nodes, ratio, poisson):
    """Von Mises stress at the middles of the elements of a thick-walled cylinder, and how far its nodes move.

    Timoshenko and Goodier, Theory of Elasticity, section 28: the stresses a - b / r^2 and a + b / r^2 along
    and across the radius, and 2 nu a along the axis, which is held.
    """
    a = PRESSURE / (ratio**2 - 1)
    b = a * ratio**2
    r = np.linalg.norm(element_corners(nodes).mean(axis=2), axis=-1)
    radial, hoop, axial = a - b / r**2, a + b / r**2, 2 * poisson * a
    stress = np.sqrt(((radial - hoop) ** 2 + (hoop - axial) ** 2 + (axial - radial) ** 2) / 2)
    r = np.linalg.norm(nodes, axis=-1)
    return stress, (1 + poisson) / YOUNG * ((1 - 2 * poisson) * a * r + b / r)


def lame_error(n_angles, n_layers, ratio, poisson):
    nodes = cylinder(n_angles, n_layers, ratio)
    solution = solve_ring(nodes, np.full((n_angles, n_layers), YOUNG), poisson, PRESSURE)
    return np.abs(solution.von_mises / lame(nodes, ratio, poisson)[0] - 1).max()


@pytest.mark.parametrize("poisson", [0.0, 0.3, 0.45, 0.49, 0.499])
@pytest.mark.parametrize("ratio", [1.2, 1.5, 2.0, 3.0])
def test_a_pressurised_cylinder_has_the_stress_that_lame_found(ratio, poisson):
    assert lame_error(64, 12, ratio, poisson) < 0.002


@pytest.mark.parametrize("poisson", [0.3, 0.499])
def test_the_error_falls_with_the_square_of_the_element(poisson):
    errors = [lame_error(n, m, 1.5, poisson) for n, m in ((32, 6), (64, 12), (128, 24))]
    order = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (np.abs(order - 2) < 0.1).all()


@pytest.mark.parametrize("poisson", [0.3, 0.499])
def test_a_pressurised_cylinder_widens_as_lame_found(poisson):
    nodes = cylinder(64, 12, 1.5)
    moved = solve_ring(nodes, np.full((64, 12), YOUNG), poisson, PRESSURE).displacement
    moved = moved - moved[:, 0].mean(axis=0)  # where the ring is held is a free choice
    outward = (moved * nodes).sum(axis=-1) / np.linalg.norm(nodes, axis=-1)
    np.testing.assert_allclose(outward, lame(nodes, 1.5, poisson)[1], rtol=3e-3)


@pytest.mark.parametrize("poisson", [0.0, 0.3, 0.45, 0.49])
def test_the_same_as_scikit_fem_on_the_same_elements(poisson):
    pytest.importorskip("skfem")
    from skalss.simulation.reference import solve_ring_skfem

    nodes, young = egg()
    own = solve_ring(nodes, young, poisson, PRESSURE)
    theirs = solve_ring_skfem(nodes, young, poisson, PRESSURE)
    for name in ("displacement", "stress", "von_mises"):
        expected = getattr(theirs, name)
        difference = np.abs(getattr(own, name) - expected).max()
        assert difference < 1e-10 * np.abs(expected).max(), name


def test_the_wall_carries_the_pressure():
    """Across any cut along a ray, hoop force is what pressure pushes the two halves apart with."""
    nodes = cylinder(64, 24, 1.7)
    stress = solve_ring(nodes, np.full((64, 24), YOUNG), 0.45, PRESSURE).stress
    corners = element_corners(nodes)
    height = np.linalg.norm((corners[:, :, 1:3] - corners[:, :, [0, 3]]).mean(axis=2), axis=-1)
    direction = corners[:, :, 3] - corners[:, :, 0]
    x, y = np.moveaxis(direction / np.linalg.norm(direction, axis=-1, keepdims=True), -1, 0)
    hoop = stress[..., 0] * x**2 + stress[..., 1] * y**2 + 2 * stress[..., 3] * x * y
    np.testing.assert_allclose((hoop * height).sum(axis=1), PRESSURE, rtol=2e-3)


def test_stress_is_proportional_to_pressure_and_depends_on_ratios_of_stiffness_only():
    nodes, young = egg()
    stress = solve_ring(nodes, young, 0.45, 1.0).stress
    np.testing.assert_allclose(solve_ring(nodes, young, 0.45, 3.0).stress, 3 * stress, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(solve_ring(nodes, 7 * young, 0.45, 1.0).stress, stress, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(solve_ring(9 * nodes, young, 0.45, 1.0).stress, stress, rtol=1e-8, atol=1e-9)


def test_stress_does_not_depend_on_where_the_ring_lies_or_is_held():
    nodes, young = egg()
    stress = solve_ring(nodes, young, 0.45, PRESSURE).von_mises
    turned = nodes @ np.array([[0.6, 0.8], [-0.8, 0.6]]) + 5
    np.testing.assert_allclose(solve_ring(turned, young, 0.45, PRESSURE).von_mises, stress, rtol=1e-8)
    rolled = solve_ring(np.roll(nodes, 11, axis=0), np.roll(young, 11, axis=0), 0.45, PRESSURE)
    np.testing.assert_allclose(np.roll(rolled.von_mises, -11, axis=0), stress, rtol=1e-8)


@pytest.mark.parametrize("n_angles", [24, 25, 63])
def test_any_number_of_rays(n_angles):
    nodes = cylinder(n_angles, 4, 1.5)
    stress = solve_ring(nodes, np.full((n_angles, 4), YOUNG), 0.3, PRESSURE).von_mises
    np.testing.assert_allclose(stress, np.broadcast_to(stress[0], stress.shape), rtol=1e-9)


def test_the_load_is_in_balance():
    nodes, _ = egg()
    load = pressure_load(nodes, PRESSURE)
    np.testing.assert_allclose(load.sum(axis=(0, 1)), 0, atol=1e-12)
    moment = nodes[..., 0] * load[..., 1] - nodes[..., 1] * load[..., 0]
    np.testing.assert_allclose(moment.sum(), 0, atol=1e-12)
    assert (load[:, 1:] == 0).all()
    assert ((load[:, 0] * (nodes[:, 0] - nodes[:, 0].mean(axis=0))).sum(axis=1) > 0).all()  # outwards


def test_the_mesh_fills_the_ring():
    areas = element_areas(element_corners(cylinder(24, 5, 1.5)))
    assert (areas > 0).all()
    np.testing.assert_allclose(areas.sum(), np.pi * (1.5**2 - 1), rtol=1e-12)
    assert areas[0, 0] < areas[0, -1]
