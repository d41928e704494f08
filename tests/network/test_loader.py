import numpy as np
import pytest
import torch
from skorch.dataset import Dataset
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset, default_collate

from skalss.network.loader import NumberedRows, TensorLoader, can_number, number_batches


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


@pytest.mark.parametrize("kwargs", [{}, {"drop_last": True}, {"shuffle": True}], ids=str)
@pytest.mark.parametrize(("n_rows", "batch_size"), [(1, 16), (32, 16), (33, 16), (31, 1), (65, -1)])
def test_numbered_batches_of_tensors_are_the_same_batches(n_rows, batch_size, kwargs):
    dataset = _dataset(n_rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = [list(TensorLoader(dataset, batch_size, **kwargs)) for _ in "ab"]
        torch.manual_seed(0)
        numbered = [list(TensorLoader(NumberedRows(dataset), batch_size, **kwargs)) for _ in "ab"]
    for before, after in zip(plain, numbered, strict=True):
        assert len(before) == len(after)
        for (X, y), ((X_numbered, y_numbered), ids) in zip(before, after, strict=True):
            assert torch.equal(X, X_numbered)
            assert torch.equal(y, y_numbered)
            assert torch.equal(ids, X[:, 0].long())
            assert ids.device.type == "cpu"


def test_numbers_are_positions_in_the_subset():
    subset = Subset(_dataset(20), [3, 1, 4, 15, 9])
    batches = list(TensorLoader(NumberedRows(subset), 2))
    assert [X[:, 0].tolist() for (X, _), _ in batches] == [[3, 1], [4, 15, 9]]
    assert [ids.tolist() for _, ids in batches] == [[0, 1], [2, 3, 4]]
    ((X, y), ids) = next(iter(TensorLoader(NumberedRows(Subset(subset, [4, 0])), 8)))
    assert (X[:, 0].tolist(), y.tolist(), ids.tolist()) == ([9, 3], [90, 30], [0, 1])


def test_numbered_rows_are_samples_with_their_position():
    dataset = _dataset(3)
    numbered = NumberedRows(dataset)
    assert len(numbered) == 3
    (X, y), i = numbered[2]
    assert (X.tolist(), y.item(), i) == ([2, 2, 2], 20, 2)


def _doubled(samples):
    X, y = default_collate(samples)
    return {"X": 2 * X}, y


@pytest.mark.parametrize("collate", [None, _doubled], ids=["default", "own"])
@pytest.mark.parametrize("kwargs", [{}, {"shuffle": True}, {"drop_last": True, "num_workers": 0}], ids=str)
def test_numbered_batches_of_a_data_loader_are_the_same_batches(kwargs, collate):
    dataset = _dataset(33)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        plain = DataLoader(dataset, 8, collate_fn=collate, **kwargs)
        before = [list(plain) for _ in "ab"]
        torch.manual_seed(0)
        numbered = number_batches(DataLoader(NumberedRows(dataset), 8, collate_fn=collate, **kwargs))
        after = [list(numbered) for _ in "ab"]
    assert len(numbered) == len(plain)
    for batch, (same, ids) in zip(sum(before, []), sum(after, []), strict=True):
        (X, y), (X_numbered, y_numbered) = batch, same
        assert type(same) is type(batch)
        if collate is not None:
            X, X_numbered = X["X"] / 2, X_numbered["X"] / 2
        assert torch.equal(X, X_numbered)
        assert torch.equal(y, y_numbered)
        assert torch.equal(ids, X[:, 0].long())


@pytest.mark.slow
def test_numbered_batches_come_from_worker_processes():
    loader = number_batches(DataLoader(NumberedRows(_dataset(33)), 8, num_workers=2, collate_fn=_doubled))
    ids = [ids for _, ids in loader]
    assert torch.cat(ids).tolist() == list(range(33))


def test_a_tensor_loader_numbers_without_help():
    loader = TensorLoader(NumberedRows(_dataset(5)), 2)
    assert number_batches(loader) is loader


class _Stream(IterableDataset):
    def __iter__(self):
        return iter(range(3))


class _OwnLoader(DataLoader):
    pass


@pytest.mark.parametrize(
    ("iterator", "dataset", "expected"),
    [
        (DataLoader, _dataset(3), True),
        (_OwnLoader, _dataset(3), True),
        (TensorLoader, _dataset(3), True),
        (DataLoader, Subset(_dataset(3), [0]), True),
        (DataLoader, _Stream(), False),
        (lambda dataset, **kwargs: DataLoader(dataset), _dataset(3), False),
        (list, _dataset(3), False),
    ],
    ids=["DataLoader", "subclass", "TensorLoader", "subset", "stream", "function", "list"],
)
def test_which_loaders_can_number(iterator, dataset, expected):
    assert can_number(iterator, dataset) is expected


@pytest.mark.gpu
def test_numbers_stay_on_the_host():
    device = torch.accelerator.current_accelerator()
    X = torch.arange(10.0, device=device)[:, None]
    dataset = Dataset(X, torch.arange(10, device=device))
    for (X_batch, _), ids in TensorLoader(NumberedRows(dataset), 4, shuffle=True):
        assert ids.device.type == "cpu"
        assert torch.equal(X_batch[:, 0].cpu().long(), ids)
