"""The line of traces and the comparison: switching, files that stay in their folder, drop and undo, one cursor."""

import asyncio
import gc
import json
import math
import threading
import weakref

import numpy as np
import polars as pl
import pytest
from plotly.callbacks import InputDeviceState, Points

from widgets import Session
from widgets.panels.trace_compare import TraceCompare
from widgets.panels.trace_shelf import TraceShelf
from widgets.panels.trace_shelf_files import inside, trace_files
from widgets.panels.trace_shelf_labels import LONGEST, file_stem, trace_label
from widgets.panels.trace_shelf_table import summary_frame
from workbench.errors import TraceError
from workbench.traces import Trace
from workbench.traces.imports import write_jsonl

HOSTILE = '<img src=x onerror=alert(1)>\u202e"&\n'
SAMPLER = {"steps": [{"step": "temperature", "temperature": 0.6}, {"step": "top_p", "p": 0.95}]}


def make_trace(seed=0, count=40, **meta):
    logits = np.random.default_rng(seed).normal(0, 3, (count, 50)).astype(np.float32)
    texts = [f" t{token}" for token in range(count)]
    about = {"model": "demo", "seed": seed, "sampler": SAMPLER, **meta}
    return Trace.from_logits(logits, logits.argmax(1), prompt="What is the result?", texts=texts, meta=about)


@pytest.fixture(scope="module")
def traces():
    return tuple(make_trace(seed, 40 + seed) for seed in range(3))


@pytest.fixture
def shelf(traces, tmp_path):
    made = TraceShelf(Session(traces=traces, trace=traces[0]), tmp_path / "traces")
    yield made
    made.close()


def pressed(shelf, button):
    getattr(shelf, button).click()
    assert shelf.wait()
    return shelf.status.value


def opened(shelf, name):
    shelf.open_file(str(name))
    assert shelf.wait()
    return shelf.status.value


def same(first, second):
    return len(first) == len(second) and all(one is other for one, other in zip(first, second, strict=True))


# --- the line -----------------------------------------------------------------------------------------------------


def test_the_menu_lists_newest_first_and_switches(shelf, traces):
    assert [index for _, index in shelf.menu.options] == [2, 1, 0]
    assert shelf.menu.value == 0
    shelf.menu.value = 2
    assert shelf.session.trace is traces[2]


def test_it_follows_the_session(shelf, traces):
    shelf.session.trace = new = make_trace(7)
    assert shelf.menu.value == 3
    assert shelf.session.traces[3] is new
    shelf.session.trace = None  # while a decode runs
    assert shelf.menu.label == "no trace on show"
    assert shelf.save.disabled
    assert shelf.drop.disabled
    shelf.session.trace = traces[1]
    assert shelf.menu.value == 1
    assert len(shelf.menu.options) == 4


def test_nothing_there_yet(tmp_path):
    shelf = TraceShelf(Session(), tmp_path)
    assert shelf.menu.label == "no traces yet"
    assert shelf.compare.disabled
    shelf.save_trace()
    assert "no trace to save" in shelf.status.value
    shelf.drop_trace()
    assert "no trace to drop" in shelf.status.value
    shelf.undo_drop()
    shelf.close()


def test_a_label_says_what_tells_traces_apart():
    assert trace_label(3, make_trace(7)) == "3 · demo · What is the… · 40 tok · T 0.6 top-p 0.95 · seed 7"
    wordy = make_trace(123456789, 40, model="owner/a-model-with-a-long-name", question=HOSTILE + "x" * 500)
    for trace in (wordy, Trace(wordy.tokens), Trace(wordy.tokens.head(0), meta={"sampler": "some text"})):
        label = trace_label(1234, trace)
        assert len(label) <= LONGEST
        assert label.isprintable()
    assert file_stem(make_trace(1, model="../../etc/passwd", question="../\0" + HOSTILE)).isascii()
    assert "/" not in file_stem(make_trace(1, model="..", question="../../x"))


def test_drop_and_undo(shelf, traces):
    shelf.menu.value = 1
    assert "dropped trace 2" in pressed(shelf, "drop")
    assert same(shelf.session.traces, (traces[0], traces[2]))
    assert shelf.session.trace is traces[0]
    pressed(shelf, "drop")
    pressed(shelf, "drop")
    assert shelf.session.traces == ()
    assert shelf.session.trace is None
    for _ in range(3):
        pressed(shelf, "undo")
    assert same(shelf.session.traces, traces)
    assert shelf.session.trace is traces[1]
    assert shelf.undo.layout.display == "none"


def test_a_dropped_trace_is_freed_when_undo_is_gone():
    session = Session(trace=make_trace(5))
    shelf = TraceShelf(session)
    gone = weakref.ref(session.trace)
    pressed(shelf, "drop")
    shelf.close()
    gc.collect()
    assert gone() is None


# --- files --------------------------------------------------------------------------------------------------------


def test_save_numbers_rather_than_overwrites_and_says_where(shelf, traces, tmp_path):
    first = pressed(shelf, "save")
    assert str(shelf.saved) in first
    assert shelf.saved.parent == tmp_path / "traces"
    before = shelf.saved
    pressed(shelf, "save")
    assert shelf.saved.stem == f"{before.stem}-2"
    assert Trace.load(before).tokens.equals(traces[0].tokens)
    assert not shelf.save.disabled


def test_saving_where_that_cannot_be_says_so(traces, tmp_path):
    (tmp_path / "file").write_text("")
    shelf = TraceShelf(Session(trace=traces[0]), tmp_path / "file" / "traces")
    assert "Choose a folder" in pressed(shelf, "save")
    assert not shelf.save.disabled
    shelf.close()


def test_files_are_listed_and_opened(shelf, traces):
    pressed(shelf, "save")
    shelf.browse.value = True
    assert shelf.files.layout.display == ""
    assert list(shelf.files.files.options) == [shelf.saved.name]
    shelf.files.read.click()
    assert shelf.wait()
    assert len(shelf.session.traces) == 4
    assert shelf.session.trace is shelf.session.traces[3]
    assert shelf.session.trace.tokens.equals(traces[0].tokens)
    shelf.browse.value = False
    assert shelf.files.layout.display == "none"


def test_what_servers_recorded_is_imported(shelf, traces):
    shelf.folder.mkdir()
    write_jsonl(traces[:2], shelf.folder / "both.jsonl")
    assert "2 traces" in opened(shelf, "both.jsonl")
    assert len(shelf.session.traces) == 5
    choice = {"logprobs": {"content": [{"token": "Hi", "logprob": -0.5, "top_logprobs": []}]}}
    reply = {"object": "chat.completion", "model": "m", "choices": [{"message": {"content": "Hi"}, **choice}]}
    (shelf.folder / "chat.json").write_text(json.dumps(reply))
    opened(shelf, "chat.json")
    assert shelf.session.trace.text == "Hi"


def test_no_name_leaves_the_folder(shelf, traces, tmp_path):
    shelf.folder.mkdir()
    outside = traces[0].save(tmp_path / "outside.parquet")
    (shelf.folder / "link.parquet").symlink_to(outside)
    (shelf.folder / "folder").symlink_to(tmp_path, target_is_directory=True)
    (shelf.folder / "circle.json").symlink_to(shelf.folder / "circle.json")
    for name in ("../outside.parquet", outside, "link.parquet", "folder/outside.parquet"):
        assert "lies outside" in opened(shelf, name)
    for name in ("circle.json", "nul\0.json", "x" * 5000, "none.parquet", "."):
        assert "⚠" in opened(shelf, name)
    assert len(shelf.session.traces) == 3
    assert trace_files(shelf.folder) == ([], 0)
    (shelf.folder / "notes.txt").write_text("")
    with pytest.raises(TraceError, match="trace file"):
        inside(shelf.folder, "notes.txt")


def test_damaged_files_are_said_to_be(shelf, traces):
    shelf.folder.mkdir()
    whole = traces[0].save(shelf.folder / "whole.parquet").read_bytes()
    cut = {"cut.parquet": whole[:500], "empty.parquet": b"", "cut.json": b'{"choices": [', "text.jsonl": b"<html>"}
    for name, content in cut.items():
        (shelf.folder / name).write_bytes(content)
        assert 'role="alert"' in opened(shelf, name)
    frame = pl.DataFrame({"x": [1]})
    frame.write_parquet(shelf.folder / "odd.parquet", metadata={"workbench.trace": "1", "about": "{"})
    assert "damaged" in opened(shelf, "odd.parquet")
    frame.write_parquet(shelf.folder / "other.parquet")
    assert "not a trace" in opened(shelf, "other.parquet")
    assert len(shelf.session.traces) == 3


def test_names_and_texts_are_never_markup(shelf):
    shelf.folder.mkdir()
    name = "<img src=x onerror=alert(1)>.parquet"
    make_trace(1, question=HOSTILE).save(shelf.folder / name)
    for said in (opened(shelf, name), opened(shelf, "<script>.json")):
        assert "<img" not in said
        assert "<script" not in said
    shelf.browse.value = True
    assert "<img" not in shelf.files.about.value
    pressed(shelf, "save")
    assert shelf.saved.name.isascii()


def test_many_files_are_listed_newest_first_and_hidden_ones_are_not(tmp_path):
    for number in range(230):
        (tmp_path / f"{number:03}.json").touch()
    (tmp_path / ".hidden.json").touch()
    (tmp_path / ".part").mkdir()
    (tmp_path / ".part" / "x.json").touch()
    names, total = trace_files(tmp_path)
    assert (len(names), total) == (200, 230)
    assert trace_files(tmp_path / "none") == ([], 0)


# --- comparison ---------------------------------------------------------------------------------------------------


def drawn(comparison, role):
    return next(mark for mark in comparison.tabs.box("traces").figure.data if mark.meta == role)


@pytest.fixture
def comparison(shelf):
    shelf.compare.value = True
    return shelf.comparison


def test_it_is_built_when_folded_out_and_closed_when_folded_in(shelf):
    assert shelf.comparison is None
    shelf.compare.value = True
    assert shelf.comparison in shelf.children
    figure = shelf.comparison.tabs.box("traces").figure
    shelf.compare.value = False
    assert shelf.comparison is None
    assert len(shelf.children) == 2
    assert figure.comm is None
    shelf.session.cursor = 3  # nobody of the closed one answers
    assert len(next(mark for mark in figure.data if mark.meta == "cursor").x) == 0


def test_the_newest_are_compared_until_one_chooses(shelf, comparison, traces):
    assert same(comparison.traces, traces)
    shelf.session.trace = make_trace(8)
    shelf.session.trace = make_trace(9)
    assert len(comparison.traces) == 4
    assert comparison.traces[-1] is shelf.session.trace
    comparison.chooser.value = (0, 2)
    assert same(comparison.traces, (traces[0], traces[2]))
    np.testing.assert_array_equal(drawn(comparison, "compare:1").x, np.arange(len(traces[2])))
    shelf.session.trace = traces[0]
    pressed(shelf, "drop")
    assert same(comparison.traces, (traces[2],))
    comparison.chooser.value = (0, 1, 2, 3)
    shelf.session.trace = make_trace(10)
    comparison.chooser.value = (0, 1, 2, 3, 4)
    assert len(comparison.traces) == 4
    assert "left out are 5" in comparison.status.value


def test_controls_move_chart_and_table(comparison, traces):
    comparison.window.value = 1
    np.testing.assert_allclose(drawn(comparison, "compare:0").y, traces[0].tokens["entropy"])
    comparison.unit.value = "bits"
    np.testing.assert_allclose(drawn(comparison, "compare:0").y, traces[0].tokens["entropy"] / math.log(2))
    assert "bits" in comparison.table._html.value
    comparison.align.value = "share"
    assert drawn(comparison, "compare:2").x[-1] == 100
    comparison.kind.value = "sampled"
    assert "sampled" in comparison.tabs.box("traces").figure.layout.annotations[0].text


def test_the_cursor_is_shared(shelf, comparison, traces):
    shelf.session.cursor = 7
    assert list(drawn(comparison, "cursor").x) == [7, 7]
    comparison.chooser.value = (1, 2)  # without the session's own
    assert len(drawn(comparison, "cursor").x) == 0
    comparison._clicked([0, 12.0])
    assert shelf.session.trace is traces[1]
    assert shelf.session.cursor == 12
    assert list(drawn(comparison, "cursor").x) == [12, 12]


def test_the_pointer_over_the_own_line_is_shared(shelf, comparison, traces):
    def pointed(line, token, *, gone=False):
        mark, points = drawn(comparison, f"compare:{line}"), Points([token], [token], [token], line)
        (mark._dispatch_on_unhover if gone else mark._dispatch_on_hover)(points, InputDeviceState())

    shelf.session.cursor = 7
    pointed(0, 12)
    assert shelf.session.shown == 12
    assert list(drawn(comparison, "cursor").x) == [12, 12]
    pointed(1, 20)  # another trace's token 20 is none of the own one's
    assert shelf.session.shown == 12
    pointed(0, 12, gone=True)
    assert shelf.session.shown == 7


def test_what_is_set_comes_back(shelf, comparison):
    comparison.unit.value, comparison.window.value = "bits", 5
    shelf.compare.value = False
    shelf.compare.value = True
    assert (shelf.comparison.unit.value, shelf.comparison.window.value) == ("bits", 5)
    again = TraceShelf(shelf.session, shelf.folder)
    again.compare.value = True
    assert again.comparison.unit.value == "bits"
    again.close()


def test_it_can_be_exported_with_where_it_is_from(comparison, traces):
    found = comparison.export_bar.current()
    assert found.data.height == sum(len(trace) for trace in traces)
    assert [about["seed"] for about in found.settings["traces"].values()] == [0, 1, 2]
    assert not any(mark.meta == "cursor" and len(mark.x) for mark in found.figure.data)
    json.dumps(found.settings)
    comparison.chooser.value = ()
    assert comparison.export_bar.current() is None


def test_the_numbers_of_each_trace():
    phases = ["marker", "think", "think", "marker", "answer"]
    trace = make_trace(4, 5)
    tokens = trace.tokens.with_columns(
        phase=pl.Series(phases), entropy=pl.Series([9.0, 1, 2, 9, 4]), logprob=pl.Series([-1.0, -2, -3, -4, -5])
    )
    (row,) = summary_frame([("a", Trace(tokens, meta=trace.meta))], "nats", 50).rows(named=True)
    assert (row["tokens"], row["think"], row["answer"]) == (5, 2, 1)
    assert (row["raw entropy think (nats)"], row["raw entropy answer (nats)"]) == (1.5, 4)
    assert row["sampled entropy think (nats)"] is None
    assert row["raw surprisal (nats)"] == 3
    assert row["perplexity"] == pytest.approx(math.e**3)
    assert row["forking (p50)"] == 2
    assert (row["model"], row["seed"]) == ("demo", "4")
    assert summary_frame([("none", Trace(tokens.head(0)))])["perplexity"].to_list() == [None]


def test_it_works_alone_and_off_the_comm_thread(traces, tmp_path):
    comparison = TraceCompare(Session(traces=traces))
    assert same(comparison.traces, traces)
    comparison.close()
    threads = threading.active_count()

    async def work():
        shelf = TraceShelf(Session(trace=traces[0]), tmp_path)
        shelf.save.click()
        assert shelf.saved is None  # it is written in a thread, and reported to the loop
        assert shelf.save.disabled
        while shelf.saved is None:
            await asyncio.sleep(0.01)
        shelf.close()

    asyncio.run(asyncio.wait_for(work(), 20))
    assert threading.active_count() <= threads
