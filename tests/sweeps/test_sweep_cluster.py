"""Workers in other processes: what they say, that they stop, and what happens when one dies.

Tests with a real Ray are one group: two clusters at once on one machine are slower than one after the other.
"""

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

import workbench as wb
from tests.sweeps.sweep_cases import SETTINGS, few, nearly_same
from workbench.errors import SweepError
from workbench.sweeps.decoder import Decoder, estimated
from workbench.sweeps.folder import SweepFolder
from workbench.sweeps.stopping import StopFile, passing_on

HOT = SETTINGS | {"max_new_tokens": 900, "sampler": wb.Sampler(temperature=3.0)}  # it does not end by itself
BATCH = {"unit": np.array([0])}


@pytest.fixture(autouse=True)
def threads():
    """A worker sets its process's number; here that is the tests' own."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def begun(tmp_path):
    """A sweep of which nothing is decoded."""
    return wb.sweeps.run("demo", few(), out=tmp_path / "s", stop=lambda: True, **SETTINGS)


@pytest.fixture(scope="module")
def ray():
    """Two logical CPUs, out of the way of any other Ray on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray = pytest.importorskip("ray")
        ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=2)
        yield ray
        ray.shutdown()


def first_attempt(folder, over=None, seconds=90):
    """The process that works at the first unit to be begun; None once it is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if over is not None and over.is_set():
            return None
        for path in folder.glob("traces/.attempts-*.part"):
            try:
                pids = path.read_text().split()
            except FileNotFoundError:
                continue
            if pids:
                return int(pids[-1])
        time.sleep(0.02)
    raise TimeoutError("no worker began")


def test_a_worker_says_what_it_did_and_leaves_no_note(begun):
    (row,) = Decoder(str(begun.folder), {"demo": "demo"}, 1)(BATCH)
    assert (row["unit"], row["sequences"], row["problem"]) == ([0], [4], [""])
    assert row["tokens"] == [begun.to_frame()["tokens"].sum()]
    assert not list(begun.folder.rglob(".*.part"))


def test_a_worker_that_is_told_to_stop_writes_nothing(begun):
    SweepFolder(begun.folder).stop_file.touch()
    (row,) = Decoder(str(begun.folder), {"demo": "demo"}, 1)(BATCH)
    assert (row["tokens"], row["sequences"], row["problem"]) == ([0], [0], [""])
    assert not list(begun.folder.rglob("part-*"))
    assert wb.sweeps.run("demo", few(), out=begun.folder, **SETTINGS).complete  # the next run takes the wish away


def test_a_folder_that_a_worker_does_not_see_is_named(tmp_path):
    (row,) = Decoder(str(tmp_path / "elsewhere"), {"demo": "demo"}, 1)(BATCH)
    assert "elsewhere. Take a folder that all machines share" in row["problem"][0]
    assert row["sequences"] == [0]


def test_a_batch_that_ended_two_workers_is_not_given_to_a_third(begun):
    SweepFolder(begun.folder).attempts_file(0).write_text("101\n102\n")
    (row,) = Decoder(str(begun.folder), {"demo": "demo"}, 1)(BATCH)
    assert row["problem"][0].startswith("Batch 0 ended 2 workers")
    assert not list(begun.folder.rglob("part-*"))
    assert wb.sweeps.run("demo", few(), out=begun.folder, **SETTINGS).complete


def test_the_estimate_of_a_worker_says_what_does_not_fit(begun, monkeypatch):
    found = estimated(str(begun.folder), {"demo": "demo"}, 1)
    assert (found.sequences, found.tokens) == (8, 8 * 24)
    monkeypatch.setattr("workbench.sweeps.estimating.available_memory", lambda _: 10_000)
    assert "Take a smaller batch_size" in estimated(str(begun.folder), {"demo": "demo"}, 1)


def test_a_wish_to_stop_is_passed_on_and_so_is_an_error(tmp_path):
    wish, file = threading.Event(), tmp_path / ".stop"
    seen = StopFile(file, 0.0)
    with passing_on(wish.is_set, file, 0.01):
        assert not seen()
        wish.set()
        deadline = time.monotonic() + 10
        while not seen() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert seen()
    file.unlink()
    with pytest.raises(KeyboardInterrupt), passing_on(lambda: False, file, 0.01):
        raise KeyboardInterrupt
    assert file.exists()


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_two_workers_stop_in_the_middle_of_a_batch(ray, tmp_path):
    stop = threading.Event()

    def when_begun():
        first_attempt(tmp_path / "s")
        stop.set()

    threading.Thread(target=when_begun, daemon=True).start()
    part = wb.sweeps.run("demo", few(), out=tmp_path / "s", backend="ray", workers=2, stop=stop, **HOT)
    assert len(part.missing) == 2
    assert not list(part.folder.rglob("part-*"))


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_worker_killed_once_is_replaced_and_the_rows_are_the_same(ray, tmp_path):
    killed = []

    def kill():
        killed.append(first_attempt(tmp_path / "s"))
        os.kill(killed[0], signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    sweep = wb.sweeps.run("demo", few(), out=tmp_path / "s", backend="ray", workers=2, **SETTINGS)
    assert killed
    nearly_same(sweep, wb.sweeps.run("demo", few(), out=tmp_path / "whole", **SETTINGS))  # of other threads


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
def test_a_batch_that_kills_every_worker_ends_the_run(ray, tmp_path):
    over, killed = threading.Event(), set()

    def kill():
        while not over.is_set():
            pid = first_attempt(tmp_path / "s", over)
            if pid is not None and pid not in killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        with pytest.raises(SweepError, match=r"Batch \d ended 2 workers"):
            wb.sweeps.run("demo", few(2), out=tmp_path / "s", backend="ray", workers=1, **HOT)
    finally:
        over.set()
        thread.join()
    assert len(killed) >= 2
    finished = wb.sweeps.open_sweep(tmp_path / "s")
    assert not finished.complete
    assert len(finished.to_frame()) == 0
