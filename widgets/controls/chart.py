"""A FigureWidget whose kernel is free again as soon as it has sent what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
import traitlets
from plotly.serializers import custom_serializers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Chart(go.FigureWidget):
    """plotly's widget without the copy of the browser's defaults.

    After every change the browser sends each trace back as it completed it, arrays included, and plotly's own widget
    echoes that and walks through all of it: several times as much work as the change itself, during which no slider
    is heard. Nothing here reads a trace's defaults, so they are not taken in.
    """

    # As text: anywidget connects every widget to a file's contents, which then hold it for ever.
    _esm = str(go.FigureWidget._esm)  # noqa: SLF001

    _js2py_traceDeltas = traitlets.Dict(allow_none=True).tag(sync=True, echo_update=False, **custom_serializers)  # noqa: N815

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
