import numpy as np
import pytest
import torch
from skorch.dataset import Dataset
from torch.utils.data import DataLoader, Subset, default_collate

from skalss.network.loader import TensorLoader, numbered
from skalss.selective.rows import Rows, RowStream

FORMS = {
    "tensor": lambda x: x,
    "array": lambda x: x.numpy(),
    "dict": lambda x: {"a": x, "b": 2 * x},
    "list": lambda x: [x, 2 * x],
    "tuple": lambda x: (x, 2 * x),
    "nested": lambda x: {"a": (x, 2 * x)},
}
each_form = pytest.mark.parametrize("form", FORMS)


class Endless:
    """A loader without a length. Rows are their own numbers, X and y alike."""

    def __init__(self, n_rows, batch_size=10, form="tensor"):
        self.n_rows, self.batch_size, self.form, self.numbered = n_rows, batch_size, form, numbered
        self.n_passes = 0

    def __iter__(self):
        self.n_passes += 1
        for start in range(0, self.n_rows, self.batch_size):
            ids = torch.arange(start, min(start + self.batch_size, self.n_rows))
            yield ids[:, None].float(), ids


class Loader(Endless):
    def __len__(self):
        return -(-self.n_rows // self.batch_size)


def data_loader(n_rows, form="tensor"):
    """The same rows, of a loader that can tell their positions."""

    def collate(ids):
        ids = torch.tensor(ids)
        return FORMS[form](ids[:, None].float()), ids

    return DataLoader(range(n_rows), 10, collate_fn=collate)


def leaves(nested):
    if isinstance(nested, dict):
        nested = list(nested.values())
    if isinstance(nested, list | tuple):
        return sum((leaves(part) for part in nested), [])
    return [np.asarray(nested)]


def numbers(rows):
    """The rows' numbers, which every part of a batch must agree on."""
    X, y = rows.batch
    first, *others = leaves(X)
    for other in others:
        np.testing.assert_array_equal(other, 2 * first)
    np.testing.assert_array_equal(first[:, 0], y)
    assert len(rows) == len(y)
    return y.tolist()


def one_pass(stream, factor, **kwargs):
    answers = [numbers(stream.take(factor, **kwargs))]
    while not stream.at_start:
        rows = stream.take(factor, **kwargs)
        if rows is not None:
            answers.append(numbers(rows))
    return answers


@pytest.mark.parametrize("loader", [Loader, Endless])
@pytest.mark.parametrize(
    ("n_rows", "factor"), [(1, 2), (10, 1), (11, 1.5), (29, 3), (90, 3), (95, 1.5), (100, 100), (105, 2)]
)
def test_every_row_comes_once_a_pass_in_pools_of_the_size_asked(n_rows, factor, loader):
    stream = RowStream(loader(n_rows))
    for _ in range(3):
        assert stream.at_start
        *pools, last = one_pass(stream, factor)
        assert sorted(sum(pools, []) + last) == list(range(n_rows))
        assert {len(pool) for pool in pools} <= {round(10 * factor)}
        if pools:
            assert 10 <= len(last) < 10 * factor + 10


@pytest.mark.parametrize(
    ("n_rows", "min_tail", "sizes"),
    [
        (90, None, [30, 30, 30]),
        (95, None, [30, 30, 35]),
        (99, None, [30, 30, 39]),
        (100, None, [30, 30, 30, 10]),
        (95, 5, [30, 30, 30, 5]),
        (94, 5, [30, 30, 34]),
        (91, 1, [30, 30, 30, 1]),
        (91, 2, [30, 30, 31]),
        (29, 2, [29]),
        (1, 2, [1]),
    ],
)
def test_a_short_tail_comes_along_with_the_pool_before(n_rows, min_tail, sizes):
    stream = RowStream(Loader(n_rows))
    assert [len(pool) for pool in one_pass(stream, 3, min_tail=min_tail)] == sizes


def test_a_share_of_a_batch_is_rounded():
    stream = RowStream(Loader(100))
    assert [len(stream.take(factor)) for factor in (1.26, 2.5, 1.04)] == [13, 25, 10]


def test_factors_may_change_within_a_pass():
    stream = RowStream(Loader(100))
    taken = [numbers(stream.take(factor)) for factor in (1, 3, 1, 2.5, 1)]
    assert [len(rows) for rows in taken] == [10, 30, 10, 25, 10]
    assert sum(taken, []) == list(range(85))


def test_a_single_batch_is_what_the_loader_made():
    batches = [(torch.ones(4, 1), torch.ones(4)), (torch.zeros(2, 1), torch.zeros(2))]
    stream = RowStream(batches)
    assert stream.take_batch().batch is batches[0]
    assert stream.take_batch().batch is batches[1]
    assert stream.take_batch() is None
    assert stream.at_start
    assert stream.take_batch().batch is batches[0]
    assert (stream.batch_size, stream.n_batches) == (4, 2)


def test_a_single_batch_after_a_pool_is_whole_and_new():
    stream = RowStream(Loader(100))
    seen = numbers(stream.take(2.5))
    for _ in range(4):
        batch = numbers(stream.take_batch())
        assert len(batch) == 10
        assert not set(batch) & set(seen)
        seen += batch
    assert numbers(stream.take(2.5, min_tail=1))[0] == seen[-1] + 1


def test_each_pass_starts_the_iterator_anew():
    loader = Loader(30)
    stream = RowStream(loader)
    for _ in range(4):
        one_pass(stream, 3)
    assert loader.n_passes == 4


def test_an_iterator_without_a_length_shows_it_after_a_pass():
    assert RowStream(Loader(95)).n_batches == 10
    stream = RowStream(Endless(95))
    assert stream.n_batches == float("inf")
    one_pass(stream, 3)
    assert stream.n_batches == 10


@pytest.mark.parametrize("loader", [[], Endless(0)], ids=["list", "generator"])
@pytest.mark.parametrize("factor", [1, 3])
def test_an_empty_iterator_gives_nothing(loader, factor):
    stream = RowStream(loader)
    assert stream.take(factor) is None
    assert stream.at_start
    assert stream.n_batches == 0
    assert stream.take_batch() is None


# -- what goes with the rows ----------------------------------------------------------------------


@each_form
@pytest.mark.parametrize("factor", [1, 3])
def test_ids_go_with_their_rows_whatever_the_form_of_X(form, factor):
    stream = RowStream(data_loader(35, form))
    seen = []
    rows = stream.take(factor)
    while rows is not None:
        X, _ = rows.batch
        assert type(X) is type(FORMS[form](torch.ones(1, 1)))
        assert rows.ids.tolist() == numbers(rows)
        seen += rows.ids.tolist()
        rows = None if stream.at_start else stream.take(factor)
    assert seen == list(range(35))


@each_form
def test_rows_are_picked_and_joined_whatever_the_form_of_X(form):
    def rows(ids):
        ids = torch.tensor(ids)
        return Rows((FORMS[form](ids[:, None].float()), ids), ids, ids / 2)

    some = rows([4, 5, 6, 7]).pick(torch.tensor([3, 0]))
    together = Rows.join([some, rows([1])])
    assert numbers(together) == together.ids.tolist() == [7, 4, 1]
    assert together.weights.tolist() == [3.5, 2.0, 0.5]
    assert numbers(together.pick(slice(1, None))) == [4, 1]


def test_the_container_of_a_batch_is_kept():
    X, y = torch.arange(4.0)[:, None], torch.arange(4)
    assert type(Rows([X, y]).pick(slice(2)).batch) is list
    assert type(Rows.join([Rows([X, y]), Rows([X, y])]).batch) is list


def test_a_slice_gives_views_and_positions_give_copies():
    X, y = torch.arange(4.0)[:, None], torch.arange(4)
    view, copy = Rows((X, y)).pick(slice(2)), Rows((X, y)).pick(torch.tensor([0, 1]))
    assert view.batch[0].data_ptr() == X.data_ptr()
    assert copy.batch[0].data_ptr() != X.data_ptr()
    assert view.ids is view.weights is None


# -- rows left out --------------------------------------------------------------------------------


def keep_even(rows):
    return Rows(rows.batch, rows.ids, rows.ids / 100).pick((rows.ids % 2 == 0).nonzero().flatten())


@pytest.mark.parametrize("factor", [1, 3])
def test_pools_are_full_although_rows_are_left_out(factor):
    stream = RowStream(data_loader(200))
    sizes, seen = [], []
    while not sizes or not stream.at_start:
        rows = stream.take(factor, keep_even, min_tail=2)
        sizes.append(len(rows))
        assert rows.ids.tolist() == numbers(rows)
        torch.testing.assert_close(rows.weights, rows.ids / 100)
        seen += rows.ids.tolist()
    assert seen == list(range(0, 200, 2))
    assert sizes == [10 * factor] * (100 // (10 * factor)) + [10] * (factor == 3)
    assert (stream.batch_size, stream.n_batches) == (10, 20)


@pytest.mark.parametrize("loader", [Loader, Endless, data_loader])
def test_nothing_kept_is_nothing_given(loader):
    stream = RowStream(loader(30))
    assert stream.take(3, lambda rows: rows.pick(torch.tensor([], dtype=int))) is None
    assert stream.at_start
    assert (stream.batch_size, stream.n_batches) == (10, 3)


def test_a_batch_of_which_nothing_is_kept_is_passed_over():
    stream = RowStream(data_loader(30))

    def late(rows):
        return rows.pick((rows.ids >= 12).nonzero()[:, 0])

    assert numbers(stream.take(1, late, min_tail=2)) == list(range(12, 22))
    assert numbers(stream.take(1, late, min_tail=2)) == list(range(22, 30))
    assert stream.at_start


def test_means_count_the_rows_left_out():
    values, weights = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([1.0, 1.0, 2.0])
    batch = (values[:, None], values)
    assert Rows(batch).mean(values) == 3.0
    assert Rows(batch, weights=weights).mean(values) == 15 / 4


# -- rows of tensors, which need not be fetched to be left out -------------------------------------


def tensor_loader(rows, **kwargs):
    X = torch.arange(200.0)[:, None]
    return TensorLoader(Subset(Dataset(X, X[:, 0].long()), rows), 10, **kwargs)


@pytest.mark.parametrize("shuffle", [False, True])
def test_pools_of_tensors_hold_the_rows_of_their_positions(shuffle):
    subset = list(range(199, 99, -1))
    stream = RowStream(tensor_loader(subset, shuffle=shuffle))
    torch.manual_seed(0)
    for _ in range(2):
        seen = []
        for factor, keep in ((3, None), (1, None), (1.5, keep_even)):
            rows = stream.take(factor, keep, min_tail=1)
            assert numbers(rows) == [subset[i] for i in rows.ids]
            seen += rows.ids.tolist()
        batch = stream.take_batch()
        while batch is not None:
            assert numbers(batch) == [subset[i] for i in batch.ids]
            seen += batch.ids.tolist()
            batch = stream.take_batch()
        assert len(set(seen)) == len(seen) > 60
    assert (stream.batch_size, stream.n_batches) == (10, 10)


def test_pools_of_tensors_are_those_of_its_batches():
    torch.manual_seed(0)
    loader = tensor_loader(range(95), shuffle=True)
    expected = [ids for _ in range(2) for _, ids in numbered(loader)]
    torch.manual_seed(0)
    stream = RowStream(loader)
    got = [stream.take(3) for _ in range(6)]
    assert [len(rows) for rows in got] == [30, 30, 35] * 2
    assert torch.equal(torch.cat([rows.ids for rows in got]), torch.cat(expected))


# -- rows padded batch by batch --------------------------------------------------------------------


class Ragged:
    """Row i is i, 1 + i % 4 times; the labels are the rows' numbers."""

    def __len__(self):
        return 40

    def __getitem__(self, i):
        return torch.full((1 + i % 4,), float(i)), i


def pad(samples):
    rows, y = zip(*samples, strict=True)
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=-1.0), torch.tensor(y)


def test_rows_that_were_padded_batch_by_batch_are_padded_together():
    stream = RowStream(DataLoader(Ragged(), 3, collate_fn=pad, sampler=list(range(0, 40, 2))))
    seen = []
    while not seen or not stream.at_start:
        rows = stream.take(2, min_tail=1)
        X, y = rows.batch
        assert [row[row >= 0].tolist() for row in X] == [[i] * (1 + i % 4) for i in y.tolist()]
        seen += y.tolist()
    assert seen == list(range(0, 40, 2))


class Shorter(DataLoader):
    def __iter__(self):
        return ((X[:, :-1], y) for X, y in super().__iter__())


@pytest.mark.parametrize(
    "loader",
    [DataLoader(Ragged(), 1), list(DataLoader(Ragged(), 3, collate_fn=pad)), Shorter(Ragged(), 1)],
    ids=["collated by torch", "no loader of torch", "changed by a subclass"],
)
def test_rows_of_several_shapes_are_refused_with_a_way_out(loader):
    with pytest.raises(ValueError, match=r"rows of one shape, got .* and .*Pad all rows .*selector=None"):
        RowStream(loader).take(2)


def test_positions_are_not_told_where_collating_leaves_rows_out():
    loader = DataLoader(range(6), 3, collate_fn=lambda ids: default_collate([(i, i) for i in ids if i != 4]))
    stream = RowStream(loader)
    assert stream.take_batch().ids.tolist() == [0, 1, 2]
    rows = stream.take_batch()
    assert (rows.batch[0].tolist(), rows.ids) == ([3, 5], None)
