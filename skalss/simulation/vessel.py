"""The stress in the wall of an artery under blood pressure, as an oracle."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_array

from ..oracles import Abstain, BaseOracle
from ..utils.checks import check_choice, check_number, check_positive_int, check_share, reading
from ..utils.tensors import to_host
from .contours import NotAVessel, find_contours
from .elasticity import Solution, solve_ring
from .mesh import are_convex, element_areas, element_corners, ring_nodes, sample
from .reference import import_skfem, solve_ring_skfem
from .result import VesselSimulation

SOLVERS = {"banded": solve_ring, "scikit-fem": solve_ring_skfem}
OUTPUTS = ("peak", "log_peak", "map")


class VesselStress(BaseOracle):
    """Labels the image of an artery with the peak stress in its wall; a finite element simulation.

    Contours are found to a part of a pixel on rays from the middle of the lumen, such that blur hardly
    changes how thick the wall is; the peak of a blurred image is lower nevertheless. The wall between them is
    meshed with quadrilaterals, and linear elasticity in plane strain is solved with blood pressure on the
    lumen. An image that shows no single vessel is an
    abstention, with its reason. Stress does not depend on the size of a pixel, so images need no scale.

    Parameters
    ----------
    pressure : float, default=13.3
        On the lumen, in kPa; 13.3 is 100 mmHg. Stress is proportional to it.
    fibrous, lipid, calcification : float, default=600, 10 and 5000
        Young's modulus of each tissue in kPa. In between, and where an image is blurred, the logarithms mix.
    poisson : float, default=0.49
        Poisson's ratio of all tissue, in [0, 0.5).
    quantile : float, default=0.99
        What "peak" means: the stress that this share of the fibrous area stays below. The largest value of
        all depends on the mesh.
    n_angles, n_layers : int, default=64 and 12
        Elements around and across the wall; at least 24 and 2.
    output : {"peak", "log_peak", "map"}, default="peak"
        "peak" labels with a float in kPa, for regression; "log_peak" with its natural logarithm, which suits
        a squared error, since the spread of peaks grows with them. "map" labels with an array (height, width)
        of von Mises stress in kPa, NaN outside of the wall: a `skalss.targets.ValueMap`, whose errors count
        where there is a value.
    solver : {"banded", "scikit-fem"}, default="banded"
        "banded" is a kernel of our own on SciPy. "scikit-fem" solves the same equations with that library
        (``pip install "skalss[simulation]"``), many times slower: a reference.

    See Also
    --------
    skalss.datasets.make_vessels : Images for it.

    Notes
    -----
    Rows are images of shape (3, height, width), or flat ones of square images, with the shares of
    wall, lipid and calcification in each pixel in [0, 1] (or bytes, 0 to 255). Values outside are cut off.

    What the model leaves out: large strains, fibres and residual stress in the tissue, the third
    dimension, and all that surrounds the vessel. Its peaks can be compared with each other, not with the
    strength of a tissue.

    The moduli are round numbers, and an assumption: measured ones scatter by orders of magnitude. [1]_ found
    927 ± 468 (cellular) to 2312 ± 2180 kPa (hypocellular) in tension around the vessel, [2]_ shear moduli
    from 7 to 100 kPa (Young's moduli three times that) in indentation of caps. What matters for stress is
    their ratio. Poisson's ratio hardly changes the stress [3]_.

    References
    ----------
    .. [1] H. M. Loree et al., "Static circumferential tangential modulus of human atherosclerotic tissue",
       Journal of Biomechanics 27, 1994.
    .. [2] S. R. H. Barrett et al., "Experimental measurement of the mechanical properties of carotid
       atherothrombotic plaque fibrous cap", Journal of Biomechanics 42, 2009.
    .. [3] Simulation and phantom studies of stress from intravascular ultrasound elastography,
       https://pmc.ncbi.nlm.nih.gov/articles/PMC4510951.

    Examples
    --------
    >>> from skalss.datasets import make_vessels
    >>> from skalss.simulation import VesselStress
    >>> X = make_vessels(2, random_state=0).X
    >>> X[1] = 0
    >>> for id_, label in VesselStress().label(X, [7, 8]):
    ...     print(id_, label if id_ == 8 else f"{label:.0f} kPa")
    7 139 kPa
    8 Abstain('the wall encloses no lumen')
    """

    labels_new_points = True

    def __init__(
        self,
        *,
        pressure: float = 13.3,
        fibrous: float = 600.0,
        lipid: float = 10.0,
        calcification: float = 5000.0,
        poisson: float = 0.49,
        quantile: float = 0.99,
        n_angles: int = 64,
        n_layers: int = 12,
        output: str = "peak",
        solver: str = "banded",
    ):
        self.pressure = pressure
        self.fibrous = fibrous
        self.lipid = lipid
        self.calcification = calcification
        self.poisson = poisson
        self.quantile = quantile
        self.n_angles = n_angles
        self.n_layers = n_layers
        self.output = output
        self.solver = solver

    def check_pool(self, sample_id: np.ndarray | None, n_rows: int) -> None:
        """Refuse wrong parameters before anything is trained.

        Parameters
        ----------
        sample_id : array of shape (n_rows,) or None
        n_rows : int

        Raises
        ------
        ValueError, TypeError
            If a parameter is not allowed.
        ImportError
            If ``solver="scikit-fem"`` and that is not installed.
        """
        self._check()

    def label(self, X: ArrayLike, ids: np.ndarray) -> Iterator[tuple[Any, Any]]:
        """Simulate each row and yield its peak stress in kPa, its map, or an abstention with the reason.

        Parameters
        ----------
        X : array-like of shape (n_rows, 3, height, width) or (n_rows, 3 * height * height)
        ids : array of shape (n_rows,)

        Yields
        ------
        id, answer : tuple

        Raises
        ------
        ValueError, TypeError
            If X has another shape, or a parameter is not allowed.
        """
        self._check()
        for id_, image in zip(ids, as_images(X), strict=True):
            result = self._simulate(image)
            if isinstance(result, Abstain):
                yield id_, result
            elif self.output == "map":
                yield id_, result.to_image(image.shape[1:])
            else:
                yield id_, result.peak if self.output == "peak" else math.log(result.peak)

    def simulate(self, image: Any) -> VesselSimulation | Abstain:
        """Simulate one image.

        Parameters
        ----------
        image : array-like of shape (3, height, width)

        Returns
        -------
        simulation : VesselSimulation or Abstain

        Raises
        ------
        ValueError, TypeError
            If the image has another shape, or a parameter is not allowed.
        """
        self._check()
        with reading("image"):
            array: Any = check_array(to_host(image), allow_nd=True, ensure_2d=False, ensure_all_finite=False)
        return self._simulate(as_images(array[None])[0])

    def _simulate(self, image: np.ndarray) -> VesselSimulation | Abstain:
        if not np.isfinite(image).all():
            return Abstain("the image has values that are not finite")
        wall, lipid, calcification = np.clip(image, 0, 1)
        try:
            contours = find_contours(wall, self.n_angles)
        except NotAVessel as what:
            return Abstain(str(what))
        nodes = ring_nodes(*contours, self.n_layers)
        corners = element_corners(nodes)
        if not are_convex(corners):
            return Abstain("the contours are too ragged to be meshed")
        middle = corners.mean(axis=2)
        tissue = [sample(channel, middle) for channel in (lipid, calcification)]
        solution = SOLVERS[self.solver](
            nodes, self._young(*tissue), float(self.poisson), float(self.pressure)
        )
        return VesselSimulation(
            contours=contours,
            nodes=nodes,
            lipid=tissue[0],
            calcification=tissue[1],
            displacement=solution.displacement,
            stress=solution.stress,
            von_mises=solution.von_mises,
            peak=self._peak(solution, tissue[0] + tissue[1] < 0.5, element_areas(corners)),
        )

    def _young(self, lipid: np.ndarray, calcification: np.ndarray) -> np.ndarray:
        excess = np.maximum(lipid + calcification, 1)  # decoded channels may add up to more than the pixel
        lipid, calcification = lipid / excess, calcification / excess
        log = (1 - lipid - calcification) * math.log(self.fibrous)
        return np.exp(log + lipid * math.log(self.lipid) + calcification * math.log(self.calcification))

    def _peak(self, solution: Solution, fibrous: np.ndarray, area: np.ndarray) -> float:
        """Return the quantile of von Mises stress by area in fibrous tissue, or in all if there is none."""
        if not fibrous.any():
            fibrous = np.ones_like(fibrous)
        stress, weight = solution.von_mises[fibrous], area[fibrous]
        order = np.argsort(stress)
        below = np.cumsum(weight[order]) - weight[order] / 2
        return float(np.interp(float(self.quantile) * weight.sum(), below, stress[order]))

    def _check(self) -> None:
        for name in ("pressure", "fibrous", "lipid", "calcification"):
            check_number(name, getattr(self, name), most=1e9)
            if getattr(self, name) < 1e-3:
                raise ValueError(f"{name} must be at least 0.001 kPa, got {getattr(self, name)!r}.")
        check_number("poisson", self.poisson, zero=True)
        if self.poisson >= 0.5:
            raise ValueError(
                f"poisson must lie in [0, 0.5), got {self.poisson!r}. Pass 0.499 for hardly compressible."
            )
        check_share("quantile", self.quantile)
        for name, least in (("n_angles", 24), ("n_layers", 2)):
            check_positive_int(name, getattr(self, name), most=4096)
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)!r}.")
        check_choice("output", self.output, OUTPUTS)
        check_choice("solver", self.solver, SOLVERS)
        if self.solver == "scikit-fem":
            import_skfem("VesselStress(solver='scikit-fem')")


def as_images(X: ArrayLike) -> np.ndarray:
    """Return rows as float images of shape (n, 3, height, width); bytes are divided by 255."""
    with reading("X"):
        X = np.asarray(check_array(to_host(X), allow_nd=True, ensure_2d=False, ensure_all_finite=False))
    X = X / 255 if X.dtype == np.uint8 else X.astype(float)
    if X.ndim == 2:
        size = math.isqrt(X.shape[1] // 3)
        if 3 * size**2 == X.shape[1]:
            X = X.reshape(-1, 3, size, size)
    if X.ndim != 4 or X.shape[1] != 3 or min(X.shape[2:]) < 8:
        raise ValueError(
            "X must have shape (n, 3, height, width) with at least 8 pixels each way, or be flat rows of "
            f"square images, got {X.shape}. The channels are the shares of wall, lipid and calcification."
        )
    return X
