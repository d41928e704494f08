"""Rows as they came, for whoever labels, where the sampler gets what was made of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skalss import AdaptiveLatentSampler, Campaign, MaxCost
from skalss.oracles import AnswerKey, FunctionOracle

from .generated import si_sampler

N = 60
TEXTS = [f"{'good' if i % 3 else 'bad'} film number {i}" for i in range(N)]
Y = np.array([text.split()[0] for text in TEXTS])
X = np.random.RandomState(0).normal(size=(N, 3))


def make_sampler(oracle=None, **params):
    defaults = {"strategy": "random", "n_initial": 6, "n_per_round": 6, "max_labels": 18}
    return AdaptiveLatentSampler(oracle=oracle, random_state=0, **{**defaults, **params})


class Reader:
    """Labels a text by its first word, and keeps what it read."""

    def __init__(self):
        self.read = []

    def __call__(self, texts):
        self.read += list(texts)
        return [text.split()[0] for text in texts]


def test_the_oracle_behind_a_pipeline_reads_texts():
    reader = Reader()
    pipe = make_pipeline(TfidfVectorizer(), TruncatedSVD(4, random_state=0), make_sampler(reader))
    fitted = pipe.fit(TEXTS, adaptivelatentsampler__show=TEXTS)[-1]
    assert reader.read == [TEXTS[i] for i in fitted.queries_["position"]]
    assert fitted.queries_["label"].tolist() == Y[fitted.labeled_indices_].tolist()


FRAME = pd.DataFrame({"text": TEXTS, "year": 1990 + np.arange(N)}, index=[f"film-{i}" for i in range(N)])
IMAGES = np.arange(N * 4, dtype=np.uint8).reshape(N, 2, 2)


@pytest.mark.parametrize(
    "show",
    [FRAME, FRAME["text"], TEXTS, tuple(TEXTS), IMAGES, torch.tensor(IMAGES), sparse.csr_matrix(np.eye(N))],
    ids=["frame", "series", "list", "tuple", "images", "tensor", "sparse"],
)
def test_batches_and_oracles_see_what_is_shown(show):
    seen = []

    def label(rows):
        seen.append(rows)
        return ["good"] * (rows.shape[0] if hasattr(rows, "shape") else len(rows))

    campaign = Campaign(make_sampler(classes=["bad", "good"]), X, show=show)
    batch = campaign.ask()
    first = show.iloc[batch.ids] if hasattr(show, "iloc") else [show[int(i)] for i in batch.ids]
    if sparse.issparse(show):
        assert (show[batch.ids] != batch.X).nnz == 0
    else:
        assert all(np.array_equal(a, b) for a, b in zip(batch.X, first, strict=True))
    assert batch.ids.tolist() == Campaign(make_sampler(classes=["bad", "good"]), X).ask().ids.tolist()
    campaign.run(label)
    assert type(seen[0]) is type(batch.X)
    assert len(campaign.queries) == 18


def test_a_row_at_a_time():
    oracle = FunctionOracle(lambda row: row["text"].split()[0], per_row=True)
    fitted = make_sampler(oracle).fit(X, show=FRAME)
    assert fitted.queries_["label"].tolist() == Y[fitted.labeled_indices_].tolist()
    oracle = FunctionOracle(lambda text: text.split()[0], per_row=True)
    assert make_sampler(oracle).fit(X, show=TEXTS).n_labels_ == 18


def test_answers_go_by_the_labels_of_what_is_shown():
    by_label = pd.Series(Y, index=FRAME.index).sort_values()
    fitted = make_sampler(lambda rows: by_label[by_label.index.isin(rows.index)]).fit(X, show=FRAME)
    assert fitted.queries_["label"].tolist() == Y[fitted.labeled_indices_].tolist()


def test_the_table_to_fill_in_has_what_is_shown():
    def columns(show):
        return Campaign(make_sampler(), X, show=show).ask().to_frame()

    assert columns(TEXTS).columns.tolist() == ["id", "round", "score", "shown", "label"]
    assert columns(TEXTS)["shown"].tolist() == [TEXTS[i] for i in columns(TEXTS)["id"]]
    assert columns(FRAME).columns.tolist() == ["id", "round", "score", "text", "year", "label"]
    assert columns(FRAME["text"]).columns.tolist() == ["id", "round", "score", "text", "label"]
    assert columns(IMAGES).columns.tolist() == ["id", "round", "score", "label"]


def test_costs_are_of_what_is_shown():
    oracle = FunctionOracle(Reader(), cost=lambda texts: [len(text.split()[0]) for text in texts])
    fitted = make_sampler(oracle, stop=MaxCost(30)).fit(X, show=TEXTS)
    assert fitted.queries_["cost"].tolist() == [len(label) for label in fitted.queries_["label"]]


def test_a_grid_search_cuts_it_into_folds():
    reader = Reader()
    search = GridSearchCV(make_sampler(reader), {"n_per_round": [6, 12]}, cv=3, error_score="raise")
    search.fit(X, Y, show=TEXTS, sample_id=np.arange(N), labeled=np.zeros(N, dtype=bool))
    fitted = search.best_estimator_
    assert fitted.queries_["label"].tolist() == Y[fitted.labeled_indices_].tolist()
    assert len(reader.read) == 7 * 18


def test_metadata_routing_takes_it_through_a_pipeline():
    with config_context(enable_metadata_routing=True):
        reader = Reader()
        sampler = make_sampler(reader).set_fit_request(show=True)
        pipe = make_pipeline(TruncatedSVD(2, random_state=0), sampler)
        fitted = pipe.fit(X, show=TEXTS)[-1]
    assert reader.read == [TEXTS[i] for i in fitted.queries_["position"]]


def test_what_is_shown_is_not_saved(tmp_path):
    campaign = Campaign(make_sampler(classes=["bad", "good"]), X, show=TEXTS)
    batch = campaign.ask()
    campaign.save(tmp_path / "c")
    with pytest.raises(ValueError, match="shows other rows than X has. Pass the show="):
        Campaign.load(tmp_path / "c", X)
    assert Campaign.load(tmp_path / "c", X, show=TEXTS).pending.X == batch.X


@pytest.mark.parametrize(
    ("show", "error", "message"),
    [
        (TEXTS[:50], ValueError, "show has 50 rows, X has 60"),
        ("film", TypeError, "show must hold what is shown of each row.*got str"),
        (dict(enumerate(TEXTS)), TypeError, "got dict"),
        (iter(TEXTS), TypeError, "got list_iterator"),
        (3, TypeError, "got int"),
    ],
)
def test_what_cannot_be_shown(show, error, message):
    with pytest.raises(error, match=message):
        make_sampler(AnswerKey(Y)).fit(X, show=show)


def test_made_points_have_nothing_to_show():
    with pytest.raises(ValueError, match="makes points in the units of X.*strategy='snn'"):
        si_sampler().fit(X, show=TEXTS)
