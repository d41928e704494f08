"""A sampler that version 0.1.0.dev0 saved."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

from skalss import AdaptiveLatentSampler
from skalss.nets import net_classifier

FILE = Path(__file__).parent / "data" / "version_0_1_0_dev0.skalss"
X, _ = load_iris(return_X_y=True)
# Of every tenth row, by the version that wrote the file.
PREDICTED = [*([0] * 8), 2, 2, 0, 0, 0, 2, 2]


def test_it_predicts_as_before():
    net = net_classifier(max_epochs=80, module__hidden_layer_sizes=(4,))
    given = AdaptiveLatentSampler(net, strategy="random", n_initial=10, n_per_round=10, max_labels=30)
    loaded = AdaptiveLatentSampler.load(FILE, given)
    np.testing.assert_array_equal(loaded.predict(X)[::10], PREDICTED)
    assert loaded.n_labels_ == 30
    assert set(loaded.queries_["state"]) == {"labeled"}
