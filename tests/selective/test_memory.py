import pickle

import pytest
import torch

from skalss.selective.memory import RowMemory
from skalss.selective.rows import Rows

N_ROWS = 1000


def rows_of(ids):
    ids = torch.as_tensor(ids)
    return Rows((ids[:, None].float(), ids), ids)


def all_rows():
    return rows_of(torch.arange(N_ROWS))


@pytest.fixture
def memory():
    """Knows 1000 rows, the later the harder; the first 700 are easy."""
    memory = RowMemory(0.7)
    order = torch.randperm(N_ROWS)
    memory.record(rows_of(order), order.float())
    return memory


# -- what is left out -----------------------------------------------------------------------------


def test_hard_rows_stay_and_easy_rows_are_left_out_at_the_rate_asked(memory, seed):
    torch.manual_seed(seed)
    left = memory.thin(all_rows(), skip=0.9)
    easy, hard = left.ids[left.ids < 700], left.ids[left.ids >= 700]
    assert hard.tolist() == list(range(700, N_ROWS))
    assert abs(len(easy) - 70) < 5 * (700 * 0.9 * 0.1) ** 0.5
    assert torch.equal(left.batch[1], left.ids)


@pytest.mark.parametrize("skip", [0.0, 0.5, 0.75])
def test_easy_rows_that_stay_speak_for_those_left_out(memory, skip):
    left = memory.thin(all_rows(), skip)
    torch.testing.assert_close(left.weights, torch.where(left.ids < 700, 1 / (1 - skip), 1.0))


def test_weights_sum_to_the_number_of_rows_in_expectation(memory, seed):
    torch.manual_seed(seed)
    sums = torch.stack([memory.thin(all_rows(), skip=0.75).weights.sum() for _ in range(200)])
    # An easy row weighs 4 with probability 1/4 and 0 otherwise: variance 3.
    assert abs(sums.mean() - N_ROWS) < 5 * (700 * 3 / 200) ** 0.5
    assert sums.std() > 0


def test_skip_of_one_leaves_only_hard_rows(memory):
    assert memory.thin(all_rows(), skip=1.0).ids.tolist() == list(range(700, N_ROWS))


def test_no_row_is_left_out_unless_it_was_seen(memory):
    unseen = torch.arange(N_ROWS, N_ROWS + 50)
    assert memory.thin(rows_of(unseen), skip=1.0).ids.tolist() == unseen.tolist()
    fresh = RowMemory(1.0)
    assert len(fresh.thin(all_rows(), skip=1.0)) == N_ROWS


def test_rows_without_ids_are_neither_remembered_nor_left_out(memory):
    nameless = Rows(all_rows().batch)
    memory.record(nameless, torch.zeros(N_ROWS))
    assert len(memory.thin(nameless, skip=1.0)) == N_ROWS
    assert memory.thin(all_rows(), skip=1.0).ids.tolist() == list(range(700, N_ROWS))


# -- what is remembered ---------------------------------------------------------------------------


def test_ids_may_grow_and_have_gaps(memory):
    late = torch.arange(5000, 6000)
    memory.record(rows_of(late), torch.full((1000,), -1e6))
    assert len(memory.thin(rows_of(torch.arange(N_ROWS, 5000)), skip=1.0)) == 4000  # never seen
    assert len(memory.thin(rows_of(late), skip=0.0)) == 1000
    assert memory.thin(rows_of([997, 998, 999]), skip=1.0).ids.tolist() == [997, 998, 999]  # hard as before


def test_the_last_look_counts(memory):
    assert len(memory.thin(rows_of([0, 1]), skip=1.0)) == 0
    memory.record(rows_of([1]), torch.tensor([1e6]))
    assert memory.thin(rows_of([0, 1]), skip=1.0).ids.tolist() == [1]


def test_what_is_easy_is_measured_anew_while_the_network_learns(memory):
    memory.record(all_rows(), torch.arange(N_ROWS).flip(0).float() - 1e6)  # all easier, in another order
    left = memory.thin(all_rows(), skip=1.0).ids
    assert left.tolist() == list(range(300))


def test_a_large_memory_is_sampled_for_its_threshold():
    n_rows = 35_000
    memory = RowMemory(0.5)
    memory.record(rows_of(torch.arange(n_rows)), torch.arange(n_rows).float())
    hard = memory.thin(rows_of(torch.arange(n_rows)), skip=1.0).ids
    assert abs(len(hard) - n_rows / 2) < 10


def test_rows_of_unknown_hardness_are_not_easy():
    memory = RowMemory(0.5)
    hard = torch.arange(N_ROWS).float()
    hard[::2] = torch.nan
    memory.record(all_rows(), hard)
    left = memory.thin(all_rows(), skip=1.0).ids
    assert set(left.tolist()) >= set(range(0, N_ROWS, 2))
    assert len(left) == 750


def test_a_memory_of_nothing_but_nan_finds_nothing_easy():
    memory = RowMemory(0.5)
    memory.record(all_rows(), torch.full((N_ROWS,), torch.nan))
    assert len(memory.thin(all_rows(), skip=1.0)) == N_ROWS


# -- the share that is easy -----------------------------------------------------------------------


@pytest.mark.parametrize(("share", "n_easy"), [(0.0, 0), (0.25, 250), (0.7, 700), (1.0, 999)])
def test_the_easiest_rows_are_easy_in_the_share_asked(share, n_easy):
    memory = RowMemory(share)
    order = torch.randperm(N_ROWS)
    memory.record(rows_of(order), order.float())
    assert memory.thin(all_rows(), skip=1.0).ids.tolist() == list(range(n_easy, N_ROWS))


@pytest.mark.parametrize("n_harder", [0, 200])
def test_rows_alike_are_all_as_hard_as_the_first(n_harder):
    memory = RowMemory(0.5)
    memory.record(all_rows(), (torch.arange(N_ROWS) < n_harder).float())
    assert len(memory.thin(all_rows(), skip=1.0)) == N_ROWS


def test_a_memory_is_pickled(memory):
    again = pickle.loads(pickle.dumps(memory))
    assert again.thin(all_rows(), skip=1.0).ids.tolist() == list(range(700, N_ROWS))


def test_easy_rows_hold_a_share_of_the_doubt_at_most():
    memory = RowMemory(0.7, max_doubt=0.1)
    doubt = torch.arange(1.0, N_ROWS + 1)  # the easiest third holds a tenth of the sum
    memory.record(all_rows(), doubt)
    left = memory.thin(all_rows(), skip=1.0).ids
    n_easy = N_ROWS - len(left)
    assert doubt[:n_easy].sum() <= 0.1 * doubt.sum() < doubt[: n_easy + 1].sum()
    assert left.tolist() == list(range(n_easy, N_ROWS))
