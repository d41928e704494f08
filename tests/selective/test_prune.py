import numpy as np
import pytest
import torch
from torch import nn

from skalss.network.loader import TensorLoader
from skalss.selective import HardestRows, PruneEasyRows, SelectiveNetClassifier


def n_rows_used(net):
    return [sum(batch["train_batch_size"] for batch in epoch["batches"]) for epoch in net.history]


def weights_seen(watch):
    return [None if s.rows.weights is None else s.rows.weights.tolist() for s in watch.selections]


def test_easy_rows_are_skipped_until_the_end(make_net, data):
    net = make_net(PruneEasyRows(easy=0.5, skip=0.5, end=0.75), max_epochs=20).fit(*data)
    rows = n_rows_used(net)
    assert rows[0] == 160
    assert rows[15:] == [160] * 5
    assert 90 < np.mean(rows[5:15]) < 140  # a quarter less, and a little more while the margins grow
    assert max(rows[5:15]) < 160
    assert np.mean(net.history[5:15, "train_batch_count"]) < 9.5


@pytest.mark.parametrize(("easy", "skip"), [(0.5, 0.5), (0.8, 0.75), (0.0, 0.9)])
def test_the_share_skipped_is_that_asked_for(easy, skip, make_net, data):
    net = make_net(PruneEasyRows(easy=easy, max_doubt=1.0, skip=skip, end=1.0), max_epochs=25, lr=0.0).fit(
        *data
    )
    used = np.mean(n_rows_used(net)[5:])
    expected = 160 * (1 - easy * skip)
    assert abs(used - expected) < 2 + 5 * (160 * easy * skip * (1 - skip) / 20) ** 0.5


def test_rows_of_large_margin_are_the_easy_ones(make_net, data, watch):
    net = make_net(
        PruneEasyRows(easy=0.5, max_doubt=1.0, end=1.0),
        watch=watch,
        max_epochs=20,
        lr=0.0,
        iterator_train__shuffle=False,
    )
    net.fit(*data)
    late = [ids for ids, epoch in zip(watch.ids, watch.epochs, strict=True) if epoch > 5]
    counts = np.bincount(torch.cat(late), minlength=160)
    with torch.no_grad():
        z = net.forward(data[0])
    top = z.topk(2, dim=1).values
    margin = top[:, 0] - top[:, 1]
    order = margin.argsort().numpy()
    assert set(counts[order[:79]]) == {15}
    assert counts[order[81:]].max() < 15


def test_easy_rows_that_stay_weigh_more(make_net, data, watch):
    make_net(PruneEasyRows(skip=0.75, end=0.9), watch=watch, max_epochs=20).fit(*data)
    weights = weights_seen(watch)
    late = [w for w, epoch in zip(weights, watch.epochs, strict=True) if epoch > 18]
    assert all(w is None for w in late)
    pruned = sum((w for w, epoch in zip(weights, watch.epochs, strict=True) if 5 < epoch <= 18), [])
    assert set(pruned) == {1.0, 4.0}


class SummedGradients(SelectiveNetClassifier):
    """Adds up the gradients of the sum over rows, step by step."""

    def train_step_single(self, batch, **fit_params):
        step = super().train_step_single(batch, **fit_params)
        gradient = torch.cat([p.grad.flatten() for p in self.module_.parameters()])
        epoch = len(self.history) - 1
        self.sums = getattr(self, "sums", {})
        self.sums[epoch] = self.sums.get(epoch, 0) + len(batch[1]) * gradient
        return step


class Unweighted(PruneEasyRows):
    def row_weights(self, net):
        return None


@pytest.mark.parametrize(("selector", "keeps"), [(PruneEasyRows, True), (Unweighted, False)])
def test_the_gradient_summed_over_an_epoch_keeps_its_expectation(selector, keeps, make_net, data):
    """Over many epochs with frozen weights; without the weights of rows the bound is broken."""
    X, y = data
    net = make_net(selector(easy=0.7, skip=0.75, end=1.0), kind=SummedGradients, max_epochs=60, lr=0.0)
    net.fit(X, y)
    sums = torch.stack([net.sums[epoch] for epoch in range(5, 60)])
    loss = nn.functional.cross_entropy(net.infer(torch.from_numpy(X)), torch.from_numpy(y), reduction="sum")
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.module_.parameters()))])
    bound = 5 * sums.std(dim=0) / len(sums) ** 0.5 + 1e-3
    assert bool(((sums.mean(dim=0) - expected).abs() <= bound).all()) is keeps
    assert sums.std(dim=0).max() > 0


def test_the_loss_recorded_is_the_weighted_mean(make_net, data, watch):
    """With the weights frozen the recorded losses, times their rows, sum to the full loss in expectation."""
    X, y = data
    net = make_net(PruneEasyRows(easy=0.7, skip=0.75, end=1.0), watch=watch, max_epochs=10, lr=0.0).fit(X, y)
    losses = nn.functional.cross_entropy(net.forward(X), torch.from_numpy(y), reduction="none")
    recorded = [b["train_loss"] for epoch in net.history for b in epoch["batches"]]
    for loss, ids, weights in zip(recorded, watch.ids, weights_seen(watch), strict=True):
        assert loss == pytest.approx(float((losses[ids] * torch.tensor(weights)).mean()), rel=1e-4)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss])
def test_weights_of_one_leave_the_loss_as_it_is(criterion, reduction, make_net, data):
    """Nothing is easy in the first epochs: the loss is that of a net without a selector."""
    module = nn.Sequential(nn.Linear(5, 3), nn.Softmax(dim=1))
    params = {"module": module, "criterion": criterion, "criterion__reduction": reduction, "lr": 0.0}
    pruned = make_net("prune", iterator_train__shuffle=False, **params).fit(*data)
    plain = make_net(None, iterator_train__shuffle=False, **params).fit(*data)
    np.testing.assert_allclose(pruned.history[:, "train_loss"], plain.history[:, "train_loss"], rtol=1e-5)


def _fit_alike(make_net, data, **params):
    """Fit a net that prunes and one without a selector, from the same weights."""
    nets = []
    for selector in ("prune", None):
        torch.manual_seed(0)
        nets.append(make_net(selector, **params).fit(*data))
    return nets


def test_a_criterion_that_weighs_classes_keeps_its_scale(make_net, data):
    params = {
        "criterion__weight": torch.tensor([1.0, 10.0, 1.0]),
        "lr": 0.0,
        "iterator_train__shuffle": False,
    }
    pruned, plain = _fit_alike(make_net, data, **params)
    np.testing.assert_allclose(pruned.history[:, "train_loss"], plain.history[:, "train_loss"], rtol=1e-5)


def test_a_loss_of_the_users_own_is_taken_once(make_net, data):
    """As in skorch's recipe for accumulating gradients, which divides the loss by the number of steps."""

    class Quarter(SelectiveNetClassifier):
        def get_loss(self, *args, **kwargs):
            return super().get_loss(*args, **kwargs) / 4

    params = {"kind": Quarter, "lr": 0.0, "iterator_train__shuffle": False}
    pruned, plain = _fit_alike(make_net, data, **params)
    np.testing.assert_allclose(pruned.history[:, "train_loss"], plain.history[:, "train_loss"], rtol=1e-5)


def test_a_step_of_the_users_own_still_teaches_what_is_easy(make_net, data):
    """As in skorch's recipe for accumulating gradients, which does without `train_step`."""

    class EverySecond(SelectiveNetClassifier):
        def train_step(self, batch, **fit_params):
            step = self.train_step_single(batch, **fit_params)
            if len(self.history[-1, "batches"]) % 2 == 0:
                self.optimizer_.step()
                self.optimizer_.zero_grad()
            return step

    net = make_net(PruneEasyRows(easy=0.5, skip=0.5, end=1.0), kind=EverySecond, max_epochs=10).fit(*data)
    assert max(n_rows_used(net)[5:]) < 160


def test_there_is_no_forward_pass_more_than_steps(make_net, data):
    net = make_net(PruneEasyRows(easy=0.5, skip=0.5, end=1.0), max_epochs=6).initialize()
    calls = []
    net.module_.register_forward_hook(
        lambda module, inputs, output: calls.append((module.training, len(inputs[0])))
    )
    net.partial_fit(*data)
    steps = [size for training, size in calls if training]
    assert steps == [b["train_batch_size"] for epoch in net.history for b in epoch["batches"]]
    assert [size for training, size in calls if not training] == [2]  # the dry run that finds the head


def test_scoring_the_rows_would_take_more(make_net, data):
    """The counter of the test above does count."""
    net = make_net(HardestRows(when="always"), max_epochs=6).initialize()
    calls = []
    net.module_.register_forward_hook(lambda module, inputs, output: calls.append(module.training))
    net.partial_fit(*data)
    assert calls.count(False) > 40


@pytest.mark.parametrize("loader", ["DataLoader", "TensorLoader"])
def test_a_lone_row_never_makes_a_batch(loader, make_net, data):
    """Batch normalisation cannot train on it; neither while rows are skipped nor in the last epochs."""
    X, y = (torch.from_numpy(a[:145]) for a in data)
    module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    params = {"iterator_train": TensorLoader} if loader == "TensorLoader" else {}
    net = make_net(PruneEasyRows(end=0.75), module=module, max_epochs=8, **params).fit(X, y)
    assert n_rows_used(net)[-1] == 145
    assert min(batch["train_batch_size"] for epoch in net.history for batch in epoch["batches"]) >= 2


def test_a_network_that_has_diverged_goes_on_to_the_end(make_net, data):
    net = make_net("prune", lr=1e30, max_epochs=8).fit(*data)
    assert len(net.history) == 8


def test_without_a_linear_head_the_gap_of_logits_tells(make_net, data):
    class NoHead(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Conv1d(1, 3, 5)

        def forward(self, X):
            return self.last(X[:, None]).squeeze(2)

    net = make_net(PruneEasyRows(easy=0.5, skip=0.5, end=1.0), module=NoHead, max_epochs=10).fit(*data)
    assert max(n_rows_used(net)[6:]) < 150


def test_a_wrong_name_of_the_head_is_refused(make_net, data):
    with pytest.raises(ValueError, match="head='top' names no layer; the linear layers are .*Give one"):
        make_net(PruneEasyRows(head="top")).fit(*data)


def test_a_network_that_is_unsure_of_most_rows_skips_few(make_net, data):
    """At a learning rate of 0 every row stays as doubtful as at first."""
    steps = {}
    for max_doubt in (1.0, 0.05, 0.0):
        selector = PruneEasyRows(easy=0.7, max_doubt=max_doubt, skip=0.6, end=1.0)
        net = make_net(selector, max_epochs=12, lr=0.0).fit(*data)
        steps[max_doubt] = sum(net.history[5:, "train_batch_count"])
    assert steps[1.0] < steps[0.05] <= steps[0.0]
    assert steps[0.0] == max(net.history[:, "train_batch_count"]) * 7
