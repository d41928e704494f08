"""The kinds of data a sampler takes."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import is_regressor
from sklearn.frozen import FrozenEstimator

from skalss import AdaptiveLatentSampler
from skalss.latent import VAE, ConvVAE, LinearLatent
from skalss.latent.rows import is_memory_mapped
from skalss.nets import LeNet, net_classifier, net_regressor
from skalss.oracles import FunctionOracle

from .sampling import X_TEST, Y_REG, Y_TEST, X, Y, label_of, make_sampler


def test_string_labels():
    labels = np.array([f"digit {i}" for i in Y])
    sampler, numbers = make_sampler().fit(X, labels), make_sampler().fit(X, Y)
    np.testing.assert_array_equal(sampler.classes_, np.unique(labels))
    np.testing.assert_array_equal(sampler.labeled_indices_, numbers.labeled_indices_)
    assert sampler.predict(X_TEST).tolist() == [f"digit {i}" for i in numbers.predict(X_TEST)]


def test_a_frame_goes_to_the_oracle_as_it_is():
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)], index=np.arange(120) * 3)
    got = []

    def function(rows):
        got.append(rows)
        return label_of(rows)

    sampler = make_sampler(oracle=function, classes=range(10)).fit(frame)
    for rows in got:
        pd.testing.assert_frame_equal(rows, frame.loc[rows.index])
    np.testing.assert_array_equal(sampler.feature_names_in_, frame.columns)
    plain = make_sampler().fit(X, Y)
    np.testing.assert_array_equal(sampler.labeled_indices_, plain.labeled_indices_)
    with pytest.raises(ValueError, match="feature names should match"):
        sampler.predict(frame.rename(columns={"pixel0": "other"}))


def test_a_frame_to_validate_on(recwarn):
    frame = pd.DataFrame(X).add_prefix("c")
    make_sampler().fit(frame, Y, X_val=pd.DataFrame(X_TEST).add_prefix("c"), y_val=Y_TEST)
    assert not [w for w in recwarn if "feature names" in str(w.message)]


def test_a_memory_map_stays_one(tmp_path, monkeypatch):
    np.save(tmp_path / "pool.npy", X.astype(np.float32))
    pool = np.load(tmp_path / "pool.npy", mmap_mode="r")
    seen = []
    fit = LinearLatent._fit
    monkeypatch.setattr(LinearLatent, "_fit", lambda self, X: seen.append(X) or fit(self, X))
    sampler = make_sampler().fit(pool, Y)
    assert is_memory_mapped(seen[0])
    assert seen[0].dtype == np.float32
    assert sampler.n_labels_ == 30
    in_memory = make_sampler(strategy="random").fit(X.astype(np.float32), Y)
    mapped = make_sampler(strategy="random").fit(pool, Y)
    np.testing.assert_array_equal(mapped.predict_proba(X_TEST), in_memory.predict_proba(X_TEST))


def test_bytes_stay_bytes():
    pool, kinds = (15 * X).astype(np.uint8), []

    def function(rows):
        kinds.append(rows.dtype)
        return label_of(rows / 15)

    net = net_classifier(max_epochs=60)
    sampler = make_sampler(net, oracle=function, classes=range(10)).fit(pool)
    assert set(kinds) == {np.dtype(np.uint8)}
    assert sampler.score((15 * X_TEST).astype(np.uint8), Y_TEST) > 0.4


def test_images_take_a_convolutional_vae():
    images = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)[:60]
    sampler = make_sampler(net_classifier(LeNet, max_epochs=3), latent_model=None).fit(images, Y[:60])
    assert isinstance(sampler.latent_model_, ConvVAE)
    assert sampler.n_features_in_ == 1
    assert sampler.predict(images).shape == (60,)


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
def test_flat_rows_take_a_vae():
    assert isinstance(make_sampler(latent_model=None).fit(X, Y).latent_model_, VAE)


@pytest.mark.filterwarnings("ignore:The posterior has collapsed")
def test_regression_with_defaults():
    sampler = AdaptiveLatentSampler(
        net_regressor(), n_initial=20, n_per_round=20, max_labels=100, random_state=0
    )
    assert is_regressor(sampler)
    sampler.fit(X, Y_REG)
    assert not hasattr(sampler, "classes_")
    assert sampler.score(X, Y_REG) > 0.5
    assert sampler.n_labels_ == 100


@pytest.mark.parametrize("kind", ["list", "tensor", "float16"])
def test_other_array_likes(kind):
    pool = {"list": X.tolist, "tensor": lambda: torch.from_numpy(X), "float16": lambda: X.astype(np.float16)}[
        kind
    ]()
    y = torch.from_numpy(Y) if kind == "tensor" else Y.tolist()
    sampler = make_sampler(strategy="random").fit(pool, y)
    np.testing.assert_array_equal(
        sampler.labeled_indices_, make_sampler(strategy="random").fit(X, Y).labeled_indices_
    )


def test_one_class_so_far():
    sampler = make_sampler(oracle=lambda rows: ["same"] * len(rows)).fit(X)
    assert set(sampler.predict(X)) == {"same"}
    assert sampler.classes_.tolist() == ["same"]


def test_classes_name_what_has_not_been_seen():
    oracle = FunctionOracle(lambda rows: np.minimum(label_of(rows), 3))
    sampler = make_sampler(oracle=oracle, classes=range(10)).fit(X)
    assert sampler.predict_proba(X).shape == (120, 10)
    without = make_sampler(oracle=oracle).fit(X)
    assert without.classes_.tolist() == [0, 1, 2, 3]


def test_a_frozen_model_and_a_pool_of_one_row():
    frozen = FrozenEstimator(LinearLatent(2).fit(X))
    assert make_sampler(latent_model=frozen).fit(X[:1], Y[:1]).n_labels_ == 1
