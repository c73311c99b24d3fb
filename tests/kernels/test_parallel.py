import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from workbench.entropies import entropy
from workbench.kernels import parallel, warm


@pytest.fixture
def four_threads(monkeypatch):
    monkeypatch.setattr(parallel, "thread_count", lambda: 4)
    parallel._pool.cache_clear()
    yield
    parallel._pool().shutdown()
    parallel._pool.cache_clear()


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 16, 17, 100])
def test_every_row_is_covered_once(four_threads, rows):
    seen = np.zeros(rows, int)

    def mark(start, stop, counted):
        counted[start:stop] += 1

    parallel.over_rows(mark, rows, parallel.SMALLEST_PARALLEL_WORK, seen)
    assert (seen == 1).all()


def test_little_work_stays_on_the_calling_thread(four_threads):
    calls = []
    parallel.over_rows(lambda start, stop: calls.append((start, stop)), 100, 10)
    assert calls == [(0, 100)]


def test_an_error_in_a_share_reaches_the_caller(four_threads):
    def fail(start, stop):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        parallel.over_rows(fail, 8, parallel.SMALLEST_PARALLEL_WORK)


def test_many_threads_may_ask_at_once(four_threads):
    logits = np.random.default_rng(0).normal(0, 3, (64, 20_000)).astype(np.float32)
    alone = entropy(logits).entropy
    with ThreadPoolExecutor(6) as callers:
        for found in callers.map(lambda _: entropy(logits).entropy, range(24)):
            assert np.array_equal(found, alone)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_computes_too(four_threads):
    logits = np.zeros((64, 20_000), np.float32)
    entropy(logits)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.allclose(entropy(logits).entropy, np.log(20_000)) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_warming_twice_is_harmless():
    warm()
    warm()
