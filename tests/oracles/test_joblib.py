"""Backends of joblib. Functions are made inside of tests: workers cannot import a test module."""

import os
import threading
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config

from skalss import AdaptiveLatentSampler, MaxCost
from skalss.latent import LinearLatent
from skalss.nets import net_regressor
from skalss.oracles import Failed, FunctionOracle, over_joblib

ROWS = np.arange(12.0)[:, None]
IDS = np.arange(12)
DOUBLE = {i: 2.0 * i for i in range(12)}


def double(row):
    return 2 * row[0]


def ask(n_jobs=2, function=double, **settings):
    return FunctionOracle(function, per_row=True, n_jobs=n_jobs, **settings).label(ROWS, IDS)


def test_a_backend_that_was_chosen_is_used():
    names = set()

    def note(row):
        names.add(threading.current_thread().name)
        return 2 * row[0]

    with parallel_config(backend="threading"):
        assert dict(ask(function=note)) == DOUBLE
    assert threading.main_thread().name not in names


def test_the_number_of_jobs_of_a_context_holds_for_none():
    with parallel_config(backend="threading", n_jobs=2):
        assert dict(ask(n_jobs=None)) == DOUBLE
    with parallel_config(n_jobs=2):
        pids = {pid for _, pid in ask(n_jobs=None, function=lambda row: os.getpid())}
    assert os.getpid() not in pids


def test_threads_give_answers_as_they_come():
    go = threading.Event()

    def wait_at_first(row):
        if row[0] == 0:
            assert go.wait(60)
        return 2 * row[0]

    with parallel_config(backend="threading"):
        got = ask(function=wait_at_first)
        early = [next(got)[0] for _ in range(3)]
        go.set()
        assert 0 not in early
        assert {**dict.fromkeys(early), **dict(got)}.keys() == set(range(12))


def test_a_backend_without_a_generator_answers_at_the_end(monkeypatch):
    asked = []
    parallel = over_joblib.Parallel

    def without_generator(n_jobs, return_as="list"):
        asked.append(return_as)
        if return_as != "list":
            raise ValueError("not supported")
        return parallel(n_jobs=n_jobs)

    monkeypatch.setattr(over_joblib, "Parallel", without_generator)
    with parallel_config(backend="threading"):
        assert dict(ask()) == DOUBLE
    assert asked == ["generator_unordered", "list"]


def test_multiprocessing_works():
    with parallel_config(backend="multiprocessing"):
        assert dict(ask(function=lambda row: 2 * row[0])) == DOUBLE


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_what_was_answered_before_a_bug_arrives(backend):
    def bug_at_five(row):
        if row[0] == 5:
            raise KeyError("a bug")
        if row[0] == 4:
            raise OSError("no file")
        return 2 * row[0]

    arrived = {}

    def keep_all():
        for id_, answer in ask(function=bug_at_five, catch=OSError):
            arrived[id_] = answer

    with parallel_config(backend=backend), pytest.raises(KeyError, match="a bug"):
        keep_all()
    assert {0, 1, 2, 3, 4} <= arrived.keys()
    assert arrived.pop(4) == Failed("OSError: no file")
    assert arrived == {i: 2.0 * i for i in arrived}


def test_a_timeout_is_kept_under_another_local_backend():
    def hang_at_two(row):
        if row[0] == 2:
            time.sleep(600)
        return 2 * row[0]

    with parallel_config(backend="threading"):
        got = dict(ask(function=hang_at_two, timeout=1.0))
    assert got.pop(2) == Failed("timeout: no answer within 1 s")
    assert got == {i: v for i, v in DOUBLE.items() if i != 2}


def test_a_row_that_kills_every_worker_of_dask_has_failed(monkeypatch):
    """Dask gives a task up after some deaths, and joblib then gives up all of them."""
    distributed = pytest.importorskip("distributed")
    killed = distributed.KilledWorker("task", SimpleNamespace(address="tcp://worker"), 3)
    rounds = []

    def parallel(n_jobs, return_as):
        def run(tasks):
            called = list(tasks)
            rounds.append(len(called))
            for attempt, (call, row), _ in called:
                if row[0] == 3:
                    raise killed
                yield attempt(call, row)

        return run

    monkeypatch.setattr(over_joblib, "Parallel", parallel)
    with parallel_config(backend="threading"):
        got = dict(ask())
    assert got[3].reason.startswith("its workers died")
    assert {i: v for i, v in got.items() if i != 3} == {i: v for i, v in DOUBLE.items() if i != 3}
    assert rounds == [12, *[1] * 9]


def test_other_errors_of_a_backend_are_raised(monkeypatch):
    def parallel(n_jobs, return_as):
        def run(tasks):
            raise ConnectionError("no scheduler")

        return run

    monkeypatch.setattr(over_joblib, "Parallel", parallel)
    with parallel_config(backend="threading"), pytest.raises(ConnectionError, match="no scheduler"):
        list(ask())


@pytest.fixture(scope="module")
def dask_cluster():
    """Two worker processes of Dask."""
    distributed = pytest.importorskip("distributed")
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client


def test_a_campaign_on_dask_loses_nothing_when_a_worker_is_killed(dask_cluster, tmp_path):
    dask_cluster.wait_for_workers(2, timeout=300)
    once = str(tmp_path / "killed")

    def simulate(row):
        time.sleep(0.05)
        if row[0] >= 6 and not os.path.exists(once):
            open(once, "w").close()
            os._exit(1)
        return float(row[0] ** 2)

    X = np.arange(24.0)[:, None] % 12
    sampler = AdaptiveLatentSampler(
        net_regressor(max_epochs=1),
        strategy="random",
        oracle=FunctionOracle(simulate, per_row=True),
        n_initial=24,
        max_labels=24,
        random_state=0,
    )
    with parallel_config(backend="dask"):
        sampler.fit(X)
    assert os.path.exists(once)
    assert sampler.n_labels_ == sampler.n_queries_ == 24
    np.testing.assert_array_equal(
        sampler.queries_["label"].to_numpy(dtype=float), X[sampler.queries_["position"], 0] ** 2
    )


def test_a_timeout_is_refused_on_dask(dask_cluster):
    with (
        parallel_config(backend="dask"),
        pytest.raises(ValueError, match="timeout=1.0 ends worker processes"),
    ):
        FunctionOracle(double, timeout=1.0).check_pool(None, 12)


def test_the_same_rows_are_bought_whatever_order_the_answers_come_in():
    def simulate(row):
        time.sleep(np.random.default_rng().uniform(0, 0.02))
        if row[0] == 7:
            raise OSError("no file")
        return float(row[0] ** 2)

    X = np.random.RandomState(0).permutation(60)[:, None].astype(float)
    bought = []
    for n_jobs in (None, 2):
        sampler = AdaptiveLatentSampler(
            net_regressor(max_epochs=3),
            LinearLatent(1),
            "snn",
            FunctionOracle(
                simulate, per_row=True, n_jobs=n_jobs, catch=OSError, cost=lambda rows: 0.1 * rows[:, 0]
            ),
            n_initial=10,
            n_per_round=10,
            max_labels=40,
            stop=MaxCost(100.0),
            random_state=0,
        )
        bought.append(sampler.fit(X))
    first, other = bought
    pd.testing.assert_frame_equal(first.queries_, other.queries_)
    np.testing.assert_array_equal(first.predict(X), other.predict(X))
