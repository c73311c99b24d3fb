"""The sampler panel in JupyterLab: every kind of slider is dragged, and the chart shows the last position."""

import json
import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

DEMO = """
import workbench as wb
from widgets import SamplerPanel
from workbench.samplers import DRY, EntropyQuadrants, Sampler, Temperature, TopK, TopP

model = wb.load("demo")
trace = wb.record(model, "Tom has 3 apples and buys 4 more. How many apples?", max_new_tokens=200)
panel = SamplerPanel(trace, model=model)
panel
"""
LONG = """
import numpy as np
import workbench as wb
from widgets import SamplerPanel

random = np.random.default_rng(0)
logits = random.gumbel(0, 2, (4096, 1500)).astype(np.float32)
trace = wb.Trace.from_logits(logits, random.integers(0, 1500, 4096))
panel = SamplerPanel(trace, sampler=wb.Sampler(temperature=0.8, top_p=0.9))
panel
"""
# What a chart of the panel really draws, by the role of a trace.
DRAWN = """([chart, role]) => {
  const plots = [...document.querySelectorAll('.workbench-sampler .js-plotly-plot')];
  const plot = plots.find((one) => one._fullData.some((trace) => trace.meta === chart));
  const trace = plot._fullData.find((one) => one.meta === role);
  return trace?.visible === true ? Array.from(trace.y) : null;
}"""


@pytest.fixture
def demo(notebook):
    notebook.open([DEMO])
    notebook.run_all(timeout=120)
    return show_panel(notebook)


def show_panel(notebook):
    page = notebook.page
    page.locator(".workbench-sampler").wait_for()
    page.locator(".workbench-sampler").evaluate("panel => panel.scrollIntoView()")
    page.wait_for_function(
        "() => document.querySelectorAll('.workbench-sampler .js-plotly-plot .main-svg').length >= 4"
    )
    page.locator(".ewb-strip .ewb-token").first.wait_for()
    page.wait_for_timeout(300)
    return notebook


def handle(page, label, place=0):
    """The slider's handle of the setting with this name."""
    sliders = page.locator(".workbench-step .widget-slider").filter(has=page.get_by_text(label, exact=True))
    return sliders.nth(place).locator(".noUi-handle")


def drag(page, knob, moves, *, steps=6):
    """Drag a handle by these distances from where it is, one after the other."""
    box = knob.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for move in moves:
        page.mouse.move(x + move, y, steps=steps)
    page.mouse.up()


def settle(notebook):
    """Wait until the page shows what the kernel has."""
    notebook.page.wait_for_timeout(200)
    notebook.wait_value("panel._soon.due or panel._cursor_soon.due", expected=False)
    expected = [round(y, 6) for y in notebook.value("panel.replays.a['kept'].tolist()")]
    if len(expected) <= 800:
        wait_drawn(notebook, "kept_a", expected)


def wait_drawn(notebook, role, expected, *, chart="raw"):
    script = f"([chart, role, expected]) => {{ const y = ({DRAWN})([chart, role]); "
    script += "return y && y.length === expected.length && y.every((v, i) => Math.abs(v - expected[i]) < 1e-4); }"
    notebook.page.wait_for_function(script, arg=[chart, role, expected], timeout=10_000)


def truth(notebook, column="entropy"):
    """What sampler A gives, from the settings the session holds, without the panel's own replays."""
    return notebook.value(f"wb.replay(panel.session.trace, panel.session.sampler)[{column!r}].tolist()")


def test_chain_chart_and_bars_are_in_sight_together(demo):
    page = demo.page
    demo.screenshot("sampler-light")
    bottom = page.locator(".jp-WindowedPanel-outer").first.bounding_box()
    for part in (
        ".workbench-chain",
        ".workbench-sampler .js-plotly-plot >> nth=0",
        ".workbench-sampler .js-plotly-plot >> nth=1",
    ):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= bottom["y"] + bottom["height"], part
        assert box["width"] > 250
    wide = page.evaluate(
        "() => { const p = document.querySelector('.workbench-sampler'); return p.scrollWidth - p.clientWidth; }"
    )
    assert wide <= 0


def test_each_kind_of_slider_is_dragged_and_the_chart_follows(demo):
    page = demo.page
    demo.execute("panel.sampler = Sampler.chain([Temperature(1.0), TopK(50), DRY()])")
    page.wait_for_timeout(500)
    for label, place, low, expression in (
        ("temperature", 0, 0.3, "panel.sampler.steps[0].temperature"),  # linear
        ("k", 0, 1, "panel.sampler.steps[1].k"),  # logarithmic, whole
        ("allowed length", 0, 0, "panel.sampler.steps[2].allowed_length"),  # whole
    ):
        before = demo.value(expression)
        drag(page, handle(page, label, place), [-8, 20, -15] if label != "allowed length" else [10, 40])
        settle(demo)
        after = demo.settled(expression)
        assert after != before
        assert after >= low
        wait_drawn(demo, "sampler_a", truth(demo))
        shown = page.locator(".workbench-step .widget-hbox").filter(has=page.get_by_text(label, exact=True))
        assert float(shown.first.locator("input[type=number]").input_value()) == pytest.approx(after)
    demo.screenshot("sampler-dragged")


def test_no_stale_value_stays_after_a_fast_drag(demo):
    page = demo.page
    demo.execute("panel.sampler = Sampler.chain([Temperature(0.8), TopP(0.9)])")
    page.wait_for_timeout(500)
    for _ in range(3):
        drag(page, handle(page, "temperature"), [40, -30, 45, -25, 30, 10], steps=2)
        settle(demo)
        temperature = demo.settled("panel.sampler.temperature")
        assert temperature == demo.value("panel.session.sampler.temperature")
        assert demo.value("panel.chain.cards[0].controls['temperature'].slider.value") == pytest.approx(temperature)
        wait_drawn(demo, "sampler_a", truth(demo))
        box = page.locator(".workbench-step input[type=number]").first
        assert float(box.input_value()) == pytest.approx(temperature)
        marked = demo.value("wb.replay(trace, panel.sampler).dropped.tolist()")
        assert demo.value("list(panel.strip.marked)") == marked
        drag(page, handle(page, "temperature"), [-10, -20])


def test_exact_numbers_survive_the_sliders_steps_and_a_redrawn_page(demo):
    page = demo.page
    page.get_by_role("button", name="entropix").click()  # 0.666 and 27 lie between the steps of their sliders
    demo.wait_value("type(panel.sampler.steps[0]).__name__", "EntropyQuadrants")
    page.wait_for_timeout(600)
    assert demo.value("panel.sampler.steps[0] == EntropyQuadrants()")
    box = page.locator(".workbench-step input[type=number]").first
    box.fill("0.7123")
    box.press("Enter")
    demo.wait_value("panel.sampler.steps[0].temperature", 0.7123)
    page.evaluate("""async () => {
      const { commands, shell } = window.jupyterapp;
      const notebook = shell.currentWidget.id;
      await commands.execute("notebook:create-output-view");  // the panel is drawn a second time
      shell.activateById(notebook);
    }""")
    page.wait_for_function("() => document.querySelectorAll('.workbench-sampler').length === 2")
    page.wait_for_timeout(1000)
    assert demo.value("panel.sampler.steps[0].temperature") == 0.7123
    assert demo.value("panel.sampler.steps[0].top_k") == 27


def test_a_number_out_of_range_is_said_beside_it(demo):
    page = demo.page
    page.get_by_role("button", name="nucleus .95").click()
    box = page.locator(".workbench-step input[type=number]").first
    expect(box).to_have_value("0.95")  # the preset's card is there, and not the one before it
    demo.wait_value("panel.sampler.steps[0].p", 0.95)
    page.wait_for_timeout(300)
    box.fill("1.5")
    box.press("Enter")
    page.locator(".workbench-step [role=alert]").get_by_text("out of range").wait_for()
    demo.screenshot("sampler-out-of-range")
    assert demo.value("panel.sampler.steps[0].p") == 0.95
    box.fill("0.5")
    box.press("Enter")
    demo.wait_value("panel.sampler.steps[0].p", 0.5)
    assert page.locator(".workbench-step [role=alert]").count() == 0


def test_the_chain_is_built_with_the_mouse(demo):
    page = demo.page
    page.get_by_role("button", name="raw", exact=True).click()
    demo.wait_value("len(panel.sampler.steps)", 0)
    for title in ("Temperature", "Min-p", "Top-k"):
        page.locator(".workbench-sampler select[title^='Append']").select_option(label=title)
        page.locator(".workbench-step-head").get_by_text(title, exact=True).wait_for()
    names = "[step.name for step in panel.sampler.steps]"
    demo.wait_value(names, ["temperature", "min_p", "top_k"])
    page.locator("button[title='Top-k: act earlier']").click()
    demo.wait_value(names, ["temperature", "top_k", "min_p"])
    page.locator(".workbench-step-head").get_by_text("Min-p", exact=True).click()
    demo.wait_value(names, ["temperature", "top_k"])
    page.wait_for_timeout(300)
    demo.screenshot("sampler-step-off")
    page.locator("button[title='Temperature: remove']").click()
    demo.wait_value(names, ["top_k"])
    page.locator("button[title^='Undo']").click()
    demo.wait_value(names, ["temperature", "top_k"])
    settle(demo)
    wait_drawn(demo, "sampler_a", truth(demo))


def test_a_and_b(demo):
    page = demo.page
    page.get_by_role("button", name="min-p .1, T 1.5").click()
    demo.wait_value("len(panel.sampler.steps)", 2)
    page.get_by_role("button", name="Keep as B").click()
    page.get_by_role("button", name="greedy").click()
    demo.wait_value("panel.sampler.greedy", expected=True)
    settle(demo)
    b = demo.value("wb.replay(trace, panel.b)['entropy'].tolist()")
    wait_drawn(demo, "sampler_b", b)
    assert truth(demo) != b
    page.locator('.ewb-strip [data-i="8"]').first.click()
    demo.wait_value("panel.session.cursor", 8)
    page.wait_for_timeout(300)
    demo.screenshot("sampler-a-b")
    page.get_by_role("button", name="Swap").click()
    demo.wait_value("panel.b.greedy", expected=True)
    settle(demo)
    wait_drawn(demo, "sampler_a", b)
    tabs = page.locator(".workbench-sampler .lm-TabBar-tab")
    tabs.get_by_text("Summary").click()
    heads = page.locator(".workbench-sampler table th[scope=col]")
    heads.nth(3).wait_for()
    assert heads.all_text_contents() == ["whole trace", "before", "A", "B"]
    demo.screenshot("sampler-summary")
    page.get_by_role("button", name="Forget B").click()
    demo.wait_value("panel.b is None", expected=True)
    tabs.get_by_text("Along the trace").click()
    page.wait_for_function(f"() => ({DRAWN})(['raw', 'sampler_b']) === null")


def test_pointing_at_strip_and_chart_moves_the_bars(demo):
    page = demo.page
    caption = page.locator(".workbench-caption")
    for position in (8, 9, 2):
        page.locator(f'.ewb-strip [data-i="{position}"]').first.hover()
        caption.get_by_text(re.compile(rf"^token {position} ")).wait_for()
        raw = demo.value(f"wb.replay(trace, panel.sampler).distribution({position}, 20)['sampled'].to_list()")
        drawn = page.evaluate(DRAWN.replace("trace.y", "trace.x"), ["top_raw", "top_sampled"])
        assert drawn == pytest.approx([p for p in raw if p > 0])
    page.mouse.move(5, 5)
    caption.get_by_text("the highest raw entropy").wait_for()
    plot = page.locator(".workbench-sampler .js-plotly-plot").first
    for layer in (0, 1):  # the upper and the lower half
        box = plot.locator(".nsewdrag").nth(layer).bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.5)
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5, steps=4)
        plot.locator(".hoverlayer .hovertext").first.wait_for()
        page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
        page.wait_for_function("() => Number(document.querySelector('.ewb-cursor')?.dataset.i ?? -1) >= 0")
        assert abs(demo.value("panel.session.cursor") - 0.4 * demo.value("len(trace)")) < 3
        demo.execute("panel.session.cursor = -1")
        page.wait_for_function("() => document.querySelector('.ewb-cursor') === null")


def test_samples_stream_are_listed_and_can_be_stopped_and_shown(demo):
    page = demo.page
    page.locator(".workbench-samples").scroll_into_view_if_needed()
    demo.execute("panel.sample_bar.n.value = 2")
    page.get_by_role("button", name="Generate samples").click()
    demo.wait_value("len(panel.session.traces)", 3, timeout=60)
    options = page.locator(".workbench-samples select option")
    options.nth(2).wait_for(state="attached")
    page.locator(".workbench-samples select").select_option(index=2)
    demo.wait_value("panel.session.trace is panel.session.traces[2]", expected=True)
    settle(demo)
    wait_drawn(demo, "sampler_a", truth(demo))
    demo.screenshot("sampler-samples")
    # without end tokens the decode goes on until it is stopped
    demo.execute("from dataclasses import replace; panel.session.model = replace(model, end_ids=frozenset())")
    demo.execute("panel.sample_bar.limit.value = 1800")
    page.get_by_role("button", name="Generate samples").click()
    page.get_by_text(re.compile(r"^[0-9,]+ tokens, [0-9,]+ a second")).wait_for()
    page.get_by_text("<think>").first.wait_for()
    demo.screenshot("sampler-streaming")
    page.locator(".workbench-samples").get_by_role("button", name="Stop").click()
    demo.wait_value("len(panel.session.traces)", 5, timeout=30)
    assert demo.value("[one.meta['finish'] for one in panel.session.traces[3:]]") == ["stopped"] * 2


def test_settings_are_exported_and_loaded_back(demo):
    page = demo.page
    page.get_by_role("button", name="llama.cpp").first.click()
    demo.wait_value("len(panel.sampler.steps)", 4)
    area = page.locator(".workbench-settings textarea")
    area.first.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.workbench-settings textarea').value.includes('min_p')")
    text = area.first.input_value()
    saved = demo.value("panel.sampler.to_dict()")
    assert json.loads(text) == saved
    demo.execute("panel.sampler = Sampler()")
    area.nth(1).fill("{broken")
    page.get_by_role("button", name="Load settings").click()
    page.locator(".workbench-settings [role=alert]").get_by_text("not JSON").wait_for()
    demo.screenshot("sampler-settings")
    area.nth(1).fill(text)
    area.nth(1).blur()
    page.get_by_role("button", name="Load settings").click()
    demo.wait_value("panel.sampler.to_dict()", saved)
    page.get_by_role("button", name="vLLM").click()
    demo.wait_value("panel.texts.engine.value", "vLLM")
    expected = demo.value("panel.sampler.to_vllm().text")
    page.wait_for_function(
        "text => document.querySelector('.workbench-settings textarea').value === text", arg=expected
    )


def test_export_writes_the_figures(demo):
    page = demo.page
    for choice, name in (("along", "sampler"), ("top", "top-tokens")):
        demo.execute(f"panel.figure_choice.value = {choice!r}")
        page.locator(".workbench-export").get_by_role("button", name="SVG", exact=True).click()
        page.wait_for_function(
            "name => document.querySelector('.workbench-export code')?.textContent.includes(name)",
            arg=f"{name}.svg",
            timeout=60_000,
        )
    drawn = (demo.server.root / "exports" / "sampler.svg").read_text()
    assert "kept by sampler" in drawn


def test_a_drag_stays_fluid_on_a_long_trace(notebook):
    notebook.open([LONG])
    notebook.run_all(timeout=180)
    page = show_panel(notebook).page
    drag(page, handle(page, "p"), [-3])  # the first move may compile
    settle(notebook)
    page.wait_for_timeout(500)
    page.evaluate("""() => {
      window.paints = [];
      const plots = [...document.querySelectorAll('.workbench-sampler .js-plotly-plot')];
      const plot = plots.find((one) => one._fullData.some((trace) => trace.meta === 'raw'));
      plot.on('plotly_afterplot', () => window.paints.push(performance.now()));
      plot.on('plotly_restyle', () => window.paints.push(performance.now()));
    }""")
    knob = handle(page, "p")
    box = knob.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(60):  # two seconds
        page.mouse.move(x - 70 * abs((i % 30) - 15) / 15, y)
        page.wait_for_timeout(33)
    during = len(page.evaluate("() => window.paints"))
    page.mouse.move(x - 37, y)
    page.mouse.up()
    settle(notebook)
    p = notebook.value("panel.sampler.steps[1].p")
    kept = notebook.value("wb.replay(trace, panel.session.sampler).summary['mean_support']")
    page.locator(".workbench-toolbar").get_by_text(f"{kept:.1f}", exact=True).wait_for()
    drawn = page.evaluate(DRAWN, ["raw", "sampler_a"])
    assert max(drawn) == pytest.approx(max(truth(notebook)))
    notebook.screenshot("sampler-long")
    assert p != 0.9
    assert during >= 10, f"the chart was painted {during} times in a drag of two seconds"


def test_the_dark_theme_reaches_every_part(demo):
    page = demo.page
    demo.set_theme("dark")
    page.wait_for_function("""() => [...document.querySelectorAll('.workbench-sampler .js-plotly-plot')].every(
      (plot) => getComputedStyle(plot.querySelector('.main-svg')).backgroundColor === 'rgb(17, 17, 17)')""")
    page.get_by_role("button", name="min-p .1, T 1.5").click()
    page.get_by_role("button", name="Keep as B").click()
    page.get_by_role("button", name="greedy").click()
    page.wait_for_timeout(800)
    demo.screenshot("sampler-dark")
    tabs = page.locator(".workbench-sampler .lm-TabBar-tab")
    tabs.get_by_text("Table").first.click()
    tabs.get_by_text("Table").last.click()
    page.wait_for_timeout(500)
    demo.screenshot("sampler-dark-tables")


HOSTILE = """
import numpy as np
import workbench as wb
from widgets import SamplerPanel

attack = '<img src=x onerror="window.pwned = 1">'
texts = [attack, "<script>window.pwned = 2</script>", "$\\\\alpha$", "<b>bold</b>", "\\u202egnp.exe"]
rng = np.random.default_rng(0)
trace = wb.Trace.from_logits(rng.normal(0, 3, (5, 50)), range(5), texts=texts, prompt=attack, meta={"model": attack})
panel = SamplerPanel(trace)
panel.session.traces = (trace, trace.with_meta(seed=attack))
panel
"""


def test_hostile_text_does_nothing_anywhere(notebook):
    notebook.open([HOSTILE])
    notebook.run_all()
    page = show_panel(notebook).page
    for i in range(5):
        page.locator(f'.ewb-strip [data-i="{i}"]').first.hover()
        page.wait_for_timeout(200)
    page.locator(".workbench-sampler .lm-TabBar-tab").get_by_text("Table").first.click()
    page.locator(".workbench-table tbody tr").first.wait_for()
    assert page.evaluate("() => window.pwned") is None
    assert page.locator(".workbench-panel img, .workbench-panel script").count() == 0
