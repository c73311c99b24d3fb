"""A FigureWidget that loads plotly.js once a page, and whose kernel is free as soon as it has sent what changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets
import traitlets
from plotly.serializers import custom_serializers

from widgets.controls.figure_widget import FigureWidget
from widgets.controls.plotly_bundle import LOAD, PlotlyBundle, plotly_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ESM = LOAD + Path(__file__).with_name("chart.js").read_text(encoding="utf-8")


class Chart(FigureWidget):
    """plotly's widget without its own copy of plotly.js, and without the copy of the browser's defaults.

    After every change the browser sends each trace back as it completed it, arrays included, and plotly's own widget
    echoes that and walks through all of it: several times as much work as the change itself, during which no slider
    is heard. Nothing here reads a trace's defaults, so they are not taken in.
    """

    _esm = _ESM
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
