"""The workbench without a browser: tabs, settings, figures, the cursor, restart, and that nothing stays behind."""

import gc
import weakref
from dataclasses import replace

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances

import workbench as wb
from widgets import Session, Workbench
from widgets.panels.page import Page
from widgets.panels.saved_sessions import SavedSessions
from widgets.panels.sweep_page import SweepPage
from workbench.errors import ParameterError, TraceError

TITLES = ("Model", "Trace", "Sampler", "Think/Answer", "Difficulty", "Heads", "Figures")
WITH_FIGURE = {
    "Trace": "entropy", "Sampler": "sampler", "Think/Answer": "phases", "Difficulty": "difficulty", "Heads": "heads",
}  # fmt: skip
HOSTILE = "../../<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def model():
    return wb.load("demo-small")


@pytest.fixture(scope="module")
def trace(model):
    return wb.record(model, "What is 2 plus 3?", max_new_tokens=24)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where the notebook is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def app(model, trace, home):
    made = Workbench(model, trace=trace, folder=home / "files", autosave=False)
    yield made
    made.close()


def inner(panel):
    """The panel of a page that has a line of its own above it."""
    return getattr(panel, "panel", panel)


# --- tabs ---------------------------------------------------------------------------------------------------------


def test_a_panel_is_built_when_its_tab_is_opened_and_closed_when_it_is_left(app):
    assert app.page.title == "Trace"  # there is something to see already
    for title in TITLES:
        gone = weakref.ref(app.page.panel)
        left = app.page.title
        panel = app.turn_to(title)
        assert [page.title for page in app.pages if page.panel is not None] == [title]
        assert app.page.children == (panel,)
        if left != title:
            gc.collect()
            assert gone() is None, left
        del panel
    with pytest.raises(ParameterError, match="there are Model, Trace"):
        app.turn_to("Traces")


def test_without_anything_the_model_comes_first(home):
    app = Workbench(folder=home / "files", autosave=False)
    assert app.page.title == "Model"
    for title in TITLES:  # whatever is missing, a panel says so itself
        assert app.turn_to(title) is not None
    app.close()
    assert not (home / "files").exists()


def test_a_panel_that_decodes_is_left_to_finish_and_closed_at_the_next_turn(app, model):
    app.session.model = replace(model, end_ids=frozenset())  # it goes on until it is stopped
    panel = app.turn_to("Trace")
    panel.decode_bar.limit.value = 1500
    panel.decode_bar.start()
    app.turn_to("Sampler")
    app.turn_to("Difficulty")
    assert app.pages[1].panel is panel
    assert panel.busy
    assert app.turn_to("Trace") is panel
    panel.decode_bar.halt()
    assert panel.decode_bar.wait()
    assert app.session.trace.meta["finish"] == "stopped"
    app.turn_to("Sampler")
    assert app.pages[1].panel is None


def test_a_builder_that_fails_is_said_and_may_be_tried_again():
    class Repaired(ipywidgets.VBox):
        pass

    problems = [RuntimeError("<b>broken</b>"), TraceError("No trace. Record one."), MemoryError()]

    def build():
        if problems:
            raise problems.pop(0)
        return Repaired()

    page = Page("Mine", Session(), build)
    before = set(_instances)
    page.enter()
    for said in ("RuntimeError: &lt;b&gt;broken&lt;/b&gt;", "⚠ No trace. Record one.", "Memory ran out. Ask for fewer"):
        words, again = page.children
        assert 'role="alert"' in words.value
        assert said in words.value
        assert page.panel is None
        again.click()
    assert isinstance(page.panel, Repaired)
    assert page.children == (page.panel,)
    page.leave()
    assert not _instances.keys() - before
    page.close()


# --- settings -----------------------------------------------------------------------------------------------------

SET = {  # tab -> what is set there, as code on its inner panel would
    "Model": ("first.form.dtype.value", "bfloat16"),
    "Trace": ("decode_bar.prompt.value", "What is 9 minus 4?"),
    "Sampler": ("toolbar.unit.value", "bits"),
    "Think/Answer": ("view.controls['alpha'].box.value", 0.3),
    "Difficulty": ("tabs.selected_index", 1),
    "Heads": ("map.statistic.value", "sink"),
    "Figures": ("export_bar.title.value", "My figures"),
}


def read(panel, path):
    return eval(f"panel.{path}", {"panel": inner(panel)})


def put(panel, path, value):
    exec(f"panel.{path} = value", {"panel": inner(panel), "value": value})


def test_settings_survive_leaving_a_tab(app):
    for title, (path, value) in SET.items():
        assert read(app.turn_to(title), path) != value, title
        put(app.page.panel, path, value)
    for title, (path, value) in SET.items():
        assert read(app.turn_to(title), path) == value, title


def test_settings_of_another_sweep_and_another_method_come_back(app):
    page = app.turn_to("Think/Answer")
    page.source.value = "strategies"
    page.panel.view.controls["alpha"].box.value = 0.3
    page = app.turn_to("Sampler")
    page.method.value = "Reflective"
    page.panel.settings = replace(page.panel.settings, k=1.25)
    app.turn_to("Figures")
    page = app.turn_to("Think/Answer")
    assert page.source.value == "strategies"
    assert page.panel.rows.sweep.folder.name == "strategies"
    assert page.panel.view.settings.alpha == 0.3
    page = app.turn_to("Sampler")
    assert page.method.value == "Reflective"
    assert page.panel.settings.k == 1.25


def test_a_restart_brings_back_traces_cursor_settings_figures_and_the_model(model, trace, home):
    first = Workbench(model, trace=trace, folder=home / "files")
    first.session.sampler = wb.Sampler(top_k=7)
    first.turn_to("Trace").controls.controls["percentile"].value = 55
    first.page.panel.decode_bar.seed.value = 41
    first.keep_figure()
    first.session.cursor = 5
    first.close()

    again = Workbench(folder=home / "files")
    assert again.saved.offer.layout.display is None
    assert "1 trace, 1 kept figure" in again.saved.menu.label
    again.turn_to("Trace")
    again.saved.take.click()
    assert again.saved.wait()
    assert again.saved.offer.layout.display == "none"
    assert again.saved.status.value == "Restored."
    session, panel = again.session, again.page.panel
    assert session.model.name == "demo-small"
    assert session.trace.tokens.equals(trace.tokens)
    assert session.cursor == panel.strip.cursor == 5
    assert session.sampler == wb.Sampler(top_k=7)
    assert [figure.name for figure in session.figures] == ["entropy"]
    assert panel.controls.controls["percentile"].value == 55
    assert panel.decode_bar.seed.value == 41
    panel.decode_bar.limit.value = 4
    panel.decode_bar.start()
    assert panel.decode_bar.wait()
    assert session.trace.meta["seed"] == 41
    again.close()


def test_a_new_model_does_not_undo_the_settings_that_came_back(model, trace, home):
    first = Workbench(model, trace=trace, folder=home / "files")
    first.turn_to("Trace").decode_bar.temperature.value = 0.35
    first.close()
    again = Workbench(trace=trace, folder=home / "files")
    again.saved.take.click()
    assert again.saved.wait()
    assert again.page.panel.decode_bar.temperature.value == 0.35
    again.close()


def test_what_cannot_be_restored_is_said_and_the_rest_comes_back(model, trace, home):
    folder = home / "files" / "session"
    first = Workbench(replace(model, name="./gone"), trace=trace, folder=home / "files")
    first.keep_figure()
    first.close()
    next((folder / "traces").glob("*.parquet")).write_bytes(b"damaged")
    again = Workbench(folder=home / "files")
    again.saved.take.click()
    assert again.saved.wait()
    assert "Trace 1 could not be restored" in again.saved.status.value
    assert "Restored, but not its models" in again.saved.status.value
    assert len(again.session.figures) == 1
    again.close()


def test_nothing_is_offered_where_nothing_was_saved(home):
    line = SavedSessions(Session(), home / "none", save=False, before=lambda: None, restored=lambda: None)
    assert line.offer.layout.display == "none"
    assert line.status.value == ""
    line.close()


# --- figures and cursor -------------------------------------------------------------------------------------------


def test_a_figure_is_kept_from_every_tab_that_has_one(app):
    for title in TITLES:
        app.turn_to(title)
        if title == "Heads":
            app.page.panel.bar.start()
            assert app.page.panel.wait()
        assert app.keep.disabled == (title not in WITH_FIGURE)
        if title in WITH_FIGURE:
            app.keep.click()
            kept = app.session.figures[-1]
            assert kept.name == WITH_FIGURE[title]
            assert len(kept.figure.data) > 0
            assert len(kept.data) > 0
            assert "kept" in kept.settings
    assert [item.name for item in app.session.figures] == list(WITH_FIGURE.values())
    assert len(app.turn_to("Figures").list.options) == len(WITH_FIGURE)


def test_where_there_is_no_figure_it_says_so(model, home):
    app = Workbench(model, folder=home / "files", autosave=False)
    app.turn_to("Trace")
    app.keep.click()
    assert app.session.figures == ()
    assert "There is no figure here yet" in app.kept_words.value
    app.close()


def test_one_cursor_in_all_tabs(app):
    app.turn_to("Trace").strip.cursor = 7
    for title in ("Sampler", "Think/Answer"):
        assert inner(app.turn_to(title)).strip.cursor == 7
    inner(app.page.panel).strip.cursor = 9
    heads = app.turn_to("Heads")
    heads.bar.start()
    assert heads.wait()
    assert heads.strip.token == len(app.session.trace.prompt_ids) + 9
    assert app.turn_to("Trace").strip.cursor == 9


def test_two_workbenches_on_one_session_show_the_same_and_one_may_go(app, model, home):
    other = Workbench(session=app.session, folder=home / "other", autosave=False)
    bar = app.turn_to("Trace").decode_bar
    bar.limit.value = 6
    bar.start()
    assert bar.wait()
    made = app.session.trace
    assert len(other.page.panel.strip) == len(made) == 6
    other.page.panel.strip.cursor = 3
    assert app.page.panel.strip.cursor == 3
    assert len(other.shelf.menu.options) == 2
    other.close()
    assert app.session.model is model
    assert app.session.trace is made
    assert len(app.page.panel.strip) == 6


# --- the end ------------------------------------------------------------------------------------------------------


def test_closing_lets_go_of_everything(model, trace, home):
    own = wb.wrap(model.hf, model.tokenizer)
    before = set(_instances)
    app = Workbench(own, trace=wb.Trace(trace.tokens, sketch=trace.sketch, meta=trace.meta), folder=home / "files")
    held = [app, app.session, own, app.session.trace]
    for title in (*TITLES, *TITLES):
        held.append(app.turn_to(title))
        if title in WITH_FIGURE:
            app.keep_figure()
    held += [app.session.figures[0], app.session.figures[0].figure, *app.pages]
    gone = [weakref.ref(one) for one in held]
    names = [type(one).__name__ for one in held]
    app.close()
    app.close()  # once more does nothing
    del app, own, held
    gc.collect()
    assert [name for name, ref in zip(names, gone, strict=True) if ref() is not None] == []
    assert [type(_instances[key]).__name__ for key in _instances.keys() - before] == []


# --- from outside -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nowhere", "\0", "x" * 400, "broken", HOSTILE])
def test_a_folder_that_is_no_sweep_leaves_the_last_on_show(app, home, name):
    (home / "broken").mkdir()
    (home / "broken" / "sweep.json").write_text('{"settings": 3}')
    page = app.turn_to("Think/Answer")
    assert isinstance(page, SweepPage)
    panel = page.panel
    page.source.value = name
    assert page.panel is panel
    assert 'role="alert"' in page.status.value
    assert "<img" not in page.status.value
    page.source.value = "strategies"
    assert page.status.value == ""
    assert page.panel is not panel


def test_names_from_outside_stay_in_their_folder(app, home, trace):
    app.keep_figure()
    app.session.figures = (replace(app.session.figures[0], name=HOSTILE),)
    gallery = app.turn_to("Figures")
    assert "<img" not in gallery.about.value
    for format_ in ("CSV", "JSON", "HTML", "Report"):
        gallery.export_bar.export(format_)
        gallery.export_bar.wait()
    app.session.trace = wb.Trace(trace.tokens, sketch=trace.sketch, meta={"model": HOSTILE, "question": HOSTILE})
    app.shelf.save_trace()
    assert app.shelf.wait()
    (home / "secret.parquet").write_bytes(b"")
    app.shelf.open_file("../../secret.parquet")
    assert app.shelf.wait()
    assert "lies outside" in app.shelf.status.value
    assert "<img" not in app.shelf.status.value
    written = {path for path in home.rglob("*") if path.is_file()} - {home / "secret.parquet"}
    assert {path.parent for path in written} == {home / "files" / "exports", home / "files" / "traces"}
    assert len(written) == 5
    assert all("<img src" not in path.read_text() for path in written if path.suffix == ".html")
