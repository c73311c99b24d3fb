"""The gallery without a browser: the list, what is done to it, the preview, and exports of all at once."""

import asyncio
import gc
import json
import threading
import weakref
from collections import UserDict
from dataclasses import replace

import plotly.graph_objects as go
import polars as pl
import pytest

from tests.browser.jupyter import find_browser
from widgets.controls.export_bar import Exportable
from widgets.figures.embed import read_metadata
from widgets.figures.renderer import RENDERER
from widgets.panels.gallery_panel import GalleryPanel
from widgets.panels.gallery_words import Batch, batch_words, file_stem, kept_at, kept_now, line
from widgets.session import Session


def kept(name, *traces, tall=1.0, **settings):
    figure = go.Figure(traces or go.Scatter(y=[1, 2, 3]), layout={"xaxis": {"title": {"text": name}}})
    return Exportable(name, figure, pl.DataFrame({"a": [1, 2]}), {"model": "demo", **settings}, tall)


@pytest.fixture
def session():
    return Session(figures=(kept("one"), kept("two", go.Bar(y=[1]), go.Bar(y=[2]), tall=2.0), kept("three")))


@pytest.fixture
def panel(session, tmp_path):
    made = GalleryPanel(session, tmp_path / "out")
    yield made
    made.close()
    made.export_bar.wait()


def names(session):
    return [item.name for item in session.figures]


def export(panel, format_):
    panel.export_bar.buttons[format_].click()
    panel.export_bar.wait()
    assert not any(button.disabled for button in panel.export_bar.buttons.values())
    assert panel.export_bar.stop.disabled
    return panel.export_bar.batch


def files(panel):
    return sorted(path.name for path in panel.export_bar.folder.iterdir())


def test_with_nothing_kept_it_says_how_to_keep_a_figure_and_follows_the_first(tmp_path):
    session = Session()
    panel = GalleryPanel(session, tmp_path)
    assert "Keep figure" in panel.empty.children[0].value
    assert panel.empty.layout.display is None
    assert panel.body.layout.display == panel.export_bar.layout.display == "none"
    assert panel.tabs.box("figure").figure is None  # no plotly before there is a figure
    session.figures = (kept("one"),)
    assert panel.empty.layout.display == "none"
    assert panel.body.layout.display is None
    assert panel.chosen.name == panel.name.value == "one"
    panel.export_bar.export("JSON")
    panel.export_bar.wait()
    assert files(panel) == ["one.json"]
    panel.close()


def test_the_list_says_name_and_when_and_the_newest_kept_is_not_forced_on_the_reader(panel, session):
    assert panel.list.options[0] == ("1. one", 1)
    panel.list.index = 1
    now = kept_now(kept("four"))
    session.figures = (*session.figures, now)
    assert panel.list.options[-1][0] == f"4. four  ({kept_at(now)})"
    assert panel.chosen.name == "two"
    session.figures = (now,)  # the chosen one is gone
    assert panel.chosen is now


def test_one_chart_shows_whatever_is_chosen_and_takes_over_no_zoom(panel):
    shown = panel.tabs.box("figure").figure
    assert [trace.type for trace in shown.data] == ["scatter"]
    assert shown.layout.height == 380
    shown.layout.xaxis.range = [0.5, 0.7]  # as the browser tells of a zoom
    panel.list.index = 2
    assert panel.tabs.box("figure").figure is shown
    assert shown.layout.xaxis.range is None
    assert shown.layout.xaxis.title.text == "three"
    panel.list.index = 1
    assert [trace.type for trace in shown.data] == ["bar", "bar"]
    assert shown.layout.height == 760
    panel.theme.dark = True
    assert shown.layout.template.layout.paper_bgcolor == "#111111"
    assert panel.chosen.figure.layout.template.layout.paper_bgcolor != "#111111"
    panel.tabs.selected_index = 1
    assert "rows 0 to 1 of 2" in panel.tabs.children[1]._where.value


def test_figures_are_moved_renamed_removed_and_brought_back_in_place(panel, session):
    panel.list.index = 2
    panel.up.click()
    panel.up.click()
    assert names(session) == ["three", "one", "two"]
    assert panel.chosen.name == "three"
    assert panel.up.disabled
    panel.move(99)
    assert names(session) == ["one", "two", "three"]
    assert panel.down.disabled
    panel.name.value = "  <b>3</b> "
    assert names(session)[2] == "<b>3</b>"
    assert "&lt;b&gt;3&lt;/b&gt;" in panel.about.value
    panel.name.value = " "
    assert names(session)[2] == panel.name.value == "<b>3</b>"
    before = session.figures
    for _ in range(3):
        panel.list.index = 0
        panel.remove.click()
    assert session.figures == ()
    assert panel.undo_row.layout.display is None  # also with nothing left
    for _ in range(3):
        panel.undo.click()
    assert session.figures == before
    assert panel.undo_row.layout.display == "none"


def test_undo_comes_to_terms_with_what_was_kept_or_lost_since(panel, session):
    panel.list.index = 2
    panel.remove.click()
    session.figures = ()
    panel.undo.click()
    assert names(session) == ["three"]
    panel.bring_back()
    assert names(session) == ["three"]


@pytest.mark.parametrize(
    ("format_", "suffix"), [("HTML", "html"), ("CSV", "csv"), ("Parquet", "parquet"), ("JSON", "json")]
)
def test_each_figure_gets_a_file_of_its_own(panel, session, format_, suffix):
    session.figures = (*session.figures[:2], kept("one", seed=7))
    batch = export(panel, format_)
    assert files(panel) == sorted(["one." + suffix, "one-2." + suffix, "two." + suffix])
    assert (len(batch.written), batch.failed, batch.stopped) == (3, (), False)
    assert "3 of 3 saved" in panel.export_bar.status.value
    assert read_metadata(batch.written[2])["seed"] == 7


def test_png_of_two_figures_in_a_column_s_width(panel, session):
    if find_browser() is None:
        pytest.skip("static export needs a browser")
    session.figures = session.figures[:2]
    panel.export_bar.column.value = "single"
    batch = export(panel, "PNG")
    RENDERER.stop()
    assert batch.failed == ()
    widths = [int.from_bytes(path.read_bytes()[16:20], "big") for path in batch.written]
    assert all(abs(width - 1051) <= 2 for width in widths)
    assert read_metadata(batch.written[0]) == session.figures[0].settings


def test_without_a_browser_it_says_once_what_to_do_and_the_report_works(panel, tmp_path, monkeypatch):
    RENDERER.stop()
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "none"))
    batch = export(panel, "PDF")
    assert [name for name, _ in batch.failed] == ["one", "two", "three"]
    words = panel.export_bar.status.value
    assert "Nothing was written" in words
    assert words.count("role=") == 1
    assert "one, two, three: No Chrome" in words
    assert "HTML export works" in words
    panel.export_bar.title.value = "My runs: A/B"
    export(panel, "Report")
    assert files(panel) == ["My-runs-A-B.html"]
    about = read_metadata(panel.export_bar.saved)
    assert about["title"] == "My runs: A/B"
    assert [made["name"] for made in about["figures"]] == ["one", "two", "three"]


@pytest.mark.parametrize(("format_", "written"), [("CSV", 2), ("Report", 1)])
def test_one_that_fails_is_named_and_the_others_are_written(panel, session, format_, written):
    lists = pl.DataFrame({"ids": [[1]]})  # no CSV has lists
    bad = replace(session.figures[1], data=lists, settings={("no", "key"): 1} if format_ == "Report" else {})
    session.figures = (session.figures[0], bad, session.figures[2])
    batch = export(panel, format_)
    assert len(batch.written) == written
    assert [name for name, _ in batch.failed] == ["two"]
    assert "⚠ two: " in panel.export_bar.status.value
    assert "saved" in panel.export_bar.status.value


def test_a_folder_that_cannot_be_is_said_with_the_remedy(session, tmp_path):
    (tmp_path / "file").write_text("")
    panel = GalleryPanel(session, tmp_path / "file")
    panel.export_bar.export("JSON")
    panel.export_bar.wait()
    assert "Choose another" in panel.export_bar.status.value
    assert not panel.export_bar.buttons["JSON"].disabled
    panel.close()


@pytest.mark.parametrize(("format_", "left"), [("JSON", ["one.json"]), ("Report", [])])
def test_progress_is_said_and_stop_ends_between_two_figures(panel, session, format_, left):
    first, go_on = threading.Event(), threading.Event()

    class Slow(UserDict):
        """Settings that take their time when they are first read."""

        def keys(self):
            first.set()
            go_on.wait(30)
            return super().keys()

    slow = replace(session.figures[0], settings=Slow(model="demo"))
    session.figures = (slow, *session.figures[1:])

    async def story():
        panel.export_bar.export(format_)
        while not first.is_set():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        said, busy = panel.export_bar.status.value, panel.busy
        panel.export_bar.stop.click()
        go_on.set()
        while panel.busy:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        return said, busy

    assert asyncio.run(asyncio.wait_for(story(), 30)) == (f"{format_}: 1 of 3, one …", True)
    assert panel.export_bar.batch.stopped
    assert panel.export_bar.status.value.startswith("Stopped.")
    assert files(panel) == left


@pytest.mark.parametrize("name", ["../../etc/passwd", "/tmp/x", "..", "", "<img src=x>", "a\0b\n", "ü" * 300, "\ud800"])
def test_no_name_leaves_the_folder(panel, session, name):
    session.figures = (replace(session.figures[0], name=name),)
    assert export(panel, "JSON").failed == ()
    (path,) = panel.export_bar.folder.iterdir()
    assert path.name == f"{file_stem(name)}.json"
    assert json.loads(path.read_text())["model"] == "demo"
    assert [found.name for found in panel.export_bar.folder.parent.iterdir()] == ["out"]


def test_names_of_files_are_what_one_would_type():
    assert file_stem("Entropy, demo (seed 3)") == "Entropy-demo-seed-3"
    assert file_stem("entropy_v1.2") == "entropy_v1.2"
    assert file_stem("../..") == "figure"


def test_words_about_a_batch_are_escaped_and_say_how_many(tmp_path):
    (path := tmp_path / "a.csv").write_bytes(b"0" * 2000)
    words = batch_words(Batch("CSV", 7, (path,), (("<b>x", "<i>why"),), stopped=True), tmp_path)
    assert words.startswith("Stopped. 1 of 7 saved in")
    assert "(2 kB)" in words
    assert "&lt;b&gt;x: &lt;i&gt;why" in words
    assert line(2, kept("<b>")) == "2. <b>"  # a menu shows plain text
    assert kept_at(kept("x", kept="not a time")) == ""


def test_closing_lets_go_of_session_and_panel(session, tmp_path):
    panel = GalleryPanel(session, tmp_path)
    panel.close()
    session.figures = ()  # nobody listens
    gone = weakref.ref(panel)
    del panel
    gc.collect()
    assert gone() is None
