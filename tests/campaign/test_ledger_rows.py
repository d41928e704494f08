"""Which rows and ids of a pool a ledger takes."""

import numpy as np
import pandas as pd
import pytest

from skalss import Campaign, Ledger, LedgerMismatchError
from skalss.campaign.ledger_rows import check_same_rows
from skalss.campaign.pool import Pool as WholePool
from skalss.latent import LinearLatent
from skalss.ledger.lock import WriterLock
from skalss.ledger.store import Store
from skalss.nets import net_regressor
from skalss.oracles import AnswerKey
from skalss.utils.ids import id_array

from .digits import DIGITS, X, Y
from .ledgers import NAMES, Counting, make_sampler


class NeverFitted(LinearLatent):
    def fit(self, X, y=None):
        raise AssertionError("nothing may be trained")


OTHERS = {
    "dtype": (X.astype(np.float32), "rows of dtype <f8, this campaign has <f4"),
    "shape": (X.reshape(120, 1, 8, 8), r"rows of shape \[64\], this campaign has \[1, 8, 8\]"),
    "content": (X + 1, r"the id \d+ stands for another row than in X"),
    "order": (X[::-1], r"the id \d+ stands for another row.*pass sample_id= to fit"),
}


@pytest.mark.parametrize(("other", "message"), OTHERS.values(), ids=OTHERS)
def test_other_data_is_refused_before_anything_trains(path, other, message):
    make_sampler(path, oracle=Counting()).fit(X)
    before = Ledger(path).to_frame()
    sampler = make_sampler(path, oracle=AnswerKey(Y), latent_model=NeverFitted(4), strategy="snn")
    with pytest.raises(LedgerMismatchError, match=message):
        sampler.fit(other)
    pd.testing.assert_frame_equal(Ledger(path).to_frame(), before)
    assert WriterLock(path).acquire()


def test_another_task_is_refused(path):
    make_sampler(path, oracle=Counting()).fit(X)
    with pytest.raises(LedgerMismatchError, match="made for the task classification, .* has regression"):
        make_sampler(path, net_regressor()).fit(X, X[:, 20])


def test_more_rows_of_the_same_data_are_welcome(path):
    make_sampler(path, oracle=Counting()).fit(X)
    oracle = Counting()
    make_sampler(path, oracle=oracle).fit(DIGITS[:90])  # positions stay with their rows
    assert len(oracle.asked) < 45


def test_only_rows_that_the_ledger_knows_are_read(path, tmp_path):
    file = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=np.float64, shape=(120, 64))
    file[:] = X
    make_sampler(path, oracle=Counting(), strategy="random", initial="random").fit(file)
    n_read = []

    class Watched(np.memmap):
        def __getitem__(self, key):
            if isinstance(key, np.ndarray):
                n_read.append(len(key))
            return super().__getitem__(key)

    class Pool:
        X, sample_id, ids = np.load(tmp_path / "X.npy", mmap_mode="r").view(Watched), None, np.arange(120)
        vectorizer, contents = None, WholePool.contents

        def __len__(self):
            return 120

    store = Store(path)
    check_same_rows(store, Pool())
    assert sum(n_read) == len(store.book.items) < 60
    store.close()


@pytest.mark.parametrize("ids", [[(i,) for i in range(120)], list(pd.date_range("2020", periods=120))])
def test_ids_that_a_file_cannot_keep(path, ids):
    names = pd.Series(ids, dtype=object)
    with pytest.raises(ValueError, match="A ledger keeps each id as a bool, int, float or str"):
        Campaign(make_sampler(path), X, sample_id=names)


@pytest.mark.parametrize("ids", [np.arange(120) + 0.5, np.arange(120, dtype=np.uint8), NAMES, list(NAMES)])
def test_ids_of_any_plain_type(path, ids):
    for _ in range(2):
        with Campaign(make_sampler(path), X, sample_id=ids) as campaign:
            batch = campaign.ask() if not len(campaign.pending) else campaign.pending
            assert len(batch) == 10
            campaign.tell(batch.ids[:0], [])
    assert len(Ledger(path).to_frame()) == 10


def test_a_made_up_content_does_not_lock_the_ledger(path, tmp_path):
    sheet = tmp_path / "sheet.csv"
    with Campaign(make_sampler(path), X, sample_id=NAMES):
        pass
    lines = [f"{name},str,3,{'0' * 32},pool" for name in NAMES[:60]]
    sheet.write_text("id,id_type,label,content,kind\n" + "\n".join(lines))
    assert Ledger(path).read_csv(sheet) == 60
    oracle = Counting(odd=False)
    with pytest.warns(UserWarning, match="holds answers to 60 ids, such as .*of other rows than those in X"):
        sampler = make_sampler(path, oracle=oracle).fit(X, sample_id=NAMES)
    assert sampler.n_labels_ == len(oracle.asked) == 40  # no answer of another row was used
    assert sampler.queries_["label"].tolist() == [Y[int(name.split()[1])] for name in sampler.queries_["id"]]
    found = Ledger(path).to_frame()
    assert (found["label"] == 3).sum() >= 60  # none is lost
    with pytest.warns(UserWarning, match="[0-9]+ ids, such as"):  # those not asked so far
        assert make_sampler(path, oracle=Counting(stop_after=0)).fit(X, sample_id=NAMES).n_labels_ == 40


KINDS = {
    "nullable": pd.array(10**17 + 37 * np.arange(120), dtype="Int64"),
    "text": pd.Series([f"{i:05d}" for i in range(120)], dtype="string"),
    "beyond 64 bits": [2**63 + i if i % 2 else -i for i in range(120)],
    "mixed": [i if i % 2 else str(i) for i in range(120)],
    "categories": pd.Categorical([f"c{i}" for i in range(120)]),
}


@pytest.mark.parametrize("ids", KINDS.values(), ids=KINDS)
def test_ids_stay_what_they_are_from_the_pool_to_the_table(path, tmp_path, ids):
    truth = dict(zip(list(ids), Y, strict=True))
    sampler = make_sampler(path, strategy="random", initial="random", max_labels=20)
    with Campaign(sampler, X, sample_id=ids) as campaign, Ledger(path) as ledger:
        batch = campaign.ask()
        shown = batch.to_frame()["id"]
        campaign.tell(shown[:4], [truth[i] for i in shown[:4]])
        ledger.answer(list(shown)[4], truth[list(shown)[4]])
        ledger.to_csv(tmp_path / "sheet.csv")
        frame = pd.read_csv(tmp_path / "sheet.csv", dtype=str, keep_default_na=False)
        frame["label"] = [str(truth[i]) for i in shown]
        frame.to_csv(tmp_path / "sheet.csv", index=False)
        assert ledger.read_csv(tmp_path / "sheet.csv") == 5
        queries = campaign.run(AnswerKey(Y, sample_id=ids)).queries
    assert queries["label"].tolist() == [truth[i] for i in queries["id"]]
    assert {(type(i), i) for i in queries["id"].tolist()} <= {(type(i), i) for i in id_array(ids).tolist()}
    assert set(Ledger(path).to_frame()["id"]) <= set(ids)
