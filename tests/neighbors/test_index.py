"""What every index promises, whatever it is built with; those whose package is missing are skipped."""

import functools
import pickle
import sys

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from skalss.neighbors import INDEXES, BaseIndex, ExactIndex, make_index, nearest_codes

# Of SWIG, which faiss is wrapped with, in some versions of Python.
pytestmark = pytest.mark.filterwarnings("ignore:builtin type .* has no __module__ attribute")

N = 5000


@pytest.fixture(params=INDEXES)
def index_class(request):
    if request.param != "exact":
        pytest.importorskip(request.param)
    return INDEXES[request.param]


def draw(seed, n_queries=30, width=16, n_codes=N):
    rng = np.random.default_rng(seed)
    codes, Z = rng.standard_normal((n_codes, width)), rng.standard_normal((n_queries, width))
    return codes.astype(np.float32), Z.astype(np.float32)


@functools.cache
def built(index_class, seed):
    """Return an index of what `draw(seed)` draws; built once, as in a campaign."""
    return index_class(draw(seed)[0])


def mask(seed, share):
    return np.random.default_rng(seed + 1).random(N) < share


def true_distances(codes, Z, k, allowed):
    codes, Z = codes[allowed].astype(np.float64), Z.astype(np.float64)
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(codes).kneighbors(Z)[0]


def assert_contract(codes, Z, k, allowed, rows, distances):
    allowed = np.ones(len(codes), dtype=bool) if allowed is None else allowed
    assert rows.shape == distances.shape == (len(Z), min(k, np.count_nonzero(allowed)))
    assert rows.dtype == np.intp
    assert distances.dtype == np.float32
    assert allowed[rows].all()
    assert all(len(set(line)) == len(line) for line in rows.tolist())
    assert (np.diff(distances, axis=1) >= 0).all()
    gaps = codes[rows].astype(np.float64) - Z[:, None].astype(np.float64)
    np.testing.assert_allclose(distances, np.linalg.norm(gaps, axis=2), rtol=1e-5)


@pytest.mark.parametrize("k", [1, 20, 2000])
@pytest.mark.parametrize("share", [None, 1, 0.9, 0.2, 0.002, 0], ids=lambda share: f"allowed {share}")
def test_contract(index_class, share, k, seed):
    codes, Z = draw(seed, n_queries=5)
    allowed = None if share is None else mask(seed, share)
    assert_contract(codes, Z, k, allowed, *built(index_class, seed).search(Z, k, allowed))


def test_the_nearest_are_found(index_class, seed):
    codes, Z = draw(seed)
    index = built(index_class, seed)
    for allowed in (mask(seed, 1), mask(seed, 0.8), mask(seed, 0.15), mask(seed, 0.05)):
        found, true = index.search(Z, 20, allowed)[0], nearest_codes(codes, Z, 20, allowed=allowed)[0]
        assert np.mean([np.isin(t, f).mean() for f, t in zip(found, true, strict=True)]) >= 0.95


def test_a_mask_may_bar_all_that_is_near(index_class):
    """Half of the codes are allowed, and none of the half that is near."""
    codes, Z = draw(0, n_codes=1000)
    far = codes[:, 0] > np.median(codes[:, 0])
    codes[far, 0] += 50
    rows, distances = index_class(codes).search(Z, 20, far)
    assert_contract(codes, Z, 20, far, rows, distances)
    np.testing.assert_allclose(distances, true_distances(codes, Z, 20, far), rtol=0.05)


@pytest.mark.parametrize("k", [1, 20])
def test_duplicates_are_distinct_rows(index_class, k, seed):
    codes = np.repeat(draw(seed, n_codes=5)[0], 200, axis=0)
    rows, distances = index_class(codes).search(codes[:3], k)
    assert_contract(codes, codes[:3], k, None, rows, distances)
    np.testing.assert_array_equal(distances, 0)


@pytest.mark.parametrize("offset", [100, 10_000])
def test_codes_and_queries_may_lie_far_away(index_class, offset, seed):
    codes, Z = draw(seed, n_codes=1000)
    every = np.ones(1000, dtype=bool)
    for far_codes, far_Z in ((codes, Z + offset), (codes + offset, Z + offset)):
        far_codes, far_Z = far_codes.astype(np.float32), far_Z.astype(np.float32)
        rows, distances = index_class(far_codes).search(far_Z, 20)
        assert_contract(far_codes, far_Z, 20, None, rows, distances)
        np.testing.assert_allclose(distances, true_distances(far_codes, far_Z, 20, every), rtol=0.05)


@pytest.mark.parametrize(("n_codes", "n_queries"), [(0, 3), (3, 0), (0, 0), (1, 1), (3, 3)])
def test_small_and_empty(index_class, n_codes, n_queries):
    codes, Z = draw(0, n_codes=n_codes, n_queries=n_queries)
    assert_contract(codes, Z, 2, None, *index_class(codes).search(Z, 2))


def test_two_builds_and_a_pickled_one_answer_alike(index_class, seed):
    codes, Z = draw(seed)
    allowed = mask(seed, 0.7)
    index = built(index_class, seed)
    expected = index.search(Z, 20, allowed)
    for same in (index, index_class(codes.copy()), pickle.loads(pickle.dumps(index))):
        for got, wanted in zip(same.search(Z, 20, allowed), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("share", [None, 0.5, 0.01])
def test_exact_index_is_nearest_codes(share, seed):
    codes, Z = draw(seed)
    allowed = None if share is None else mask(seed, share)
    for got, wanted in zip(
        ExactIndex(codes).search(Z, 7, allowed), nearest_codes(codes, Z, 7, allowed=allowed), strict=True
    ):
        np.testing.assert_array_equal(got, wanted)


def test_a_search_that_does_not_fit_is_refused():
    index = ExactIndex(draw(0)[0])
    with pytest.raises(
        ValueError, match=r"Z must have shape \(n_queries, 16\).*got \(2, 3\).*same latent model"
    ):
        index.search(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"bool mask of shape \(5000,\).*got dtype int64 and shape \(2,\)"):
        index.search(np.zeros((2, 16)), allowed=np.array([1, 2]))
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        ExactIndex(np.zeros(3))


@pytest.mark.parametrize("name", ["faiss", "usearch"])
def test_codes_that_are_not_finite_are_refused(name):
    pytest.importorskip(name)
    codes = draw(0, n_codes=50)[0]
    codes[[3, 7], 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"NaN or infinity in 2 of 50 rows.*index='exact'"):
        make_index(codes, name)


def test_indices_by_name_and_class():
    codes = draw(0, n_codes=10)[0]
    assert type(make_index(codes)) is type(make_index(codes, "exact")) is ExactIndex

    class OwnIndex(BaseIndex):
        def _nearest(self, Z, k, allowed):
            return nearest_codes(self.codes, Z, k, allowed=allowed)

    assert type(make_index(codes, OwnIndex)) is OwnIndex
    with pytest.raises(ValueError, match=r"'auto', one of \['exact', 'faiss', 'usearch'\].*got 'annoy'"):
        make_index(codes, "annoy")
    with pytest.raises(TypeError, match="got <.*ExactIndex object.*Pass the class"):
        make_index(codes, ExactIndex(codes))


@pytest.mark.parametrize(("name", "module"), [("usearch", "usearch.index"), ("faiss", "faiss")])
def test_a_missing_package_is_named(name, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"index='{name}' needs {name}.*skalss\[index\].*index='exact'"):
        make_index(np.zeros((3, 2)), name)


def test_auto_takes_an_index_for_large_pools_on_the_cpu(monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr("skalss.neighbors.make._LARGE", 100)
    assert type(make_index(draw(0, n_codes=99)[0])) is ExactIndex
    assert type(make_index(draw(0, n_codes=100)[0])) is INDEXES["faiss"]
    assert type(make_index(draw(0, n_codes=100)[0], device="meta")) is ExactIndex


def test_auto_is_exact_without_a_package(monkeypatch):
    monkeypatch.setattr("skalss.neighbors.make._LARGE", 100)
    monkeypatch.setattr("skalss.neighbors.make.find_spec", lambda name: None)
    assert type(make_index(draw(0, n_codes=100)[0])) is ExactIndex
