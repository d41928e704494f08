"""TaskNet: shapes, labels and units of what it predicts, and its manners as an estimator."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from torch import nn

from skalss import TaskNet
from skalss.nets import MLP, LeNet, net_classifier, net_regressor
from skalss.targets import make_target

from .nets import DIGITS, DIGITS_Y, FAST, X_REG, Y_REG, X, Y, binary_net, every_net, make_decoder

# -- shapes, labels, units ------------------------------------------------------------------------


def test_predictions_have_the_shape_and_values_of_y(fitted):
    model, X, y = fitted
    predicted = model.predict(X[:7])
    assert predicted.shape == (7,)
    if is_classifier(model):
        assert predicted.dtype == y.dtype
        assert set(predicted) <= set(y)
        np.testing.assert_array_equal(model.classes_, np.unique(y))
        assert model.score(X, y) == np.mean(model.predict(X) == y)
    else:
        assert is_regressor(model)
        assert np.issubdtype(predicted.dtype, np.floating)


def test_probabilities_sum_to_one_and_agree_with_predict(fitted_classifier):
    model, X, y = fitted_classifier
    P = model.predict_proba(X)
    assert P.shape == (len(X), len(np.unique(y)))
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-5)
    assert (P >= 0).all()
    np.testing.assert_array_equal(model.classes_[P.argmax(axis=1)], model.predict(X))


def test_a_regressor_has_no_probabilities():
    assert not hasattr(TaskNet(net_regressor()), "predict_proba")
    assert hasattr(TaskNet(net_classifier()), "predict_proba")
    assert hasattr(TaskNet(), "predict_proba")


@every_net
def test_it_learns(net, X, y):
    if "ResNet8" in str(net.module):
        net = clone(net).set_params(max_epochs=15)
    else:
        net = clone(net).set_params(max_epochs=40)
    assert TaskNet(net, random_state=0).fit(X, y).score(X, y) > 0.8


def test_regression_targets_are_standardised_inside():
    net = net_regressor(max_epochs=20)
    plain = TaskNet(net, random_state=0).fit(X_REG, Y_REG)
    scaled = TaskNet(net, random_state=0).fit(X_REG, 1000 * Y_REG + 5)
    np.testing.assert_allclose(
        scaled.predict(X_REG), 1000 * plain.predict(X_REG) + 5, rtol=1e-3, atol=1e-3 * 1000 * Y_REG.std()
    )


@pytest.mark.parametrize("y", [np.full(30, 3.0), np.full(30, 1e8) + np.arange(30)])
def test_regression_on_a_constant_or_far_away_target(y):
    predicted = TaskNet(net_regressor(**FAST), random_state=0).fit(X_REG[:30], y).predict(X_REG)
    np.testing.assert_allclose(predicted, y[0], rtol=1e-6, atol=3.0)


def test_units_of_the_input_do_not_matter():
    far = X.astype(np.float64) * 1e4 + 1e7
    near_model, far_model = (TaskNet(net_classifier(**FAST), random_state=0).fit(a, Y) for a in (X, far))
    np.testing.assert_allclose(far_model.predict_proba(far), near_model.predict_proba(X), atol=1e-3)


def test_uint8_equals_the_same_in_the_unit_range():
    bytes_ = (DIGITS * 15).astype(np.uint8)
    unit = bytes_.astype(np.float32) / np.float32(255)
    net = net_classifier(LeNet, **FAST)
    from_bytes, from_unit = (TaskNet(net, random_state=0).fit(a, DIGITS_Y) for a in (bytes_, unit))
    np.testing.assert_allclose(from_bytes.predict_proba(bytes_), from_unit.predict_proba(unit), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, np.float64, bool, ">f4"])
def test_any_numeric_dtype(dtype):
    as_given = DIGITS.reshape(120, 64).astype(dtype)
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(as_given, DIGITS_Y)
    expected = TaskNet(net_classifier(**FAST), random_state=0).fit(as_given.astype(np.float64), DIGITS_Y)
    np.testing.assert_allclose(
        model.predict_proba(as_given), expected.predict_proba(as_given.astype(np.float64)), atol=1e-3
    )


def test_read_only_reversed_and_tensor_input():
    frozen = X.copy()
    frozen.flags.writeable = False
    expected = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y).predict_proba(X)
    for same, y in ((frozen, Y), (X[::-1][::-1], Y), (torch.from_numpy(X), torch.from_numpy(Y))):
        model = TaskNet(net_classifier(**FAST), random_state=0).fit(same, y)
        np.testing.assert_array_equal(model.predict_proba(same), expected)


@pytest.mark.parametrize("offset", [0, 1e5, 1e9])
def test_an_offset_of_the_target_does_not_matter(offset):
    y = X[:, 0] * 2
    model = TaskNet(net_regressor(max_epochs=30), random_state=0).fit(X, y + offset)
    assert model.score(X, y + offset) > 0.9


# -- classes --------------------------------------------------------------------------------------


def test_a_class_missing_from_y_but_named():
    model = TaskNet(net_classifier(**FAST), random_state=0)
    model.partial_fit(X[Y < 2], np.array(["a", "b"])[Y[Y < 2]], classes=["c", "a", "b"])
    np.testing.assert_array_equal(model.classes_, ["a", "b", "c"])
    assert model.predict_proba(X).shape == (90, 3)
    model.partial_fit(X, np.array(["a", "b", "c"])[Y])
    assert model.predict_proba(X).shape == (90, 3)


def test_a_label_outside_the_classes_is_refused():
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X[Y < 2], Y[Y < 2])
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"outside classes: \[2\]; known are \[0, 1\]\. Name every label"):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("net", [net_classifier(**FAST), binary_net()], ids=["two outputs", "one output"])
def test_one_class_so_far(net):
    model = TaskNet(net, random_state=0).fit(X[:10], np.full(10, "only"))
    assert set(model.predict(X)) == {"only"}
    np.testing.assert_allclose(model.predict_proba(X), np.ones((90, 1)))


# -- estimator manners ----------------------------------------------------------------------------


def test_partial_fit_goes_on():
    model = TaskNet(net_classifier(**FAST), random_state=0).partial_fit(X, Y)
    early = model.net_.history[-1, "train_loss"]
    net = model.net_
    model.partial_fit(X, Y)
    assert model.net_ is net
    assert len(net.history) == 10
    assert net.history[-1, "train_loss"] < early
    model.fit(X, Y)
    assert model.net_ is not net
    assert len(model.net_.history) == 5


def test_partial_fit_keeps_the_scaling_and_units_of_the_first_call():
    net = net_regressor(lr=0.0, **FAST)  # what it predicts stays, unless its units change
    model = TaskNet(net, random_state=0).partial_fit(X_REG, Y_REG)
    scaling, predicted = model.scaling_, model.predict(X_REG)
    model.partial_fit(X_REG + 100, Y_REG + 1000)
    assert model.scaling_ is scaling
    np.testing.assert_array_equal(model.predict(X_REG), predicted)


def test_pickle_and_clone(fitted):
    model, X, y = fitted
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.logits(X), model.logits(X))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    fresh = clone(model)
    assert not hasattr(fresh, "net_")
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    np.testing.assert_array_equal(fresh.fit(X, y).logits(X), model.logits(X))


def test_data_frame_columns_are_checked():
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(frame, Y)
    np.testing.assert_array_equal(model.feature_names_in_, list("abcde"))
    np.testing.assert_array_equal(
        model.predict(frame), TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y).predict(X)
    )
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(frame[list("edcba")], Y)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "logits", "features"])
def test_wrong_width_is_refused_everywhere(method):
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="X has 4 features, but TaskNet is expecting 5 features"):
        getattr(model, method)(X[:, :4])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "logits", "features"])
def test_images_of_another_size_are_refused_everywhere(method):
    model = TaskNet(net_classifier(LeNet, **FAST), random_state=0).fit(DIGITS, DIGITS_Y)
    with pytest.raises(ValueError, match=re.escape("(1, 8, 6)")):
        getattr(model, method)(DIGITS[..., :6])


@pytest.mark.parametrize("method", ["predict", "logits", "features", "head_weight"])
def test_not_fitted(method):
    arguments = () if method == "head_weight" else (X,)
    with pytest.raises(NotFittedError):
        getattr(TaskNet(), method)(*arguments)


def test_grid_search_reaches_the_net():
    search = GridSearchCV(
        TaskNet(net_classifier(**FAST), random_state=0), {"estimator__lr": [1e-7, 0.01]}, cv=2
    ).fit(X, Y)
    assert search.best_params_ == {"estimator__lr": 0.01}


def test_quiet(capfd):
    TaskNet(NeuralNetClassifier(MLP, criterion=nn.CrossEntropyLoss, verbose=1, **FAST)).fit(X, Y).predict(X)
    assert capfd.readouterr() == ("", "")


def test_sample_weight_in_score():
    model = TaskNet(net_classifier(**FAST), random_state=0).fit(X, Y)
    right = model.predict(X) == Y
    assert model.score(X, Y, sample_weight=right) == 1.0


def test_random_state_as_an_object():
    models = [TaskNet(net_classifier(**FAST), random_state=np.random.RandomState(3)).fit(X, Y) for _ in "ab"]
    np.testing.assert_array_equal(models[0].logits(X), models[1].logits(X))


def test_rehearse_raises_like_fit_and_leaves_no_trace():
    TaskNet(net_classifier(**FAST)).rehearse(X[:30], Y[:30], make_target(TaskNet(), [0, 1, 2]))
    model = TaskNet(net_classifier(module__output_dim=2, **FAST))
    with pytest.raises(ValueError, match="3 classes need width 3"):
        model.rehearse(X[:30], Y[:30], make_target(TaskNet(), [0, 1, 2]))
    assert not hasattr(model, "net_")
    module = MLP(5, 3)
    state = torch.get_rng_state()
    before = [p.clone() for p in module.parameters()]
    TaskNet(net_classifier(module, **FAST)).rehearse(X[:30], Y[:30], make_target(TaskNet(), [0, 1, 2]))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


@pytest.mark.gpu
@every_net
def test_on_an_accelerator(net, X, y):
    model = TaskNet(net, random_state=0).fit(X, y)  # device="auto"
    accelerator = torch.accelerator.current_accelerator()
    assert {p.device.type for p in model.net_.module_.parameters()} == {accelerator.type}
    on_cpu = TaskNet(net, device="cpu", random_state=0).fit(X, y)
    assert {p.device.type for p in on_cpu.net_.module_.parameters()} == {"cpu"}
    for output in (model.predict(X), model.logits(X), model.features(X), model.head_weight()):
        assert isinstance(output, np.ndarray)
    Z = np.ones((4, 3), dtype=np.float32)
    gradient, _ = model.loss_gradient(make_decoder(3, X.shape[1:]), Z, y[:4])
    assert np.isfinite(gradient).all()
