"""The difficulty panel in JupyterLab: sliders move curve, labels and verdict; a click opens a problem's traces."""

import json

import pytest

pytestmark = pytest.mark.browser

SHAPES = """
import numpy as np
import polars as pl
import workbench as wb
from widgets import DifficultyPanel
from workbench.difficulty import curve, label_problems, problem_means


def responses(mean, levels=10, problems=12, samples=4):
    random = np.random.default_rng(0)
    level = np.repeat(np.arange(1.0, levels + 1), problems * samples)
    problem = np.repeat(np.arange(levels * problems), samples)
    entropy = mean(level) + random.normal(0, 0.06, levels * problems)[problem] + random.normal(0, 0.05, len(level))
    return pl.DataFrame({
        "problem": [f"p{code}" for code in problem], "sample": np.tile(np.arange(samples), levels * problems),
        "difficulty": level, "correct": random.random(len(level)) < 1.2 - level / levels,
        "entropy": entropy, "tokens": random.integers(50, 150, len(level)),
    })


table = responses(lambda level: 0.5 + 0.03 * (level - 5) ** 2)
panel = DifficultyPanel(table)
panel
"""
SWEEP = """
import polars as pl
import workbench as wb
from widgets import DifficultyPanel
from widgets.panels.difficulty_settings import CurveView
from workbench.difficulty import Thresholds

problems = wb.problems.load("arithmetic", limit=36)
sweep = wb.sweeps.run("demo-small", problems, samples=3, max_new_tokens=24, out="profile", progress=False)
arms = wb.difficulty.strategies(16)
run = wb.sweeps.run("demo-small", problems, samples=2, sampler=arms, out="arms", progress=False)
panel = DifficultyPanel("profile", strategies="arms")
panel.view.settings = CurveView(min_per_bin=1)
# answers cut this short are all wrong: entropy alone decides
panel.labels.sliders.settings = Thresholds(alpha=0.0, beta=panel.labels.means["entropy"].median(), gamma=1.0)
panel
"""
# The chart in sight, and what it really draws of the trace with a role.
PLOT = "[...document.querySelectorAll('.workbench-difficulty .js-plotly-plot')].find((one) => one.offsetParent)"
DRAWN = f"""([role, part]) => {{
  const trace = {PLOT}?._fullData.find((one) => one.meta === role);
  return trace?.visible === true ? Array.from(trace[part]) : [];
}}"""
# Where the point of a problem is on the screen.
PLACE = f"""(problem) => {{
  const plot = {PLOT}, layout = plot._fullLayout, box = plot.getBoundingClientRect();
  const trace = plot._fullData.find((one) => one.meta === "problem");
  const at = Array.from(trace.customdata).indexOf(problem);
  return [
    box.x + layout.xaxis._offset + layout.xaxis.l2p(trace.x[at]),
    box.y + layout.yaxis._offset + layout.yaxis.l2p(trace.y[at]),
  ];
}}"""


def show(notebook, cell, *, theme="light"):
    notebook.open([cell], theme=theme)
    notebook.run_all(timeout=180)
    to_panel(notebook)
    return notebook.page


def to_panel(notebook):
    page = notebook.page
    page.locator(".workbench-difficulty").wait_for()
    page.locator(".workbench-difficulty").evaluate("panel => panel.scrollIntoView()")
    page.locator(".workbench-difficulty .js-plotly-plot .main-svg").first.wait_for()
    page.wait_for_timeout(500)


def open_tab(page, title):
    page.locator(".workbench-difficulty .lm-TabBar-tab").get_by_text(title, exact=True).click()
    if title != "Table":
        page.wait_for_function(f"() => {PLOT}?._fullLayout")
    page.wait_for_timeout(500)


def handle(page, label):
    sliders = page.locator(".workbench-difficulty .widget-slider").filter(has=page.get_by_text(label, exact=True))
    return sliders.first.locator(".noUi-handle")


def drag(page, label, moves):
    box = handle(page, label).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for move in moves:
        page.mouse.move(x + move, y, steps=6)
    page.mouse.up()
    page.wait_for_timeout(300)


def wait_drawn(page, role, part, expected):
    page.wait_for_function(
        f"([role, part, expected]) => {{ const found = ({DRAWN})([role, part]); "
        "return found.length === expected.length && found.every((one, i) => "
        "typeof one === 'number' ? Math.abs(one - expected[i]) < 1e-6 : one === expected[i]); }",
        arg=[role, part, expected],
        timeout=10_000,
    )


def wait_summary(page, text):
    page.locator(".workbench-summary").get_by_text(text).first.wait_for(timeout=10_000)


def top(page):
    return page.locator(".workbench-difficulty .lm-TabBar").first.bounding_box()["y"]


def test_a_dragged_threshold_moves_counts_and_scatter_and_the_last_value_wins(notebook):
    page = show(notebook, SHAPES)
    open_tab(page, "Labels")
    axis = page.evaluate(f"() => {PLOT}._fullLayout.xaxis.range")
    for label, moves in (("beta", (30, -20, 40, -25)), ("gamma", (20, -10, 35)), ("alpha", (-20, 30, 12))):
        before = notebook.value(f"panel.labels.thresholds.{label}")
        drag(page, label, moves)
        now = notebook.settled(f"panel.labels.thresholds.{label}")
        assert now != before
        again = "label_problems(problem_means(table), panel.labels.thresholds)"
        for name in ("easy", "normal", "hard"):
            mine = notebook.value(f"[p for p, label in {again}.of_problem.items() if label == {name!r}]")
            wait_drawn(page, f"label:{name}", "customdata", mine)
            counts = page.locator(".workbench-difficulty b").get_by_text(str(len(mine)), exact=True)
            counts.first.wait_for()
        wait_drawn(page, label, "x" if label == "beta" else "y", [now, now])
    assert page.evaluate(f"() => {PLOT}._fullLayout.xaxis.range") == pytest.approx(axis)
    notebook.screenshot("difficulty-labels-light")
    page.get_by_role("button", name="Suggest").click()
    page.wait_for_timeout(300)
    counts = notebook.value("panel.labels.labels.counts")
    assert min(counts.values()) > 20
    wait_drawn(page, "label:hard", "customdata", notebook.value("sorted(panel.labels.means.filter("
               "__import__('polars').Series(panel.labels.labels.label == 'hard'))['problem'])"))  # fmt: skip


def test_curve_and_verdict_follow_their_sliders_and_nothing_jumps(notebook):
    page = show(notebook, SHAPES)
    wait_summary(page, "✓ U-shape supported")
    notebook.screenshot("difficulty-light")
    bottom = page.locator(".jp-WindowedPanel-outer").first.bounding_box()
    export = page.locator(".workbench-export").bounding_box()
    assert export["y"] + export["height"] <= bottom["y"] + bottom["height"]  # all in sight without scrolling
    wide = "() => { const p = document.querySelector('.workbench-difficulty'); return p.scrollWidth - p.clientWidth; }"
    assert page.evaluate(wide) <= 0
    place = top(page)
    page.locator(".workbench-difficulty select").filter(has_text="quantile").select_option("quantile")
    wait_drawn(page, "level_entropy", "y", notebook.value("curve(table, bins='quantile').levels['entropy'].to_list()"))
    drag(page, "n bins", (-10, 20, -14))
    bins = notebook.settled("panel.view.settings.n_bins")
    assert bins != 10
    levels = f"curve(table, bins='quantile', n_bins={bins}).levels['entropy'].to_list()"
    wait_drawn(page, "level_entropy", "y", notebook.value(levels))
    drag(page, "min per bin", (60, 20, 90))
    wait_summary(page, "? U-shape not identifiable")
    assert notebook.settled("panel.view.settings.min_per_bin") > 20
    wait_drawn(page, "parabola", "x", [])
    assert top(page) == place
    page.get_by_role("button", name="Defaults").first.click()
    wait_summary(page, "✓ U-shape supported")
    page.get_by_role("button", name="Why?").click()
    page.get_by_text("Two lines: slopes").wait_for()


@pytest.mark.parametrize(
    ("mean", "levels", "words"),
    [
        ("np.log(level + 1)", 10, ("✗ U-shape not supported", "Lind-Mehlum p = ")),
        ("0.5 + 0.03 * (level - 2) ** 2", 3, ("? U-shape not identifiable", "3 distinct difficulties are too few")),
    ],
)
def test_the_verdict_says_no_to_a_logarithm_and_nothing_of_few_levels(notebook, mean, levels, words):
    page = show(notebook, SHAPES.replace("0.5 + 0.03 * (level - 5) ** 2)", f"{mean}, levels={levels})"), theme="dark")
    for said in words:
        wait_summary(page, said)
    wait_drawn(page, "level_entropy", "y", notebook.value("curve(table).levels['entropy'].to_list()"))
    assert (page.evaluate(DRAWN, ["parabola", "y"]) == []) == (levels == 3)
    notebook.screenshot(f"difficulty-{levels}-levels")


def test_a_click_opens_a_problem_and_the_probe_is_trained_in_the_page(notebook):
    page = show(notebook, SWEEP)
    # the easiest problem of highest entropy stands alone
    name = notebook.value("panel.curve.problems.sort('entropy')['problem'][-1]")
    page.mouse.click(*page.evaluate(PLACE, name))
    page.locator(".workbench-problem").get_by_text(name, exact=True).wait_for()
    notebook.wait_value("panel.session.trace is not None", expected=True)  # it is read in the background
    notebook.wait_value("panel.session.trace.text == sweep.trace(panel.traces.problem, 0).text", expected=True)
    buttons = page.locator(".workbench-problem .widget-toggle-button")
    assert buttons.count() == 3
    buttons.nth(2).click()
    notebook.wait_value("panel.session.trace.text == sweep.trace(panel.traces.problem, 2).text", expected=True)
    tokens = page.locator(".workbench-problem .ewb-token")
    tokens.first.wait_for()
    assert tokens.count() == notebook.value("len(sweep.trace(panel.traces.problem, 2))")
    tokens.nth(3).click()
    notebook.wait_value("panel.session.cursor", 3)
    ring = notebook.value("panel.curve.problems.filter(problem=panel.traces.problem)['entropy'].to_list()")
    wait_drawn(page, "cursor_point", "y", ring)
    notebook.screenshot("difficulty-traces")

    open_tab(page, "DiffAdapt")
    page.get_by_role("button", name="Train the probe").click()
    page.get_by_text("held-out labels right").wait_for(timeout=60_000)
    page.get_by_text("the adaptive choice").wait_for()
    wait_drawn(page, "adaptive", "x", [notebook.value("panel.adapt.outcome.comparison['adaptive'].tokens.value")])
    notebook.screenshot("difficulty-diffadapt")
    drag(page, "beta", (30, -20))
    page.get_by_text("have changed since").wait_for()


def test_the_theme_is_followed_and_exports_say_what_was_shown(notebook):
    page = show(notebook, SHAPES)
    light = page.evaluate(f"() => {PLOT}._fullLayout.paper_bgcolor")
    notebook.set_theme("dark")
    page.wait_for_function(f"(light) => {PLOT}._fullLayout.paper_bgcolor !== light", arg=light)
    open_tab(page, "Labels")
    assert page.evaluate(f"() => {PLOT}._fullLayout.paper_bgcolor") != light
    notebook.screenshot("difficulty-labels-dark")
    open_tab(page, "Table")
    page.locator(".workbench-difficulty .workbench-table tbody tr:visible").first.wait_for()
    open_tab(page, "By difficulty")
    for format_ in ("JSON", "CSV"):
        page.locator(".workbench-export").get_by_role("button", name=format_, exact=True).click()
        page.wait_for_function(
            "name => document.querySelector('.workbench-export code')?.textContent.includes(name)",
            arg=f"difficulty.{format_.lower()}",
        )
    saved = json.loads((notebook.server.root / "exports" / "difficulty.json").read_text())
    assert saved["verdict"].startswith("U-shape supported")
    assert saved["curve"] == notebook.value("panel.view.settings.to_dict()")
    rows = (notebook.server.root / "exports" / "difficulty.csv").read_text()
    assert rows.count("overthinking") == notebook.value("curve(table).levels['region'].to_list().count('overthinking')")
