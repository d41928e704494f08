"""Ledgers and oracles that break down, wrong answers, and the lock."""

import os
import subprocess
import sys

import numpy as np
import pytest

from skalss import (
    Campaign,
    Ledger,
    LedgerError,
    LedgerLockedError,
    LedgerMismatchError,
    OracleAnswerError,
    OracleError,
)
from skalss.ledger.lock import WriterLock
from skalss.ledger.store import Store
from skalss.oracles import AnswerKey

from .digits import DIGITS, DIGITS_Y, X, Y
from .ledgers import Counting, make_sampler

# -- answers that cannot be used -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "message"), [(99, "The label 99 is outside classes"), ("cat", "'cat' is outside classes")]
)
def test_a_label_that_the_campaign_cannot_use_is_named_and_can_be_corrected(path, label, message):
    with Campaign(make_sampler(path, classes=None), X) as campaign:
        ids = campaign.ask().ids.tolist()
        Ledger(path).answer(ids[0], label)
    with Campaign(make_sampler(path), X) as campaign:  # names the classes
        with pytest.raises(LedgerMismatchError, match=f"a label of id {ids[0]}"):
            campaign.ask()
        with pytest.raises(
            LedgerMismatchError, match=rf"a label of id {ids[0]} .*{message}.*Correct it with"
        ):
            len(campaign.pending)
        Ledger(path).answer(ids[0], 3)
        assert campaign.pending.ids.tolist() == ids[1:]


def test_a_wrong_answer_among_others_loses_none_of_them(path):
    class OneWrong(Counting):
        def _answer(self, id_):
            return 77 if len(self.asked) == 4 and not self.asked.append(-1) else super()._answer(id_)

    with pytest.raises(OracleAnswerError, match="label 77 is outside classes"):
        make_sampler(path, oracle=OneWrong(odd=False, together=True)).fit(X)
    assert Ledger(path).to_frame()["state"].tolist().count("labeled") == 9
    rest = Counting(odd=False)
    make_sampler(path, oracle=rest).fit(X)
    assert len(rest.asked) == 31


def test_answers_that_arrive_together_are_written_together(path, monkeypatch):
    sizes = []
    tell = Campaign.tell
    monkeypatch.setattr(
        Campaign, "tell", lambda self, ids, *a, **k: (sizes.append(len(ids)), tell(self, ids, *a, **k))[1]
    )
    sampler = make_sampler(path, oracle=AnswerKey(DIGITS_Y), n_initial=250, max_labels=270, n_per_round=20)
    sampler.fit(DIGITS)
    assert sizes == [100, 100, 50, 20]


def test_answers_that_cannot_be_written_are_in_a_note(path, monkeypatch):
    def full(*args):
        raise LedgerError("The disk is full.")

    campaign = Campaign(make_sampler(path, oracle=Counting(odd=False, together=True)), X)
    batch = campaign.ask()
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add", full)
        with pytest.raises(LedgerError, match="disk is full") as caught:
            campaign.run()
    assert f" {batch.ids[0]}: {Y[batch.ids[0]]}, " in caught.value.__notes__[0]
    assert campaign.records.n_paid == 0
    assert campaign.run().stop_reason == "max_labels"
    campaign.close()


@pytest.mark.parametrize("label", [np.complex64(1j), 1j, b"cat"])
def test_a_label_that_a_file_cannot_keep_is_refused(path, label):
    with Campaign(make_sampler(path, classes=None), X) as campaign:
        batch = campaign.ask()
        with pytest.raises(ValueError, match="must be a bool, a whole number or a text"):
            campaign.tell(batch.ids[:1], [label])
        assert len(campaign.pending) == 10


def test_what_is_no_ledger(path):
    with pytest.raises(TypeError, match="ledger must be a path, .* or a Ledger or None, got 3"):
        make_sampler(3, oracle=Counting()).fit(X)


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be deleted")
def test_a_ledger_that_is_deleted_stops_the_campaign_before_more_is_paid_for(path):
    oracle = Counting(odd=False)
    with Campaign(make_sampler(path, oracle=oracle), X) as campaign:
        batch = next(campaign.rounds())
        path.unlink()
        with pytest.raises(LedgerError, match="was deleted. Nothing was recorded.*is in .*-rescued: move"):
            campaign.run()
        assert oracle.asked == batch.ids.tolist()
        assert campaign.queries["label"].tolist() == Y[batch.ids].tolist()
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        path.with_name(f"{path.name}-rescued").rename(path)
        assert campaign.run().stop_reason == "max_labels"
    assert len(oracle.asked) == len(set(oracle.asked)) == 40
    assert len(Ledger(path).history()) == 40


# -- the lock --------------------------------------------------------------------------------------


def test_a_second_campaign_has_to_wait(path):
    first = Campaign(make_sampler(path), X)
    with pytest.raises(LedgerLockedError, match=r"Another campaign of this process drives.*its close\(\)"):
        Campaign(make_sampler(path), X)
    first.close()
    with Campaign(make_sampler(path), X) as second:
        assert len(second.ask()) == 10
        with pytest.raises(LedgerLockedError):
            first.ask()
    assert len(first.ask()) == 10  # those that are open
    first.close()


def test_fit_lets_the_ledger_go(path):
    make_sampler(path, oracle=Counting()).fit(X)
    assert WriterLock(path).acquire()


def test_fit_lets_the_ledger_go_after_an_error_and_the_campaign_takes_it_again(path):
    class Breaks(Counting):
        def _answer(self, id_):
            if len(self.asked) == 13:
                raise RuntimeError("connection lost")
            return super()._answer(id_)

    with pytest.raises(OracleError, match="connection lost") as caught:
        make_sampler(path, oracle=Breaks(odd=False)).fit(X)
    lock = WriterLock(path)
    assert lock.acquire()
    lock.release()
    rest = Counting(odd=False)
    assert caught.value.campaign.run(rest).finish().n_labels_ == 40
    assert len(rest.asked) == 27
    caught.value.campaign.close()


def test_fit_lets_the_ledger_go_where_it_refuses(path):
    y = Y.astype(float)
    y[3] = np.nan
    with pytest.raises(ValueError, match="y is the answer key|NaN"):
        make_sampler(path).fit(X, y)
    Campaign(make_sampler(path), X).close()


HOLD = """
import sys
from sklearn.datasets import load_digits
from skalss import AdaptiveLatentSampler, Campaign
sampler = AdaptiveLatentSampler(strategy="random", n_initial=10, ledger=sys.argv[1], random_state=0)
campaign = Campaign(sampler, load_digits().data[:120])
print(len(campaign.ask()), flush=True)
sys.stdin.read()
"""


def test_a_killed_campaign_leaves_no_lock(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "10\n"
        with pytest.raises(LedgerLockedError, match=f"process {process.pid} on .*Wait until it has ended"):
            Campaign(make_sampler(path), X)
        process.kill()
        process.wait()
    with Campaign(make_sampler(path, strategy="random", initial="random"), X) as campaign:
        assert len(campaign.ask()) == 10
    assert len(Ledger(path).to_frame()) == 20
