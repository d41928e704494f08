"""The last linear layer of a network, as scores of rows need it."""

import pytest
import torch
from torch import nn

from skalss import scores
from skalss.selective import SelectiveNetBinaryClassifier
from skalss.selective.scoring import Head, are_class_scores, forward

from .scored import Uneasy, find


class NoHead(nn.Module):
    """Ends in a convolution: there is no last linear layer."""

    def __init__(self, softmax=False):
        super().__init__()
        self.last = nn.Conv1d(1, 3, 5)
        self.softmax = softmax

    def forward(self, X):
        z = self.last(X[:, None]).squeeze(2)
        return z.softmax(dim=1) if self.softmax else z


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
def test_pull_of_each_row(probabilities, make_net, rows):
    criterion = nn.NLLLoss if probabilities else nn.CrossEntropyLoss
    head = find(make_net(criterion=criterion), rows)
    z, y = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    p = z.softmax(dim=1)
    output = p if probabilities else z
    torch.testing.assert_close(head.pull(output, y), (p - torch.eye(3)[y]).norm(dim=1), rtol=1e-4, atol=1e-6)


def test_pull_of_a_binary_net(make_net, rows):
    net = make_net(kind=SelectiveNetBinaryClassifier, module__output_dim=1, criterion=nn.BCEWithLogitsLoss)
    head = find(net, rows)
    z, y = torch.tensor([-2.0, 0.0, 3.0]), torch.tensor([0.0, 1.0, 0.0])
    p = z.sigmoid()
    for shape in ((-1,), (-1, 1)):
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
