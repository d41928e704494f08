import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from skalss.latent import elbo
from skalss.latent.rows import Rows, is_memory_mapped
from skalss.utils.scaling import fit_scaling

CPU = torch.device("cpu")


def test_kl_is_that_of_torch_distributions():
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    expected = kl_divergence(Normal(mean, torch.exp(0.5 * log_variance)), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(elbo.kl_divergence(mean, log_variance), expected)


def test_bernoulli_loss_is_that_of_torch_distributions():
    logits, x = torch.randn(5, 2, 3), torch.randint(2, (5, 2, 3)).float()
    expected = -Bernoulli(logits=logits).log_prob(x).sum(dim=(1, 2)).mean()
    torch.testing.assert_close(elbo.reconstruction_loss(logits, x, "bernoulli"), expected)


def test_gaussian_loss_is_the_lowest_over_all_variances():
    output, x = torch.randn(50, 4), torch.randn(50, 4)
    loss = elbo.reconstruction_loss(output, x, "gaussian").item()
    sigmas = torch.linspace(0.5, 3, 1000)
    losses = [-Normal(output, sigma).log_prob(x).sum(dim=1).mean().item() for sigma in sigmas]
    assert loss == pytest.approx(min(losses), rel=1e-4)


def test_gaussian_loss_is_finite_for_a_perfect_fit():
    x = torch.randn(5, 4)
    output = x.clone().requires_grad_()
    loss = elbo.reconstruction_loss(output, x, "gaussian")
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.equal(output.grad, torch.zeros_like(x))


def test_no_record_of_rows_is_needed_for_the_bound_to_count_them_all():
    """The loss of an epoch is the mean over rows, also when the last batch is small."""
    torch.manual_seed(0)
    X = np.random.default_rng(0).random((10, 4))
    net = elbo.VaeNet(torch.nn.Linear(4, 2), torch.nn.Linear(1, 4))
    for parameter in net.parameters():
        torch.nn.init.zeros_(parameter)  # logits 0 everywhere: log 2 nats a feature, whatever the noise
    trainer = elbo.Trainer(
        net, Rows(X, fit_scaling(X), CPU), 1, "bernoulli", 1.0, 1e-12, 1, 4, False, 0, torch.float32, CPU
    )
    (record,) = trainer.run()
    assert record["loss"] == pytest.approx(4 * math.log(2), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int16])
@pytest.mark.parametrize("max_bytes", [0, 2**20], ids=["read in batches", "resident"])
def test_rows_are_scaled_and_in_order(dtype, max_bytes):
    X = np.random.default_rng(0).integers(0, 200, (30, 2, 3)).astype(dtype)
    scaling = fit_scaling(X)
    rows = Rows(X, scaling, CPU, max_bytes)
    taken = rows.take(torch.tensor([7, 3, 29]))
    assert taken.dtype == torch.float32
    torch.testing.assert_close(taken, scaling(torch.from_numpy(X[[3, 7, 29]])))
    assert len(rows) == 30
    if dtype != np.uint8:  # bytes stay as they are, and may share their memory
        X[:] = 0  # what is resident was read already
        assert torch.equal(rows.take(torch.tensor([7, 3, 29])), taken) == (max_bytes > 0)


def test_memory_maps_and_their_views_are_recognised(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 6)))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert is_memory_mapped(mapped)
    assert is_memory_mapped(np.asarray(mapped)[1:].reshape(-1, 2, 3))
    assert not is_memory_mapped(mapped[[0, 2]].copy())
    assert not is_memory_mapped(np.array(mapped))
    assert not is_memory_mapped(np.frombuffer(b"12345678", dtype=np.uint8))
