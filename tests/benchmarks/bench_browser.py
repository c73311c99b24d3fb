"""From key press to painted chart in JupyterLab: panels against a bare FigureWidget doing the same restyle."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Page, sync_playwright

from tests.benchmarks.bench_samplers import synthetic
from tests.browser.jupyter import Notebook, Server, find_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

BUDGET = 1.3
PRESSES = 40

PANEL = """
import workbench as wb
from widgets import TracePanel

trace = wb.record(wb.load("demo"), "Start with 12. Add 9. Multiply by 3. Subtract 20. What is the result?", seed=1)
panel = TracePanel(trace)
panel
"""
KEYS = """
import anywidget, traitlets

class Keys(anywidget.AnyWidget):
    _esm = '''export default { render({ model, el }) {
      el.className = "bare-keys"; el.tabIndex = 0; el.textContent = "keys";
      el.addEventListener("keydown", (event) => {
        event.stopPropagation(); event.preventDefault();
        model.set("value", model.get("value") + 1); model.save_changes();
      });
    } }'''
    value = traitlets.Int(0).tag(sync=True)
"""
# The same figure, a widget that does nothing but pass the arrow keys on, and one assignment in Python.
BARE = """
import plotly.graph_objects as go
from widgets.figures import entropy_chart

figure = go.FigureWidget(entropy_chart(trace.tokens, cursor=0))
figure.layout.height = 300
cursor = next(mark for mark in figure.data if mark.meta == "cursor")
keys = Keys()
keys.observe(lambda change: setattr(cursor, "x", [change["new"] % len(trace)] * 2), "value")
import ipywidgets
ipywidgets.VBox([keys, figure]).add_class("bare")
"""
# A slider's move over 4,096 tokens of a 151,936 vocabulary, replayed each time, against its restyle alone.
SAMPLER = """
import workbench as wb
from widgets import SamplerPanel

panel = SamplerPanel(wb.Trace.load("sampler.parquet"), sampler=wb.Sampler(top_p=0.5))
panel
"""
BARE_SAMPLER = """
import ipywidgets
import numpy as np
import plotly.graph_objects as go
from widgets.figures.sampler_series import moved_series
from widgets.figures.series import update_figure

scene = panel.along._scene()
replayer = wb.Replayer(panel.session.trace)
moves = [
    moved_series(panel.replays.tokens, replayer.replay(wb.Sampler(top_p=float(p))), scene.view)
    for p in np.linspace(0.5, 0.8, 60)
]
figure = go.FigureWidget(panel.along.figure(scene))
figure.layout.height = 424
keys = Keys()
keys.observe(lambda change: update_figure(figure, moves[change["new"] % len(moves)]), "value")
ipywidgets.VBox([keys, figure]).add_class("bare")
"""
LISTEN = """(scope) => {
  const plot = document.querySelector(`${scope} .js-plotly-plot`);
  window.samples = []; window.pressed = null;
  document.addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
  plot.on("plotly_afterplot", () => requestAnimationFrame(() => requestAnimationFrame(() => {
    if (window.pressed !== null) window.samples.push(performance.now() - window.pressed);
    window.pressed = null;
  })));
}"""


def measured(page: Page, scope: str) -> list[float]:
    """Milliseconds of every press but the first five."""
    page.evaluate(LISTEN, scope)
    for press in range(PRESSES):
        page.keyboard.press("ArrowRight")
        page.wait_for_function("n => window.samples.length > n", arg=press)
        page.wait_for_timeout(60)
    return page.evaluate("() => window.samples")[5:]


def rows() -> Iterator[dict]:
    """A row for the cursor of a trace and one for the slider of a sampler; the budget is on the medians."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder))
        saved = synthetic()[0].save(Path(folder) / "sampler.parquet")
        try:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
            notebook = Notebook(browser.new_page(), server).open([PANEL, KEYS + BARE], size=(1280, 1600))
            yield compared(notebook, ".workbench-panel .ewb-token", "key press to painted chart: cursor")
            notebook = Notebook(browser.new_page(), server).open(
                [SAMPLER.replace("sampler.parquet", str(saved)), KEYS + BARE_SAMPLER], size=(1280, 2000)
            )
            yield compared(notebook, ".workbench-sampler .noUi-handle", "key press to painted chart: top-p slider")
        finally:
            server.stop()


def compared(notebook: Notebook, focus: str, name: str) -> dict:
    """Presses of an arrow key on our widget and on the bare one below it."""
    notebook.run_all(timeout=120)
    page = notebook.page
    page.wait_for_timeout(2000)
    page.locator(focus).first.click()
    ours = measured(page, ".workbench-panel")
    page.locator(".bare-keys").click()
    peer = measured(page, ".bare")
    page.close()
    ratio = statistics.median(ours) / statistics.median(peer)
    return {
        "name": name, "peer": "bare FigureWidget, same restyle",
        "ours_seconds": statistics.median(ours) / 1e3, "peer_seconds": statistics.median(peer) / 1e3,
        "ratio": ratio, "budget": f"<= {BUDGET:g}x", "passed": ratio <= BUDGET,
        "note": f"slowest {max(ours):.0f} ms against {max(peer):.0f} ms",
    }  # fmt: skip
