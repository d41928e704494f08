import array_api_strict
import numpy as np
import pytest
import torch

from skalss.utils.devices import resolve_device, resolve_dtype
from skalss.utils.seeds import derive_seed, seeded
from skalss.utils.tensors import as_tensor, chunks, to_host

CPU = torch.device("cpu")


def test_devices():
    assert resolve_device("cpu") == CPU
    assert resolve_device(torch.device("meta")).type == "meta"
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    assert resolve_device("auto") == (accelerator or CPU)


@pytest.mark.parametrize("device", ["gpu0", 3.5, None])
def test_a_device_that_is_none(device):
    with pytest.raises(ValueError, match="device must be 'auto', a torch device or its name"):
        resolve_device(device)


def test_dtypes():
    assert resolve_dtype("float32", CPU) == torch.float32
    assert resolve_dtype("bfloat16", CPU) == torch.bfloat16
    assert resolve_dtype("auto", torch.device("meta")) == torch.float32
    with pytest.raises(
        ValueError, match=r"dtype must be one of \['auto', 'float32', 'bfloat16'\], got 'half'"
    ):
        resolve_dtype("half", CPU)


def test_seeded_repeats_and_leaves_the_caller_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    draws = []
    for _ in range(2):
        with seeded(1, CPU):
            draws.append(torch.rand(3))
    assert torch.equal(*draws)
    assert torch.equal(torch.rand(3), expected)


def test_derived_seeds_differ_by_seed_role_and_round():
    seeds = {derive_seed(s, role, r) for s in range(5) for role in ("query", "network") for r in range(20)}
    assert len(seeds) == 200
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_read_only_and_reversed_arrays_become_tensors():
    X = np.arange(6.0)
    X.flags.writeable = False
    tensor = as_tensor(X)
    tensor += 1  # torch may write into its own copy only
    np.testing.assert_array_equal(X, np.arange(6.0))
    np.testing.assert_array_equal(as_tensor(np.arange(6)[::-1]), [5, 4, 3, 2, 1, 0])


@pytest.mark.parametrize(
    "X", [torch.ones(2, requires_grad=True), array_api_strict.ones(2)], ids=["torch", "strict"]
)
def test_to_host(X):
    host = to_host(X)
    assert isinstance(host, np.ndarray)
    np.testing.assert_array_equal(host, [1, 1])


def test_to_host_leaves_lists():
    rows = [[1, 2]]
    assert to_host(rows) is rows


@pytest.mark.parametrize(("n", "size"), [(0, 3), (1, 3), (6, 3), (7, 3)])
def test_chunks_cover_all_rows_once(n, size):
    pieces = [np.arange(n)[piece] for piece in chunks(n, size)]
    assert all(0 < len(piece) <= size for piece in pieces)
    np.testing.assert_array_equal(np.concatenate([np.arange(0), *pieces]), np.arange(n))
