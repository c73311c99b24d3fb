"""The trace panel in JupyterLab, on the bundled model."""

import json
import re

import pytest
from PIL import Image

pytestmark = pytest.mark.browser

CELLS = (
    """
import workbench as wb
from widgets import TracePanel

model = wb.load("demo")
question = (
    "Mia has 14 apples. She buys 9 more. Then there are 3 times as many. She gives away 20. How many apples are left?"
)
trace = wb.record(model, question, seed=1)
trace
""",
    """
panel = TracePanel(trace, model=model)
panel
""",
)
CURSOR = "[t for t in panel.chart.figure.data if t.meta == 'cursor'][0].x"


@pytest.fixture
def start(notebook):
    """A panel of a recorded answer in sight."""
    notebook.open(CELLS)
    notebook.run_all(timeout=120)
    return show_panel(notebook)


def show_panel(notebook):
    page = notebook.page
    page.locator(".workbench-panel").wait_for()
    page.locator(".workbench-panel").evaluate("panel => panel.scrollIntoView()")
    page.locator(".workbench-panel .js-plotly-plot .main-svg").first.wait_for()
    page.locator(".ewb-strip .ewb-token").first.wait_for()
    page.wait_for_timeout(300)
    return notebook


def token(page, i):
    return page.locator(f'.ewb-strip [data-i="{i}"]').first


def drawn_cursor(page):
    """Position of the cursor line as the browser draws it, or None."""
    return page.evaluate("""() => {
      const plot = document.querySelector('.workbench-panel .js-plotly-plot');
      const x = plot._fullData.find((trace) => trace.meta === 'cursor')?.x ?? [];
      return x.length ? x[0] : null;
    }""")


def wait_cursor(page, expected):
    page.wait_for_function(
        """(expected) => {
          const plot = document.querySelector('.workbench-panel .js-plotly-plot');
          const x = plot._fullData.find((trace) => trace.meta === 'cursor')?.x ?? [];
          return (x.length ? x[0] : null) === expected;
        }""",
        arg=expected,
    )


def test_hover_click_and_keys_move_strip_and_chart_together(start):
    page = start.page
    start.screenshot("start-light")
    token(page, 12).hover()
    wait_cursor(page, 12)
    page.locator(".ewb-card:not([hidden])").wait_for()
    start.screenshot("start-hover")
    token(page, 20).click()
    start.wait_value("panel.session.cursor", 20)
    page.mouse.move(5, 5)
    wait_cursor(page, 20)
    page.keyboard.press("ArrowRight")
    wait_cursor(page, 21)
    page.keyboard.press("Home")
    wait_cursor(page, 0)
    page.keyboard.press("Escape")
    wait_cursor(page, None)


def test_a_click_on_the_chart_moves_the_strip(start):
    page = start.page
    plot = page.locator(".workbench-panel .js-plotly-plot .nsewdrag").first
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.wait_for_function("() => document.querySelector('.js-plotly-plot .hoverlayer .hovertext')")
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.wait_for_function("() => Number(document.querySelector('.ewb-cursor')?.dataset.i ?? -1) >= 0")
    at = start.value("panel.session.cursor")
    assert abs(at - start.value("len(panel.session.trace)") / 2) < 4
    assert token(page, at).get_attribute("class").split().count("ewb-cursor") == 1


def test_dragging_the_percentile_changes_the_forking_tokens_and_the_last_position_wins(start):
    page = start.page
    before = start.value("list(panel.strip.marked)")
    slider = page.locator(".workbench-panel .widget-slider", has_text="forking above").locator(".noUi-handle")
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for step in (-20, 30, -35, 25, -30):
        page.mouse.move(box["x"] + box["width"] / 2 + step, box["y"] + box["height"] / 2, steps=6)
    page.mouse.up()
    page.wait_for_timeout(800)
    percentile = start.value("panel.controls.controls['percentile'].value")
    after = start.value("list(panel.strip.marked)")
    assert percentile < 80
    assert len(after) > len(before)
    expected = start.value(
        f"__import__('workbench.traces.forking', fromlist=['x'])"
        f".forking_tokens(panel.session.trace.tokens['entropy'], {percentile}).indices.tolist()"
    )
    assert after == expected
    drawn = page.evaluate("""() => [...document.querySelector('.workbench-panel .js-plotly-plot')
      ._fullData.find((trace) => trace.meta === 'forking').x]""")
    assert drawn == expected


def test_a_decode_streams_and_stop_stops_it(start):
    page = start.page
    # without end tokens the decode goes on until it is stopped
    start.execute("from dataclasses import replace; panel.session.model = replace(model, end_ids=frozenset())")
    start.execute("panel.decode_bar.limit.value = 1800")
    page.get_by_role("button", name="Generate").click()
    page.get_by_text(re.compile(r"^[0-9,]+ tokens, [0-9,]+ a second")).wait_for()
    page.wait_for_function("() => document.querySelectorAll('.ewb-strip .ewb-token').length > 30")
    start.screenshot("decoding")
    page.get_by_role("button", name="Stop").click()
    start.wait_value("panel.decode_bar.running", expected=False)
    start.wait_value("panel.session.trace is not None and panel.session.trace.meta['finish']", "stopped")
    tokens = start.value("len(panel.session.trace)")
    assert 30 <= tokens < 1800
    assert start.value("len(panel.strip)") == tokens


def test_export_writes_files_that_open(start):
    page = start.page
    for format_ in ("PNG", "SVG", "CSV", "JSON"):
        page.locator(".workbench-export").get_by_role("button", name=format_, exact=True).click()
        page.wait_for_function(
            "suffix => document.querySelector('.workbench-export code')?.textContent.endsWith(suffix)",
            arg=f".{format_.lower()}",
            timeout=30_000,
        )
    start.screenshot("exported")
    folder = start.server.root / "exports"
    with Image.open(newest(folder, "png")) as image:
        assert image.width > 1500
        assert len(image.convert("RGB").getcolors(maxcolors=1 << 20)) > 50
        assert "demo" in str(image.info)
    svg = page.context.new_page()
    svg.goto(newest(folder, "svg").as_uri())
    assert svg.locator("svg").first.bounding_box()["width"] > 300
    assert "raw entropy" in svg.locator("svg").first.text_content()
    settings = json.loads(newest(folder, "json").read_text())
    assert settings["model"] == "demo"
    assert settings["view"]["percentile"] == 80


def newest(folder, suffix):
    return max(folder.glob(f"*.{suffix}"), key=lambda path: path.stat().st_mtime)


def test_the_dark_theme_reaches_strip_and_charts(start):
    page = start.page
    start.set_theme("dark")
    page.wait_for_function("""() => {
      const plot = document.querySelector('.workbench-panel .js-plotly-plot');
      return getComputedStyle(plot.querySelector('.main-svg')).backgroundColor === 'rgb(17, 17, 17)';
    }""")
    page.wait_for_timeout(300)
    start.screenshot("start-dark")
    for i, name in enumerate(("varentropy", "histogram", "table"), start=1):
        page.locator(".workbench-panel .lm-TabBar-tab").nth(i).click()
        page.wait_for_timeout(1200)
        start.screenshot(f"start-dark-{name}")


def test_every_tab_shows_its_numbers(start):
    page = start.page
    tabs = page.locator(".workbench-panel .lm-TabBar-tab")
    tabs.nth(1).click()
    page.locator(".workbench-panel .js-plotly-plot:visible .scatterlayer .point").first.wait_for()
    start.screenshot("tab-varentropy")
    tabs.nth(2).click()
    page.locator(".workbench-panel .js-plotly-plot:visible .barlayer .point").first.wait_for()
    start.screenshot("tab-histogram")
    tabs.nth(3).click()
    titles = page.evaluate("() => [...document.querySelectorAll('.modebar-btn')].map((b) => b.dataset.title)")
    assert titles
    assert not any(
        "share" in title.lower() or "plotly" in title.lower() for title in titles
    )  # nothing leaves the machine
    rows = page.locator(".workbench-table tbody tr")
    rows.first.wait_for()
    assert rows.count() == 25
    start.screenshot("tab-table")
    assert "<think>" in rows.first.text_content()


HOSTILE = """
import numpy as np
import workbench as wb
from widgets import TracePanel

attack = '<img src=x onerror="window.pwned = 1">'
texts = [attack, "<script>window.pwned = 2</script>", "$\\\\alpha$", "<b>bold</b>", "\\u202egnp.exe"]
rng = np.random.default_rng(0)
trace = wb.Trace.from_logits(rng.normal(0, 3, (5, 50)), range(5), texts=texts, prompt=attack, meta={"model": attack})
panel = TracePanel(trace)
panel
"""


def test_hostile_text_does_nothing_anywhere(notebook):
    notebook.open([HOSTILE])
    notebook.run_all()
    page = show_panel(notebook).page
    for i in range(5):
        token(page, i).hover()
        page.wait_for_timeout(150)
    plot = page.locator(".workbench-panel .js-plotly-plot .nsewdrag").first.bounding_box()
    page.mouse.move(plot["x"] + 5, plot["y"] + plot["height"] / 2)
    page.mouse.move(plot["x"] + 9, plot["y"] + plot["height"] / 2, steps=3)
    page.wait_for_timeout(400)
    notebook.screenshot("hostile")
    page.locator(".workbench-panel .lm-TabBar-tab").nth(3).click()
    page.locator(".workbench-table tbody tr").first.wait_for()
    assert page.evaluate("() => window.pwned") is None
    assert page.locator(".workbench-panel img, .workbench-panel script").count() == 0
    assert "<img src=x" in page.locator(".workbench-table tbody tr").first.text_content()
    assert token(page, 3).text_content() == "<b>bold</b>"
