"""LatentSpaceDisplay: which rows are shown where, in which plane, and what is refused."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from skalss import AdaptiveLatentSampler
from skalss.display import LatentSpaceDisplay
from skalss.latent import LinearLatent
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import ABSTAIN, FunctionOracle

plt = pytest.importorskip("matplotlib.pyplot")

DIGITS, TARGET = load_digits(return_X_y=True)
X, Y = DIGITS[:150], TARGET[:150]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make_sampler(net=None, **params):
    defaults = {
        "latent_model": LinearLatent(6, random_state=0),
        "strategy": "snn",
        "n_initial": 10,
        "n_per_round": 5,
        "max_labels": 25,
        "random_state": 0,
    }
    return AdaptiveLatentSampler(net or net_classifier(max_epochs=2), **{**defaults, **params})


@pytest.fixture(scope="module")
def fitted():
    return make_sampler().fit(X, Y)


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def plane(sampler, rows=X):
    return (
        PCA(2, random_state=0)
        .fit(sampler.latent_model_.transform(X))
        .transform(sampler.latent_model_.transform(rows))
    )


# -- from a sampler -------------------------------------------------------------------------------


def test_labelled_rows_and_the_last_question_are_shown(fitted):
    display = LatentSpaceDisplay.from_estimator(fitted, X)
    queries, places = fitted.queries_, plane(fitted)
    np.testing.assert_allclose(display.pool, places, atol=1e-4)
    np.testing.assert_allclose(display.labeled, places[queries["position"]], atol=1e-4)
    assert display.labels.tolist() == queries["label"].tolist()
    last = queries.loc[queries["round"] == queries["round"].max(), "position"]
    np.testing.assert_allclose(display.asked, places[last], atol=1e-4)
    assert len(display.generated) == 0


@pytest.mark.parametrize(
    ("round_", "n_labeled", "n_asked"), [(0, 10, 10), (1, 15, 5), (3, 25, 5), (None, 25, 5)]
)
def test_a_round_is_shown_as_it_was(fitted, round_, n_labeled, n_asked):
    display = LatentSpaceDisplay.from_estimator(fitted, X, round=round_)
    assert (len(display.labeled), len(display.asked)) == (n_labeled, n_asked)
    np.testing.assert_allclose(display.asked, display.labeled[-n_asked:])


def test_an_unknown_round_is_refused(fitted):
    with pytest.raises(ValueError, match=r"round must be one of those in queries_, \[0, 1, 2, 3\], .* got 4"):
        LatentSpaceDisplay.from_estimator(fitted, X, round=4)


def test_colours_are_those_of_the_classes(fitted):
    display = LatentSpaceDisplay.from_estimator(fitted, X)
    names = [str(c) for c in fitted.classes_ if c in set(display.labels)]
    assert legend(display) == ["pool", *names, "asked"]
    bought = make_sampler(strategy="kmeans", n_per_round=140, max_labels=150).fit(X, Y)
    everything = LatentSpaceDisplay.from_estimator(bought, X)

    def colors(shown):
        return {dots.get_label(): tuple(dots.get_facecolor()[0]) for dots in shown.ax_.collections[1:-1]}

    assert len(set(colors(everything).values())) == 10
    assert colors(display).items() <= colors(everything).items()  # a class keeps its colour


def test_axes_say_what_they_show(fitted):
    display = LatentSpaceDisplay.from_estimator(fitted, X)
    shares = PCA(2, random_state=0).fit(fitted.latent_model_.transform(X)).explained_variance_ratio_
    labels = [f"component {i + 1} ({100 * share:.0f} % of variance)" for i, share in enumerate(shares)]
    assert [display.ax_.get_xlabel(), display.ax_.get_ylabel()] == labels


def test_a_large_pool_is_drawn_in_part(fitted, monkeypatch):
    encoded, transform = [], LinearLatent.transform
    monkeypatch.setattr(
        LinearLatent, "transform", lambda self, X: encoded.append(len(X)) or transform(self, X)
    )
    display = LatentSpaceDisplay.from_estimator(fitted, X, n_pool=40)
    assert len(display.pool) == 40
    assert len(display.labeled) == 25
    assert encoded[0] <= 65
    again = LatentSpaceDisplay.from_estimator(fitted, X, n_pool=40)
    np.testing.assert_array_equal(display.pool, again.pool)
    other = LatentSpaceDisplay.from_estimator(fitted, X, n_pool=40, random_state=1)
    assert not np.array_equal(display.pool, other.pool)


def test_samplers_over_one_pool_share_a_plane(fitted):
    other = make_sampler(strategy="kmeans", random_state=1).fit(X, Y)
    one, two = (LatentSpaceDisplay.from_estimator(s, X, n_pool=60) for s in (fitted, other))
    np.testing.assert_allclose(one.pool, two.pool, atol=1e-4)
    assert one.axis_names == two.axis_names


def nearest_label(rows):
    return Y[np.square(np.asarray(rows)[:, None] - X[None]).sum(axis=2).argmin(axis=1)]


@pytest.mark.parametrize("as_frame", [False, True], ids=["array", "DataFrame"])
def test_generated_points_are_shown(as_frame, recwarn):
    pool = pd.DataFrame(X).add_prefix("pixel ") if as_frame else X
    sampler = make_sampler(strategy="si", oracle=FunctionOracle(nearest_label), classes=range(10)).fit(pool)
    display = LatentSpaceDisplay.from_estimator(sampler, pool)
    assert (len(display.labeled), len(display.generated), len(display.asked)) == (10, 15, 5)
    assert display.labels_generated.tolist() == sampler.y_generated_.tolist()
    np.testing.assert_allclose(display.asked, display.generated[-5:])
    names = pool if as_frame else None
    made = pd.DataFrame(sampler.X_generated_, columns=names.columns) if as_frame else sampler.X_generated_
    pca = PCA(2, random_state=0).fit(sampler.latent_model_.transform(pool))
    places = pca.transform(sampler.latent_model_.transform(made))
    np.testing.assert_allclose(display.generated, places, atol=1e-4)
    assert "generated" in legend(display)
    assert set(display.labels_generated.astype(str)) <= set(legend(display))
    early = LatentSpaceDisplay.from_estimator(sampler, pool, round=1)
    assert (len(early.generated), len(early.asked)) == (5, 5)
    assert not [warning for warning in recwarn if "feature names" in str(warning.message)]


def test_rows_known_from_the_start_have_no_label():
    known = np.arange(150) < 8
    sampler = make_sampler().fit(X, Y, labeled=known)
    display = LatentSpaceDisplay.from_estimator(sampler, X)
    assert len(display.labeled) == 8 + 25
    assert pd.isna(display.labels[:8]).all()
    np.testing.assert_allclose(display.labeled[:8], plane(sampler)[:8], atol=1e-4)
    assert "label not known" in legend(display)


def test_questions_without_an_answer_are_asked_and_not_labelled():
    oracle = FunctionOracle(
        lambda rows: [ABSTAIN if i % 2 else label for i, label in enumerate(nearest_label(rows))]
    )
    sampler = make_sampler(oracle=oracle, classes=range(10)).fit(X)
    display = LatentSpaceDisplay.from_estimator(sampler, X)
    assert len(display.asked) == (sampler.queries_["round"] == sampler.queries_["round"].max()).sum()
    assert len(display.labeled) == sampler.n_labels_ < sampler.n_queries_


def test_values_get_a_bar_of_colours():
    sampler = make_sampler(net_regressor(max_epochs=2)).fit(X, X[:, 20] / 16)
    display = LatentSpaceDisplay.from_estimator(sampler, X)
    assert display.classes is None
    assert len(display.figure_.axes) == 2
    assert display.figure_.axes[1].get_ylabel() == "label"
    assert legend(display) == ["pool", "labeled", "asked"]
    np.testing.assert_allclose(
        display.ax_.collections[1].get_array(), sampler.queries_["label"].astype(float)
    )


def test_images_and_memory_maps(tmp_path):
    images = np.asarray(X, dtype=np.float32).reshape(-1, 1, 8, 8)
    np.save(tmp_path / "pool.npy", images)
    mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
    sampler = make_sampler().fit(images, Y)
    one, other = (LatentSpaceDisplay.from_estimator(sampler, pool, n_pool=50) for pool in (images, mapped))
    np.testing.assert_array_equal(one.labeled, other.labeled)


def test_a_sampler_without_a_latent_model_can_be_given_one(fitted):
    sampler = make_sampler(latent_model=None, strategy="random").fit(X, Y)
    with pytest.raises(
        ValueError, match=r"latent_model_ is None\)\. Pass one .* latent_model=VAE\(\)\.fit\(X\)"
    ):
        LatentSpaceDisplay.from_estimator(sampler, X)
    display = LatentSpaceDisplay.from_estimator(sampler, X, latent_model=fitted.latent_model_)
    np.testing.assert_allclose(display.labeled, plane(fitted)[sampler.labeled_indices_], atol=1e-4)


def test_an_unfitted_sampler_is_refused():
    with pytest.raises(NotFittedError, match=r"This AdaptiveLatentSampler is not fitted\. Call fit first"):
        LatentSpaceDisplay.from_estimator(make_sampler(), X)


def test_a_pool_that_is_too_short_is_refused(fitted):
    with pytest.raises(ValueError, match=r"must be the pool .* asked for row \d+, and X has 20 rows"):
        LatentSpaceDisplay.from_estimator(fitted, X[:20])


@pytest.mark.parametrize(("n_pool", "error"), [(0, ValueError), (2.5, TypeError)])
def test_a_wrong_n_pool_is_refused(fitted, n_pool, error):
    with pytest.raises(error, match=r"n_pool must be a whole number of at least 1, or None for all rows"):
        LatentSpaceDisplay.from_estimator(fitted, X, n_pool=n_pool)


# -- from codes -----------------------------------------------------------------------------------

CODES = np.random.default_rng(0).normal(size=(60, 5)) * [3, 2, 1, 1, 1]


def test_codes_alone_are_a_grey_pool():
    display = LatentSpaceDisplay.from_codes(CODES)
    np.testing.assert_allclose(display.pool, PCA(2).fit_transform(CODES))
    assert legend(display) == ["pool"]


def test_two_components_are_shown_as_they_are():
    display = LatentSpaceDisplay.from_codes(CODES[:, :2], labeled=[3, 1], labels=["a", "b"], asked=[1])
    np.testing.assert_array_equal(display.pool, CODES[:, :2])
    np.testing.assert_array_equal(display.labeled, CODES[[3, 1], :2])
    np.testing.assert_array_equal(display.asked, CODES[[1], :2])
    assert display.axis_names == ("code 1", "code 2")
    assert legend(display) == ["pool", "a", "b", "asked"]


def test_one_component_is_spread_across():
    display = LatentSpaceDisplay.from_codes(CODES[:, :1], labeled=[2], asked=[2])
    np.testing.assert_array_equal(display.pool[:, 0], CODES[:, 0])
    assert len(np.unique(display.pool[:, 1])) == 60
    np.testing.assert_array_equal(display.labeled, display.asked)
    np.testing.assert_array_equal(display.labeled[0], display.pool[2])
    assert display.ax_.get_ylabel().startswith("at random")


def test_generated_codes_are_shown():
    display = LatentSpaceDisplay.from_codes(CODES, codes_generated=CODES[:3] + 1, labels_generated=[0, 1, 1])
    np.testing.assert_allclose(display.generated, PCA(2).fit(CODES).transform(CODES[:3] + 1))
    assert legend(display) == ["pool", "0", "1", "generated"]


@pytest.mark.parametrize(
    ("labels", "n_classes"),
    [
        (["a", "b", "a"], 2),
        ([3, 1, 2], 3),
        ([True, False, True], 2),
        (np.array([2, 2, 1], dtype=np.uint8), 2),
        ([0.5, 1.0, 2.0], None),
        ([0.5, np.nan, 2.0], None),
        (None, 0),
        ([None, "a", "a"], 1),
    ],
    ids=str,
)
def test_labels_are_classes_or_values(labels, n_classes):
    display = LatentSpaceDisplay.from_codes(CODES, labeled=[0, 1, 2], labels=labels)
    assert (None if display.classes is None else len(display.classes)) == n_classes


def test_many_classes_do_not_fill_the_legend():
    labels = [f"class {i % 30}" for i in range(60)]
    few = LatentSpaceDisplay.from_codes(CODES, labeled=range(20), labels=labels[:20], asked=[1])
    assert len(legend(few)) == 22
    many = LatentSpaceDisplay.from_codes(CODES, labeled=range(60), labels=labels, asked=[1])
    assert len(many.classes) == 30
    assert legend(many) == ["pool", "asked"]


def test_many_whole_numbers_are_values():
    assert LatentSpaceDisplay.from_codes(CODES, labeled=range(25), labels=range(25)).classes is None


def test_codes_that_are_all_alike():
    display = LatentSpaceDisplay.from_codes(np.ones((10, 4)))
    assert display.axis_names[0] == "component 1 (0 % of variance)"


@pytest.mark.parametrize(
    ("codes", "params", "message"),
    [
        (np.ones(5), {}, "Expected 2D array, got 1D array"),
        (np.ones((0, 3)), {}, r"0 sample\(s\) \(shape=\(0, 3\)\)"),
        (CODES, {"labeled": [60]}, r"labeled must hold positions .* from 0 to 59, got 60 to 60"),
        (CODES, {"asked": [-1, 2]}, r"asked must hold positions .* got -1 to 2"),
        (CODES, {"labeled": [1, 2], "labels": [0]}, r"labels must hold a label for each of 2 places, got 1"),
        (CODES, {"labels_generated": [0]}, r"labels_generated must hold a label for each of 0 places, got 1"),
    ],
    ids=["1-D", "empty", "outside", "negative", "labels", "labels of generated"],
)
def test_wrong_codes_and_positions_are_refused(codes, params, message):
    with pytest.raises(ValueError, match=message):
        LatentSpaceDisplay.from_codes(codes, **params)


def test_own_axes_and_styles_are_used(fitted):
    figure, ax = plt.subplots()
    display = LatentSpaceDisplay.from_estimator(
        fitted, X, ax=ax, pool_kw={"s": 99}, labeled_kw={"s": 77}, asked_kw={"s": 55, "label": "new"}
    )
    assert (display.figure_, display.ax_) == (figure, ax)
    sizes = [dots.get_sizes()[0] for dots in ax.collections]
    assert (sizes[0], sizes[1], sizes[-1]) == (99, 77, 55)
    assert legend(display)[-1] == "new"
    assert display.plot() is display
    assert display.figure_ is not figure


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"LatentSpaceDisplay.plot draws .*skalss\[plot\]"):
        LatentSpaceDisplay.from_codes(CODES)
