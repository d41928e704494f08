"""Rows that are no numbers: tables, texts, objects with a callable; sparse pools."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

from skalss import AdaptiveLatentSampler, Campaign, TaskNet
from skalss.compare import compare_strategies
from skalss.display import LatentSpaceDisplay
from skalss.latent import LinearLatent

TOPICS = {
    "sea": [
        "the ship left the harbour",
        "a storm over the sea",
        "sailors mend the sail",
        "waves hit the ship",
    ],
    "bread": [
        "the baker kneads the dough",
        "flour and water and salt",
        "an oven for bread",
        "the loaf is warm",
    ],
}
TEXTS = [f"{text} {n}th day" for n in range(10) for texts in TOPICS.values() for text in texts]
Y = np.array([name for _ in range(10) for name, texts in TOPICS.items() for _ in texts])


def make_sampler(**settings):
    return AdaptiveLatentSampler(
        **{
            "estimator": LogisticRegression(),
            "strategy": "margin",
            "n_initial": 10,
            "n_per_round": 10,
            "max_labels": 30,
            "classes": ["bread", "sea"],
            "random_state": 0,
            **settings,
        }
    )


def make_table(n=80):
    rng = np.random.RandomState(0)
    y = Y[:n]
    table = pd.DataFrame(
        {
            "size": np.where(y == "sea", 2.0, 0.0) + rng.randn(n),
            "kind": pd.Categorical(np.where(rng.rand(n) < 0.8, y, "other")),
            "town": rng.choice(["Kiel", "Bonn", None], n),
            "day": pd.date_range("2024-01-01", periods=n).where(rng.rand(n) > 0.1),
            "open": pd.array(rng.choice([True, False, None], n), dtype="boolean"),
            "count": pd.array(rng.choice([1, 2, None], n), dtype="Int64"),
            "note": TEXTS[:n],
        }
    )
    table.loc[3, "size"] = np.nan
    return table.set_index(pd.Index([f"row {i}" for i in range(n)]))


class Asked:
    """An oracle that knows the rows as they are, and keeps what it saw."""

    def __init__(self, rows, y):
        self.rows, self.y, self.seen = list(rows), list(y), []

    def __call__(self, rows):
        self.seen.append(rows)
        names = rows.index if hasattr(rows, "index") and not isinstance(rows, list) else rows
        return [self.y[self.rows.index(name)] for name in names]


@pytest.mark.parametrize("as_pool", [list, np.array, lambda t: pd.Series(t, index=t)])
def test_texts_are_learned_and_the_oracle_reads_them(as_pool):
    pool, oracle = as_pool(TEXTS), Asked(TEXTS, Y)
    fitted = make_sampler(oracle=oracle, strategy="coreset", latent_model=LinearLatent(4)).fit(pool)
    assert fitted.score(pool, Y) > 0.9
    assert all(text in TEXTS for batch in oracle.seen for text in batch)
    assert fitted.predict_proba(["a ship at sea"]).shape == (1, 2)
    with pytest.raises(ValueError, match=r"Pass \[text\]"):
        fitted.predict("a ship at sea")


def test_a_table_is_learned_and_the_oracle_sees_it():
    table = make_table()
    oracle = Asked(table.index, Y)
    fitted = make_sampler(oracle=oracle, estimator=None).fit(table, X_val=table, y_val=Y)
    pd.testing.assert_frame_equal(oracle.seen[0], table.loc[oracle.seen[0].index])
    assert fitted.score(table, Y) > 0.85
    assert fitted.n_features_in_ == 7
    assert fitted.feature_names_in_.tolist() == list(table)
    new = table.iloc[:2].copy().astype({"kind": object, "town": object})
    new["kind"], new.loc["row 0", "town"], new["day"] = "never seen", "Rome", pd.NaT
    assert fitted.predict(new).shape == (2,)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(table.drop(columns="note"))
    with pytest.raises(TypeError, match=r"joblib\.dump"):
        fitted.save("nowhere")


def test_numbers_pass_as_they_are():
    X = np.random.RandomState(0).randn(80, 3)
    for pool in (X, pd.DataFrame(X, columns=list("abc")), sp.csr_array(X)):
        fitted = make_sampler().fit(pool, Y)
        assert fitted.vectorizer_ is None
    with pytest.raises(ValueError, match="NaN"):
        make_sampler().fit(np.full((80, 3), np.nan), Y)


def test_a_callable_is_shared_and_gets_the_rows():
    class Encoder:
        def __deepcopy__(self, memo):
            raise AssertionError("a model of gigabytes is copied")

        def encode(self, rows):
            assert all(isinstance(row, dict) for row in rows)
            return np.array([[row["length"], 1.0] for row in rows])

    rows = [{"length": float(label == "sea")} for label in Y]
    fitted = make_sampler(vectorizer=Encoder().encode).fit(rows, Y)
    assert fitted.score(rows, Y) == 1.0


@pytest.mark.parametrize(
    ("vectorizer", "message"),
    [
        (lambda rows: np.zeros(len(rows)), "Expected 2D"),
        (lambda rows: np.zeros((len(rows) - 1, 2)), "must return one for each"),
        (lambda rows: np.full((len(rows), 2), np.nan), "What the vectorizer returned for X .*SimpleImputer"),
        (lambda rows: None, "must return an array"),
        (TfidfVectorizer, "Pass an instance"),
        ("tfidf", "must be 'auto'"),
    ],
)
def test_what_makes_no_numbers_is_refused_before_a_question(vectorizer, message):
    oracle = Asked(TEXTS, Y)
    with pytest.raises((TypeError, ValueError), match=message):
        make_sampler(vectorizer=vectorizer, oracle=oracle).fit(TEXTS)
    assert not oracle.seen


@pytest.mark.parametrize("pool", [TEXTS, TfidfVectorizer().fit_transform(TEXTS)], ids=["text", "sparse"])
def test_points_that_nobody_could_label_are_refused(pool):
    with pytest.raises(ValueError, match="is no row that anybody could label"):
        Campaign(make_sampler(estimator=None, strategy="si"), pool, Y)


@pytest.mark.parametrize("rows", [TEXTS, make_table()], ids=["texts", "table"])
def test_a_ledger_knows_the_rows_again_whatever_the_vectorizer(rows, tmp_path):
    key = rows if isinstance(rows, list) else rows.index
    first = make_sampler(oracle=Asked(key, Y), ledger=tmp_path / "l").fit(rows)
    oracle = Asked(key, Y)
    again = make_sampler(oracle=oracle, ledger=tmp_path / "l").fit(rows)
    assert not oracle.seen
    assert again.labeled_indices_.tolist() == first.labeled_indices_.tolist()
    other = (lambda r: np.ones((len(r), 2))) if isinstance(rows, list) else (lambda r: r[["size"]].fillna(0))
    fitted = make_sampler(oracle=oracle, ledger=tmp_path / "l", vectorizer=other, strategy="random").fit(rows)
    assert sum(map(len, oracle.seen)) == 30 - fitted.queries_["reused"].sum()
    turned = rows[::-1] if isinstance(rows, list) else rows.iloc[::-1]
    with pytest.raises(ValueError, match="another row"):
        make_sampler(oracle=oracle, ledger=tmp_path / "l").fit(turned)


def test_a_campaign_is_saved_and_goes_on(tmp_path):
    table, key = make_table(), dict(zip(make_table().index, Y, strict=True))
    campaign = Campaign(make_sampler(), table)
    batch = campaign.ask()
    campaign.tell(batch.ids, [key[name] for name in batch.X.index])
    campaign.save(tmp_path / "c")
    with pytest.raises(ValueError, match="not the pool"):
        Campaign.load(tmp_path / "c", table.iloc[::-1])
    loaded = Campaign.load(tmp_path / "c", table)
    assert loaded.ask().ids.tolist() == campaign.ask().ids.tolist()


def test_scikit_learn_searches_and_validates():
    assert cross_val_score(make_sampler(max_labels=20), make_table(), Y, cv=2).min() > 0.6
    sampler = make_sampler(vectorizer=TfidfVectorizer(), max_labels=20)
    search = GridSearchCV(sampler, {"vectorizer__max_features": [5, 50]}, cv=2).fit(TEXTS, Y)
    assert search.best_score_ > 0.6


def test_a_sparse_pool_asks_the_same_rows_as_a_dense_one():
    X = TfidfVectorizer().fit_transform(TEXTS)
    seen = []

    def oracle(rows):
        seen.append(rows)
        return ["sea" if row.sum() > 2.3 else "bread" for row in rows.toarray()]

    settings = {"estimator": TaskNet(random_state=0), "strategy": "coreset", "latent_model": LinearLatent(4)}
    for pool in (X, sp.coo_array(X), X.tocsc()):
        sparse = make_sampler(oracle=oracle, **settings).fit(pool)
        assert all(sp.issparse(rows) and rows.format == "csr" for rows in seen)
        labels = [oracle(X[[i]])[0] for i in range(X.shape[0])]
        dense = make_sampler(**settings).fit(X.toarray(), labels)
        assert sparse.labeled_indices_.tolist() == dense.labeled_indices_.tolist()
        np.testing.assert_allclose(sparse.predict_proba(pool), dense.predict_proba(X.toarray()), atol=1e-5)


@pytest.mark.parametrize("rows", [TEXTS, make_table(), TfidfVectorizer().fit_transform(TEXTS)])
def test_strategies_are_compared_and_codes_shown(rows):
    sampler = make_sampler(latent_model=LinearLatent(4))
    runs = compare_strategies(sampler, rows, Y, ["coreset"], X_test=rows, y_test=Y, seeds=1)
    assert runs["score"].max() > 0.8
    fitted = sampler.set_params(strategy="coreset").fit(rows, Y)
    assert len(LatentSpaceDisplay.from_estimator(fitted, rows).pool) == 80
