import numpy as np
import pytest
import torch
from skorch.dataset import Dataset
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)

from skalss.network.loader import TensorLoader, can_number, numbered


def _dataset(n_rows):
    X = torch.arange(n_rows, dtype=torch.float32)[:, None] * torch.ones(1, 3)
    return Dataset(X, torch.arange(n_rows) * 10)


def _rows(loader):
    """Row numbers, batch by batch; labels must stay with their rows."""
    batches = list(loader)
    for X, y in batches:
        assert torch.equal(X[:, 0].long() * 10, y)
    return [X[:, 0].long().tolist() for X, _ in batches]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("n_rows", "batch_size"), [(1, 32), (2, 1), (33, 32), (34, 32), (64, 32), (65, 2), (100, 1000), (100, -1)]
)
def test_every_row_once_a_pass(n_rows, batch_size, shuffle):
    loader = TensorLoader(_dataset(n_rows), batch_size, shuffle=shuffle)
    for _ in range(2):
        batches = _rows(loader)
        assert sorted(sum(batches, [])) == list(range(n_rows))
        assert len(batches) == len(loader)


def test_order_is_kept_without_shuffling():
    loader = TensorLoader(_dataset(10), 4)
    assert _rows(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert _rows(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_each_pass_has_a_new_order_drawn_from_torch():
    loader = TensorLoader(_dataset(100), 10, shuffle=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first, second = _rows(loader), _rows(loader)
        torch.manual_seed(0)
        again = _rows(loader)
    assert first != second
    assert first == again
    assert sum(first, []) != list(range(100))


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "sizes"),
    [
        (33, 32, [33]),
        (65, 32, [32, 33]),
        (66, 32, [32, 32, 2]),
        (32, 32, [32]),
        (1, 32, [1]),
        (3, 1, [1, 1, 1]),
        (3, 2, [3]),
    ],
)
def test_a_lone_last_row_joins_the_batch_before(n_rows, batch_size, sizes):
    loader = TensorLoader(_dataset(n_rows), batch_size)
    assert [len(batch) for batch in _rows(loader)] == sizes
    assert len(loader) == len(sizes)


@pytest.mark.parametrize(("n_rows", "sizes"), [(33, [32]), (64, [32, 32]), (95, [32, 32]), (5, [])])
@pytest.mark.parametrize("shuffle", [False, True])
def test_drop_last(n_rows, sizes, shuffle):
    loader = TensorLoader(_dataset(n_rows), 32, drop_last=True, shuffle=shuffle)
    batches = _rows(loader)
    assert [len(batch) for batch in batches] == sizes
    assert len(loader) == len(sizes)
    assert len(set(sum(batches, []))) == 32 * len(sizes)


def test_minus_one_takes_all_rows():
    assert [len(batch) for batch in _rows(TensorLoader(_dataset(70), -1))] == [70]


def test_subset_and_subset_of_a_subset():
    subset = Subset(_dataset(20), [3, 1, 4, 15, 9])
    assert _rows(TensorLoader(subset, 2)) == [[3, 1], [4, 15, 9]]
    assert _rows(TensorLoader(Subset(subset, [4, 0]), 8)) == [[9, 3]]
    assert _rows(TensorLoader(Subset(_dataset(20), np.array([2, 5])), 8)) == [[2, 5]]


def test_without_labels():
    loader = TensorLoader(Dataset(torch.ones(5, 2)), 3)
    assert [(X.shape[0], y.tolist()) for X, y in loader] == [(3, [0, 0, 0]), (2, [0, 0])]


@pytest.mark.parametrize(
    "dataset",
    [TensorDataset(torch.ones(3, 2)), Dataset(np.ones((3, 2))), [1, 2, 3]],
    ids=lambda dataset: type(dataset).__name__,
)
def test_other_data_sets_are_refused_with_a_way_out(dataset):
    with pytest.raises(TypeError, match="skorch Dataset of tensors, got .*iterator_train=torch.utils.data"):
        TensorLoader(dataset, 2)


# -- rows that know their number ------------------------------------------------------------------


def _doubled(samples):
    X, y = default_collate(samples)
    return {"X": 2 * X}, y


def _same(loader):
    """The batches of two passes as they are, and with their numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = [list(loader()) for _ in "ab"]
        torch.manual_seed(0)
        told = [list(numbered(loader())) for _ in "ab"]
    return zip(sum(plain, []), sum(told, []), strict=True)


@pytest.mark.parametrize("kwargs", [{}, {"drop_last": True}, {"shuffle": True}], ids=str)
@pytest.mark.parametrize(("n_rows", "batch_size"), [(1, 16), (32, 16), (33, 16), (31, 1), (65, -1)])
def test_numbered_batches_of_tensors_are_the_same_batches(n_rows, batch_size, kwargs):
    for (X, y), ((X_again, y_again), ids) in _same(
        lambda: TensorLoader(_dataset(n_rows), batch_size, **kwargs)
    ):
        assert torch.equal(X, X_again)
        assert torch.equal(y, y_again)
        assert torch.equal(ids, X[:, 0].long())
        assert ids.device.type == "cpu"


@pytest.mark.parametrize("loader", [TensorLoader, DataLoader])
def test_numbers_are_positions_in_the_subset(loader):
    subset = Subset(_dataset(20), [3, 1, 4, 15, 9])
    batches = [(X[:, 0].tolist(), ids.tolist()) for (X, _), ids in numbered(loader(subset, 3))]
    assert batches == [([3, 1, 4], [0, 1, 2]), ([15, 9], [3, 4])]
    ((X, y), ids) = next(numbered(loader(Subset(subset, [4, 0]), 8)))
    assert (X[:, 0].tolist(), y.tolist(), ids.tolist()) == ([9, 3], [90, 30], [0, 1])


class _Negative(DataLoader):
    """Changes batches on their way, as one that moves them to a device does."""

    def __iter__(self):
        for X, y in super().__iter__():
            yield -X, y


@pytest.mark.parametrize("collate", [None, _doubled], ids=["default", "own"])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"batch_size": 8},
        {"batch_size": 8, "shuffle": True},
        {"batch_size": 8, "drop_last": True},
        {"batch_sampler": [[5, 3], [7], [1, 2, 0]]},
        {"batch_size": 4, "sampler": WeightedRandomSampler(torch.ones(33), 50)},
    ],
    ids=["plain", "shuffled", "drop_last", "batch_sampler", "sampler"],
)
def test_numbered_batches_of_a_data_loader_are_the_same_batches(kwargs, collate):
    dataset = _dataset(33)
    for (X, y), (same, ids) in _same(lambda: DataLoader(dataset, collate_fn=collate, **kwargs)):
        X_again, y_again = same
        assert type(same) is list if collate is None else tuple
        if collate is not None:
            X, X_again = X["X"] / 2, X_again["X"] / 2
        assert torch.equal(X, X_again)
        assert torch.equal(y, y_again)
        assert torch.equal(ids, X[:, 0].long())


def test_passes_of_one_loader_have_numbers_of_their_own():
    loader = DataLoader(_dataset(9), 2, shuffle=True)
    first, second = numbered(loader), numbered(loader)
    for _ in range(3):
        for told in (first, second):
            (X, _), ids = next(told)
            assert torch.equal(ids, X[:, 0].long())


def test_a_subclass_may_change_its_batches():
    for (X, _), ids in numbered(_Negative(_dataset(9), 2, shuffle=True)):
        assert torch.equal(ids, -X[:, 0].long())


@pytest.mark.slow
@pytest.mark.parametrize("persistent", [False, True])
def test_numbered_batches_come_from_worker_processes(persistent):
    loader = DataLoader(
        _dataset(33), 8, num_workers=2, shuffle=True, collate_fn=_doubled, persistent_workers=persistent
    )
    for _ in range(2):
        for (X, _), ids in numbered(loader):
            assert torch.equal(ids, X["X"][:, 0].long() // 2)


class _Stream(IterableDataset):
    def __iter__(self):
        return iter([0, 1, 2])


@pytest.mark.parametrize(
    ("loader", "expected"),
    [
        (DataLoader(_dataset(3)), True),
        (_Negative(_dataset(3)), True),
        (TensorLoader(_dataset(3)), True),
        (DataLoader(Subset(_dataset(3), [0])), True),
        (DataLoader(_Stream()), False),
        (DataLoader(_dataset(3), batch_size=None), False),
        ([1, 2], False),
    ],
    ids=["DataLoader", "subclass", "TensorLoader", "subset", "stream", "no batches", "list"],
)
def test_which_loaders_can_number(loader, expected):
    assert can_number(loader) is expected
    assert all((ids is not None) == expected for _, ids in numbered(loader))


@pytest.mark.parametrize("rows", [[0, 12], [-1]], ids=str)
def test_a_sampler_made_for_other_rows_is_refused_with_a_way_out(rows):
    loader = TensorLoader(_dataset(9), 2, sampler=rows)
    with pytest.raises(ValueError, match="drew rows from .* but there are 9 rows.*leave it out there"):
        list(loader)


@pytest.mark.gpu
def test_numbers_stay_on_the_host():
    device = torch.accelerator.current_accelerator()
    X = torch.arange(10.0, device=device)[:, None]
    dataset = Dataset(X, torch.arange(10, device=device))
    for (X_batch, _), ids in numbered(TensorLoader(dataset, 4, shuffle=True)):
        assert ids.device.type == "cpu"
        assert torch.equal(X_batch[:, 0].cpu().long(), ids)
