"""Charts in JupyterLab: one plotly.js a page, and nothing said is lost while it loads."""

import pytest

pytestmark = pytest.mark.browser

# A page that takes twice as long to load plotly.js as anywidget waits for a widget.
SLOW = """
from unittest.mock import patch
import plotly.graph_objects as go
from widgets.controls.chart import Chart
from widgets.controls.plotly_bundle import PlotlyBundle

wait = "await new Promise((done) => setTimeout(done, 4000)); return await import(url);"
slow = [kind._esm.replace("return await import(url);", wait) for kind in (Chart, PlotlyBundle)]
assert all(wait in code for code in slow)
with patch.object(Chart, "_esm", slow[0]), patch.object(PlotlyBundle, "_esm", slow[1]):
    shown = Chart(go.Figure([go.Scatter(y=[1.0, 2.0, 3.0]), go.Scatter(y=[3.0, 2.0, 1.0])]))
shown
"""
# What it says of the marks leaves other properties of each of them alone.
APART = """
with shown.batch_update():
    shown.data[0].line, shown.data[1].marker = {"color": "#ff0000"}, {"size": 9}
"""
LINES = """() => [...document.querySelectorAll(".js-plotly-plot")]
  .map((plot) => plot._fullData.map((mark) => [mark.line.color, mark.marker.size]))"""
FOUR = """
import ipywidgets
import plotly.graph_objects as go
from widgets.controls.chart import Chart

ipywidgets.VBox([Chart(go.Figure(go.Scatter(y=[1.0, k]))) for k in range(4)])
"""
# Legends, colour bars and long labels: plotly lays such a chart out more than once.
REMOVED = """
import asyncio
import ipywidgets
import plotly.graph_objects as go
from widgets.controls.chart import Chart

box = ipywidgets.VBox()
display(box)
figure = go.Figure([
    go.Heatmap(z=[[1.0, 2.0], [3.0, 4.0]], x=["long " * 9, "name " * 9], colorbar={"title": {"text": "title"}}),
    go.Scatter(y=[1.0, 2.0], name="name " * 9),
])
figure.update_layout(showlegend=True, xaxis={"automargin": True}, yaxis={"automargin": True})
for turn in range(20):
    box.children = [Chart(figure) for _ in range(3)]
    await asyncio.sleep(0.04 * (turn % 8))
    gone, box.children = box.children, ()
    await asyncio.sleep(0.3)
    for chart in gone:
        chart.close()
"""
SHOWN = """(expected) => {
  const { data, layout } = document.querySelector(".js-plotly-plot");
  return JSON.stringify([[...data[0].y], layout.title?.text]) === JSON.stringify(expected);
}"""
# Whatever was loaded before in this page is forgotten, and what is loaded now is counted.
AFRESH = """() => {
  for (const place of Object.getOwnPropertySymbols(globalThis)) {
    if (place.description?.startsWith("entropy-workbench plotly")) delete globalThis[place];
  }
  window.large = 0;
  if (window.make) return;
  window.make = URL.createObjectURL;
  URL.createObjectURL = (blob) => { window.large += blob.size > 4e6; return window.make.call(URL, blob); };
}"""


def test_what_is_said_before_plotly_is_there_is_drawn_and_what_comes_later_is_heard(notebook):
    page = notebook.page
    notebook.open([SLOW, "shown"])
    page.evaluate(AFRESH)
    notebook.run_cell(0)
    notebook.execute(APART)
    for k in range(5):
        notebook.execute(f"shown.data[0].y = [{k}.0, 5.0, 7.0]")
    notebook.execute("shown.layout.title.text = 'early'")
    page.wait_for_timeout(1000)
    assert page.locator(".js-plotly-plot").count() == 0
    page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=30_000)
    page.wait_for_function(SHOWN, arg=[[4, 5, 7], "early"])
    notebook.execute("shown.data[0].y = [9.0, 8.0, 7.0]")
    page.wait_for_function(SHOWN, arg=[[9, 8, 7], "early"])
    notebook.execute(APART.replace("#ff0000", "#00ff00"))
    notebook.run_cell(1)  # another view of the same chart
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot .main-svg').length >= 4")
    one, other = page.evaluate(LINES)
    assert one == other
    assert (one[0][0], one[1][1]) == ("#00ff00", 9)


def test_plotly_is_loaded_once_a_page(notebook):
    page = notebook.page
    notebook.open([FOUR])
    page.evaluate(AFRESH)
    notebook.run_all()
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot .main-svg').length >= 8")
    assert page.locator(".js-plotly-plot").count() == 4
    assert page.evaluate("() => window.large") == 1


def test_a_chart_that_is_removed_while_it_is_drawn_leaves_no_error(notebook):
    """plotly goes on with a drawing, and would stumble over what is gone."""
    notebook.open([REMOVED]).run_all()
    notebook.page.wait_for_timeout(1000)
    assert notebook.problems == []
