"""The workbench in pages of other shapes: beside the file browser, on a large screen, in a frame of another page."""

import pytest

from tests.browser.test_tour import TITLES, show, tab, token, turn

pytestmark = pytest.mark.browser

APP = """
import workbench as wb
from widgets import Workbench

model = wb.load("demo")
app = Workbench(model, trace=wb.record(model, "What is 3 plus 4?", sampler=wb.Sampler(), seed=1), autosave=False)
app.session.sampler = wb.Sampler(top_p=0.9)
app
"""
# What does not fit: tabs' names that are cut, charts beyond the box they are in, anything beyond the app.
MISFITS = """() => {
  const seen = (one) => one.offsetParent !== null;
  const all = (selector) => [...document.querySelectorAll(`.workbench-app ${selector}`)].filter(seen);
  const cut = all(".lm-TabBar-tabLabel").filter((one) => one.scrollWidth > one.clientWidth + 1 ||
    one.getBoundingClientRect().right > one.closest(".lm-TabBar-tab").getBoundingClientRect().right + 1);
  const wide = all(".js-plotly-plot").filter((one) => {
    const [inner, outer] = [one.querySelector(".main-svg"), one.parentElement].map((it) => it.getBoundingClientRect());
    return Math.abs(inner.width - outer.width) > 2;
  });
  const right = document.querySelector(".workbench-app").getBoundingClientRect().right + 1;
  const out = all("button, input, select, .main-svg").filter((one) => one.getBoundingClientRect().right > right);
  const names = cut.map((one) => `cut: ${one.textContent}`);
  return [...names, ...wide.map(() => "chart"), ...out.map((one) => one.outerHTML)];
}"""
FITS = f"() => ({MISFITS})().length === 0"
SHELF = """() => new Set([...document.querySelectorAll(".workbench-shelf button, .workbench-shelf select")]
  .filter((one) => one.offsetParent).map((one) => Math.round(one.getBoundingClientRect().top / 8))).size"""


@pytest.mark.parametrize(("size", "sidebar"), [((1280, 800), True), ((2560, 1440), False)], ids=["narrow", "wide"])
def test_everything_fits(notebook, size, sidebar):
    page = notebook.page
    show(notebook, APP, size=size, sidebar=sidebar)
    for title in TITLES:
        turn(notebook, title)
        try:
            page.wait_for_function(FITS, timeout=10_000)
        finally:
            notebook.screenshot(f"{title}-{size[0]}-{'sidebar' if sidebar else 'alone'}")
            misfits = page.evaluate(MISFITS)
        assert misfits == [], title
    assert page.evaluate(SHELF) == 1


def test_in_a_frame_of_another_page(notebook):
    """As editors and course sites show a notebook: keys, clicks and charts inside a frame."""
    page, host = notebook.page, f"{notebook.server.url}/host.html"
    body = '<h1>Lesson 3</h1><iframe src="/lab/workspaces/framed?reset" style="width: 1100px; height: 660px"></iframe>'
    page.route(host, lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(host)
    notebook.frame = page.frames[1]
    notebook.frame.wait_for_function("() => window.jupyterapp?.restored", timeout=60_000)
    show(notebook, APP)
    for title in ("Heads", "Trace", "Sampler"):
        turn(notebook, title)
    token(notebook.frame, 5).click()
    notebook.wait_value("app.session.cursor", 5)
    handle = notebook.frame.locator(".workbench-sampler .noUi-handle").first
    before = notebook.value("app.session.sampler.to_dict()")
    handle.click()
    page.keyboard.press("ArrowRight")
    notebook.frame.wait_for_function("() => document.querySelectorAll('.ewb-cursor').length === 1")
    notebook.settled("app.session.sampler.to_dict()")
    assert notebook.value("app.session.sampler.to_dict()") != before
    assert notebook.frame.evaluate(MISFITS) == []
    notebook.screenshot("framed")
    assert tab(notebook.frame, "Sampler").is_visible()
    page.unroute(host)
