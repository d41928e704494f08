"""Scores of rows by a network: the pass, the hardness of each row, and its loss."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skalss import scores
from skalss.nets import LeNet, ResNet8
from skalss.selective import SelectiveNetBinaryClassifier, SelectiveNetRegressor
from skalss.selective.rows import Rows
from skalss.selective.scoring import Head, hardness, outputs, row_losses
from skalss.utils.devices import supports_bf16

from .scored import Uneasy, find

# -- the pass --------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 30, 128])
def test_chunks_do_not_change_the_outputs(chunk, make_net, rows):
    net = make_net().initialize()
    whole = net.forward(rows.batch[0])
    torch.testing.assert_close(outputs(net, rows, dtype="float32", chunk=chunk), whole)


def test_outputs_are_the_first_of_several(make_net, rows):
    net = make_net(module=Uneasy).initialize()
    output = outputs(net, rows, dtype="float32", chunk=8)
    torch.testing.assert_close(output, net.module_(rows.batch[0])[0])


def test_a_pass_for_scores_changes_nothing(make_net, weights_of):
    """Neither statistics of batch normalisation nor gradients, and dropout draws no numbers."""
    net = make_net(module=nn.Sequential(ResNet8((1, 8, 8), 3), nn.Dropout(0.5), nn.Linear(3, 3))).initialize()
    net.module_.train()
    images = Rows((torch.randn(12, 1, 8, 8), torch.zeros(12, dtype=int)))
    before, state = weights_of(net), torch.get_rng_state()
    for parameter in net.module_.parameters():
        parameter.grad = torch.ones_like(parameter)
    first = outputs(net, images, dtype="float32", chunk=5)
    assert torch.equal(first, outputs(net, images, dtype="float32", chunk=5))
    assert all(torch.equal(value, before[name]) for name, value in net.module_.state_dict().items())
    assert all(torch.equal(p.grad, torch.ones_like(p)) for p in net.module_.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert not first.requires_grad


def test_a_batch_of_named_inputs_and_parameters_of_fit_reach_the_module(make_net, rows):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(5, 3)

        def forward(self, a, scale):
            return self.head(a) * scale

    net = make_net(module=Named).initialize()
    named = Rows(({"a": rows.batch[0]}, rows.batch[1]))
    output = outputs(net, named, dtype="float32", chunk=8, scale=3.0)
    torch.testing.assert_close(output, 3 * net.module_.head(rows.batch[0]))


def test_scores_come_as_float32_whatever_they_are_computed_in(make_net, rows):
    seen = []

    class Nosy(nn.Linear):
        def forward(self, X):
            output = super().forward(X)
            seen.append(output.dtype)
            return output

    net = make_net(module=Nosy, module__in_features=5, module__out_features=3).initialize()
    for dtype in ("float32", "bfloat16"):
        assert outputs(net, rows, dtype=dtype, chunk=64).dtype == torch.float32
    assert seen == [torch.float32, torch.bfloat16]


@pytest.mark.skipif(not supports_bf16(torch.device("cpu")), reason="bfloat16 would be emulated")
def test_bfloat16_scores_choose_nearly_the_same_rows(make_net):
    net = make_net(module=LeNet, module__input_shape=(1, 8, 8), module__output_dim=10).initialize()
    images = Rows((torch.randn(320, 1, 8, 8), torch.zeros(320, dtype=int)))
    head = Head.find(net, images)
    hardest = [
        set(head.mms(outputs(net, images, dtype=dtype, chunk=128)).argsort()[:64].tolist())
        for dtype in ("float32", "bfloat16")
    ]
    assert len(hardest[0] & hardest[1]) > 45  # by chance 13


def test_an_unknown_dtype_is_refused(make_net, rows):
    with pytest.raises(
        ValueError, match=r"dtype must be one of \['auto', 'float32', 'bfloat16'\], got 'half'"
    ):
        outputs(make_net().initialize(), rows, dtype="half", chunk=8)


# -- hardness --------------------------------------------------------------------------------------


def test_a_large_hardness_is_a_hard_row_by_every_score(make_net, rows):
    net = make_net(module__hidden_layer_sizes=()).initialize()
    with torch.no_grad():
        net.module_.head.weight.copy_(torch.eye(3, 5))
        net.module_.head.bias.zero_()
    head = Head.find(net, rows)
    output, y = torch.tensor([[9.0, 0.0, 0.0], [3.0, 2.5, 0.0], [4.0, 1.0, 0.0]]), torch.tensor([0, 0, 0])
    for score in ("mms", "margin", "entropy", "loss", lambda output, y: -output.amax(dim=1)):
        hard = hardness(score, net, head, output, y)
        assert hard.argsort(descending=True).tolist() == [1, 2, 0]
    torch.testing.assert_close(hardness("mms", net, head, output, y), -torch.tensor([9, 0.5, 3]) / 2**0.5)
    torch.testing.assert_close(hardness("margin", net, head, output, y), -torch.tensor([9.0, 0.5, 3.0]))
    torch.testing.assert_close(hardness("entropy", net, head, output, y), scores.entropy(output))
    torch.testing.assert_close(hardness("loss", net, head, output, y), scores.loss(output, y))


def test_nan_is_easiest_of_all(make_net, rows):
    net = make_net()
    head = find(net, rows)
    hard = hardness(lambda output, y: output[:, 0], net, head, torch.tensor([[1.0], [torch.nan], [-1e38]]), 0)
    assert hard.argsort(descending=True).tolist() == [0, 2, 1]
    assert not hard.isnan().any()


@pytest.mark.parametrize("score", ["mms", "margin", "entropy", "loss"])
def test_a_row_of_nan_is_never_picked_first(score, make_net, rows):
    net = make_net()
    head = find(net, rows)
    output, y = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    output[2] = torch.nan
    assert hardness(score, net, head, output, y).argmin() == 2


def test_an_unknown_score_is_refused(make_net, rows):
    net = make_net()
    with pytest.raises(ValueError, match="score must be one of .*'mms'.* or a callable, got 'hardest'"):
        hardness("hardest", net, find(net, rows), torch.zeros(2, 3), None)


@pytest.mark.parametrize(
    ("score", "got"),
    [
        (lambda output, y: output, r"shape \(4, 3\)"),
        (lambda output, y: output.mean(), r"shape \(\)"),
        (lambda output, y: output[1:, 0], r"shape \(3,\)"),
        (lambda output, y: output[:, 0].tolist(), "list"),
    ],
    ids=["table", "number", "too short", "list"],
)
def test_a_score_that_is_not_one_number_a_row_is_refused(score, got, make_net, rows):
    net = make_net()
    head = find(net, rows)
    with pytest.raises(ValueError, match=rf"tensor of shape \(4,\), one number per row.*got {got}"):
        hardness(score, net, head, torch.zeros(4, 3), None)


# -- the loss of each row --------------------------------------------------------------------------


def test_row_losses_have_the_nets_own_loss_for_their_mean(make_net, rows):
    _, y = rows.batch
    values = torch.randn(30, 2)
    cases = [
        (make_net(), torch.randn(30, 3), y),
        (make_net(criterion__label_smoothing=0.1), torch.randn(30, 3), y),
        (make_net(criterion=nn.NLLLoss), torch.randn(30, 3).softmax(dim=1), y),
        (make_net(criterion=nn.MultiMarginLoss), torch.randn(30, 3), y),
        (make_net(kind=SelectiveNetRegressor, criterion=nn.MSELoss), torch.randn(30, 2), values),
        (make_net(kind=SelectiveNetRegressor, criterion=nn.L1Loss), torch.randn(30, 1), values[:, :1]),
        (
            make_net(kind=SelectiveNetBinaryClassifier, criterion=nn.BCEWithLogitsLoss),
            torch.randn(30),
            (y > 0).float(),
        ),
    ]
    for net, output, target in cases:
        net.initialize()
        losses = row_losses(net, output, target)
        assert losses.shape == (30,)
        torch.testing.assert_close(losses.mean(), net.get_loss(output, target))
        for i in (0, 29):
            torch.testing.assert_close(
                losses[i], net.get_loss(output[i : i + 1], target[i : i + 1]), rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_reduction_of_the_criterion_is_put_back_even_after_an_error(reduction, make_net):
    net = make_net(criterion__reduction=reduction).initialize()
    row_losses(net, torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]))
    assert net.criterion_.reduction == reduction
    with pytest.raises(IndexError):
        row_losses(net, torch.zeros(4, 3), torch.tensor([0, 1, 2, 7]))
    assert net.criterion_.reduction == reduction


def test_a_criterion_without_reduction_is_refused_with_a_way_out(make_net):
    class Own(nn.Module):
        def forward(self, output, y):
            return (output - y).square().mean()

    net = make_net(kind=SelectiveNetRegressor, criterion=Own).initialize()
    with pytest.raises(
        ValueError, match="Own has no `reduction`.*Give the criterion a `reduction`.*callable"
    ):
        row_losses(net, torch.zeros(4, 1), torch.zeros(4, 1))


def test_scores_of_a_plain_skorch_net_work_too(data, rows):
    """A monitor may watch a net without a selector."""
    torch.manual_seed(0)
    net = NeuralNetClassifier(Uneasy, criterion=nn.CrossEntropyLoss).initialize()
    output = outputs(net, rows, dtype="float32", chunk=8)
    assert Head.find(net, rows).mms(output).shape == (30,)


def test_a_compiled_module_is_scored_as_it_was_written(make_net, rows, monkeypatch):
    """Another mode and another number of rows would compile it anew."""

    class Compiled(nn.Module):
        def __init__(self, module):
            super().__init__()
            self._orig_mod = module  # as torch names it

        def forward(self, *args, **kwargs):
            raise AssertionError("the compiled module must not run")

    monkeypatch.setattr(torch, "compile", lambda module, **kwargs: Compiled(module))
    net = make_net(compile=True).initialize()
    assert isinstance(net.module_, Compiled)
    plain = net.module_._orig_mod.eval()
    torch.testing.assert_close(outputs(net, rows, dtype="float32", chunk=8), plain(rows.batch[0]))
    named = Rows(({"X": rows.batch[0]}, rows.batch[1]))
    torch.testing.assert_close(outputs(net, named, dtype="float32", chunk=8), plain(rows.batch[0]))


def test_numpy_batches_are_taken_too(make_net, data):
    net = make_net().initialize()
    X, y = data
    output = outputs(net, Rows((X[:20], y[:20])), dtype="float32", chunk=8)
    np.testing.assert_allclose(output.numpy(), net.forward(X[:20]).numpy(), rtol=1e-4, atol=1e-5)
