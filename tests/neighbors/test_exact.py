import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from skalss.neighbors import nearest_codes


def _data(seed, n_codes=300, n_queries=20, width=6):
    rng = np.random.default_rng(seed)
    codes, Z = rng.standard_normal((n_codes, width)), rng.standard_normal((n_queries, width))
    return codes.astype(np.float32), Z.astype(np.float32)


def _reference(codes, Z, k):
    distances, positions = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(codes).kneighbors(Z)
    return positions, distances


# The blocks are made small, which is private, as a pool of several would be too large for tests.
BLOCK_CELLS = "skalss.neighbors.exact._BLOCK_CELLS"


@pytest.mark.parametrize(
    ("k", "block_cells"),
    [(1, 1), (5, 20 * 7), (300, 20 * 100), (5, 20 * 299), (300, 20 * 300), (5, 2**22)],
)
def test_equals_scikit_learn_whatever_the_chunk(k, block_cells, seed, monkeypatch):
    monkeypatch.setattr(BLOCK_CELLS, block_cells)
    codes, Z = _data(seed)
    positions, distances = nearest_codes(codes, Z, k)
    expected_positions, expected_distances = _reference(codes.astype(np.float64), Z.astype(np.float64), k)
    np.testing.assert_array_equal(positions, expected_positions)
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-5)
    assert positions.dtype == np.intp
    assert distances.dtype == np.float32


@pytest.mark.parametrize("block_cells", [20 * 7, 2**22])
def test_only_allowed_codes_come_back(block_cells, seed, monkeypatch):
    monkeypatch.setattr(BLOCK_CELLS, block_cells)
    codes, Z = _data(seed)
    allowed = np.random.default_rng(seed).random(300) < 0.2
    positions, distances = nearest_codes(codes, Z, 4, allowed=allowed)
    there, expected = _reference(codes[allowed].astype(np.float64), Z.astype(np.float64), 4)
    np.testing.assert_array_equal(positions, np.flatnonzero(allowed)[there])
    np.testing.assert_allclose(distances, expected, rtol=1e-5)


@pytest.mark.parametrize("block_cells", [20, 2**22])
@pytest.mark.parametrize("n_allowed", [0, 1, 3])
def test_fewer_come_back_where_fewer_are_allowed(block_cells, n_allowed, monkeypatch):
    monkeypatch.setattr(BLOCK_CELLS, block_cells)
    codes, Z = _data(0)
    allowed = np.zeros(300, dtype=bool)
    rows = [3, 150, 299][:n_allowed]
    allowed[rows] = True
    positions, distances = nearest_codes(codes, Z, 10, allowed=allowed)
    assert positions.shape == distances.shape == (20, n_allowed)
    assert all(sorted(row) == rows for row in positions.tolist())
    assert np.isfinite(distances).all()


def test_more_neighbours_than_codes():
    codes, Z = _data(0, n_codes=3)
    assert nearest_codes(codes, Z, 10)[0].shape == (20, 3)


@pytest.mark.parametrize("offset", [1e2, 1e4])
def test_codes_far_from_the_origin_keep_their_order(offset, seed):
    codes, Z = _data(seed)
    far_codes, far_Z = codes + np.float32(offset), Z + np.float32(offset)
    # float32 cannot hold the codes better than this; the order must be that of what it holds
    positions, distances = nearest_codes(far_codes, far_Z, 5)
    expected_positions, expected_distances = _reference(
        far_codes.astype(np.float64), far_Z.astype(np.float64), 5
    )
    np.testing.assert_allclose(distances, expected_distances, rtol=1e-4)
    agree = positions == expected_positions  # but for ties that rounding of the codes made
    np.testing.assert_allclose(distances[~agree], expected_distances[~agree], rtol=1e-4)
    assert agree.mean() > 0.98


@pytest.mark.parametrize("gap", [100, 1000])
def test_queries_far_from_each_other_keep_their_order(gap, seed):
    """No one centre suits them all, but each must still find its own neighbours."""
    codes, Z = _data(seed)
    shift = np.where(np.arange(300) % 2, 0, gap).astype(np.float32)[:, None]
    Z_shift = np.where(np.arange(20) % 2, 0, gap).astype(np.float32)[:, None]
    positions, distances = nearest_codes(codes + shift, Z + Z_shift, 3)
    expected = _reference((codes + shift).astype(np.float64), (Z + Z_shift).astype(np.float64), 3)
    np.testing.assert_allclose(distances, expected[1], rtol=1e-4)
    np.testing.assert_array_equal(positions, expected[0])


def test_ties_give_distinct_rows():
    codes = np.zeros((50, 3), dtype=np.float32)
    positions, distances = nearest_codes(codes, np.ones((4, 3), dtype=np.float32), 10)
    assert all(len(set(row)) == 10 for row in positions.tolist())
    np.testing.assert_allclose(distances, np.sqrt(3), rtol=1e-6)


def test_a_code_is_its_own_nearest(seed):
    codes, _ = _data(seed)
    positions, distances = nearest_codes(codes, codes, 2)
    np.testing.assert_array_equal(positions[:, 0], np.arange(300))
    np.testing.assert_array_equal(distances[:, 0], 0)
    assert (distances[:, 1] > 0).all()


@pytest.mark.parametrize(("n_codes", "n_queries"), [(0, 4), (5, 0), (0, 0)])
def test_nothing_in_nothing_out(n_codes, n_queries):
    positions, distances = nearest_codes(np.zeros((n_codes, 3)), np.zeros((n_queries, 3)), 2)
    assert positions.shape == distances.shape == (n_queries, min(2, n_codes))
    assert positions.dtype == np.intp


def test_read_only_and_mapped_codes(tmp_path, seed):
    codes, Z = _data(seed)
    expected = nearest_codes(codes, Z, 3)
    np.save(tmp_path / "codes.npy", codes)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    allowed = np.ones(300, dtype=bool)
    allowed.flags.writeable = False
    frozen = codes.copy()
    frozen.flags.writeable = False
    for same in (mapped, frozen, np.asfortranarray(codes), codes.astype(np.float64), codes[::-1][::-1]):
        positions, distances = nearest_codes(same, Z, 3, allowed=allowed)
        np.testing.assert_array_equal(positions, expected[0])
        np.testing.assert_array_equal(distances, expected[1])


def test_inputs_are_left_as_they_are(seed):
    codes, Z = _data(seed)
    before = codes.copy(), Z.copy()
    allowed = np.arange(300) % 2 == 0
    nearest_codes(codes, Z, 3, allowed=allowed)
    np.testing.assert_array_equal(codes, before[0])
    np.testing.assert_array_equal(Z, before[1])
    np.testing.assert_array_equal(allowed, np.arange(300) % 2 == 0)
