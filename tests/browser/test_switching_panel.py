"""The switching and the reflective panel in JupyterLab: sliders move chart and summary, and the last position wins."""

import json
import re

import pytest

pytestmark = pytest.mark.browser

SCORED = """
import workbench as wb
from widgets import ReflectivePanel, SwitchingPanel
from workbench.samplers.reflective import Reflective
from workbench.samplers.switching import Switching

small, large = wb.load("demo-small"), wb.load("demo")
question = "Start with 12. Add 9. Multiply by 3. What is the result?"
trace = wb.record(large, question, sampler=wb.Sampler(temperature=1.3), seed=5)
ids = trace.tokens["token_id"].to_list()
traces = [wb.score(model, ids, prompt=trace.prompt_ids) for model in (small, large)]
"""
SWITCHING = "panel = SwitchingPanel(*traces, settings=Switching(threshold=0.4, window=3, dwell=2))\npanel"
REFLECTIVE = "panel = ReflectivePanel(trace, settings=Reflective(window=10, k=2.0))\npanel"
# What the panel's chart really draws, by the role of a trace.
DRAWN = """(role) => {
  const plot = document.querySelector('.workbench-panel .js-plotly-plot');
  const trace = plot._fullData.find((one) => one.meta === role);
  return trace && trace.visible === true ? Array.from(trace.y) : [];
}"""


def show(notebook, cell):
    notebook.open([SCORED, cell])
    notebook.run_all(timeout=120)
    page = notebook.page
    page.locator(".workbench-panel").wait_for()
    page.locator(".workbench-panel").evaluate("panel => panel.scrollIntoView()")
    page.locator(".workbench-panel .js-plotly-plot .main-svg").first.wait_for()
    page.locator(".ewb-strip .ewb-token").first.wait_for()
    page.wait_for_timeout(400)
    return page


def handle(page, label):
    sliders = page.locator(".workbench-panel .widget-slider").filter(has=page.get_by_text(label, exact=True))
    return sliders.first.locator(".noUi-handle")


def wait_enabled(page, label):
    sliders = page.locator(".workbench-panel .widget-slider").filter(has=page.get_by_text(label, exact=True))
    sliders.first.locator(".noUi-target:not([disabled])").wait_for()
    page.wait_for_timeout(200)


def drag(page, label, moves):
    box = handle(page, label).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for move in moves:
        page.mouse.move(x + move, y, steps=6)
    page.mouse.up()
    page.wait_for_timeout(300)


def wait_drawn(page, role, expected):
    page.wait_for_function(
        f"([role, expected]) => {{ const y = ({DRAWN})(role); "
        "return y.length === expected.length && y.every((v, i) => Math.abs(v - expected[i]) < 1e-6); }",
        arg=[role, expected],
        timeout=10_000,
    )


def exported(notebook, stem):
    page = notebook.page
    page.locator(".workbench-export").get_by_role("button", name="JSON", exact=True).click()
    page.wait_for_function(
        "stem => document.querySelector('.workbench-export code')?.textContent.includes(stem)", arg=f"{stem}.json"
    )
    return json.loads((notebook.server.root / "exports" / f"{stem}.json").read_text())


def test_switching_follows_its_sliders_and_exports_its_settings(notebook):
    page = show(notebook, SWITCHING)
    notebook.screenshot("switching-light")
    assert max(page.evaluate(DRAWN, "route")) == 1

    drag(page, "threshold", (60, -30, 90, 25))
    threshold = notebook.settled("panel.settings.threshold")
    assert threshold != 0.4
    again = f"wb.samplers.switching.replay(*traces, Switching(threshold={threshold}, window=3, dwell=2))"
    wait_drawn(page, "threshold", [threshold, threshold])
    route = notebook.value(f"[float(one) for one in {again}.route.large]")
    starts = [i for i, one in enumerate(route) if i == 0 or one != route[i - 1]]
    wait_drawn(page, "route", [route[start] for start in starts for _ in range(2)])
    page.get_by_text(f"{notebook.value(f'{again}.cost.true'):.3f}", exact=True).wait_for()

    handle(page, "window").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    notebook.wait_value("panel.settings.window", 6)
    means = "wb.samplers.switching.replay(*traces, panel.settings).route.mean.tolist()"
    page.wait_for_timeout(300)
    wait_drawn(page, "mean", notebook.value(means))
    page.get_by_role("button", name="Undo").click()
    notebook.wait_value("panel.settings.window", 3)
    wait_drawn(page, "mean", notebook.value(means))

    page.locator('.ewb-strip [data-i="7"]').first.click()
    wait_drawn(page, "cursor", [0, 1])
    notebook.wait_value("panel.session.cursor", 7)
    saved = exported(notebook, "switching")
    assert saved["settings"] == notebook.value("panel.settings.to_dict()")
    assert saved["replay"]["true_cost"] == pytest.approx(notebook.value("panel.result.cost.true"))
    assert saved["model"] == "demo-small ⇄ demo"

    notebook.execute("panel.settings = Switching(threshold=0.3, window=3, dwell=1, hysteresis=0.15)")
    notebook.set_theme("dark")
    page.locator(".workbench-panel").evaluate("panel => panel.scrollIntoView()")
    page.wait_for_timeout(800)
    notebook.screenshot("switching-dark")
    page.locator(".workbench-panel .lm-TabBar-tab").get_by_text("Costs").click()
    page.locator(".workbench-table tbody tr").first.wait_for()
    notebook.screenshot("switching-costs")


def test_reflective_follows_its_sliders_and_says_what_holds_it(notebook):
    page = show(notebook, REFLECTIVE)
    notebook.screenshot("reflective-light")
    drag(page, "k", (40, -60, 20, -35))
    k = notebook.settled("panel.settings.k")
    assert k < 2
    again = f"wb.samplers.reflective.replay(trace, Reflective(window=10, k={k})).triggers"
    positions = notebook.value(f"{again}.positions.tolist()")
    assert positions
    wait_drawn(page, "triggered", notebook.value(f"{again}.entropy[{again}.triggered].tolist()"))
    page.locator(".workbench-summary").get_by_text(str(len(positions)), exact=True).first.wait_for()
    assert notebook.value("list(panel.strip.marked)") == positions

    page.get_by_role("button", name="Reference code").click()
    wait_enabled(page, "minimal std")
    drag(page, "minimal std", (150,))
    page.locator(".workbench-summary").get_by_text(re.compile("Nothing triggers")).wait_for()
    page.locator(".workbench-summary").get_by_text("minimal std", exact=True).wait_for()
    wait_drawn(page, "triggered", [])
    assert exported(notebook, "reflective")["settings"] == notebook.value("panel.settings.to_dict()")
    notebook.set_theme("dark")
    page.locator(".workbench-panel .jp-Accordion, .workbench-panel .widget-accordion").first.wait_for()
    page.wait_for_timeout(800)
    notebook.screenshot("reflective-dark")
