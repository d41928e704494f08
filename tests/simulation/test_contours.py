import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from skalss.datasets import make_vessels
from skalss.simulation.contours import NotAVessel, find_contours

from .images import disk, ring


def radii(wall):
    contours = find_contours(wall, 64)
    return contours.inner, contours.outer


@pytest.mark.parametrize(("x", "y"), [(15.5, 15.5), (15.1, 16.3), (13.0, 18.0)])
def test_circles_are_found_to_a_small_part_of_a_pixel(x, y):
    contours = find_contours(ring(x=x, y=y), 64)
    np.testing.assert_allclose(contours.center, [x, y], atol=0.05)
    np.testing.assert_allclose(contours.inner, 7, atol=0.2)
    np.testing.assert_allclose(contours.outer, 11, atol=0.2)
    np.testing.assert_allclose([contours.inner.mean(), contours.outer.mean()], [7, 11], atol=0.06)


def test_the_first_ray_goes_right_and_the_next_ones_down():
    _, outer = radii(ring(shift=2))
    assert outer.argmax() == 0
    _, outer = radii(ring(shift=2).T)  # now down
    assert outer.argmax() == 16


@pytest.mark.parametrize(("blur", "most"), [(0.5, 0.1), (1.0, 0.25)])
def test_blur_moves_contours_little(blur, most):
    sharp, blurred = radii(ring()), radii(gaussian_filter(ring(), blur))
    for a, b in zip(sharp, blurred, strict=True):
        assert np.abs(a - b).max() < most


def test_a_thin_wall_keeps_its_thickness_when_blurred():
    inner, outer = radii(gaussian_filter(ring(inner=8, outer=9.5), 0.8))
    np.testing.assert_allclose((outer - inner).mean(), 1.5, atol=0.03)
    np.testing.assert_allclose((outer - inner), 1.5, atol=0.15)


def test_slight_noise_is_smoothed():
    wall = ring() + np.random.RandomState(0).normal(0, 0.05, (32, 32))
    inner, outer = radii(wall.clip(0, 1))
    np.testing.assert_allclose(inner, 7, atol=0.3)
    np.testing.assert_allclose(outer, 11, atol=0.3)


@pytest.mark.parametrize("size", [32, 64])
def test_generated_vessels_give_their_contours_back(size, seed):
    vessels = make_vessels(50, size=size, random_state=seed)
    scale = vessels.mm_per_pixel
    error = []
    for i, image in enumerate(vessels.X):
        found = find_contours(image[0].astype(float), 64)
        center = (found.center - (size - 1) / 2) * scale
        points = center + scale * found.inner[:, None] * unit_rays()
        error.append(off(points, vessels.centers[i], vessels.contours["lumen"][i]) / scale)
        points = center + scale * found.outer[:, None] * unit_rays()
        error.append(off(points, vessels.centers[i], vessels.contours["vessel"][i]) / scale)
    assert np.sqrt(np.mean(np.square(error))) < 0.1  # pixels


def unit_rays():
    angle = 2 * np.pi / 64 * np.arange(64)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def off(points, center, curve):
    """How far points lie outside of a curve, along the ray."""
    x, y = (points - center).T
    angles = 2 * np.pi / 256 * np.arange(257)
    return np.hypot(x, y) - np.interp(np.arctan2(y, x) % (2 * np.pi), angles, [*curve, curve[0]])


WIDE = ring(inner=4, outer=8)
NO_VESSELS = {
    "blank": (np.zeros((32, 32)), "no lumen"),
    "full": (np.ones((32, 32)), "touches the edge"),
    "grey": (np.full((32, 32), 0.5), "touches the edge"),
    "filled": (disk(32, 15.5, 15.5, 10), "no lumen"),
    "inverted": (1 - ring(), "touches the edge"),
    "open": (ring() * (np.abs(np.arange(32) - 9) > 2), "no lumen|open"),
    "two vessels": (np.hstack([WIDE[:, 6:26], WIDE[:, 6:26]]), "2 lumens"),
    "two lumens": (disk(32, 15.5, 15.5, 13) - disk(32, 10, 15.5, 4) - disk(32, 21, 15.5, 4), "2 lumens"),
    "three lumens": (
        disk(32, 15.5, 15.5, 14) - disk(32, 9, 13, 3) - disk(32, 22, 13, 3) - disk(32, 15, 23, 3),
        "3 lumens",
    ),
    "something in the lumen": (ring(inner=9, outer=12) + disk(32, 15.5, 15.5, 2), "filled"),
    "something beside": (ring(inner=5, outer=8) + disk(32, 27, 15.5, 2), "more than one wall"),
    "cut off": (ring(x=24.0), "touches the edge"),
    "faint": (0.2 * ring(), "no lumen"),
    "narrow": (ring(inner=1.0), "no lumen|narrower"),
    "a crescent of a lumen": (
        disk(32, 15.5, 15.5, 13) - disk(32, 13, 15.5, 8) * (1 - disk(32, 17, 15.5, 7)),
        "filled|jumps|more than one wall",
    ),
}


@pytest.mark.parametrize("name", NO_VESSELS)
def test_what_is_no_vessel_is_named(name):
    wall, reason = NO_VESSELS[name]
    with pytest.raises(NotAVessel, match=reason):
        find_contours(wall.clip(0, 1), 64)
