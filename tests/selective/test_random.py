import numpy as np

from skalss.selective import RandomRows


def test_rows_of_a_pool_have_the_same_chance(make_net, data, watch):
    net = make_net(RandomRows(), watch=watch, max_epochs=40, lr=0.001, iterator_train__shuffle=False).fit(
        *data
    )
    places = np.concatenate([s.picked for s in watch.selections if len(s.rows) == 48])
    counts = np.bincount(places, minlength=48)
    n_draws = len(places) / 16
    assert n_draws > 200
    assert abs(counts - n_draws / 3).max() < 5 * (n_draws * 2 / 9) ** 0.5
    assert all(s.output is None for s in watch.selections)
    assert net.history[:, "train_batch_count"] == [10] * 40


def test_the_network_is_asked_nothing(make_net, data):
    net = make_net("random").initialize()
    calls = []
    net.module_.register_forward_hook(lambda module, inputs, output: calls.append(module.training))
    net.partial_fit(*data)
    assert calls == [True] * 20
