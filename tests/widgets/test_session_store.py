"""Sessions on disk: everything comes back, damage is said in words, nothing is half-written, the last state wins."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import polars as pl
import pytest

import workbench as wb
from tests.widgets.figures.figure_cases import make_tokens
from widgets import Session
from widgets.autosave import Autosave
from widgets.controls.export_bar import Exportable
from widgets.figures import entropy_chart
from widgets.session_files import FILES, SPARED_FOR
from widgets.session_store import KEPT, SessionError, list_sessions, save_session
from workbench.traces import Trace


def make_trace(seed=0, count=40):
    logits = np.random.default_rng(seed).normal(0, 3, (count, 50)).astype(np.float32)
    return Trace.from_logits(logits, logits.argmax(1), prompt="Why?", meta={"seed": seed, "model": "none"})


def make_figure(name="entropy", tokens=None):
    tokens = make_tokens(60, 30) if tokens is None else tokens
    return Exportable(name, entropy_chart(tokens), tokens, {"seed": 7, "view": {"unit": "nats"}}, tall=1.5)


@pytest.fixture
def session():
    made = Session(traces=(make_trace(1), make_trace(2)))
    made.trace = made.traces[0]
    made.cursor = 11
    made.sampler, made.sampler_b = wb.Sampler(temperature=0.7, top_p=0.9), wb.Sampler(min_p=0.1)
    made.settings = {"Trace": {"tab": 2, "unit": "bits"}}
    made.figures = (make_figure(),)
    return made


def restored(folder):
    session = Session()
    saved = list_sessions(folder)[0]
    return session, saved.restore(session), saved


def age(folder):
    """Make all files old enough to be cleared away."""
    for path in folder.rglob("*"):
        if path.is_file() and path.parent != folder:
            os.utime(path, (time.time() - 2 * SPARED_FOR,) * 2)


def test_everything_comes_back(session, tmp_path):
    path = save_session(session, tmp_path / "new" / "session")
    found, lost, saved = restored(path.parent)
    assert lost == []
    assert [trace.tokens.equals(old.tokens) for trace, old in zip(found.traces, session.traces, strict=True)] == [
        True
    ] * 2
    assert found.traces[1].sketch.to_frame().equals(session.traces[1].sketch.to_frame())
    assert found.trace is found.traces[0]
    assert found.cursor == 11
    assert (found.sampler, found.sampler_b) == (session.sampler, session.sampler_b)
    assert found.settings == session.settings
    assert "2 traces, 1 kept figure" in saved.summary()
    (figure,), (old,) = found.figures, session.figures
    assert (figure.name, figure.tall, figure.settings) == (old.name, old.tall, old.settings)
    assert figure.data.equals(old.data)
    for mark, before in zip(figure.figure.data, old.figure.data, strict=True):
        np.testing.assert_array_equal(np.asarray(mark.y, float), np.asarray(before.y, float))  # arrays, not their code
    assert figure.figure.layout.template == old.figure.layout.template


def test_an_empty_session_and_a_folder_without_any(tmp_path):
    assert list_sessions(tmp_path / "none") == []
    save_session(Session(), tmp_path)
    found, lost, saved = restored(tmp_path)
    assert lost == []
    assert (found.trace, found.cursor, found.sampler, saved.models) == (None, -1, None, {})


def test_where_the_models_are_from_is_told_and_none_is_loaded(tmp_path):
    model = wb.load("demo-small")
    save_session(Session(model=model), tmp_path)
    found, lost, saved = restored(tmp_path)
    assert lost == []
    assert found.model is None
    assert list(saved.models) == ["model"]
    assert wb.load(**saved.models["model"].arguments()).parameters == model.parameters


def test_what_is_there_is_not_written_again(session, tmp_path):
    save_session(session, tmp_path)
    before = {path: path.stat().st_ino for path in tmp_path.glob("*/*")}
    assert len(before) == 4
    session.cursor = 3
    save_session(session, tmp_path)
    found, _, _ = restored(tmp_path)
    save_session(found, tmp_path)  # what was restored is known to be there too
    save_session(Session(traces=(make_trace(1),)), tmp_path)  # the same content under another identity
    assert set(tmp_path.glob("*/*")) == set(before)
    assert all(path.stat().st_ino == before[path] for path in before if path.name != FILES.name(session.traces[0]))


def test_restoring_twice_or_into_a_session_in_use_keeps_what_is_there(session, tmp_path):
    save_session(session, tmp_path)
    own = make_trace(9)
    busy = Session(trace=own, settings={"Heads": {"tab": 1}})
    for _ in range(2):
        assert list_sessions(tmp_path)[0].restore(busy) == []
        assert len(busy.traces) == 3
        assert busy.traces[2] is own
        assert len(busy.figures) == 1
        assert set(busy.settings) == {"Trace", "Heads"}


def test_sessions_are_listed_newest_first_and_the_oldest_go(tmp_path):
    session = Session(trace=make_trace(1))
    first = save_session(session, tmp_path)
    only_first = FILES.name(session.trace)
    session.trace = make_trace(2)
    session.traces = session.traces[1:]
    paths = [save_session(session, tmp_path) for _ in range(KEPT)]
    assert not first.exists()
    assert [saved.path for saved in list_sessions(tmp_path)] == paths[::-1]
    assert (tmp_path / "traces" / only_first).exists()  # young: another program may be about to name it
    age(tmp_path)
    save_session(session, tmp_path)
    assert [path.name for path in (tmp_path / "traces").iterdir()] == [FILES.name(session.trace)]


def test_damaged_session_files_are_named_and_nothing_they_may_need_is_removed(session, tmp_path):
    good = save_session(session, tmp_path)
    text = good.read_text()
    for number, broken in enumerate((text[: len(text) // 2], "", "[]", '{"format": "99"}', '{"format": "1"}', "\0")):
        (tmp_path / f"session-0{number}.json").write_text(broken)
    (tmp_path / "session-07.json").write_bytes(b"\xff\xfe")
    found = list_sessions(tmp_path)
    assert [saved.path for saved in found] == [good]
    assert len(found.damaged) == 7
    assert all("session-0" in words for words in found.damaged)
    assert any("99" in words and "Upgrade" in words for words in found.damaged)
    orphan = tmp_path / "traces" / f"{'0' * 32}.parquet"
    orphan.write_bytes(b"of one of the damaged ones")
    age(tmp_path)
    save_session(session, tmp_path)
    assert orphan.exists()


def damage(folder, how):
    trace = min((folder / "traces").iterdir())
    figure = next((folder / "figures").glob("*.json"))
    content = trace.read_bytes()
    {
        "missing": trace.unlink,
        "truncated": lambda: trace.write_bytes(content[: len(content) // 2]),
        "a bit turned": lambda: trace.write_bytes(content[:400] + bytes([content[400] ^ 1]) + content[401:]),
        "figure": lambda: figure.write_text("{}"),
    }[how]()


@pytest.mark.parametrize("how", ["missing", "truncated", "a bit turned", "figure"])
def test_what_can_be_read_comes_back_and_the_rest_is_said(session, tmp_path, how):
    save_session(session, tmp_path)
    damage(tmp_path, how)
    found, lost, _ = restored(tmp_path)
    assert len(lost) == 1
    assert "could not be restored" in lost[0]
    assert (len(found.traces), len(found.figures)) == ((2, 0) if how == "figure" else (1, 1))
    assert found.sampler == session.sampler
    assert found.settings == session.settings


@pytest.mark.parametrize(
    "change",
    [
        {"traces": [{"file": "../../secret.parquet"}, {"file": None}, 3, {"file": "/etc/passwd"}]},
        {"figures": [{"figure": "../x.json", "data": "y"}, "z"]},
        {"sampler": {"steps": [{"step": "unheard of"}]}},
        {"sampler_b": 5},
        {"settings": [1]},
        {"trace": 77},
        {"cursor": "four"},
        {"traces": "none", "figures": None, "left_out": 4, "models": [1], "trace": "x"},
    ],
)
def test_a_session_file_changed_by_hand_never_raises(session, tmp_path, change):
    path = save_session(session, tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    found, lost, saved = restored(tmp_path)
    assert lost
    assert saved.summary()
    assert isinstance(saved.models, dict)
    assert found.sampler_b == (None if "sampler_b" in change else session.sampler_b)


def test_a_figure_that_cannot_be_written_does_not_stop_the_others(session, tmp_path):
    odd = pl.DataFrame({"thing": [object()]})
    session.figures = (*session.figures, Exportable("odd", session.figures[0].figure, odd, {}))
    save_session(session, tmp_path)
    found, lost, _ = restored(tmp_path)
    assert [figure.name for figure in found.figures] == ["entropy"]
    assert "'odd'" in lost[0]


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(session, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match="Choose"):
        save_session(session, tmp_path / "file" / "session")


_KILLED = """
    import os, sys, time
    import numpy as np
    from widgets import Session
    from widgets.session_store import save_session
    from workbench.traces import Trace

    def trace(seed):
        logits = np.random.default_rng(seed).normal(size=(30, 40)).astype(np.float32)
        return Trace.from_logits(logits, logits.argmax(1), meta={"seed": seed})

    session = Session(trace=trace(1))
    save_session(session, sys.argv[1])
    session.trace = trace(2)
    flush, calls = os.fsync, []

    def linger(handle):
        calls.append(handle)
        if len(calls) == 2:  # the trace is there, the session file is written but not in its place
            print("in the middle", flush=True)
            time.sleep(60)
        flush(handle)

    os.fsync = linger
    save_session(session, sys.argv[1])
"""


def test_a_process_killed_in_the_middle_of_saving_leaves_the_session_before(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(_KILLED), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "in the middle\n"
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".session-*.part"))  # it was in the middle indeed
    found, lost, _ = restored(tmp_path)
    assert lost == []
    assert [trace.meta["seed"] for trace in found.traces] == [1]
    assert list_sessions(tmp_path).damaged == ()
    age(tmp_path)
    save_session(found, tmp_path)
    assert [path.name for path in (tmp_path / "traces").iterdir()] == [FILES.name(found.trace)]


# --- saved as one goes --------------------------------------------------------------------------------------------


def test_many_changes_are_one_file_and_the_last_state_wins(session, tmp_path):
    async def work():
        saving = Autosave(session, tmp_path, after=0.02)
        for cursor in range(20):
            session.cursor = cursor
        assert not list(tmp_path.iterdir())  # nothing happens in the callback itself
        await until(lambda: saving.path is not None and not saving.due)
        first = saving.path
        session.cursor = 5
        await until(lambda: not saving.due)
        assert saving.path == first
        session.cursor = 6
        session.hover = 8
        saving.close()
        session.cursor = 7  # nobody listens any more
        return saving

    saving = asyncio.run(work())
    assert saving.problem == ""
    found, lost, _ = restored(tmp_path)
    assert (lost, found.cursor) == ([], 6)
    assert len(list_sessions(tmp_path)) == 1


async def until(holds, seconds=10):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_without_an_event_loop_it_saves_too(session, tmp_path):
    saving = Autosave(session, tmp_path)
    for cursor in (1, 2, 3):
        session.cursor = cursor
    saving.close()
    saving.close()
    assert restored(tmp_path)[0].cursor == 3


def test_nothing_changed_nothing_saved(session, tmp_path):
    Autosave(session, tmp_path).close()
    assert not list(tmp_path.iterdir())


def test_a_failure_is_kept_and_the_next_change_tries_again(session, tmp_path):
    in_the_way = tmp_path / "folder"
    in_the_way.write_text("")

    async def work():
        saving = Autosave(session, in_the_way, after=0.0)
        session.cursor = 1
        await until(lambda: saving.problem)
        assert "Choose" in saving.problem
        assert saving.due
        in_the_way.unlink()
        session.cursor = 2
        await until(lambda: not saving.due)
        assert saving.problem == ""
        saving.close()

    asyncio.run(work())
    assert restored(in_the_way)[0].cursor == 2


def test_closing_says_what_could_not_be_saved(session, tmp_path):
    (tmp_path / "file").write_text("")
    saving = Autosave(session, tmp_path / "file")
    session.cursor = 1
    saving.close()
    assert "Choose" in saving.problem
