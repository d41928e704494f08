import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift
from sklearn.base import clone

from skalss import AdaptiveLatentSampler
from skalss.datasets import make_vessels
from skalss.latent import LinearLatent
from skalss.nets import net_regressor
from skalss.oracles import Abstain, Failed
from skalss.simulation import VesselStress

from .images import disk, ring, vessel


@pytest.fixture(scope="module")
def X():
    return make_vessels(20, random_state=0).X


def labels(X, **params):
    return [answer for _, answer in VesselStress(**params).label(X, np.arange(len(X)))]


def peaks(X, **params):
    answers = labels(X, **params)
    assert all(isinstance(answer, float) for answer in answers), answers
    return np.array(answers)


def test_each_id_gets_its_own_peak(X):
    answers = dict(VesselStress().label(X[:3], ["a", "b", "c"]))
    assert list(answers) == ["a", "b", "c"]
    assert answers["b"] == VesselStress().simulate(X[1]).peak
    assert all(isinstance(answer, float) and 20 < answer < 400 for answer in answers.values())
    assert len(set(answers.values())) == 3


def test_a_round_vessel_has_the_stress_of_a_pressurised_cylinder():
    """Lamé, at the depth below the lumen that the quantile stands for; the rest is the pixels."""
    inner, outer, pressure, poisson = 14.0, 22.0, 13.3, 0.49
    peak = VesselStress(quantile=0.9).simulate(vessel(ring(64, 31.5, 31.5, inner, outer))).peak
    r = np.sqrt(inner**2 + 0.1 * (outer**2 - inner**2))  # a tenth of the area lies further in
    a = pressure / ((outer / inner) ** 2 - 1)
    b = a * outer**2 / r**2
    expected = np.sqrt(3 * b**2 + (a - 2 * poisson * a) ** 2)
    np.testing.assert_allclose(peak, expected, rtol=0.02)


@pytest.mark.parametrize(
    "turn",
    [lambda X: X[..., ::-1], lambda X: np.rot90(X, axes=(2, 3)), lambda X: X.swapaxes(2, 3)],
    ids=["mirrored", "rotated", "transposed"],
)
def test_the_label_does_not_depend_on_how_the_image_is_turned(X, turn):
    difference = np.log(peaks(turn(X)) / peaks(X))
    assert np.abs(difference).max() < 0.1
    assert np.abs(difference).mean() < 0.01


def test_the_label_hardly_depends_on_where_the_vessel_lies(X):
    whole = np.roll(X, (1, -1), axis=(2, 3))
    np.testing.assert_allclose(peaks(whole), peaks(X), rtol=1e-9)


def test_stress_is_proportional_to_pressure(X):
    np.testing.assert_allclose(peaks(X[:5], pressure=26.6), 2 * peaks(X[:5]), rtol=1e-7)


def test_a_finer_mesh_says_nearly_the_same(X):
    difference = np.log(peaks(X, n_angles=128, n_layers=24) / peaks(X))
    assert np.abs(difference).mean() < 0.06


def test_a_thinner_wall_bears_more_stress():
    thin, thick = (vessel(ring(inner=8, outer=outer)) for outer in (10.5, 13))
    assert labels([thin])[0] > 1.4 * labels([thick])[0]  # Lamé: 1.48


def test_lipid_under_a_cap_raises_the_peak_and_calcification_far_out_lowers_it():
    wall = ring(inner=7, outer=13)
    core = disk(32, 25.5, 15.5, 2.2)
    plain = vessel(wall)
    soft, stiff = plain.copy(), plain.copy()
    soft[1] = core
    stiff[2] = ring(inner=11, outer=12.5)
    plain_peak, soft_peak, stiff_peak = labels(np.stack([plain, soft, stiff]))
    assert soft_peak > 1.15 * plain_peak
    assert stiff_peak < 0.9 * plain_peak


def test_the_peak_is_a_quantile_by_area_of_fibrous_tissue(X):
    simulation = VesselStress(quantile=1.0).simulate(X[0])
    fibrous = simulation.lipid + simulation.calcification < 0.5
    assert simulation.peak == simulation.von_mises[fibrous].max()
    assert peaks(X[:1], quantile=0.5) < peaks(X[:1], quantile=0.9) < simulation.peak


def test_simulation_has_the_documented_parts(X):
    simulation = VesselStress(n_angles=32, n_layers=5).simulate(X[0])
    assert simulation.nodes.shape == simulation.displacement.shape == (32, 6, 2)
    assert simulation.stress.shape == (32, 5, 4)
    for name in ("von_mises", "lipid", "calcification"):
        assert getattr(simulation, name).shape == (32, 5)
    assert simulation.contours.inner.shape == simulation.contours.outer.shape == (32,)


def test_the_map_lies_on_the_wall(X):
    (image,) = labels(X[:1], output="map")
    assert image.shape == (32, 32)
    wall = X[0, 0]
    assert np.isnan(image[wall == 0]).all()
    assert (image[wall == 1] > 0).all()
    simulation = VesselStress().simulate(X[0])
    assert np.nanmax(image) <= simulation.von_mises.max()
    # A round wall has its highest stress at the lumen.
    (image,) = labels([vessel(ring(inner=6, outer=12))], output="map")
    assert image[15, 22] > image[15, 26] > 0


def test_scikit_fem_gives_the_same(X):
    pytest.importorskip("skfem")
    np.testing.assert_allclose(peaks(X[:3], solver="scikit-fem"), peaks(X[:3]), rtol=1e-9)


def test_flat_rows_and_bytes_are_images_too(X):
    np.testing.assert_allclose(peaks(X.reshape(len(X), -1)), peaks(X), rtol=1e-12)
    as_bytes = np.round(255 * X).astype(np.uint8)
    np.testing.assert_allclose(peaks(as_bytes), peaks(as_bytes / 255), rtol=1e-12)


def test_values_outside_are_cut_off(X):
    out = np.where(X == 0, -0.3, np.where(X == 1, 1.3, X))
    np.testing.assert_allclose(peaks(out), peaks(X), rtol=1e-6)


def test_blurred_noisy_and_shifted_images_are_labelled_too(X):
    random = np.random.RandomState(0)
    for change, most in [
        (lambda x: gaussian_filter(x, (0, 0.5, 0.5)), 0.06),
        (lambda x: gaussian_filter(x, (0, 0.8, 0.8)), 0.15),
        (lambda x: x + random.normal(0, 0.03, x.shape), 0.1),
        (lambda x: shift(x, (0, 0.4, -0.7), order=1), 0.1),
    ]:
        difference = np.log(peaks(np.stack([change(x) for x in X])) / peaks(X))
        assert np.abs(difference).mean() < most


def test_what_is_no_vessel_is_an_abstention_with_a_reason(X):
    two_lumens = disk(32, 15.5, 15.5, 13) - disk(32, 10, 15.5, 4) - disk(32, 21, 15.5, 4)
    bad = [np.zeros((3, 32, 32)), 1 - X[0], vessel(two_lumens), np.full((3, 32, 32), np.nan)]
    answers = labels(np.stack(bad))
    assert all(isinstance(answer, Abstain) for answer in answers)
    assert [answer.reason for answer in answers] == [
        "the wall encloses no lumen",
        "the wall touches the edge of the image",
        "the wall encloses 2 lumens",
        "the image has values that are not finite",
    ]


@pytest.mark.parametrize("kind", ["noise", "blobs", "mixtures", "binary"])
def test_any_image_gets_a_finite_label_or_an_abstention(kind, X, seed):
    random = np.random.RandomState(seed)
    noise = random.normal(size=(60, 3, 32, 32))
    blobs = gaussian_filter(noise, (0, 0, 2, 2))
    images = {
        "noise": noise,
        "blobs": 3 * blobs + 0.3,
        "mixtures": X[random.randint(20, size=60)] * 0.6 + X[random.randint(20, size=60)] * 0.6 + blobs,
        "binary": (blobs > 0).astype(float),
    }[kind]
    for answer in labels(images):
        if not isinstance(answer, Abstain):
            assert np.isfinite(answer)
            assert answer > 0
        else:
            assert answer.reason


def test_decoded_channels_that_add_up_to_too_much_are_shared_out(X):
    image = vessel(ring(), lipid=0.9, calcification=0.9)
    assert np.isfinite(labels([image])[0])


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ({"pressure": -1}, ValueError, "pressure must be a finite number above 0, got -1"),
        ({"lipid": 0}, ValueError, "lipid must be"),
        ({"fibrous": "stiff"}, TypeError, "fibrous must be"),
        ({"poisson": 0.5}, ValueError, r"poisson must lie in \[0, 0.5\), got 0.5.*0.499"),
        ({"quantile": 1.5}, ValueError, r"quantile must lie in \[0, 1\]"),
        ({"n_angles": 8}, ValueError, "n_angles must be at least 24, got 8"),
        ({"n_layers": 1}, ValueError, "n_layers must be at least 2, got 1"),
        (
            {"output": "strain"},
            ValueError,
            "output must be one of .*'peak', 'log_peak', 'map'.* got 'strain'",
        ),
        ({"solver": "abaqus"}, ValueError, "solver must be one of .*'banded', 'scikit-fem'.* got 'abaqus'"),
    ],
)
def test_wrong_parameters_are_refused(params, error, text, X):
    with pytest.raises(error, match=text):
        labels(X[:1], **params)
    with pytest.raises(error, match=text):
        VesselStress(**params).check_pool(None, 3)


@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (2, 3, 4, 32), (2, 100), (3, 32, 32)])
def test_rows_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"must have shape \(n, 3, height, width\).*got"):
        labels(np.zeros(shape))


def test_missing_scikit_fem_is_named(X, monkeypatch):
    monkeypatch.setitem(sys.modules, "skfem", None)
    assert peaks(X[:1]) > 0  # the kernel of our own needs none
    with pytest.raises(ImportError, match=r'pip install "skalss\[simulation\]"'):
        labels(X[:1], solver="scikit-fem")


def test_it_is_an_oracle_that_labels_new_points():
    oracle = VesselStress(pressure=16)
    assert oracle.labels_new_points
    assert clone(oracle) is oracle
    assert VesselStress(**oracle.get_params()).get_params() == oracle.get_params()


def test_a_campaign_buys_stress_and_keeps_the_reasons():
    X = make_vessels(40, random_state=1).X
    X[7] = 0
    sampler = AdaptiveLatentSampler(
        net_regressor(max_epochs=2),
        LinearLatent(5, random_state=0),
        "si",
        VesselStress(),
        n_initial=39,
        n_per_round=4,
        max_labels=44,
        random_state=0,
    ).fit(X)
    queries = sampler.queries_
    assert set(queries["state"]) <= {"labeled", "abstained"}
    assert queries.loc[queries["id"] == 7, "reason"].tolist() == ["the wall encloses no lumen"]
    generated = queries[queries["kind"] == "generated"]
    assert len(generated) > 0
    abstained = queries[queries["state"] == "abstained"]
    assert (abstained["reason"] != "").all()
    assert (abstained["charged"]).all()
    assert Failed not in {type(label) for label in queries["label"]}
