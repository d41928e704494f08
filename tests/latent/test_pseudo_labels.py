"""Pseudo-labels: what label spreading finds, when it keeps quiet, and its parameters."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.decomposition import PCA

from skalss.latent.pseudo_labels import LabelSpreader, make_pseudo_labels
from skalss.targets import Classes, Values


def blobs(*centers, n=100, seed=0, std=0.3):
    """Rows around each centre, in turn: row i is of centre i % n_centres."""
    Z, y = make_blobs([n] * len(centers), centers=centers, cluster_std=std, shuffle=False, random_state=seed)
    order = np.argsort(np.tile(np.arange(n), len(centers)), kind="stable")
    return Z[order].astype(np.float32), y[order]


def spread(Z, y, labelled, spreader=None):
    """Spread the labels of some rows over the others; return the result and the true labels of its rows."""
    others = np.setdiff1d(np.arange(len(Z)), labelled)
    found = (spreader or LabelSpreader()).spread(Z[labelled], y[labelled], Z[others])
    return found, y[others[found.rows]]


# -- what it finds --------------------------------------------------------------------------------


def test_two_labels_are_enough_for_two_moons(seed):
    Z, y = make_moons(400, noise=0.04, random_state=seed)
    labelled = [np.flatnonzero(y == 0)[0], np.flatnonzero(y == 1)[0]]
    found, truth = spread(Z.astype(np.float32), y, labelled)
    assert len(found.rows) == round(0.9 * 398)
    assert (found.labels == truth).mean() > 0.98
    assert found.structure > 0.5


@pytest.mark.parametrize(
    "names", [np.array(["cat", "dog", "emu"]), np.array([7, -2, 3])], ids=["text", "int"]
)
def test_labels_keep_their_type(names):
    Z, y = blobs((0, 0), (4, 0), (0, 4))
    found, truth = spread(Z, names[y], [0, 1, 2])
    assert found.labels.dtype == names.dtype
    np.testing.assert_array_equal(found.labels, truth)


def test_the_parts_of_the_result_belong_together():
    Z, y = blobs((0, 0), (4, 0))
    found, _ = spread(Z, y, [0, 1])
    assert len(found.rows) == len(found.labels) == len(found.confidence)
    assert (np.diff(found.rows) > 0).all()
    assert found.rows.max() < 198
    assert found.confidence.min() >= 0.5
    assert found.confidence.max() <= 1 + 1e-9
    assert 0 <= found.structure <= 1


def test_a_class_does_not_win_by_the_number_of_its_labels():
    # Symmetric blobs that touch, so that labels of either reach the other.
    Z, y = blobs((-1, 0), (1, 0), n=150, std=0.6)
    a, b = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    found, truth = spread(Z, y, [*a[:8], *b[:50]])
    of_a, of_b = (found.labels[truth == c] == c for c in (0, 1))
    assert of_a.mean() > 0.8
    assert of_b.mean() > 0.85


def test_a_rare_class_does_not_win_where_it_is_rare():
    """Two digits against the other eight: equal weights would give the two too many rows."""
    digits, numbers = load_digits(return_X_y=True)
    Z, y = PCA(16, random_state=0).fit_transform(digits), (numbers >= 8).astype(int)
    found, truth = spread(Z.astype(np.float32), y, np.random.default_rng(0).permutation(len(y))[:200])
    assert (found.labels == truth).mean() > 0.88


def test_the_most_confident_share_is_kept():
    Z, y = blobs((-1, 0), (1, 0), std=0.6)
    everything = spread(Z, y, [0, 1], LabelSpreader(keep=1.0))[0]
    half = spread(Z, y, [0, 1], LabelSpreader(keep=0.5))[0]
    assert (len(everything.rows), len(half.rows)) == (198, 99)
    rest = np.setdiff1d(everything.rows, half.rows)
    assert half.confidence.min() >= everything.confidence[np.isin(everything.rows, rest)].max()
    assert len(spread(Z, y, [0, 1], LabelSpreader(keep=0.0))[0].rows) == 0


def test_the_same_call_gives_the_same():
    Z, y = blobs((0, 0), (2, 0))
    one, other = (spread(Z, y, [0, 1, 2, 3])[0] for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# -- when it keeps quiet --------------------------------------------------------------------------


def test_noise_gives_no_pseudo_labels(seed):
    rng = np.random.default_rng(seed)
    Z, y = rng.normal(size=(1000, 16)).astype(np.float32), rng.integers(10, size=1000)
    found, _ = spread(Z, y, np.arange(50))
    assert found.structure < LabelSpreader().min_structure
    assert len(found.rows) == len(found.labels) == len(found.confidence) == 0
    assert found.labels.dtype == y.dtype
    clustered, truth = spread(*blobs(*(6 * np.eye(10)), n=100, std=1.0), np.arange(50))
    assert clustered.structure > 0.3
    assert (clustered.labels == truth).mean() > 0.9


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e3])
def test_codes_that_lose_what_the_rows_tell_give_no_pseudo_labels(scale):
    """Codes of two blobs that say little of the class, which the rows tell apart by a line."""
    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(400, 2)).astype(np.float32), rng.integers(2, size=400)
    Z[:, 0] += 0.8 * y
    rows = scale * (rng.normal(size=(400, 10)) + 3 * y[:, None])
    labelled, others = np.arange(60), np.arange(60, 400)

    def n_found(rows, **params):
        spreader = LabelSpreader(min_structure=0.0, **params)
        return len(spreader.spread(Z[labelled], y[labelled], Z[others], rows_labeled=rows).rows)

    assert n_found(rows[labelled]) == 0
    assert n_found(rows[labelled].reshape(60, 2, 5)) == 0
    for rows_labeled, params in ((rows[labelled], {"only_if_not_worse": False}), (None, {})):
        assert n_found(rows_labeled, **params) == 306
    assert n_found(rng.normal(size=(60, 10))) == 306


@pytest.mark.parametrize(
    "rows", [np.zeros((6, 3)), np.ones((6, 1)), np.eye(6)], ids=["zeros", "one", "apart"]
)
def test_rows_that_tell_nothing_are_no_rival(rows):
    Z, y = blobs((0, 0), (4, 0))
    found = LabelSpreader().spread(Z[:6], y[:6], Z[6:], rows_labeled=rows)
    assert len(found.rows) == round(0.9 * 194)


def test_two_labels_of_two_classes_can_be_compared():
    Z, y = blobs((0, 0), (4, 0))
    assert len(LabelSpreader().spread(Z[:2], y[:2], Z[2:], rows_labeled=Z[:2]).rows) == 178


def test_min_structure_decides():
    Z, y = blobs((0, 0), (4, 0))
    structure = spread(Z, y, [0, 1])[0].structure
    for least, n in ((structure - 0.01, 178), (structure + 0.01, 0)):
        found = spread(Z, y, [0, 1], LabelSpreader(min_structure=least))[0]
        assert len(found.rows) == n
        assert found.structure == pytest.approx(structure)


def test_labels_that_are_guessed_badly_are_not_spread():
    """Two clear clusters, of which the second holds five classes."""
    Z, y = blobs((0, 0), (6, 0))
    y[1::2] = np.random.default_rng(0).integers(1, 6, size=100)
    labelled = np.concatenate([np.arange(0, 20, 2), np.arange(1, 61, 2)])
    found, _ = spread(Z, y, labelled)
    assert len(found.rows) == 0
    assert found.reason.startswith("held-out labels are guessed badly: ")
    assert len(spread(Z, y, labelled, LabelSpreader(min_right=0.0))[0].rows) > 0


def test_few_labels_are_spread_without_a_look_at_how_well():
    Z, y = blobs((0, 0), (4, 0))
    y[:9] = np.arange(9) // 2  # pairs, and one alone: nothing that is held out can be guessed
    assert "guessed badly" not in spread(Z, y, np.arange(9))[0].reason


def test_one_class_alone_says_nothing():
    Z, _ = blobs((0, 0), (4, 0))
    found = LabelSpreader().spread(Z[:3], np.array(["a"] * 3), Z[3:])
    assert len(found.rows) == 0
    assert found.structure == 0


def test_no_rows_to_label():
    Z, y = blobs((0, 0), (4, 0))
    found = LabelSpreader().spread(Z, y, Z[:0])
    assert len(found.rows) == 0


def test_rows_that_no_label_reaches_get_none():
    # Three islands; the third holds no label.
    Z, y = blobs((0, 0), (50, 0), (0, 50), n=40)
    found, truth = spread(Z, y, [0, 1], LabelSpreader(keep=1.0))
    assert set(truth) == {0, 1}
    assert len(found.rows) == 78
    np.testing.assert_array_equal(found.labels, truth)
    assert np.isfinite(found.confidence).all()


# -- awkward codes --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5])
def test_fewer_rows_than_neighbours(n):
    Z = np.concatenate([np.zeros((n, 2)), np.full((n, 2), 9.0)]).astype(np.float32)
    Z += np.linspace(0, 0.1, 2 * n)[:, None]
    found = LabelSpreader(keep=1.0, min_structure=0.0).spread(
        np.array([[0.0, 0], [9, 9]], dtype=np.float32), np.array(["low", "high"]), Z
    )
    expected = np.array(["low"] * n + ["high"] * n)
    if n > 1:  # with four points in all, everything is everybody's neighbour
        np.testing.assert_array_equal(found.labels, expected[found.rows])


def test_copies_of_rows():
    Z = np.repeat(np.array([[0.0, 0], [5, 5]], dtype=np.float32), 60, axis=0)
    y = np.repeat([0, 1], 60)
    found, truth = spread(Z, y, [0, 60])
    np.testing.assert_array_equal(found.labels, truth)
    assert np.isfinite(found.confidence).all()
    same = LabelSpreader().spread(np.zeros((2, 3)), np.array([0, 1]), np.zeros((30, 3)))
    assert np.isfinite(same.structure)


def test_a_label_that_contradicts_its_copy():
    Z, y = blobs((0, 0), (5, 0))
    labelled = np.concatenate([Z[:2], Z[:1]])
    found = LabelSpreader().spread(labelled, np.array([0, 1, 1]), Z[2:])
    assert np.isfinite(found.confidence).all()


def test_of_equally_sure_rows_random_ones_are_left_out():
    """All rows are copies of one of two: the last rows of a file are kept as often as the first."""
    Z = np.repeat(np.array([[0.0, 0], [5, 5]], dtype=np.float32), 100, axis=0)
    kept = [
        LabelSpreader(keep=0.5).spread(Z[[0, 100]], np.array([0, 1]), Z, random_state=i).rows for i in (0, 1)
    ]
    assert np.histogram(kept[0], bins=4, range=(0, 200))[0].min() >= 12
    assert len(np.intersect1d(*kept)) < 75


# -- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_rows": 0}, ValueError, r"n_rows must be a whole number of at least 1, got 0"),
        ({"n_neighbors": 2.5}, TypeError, r"n_neighbors must be a whole number"),
        ({"alpha": 1}, ValueError, r"alpha must lie between 0 and 1, got 1\. 0\.99 lets labels travel far"),
        ({"alpha": 0.0}, ValueError, r"alpha must lie between 0 and 1, got 0\.0"),
        ({"alpha": "far"}, TypeError, r"alpha must be a finite number in \[0, 1\], got 'far'"),
        ({"keep": 1.5}, ValueError, r"keep must lie in \[0, 1\], got 1\.5"),
        ({"until": -0.1}, ValueError, r"until must lie in \[0, 1\], got -0\.1"),
        (
            {"min_structure": float("nan")},
            ValueError,
            r"min_structure must be a finite number in \[0, 1\], got nan",
        ),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        make_pseudo_labels(LabelSpreader(**params), Classes(), is_default=False)


@pytest.mark.parametrize("wrong", ["spreading", LabelSpreader, 3], ids=str)
def test_what_is_no_spreader_is_refused(wrong):
    with pytest.raises(TypeError, match=r"must be 'auto', 'spread', .*LabelSpreader or None, got "):
        make_pseudo_labels(wrong, Classes(), is_default=True)


@pytest.mark.parametrize("asked", ["spread", LabelSpreader()], ids=str)
def test_regression_is_refused(asked):
    with pytest.raises(ValueError, match=r"spreads classes, .* regression task\. Set pseudo_labels=None"):
        make_pseudo_labels(asked, Values(), is_default=True)


@pytest.mark.parametrize(
    ("target", "is_default", "taken", "is_made"),
    [
        (Classes(), True, True, True),
        (Classes(), False, True, False),
        (Classes(), True, False, False),
        (Values(), True, True, False),
    ],
)
def test_auto_is_for_classes_the_default_strategy_and_a_network(target, is_default, taken, is_made):
    settings = {"is_default": is_default, "taken": taken}
    assert isinstance(make_pseudo_labels("auto", target, **settings), LabelSpreader) == is_made
    assert make_pseudo_labels(None, target, **settings) is None


def test_a_spreader_is_taken_as_it_is():
    spreader = LabelSpreader(keep=0.5)
    assert make_pseudo_labels(spreader, Classes(), is_default=False) is spreader
    made = make_pseudo_labels("spread", Classes(), is_default=False)
    assert made.get_params() == LabelSpreader().get_params()
