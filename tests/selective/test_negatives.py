import numpy as np
import pytest
import torch

from skalss.selective import HardNegatives
from skalss.selective.hardest import hardest_by_class
from skalss.selective.scoring import row_losses

EXACT = {"end": 1.0, "score_dtype": "float32"}


@pytest.fixture
def fitted(make_net, data, watch):
    """The choices of six epochs, of which the fourth is the first with hard rows only."""
    net = make_net(HardNegatives(ramp_epochs=4, **EXACT), watch=watch, max_epochs=6).fit(*data)
    chosen = [(s, e) for s, e in zip(watch.selections, watch.epochs, strict=True) if s.picked is not None]
    assert len(chosen) > 40
    return net, chosen


@pytest.mark.parametrize(("epoch", "n_hard"), [(1, 4), (2, 8), (3, 12), (4, 16), (6, 16)])
def test_the_share_of_hard_rows_grows_with_the_epochs(epoch, n_hard, fitted):
    net, chosen = fitted
    n_hardest = []
    for selection, e in chosen:
        if e == epoch:
            order = hardest_by_class(row_losses(net, selection.output, selection.y), selection.y, 16).tolist()
            picked = set(selection.picked.tolist())
            assert len(picked) == 16
            assert picked >= set(order[:n_hard])
            n_hardest.append(len(picked & set(order)))
    assert (
        np.mean(n_hardest) == 16
        if n_hard == 16
        else n_hard < np.mean(n_hardest) < n_hard + 0.8 * (16 - n_hard)
    )


def test_hard_and_random_rows_are_balanced_over_classes(fitted):
    for selection, _ in fitted[1]:
        there = torch.bincount(selection.y, minlength=3)
        got = torch.bincount(selection.y[selection.picked], minlength=3)
        if there.min() > 8:
            assert got.max() - got.min() <= 2  # one for the hard rows, one for the random ones


def test_random_rows_are_drawn_anew(make_net, data, watch):
    picked = []
    for seed in (0, 1):
        net = make_net(
            HardNegatives(ramp_epochs=10**6, **EXACT),
            watch=watch,
            lr=0.0,
            max_epochs=1,
            iterator_train__shuffle=False,
        ).initialize()
        torch.manual_seed(seed)
        net.partial_fit(*data)
        picked.append([sorted(ids.tolist()) for ids in watch.ids])
        assert all(len(set(ids)) == 16 for ids in picked[-1])
    assert picked[0] != picked[1]


def test_a_class_that_is_missing_leaves_its_place_to_the_others(make_net, data, watch):
    X, y = data
    only_two = y < 2
    make_net(HardNegatives(**EXACT), watch=watch).fit(X[only_two], y[only_two])
    for selection, (_, y_batch) in zip(watch.selections, watch.batches, strict=True):
        if selection.picked is not None:
            assert abs(int((y_batch == 0).sum()) - int((y_batch == 1).sum())) <= 2
            assert len(y_batch) == 16
