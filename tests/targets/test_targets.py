"""The contract of a kind of y, asked of every one: list a new one here and it is tested."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import cohen_kappa_score, r2_score
from sklearn.preprocessing import StandardScaler

from skalss import TaskNet
from skalss.nets import net_classifier, net_regressor
from skalss.strategies import STRATEGIES
from skalss.targets import TARGETS, Classes, ClassMap, Labels, ValueMap, Values, make_target, target_of_task

RNG = np.random.default_rng(0)
KINDS = {  # target, y, an estimator, answers that cannot be
    "numbers of classes": (Classes(), RNG.integers(3, 7, 60), LogisticRegression(), [[1], None, "a"]),
    "text": (
        Classes(),
        np.array(["cat", "dog", "emu"])[RNG.integers(0, 3, 60)],
        LogisticRegression(),
        [3, {}],
    ),
    "known classes": (Classes([1, 2, 3]), RNG.integers(1, 3, 60), LogisticRegression(), [4, "1"]),
    "values": (Values(), 1e3 + RNG.normal(size=60), Ridge(), ["much", None, [1.0], 1j]),
}
MASKS = RNG.choice([0, 3, 7], size=(12, 4, 5))
PARTLY = np.where(RNG.random(MASKS.shape) < 0.2, 255, MASKS)
FIELDS = 1e3 + RNG.normal(size=(12, 4, 5))
HOLED = np.where(RNG.random(FIELDS.shape) < 0.2, np.nan, FIELDS)
MORE = {  # a label is no scalar: target, y, answers that cannot be, and what is said of them
    "several values": (
        Values(2),
        np.array([1e3, -5.0]) + RNG.normal(size=(12, 2)) * [100.0, 0.1],
        {
            "2 numbers here, got 1.0": 1.0,
            "shape \\(3,\\)": [1, 2, 3],
            "must be a finite number": [1, np.nan],
            "got 'ab'": "ab",
        },
    ),
    "several labels": (
        Labels(),
        (RNG.random((12, 3)) < 0.5).astype(int),
        {
            "label 7 is outside classes": [7],
            "label 2.5": [0, 1, 2.5],
            "list of classes": "a",
            "got 3 of type|got 3": 3,
        },
    ),
    "names": (
        Labels(["car", "dog", "sky"]),
        [["car"], ["dog", "sky"], []] * 4,
        {"'carr' is outside.*Did you mean 'car'": ["carr"], "3 numbers, each 0 or 1": np.array([1, 0])},
    ),
    "masks": (
        ClassMap(shape=(4, 5)),
        MASKS,
        {
            "shape \\(4, 5\\).*got \\(4, 6\\)": np.zeros((4, 6), int),
            "mask of whole numbers.*float64": FIELDS[0],
        },
    ),
    "masks with gaps": (
        ClassMap([0, 3, 7], ignore=255, shape=(4, 5)),
        PARTLY,
        {
            "class 5.*outside classes": MASKS[0] * 0 + 5,
            "no labelled pixel.*255": MASKS[0] * 0 + 255,
            "got 3": 3,
        },
    ),
    "fields": (
        ValueMap((4, 5)),
        FIELDS,
        {
            "no value": FIELDS[0] * np.nan,
            "an array of numbers": np.full((4, 5), "a"),
            "lie within": FIELDS[0] * np.inf,
        },
    ),
    "fields with gaps": (ValueMap((4, 5)), HOLED, {"got \\(5, 4\\)": HOLED[0].T}),
}
each = pytest.mark.parametrize(("target", "y", "estimator", "wrong"), KINDS.values(), ids=KINDS)


def test_every_kind_is_listed():
    assert {type(target) for target, *_ in [*KINDS.values(), *MORE.values()]} == set(TARGETS)


@pytest.mark.parametrize(("target", "y", "wrong"), MORE.values(), ids=MORE)
class TestLabelsThatAreNoScalars:
    """Several values or classes, masks and fields: one contract."""

    @staticmethod
    def known(target, y):
        target = target.copy()
        target.learn(target.column(y))
        return target, target.as_array([target.check(row) for row in target.column(y)])

    def test_answers_are_kept_or_refused(self, target, y, wrong):
        target, kept = self.known(target, y)
        for row in target.column(y)[:3]:
            label = target.check(row)
            assert target.same(label, target.check(label))
            back = target_of_task(target.task, target.spec)
            back.know(target.classes)
            assert target.same(label, back.from_text(target.to_text(label)))
        assert not target.same(target.check(target.column(y)[0]), target.check(target.column(y)[1]))
        for said, answer in wrong.items():
            with pytest.raises(ValueError, match=said):
                target.check(answer)

    def test_labels_come_back_from_what_a_network_is_trained_on(self, target, y, wrong):
        _, kept = self.known(target, y)
        fitted = target.fitted(target.column(y))
        encoded = fitted.encode(kept)
        output = np.nan_to_num(encoded)
        if isinstance(target, ClassMap):
            output = np.moveaxis(np.eye(fitted.n_outputs)[encoded], -1, 1)
        counted = (kept != target.ignore) if isinstance(target, ClassMap) else ~np.isnan(kept)
        decoded = fitted.decode(output)
        again = type(target)().set_state(fitted.get_state())
        np.testing.assert_array_equal(again.decode(output), decoded)
        np.testing.assert_allclose(decoded[counted], kept[counted], rtol=1e-5)
        assert fitted.score(y, decoded) == pytest.approx(1)
        assert fitted.agreement(decoded, decoded) == 1 > fitted.agreement(decoded, decoded[::-1])
        assert fitted.score(y, decoded[::-1]) < 1
        good = np.r_[decoded[:6], decoded[5::-1]]
        assert fitted.score(y, good, np.arange(12) < 6) == pytest.approx(1)  # only rows that are right count

    def test_made_up_labels_train_a_network(self, target, y, wrong):
        target, _ = self.known(target, y)
        for made in (target.made_up(30), target.made_up(30, [target.check(row) for row in target.column(y)])):
            assert len(made) == 30
            assert np.isfinite(target.fitted(made).encode(made)).all()

    def test_rows_without_a_label_are_told(self, target, y, wrong):
        rows = [None, *y[1:5], None]
        column = target.column(rows)
        assert target.missing(column).tolist() == [True, False, False, False, False, True]
        target, _ = self.known(target, y)
        target.check_column(column[1:5])
        with pytest.raises(ValueError, match="missing|NaN"):
            target.checked_column(rows)

    def test_the_defaults_serve_it(self, target, y, wrong):
        for name in (target.auto_strategy, target.auto_initial):
            assert target.task in STRATEGIES[name]().tasks
        assert len(target.shades([self.known(target, y)[0].check(row) for row in target.column(y)])) == 12


@each
def test_answers_are_passed_or_refused(target, y, estimator, wrong):
    target = target.fitted(y) if target.classes is None else target
    for label in y[:5]:
        assert target.check(label) == label
    for answer in wrong:
        with pytest.raises(ValueError, match=r"label .*got|The label"):
            target.check(answer)


@each
def test_labels_come_back_from_what_a_network_is_trained_on(target, y, estimator, wrong):
    fitted = target.fitted(y)
    encoded = fitted.encode(y)
    assert len(encoded) == len(y)
    n_outputs = fitted.n_outputs
    output = np.eye(n_outputs)[encoded] if fitted.has_probabilities else encoded[:, None]
    assert fitted.width_fault(n_outputs) is None
    assert "width" in fitted.width_fault(n_outputs - 1 if n_outputs > 1 else 2)
    decoded = fitted.decode(output)
    np.testing.assert_array_equal(decoded, y) if fitted.has_probabilities else np.testing.assert_allclose(
        decoded, y, rtol=1e-6
    )
    again = type(target)().set_state(fitted.get_state())
    np.testing.assert_array_equal(again.decode(output), decoded)
    assert target.fitted(target.examples()).n_outputs >= 1


@each
def test_labels_come_back_from_a_ledger(target, y, estimator, wrong):
    for label in y[:5]:
        back = target.from_text(target.to_text(label))
        assert back == label
        assert isinstance(back, type(label.item()))


@each
def test_scores_and_agreements(target, y, estimator, wrong):
    other = y[::-1]
    fitted = target.fitted(y)
    assert fitted.score(y, y) == 1 == fitted.agreement(y, y)
    assert fitted.agreement(np.repeat(y[:1], 9), np.repeat(y[:1], 9)) == 1  # constant predictions
    expected = cohen_kappa_score(y, other) if fitted.has_probabilities else max(0, r2_score(y, other))
    assert fitted.agreement(y, other) == pytest.approx(expected)
    some = np.r_[y[:30], other[30:]]
    assert fitted.score(y, some, np.arange(60) < 30) == 1  # only rows that are right count


@each
def test_the_defaults_have_a_name(target, y, estimator, wrong):
    for name in (target.auto_strategy, target.auto_initial):
        assert target.task in STRATEGIES[name]().tasks
    assert not STRATEGIES[target.auto_initial]().needs
    assert type(target_of_task(target.task)) is type(target)


@each
def test_what_a_model_believes(target, y, estimator, wrong):
    rows = RNG.normal(size=(len(y), 3))
    model = estimator.fit(rows, y)
    believed = target.fitted(y).believed_by(model, rows)
    expected = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)
    np.testing.assert_array_equal(believed, expected)


def test_votes_stand_in_for_probabilities():
    rows, y = RNG.normal(size=(30, 3)), RNG.integers(0, 3, 30)
    model = RidgeClassifier().fit(rows, y)
    votes = Classes().fitted(y).believed_by(model, rows)
    np.testing.assert_array_equal(votes.argmax(axis=1), model.predict(rows))
    np.testing.assert_array_equal(votes.sum(axis=1), 1)


def test_doubt_and_disagreement():
    P = torch.tensor([[[0.9, 0.1], [0.5, 0.5]], [[0.1, 0.9], [0.5, 0.5]]], dtype=torch.float64)
    torch.testing.assert_close(Classes().doubt(P[0]), torch.tensor([-0.8, 0.0], dtype=torch.float64))
    mean = P.mean(dim=0).numpy()
    expected = np.mean([stats.entropy(member.numpy(), mean, axis=1) for member in P], axis=0)
    np.testing.assert_allclose(Classes().disagreement(P), expected, atol=1e-12)
    values = torch.tensor([[1.0, 2.0], [3.0, 2.0]])
    np.testing.assert_allclose(Values().disagreement(values), [1, 0])
    with pytest.raises(ValueError, match="strategy='committee'"):
        Values().doubt(values)


def test_an_estimator_has_its_kind():
    for estimator in (LogisticRegression(), TaskNet(), net_classifier()):
        assert type(make_target(estimator)) is Classes
    for estimator in (Ridge(), TaskNet(net_regressor())):
        assert type(make_target(estimator)) is Values
    assert make_target(LogisticRegression(), ["b", "a"]).classes.tolist() == ["a", "b"]
    with pytest.raises(TypeError, match=r"classifier or a regressor, got StandardScaler"):
        make_target(StandardScaler())


@pytest.mark.parametrize("wrong", ["angles", float], ids=str)
def test_a_target_type_that_is_no_kind_of_y_is_refused(wrong):
    class Named(Ridge):
        target_type = wrong

    with pytest.raises(TypeError, match="target_type must be a class derived from .*BaseTarget, got"):
        make_target(Named())
