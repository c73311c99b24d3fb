"""Up to four traces of a session side by side: their entropies along the text, and their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.soon import Soon
from widgets.controls.table import Table
from widgets.controls.theme import Theme
from widgets.figures.compare_chart import AXIS, MOST, along, compare_chart, compare_cursor
from widgets.panels.chart_tabs import ChartTabs, TabChart
from widgets.panels.settings_panel import alert
from widgets.panels.trace_shelf_labels import index_of, legend_label, numbered
from widgets.panels.trace_shelf_table import lines_frame, summary_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    import plotly.graph_objects as go

    from widgets.session import Session
    from workbench.traces import Trace

_CHART, _POINTS = "traces", 2000
_ALIGN = {"token": "by token", "share": "by share of the trace", "phase end": "at the end of thinking"}


class TraceCompare(ipywidgets.VBox):
    """Rolling mean of the entropy along the chosen traces, and a table; a click on a line goes to that token.

    Args:
        session: whose traces they are; the cursor is shown on the session's own trace.
    """

    _connected = False

    def __init__(self, session: Session) -> None:
        self.session = session
        self.traces: tuple[Trace, ...] = ()
        """Those that are compared, in the order of the list."""
        self._by_hand = self._quiet = False
        self._visible: tuple[float, float] | None = None
        self._zooms: go.FigureWidget | None = None
        self._soon, self._cursor_soon = Soon(self._draw), Soon(self._follow_cursor)
        self._make_parts()
        self._controls = ipywidgets.VBox(list(self.kept().values()))
        super().__init__(
            [
                self.theme, ipywidgets.HBox([self.chooser, self._controls], layout={"flex_flow": "row wrap"}),
                self.status, self.tabs, self.table, self.export_bar,
            ],
            layout={"width": "100%"},
        )  # fmt: skip
        self.add_class("workbench-compare")
        self._connect()
        self._refill()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.theme = Theme()
        self.chooser = ipywidgets.SelectMultiple(
            options=[], rows=5, layout={"width": "460px", "margin": "2px 12px 2px 2px"},
            tooltip=f"Ctrl or Shift and a click chooses several, {MOST} at most",
        )  # fmt: skip
        wide, style = {"width": "330px"}, {"description_width": "90px"}
        self.kind = ipywidgets.Dropdown(
            options=[("raw entropy", "raw"), ("sampled entropy", "sampled")], description="draw", layout=wide,
            style=style, tooltip="Of the model's own distribution, or of the one the token was really drawn from",
        )  # fmt: skip
        self.unit = ipywidgets.Dropdown(options=["nats", "bits"], description="in", layout=wide, style=style)
        self.align = ipywidgets.Dropdown(
            options=[(words, name) for name, words in _ALIGN.items()], description="aligned", layout=wide, style=style,
            tooltip="Which tokens of the traces stand above each other",
        )  # fmt: skip
        self.window = ipywidgets.IntSlider(
            51, min=1, max=201, step=2, description="mean of", layout=wide, style=style,
            tooltip="Tokens in the centred rolling mean; 1 draws the entropies themselves",
        )  # fmt: skip
        self.status = ipywidgets.HTML()
        chart = TabChart(
            "Entropy", _CHART, self._figure, self._numbers, clicked=self._clicked, hovered=self._hovered, height=340
        )
        self.tabs, self.table = ChartTabs([chart]), Table()
        self.export_bar = ExportBar(self._exportable)

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        return {"kind": self.kind, "unit": self.unit, "align": self.align, "window": self.window}

    def _connect(self) -> None:
        self._connected = True
        self.chooser.observe(lambda _: self._chosen(), "value")
        for control in self.kept().values():
            control.observe(self._control_moved, "value")
        self.theme.observe(lambda _: self.tabs.box(_CHART).recolour(self.theme.name), "dark")
        self.session.observe(self._traces_changed, ["traces", "trace"])
        self.session.observe(self._cursor_moved, ["cursor", "hover"])

    # --- which traces ---------------------------------------------------------------------------------------------

    def _traces_changed(self, _: Mapping[str, Any]) -> None:
        self._refill()

    def _refill(self) -> None:
        """The list as the session has it; what was chosen stays, and without a choice it is the newest."""
        there = self.session.traces
        kept = [index_of(there, trace) for trace in self.traces] if self._by_hand else self._usual()
        self._quiet = True
        self.chooser.options = numbered(there)
        self.chooser.value = tuple(index for _, index in numbered(there) if index in kept)
        self._quiet = False
        self._take()

    def _usual(self) -> list[int]:
        """The trace on show, and the newest others."""
        own = index_of(self.session.traces, self.session.trace)
        newest = [index for index in reversed(range(len(self.session.traces))) if index != own]
        return ([] if own is None else [own]) + newest[: MOST - (own is not None)]

    def _chosen(self) -> None:
        if not self._quiet:
            self._by_hand = True
            self._take()

    def _take(self) -> None:
        chosen = sorted(self.chooser.value)
        self.traces = tuple(self.session.traces[index] for index in chosen[:MOST])
        self._visible = None
        words = "" if chosen else alert("Choose traces from the list.")
        if len(chosen) > MOST:
            words = alert(f"{MOST} at most are compared; left out are {', '.join(str(i + 1) for i in chosen[MOST:])}.")
        self.status.value = words
        self._soon.ask()

    def _labelled(self) -> list[tuple[str, Trace]]:
        found = [(index_of(self.session.traces, trace), trace) for trace in self.traces]
        return [(legend_label(index + 1, trace), trace) for index, trace in found if index is not None]

    # --- chart ----------------------------------------------------------------------------------------------------

    def _control_moved(self, change: Mapping[str, Any]) -> None:
        if change["owner"] is self.align:
            self._visible = None
        self._soon.ask()

    def _settings(self) -> dict[str, Any]:
        return {name: control.value for name, control in self.kept().items()}

    def _figure(self) -> go.Figure:
        traces = [(label, trace.tokens) for label, trace in self._labelled()]
        return compare_chart(
            traces, **self._settings(), theme=self.theme.name, cursor=self._cursor(), visible=self._visible,
            points=_POINTS,
        )  # fmt: skip

    def _numbers(self) -> Any:  # noqa: ANN401  -- a frame
        return lines_frame(self._labelled(), **self._settings())

    def _draw(self) -> None:
        if not self._connected:
            return
        self._quiet = True
        self.tabs.refresh()
        self._quiet = False
        figure = self.tabs.box(_CHART).figure
        if figure is not None and figure is not self._zooms:
            self._zooms = figure
            figure.layout.on_change(self._zoomed, "xaxis.range")
        self.table.show(summary_frame(self._labelled(), self.unit.value), self._own())

    def _zoomed(self, _: Any, visible: tuple[float, float] | None) -> None:  # noqa: ANN401  -- plotly's
        """The reader zoomed: long lines are reduced anew for what is in sight."""
        if not self._quiet and visible is not None:
            self._visible = (visible[0], visible[1])
            if any(len(trace) > _POINTS for trace in self.traces):
                self._soon.ask()

    # --- cursor ---------------------------------------------------------------------------------------------------

    def _own(self) -> int | None:
        """Which line is the session's trace."""
        return index_of(self.traces, self.session.trace)

    def _cursor(self) -> tuple[int, int] | None:
        own, token = self._own(), self.session.shown
        return None if own is None or token is None else (own, token)

    def _cursor_moved(self, _: Mapping[str, Any]) -> None:
        self._cursor_soon.ask()

    def _follow_cursor(self) -> None:
        if self._connected:
            cursor = self._cursor()
            line = None if cursor is None else along("", self.traces[cursor[0]].tokens, **self._settings())
            self.tabs.box(_CHART).update(compare_cursor(line, None if cursor is None else cursor[1]))

    def _clicked(self, point: Any) -> None:  # noqa: ANN401  -- a point's customdata
        index, token = round(point[0]), round(point[1])
        if index < len(self.traces):
            self.session.trace = self.traces[index]
            self.session.cursor = token

    def _hovered(self, point: Any) -> None:  # noqa: ANN401  -- a point's customdata
        """Over the line of the session's trace, all panels look at that token."""
        if point is None:
            self.session.hover = -1
        elif round(point[0]) == self._own():
            self.session.hover = round(point[1])

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        labelled = self._labelled()
        if not labelled:
            return None
        figure = compare_chart([(label, trace.tokens) for label, trace in labelled], **self._settings())
        about = {**self._settings(), "aligned": AXIS[self.align.value]}
        about["traces"] = {label: {**trace.meta, "prompt": trace.prompt} for label, trace in labelled}
        return Exportable("compare-traces", figure, self._numbers(), about)

    def close(self) -> None:
        """Close chart and tables, and let go of the session."""
        if self._connected:  # a widget is closed once more when it is collected, also one that was never finished
            self._connected = False
            self._soon.cancel()
            self._cursor_soon.cancel()
            self.session.unobserve(self._traces_changed, ["traces", "trace"])
            self.session.unobserve(self._cursor_moved, ["cursor", "hover"])
            for part in (self.chooser, *self.kept().values(), self._controls, *self.children):
                part.close()
        super().close()
