"""The tour of the whole workbench in JupyterLab: every tab by its clicks, in light and dark, restarted and attacked."""

import re
import time

import pytest

pytestmark = pytest.mark.browser

TITLES = ("Model", "Trace", "Sampler", "Think/Answer", "Difficulty", "Heads", "Figures")
SLACK = 5  # workers share the cores, and each has a server, a kernel and a browser
FIRST, FURTHER = 5.0 * SLACK, 2.0 * SLACK
HASTY = """
import workbench as wb
from widgets import Workbench

model = wb.load("demo")
app = Workbench(model, trace=wb.record(model, "What is 3 plus 4?", seed=1), autosave=False)
app
"""
# What says that a tab is there: the last thing to appear in it.
SEEN = {
    "Model": ".workbench-models .workbench-model >> nth=1",
    "Trace": ".workbench-panel .js-plotly-plot .main-svg >> nth=0",
    "Sampler": ".workbench-sampler .js-plotly-plot .main-svg >> nth=0",
    "Think/Answer": ".workbench-phases .js-plotly-plot .main-svg >> nth=0",
    "Difficulty": ".workbench-app .js-plotly-plot .main-svg >> nth=0",
    "Heads": ".workbench-heads-map .js-plotly-plot .main-svg >> nth=0",
    "Figures": ".workbench-gallery >> nth=0",
}
EMPTY = """
import workbench as wb
from widgets import Workbench

app = Workbench()
app
"""


def tab(frame, title):
    return frame.locator(".workbench-app > .widget-tab > .lm-TabBar .lm-TabBar-tab").get_by_text(title, exact=True)


def turn(notebook, title):
    """Click a tab and wait until it is drawn; the seconds that took."""
    began = time.perf_counter()
    tab(notebook.frame, title).click()
    notebook.frame.locator(SEEN[title]).wait_for()
    return time.perf_counter() - began


def show(notebook, cell, **how):
    """Run the notebook and bring the app into sight; the seconds from the kernel's being ready."""
    notebook.open([cell], **how)
    began = time.perf_counter()
    notebook.run_all(timeout=120)
    notebook.frame.locator(".workbench-app").wait_for()
    taken = time.perf_counter() - began
    notebook.frame.locator(".workbench-app").evaluate("app => app.scrollIntoView()")
    return taken


def press(place, name):
    place.locator("button:visible", has_text=re.compile(rf"^\s*{re.escape(name)}$")).first.click()


def token(page, i):
    return page.locator(f'.ewb-strip:visible [data-i="{i}"]').first


def picture(notebook, title, theme):
    notebook.page.wait_for_timeout(400)
    notebook.screenshot(f"tour-{title.lower()}-{theme}")


def test_the_tour(notebook):
    page = notebook.page
    seconds = {"first": show(notebook, EMPTY, fresh=True)}  # imports included
    page.locator(SEEN["Model"]).wait_for()
    first = page.locator(".workbench-model").nth(0)
    first.get_by_text("✓ fits").wait_for()
    press(first, "Load")
    first.get_by_text("● ready").wait_for(timeout=30_000)
    picture(notebook, "Model", "light")

    seconds["Trace"] = turn(notebook, "Trace")
    prompt = page.locator(".workbench-panel textarea").first
    prompt.fill("Tom has 12 coins. He finds 9 more. How many coins has he now?")
    prompt.press("Tab")
    press(page.locator(".workbench-panel"), "Generate")
    notebook.wait_value("app.session.trace is not None and not app.page.panel.busy", expected=True, timeout=30)
    assert notebook.value("app.session.trace.meta['question']").startswith("Tom has 12 coins.")
    token(page, 6).click()
    notebook.wait_value("app.session.cursor", 6)
    picture(notebook, "Trace", "light")
    press(page, "Keep figure")
    page.get_by_text("kept, 1 in Figures").wait_for()

    for title in ("Sampler", "Think/Answer", "Difficulty", "Heads", "Figures"):
        seconds[title] = turn(notebook, title)
        if title in ("Sampler", "Think/Answer"):
            page.wait_for_function("() => document.querySelector('.ewb-cursor')?.dataset.i === '6'")
        if title == "Sampler":
            press(page, "Keep figure")
            page.get_by_text("kept, 2 in Figures").wait_for()
        wide = "() => { const a = document.querySelector('.workbench-app'); return a.scrollWidth - a.clientWidth; }"
        assert page.evaluate(wide) <= 0, title
        picture(notebook, title, "light")
    press(page.locator(".workbench-gallery"), "Report")
    page.wait_for_function(
        "() => document.querySelector('.workbench-gallery .workbench-export')?.textContent.includes('.html')",
        timeout=30_000,
    )
    exports = notebook.server.root / "workbench-files" / "exports"
    report = max(exports.glob("*.html"), key=lambda path: path.stat().st_mtime)
    opened = page.context.new_page()
    asked = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(report.as_uri())
    opened.locator(".js-plotly-plot .main-svg").nth(2).wait_for()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert opened.locator(".js-plotly-plot").count() == 2
    opened.close()
    print({name: round(value, 2) for name, value in seconds.items()})  # noqa: T201  -- seen with -s and on failure
    assert seconds.pop("first") < FIRST
    assert max(seconds.values()) < FURTHER, seconds


DARK = "rgb(17, 17, 17)"  # of charts, as their template has it
CHARTS = """(colour) => [...document.querySelectorAll('.js-plotly-plot')].filter((one) => one.offsetParent)
  .every((one) => getComputedStyle(one.querySelector('.main-svg')).backgroundColor === colour)"""
STRIP = "() => getComputedStyle(document.querySelector('.ewb-strip')).color"
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"


def test_dark_interrupted_and_restarted(notebook):
    page = notebook.page
    show(notebook, EMPTY)
    notebook.execute("from dataclasses import replace; model = wb.load('demo-small')")
    notebook.execute("app.session.model = replace(model, end_ids=frozenset())")  # it goes on until it is stopped
    turn(notebook, "Trace")
    notebook.execute("app.page.panel.decode_bar.limit.value = 1800")
    press(page.locator(".workbench-panel"), "Generate")
    page.wait_for_function("() => document.querySelectorAll('.ewb-strip .ewb-token').length > 20")
    before = page.evaluate(STRIP)
    page.evaluate(f"() => {KERNEL}.interrupt()")
    notebook.set_theme("dark")
    page.wait_for_function(CHARTS, arg=DARK)
    assert page.evaluate(STRIP) != before
    notebook.wait_value("app.page.panel.busy", expected=True)  # the interrupt was none of the decode's
    press(page.locator(".workbench-panel"), "Stop")
    notebook.wait_value("app.session.trace is not None and app.session.trace.meta['finish']", "stopped")
    notebook.execute("app.session.model, app.page.panel.decode_bar.limit.value = model, 24")
    press(page.locator(".workbench-panel"), "Generate")
    notebook.wait_value("app.session.trace is not None and len(app.session.trace)", 24)
    notebook.execute("app.session.cursor = 4; app.page.panel.decode_bar.seed.value = 77")
    for title in TITLES:
        turn(notebook, title)
        page.wait_for_function(CHARTS, arg=DARK)
        picture(notebook, title, "dark")
    turn(notebook, "Trace")
    text = notebook.value("app.session.trace.text")
    notebook.wait_value("app.saved.autosave.due", expected=False, timeout=10)

    page.evaluate(RESTART)
    notebook.run_all(timeout=120)
    page.get_by_text("Saved here").wait_for()
    notebook.screenshot("tour-restore-dark")
    press(page, "Restore")
    page.get_by_text("Restored.", exact=True).wait_for(timeout=30_000)
    assert notebook.value("[len(app.session.traces), app.session.trace.text, app.session.cursor]") == [2, text, 4]
    assert notebook.value("app.session.model.name") == "demo-small"
    turn(notebook, "Trace")
    assert page.locator(".ewb-strip .ewb-token").count() == 24
    assert page.locator(".workbench-panel .widget-text", has_text="seed").locator("input").input_value() == "77"


ATTACK = "<img src=x onerror=window.hacked=1>"
HOSTILE = f"""
import numpy as np
import polars as pl
import workbench as wb
from widgets import Workbench

attack = {ATTACK!r}
model = wb.load("demo-small")
problems = pl.DataFrame({{
    "problem": [attack, attack + "2"], "prompt": [f"{{attack}} What is 1 plus {{n}}?" for n in (1, 2)],
    "answer": ["2", attack], "difficulty": [1.0, 2.0],
}})
wb.sweeps.run(model, problems, samples=2, max_new_tokens=8, out=attack, progress=False)
rng = np.random.default_rng(0)
meta = {{"model": attack, "question": attack, "sampler": attack, "seed": attack}}
trace = wb.Trace.from_logits(rng.normal(0, 3, (9, 50)), range(9), texts=[attack] * 9, prompt=attack, meta=meta)
app = Workbench(model, trace=trace, autosave=False)
app
"""


def test_hostile_text_and_names_do_nothing_in_any_tab(notebook):
    page = notebook.page
    show(notebook, HOSTILE)
    for title in TITLES:
        turn(notebook, title)
        if title == "Trace":
            token(page, 3).hover()
            page.locator(".ewb-card:not([hidden])").wait_for()
            press(page, "Keep figure")
            notebook.execute("from dataclasses import replace")
            notebook.execute("app.session.figures = (replace(app.session.figures[0], name=attack),)")
        if title in ("Think/Answer", "Difficulty"):
            source = page.locator(".widget-text:visible", has_text="Sweep").locator("input")
            source.fill(ATTACK)
            source.press("Enter")
            notebook.wait_value("app.page.panel.panel.rows.sweep.folder.name", ATTACK, timeout=15)
            page.wait_for_timeout(500)
    notebook.wait_value("app.page.panel.chosen.name", ATTACK)
    press(page.locator(".workbench-app"), "Compare")
    page.wait_for_timeout(500)
    assert page.evaluate("() => window.hacked") is None
    assert page.locator(".workbench-app img, .workbench-app script").count() == 0


def test_tabs_clicked_faster_than_they_open_end_in_the_last_one(notebook):
    page = notebook.page
    show(notebook, HASTY)
    for round_ in range(2):
        for title in (*TITLES, "Trace", "Heads", "Sampler", "Difficulty"):
            tab(page, title).click()
            page.wait_for_timeout(60 * round_)
    page.locator(SEEN["Difficulty"]).wait_for(timeout=30_000)
    notebook.wait_value("app.page.title", "Difficulty")
    assert notebook.value("[page.title for page in app.pages if page.panel is not None]") == ["Difficulty"]
    page.wait_for_timeout(1000)  # what fails late is heard
    assert page.locator(".workbench-app .js-plotly-plot:visible").count() == 1
