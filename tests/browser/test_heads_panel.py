"""The heads panel in JupyterLab: clicks and keys choose a head, sliders move marks, the heatmap follows the steps."""

import json

import pytest

pytestmark = pytest.mark.browser

TEXT = """
import numpy as np
import workbench as wb
from widgets import HeadPanel

model = wb.load("demo-small")
said = "What is 17 plus 25, then times 2? First, 17 + 25 = 42. After that, 42 times 2 is 84. The answer is 84."
stats = wb.attention.head_stats(model, said, skip_rows=1)
panel = HeadPanel(said, model=model)
panel
"""
TRAINING = """
from widgets import HeadPanel
from workbench.attention import training_runs

runs = training_runs()
panel = HeadPanel(history=runs)
panel
"""
MAP = "document.querySelector('.workbench-heads-map .js-plotly-plot')"
CELLS = f"() => Array.from({MAP}._fullData.find((one) => one.type === 'heatmap').z, (row) => Array.from(row))"
# Where the cell of a layer and a head is on the screen.
PLACE = f"""([layer, head]) => {{
  const plot = {MAP}, layout = plot._fullLayout, box = plot.getBoundingClientRect();
  const at = (axis, value) => axis._offset + axis.l2p(axis.d2l(axis.type === "category" ? String(value) : value));
  return [box.x + at(layout.xaxis, head), box.y + at(layout.yaxis, layer)];
}}"""


def show(notebook, cell, *, theme="light"):
    notebook.open([cell], theme=theme)
    notebook.run_all(timeout=120)
    page = notebook.page
    page.locator(".workbench-heads").wait_for()
    page.locator(".workbench-heads").evaluate("panel => panel.scrollIntoView()")
    page.wait_for_function(f"() => {MAP}?._fullData?.some((one) => one.type === 'heatmap')")
    page.locator(".workbench-heads .widget-tab .js-plotly-plot .main-svg").first.wait_for()
    page.wait_for_timeout(500)
    return page


def drag(page, label, moves):
    sliders = page.locator(".workbench-heads .widget-slider").filter(has=page.get_by_text(label, exact=True))
    handle = sliders.first.locator(".noUi-handle")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for move in moves:
        page.mouse.move(x + move, y, steps=6)
    page.mouse.up()


def wait_cells(page, expected):
    page.wait_for_function(
        f"(expected) => {{ const found = ({CELLS})(); return found.length === expected.length && "
        "found.every((row, i) => row.every((one, j) => Math.abs(one - expected[i][j]) < 1e-6)); }",
        arg=expected,
        timeout=10_000,
    )


def wait_words(page, text):
    page.locator(".workbench-heads .workbench-summary").filter(has_text=text).first.wait_for(timeout=10_000)


def wait_saved(page, name):
    page.wait_for_function(
        "name => document.querySelector('.workbench-export code')?.textContent.includes(name)", arg=name
    )


def test_a_click_or_an_arrow_key_chooses_a_head_and_colours_the_text(notebook):
    page = show(notebook, TEXT)
    wait_words(page, "different heads")
    outer = page.locator(".jp-WindowedPanel-outer").first.bounding_box()
    strip = page.locator(".workbench-heads .ewb-strip, .workbench-heads .ewb-text").first.bounding_box()
    assert strip["y"] + strip["height"] <= outer["y"] + outer["height"]  # all in sight without scrolling
    wide = "() => { const p = document.querySelector('.workbench-heads'); return p.scrollWidth - p.clientWidth; }"
    assert page.evaluate(wide) <= 0
    wait_cells(page, notebook.value("stats.normalized_entropy.tolist()"))
    page.mouse.click(*page.evaluate(PLACE, [2, 1]))
    notebook.wait_value("panel.chosen", [2, 1])
    page.get_by_text("row entropy, layer 2 head 1").first.wait_for(state="attached")
    wait_words(page, notebook.value("f'entropy {stats.entropy[2, 1]:.3f} nats'"))
    for key, place in (("ArrowDown", [1, 1]), ("ArrowRight", [1, 2]), ("ArrowUp", [2, 2]), ("ArrowLeft", [2, 1])):
        page.keyboard.press(key)
        notebook.wait_value("panel.chosen", place)
    page.locator(".workbench-heads .lm-TabBar-tab").get_by_text("Pattern", exact=True).click()
    page.locator(".workbench-heads .ewb-token").nth(20).click()
    notebook.wait_value("panel.strip.cursor", 20)
    notebook.wait_value("panel.charts.pattern.work.result and panel.charts.pattern.work.result.layer", 2)
    notebook.screenshot("heads-pattern-light")


def test_a_dragged_threshold_moves_marks_and_words_and_the_last_position_wins(notebook):
    page = show(notebook, TEXT, theme="dark")
    place = page.locator(".workbench-heads .lm-TabBar").first.bounding_box()
    drag(page, "overloaded from", (-12, 10, -25))
    drag(page, "collapsed below", (20, -10, 30))
    edges = notebook.settled("panel.view.settings.edges")
    assert edges[0] > 0.25
    assert edges[2] < 0.75
    bins = "wb.attention.entropy_bins(stats, edges=panel.view.settings.edges).of_head"
    wait_words(page, f"▼ {notebook.value(f'int(({bins} == 0).sum())')} collapsed")
    wait_words(page, f"▲ {notebook.value(f'int(({bins} == 3).sum())')} overloaded")
    for name, number in (("head_collapsed", 0), ("head_overloaded", 3)):
        page.wait_for_function(
            f"([name, count]) => ({MAP}._fullData.find((one) => one.meta === name)?.x?.length ?? 0) === count",
            arg=[name, notebook.value(f"int(({bins} == {number}).sum())")],
        )
    page.locator(".workbench-heads select").filter(has_text="share of rows collapsed").first.select_option(
        "share of rows collapsed"
    )
    drag(page, "collapse cut", (40, -10, 30))
    drag(page, "skip rows", (40, 20))
    cut, skip = notebook.settled("[panel.view.settings.collapse_cut, panel.view.settings.skip_rows]")
    assert cut > 0.05
    assert skip > 1
    wait_cells(page, notebook.value(f"stats.skipping({skip}).collapsed({cut}).tolist()"))
    page.locator(".workbench-heads").evaluate("panel => panel.scrollIntoView()")
    page.wait_for_timeout(200)
    assert page.locator(".workbench-heads .lm-TabBar").first.bounding_box() == pytest.approx(place)
    notebook.screenshot("heads-dark")


def test_the_heatmap_follows_the_step_slider(notebook):
    page = show(notebook, TRAINING)
    wait_words(page, "follows the step slider")
    column = "panel.map.column"
    last = "runs.steps(runs.runs[0])[-1]"
    wait_cells(page, notebook.value(f"runs.values(runs.runs[0], {last}, {column}).tolist()"))
    drag(page, "step", (-60, -20, -90))
    step = notebook.settled("panel.charts.training.steps.step.value")
    assert step < notebook.value(last)
    wait_cells(page, notebook.value(f"runs.values(runs.runs[0], {step}, {column}).tolist()"))
    wait_words(page, f"step {step:,}")
    page.locator(".workbench-heads select").filter(has_text=notebook.value("runs.runs[1]")).first.select_option(
        notebook.value("runs.runs[1]")
    )
    notebook.wait_value("panel.charts.training.steps.chosen[0] == runs.runs[1]", expected=True)
    wait_cells(page, notebook.value(f"runs.values(*panel.charts.training.steps.chosen, {column}).tolist()"))
    notebook.screenshot("heads-training")


def test_exports_hold_what_was_shown(notebook):
    page = show(notebook, TEXT)
    bar = page.locator(".workbench-heads .workbench-export")
    for format_ in ("JSON", "CSV", "PNG"):
        bar.get_by_role("button", name=format_, exact=True).click()
        wait_saved(page, f"heads.{format_.lower()}")
    folder = notebook.server.root / "exports"
    saved = json.loads((folder / "heads.json").read_text())
    assert saved["settings"] == notebook.value("panel.view.settings.to_dict()")
    assert saved["model"] == notebook.value("model.name")
    rows = (folder / "heads.csv").read_text().splitlines()
    assert sum(not row.startswith("#") for row in rows) == notebook.value("len(stats.to_frame())") + 1
    assert (folder / "heads.png").read_bytes().startswith(b"\x89PNG")
    page.locator(".workbench-heads select").filter(has_text="the open tab").select_option("the open tab")
    page.locator(".workbench-heads .lm-TabBar-tab").get_by_text("Bins", exact=True).click()
    bar.get_by_role("button", name="CSV", exact=True).click()
    wait_saved(page, "bins.csv")
    assert "share" in (folder / "bins.csv").read_text()
