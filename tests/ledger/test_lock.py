"""The lock of a ledger: one writer, freed with its process."""

import multiprocessing
import os
import time

import pytest

from skalss import Ledger
from skalss.ledger.lock import WriterLock


def test_the_lock_is_held_by_one(path):
    first, second = WriterLock(path), WriterLock(path)
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert not first.held
    assert second.acquire()
    second.release()


def test_the_lock_frees_itself_with_its_object(path):
    lock = WriterLock(path)
    assert lock.acquire()
    del lock
    assert WriterLock(path).acquire()


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="only systems with fork")


@needs_fork
def test_the_lock_frees_itself_when_its_process_is_killed(path):
    context = multiprocessing.get_context("fork")
    held = context.Event()

    def hold():
        lock = WriterLock(path)
        if lock.acquire():
            held.set()
        time.sleep(600)

    process = context.Process(target=hold)
    process.start()
    assert held.wait(60)
    assert not WriterLock(path).acquire()
    process.kill()
    process.join()
    assert WriterLock(path).acquire()


@needs_fork
def test_a_fork_opens_the_file_anew(path, asked):
    ledger = Ledger(path)
    ledger.answer(asked[0], 1)
    process = multiprocessing.get_context("fork").Process(target=ledger.answer, args=(asked[1], 2))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert ledger.to_frame()["label"].tolist()[:2] == [1, 2]
    ledger.answer(asked[2], 3)
    assert len(Ledger(path).history()) == 3
