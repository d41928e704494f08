"""One contract for labels of every kind, from fit to a saved file."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skalss import AdaptiveLatentSampler, Campaign, Ledger, TaskNet, load_model
from skalss.augment import Cutout, ImageAugment
from skalss.campaign import MaxRounds, PredictionsAgree, ScoreReached
from skalss.compare import compare_strategies, summarize_comparison
from skalss.display import LabelEfficiencyDisplay, LatentSpaceDisplay
from skalss.nets import net_classifier, net_regressor
from skalss.oracles import ABSTAIN, AnswerKey, FunctionOracle
from skalss.targets import ClassMap, Labels, ValueMap, Values, make_target

from .kinds import FAST, FLAT, IMAGES, KINDS, PixelNet

mpl.use("Agg")
each = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
MAPS = [KINDS[name] for name in ("masks", "masks with gaps", "volumes", "fields")]


def shape_of(kind):
    return np.shape(kind.y) if kind is not KINDS["names"] else (60, 3)


@each
@pytest.mark.parametrize("strategy", ["auto", "snn", "committee"])
def test_a_sampler_fits_predicts_and_scores(kind, strategy):
    sampler = kind.sampler(strategy=strategy).fit(kind.X, kind.y, X_val=kind.X[:20], y_val=kind.y[:20])
    predicted = sampler.predict(kind.X)
    assert predicted.shape == shape_of(kind)
    assert np.isfinite(predicted).all()
    assert sampler.score(kind.X[:20], kind.y[:20]) == pytest.approx(sampler.history_["val_score"].iloc[-1])
    assert sampler.n_labels_ == 24
    assert len(sampler.queries_) == 24
    if kind.classes is not None:
        assert sampler.classes_.tolist() == list(kind.classes)
        P = sampler.predict_proba(kind.X)
        assert P.shape[1] == len(kind.classes)
        assert 0 <= P.min() <= P.max() <= 1


@each
def test_points_are_made_and_labelled(kind):
    sampler = kind.told(strategy="si", oracle=FunctionOracle(kind.truth))
    sampler.fit(kind.X)
    assert len(sampler.X_generated_) == 12
    assert sampler.y_generated_.shape[1:] == shape_of(kind)[1:]
    np.testing.assert_allclose(
        sampler.y_generated_, _as_array(kind, kind.truth(sampler.X_generated_)), rtol=1e-6
    )


def _as_array(kind, labels):
    target = make_target(kind.net, y=kind.y)
    target.learn(target.column(kind.y))
    return target.as_array([target.check(label) for label in target.column(labels)])


@each
def test_people_answer_and_what_is_wrong_is_refused_before_anything_is_lost(kind):
    campaign = Campaign(kind.told(), kind.X)
    batch = campaign.ask()
    answers = kind.truth(batch.X)
    wrong = [*answers[:3], {"no": "label"}]
    with pytest.raises(ValueError, match="label|Label|mask"):
        campaign.tell(batch.ids[:4], wrong)
    assert len(campaign.pending) == len(batch)
    campaign.tell(batch.ids[:4], [*answers[:3], ABSTAIN])
    campaign.tell(batch.ids[4:], answers[4:])
    while len(batch := campaign.ask()):
        campaign.tell(batch.ids, kind.truth(batch.X))
    sampler = campaign.finish()
    assert sampler.n_labels_ == 23
    assert sampler.predict(kind.X).shape == shape_of(kind)
    # A correction replaces a label.
    first = campaign.queries["id"].iloc[0]
    campaign.tell([first], [kind.truth(kind.X[:1])[0]], correct=True)


@each
def test_control_rows_rules_and_agreement(kind):
    rules = (PredictionsAgree(1.0, 1), ScoreReached(1.01), MaxRounds(9))
    sampler = kind.sampler(strategy="random", control_share=0.5, stop=rules, max_labels=42)
    sampler.fit(kind.X, kind.y, X_val=kind.X[:20], y_val=kind.y[:20])
    last = sampler.history_.dropna(subset="control_score").iloc[-1]
    assert last["control_low"] <= last["control_score"] <= last["control_high"]
    assert sampler.history_["agreement"].notna().any()
    assert sampler.history_["error_ratio"].notna().any() == (kind.classes is None)


@each
def test_a_comparison_and_its_picture(kind):
    results = compare_strategies(
        kind.sampler(max_labels=18),
        kind.X[:40],
        kind.y[:40],
        ["auto"],
        X_test=kind.X[40:],
        y_test=kind.y[40:],
        seeds=1,
    )
    assert set(results["arm"]) == {"random", "auto"}
    assert results["score"].notna().all()
    assert results.attrs["metric_name"] in ("accuracy", "R²", "macro F1", "mean IoU")
    assert len(summarize_comparison(results)) == 2
    LabelEfficiencyDisplay.from_results(results)


@each
def test_a_picture_of_the_latent_space(kind):
    sampler = kind.sampler(strategy="snn").fit(kind.X, kind.y)
    display = LatentSpaceDisplay.from_estimator(sampler, kind.X)
    assert len(display.labels) == 24
    assert len(display.labeled) == 24


@each
def test_a_saved_sampler_and_its_network(kind, tmp_path):
    sampler = kind.sampler().fit(kind.X, kind.y)
    sampler.save(tmp_path / "sampler")
    again = AdaptiveLatentSampler.load(tmp_path / "sampler", clone(sampler))
    np.testing.assert_array_equal(again.predict(kind.X), sampler.predict(kind.X))
    for mine, theirs in zip(again.queries_["label"], sampler.queries_["label"], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert again.score(kind.X, kind.y) == sampler.score(kind.X, kind.y)
    model = load_model(tmp_path / "sampler", ["skalss.nets", PixelNet.__module__])
    np.testing.assert_array_equal(model.predict(kind.X), sampler.predict(kind.X))
    exported = sampler.estimator_.to_torch()
    assert len(exported(torch.as_tensor(kind.X[:3]))) == 3


@each
def test_a_saved_campaign_goes_on(kind, tmp_path):
    whole = kind.sampler().fit(kind.X, kind.y)
    campaign = Campaign(kind.sampler(), kind.X, kind.y)
    next(iter(campaign.rounds()))
    campaign.save(tmp_path / "campaign")
    again = Campaign.load(tmp_path / "campaign", kind.X).run().finish()
    np.testing.assert_array_equal(again.labeled_indices_, whole.labeled_indices_)


@each
def test_known_labels_and_an_answer_key(kind):
    y, known = list(kind.y), np.arange(60) < 10
    partly = [label if one else None for label, one in zip(y, known, strict=True)]
    sampler = kind.sampler(oracle=AnswerKey(kind.y), classes=kind.classes)
    campaign = Campaign(sampler, kind.X, partly)
    assert len(campaign.records.labels()) == 10
    assert campaign.run().finish().n_labels_ == 24


@pytest.mark.parametrize(
    "kind", [KINDS[name] for name in KINDS if name != "names"]
)  # scikit-learn takes no lists
def test_cross_validation(kind):
    net = TaskNet(kind.net, random_state=0)
    assert np.isfinite(cross_val_score(net, kind.X, kind.y, cv=2)).all()
    grid = {"n_per_round": [6, 12]}
    search = GridSearchCV(kind.sampler(strategy="random"), grid, cv=2, error_score="raise").fit(
        kind.X, kind.y
    )
    assert np.isfinite(search.best_score_)


@pytest.mark.parametrize("kind", MAPS, ids=["masks", "masks with gaps", "volumes", "fields"])
def test_pixels_that_nobody_labelled_change_nothing(kind):
    """Neither the weights nor the score depend on what would be in them."""
    y = np.array(kind.y)
    hidden = np.zeros(y.shape, dtype=bool)
    hidden[:, ::2] = True
    fits = []
    for net in (kind.net, clone(kind.net)):
        partly = y.astype(float) if kind.classes is None else y.astype(int)
        partly[hidden] = np.nan if kind.classes is None else -1
        fits.append(TaskNet(net, random_state=0, device="cpu").fit(kind.X, partly))
        assert fits[-1].score(kind.X, partly) == fits[-1].score(kind.X, np.where(hidden, partly, y))
        y[hidden] = y[hidden][::-1]
    np.testing.assert_array_equal(fits[0].predict(kind.X), fits[1].predict(kind.X))


def test_learning_works():
    """After enough epochs each kind is learned."""
    for name in ("several values", "names", "masks with gaps", "fields"):
        kind = KINDS[name]
        net = clone(kind.net).set_params(max_epochs=150, lr=0.01)
        assert TaskNet(net, random_state=0).fit(kind.X, kind.y).score(kind.X, kind.y) > 0.85, name


def test_flips_and_shifts_move_the_masks_too():
    left = np.broadcast_to(np.arange(6) < 3, (60, 4, 6)).astype(int)  # nothing in the image tells the side
    X = np.concatenate([IMAGES, np.broadcast_to(left[:, None], IMAGES.shape)], axis=1).astype(np.float32)
    net = net_classifier(PixelNet, max_epochs=30, lr=0.02)
    model = TaskNet(net, augment=ImageAugment(shift=2), random_state=0).fit(X, left)
    assert model.score(X, left) > 0.99
    with pytest.raises(ValueError, match="must move with it.*moves_pixels"):
        TaskNet(net, augment=Cutout(2)).fit(X, left)


def test_classes_of_pixels_can_be_weighed():
    kind = KINDS["masks with gaps"]
    rare = np.where(kind.X[:, 0] > 1.0, 1, 0)
    rare[:, :2] = -1
    net = net_classifier(PixelNet, max_epochs=20, lr=0.02)
    shares = {}
    for weight in (None, "balanced", {1: 50.0}):
        model = TaskNet(net, class_weight=weight, random_state=0).fit(kind.X * 0, rare)  # nothing to see
        shares[str(weight)] = model.predict_proba(kind.X * 0)[:, 1, 2:].mean()
    assert shares["None"] == pytest.approx((rare[:, 2:] == 1).mean(), abs=0.05)
    assert shares["balanced"] == pytest.approx(0.5, abs=0.05)
    assert shares["{1: 50.0}"] > 0.7
    with pytest.raises(ValueError, match="here several may hold.*pos_weight"):
        TaskNet(net_classifier(**FAST), class_weight="balanced").fit(FLAT, KINDS["several labels"].y)


def test_the_network_tells_the_kind_where_there_are_no_labels():
    def kind_of(net, X=FLAT, **settings):
        return Campaign(AdaptiveLatentSampler(net, strategy="random", **settings), X).pool.target

    assert isinstance(kind_of(net_classifier(PixelNet), IMAGES), ClassMap)
    assert isinstance(kind_of(net_regressor(PixelNet), IMAGES), ValueMap)
    assert kind_of(net_regressor(module__output_dim=3)).n_outputs == 3
    assert kind_of(net_regressor()).n_outputs == 1
    assert kind_of(TaskNet(net_regressor(), target=Values(2))).n_outputs == 2
    assert kind_of(TaskNet(net_classifier(), target=Labels(["a", "b"]))).classes.tolist() == ["a", "b"]
    several = net_classifier(criterion=torch.nn.BCEWithLogitsLoss)
    assert isinstance(kind_of(several, classes=["a", "b", "c"]), Labels)
    with pytest.raises(ValueError, match="must be known before the first question"):
        kind_of(several)
    with pytest.raises(ValueError, match="is for a classifier, and the estimator is a regressor"):
        kind_of(TaskNet(net_regressor(), target=ClassMap()))
    with pytest.raises(TypeError, match="target must be 'auto' or a target"):
        TaskNet(net_regressor(), target="masks").fit(FLAT, FLAT[:, 0])


@pytest.mark.parametrize(
    ("X", "y", "said"),
    [
        (IMAGES, np.zeros((60, 4, 5), int), r"shape \(4, 6\).*as a row without its channels, got \(4, 5\)"),
        (IMAGES, np.zeros((60, 4, 6)), "mask of whole numbers.*float64"),
        (IMAGES, np.r_[np.zeros((59, 4, 6), int), np.full((1, 4, 6), -1)], r"y\[59\].*no labelled pixel"),
        (IMAGES, [np.zeros((4, 6), int)] * 59 + [np.zeros((4, 5), int)], "maps of several shapes"),
        (FLAT, np.full((60, 2), 2), "0 and 1, one column for each class, got 2"),
    ],
    ids=["size", "float mask", "all ignored", "shapes differ", "no indicator"],
)
def test_bad_labels_are_refused_before_anything_is_trained(X, y, said):
    net = net_classifier(PixelNet, **FAST) if X is IMAGES else net_classifier(**FAST)
    sampler = AdaptiveLatentSampler(net, strategy="random", n_initial=20, max_labels=60, random_state=0)
    with pytest.raises(ValueError, match=said):
        sampler.fit(X, y)
    assert not hasattr(sampler, "estimator_")


def test_a_class_outside_of_those_named_is_refused():
    for kind, classes in ((KINDS["masks"], [0, 1]), (KINDS["names"], ["car", "dog"])):
        with pytest.raises(ValueError, match=r"outside classes: \["):
            kind.sampler(classes=classes).fit(kind.X, kind.y)


@pytest.mark.parametrize(
    ("estimator", "kind"),
    [
        (RandomForestRegressor(5), "several values"),
        (MultiOutputRegressor(RandomForestRegressor(5)), "several values"),
        (RandomForestClassifier(5), "several labels"),
        (RandomForestClassifier(5), "names"),
    ],
    ids=str,
)
def test_estimators_of_scikit_learn(estimator, kind):
    kind = KINDS[kind]
    sampler = AdaptiveLatentSampler(
        estimator, n_initial=12, n_per_round=12, max_labels=36, random_state=0
    ).fit(kind.X, kind.y)
    assert sampler.predict(kind.X).shape == shape_of(kind)
    assert sampler.score(kind.X, kind.y) > 0
    if kind.classes is not None:
        assert sampler.predict_proba(kind.X).shape == shape_of(kind)


def test_an_estimator_that_knows_no_maps_says_so():
    with pytest.raises(ValueError, match="holds a map for each.*UNet"):
        AdaptiveLatentSampler(RandomForestClassifier(5), strategy="random").fit(IMAGES, KINDS["masks"].y)


def test_a_pipeline_with_several_values():
    kind = KINDS["several values"]
    pipe = make_pipeline(StandardScaler(), kind.sampler())
    assert pipe.fit(kind.X, kind.y).predict(kind.X).shape == (60, 2)


@each
def test_a_ledger_buys_no_label_twice(kind, tmp_path):
    asked = []

    def answer(X):
        asked.append(len(X))
        return kind.truth(X)

    settings = {"oracle": FunctionOracle(answer), "ledger": tmp_path / "labels.db", "strategy": "kmeans"}
    with Campaign(kind.told(**settings), kind.X) as campaign:
        next(iter(campaign.rounds()))
    bought = sum(asked)
    sampler = kind.told(**settings).fit(kind.X)
    assert bought == 12 < sum(asked) == 24
    whole = kind.told(**{**settings, "ledger": None}).fit(kind.X)
    np.testing.assert_array_equal(sampler.predict(kind.X), whole.predict(kind.X))
    ledger = Ledger(tmp_path / "labels.db")
    ledger.to_csv(tmp_path / "labels.csv")
    assert ledger.read_csv(tmp_path / "labels.csv") == 0
    kind.told(**settings).fit(kind.X)
    assert sum(asked) == 24 + 24  # of the campaign without a ledger
