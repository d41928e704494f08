import numpy as np
import pytest

from skalss.datasets import make_vessel_masks, make_vessels
from skalss.datasets.painting import paint


@pytest.fixture(scope="module")
def vessels():
    return make_vessels(400, random_state=0)


def area(curve):
    return np.pi * (curve**2).mean(axis=1)


@pytest.mark.parametrize(("size", "mm"), [(16, 0.4375), (32, 0.21875), (64, 0.109375)])
def test_vessels_have_the_documented_form(size, mm):
    vessels = make_vessels(9, size=size, random_state=0)
    assert vessels.X.shape == (9, 3, size, size)
    assert vessels.X.dtype == np.float32
    assert vessels.mm_per_pixel == mm
    assert vessels.feature_names == ["wall", "lipid", "calcification"]
    assert vessels.angles.shape == (256,)
    assert set(vessels.contours) == {
        *("lumen", "vessel", "lipid_inner", "lipid_outer", "calcification_inner", "calcification_outer")
    }
    assert all(curve.shape == (9, 256) for curve in vessels.contours.values())
    assert vessels.centers.shape == (9, 2)
    assert vessels.plaque_burden.shape == (9,)
    assert f"{size} pixels" in vessels.DESCR


def test_the_seed_decides():
    first, again, other = (make_vessels(12, random_state=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.X, again.X)
    assert not np.array_equal(first.X, other.X)
    assert len({image.tobytes() for image in first.X}) == 12


def test_the_size_of_the_image_does_not_change_the_vessel():
    coarse, fine = (make_vessels(12, size=size, random_state=3) for size in (32, 64))
    np.testing.assert_array_equal(coarse.contours["lumen"], fine.contours["lumen"])
    halved = fine.X.reshape(12, 3, 32, 2, 32, 2).mean(axis=(3, 5))
    difference = np.abs(halved - coarse.X)
    assert difference.max() < 0.15  # where thin shapes overlap in a pixel
    assert difference.mean() < 0.001


def test_shares_are_shares_and_the_vessel_lies_inside_the_image(vessels):
    wall, lipid, calcification = vessels.X.swapaxes(0, 1)
    assert vessels.X.min() >= 0
    assert wall.max() <= 1 + 1e-6
    assert (lipid + calcification <= wall + 1e-6).all()
    for edge in (wall[:, 0], wall[:, -1], wall[:, :, 0], wall[:, :, -1]):
        assert (edge == 0).all()


def test_figures_come_out_as_documented():
    vessels = make_vessels(4000, size=16, random_state=0)
    lumen, vessel = vessels.contours["lumen"], vessels.contours["vessel"]
    thickness = vessel - lumen
    assert thickness.min() >= 0.25
    assert vessels.plaque_burden.min() > 0.38
    assert vessels.plaque_burden.max() < 0.77
    np.testing.assert_allclose(vessels.plaque_burden, 1 - area(lumen) / area(vessel))
    np.testing.assert_allclose(vessels.plaque_burden.mean(), 0.56, atol=0.01)  # of 0.54, cut
    healthy = 2 * np.sqrt(0.6 * area(vessel) / np.pi)
    np.testing.assert_allclose([healthy.mean(), healthy.std()], [3.7, 0.4], atol=0.08)
    ratio = thickness.max(axis=1) / thickness.min(axis=1)
    np.testing.assert_allclose(ratio.mean(), 3.4, atol=0.2)

    plaque = area(vessel) - area(lumen)
    share, present = {}, {}
    for name in ("lipid", "calcification"):
        inner, outer = vessels.contours[f"{name}_inner"], vessels.contours[f"{name}_outer"]
        share[name] = (area(outer) - area(inner)) / plaque
        present[name] = (outer > inner).any(axis=1)
        assert (outer >= inner).all()
        there = outer > inner
        assert (inner[there] > lumen[there]).all()
        assert (outer[there] < vessel[there]).all()
    np.testing.assert_allclose(share["lipid"].mean(), 0.15, atol=0.02)  # of 0.179, where it fits
    np.testing.assert_allclose(share["calcification"].mean(), 0.081, atol=0.01)
    np.testing.assert_allclose(present["calcification"].mean(), 0.73, atol=0.03)
    cap = (vessels.contours["lipid_inner"] - lumen)[:, 0]
    np.testing.assert_allclose(np.median(cap), 0.155, atol=0.01)  # 182 and 116 um, mixed 61 to 39


def test_edges_are_anti_aliased_right():
    """Against counting 32 x 32 points a pixel."""
    vessels = make_vessels(6, random_state=1)
    n = 32 * 32
    at = (np.arange(n) + 0.5) * 7 / n - 3.5
    angles = np.append(vessels.angles, 2 * np.pi)
    for i in range(6):
        x, y = at - vessels.centers[i, 0], at[:, None] - vessels.centers[i, 1]
        radius, angle = np.hypot(x, y), np.arctan2(y, x) % (2 * np.pi)
        lumen, vessel = (
            radius < np.interp(angle, angles, np.append(curve[i], curve[i][0]))
            for curve in (vessels.contours["lumen"], vessels.contours["vessel"])
        )
        counted = (vessel & ~lumen).reshape(32, 32, 32, 32).mean(axis=(1, 3))
        assert np.abs(vessels.X[i, 0] - counted).max() < 0.06
        np.testing.assert_allclose(vessels.X[i, 0].sum(), counted.sum(), rtol=2e-3)


def test_calcium_lies_over_lipid():
    circle = np.ones((1, 256))
    both = {"lipid_inner": 1.2 * circle, "lipid_outer": 1.8 * circle}
    both |= {"calcification_inner": 1.2 * circle, "calcification_outer": 1.5 * circle}
    curves = {"lumen": circle, "vessel": 2 * circle, **both}
    wall, lipid, calcification = paint(curves, np.zeros((1, 2)), 64, 7.0)[0]
    mm2 = (7 / 64) ** 2
    np.testing.assert_allclose(wall.sum() * mm2, np.pi * 3, rtol=5e-3)
    np.testing.assert_allclose(calcification.sum() * mm2, np.pi * (1.5**2 - 1.2**2), rtol=1e-2)
    np.testing.assert_allclose(lipid.sum() * mm2, np.pi * (1.8**2 - 1.5**2), rtol=2e-2)


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ({"n_samples": 0}, ValueError, "n_samples must be a whole number of at least 1"),
        ({"n_samples": 2.5}, TypeError, "n_samples must be"),
        ({"size": 8}, ValueError, "size must be at least 16, got 8"),
    ],
)
def test_wrong_parameters_are_refused(params, error, text):
    with pytest.raises(error, match=text):
        make_vessels(**params)


def test_masks_are_those_of_the_vessels():
    masks, vessels = make_vessel_masks(20, random_state=0), make_vessels(20, random_state=0)
    assert masks.X.shape == (20, 1, 32, 32)
    assert masks.target_names == ["background", "lumen", "wall", "lipid", "calcification"]
    assert 0 <= masks.X.min() < masks.X.max() <= 1
    wall, lipid, calcification = vessels.X.swapaxes(0, 1)
    assert (masks.y[wall == 0] < 2).all()
    assert (masks.y[(wall == 1) & (lipid + calcification == 0)] == 2).all()
    assert (masks.y[lipid > 0.6] == 3).all()
    assert (masks.y[calcification > 0.6] == 4).all()
    assert (masks.y[:, 0] == 0).all()  # the edge of the image is no lumen
    lumen = (masks.y == 1).sum(axis=(1, 2)) * masks.mm_per_pixel**2
    np.testing.assert_allclose(lumen, area(vessels.contours["lumen"]), rtol=0.15)
    clean, other = (make_vessel_masks(20, noise=noise, random_state=0) for noise in (0, 1))
    np.testing.assert_array_equal(clean.y, other.y)
    assert clean.X[:, 0][masks.y == 1].mean() < 0.2
    assert other.X.std() > clean.X.std()


@pytest.mark.parametrize(("noise", "error"), [(-1, ValueError), (3, ValueError), ("much", TypeError)])
def test_wrong_noise_is_refused(noise, error):
    with pytest.raises(error, match="noise must be"):
        make_vessel_masks(2, noise=noise)
