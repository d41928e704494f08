"""Contours of diseased coronary arteries, drawn at random. `make_vessels` gives the sources."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

N_ANGLES = 256
ANGLES = 2 * np.pi / N_ANGLES * np.arange(N_ANGLES)

HEALTHY_DIAMETER = 3.7, 0.4  # mm, mean and SD
OPEN_UP_TO = 0.40  # plaque burden up to which a vessel keeps its lumen
PLAQUE_BURDEN = 0.54, 0.14
PLAQUE_BURDEN_RANGE = 0.40, 0.75
ECCENTRICITY = 3.4, 2.3  # thickest over thinnest wall
LEAST_WALL = 0.25  # mm
LIPID_SHARE = 0.179, 0.116  # of the plaque
CALCIFICATION_SHARE = 0.081, 0.080
CALCIFIED = 0.73
QUADRANTS = np.array([26, 21, 15, 11]) / 73
DEPTHS = np.array([0.48, 0.28, 0.24])  # near the lumen, deep, in the middle
RUPTURED = 71 / 182
CAP = {False: (0.182, 0.156, 0.216), True: (0.116, 0.103, 0.136)}  # mm: median and quartiles, by rupture
BACKING = 0.10  # mm of wall outside of core and calcification


class Anatomy(NamedTuple):
    """Drawn vessels; see `make_vessels` for the fields."""

    contours: dict[str, np.ndarray]
    centers: np.ndarray
    plaque_burden: np.ndarray


def draw_anatomy(n: int, rng: np.random.RandomState) -> Anatomy:
    """Draw `n` vessels."""
    turn = rng.uniform(0, 2 * np.pi, n)  # where the wall is thickest
    lumen, vessel, centers = _draw_wall(n, turn, rng)
    plaque = _area(vessel) - _area(lumen)
    lipid = _draw_lipid(lumen, vessel, plaque, turn, rng)
    calcification = _draw_calcification(lumen, vessel, plaque, turn, rng)
    contours = {"lumen": lumen, "vessel": vessel}
    for name, (inner, outer) in (("lipid", lipid), ("calcification", calcification)):
        contours |= {f"{name}_inner": inner, f"{name}_outer": outer}
    return Anatomy(contours, centers, plaque / _area(vessel))


def _draw_wall(
    n: int, turn: np.ndarray, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    healthy = np.pi / 4 * _normal(n, *HEALTHY_DIAMETER, rng, within=2) ** 2
    area = healthy / (1 - OPEN_UP_TO)
    burden = _truncated(n, *PLAQUE_BURDEN, *PLAQUE_BURDEN_RANGE, rng)
    radius = np.sqrt(area / np.pi)
    lumen_radius = radius * np.sqrt(1 - burden)
    lumen = lumen_radius[:, None] * (1 + _wobble(n, 0.06, rng))

    # Two circles whose centres are `shift` apart have the drawn ratio of thickest to thinnest wall.
    ratio = 1 + _lognormal(n, ECCENTRICITY[0] - 1, ECCENTRICITY[1], rng)
    shift = (radius - lumen_radius) * (ratio - 1) / (ratio + 1)
    along = ANGLES - turn[:, None]
    shift = shift[:, None]
    circle = shift * np.cos(along) + np.sqrt(radius[:, None] ** 2 - (shift * np.sin(along)) ** 2)
    vessel = circle * (1 + _wobble(n, 0.02, rng))
    # No thinner than the least wall, without a kink where that takes over.
    soft = 0.05
    vessel = lumen + LEAST_WALL + soft * np.logaddexp(0, (vessel - lumen - LEAST_WALL) / soft)

    jitter = rng.uniform(-0.15, 0.15, (n, 2))
    return lumen, vessel, jitter - shift * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _draw_lipid(
    lumen: np.ndarray, vessel: np.ndarray, plaque: np.ndarray, turn: np.ndarray, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    n = len(lumen)
    ruptured = rng.uniform(size=n) < RUPTURED
    caps = [_by_quartiles(n, *CAP[kind], rng) for kind in (True, False)]
    cap = np.where(ruptured, *caps)
    share = _gamma(n, *LIPID_SHARE, rng)
    half_arc = rng.uniform(np.pi / 5, np.pi / 2, n)
    middle = turn + rng.normal(0, np.pi / 9, n)
    return _crescent(lumen + cap[:, None], vessel - BACKING, share * plaque, middle, half_arc)


def _draw_calcification(
    lumen: np.ndarray, vessel: np.ndarray, plaque: np.ndarray, turn: np.ndarray, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray]:
    n = len(lumen)
    mean, sd = CALCIFICATION_SHARE
    share = _gamma(n, mean / CALCIFIED, sd, rng) * (rng.uniform(size=n) < CALCIFIED)
    quadrants = rng.choice(4, size=n, p=QUADRANTS) + rng.uniform(0.4, 1, n)  # less is a speck
    half_arc = np.pi / 4 * quadrants
    middle = turn + rng.normal(0, np.pi / 3, n)
    depth = rng.choice([0.0, 1.0, 0.5], size=n, p=DEPTHS)[:, None]
    inner, outer = lumen + BACKING, vessel - BACKING
    thickness = np.subtract(*_crescent(inner, outer, share * plaque, middle, half_arc)[::-1])
    start = inner + depth * (np.maximum(outer, inner) - inner - thickness)
    return start, start + thickness


def _crescent(
    inner: np.ndarray, outer: np.ndarray, area: np.ndarray, middle: np.ndarray, half_arc: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the contours of a region on `inner`, smooth at its ends, of the given area if there is room."""
    away = np.abs((ANGLES - middle[:, None] + np.pi) % (2 * np.pi) - np.pi) / half_arc[:, None]
    profile = np.where(away < 1, np.cos(np.pi / 2 * np.minimum(away, 1)) ** 2, 0)
    most = np.maximum(outer - inner, 0) * profile**0.5
    # With a share f of `most`, the area is the mean of f * b + f ** 2 * a over the angles, times 2 pi.
    a, b = (most**2 / 2).mean(axis=1), (inner * most).mean(axis=1)
    wanted = area / (2 * np.pi)
    part = 2 * wanted / np.maximum(b + np.sqrt(b**2 + 4 * a * wanted), 1e-9)
    return inner, inner + np.minimum(part, 1)[:, None] * most


def _area(curve: np.ndarray) -> np.ndarray:
    return np.pi * (curve**2).mean(axis=1)


def _wobble(n: int, size: float, rng: np.random.RandomState) -> np.ndarray:
    """Return relative deviations from a circle: modes 2 to 5, the higher the smaller."""
    mode = np.arange(2, 6)[:, None]
    amplitude = size / (mode - 1) * rng.normal(size=(n, 4, 1)).clip(-2, 2)
    phase = rng.uniform(0, 2 * np.pi, (n, 4, 1))
    return (amplitude * np.cos(mode * ANGLES + phase)).sum(axis=1)


def _normal(n: int, mean: float, sd: float, rng: np.random.RandomState, within: float) -> np.ndarray:
    return mean + sd * rng.normal(size=n).clip(-within, within)


def _truncated(
    n: int, mean: float, sd: float, low: float, high: float, rng: np.random.RandomState
) -> np.ndarray:
    first, last = ndtr((np.array([low, high]) - mean) / sd)
    return mean + sd * ndtri(rng.uniform(first, last, n))


def _lognormal(n: int, mean: float, sd: float, rng: np.random.RandomState) -> np.ndarray:
    variance = np.log1p((sd / mean) ** 2)
    return mean * np.exp(rng.normal(-variance / 2, np.sqrt(variance), n))


def _gamma(n: int, mean: float, sd: float, rng: np.random.RandomState) -> np.ndarray:
    return rng.gamma((mean / sd) ** 2, sd**2 / mean, n)


def _by_quartiles(n: int, median: float, low: float, high: float, rng: np.random.RandomState) -> np.ndarray:
    """Draw from the lognormal with this median and ratio of quartiles."""
    return median * np.exp(np.log(high / low) / (2 * ndtri(0.75)) * rng.normal(size=n))
