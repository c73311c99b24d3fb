"""A FigureWidget that loads plotly.js once a page, and whose kernel is free as soon as it has sent what changed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import anywidget
import ipywidgets
import plotly
import traitlets
from plotly.serializers import custom_serializers

from widgets.controls.figure_widget import FigureWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BUNDLE = Path(plotly.__file__).parent / "package_data" / "widgetbundle.js"
# Five megabytes of plotly.js are sent, parsed and run once a page, whoever asks first.
_LOAD = """
const place = Symbol.for("entropy-workbench plotly PLOTLY_VERSION");

function plotly(owner) {
  return globalThis[place] ??= load(owner).catch((problem) => { delete globalThis[place]; throw problem; });
}

async function load(owner) {
  // The small widgets beside a chart first: while this is parsed, none of them can begin.
  await new Promise((done) => globalThis.requestIdleCallback ? requestIdleCallback(done, { timeout: 300 }) : done());
  const url = URL.createObjectURL(new Blob([owner.get("code")], { type: "text/javascript" }));
  try { return await import(url); } finally { URL.revokeObjectURL(url); }
}
""".replace("PLOTLY_VERSION", plotly.__version__)
# anywidget gives a widget two seconds to initialize, after which it never hears its kernel again: on a busy machine
# plotly.js may take longer. So nothing waits, and what the kernel says in the meantime is said again afterwards.
# plotly's widget notes every change for views to come, and what a change leaves alone it notes as "_undefined_", which
# no view can draw: it is told undefined.
_ESM = """
const SAID = ["addTraces", "deleteTraces", "moveTraces", "restyle", "relayout", "update", "animate",
  "removeLayoutProps", "removeTraceProps"].map((name) => `_py2js_${name}`);

function defined(value) {
  if (value === "_undefined_") return undefined;
  if (Array.isArray(value)) return value.map(defined);
  if (value?.constructor !== Object || "dtype" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, defined(part)]));
}

async function loaded(context) {
  const { model } = context;
  const said = [];
  const listeners = SAID.map((name) => [`change:${name}`, () => said.push([name, model.get(name)])]);
  for (const listener of listeners) model.on(...listener);
  const owner = await model.widget_manager.get_model(model.get("_bundle").slice("IPY_MODEL_".length));
  const inner = (await plotly(owner)).default();
  for (const listener of listeners) model.off(...listener);

  const again = {}, heard = {};
  const told = {
    ...model,
    get: (name) => SAID.includes(name) ? defined(name in again ? again[name] : model.get(name)) : model.get(name),
    on: (event, callback) => { (heard[event] ??= []).push(callback); model.on(event, callback); },
  };
  inner.initialize({ ...context, model: told });
  for (const [name, value] of said) {
    again[name] = value;
    for (const callback of heard[`change:${name}`] ?? []) callback();
    delete again[name];
  }
  return inner;
}

export default () => {
  let inner;
  return {
    initialize(context) { inner = loaded(context); },
    async render(context) { return (await inner).render(context); },
  };
};
"""


class PlotlyBundle(anywidget.AnyWidget):
    """Holds the code of plotly's widget for all charts of a kernel, and has the page load it; shows nothing."""

    _esm = _LOAD + "export default { initialize({ model }) { plotly(model); } };"
    code = traitlets.Bytes().tag(sync=True)


@cache
def _made() -> PlotlyBundle:
    return PlotlyBundle(code=_BUNDLE.read_bytes())


def plotly_bundle() -> PlotlyBundle:
    """The one of this kernel; asking before there is a chart has the page load it early."""
    if _made().comm is None:  # somebody closed all widgets
        _made.cache_clear()
    return _made()


class Chart(FigureWidget):
    """plotly's widget without its own copy of plotly.js, and without the copy of the browser's defaults.

    After every change the browser sends each trace back as it completed it, arrays included, and plotly's own widget
    echoes that and walks through all of it: several times as much work as the change itself, during which no slider
    is heard. Nothing here reads a trace's defaults, so they are not taken in.
    """

    _esm = _LOAD + _ESM
    _bundle = traitlets.Instance(PlotlyBundle).tag(sync=True, **ipywidgets.widget_serialization)

    _js2py_traceDeltas = traitlets.Dict(allow_none=True).tag(sync=True, echo_update=False, **custom_serializers)  # noqa: N815

    @traitlets.default("_bundle")
    def _shared(self) -> PlotlyBundle:
        return plotly_bundle()

    def when_drawn(self, work: Callable[[], None]) -> None:
        """Do `work` once the browser has drawn what was changed; at once where nothing is to be drawn."""
        if work not in self._waiting_edit_callbacks:  # without a browser they would pile up
            self.on_edits_completed(work)

    @traitlets.observe("_js2py_traceDeltas")
    def _handler_js2py_traceDeltas(self, change: Mapping[str, dict | None]) -> None:  # noqa: N802  -- plotly's name
        """The browser has drawn an edit: what waited for that goes on."""
        message = change["new"]
        if message and message["trace_edit_id"] == self._last_trace_edit_id:
            self._trace_edit_in_process = False
            while self._waiting_edit_callbacks and not self._layout_edit_in_process:
                self._waiting_edit_callbacks.pop()()
        self._js2py_traceDeltas = None
