"""Latent models that only encode: what they leave out, and that a campaign needs no more of them."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.frozen import FrozenEstimator
from sklearn.kernel_approximation import RBFSampler
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skalss import AdaptiveLatentSampler, Campaign
from skalss.latent import BaseLatentModel, LinearLatent
from skalss.nets import net_classifier
from skalss.oracles import FunctionOracle
from skalss.strategies import InterpolationStrategy, RandomCodesStrategy

X, Y = (part[:150] for part in load_digits(return_X_y=True))
METHODS = ("decode", "inverse_transform", "edit")


class FirstColumns(BaseLatentModel):
    """The smallest latent model that somebody may write."""

    def _fit(self, X):
        self._device, self._n_features_out = torch.device("cpu"), 5

    def _encode(self, x):
        return x[:, 20:25].float()

    def _own_state(self):
        return {}

    def _take_own_state(self, state):
        self._device = torch.device("cpu")


def make_sampler(latent_model, **params):
    budget = {"n_initial": 10, "n_per_round": 10, "max_labels": 30, "random_state": 0}
    return AdaptiveLatentSampler(net_classifier(max_epochs=2), latent_model, **{**budget, **params})


def test_what_cannot_decode_says_so():
    model = FirstColumns().fit(X)
    assert not model.has_decoder
    assert LinearLatent().has_decoder
    for name in (*METHODS, "reconstruction_error_"):
        assert not hasattr(model, name)
        assert not hasattr(FrozenEstimator(model), name)
        assert hasattr(LinearLatent().fit(X), name)
    with pytest.raises(AttributeError, match="'FirstColumns' has no attribute 'decode'") as error:
        _ = model.decode
    assert "PretrainedLatent(encoder, decoder)" in str(error.value.__cause__)


def test_it_is_a_transformer_that_can_be_copied_and_pickled():
    frame = pd.DataFrame(X).add_prefix("p")
    model = clone(FirstColumns()).set_output(transform="pandas").fit(frame)
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(again.transform(frame), model.transform(frame))
    np.testing.assert_array_equal(model.transform(frame), X[:, 20:25])


@pytest.mark.parametrize(
    "strategy", ["auto", "kmeans", "badge", "lcmd", "coreset", "typical", "committee", "mms"]
)
def test_strategies_that_decode_nothing_take_it(strategy):
    sampler = make_sampler(FirstColumns(), strategy=strategy, initial="kmeans").fit(X, Y)
    assert sampler.n_labels_ == 30
    assert isinstance(sampler.latent_model_, FirstColumns)


@pytest.mark.parametrize(
    "model",
    [
        PCA(20),  # more components than the rows of a trial
        TruncatedSVD(6),
        make_pipeline(StandardScaler(), PCA(4)).set_output(transform="pandas"),
        FunctionTransformer(np.sqrt),
        FrozenEstimator(PCA(4).fit(X)),
        RBFSampler(n_components=8),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_transformer_of_scikit_learn_is_a_latent_model(model):
    runs = [make_sampler(model).fit(X, Y) for _ in range(2)]
    np.testing.assert_array_equal(*(run.labeled_indices_ for run in runs))
    assert runs[0].n_labels_ == 30
    assert runs[0].latent_model_.transform(X[:2]).shape[0] == 2


def test_chance_inside_of_a_pipeline_comes_from_the_campaign():
    model = make_pipeline(FunctionTransformer(), RBFSampler(n_components=8))
    first, second = (Campaign(make_sampler(model), X, Y).models.latent().codes for _ in range(2))
    np.testing.assert_array_equal(first, second)


DECODING = {
    "snn": ({"strategy": "snn"}, "NearestNeighborStrategy"),
    "si": ({"strategy": "si"}, "InterpolationStrategy"),
    "a random direction": ({"strategy": InterpolationStrategy(climb="random")}, "InterpolationStrategy"),
    "random codes": ({"strategy": "random_codes"}, "RandomCodesStrategy"),
    "random codes at first": ({"initial": "random_codes", "strategy": "mms"}, "RandomCodesStrategy"),
    "decoded": ({"train_on": "decoded", "strategy": "mms"}, "train_on='decoded'"),
    "both": ({"train_on": "both", "strategy": "mms"}, "train_on='both'"),
}


@pytest.mark.parametrize("case", DECODING)
@pytest.mark.parametrize("model", [FirstColumns(), PCA(4), FrozenEstimator(PCA(4).fit(X))], ids=str)
def test_what_decodes_is_refused_before_the_first_question(model, case):
    params, named = DECODING[case]
    asked = []
    sampler = make_sampler(model, oracle=FunctionOracle(asked.append), classes=range(10), **params)
    with pytest.raises(ValueError, match=rf"{named}.*has no decoder\. Use .*LinearLatent \(PCA\)"):
        sampler.fit(X)
    assert not asked


def test_rows_of_the_pool_alone_need_no_decoder():
    """Where a round is random rows, no point is made: not even when the pool is used up."""
    strategy = InterpolationStrategy(random_share=1.0)
    assert not strategy.decodes
    assert RandomCodesStrategy().decodes
    oracle = FunctionOracle(lambda rows: (rows[:, 20] > 8).astype(int))
    sampler = make_sampler(FirstColumns(), strategy=strategy, oracle=oracle, classes=[0, 1], max_labels=60)
    with pytest.warns(UserWarning, match="found nothing to ask"):
        sampler.fit(X[:40])
    assert sorted(sampler.labeled_indices_) == list(range(40))
    assert len(sampler.X_generated_) == 0


def test_sparse_codes_are_refused_with_the_way_out():
    with pytest.raises(TypeError, match="sparse matrix .* Put TruncatedSVD"):
        make_sampler(OneHotEncoder(handle_unknown="ignore")).fit(X, Y)


def test_a_fault_of_a_transformer_shows_before_the_first_question():
    asked = []
    sampler = make_sampler(PCA(200), oracle=FunctionOracle(asked.append), classes=range(10), initial="random")
    with pytest.raises(ValueError, match="n_components=200"):
        sampler.fit(X)
    assert not asked


def test_a_sampler_is_saved_and_loaded(tmp_path):
    model = FirstColumns()
    sampler = make_sampler(model).fit(X, Y)
    sampler.save(tmp_path / "sampler")
    loaded = AdaptiveLatentSampler.load(tmp_path / "sampler", make_sampler(model))
    assert not hasattr(loaded.latent_model_, "decode")
    np.testing.assert_array_equal(loaded.latent_model_.transform(X), sampler.latent_model_.transform(X))


def test_codes_are_kept_beside_a_ledger(tmp_path, monkeypatch):
    sampler = make_sampler(FirstColumns(), ledger=tmp_path / "ledger", initial="kmeans")
    first = sampler.fit(X, Y)
    monkeypatch.setattr(FirstColumns, "_fit", None)
    assert clone(sampler).fit(X, Y).labeled_indices_.tolist() == first.labeled_indices_.tolist()
