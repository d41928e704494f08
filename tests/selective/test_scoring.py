import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skalss import scores
from skalss.nets import LeNet, ResNet8
from skalss.selective import SelectiveNetBinaryClassifier, SelectiveNetRegressor
from skalss.selective.rows import Rows
from skalss.selective.scoring import Head, are_class_scores, forward, hardness, outputs, row_losses
from skalss.utils.devices import supports_bf16


class Uneasy(nn.Module):
    """Registers its layers out of order, one of them never run, and gives a second output."""

    def __init__(self, softmax=False):
        super().__init__()
        self.top = nn.Linear(8, 3)
        self.bottom = nn.Linear(5, 8)
        self.unused = nn.Linear(8, 3)
        self.softmax = softmax

    def forward(self, X):
        z = self.top(self.bottom(X).relu())
        return (z.softmax(dim=1) if self.softmax else z), X


class NoHead(nn.Module):
    """Ends in a convolution: there is no last linear layer."""

    def __init__(self, softmax=False):
        super().__init__()
        self.last = nn.Conv1d(1, 3, 5)
        self.softmax = softmax

    def forward(self, X):
        z = self.last(X[:, None]).squeeze(2)
        return z.softmax(dim=1) if self.softmax else z


@pytest.fixture
def rows(data):
    X, y = data
    return Rows((torch.from_numpy(X[:30]), torch.from_numpy(y[:30])))


def find(net, rows, *args, **kwargs):
    return Head.find(net.initialize(), rows, *args, **kwargs)


# -- the head -------------------------------------------------------------------------------------


def test_the_head_is_the_last_layer_run_not_the_last_registered(make_net, rows):
    net = make_net(module=Uneasy)
    head = find(net, rows)
    assert head.layer is net.module_.top
    assert not head.probabilities


def test_a_name_overrules_the_head_found(make_net, rows):
    net = make_net(module=Uneasy)
    assert find(net, rows, "unused").layer is net.module_.unused


@pytest.mark.parametrize(("name", "got"), [("nope", "no layer"), ("", "Uneasy")])
def test_a_name_of_no_linear_layer_is_refused_with_those_there_are(name, got, make_net, rows):
    with pytest.raises(ValueError, match=f"head='{name}' names {got}; .*'top', 'bottom', 'unused'.*Give one"):
        find(make_net(module=Uneasy), rows, name)


def test_without_a_head_mms_says_what_to_do(make_net, rows):
    net = make_net(module=NoHead)
    head = find(net, rows)
    assert head.layer is None
    with pytest.raises(ValueError, match=r"no nn\.Linear as wide as its output.*score='margin'.*head="):
        head.mms(torch.zeros(4, 3))


@pytest.mark.parametrize("softmax", [False, True])
def test_without_a_head_the_margin_is_the_gap_of_logits(softmax, make_net, rows):
    criterion = nn.NLLLoss if softmax else nn.CrossEntropyLoss
    net = make_net(module=NoHead, module__softmax=softmax, criterion=criterion)
    head = find(net, rows)
    output = forward(net, rows, {})
    with torch.no_grad():
        logits = net.module_.last(rows.batch[0][:, None]).squeeze(2)
    torch.testing.assert_close(head.margin(output), scores.margin(logits), rtol=1e-4, atol=1e-5)


def test_with_a_head_the_margin_is_the_minimal_margin_score(make_net, rows):
    net = make_net()
    head = find(net, rows)
    logits = net.forward(rows.batch[0])
    expected = scores.mms(logits, net.module_.head.weight.detach())
    torch.testing.assert_close(head.margin(logits), expected)
    torch.testing.assert_close(head.mms(logits), expected)


def test_the_bias_counts_when_asked_for(make_net, rows):
    net = make_net().initialize()
    nn.init.normal_(net.module_.head.bias, std=3.0)
    logits = net.forward(rows.batch[0])
    weight, bias = net.module_.head.weight.detach(), net.module_.head.bias.detach()
    without, with_ = (Head.find(net, rows, with_bias=b).mms(logits) for b in (False, True))
    torch.testing.assert_close(without, scores.mms(logits, weight))
    torch.testing.assert_close(with_, scores.mms(logits, weight, bias))
    assert not torch.allclose(with_, without)


def test_a_head_without_a_bias_has_none_to_count(make_net, rows):
    net = make_net(module=nn.Linear, module__in_features=5, module__out_features=3, module__bias=False)
    head = find(net, rows, with_bias=True)
    logits = net.forward(rows.batch[0])
    torch.testing.assert_close(head.mms(logits), scores.mms(logits, net.module_.weight.detach()))


def test_the_head_follows_the_weights_as_they_are_trained(make_net, rows):
    net = make_net()
    head = find(net, rows)
    logits = torch.randn(6, 3)
    before = head.mms(logits)
    with torch.no_grad():
        net.module_.head.weight *= 2
    torch.testing.assert_close(head.mms(logits), before / 2)


@pytest.mark.parametrize("criterion", [nn.BCEWithLogitsLoss, nn.BCELoss])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_output_of_a_binary_net(criterion, shape, make_net, rows):
    net = make_net(kind=SelectiveNetBinaryClassifier, module__output_dim=1, criterion=criterion)
    head = find(net, rows)
    z = torch.tensor([-2.0, -0.5, 0.0, 1.0, 3.0])
    output = (z.sigmoid() if criterion is nn.BCELoss else z).reshape(shape)
    weight = net.module_.head.weight.detach()
    torch.testing.assert_close(head.mms(output), z.abs() / weight.norm(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("probabilities", [False, True])
def test_doubt_and_pull_of_each_row(probabilities, make_net, rows):
    criterion = nn.NLLLoss if probabilities else nn.CrossEntropyLoss
    head = find(make_net(criterion=criterion), rows)
    z, y = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    p = z.softmax(dim=1)
    output = p if probabilities else z
    torch.testing.assert_close(head.doubt(output), 1 - p.amax(dim=1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(head.pull(output, y), (p - torch.eye(3)[y]).norm(dim=1), rtol=1e-4, atol=1e-6)


def test_doubt_and_pull_of_a_binary_net(make_net, rows):
    net = make_net(kind=SelectiveNetBinaryClassifier, module__output_dim=1, criterion=nn.BCEWithLogitsLoss)
    head = find(net, rows)
    z, y = torch.tensor([-2.0, 0.0, 3.0]), torch.tensor([0.0, 1.0, 0.0])
    p = z.sigmoid()
    for shape in ((-1,), (-1, 1)):
        torch.testing.assert_close(head.doubt(z.reshape(shape)), torch.minimum(p, 1 - p))
        torch.testing.assert_close(head.pull(z.reshape(shape), y), (p - y).abs() * 2**0.5)


@pytest.mark.parametrize(
    ("output", "y", "are"),
    [
        (torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]), True),
        (torch.zeros(4, 3), torch.zeros(4), False),
        (torch.zeros(4, 3), torch.zeros(4, 3), False),
        (torch.zeros(4, 3), None, False),
        (torch.zeros(4, 3, 2), torch.tensor([0, 1, 2, 0]), False),
        (torch.zeros(4), torch.tensor([0.0, 1.0, 1.0, 0.0]), True),
        (torch.zeros(4, 1), torch.tensor([[0.0], [1.0], [1.0], [0.0]]), True),
        (torch.zeros(4, 1), torch.tensor([[0.0], [1.0], [1.5], [0.0]]), False),
        (torch.zeros(4, 1), torch.tensor([0, 1]), False),
    ],
)
def test_whether_an_output_scores_classes(output, y, are):
    assert are_class_scores(output, y) is are


# -- the pass -------------------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match="dtype must be 'auto', 'float32' or 'bfloat16', got 'half'"):
        outputs(make_net().initialize(), rows, dtype="half", chunk=8)


# -- hardness -------------------------------------------------------------------------------------


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


# -- the loss of each row -------------------------------------------------------------------------


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
            self._orig_mod = module

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
