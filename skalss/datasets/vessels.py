"""Cross-sections of diseased arteries, drawn at random after published anatomy, as images of their tissue."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.utils import Bunch

from ..utils.checks import check_number, check_positive_int, checked_random_state
from .anatomy import N_ANGLES, draw_anatomy
from .painting import paint

CHANNELS = ("wall", "lipid", "calcification")
FIELD_OF_VIEW = 7.0  # mm, width of an image
TISSUES = ("background", "lumen", "wall", "lipid", "calcification")
# How bright each tissue is in the images of `make_vessel_masks`, and its spread from image to image.
_BRIGHTNESS, _SPREAD = np.array([0.3, 0.08, 0.6, 0.3, 0.9]), 0.15
_BATCH = 8  # images painted at once: few enough to stay in the cache


def make_vessels(
    n_samples: int = 100, *, size: int = 32, random_state: int | np.random.RandomState | None = None
) -> Bunch:
    """Make images of coronary arteries with plaque, for a simulator to label.

    Each is a cross-section: a lumen, a wall with an eccentric plaque, in the plaque a lipid core under a
    fibrous cap, and often calcification. Three channels say what share of a pixel is wall, is lipid and
    is calcification, the wall counting all its tissue. Edges are anti-aliased, so that contours can be found
    again to a small part of a pixel.

    Parameters
    ----------
    n_samples : int, default=100
        Number of images.
    size : int, default=32
        Their height and width in pixels; at least 16. The field of view is 7 mm.
    random_state : int, RandomState or None, default=None
        Seed; the same gives the same vessels, also at another `size`.

    Returns
    -------
    data : Bunch
        With these fields:

        X : float32 array of shape (n_samples, 3, size, size)
            Shares of wall, lipid and calcification, 0 to 1.
        mm_per_pixel : float
            7 mm / `size`.
        angles : array of shape (256,)
            Of the contours, in radians; 0 is along a row of the image, and they grow towards later rows.
        contours : dict of arrays of shape (n_samples, 256)
            Radius in mm, from the centre of the lumen, of "lumen" and "vessel"; of "lipid_inner" and
            "lipid_outer", which meet where there is no lipid; and of "calcification_inner" and
            "calcification_outer".
        centers : array of shape (n_samples, 2)
            x and y of the centre of the lumen in mm, from the middle of the image.
        plaque_burden : array of shape (n_samples,)
            Share of the vessel's area that is wall.
        feature_names : list of str
            The channels.
        DESCR : str
            What the images are.

    Raises
    ------
    ValueError
        If `size` is below 16: a wall of 0.25 mm would be lost.

    Notes
    -----
    What follows published figures, mean ± SD unless it says otherwise:

    - Lumen before the disease: diameter 3.7 ± 0.4 mm (proximal left anterior descending artery) [1]_.
      The diseased vessel is as large as keeps this lumen open up to a plaque burden of 40 % [2]_.
    - Plaque burden 54 ± 14 %, cut to 40 to 75 %; lipid (necrotic core) 17.9 ± 11.6 % and calcification
      8.1 ± 8.0 % of the plaque [3]_, the latter in 73 % of vessels [4]_. Where a core does not fit under its
      cap, it is smaller.
    - Thickest over thinnest wall 3.4 ± 2.3 [5]_, with a wall of at least 0.25 mm.
    - Cap: a median of 182 µm (quartiles 156 and 216) in 61 % of vessels, as over whole plaques, and of 116 µm
      (103 and 136) in 39 %, as over ruptured ones [6]_. The edge of the core rises away from it.
    - Calcification spans one quadrant in 26, two in 21, three in 15 and four in 11 of 73 vessels; it is near
      the lumen in 48 % of them, deep in 28 % and both, which is drawn in the middle, in 24 % [4]_.

    What does not, because we know of no figures: the modes of the contours (an ellipse and a few smaller
    ones), the arc of the core, how the angles of core and calcification spread around the thickest wall, and
    independence of all of these. The images show tissue, not an ultrasound echo.

    References
    ----------
    .. [1] J. T. Dodge et al., "Lumen diameter of normal human coronary arteries", Circulation 86, 1992.
    .. [2] S. Glagov et al., "Compensatory enlargement of human atherosclerotic coronary arteries", New
       England Journal of Medicine 316, 1987.
    .. [3] Y. J. Hong et al., "Comparison of coronary plaque components between non-culprit lesions in
       patients with acute coronary syndrome and target lesions in patients with stable angina", Korean
       Circulation Journal 43, 2013. Burden and calcification are those of stable angina, lipid is that of
       acute syndromes.
    .. [4] G. S. Mintz et al., "Patterns of calcification in coronary artery disease", Circulation 91, 1995;
       quadrants as retold in G. S. Mintz, REC: Interventional Cardiology 4, 2022.
    .. [5] G. S. Mintz et al., "Comparison of intravascular ultrasound and coronary angiography in the
       assessment of target lesion plaque distribution", Journal of the American College of Cardiology, 1995.
    .. [6] T. Yonetsu et al., "In vivo critical fibrous cap thickness for rupture-prone coronary plaques
       assessed by optical coherence tomography", European Heart Journal 32, 2011.

    Examples
    --------
    >>> from skalss.datasets import make_vessels
    >>> vessels = make_vessels(3, random_state=0)
    >>> vessels.X.shape, vessels.mm_per_pixel
    ((3, 3, 32, 32), 0.21875)
    """
    check_positive_int("n_samples", n_samples)
    check_positive_int("size", size, most=4096)
    if size < 16:
        raise ValueError(f"size must be at least 16, got {size}: a wall of 0.25 mm would be lost. Pass 32.")
    anatomy = draw_anatomy(n_samples, checked_random_state(random_state))
    X = np.empty((n_samples, len(CHANNELS), size, size), dtype=np.float32)
    for start in range(0, n_samples, _BATCH):
        rows = slice(start, start + _BATCH)
        curves = {name: radius[rows] for name, radius in anatomy.contours.items()}
        X[rows] = paint(curves, anatomy.centers[rows], size, FIELD_OF_VIEW)
    return Bunch(
        X=X,
        mm_per_pixel=FIELD_OF_VIEW / size,
        angles=2 * np.pi / N_ANGLES * np.arange(N_ANGLES),
        contours=anatomy.contours,
        centers=anatomy.centers,
        plaque_burden=anatomy.plaque_burden,
        feature_names=list(CHANNELS),
        DESCR=f"{n_samples} generated cross-sections of coronary arteries, {size} pixels for 7 mm.",
    )


def make_vessel_masks(
    n_samples: int = 100,
    *,
    size: int = 32,
    noise: float = 0.4,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Make noisy grey images of arteries, and the tissue of each pixel: a task of segmentation.

    The vessels are those of `make_vessels`. An image shows them roughly as ultrasound from within the lumen
    does: fluid is dark, lipid darker than the other wall, calcification bright and with a shadow behind it,
    and speckle lies over all.

    Parameters
    ----------
    n_samples : int, default=100
        Number of images.
    size : int, default=32
        Their height and width in pixels; at least 16. The field of view is 7 mm.
    noise : float, default=0.4
        Standard deviation of the speckle over the brightness; 0 to 2.
    random_state : int, RandomState or None, default=None
        Seed; the same gives the same images, of the vessels that `make_vessels` makes of it.

    Returns
    -------
    data : Bunch
        With these fields:

        X : float32 array of shape (n_samples, 1, size, size)
            Brightness, 0 to 1.
        y : int64 array of shape (n_samples, size, size)
            The tissue that has the largest share of a pixel; 0 background, 1 lumen, 2 wall, 3 lipid and
            4 calcification.
        target_names : list of str
            The tissues.
        mm_per_pixel : float
            7 mm / `size`.
        DESCR : str
            What the images are.

    Raises
    ------
    ValueError
        If `size` is below 16, or `noise` is not in [0, 2].

    See Also
    --------
    make_vessels : The shares of tissue, for a simulator.

    Notes
    -----
    The brightness of an image is that of its tissues, which scatters by 15 % from image to image, times the
    shadow, blurred by half a pixel, times one plus speckle: normal noise, blurred alike. What lies behind a
    calcification of thickness t is dimmed by ``1 - 0.8 * (1 - exp(-t / 0.2 mm))``. No scanner was
    measured for these figures.

    Examples
    --------
    >>> from skalss.datasets import make_vessel_masks
    >>> vessels = make_vessel_masks(3, random_state=0)
    >>> vessels.X.shape, vessels.y.shape
    ((3, 1, 32, 32), (3, 32, 32))
    """
    check_number("noise", noise, zero=True, most=2)
    rng = checked_random_state(random_state)
    vessels = make_vessels(n_samples, size=size, random_state=rng)
    y = np.empty((n_samples, size, size), dtype=np.int64)
    X = np.empty((n_samples, 1, size, size), dtype=np.float32)
    for row in range(n_samples):
        curves = {name: radius[row] for name, radius in vessels.contours.items()}
        radius, at = _polar(vessels.centers[row], size, vessels.angles)
        shares = _shares(vessels.X[row], radius < at((curves["lumen"] + curves["vessel"]) / 2))
        y[row] = shares.argmax(axis=0)
        brightness = _BRIGHTNESS * np.exp(_SPREAD * rng.normal(size=len(TISSUES)))
        thickness = at(curves["calcification_outer"] - curves["calcification_inner"])
        behind = radius > at(curves["calcification_outer"])
        shadow = np.where(behind, 1 - 0.8 * (1 - np.exp(-thickness / 0.2)), 1.0)
        grey = gaussian_filter(np.tensordot(brightness, shares, 1) * shadow, 0.5)
        speckle = gaussian_filter(rng.normal(size=(size, size)), 0.5)
        X[row, 0] = (grey * (1 + float(noise) * speckle / speckle.std())).clip(0, 1)
    return Bunch(
        X=X,
        y=y,
        target_names=list(TISSUES),
        mm_per_pixel=vessels.mm_per_pixel,
        DESCR=f"{n_samples} generated images of coronary arteries with the tissue of each pixel, {size} "
        "pixels for 7 mm.",
    )


def _polar(center: np.ndarray, size: int, angles: np.ndarray):
    """Return how far pixels are from a centre, and what reads a curve at their angles."""
    at = (np.arange(size) + 0.5) * FIELD_OF_VIEW / size - FIELD_OF_VIEW / 2
    x, y = at - center[0], at[:, None] - center[1]
    angle = np.arctan2(y, x)
    return np.hypot(x, y), lambda curve: np.interp(angle, angles, curve, period=2 * np.pi)


def _shares(tissue: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Return the share of each of `TISSUES`; what is no wall is lumen `within` the middle of the wall."""
    wall, lipid, calcification = tissue
    fluid = 1 - wall
    return np.stack([fluid * ~within, fluid * within, wall - lipid - calcification, lipid, calcification])
