import math

import numpy as np
import pytest
import torch

from skalss.scores import entropy, gradient_norm, least_confident, loss, margin, mms, two_columns

EVERY_SCORE = [margin, entropy, least_confident, lambda logits: mms(logits, torch.eye(logits.shape[-1]))]
LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 5.0], [1.0, 3.0, 3.0]])


def test_margin_is_the_gap_of_the_two_highest():
    assert margin(LOGITS).tolist() == [1.0, 5.0, 0.0]


def test_mms_by_hand():
    # Classes 0 and 1 lead row 0: w0 - w1 = (3, 4), norm 5, gap 1. Classes 2 and 0 (a tie with 1, but
    # either differs from w2 by the same norm 10) lead row 1: gap 5.
    weight = torch.tensor([[3.0, 4.0], [0.0, 0.0], [3.0, -6.0]])
    scores = mms(torch.tensor([[2.0, 1.0, 0.0], [1.0, 0.0, 6.0]]), weight)
    torch.testing.assert_close(scores, torch.tensor([1 / 5, 5 / 10]))


def test_mms_is_the_distance_to_the_boundary_in_feature_space(seed):
    """Moving the features by the score, straight at the boundary, makes the two highest logits equal."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    bias = torch.randn(4, generator=generator, dtype=torch.float64)
    features = torch.randn(50, 6, generator=generator, dtype=torch.float64)
    logits = features @ weight.T + bias
    scores = mms(logits, weight)
    for h, z, score in zip(features, logits, scores, strict=True):
        i, j = z.argsort(descending=True)[:2]
        normal = weight[i] - weight[j]
        moved = (h - score * normal / normal.norm()) @ weight.T + bias
        assert moved[i].item() == pytest.approx(moved[j].item(), abs=1e-9)
    # Of two classes it is the nearest point of all: no shorter move in any direction gets there.
    directions = torch.randn(2000, 6, generator=generator, dtype=torch.float64)
    directions /= directions.norm(dim=1, keepdim=True)
    pair, offset = weight[:2], bias[:2]
    two = mms(features @ pair.T + offset, pair)
    for h, score in zip(features, two, strict=True):
        here = (h @ pair.T + offset).argmax()
        almost = (h + 0.999 * score * directions) @ pair.T + offset
        assert (almost.argmax(dim=1) == here).all()


@pytest.mark.parametrize("factor", [1e-3, 7.0, 1e3])
def test_mms_does_not_change_with_the_scale_of_the_head(factor):
    weight = torch.tensor([[3.0, 4.0], [0.0, 1.0], [1.0, -6.0]])
    torch.testing.assert_close(mms(factor * LOGITS, factor * weight), mms(LOGITS, weight))


def test_mms_is_in_units_of_the_features():
    weight = torch.tensor([[3.0, 4.0], [0.0, 1.0], [1.0, -6.0]])
    # Features twice as large give the same logits with half the weights.
    torch.testing.assert_close(mms(LOGITS, weight / 2), 2 * mms(LOGITS, weight))


def test_mms_is_not_the_margin():
    weight = torch.tensor([[1.0, 0.0], [0.0, 0.0], [9.0, 9.0]])
    logits = torch.tensor([[2.0, 1.0, -9.0], [-9.0, 0.0, 2.0]])
    assert margin(logits).argmin() == 0
    assert mms(logits, weight).argmin() == 1


def test_mms_of_equal_weight_rows():
    weight = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]])
    scores = mms(torch.tensor([[3.0, 1.0, 0.0], [2.0, 2.0, 0.0]]), weight)
    assert scores.tolist() == [math.inf, 0.0]


def test_mms_does_not_depend_on_the_order_of_the_classes(seed):
    generator = torch.Generator().manual_seed(seed)
    logits, weight = torch.randn(20, 5, generator=generator), torch.randn(5, 3, generator=generator)
    order = torch.randperm(5, generator=generator)
    torch.testing.assert_close(mms(logits[:, order], weight[order]), mms(logits, weight))


def test_entropy_and_least_confident_by_hand():
    p = torch.tensor([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]])
    by_hand = -(p.numpy() * np.log(p.numpy())).sum(axis=1)
    np.testing.assert_allclose(entropy(p.log()).numpy(), by_hand, rtol=1e-5)
    np.testing.assert_allclose(least_confident(p.log()).numpy(), [0.5, 0.2], rtol=1e-5)


def test_extremes_of_entropy_and_least_confident():
    sure, unsure = torch.tensor([[200.0, 0.0, 0.0, 0.0]]), torch.zeros(1, 4)
    assert entropy(sure).item() == 0.0
    assert least_confident(sure).item() == 0.0
    assert entropy(unsure).item() == pytest.approx(math.log(4))
    assert least_confident(unsure).item() == pytest.approx(0.75)


@pytest.mark.parametrize("score", [entropy, least_confident, margin])
def test_a_shift_of_all_logits_changes_nothing(score):
    torch.testing.assert_close(score(LOGITS + 100), score(LOGITS), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("score", EVERY_SCORE, ids=["margin", "entropy", "least_confident", "mms"])
@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 2, 2)])
def test_wrong_shapes_are_refused_with_a_way_out(score, shape):
    with pytest.raises(ValueError, match=r"shape \(n_samples, n_classes >= 2\), got \(5.*two_columns"):
        score(torch.zeros(shape))


@pytest.mark.parametrize("score", EVERY_SCORE, ids=["margin", "entropy", "least_confident", "mms"])
def test_no_rows_give_no_scores(score):
    assert score(torch.zeros(0, 3)).shape == (0,)


@pytest.mark.parametrize("shape", [(2, 4), (3,), (4, 4)])
def test_weight_of_another_layer_is_refused(shape):
    with pytest.raises(ValueError, match="one row for each of the 3 classes, got shape .*made these scores"):
        mms(LOGITS, torch.zeros(shape))


# -- scores at a known class ----------------------------------------------------------------------


def test_loss_by_hand():
    p = torch.tensor([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]])
    by_hand = -np.log([0.25, 0.8])
    np.testing.assert_allclose(loss(p.log(), torch.tensor([2, 0])), by_hand, rtol=1e-5)
    np.testing.assert_allclose(loss(p, torch.tensor([2, 0]), probabilities=True), by_hand, rtol=1e-5)


def test_gradient_norm_is_that_of_the_loss(seed):
    """Row by row, against autograd."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(4, (50,), generator=generator)
    for z, label, norm in zip(logits, y, gradient_norm(logits, y), strict=True):
        z = z.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(z, label), z)
        assert norm.item() == pytest.approx(gradient.norm().item(), rel=1e-6)


def test_gradient_norm_lies_between_right_and_wrong_beyond_doubt():
    sure = torch.tensor([[200.0, 0.0, 0.0]])
    assert gradient_norm(sure, torch.tensor([0])).item() == 0.0
    assert gradient_norm(sure, torch.tensor([1])).item() == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.float32])
def test_classes_may_come_in_any_dtype(dtype):
    y = torch.tensor([0, 1, 2])
    assert torch.equal(loss(LOGITS, y.to(dtype)), loss(LOGITS, y))
    assert torch.equal(gradient_norm(LOGITS, y.to(dtype)), gradient_norm(LOGITS, y))


@pytest.mark.parametrize("shape", [(5,), (5, 1), (5, 2, 2)])
@pytest.mark.parametrize("score", [loss, gradient_norm])
def test_wrong_shapes_are_refused_with_labels_too(score, shape):
    with pytest.raises(ValueError, match=r"shape \(n_samples, n_classes >= 2\), got \(5.*two_columns"):
        score(torch.zeros(shape), torch.zeros(5, dtype=int))


# -- probabilities --------------------------------------------------------------------------------

Y = torch.tensor([0, 1, 2])
WEIGHT = torch.tensor([[3.0, 4.0], [0.0, 1.0], [1.0, -6.0]])
OF_PROBABILITIES = {
    "entropy": lambda z, **kwargs: entropy(z, **kwargs),
    "least_confident": lambda z, **kwargs: least_confident(z, **kwargs),
    "mms": lambda z, **kwargs: mms(z, WEIGHT, **kwargs),
    "loss": lambda z, **kwargs: loss(z, Y, **kwargs),
    "gradient_norm": lambda z, **kwargs: gradient_norm(z, Y, **kwargs),
}


@pytest.mark.parametrize("score", OF_PROBABILITIES.values(), ids=OF_PROBABILITIES)
def test_probabilities_score_as_their_logits(score):
    p = LOGITS.softmax(dim=1)
    torch.testing.assert_close(score(p, probabilities=True), score(LOGITS), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(score(p), score(LOGITS))  # what is not said to be a probability is a logit


@pytest.mark.parametrize("score", OF_PROBABILITIES.values(), ids=OF_PROBABILITIES)
def test_a_probability_of_zero_gives_a_number(score):
    p = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    assert torch.isfinite(score(p, probabilities=True)).all()


# -- the weights of the minimal margin score ------------------------------------------------------


def test_a_bias_counts_as_the_weight_of_a_constant_feature():
    bias = torch.tensor([0.5, -2.0, 7.0])
    with_constant = torch.cat([WEIGHT, bias[:, None]], dim=1)
    torch.testing.assert_close(mms(LOGITS, WEIGHT, bias), mms(LOGITS, with_constant))
    assert not torch.allclose(mms(LOGITS, WEIGHT, bias), mms(LOGITS, WEIGHT))


def test_one_row_of_weights_serves_two_classes():
    z, row, bias = torch.tensor([-2.0, 0.0, 5.0]), torch.tensor([[3.0, 4.0]]), torch.tensor([12.0])
    scores = two_columns(z)
    torch.testing.assert_close(mms(scores, row), z.abs() / 5)
    torch.testing.assert_close(mms(scores, row, bias), z.abs() / 13)
    torch.testing.assert_close(mms(scores, torch.cat([torch.zeros(1, 2), row])), z.abs() / 5)
    with pytest.raises(ValueError, match=r"one row for each of the 3 classes, got shape \(1, 2\)"):
        mms(LOGITS, row)


def test_equal_weights_with_biases_that_differ_are_told_apart():
    weight = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    logits = torch.tensor([[3.0, 1.0]])
    assert mms(logits, weight).item() == math.inf
    assert mms(logits, weight, torch.tensor([4.0, 0.0])).item() == 0.5
    assert mms(logits, weight, torch.tensor([4.0, 4.0])).item() == math.inf
    assert mms(torch.tensor([[3.0, 3.0]]), weight).item() == 0.0


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), ()])
def test_a_bias_of_another_layer_is_refused(shape):
    with pytest.raises(
        ValueError, match="bias must have one value for each of the 3 rows of weight, got shape"
    ):
        mms(LOGITS, WEIGHT, torch.zeros(shape))


# -- one output for two classes -------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_two_columns_of_logits_and_of_probabilities(shape):
    z = torch.tensor([-1.0, 0.0, 2.0])
    assert two_columns(z.reshape(shape)).tolist() == [[0.0, -1.0], [0.0, 0.0], [0.0, 2.0]]
    p = z.sigmoid()
    both = two_columns(p.reshape(shape), probabilities=True)
    torch.testing.assert_close(both, two_columns(z).softmax(dim=1))
    torch.testing.assert_close(entropy(both, probabilities=True), entropy(two_columns(z)))


def test_two_columns_of_no_rows():
    assert two_columns(torch.zeros(0)).shape == (0, 2)
