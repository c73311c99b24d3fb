"""The phase panel in JupyterLab: sliders, points, EAT and theme in a real page, on a small sweep of the demo model."""

import json

import pytest

import workbench as wb

pytestmark = pytest.mark.browser

CELL = """
import workbench as wb
from widgets import PhasePanel

panel = PhasePanel(sweep={folder!r})
panel
"""
# The traces of the chart in sight, as the browser really draws them.
PLOT = "[...document.querySelectorAll('.workbench-panel .js-plotly-plot')].find((plot) => plot.offsetParent)"
DRAWN = f"""([role, axis]) => {{
  const trace = ({PLOT})?._fullData?.find((one) => one.meta === role);
  return trace && trace.visible === true ? Array.from(trace[axis]) : null;
}}"""
# Where the point of that number lies on the page.
PLACE = f"""([role, number]) => {{
  const plot = {PLOT}, trace = plot._fullData.find((one) => one.meta === role);
  const {{ xaxis, yaxis }} = plot._fullLayout, box = plot.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.d2p(trace.x[number]), box.top + yaxis._offset + yaxis.d2p(trace.y[number])];
}}"""
SHOWN = "[panel.session.trace.meta[name] for name in ('problem', 'sample')]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A sweep of six problems, two samples each."""
    out = tmp_path_factory.mktemp("sweep") / "small"
    problems = wb.problems.load("arithmetic").limit(6)
    wb.sweeps.run("demo", problems, samples=2, out=out, seed=3, max_new_tokens=200, progress=False)
    return str(out)


@pytest.fixture
def shown(folder, notebook):
    """The panel of the sweep, in sight."""
    notebook.open([CELL.format(folder=folder)])
    notebook.run_all(timeout=120)
    page = notebook.page
    page.locator(".workbench-panel .js-plotly-plot .main-svg").first.wait_for()
    page.locator(".ewb-strip .ewb-token").first.wait_for()
    page.locator(".workbench-panel").evaluate("panel => panel.scrollIntoView()")
    page.wait_for_timeout(400)
    return notebook


def turn(notebook, title):
    page = notebook.page
    page.locator(".workbench-panel .lm-TabBar-tab").get_by_text(title, exact=True).click()
    page.wait_for_function(f"() => ({PLOT})?._fullData?.length")
    page.wait_for_timeout(400)


def wait_drawn(page, role, axis, expected):
    page.wait_for_function(
        f"([role, axis, expected]) => {{ const found = ({DRAWN})([role, axis]); return found !== null && "
        "found.length === expected.length && found.every((v, i) => Math.abs(v - expected[i]) < 1e-6); }",
        arg=[role, axis, expected],
        timeout=10_000,
    )


def drag(page, label, moves):
    """Through the handle of the slider of that name that is in sight; many positions, one after the other."""
    sliders = page.locator(".workbench-panel .widget-slider:visible").filter(has=page.get_by_text(label, exact=True))
    box = sliders.first.locator(".noUi-handle").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for move in moves:
        page.mouse.move(x + move, y, steps=5)
    page.mouse.up()


def height(page):
    return page.locator(".workbench-panel").evaluate("panel => panel.getBoundingClientRect().height")


def test_a_fast_drag_of_alpha_moves_readout_and_chart_to_its_last_value(shown):
    page = shown.page
    turn(shown, "Reward")
    before = height(page)
    drag(page, "alpha", (40, -30, 20, -45, 15, -50))
    page.wait_for_timeout(500)
    alpha = shown.settled("panel.view.settings.alpha")
    assert alpha < 1
    wait_drawn(page, "reward_alpha", "x", [alpha, alpha])
    over = "panel.over.rewards(panel.view.settings).reward.mean()"
    reward = shown.value(f"float({over})")
    page.locator(".workbench-readout:visible tr.chief").get_by_text(f"{reward:.4f}", exact=True).wait_for()
    wait_drawn(page, "reward_now", "y", [shown.value("float(__import__('numpy').interp("
               "panel.view.settings.alpha, panel.curve().alphas, panel.curve().mean))")])  # fmt: skip
    assert height(page) == before
    page.get_by_role("button", name="Undo").locator("visible=true").click()
    shown.wait_value("panel.view.settings.alpha", 1.0)
    wait_drawn(page, "reward_alpha", "x", [1.0, 1.0])


def test_a_click_on_a_point_opens_its_trace(shown):
    page = shown.page
    turn(shown, "Think against answer")
    before = shown.value(SHOWN)
    role = "phase_points:correct"
    rows = page.evaluate(DRAWN, [role, "customdata"])
    number = next(i for i, row in enumerate(rows) if row != shown.value("panel.over.place(panel.row)"))
    x, y = page.evaluate(PLACE, [role, number])
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y, steps=3)
    page.wait_for_timeout(200)
    page.mouse.click(x, y)
    row = f"panel.rows.frame.row({rows[number]}, named=True)"
    shown.wait_value(SHOWN, shown.value(f"[{row}['problem'], {row}['sample']]"))
    assert shown.value(SHOWN) != before
    wait_drawn(page, "phase_chosen", "y", shown.value(f"[{row}['think_entropy'], {row}['answer_entropy']]"))
    tokens = shown.value(f"{row}['tokens']")
    page.locator(".ewb-strip").get_by_text(f"{tokens} tokens", exact=True).wait_for()
    turn(shown, "This trace")
    wait_drawn(page, "phase_mean:think", "y", shown.value(
        "[panel.entropy.think] * (3 * len(panel.chart.split.spans('think')))"))  # fmt: skip


def test_chart_and_strip_share_a_cursor(shown):
    page = shown.page
    page.locator('.ewb-strip [data-i="6"]').first.click()
    wait_drawn(page, "cursor", "x", [6, 6])
    shown.wait_value("panel.session.cursor", 6)
    page.mouse.move(5, 400)
    x, y = page.evaluate(PLACE, ["tokens", 20])
    page.mouse.move(x - 2, y - 10)
    page.mouse.move(x, y - 10, steps=3)
    page.wait_for_timeout(300)
    page.mouse.click(x, y - 10)
    shown.wait_value("panel.session.cursor", 20)
    assert shown.value("panel.strip.cursor") == 20


def test_eat_is_measured_and_its_stop_follows_delta(shown):
    page = shown.page
    before = height(page)
    turn(shown, "EAT")
    page.get_by_placeholder("the model's marker").fill(r"</think>\n\n")
    page.get_by_placeholder("the model's marker").press("Tab")
    page.get_by_role("button", name="Measure the sweep").click()
    page.get_by_text("measured.").wait_for(timeout=90_000)
    shown.execute("panel.eat.sliders.settings = type(panel.eat.sliders.settings)(min_distance=1, delta=1e-6)")
    page.wait_for_timeout(300)
    for moves in ((30, 60), (20, 75)):
        drag(page, "delta", moves)
        page.wait_for_timeout(500)
        again = "panel.eat.sliders.settings.stop(panel.eat.shown)"
        index = shown.settled(f"{again}.index")
        at = f"panel.eat.shown.kept[{again}.index] - panel.eat.shown.start"
        if index is not None:
            wait_drawn(page, "eat_stop:entropy", "x", [shown.value(f"int({at})")] * 2)
        outcome = "wb.phases.eat_outcome(panel.eat.runs, **panel.eat.sliders.settings.arguments())"
        said = shown.value(f"f'{{{outcome}.stopped}} of {{{outcome}.n}}'")
        page.locator(".workbench-readout:visible").get_by_text(said, exact=True).wait_for()
    assert shown.value("panel.eat.sliders.settings.delta") > 1e-5
    assert index is not None
    assert height(page) == before
    shown.screenshot("phases-eat")


def test_every_tab_fits_is_labelled_and_follows_the_theme(shown):
    page = shown.page
    heights, colours = set(), {}
    for theme in ("light", "dark"):
        shown.set_theme(theme)
        for title in ("This trace", "Think against answer", "Length", "Reward", "EAT"):
            turn(shown, title)
            heights.add(height(page))
            colours.setdefault(theme, set()).add(page.evaluate(f"() => ({PLOT})._fullLayout.paper_bgcolor"))
            shown.screenshot(f"phases-{theme}-{title}")
    assert len(heights) == 1
    assert heights.pop() < 680  # what the page shows of a notebook at 1280 x 800
    assert len(colours["light"]) == len(colours["dark"]) == 1
    assert colours["light"] != colours["dark"]
    cut = "tabs => tabs.filter((tab) => tab.scrollWidth > tab.clientWidth).map((tab) => tab.textContent)"
    assert page.locator(".workbench-panel .lm-TabBar-tabLabel").evaluate_all(cut) == []


def test_every_export_is_written(shown):
    page, folder = shown.page, shown.server.root / "exports"
    turn(shown, "Length")
    for format_ in ("PNG", "SVG", "PDF", "HTML", "CSV", "Parquet", "JSON"):
        page.locator(".workbench-export").get_by_role("button", name=format_, exact=True).click()
        name = f"length.{format_.lower()}"
        page.wait_for_function(
            "name => document.querySelector('.workbench-export code')?.textContent.includes(name)", arg=name,
            timeout=60_000,
        )  # fmt: skip
        assert (folder / name).stat().st_size > 100
    saved = json.loads((folder / "length.json").read_text())
    assert saved["phases"] == shown.value("panel.view.settings.to_dict()")
    assert saved["sweep"]["seed"] == 3
