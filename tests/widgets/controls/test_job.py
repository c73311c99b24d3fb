"""Background work: the newest run wins, Stop stops, errors arrive, many items become few updates."""

import asyncio
import threading
import time

import pytest

from widgets.controls.job import Job
from widgets.controls.live import Live


def test_without_a_loop_the_result_arrives_at_once():
    results, failures = [], []
    job = Job(results.append, failures.append)
    job.start(lambda _: 42)
    assert job.wait(5)
    assert (results, failures) == ([42], [])


def test_an_error_is_handed_over_not_raised():
    failures = []
    job = Job(pytest.fail, failures.append)
    job.start(lambda _: 1 / 0)
    assert job.wait(5)
    assert isinstance(failures[0], ZeroDivisionError)


def test_stop_reaches_the_work_and_what_it_has_is_kept():
    results = []
    job = Job(results.append, pytest.fail)
    job.start(lambda stop: stop.wait(10) and "what there is")
    job.stop()
    assert job.wait(5)
    assert results == ["what there is"]


def test_a_stale_result_never_overwrites_a_newer_one():
    async def five_quick_starts():
        results, release = [], threading.Event()
        job = Job(results.append, pytest.fail)
        for i in range(5):
            job.start(lambda stop, i=i: (release.wait(5), i, stop.is_set()))
        release.set()
        while not results:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        return results

    assert asyncio.run(five_quick_starts()) == [(True, 4, False)]


def test_results_arrive_on_the_loops_own_thread():
    async def thread_of_result():
        future = asyncio.get_running_loop().create_future()
        job = Job(lambda _: future.set_result(threading.get_ident()), pytest.fail)
        job.start(lambda _: None)
        return await asyncio.wait_for(future, 5)

    assert asyncio.run(thread_of_result()) == threading.get_ident()


def test_many_items_from_a_thread_become_few_updates_and_none_is_lost():
    async def count():
        batches = []
        live = Live(batches.append, interval=0.02)
        thread = threading.Thread(target=lambda: [(live.put(i), time.sleep(1e-4)) for i in range(500)])
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        return batches

    batches = asyncio.run(count())
    assert [item for batch in batches for item in batch] == list(range(500))
    assert len(batches) < 50


def test_what_was_dropped_does_not_arrive():
    async def dropped():
        batches = []
        live = Live(batches.append, interval=0.01)
        live.put(1)
        live.drop()
        await asyncio.sleep(0.05)
        return batches

    assert asyncio.run(dropped()) == []
