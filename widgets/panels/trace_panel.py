"""The trace panel: what a decode looked like, token by token."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.controls.decode_bar import DecodeBar
from widgets.controls.entropy_controls import FOLLOWS, EntropyControls
from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.figure_box import FigureBox
from widgets.controls.table import Table
from widgets.controls.theme import Theme
from widgets.figures.entropy_series import EntropyData, EntropyView, entropy_series
from widgets.panels.trace_charts import CHARTS, ENTROPY, Chart, Scene
from widgets.panels.trace_layers import alternatives, strip_layers, strip_phases
from widgets.panels.trace_summary import summary_html
from widgets.session import Session
from widgets.strip import TokenStrip
from workbench.errors import ParameterError
from workbench.traces import Trace
from workbench.traces.columns import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    import plotly.graph_objects as go

    from workbench.models import LanguageModel
    from workbench.traces.recorder import Token

EMPTY = pl.DataFrame(schema=SCHEMA)


class TracePanel(ipywidgets.VBox):
    """Token strip, entropy chart, entropy × varentropy, histogram and table of one trace, moved by one cursor.

    With a model there is a prompt with Generate and Stop as well, and all of it follows the decode as it goes.

    Args:
        trace: what to show first.
        session: share the model, the trace and the cursor with other panels; a session of its own where none is given.
        model: a model to decode with; the session's where none is given.

    Raises:
        ParameterError: `trace` is not a Trace.
    """

    _connected = False

    def __init__(
        self, trace: Trace | None = None, *, session: Session | None = None, model: LanguageModel | None = None
    ) -> None:
        if trace is not None and not isinstance(trace, Trace):
            raise ParameterError(f"TracePanel shows a Trace, not a {type(trace).__name__}; wb.record makes one.")
        self.session = session or Session()
        if model is not None:
            self.session.model = model
        self._tokens = EMPTY
        self._redrawing = False
        self._make_parts()
        super().__init__(
            [
                self.theme, self.decode_bar, ipywidgets.HBox([self.decode_bar.feedback, self.summary]), self.strip,
                self.controls, self.tabs, self.export_bar,
            ],
            layout={"width": "100%"},
        )  # fmt: skip
        self.add_class("workbench-panel")
        self._connect()
        if trace is not None:
            self.session.trace = trace
        elif self.session.trace is not None:
            self._show(self.session.trace)
        self._refresh_tab()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.theme = Theme()
        self.controls = EntropyControls(self._view_changed)
        self.strip = TokenStrip(
            layers=strip_layers(EMPTY),
            marked_label="forking",
            on_alternatives=self._alternatives,
            max_height=220,
            layout={"min_height": "188px"},  # a decode begins without tokens, and the charts below should not jump
        )
        self.summary = ipywidgets.HTML()
        self.chart, self.scatter, self.histogram = self.charts = tuple(
            FigureBox(lambda chart=chart: chart.build(self._scene()), connect, height=chart.height)
            for chart, connect in zip(CHARTS, (self._connect_chart, self._connect_scatter, None), strict=True)
        )
        self.table = Table(EMPTY)
        self.tabs = ipywidgets.Tab([*self.charts, self.table], titles=[*(chart.title for chart in CHARTS), "Table"])
        self.decode_bar = DecodeBar(self.session, on_tokens=self._grow)
        self.export_bar = ExportBar(self._exportable)

    def _connect(self) -> None:
        self._connected = True
        self.tabs.observe(lambda _: self._refresh_tab(), "selected_index")
        self.theme.observe(lambda _: self._recolour(), "dark")
        self.strip.observe(self._strip_moved, ["cursor", "hover"])
        self.session.observe(self._trace_changed, "trace")
        self.session.observe(self._cursor_moved, ["cursor", "hover"])

    @property
    def view(self) -> EntropyView:
        """What the chart's controls say."""
        return self.controls.view

    def _scene(self) -> Scene:
        trace = self.session.trace
        vocabulary = None if trace is None else trace.meta.get("vocabulary")
        return Scene(self._tokens, self.view, self.theme.name, self.session.shown, vocabulary)

    def _visible(self) -> tuple[Chart, FigureBox] | None:
        """The chart in sight, or None where the table is."""
        tab = self.tabs.selected_index or 0
        return (CHARTS[tab], self.charts[tab]) if tab < len(CHARTS) else None

    @property
    def busy(self) -> bool:
        """Whether a decode is under way."""
        return self.decode_bar.running

    def kept(self) -> dict[str, ipywidgets.Widget]:
        """The controls to be remembered, by name."""
        return {"tab": self.tabs, **self.controls.controls, **self.decode_bar.kept()}

    # --- trace ----------------------------------------------------------------------------------------------------

    def _trace_changed(self, change: Mapping[str, Any]) -> None:
        self._show(change["new"])

    def _show(self, trace: Trace | None) -> None:
        self._tokens = EMPTY if trace is None else trace.tokens
        self.controls.view = replace(self.view, visible=None)
        self._refill_strip()
        self._refresh()

    def _refill_strip(self) -> None:
        """Hand the strip all tokens anew; the cursor stays."""
        cursor, tokens = self.session.cursor, self._tokens
        layers = strip_layers(tokens, self.view.unit)
        self.strip.replace(tokens["text"].to_list(), strip_phases(tokens), layers, marked=self._forking())
        self.session.cursor = self.strip.cursor = cursor

    def _grow(self, tokens: list[Token]) -> None:
        """New tokens of the decode under way."""
        new = pl.DataFrame([token.row for token in tokens], schema=SCHEMA)
        self._tokens = pl.concat([self._tokens, new])
        values = {name: layer.values for name, layer in strip_layers(new, self.view.unit).items()}
        self.strip.append(new["text"].to_list(), strip_phases(new), values)
        self._refresh()

    def _refresh(self) -> None:
        trace = self.session.trace  # None while a decode runs, which shows its progress in the same place
        self.summary.value = "" if trace is None else summary_html(trace, self.view.unit)
        self._refresh_tab()

    # --- charts ---------------------------------------------------------------------------------------------------

    def _refresh_tab(self) -> None:
        """Bring the tab in sight up to date, building it the first time; the others follow when they are opened."""
        scene, visible = self._scene(), self._visible()
        if visible is None:
            self.table.show(scene.tokens, scene.token)
            return
        chart, box = visible
        if box.figure is None:
            box.unveil()
            return
        self._redrawing = True
        box.update(chart.series(scene) | chart.cursor(scene), chart.layout(scene))
        self._redrawing = False

    def _view_changed(self, view: EntropyView, control: str) -> None:
        if control in ("unit", "all"):
            self._refill_strip()
            self._refresh()
            return
        if control == "percentile":
            self.strip.marked = self._forking()
        if control in FOLLOWS and self._visible() == (ENTROPY, self.chart):
            self.chart.update(entropy_series(self._tokens, view, roles=FOLLOWS[control]))
        else:
            self._refresh_tab()

    def _forking(self) -> Any:  # noqa: ANN401
        return EntropyData(self._tokens, self.view).forking.indices

    def _recolour(self) -> None:
        for box in self.charts:
            box.recolour(self.theme.name)

    # --- cursor ---------------------------------------------------------------------------------------------------

    def _strip_moved(self, change: Mapping[str, Any]) -> None:
        self.session.set_trait(change["name"], change["new"])

    def _cursor_moved(self, change: Mapping[str, Any]) -> None:
        self.strip.set_trait(change["name"], change["new"])
        scene, visible = self._scene(), self._visible()
        if visible is None:
            self.table.show(scene.tokens, scene.token)
        else:
            chart, box = visible
            box.update(chart.cursor(scene))

    def _connect_chart(self, figure: go.FigureWidget) -> None:
        pointer = next(mark for mark in figure.data if mark.meta == "tokens")
        pointer.on_hover(lambda _, points, __: self._point(points, pin=False))
        pointer.on_unhover(lambda *_: setattr(self.session, "hover", -1))
        pointer.on_click(lambda _, points, __: self._point(points, pin=True))
        figure.layout.on_change(self._zoomed, "xaxis.range")

    def _connect_scatter(self, figure: go.FigureWidget) -> None:
        for mark in figure.data:
            if str(mark.meta).startswith("scatter:"):
                mark.on_click(lambda mark, points, _: self._pick(mark, points))

    def _zoomed(self, _: go.Layout, visible: tuple[float, float]) -> None:
        """The reader zoomed: long series are reduced anew for what is in sight."""
        if self._redrawing or visible is None:
            return
        low, high = max(visible[0], -0.5), min(visible[1], len(self._tokens) - 0.5)
        whole = low <= -0.5 and high >= len(self._tokens) - 0.5
        self.controls.view = replace(self.view, visible=None if whole else (low, high))
        if len(self._tokens) > self.view.points:
            self.chart.update(entropy_series(self._tokens, self.view))

    def _point(self, points: Any, *, pin: bool) -> None:  # noqa: ANN401
        if points.xs:
            self.session.set_trait("cursor" if pin else "hover", round(points.xs[0]))

    def _pick(self, mark: go.Scatter, points: Any) -> None:  # noqa: ANN401
        if points.point_inds:
            self.session.cursor = int(mark.customdata[points.point_inds[0]])

    def _alternatives(self, position: int) -> list[tuple[str, float]]:
        trace = self.session.trace
        return [] if trace is None else alternatives(trace, position)

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        """The chart in sight (the table goes with the entropy chart), without the cursor, and what it was made from."""
        trace = self.session.trace
        if trace is None or not len(trace):
            return None
        chart, _ = self._visible() or (ENTROPY, None)
        figure = chart.build(replace(self._scene(), token=None))
        settings = {**trace.meta, "prompt": trace.prompt, "view": self.controls.settings()}
        flat = [name for name, dtype in trace.tokens.schema.items() if not dtype.is_nested()]
        return Exportable(chart.stem, figure, trace.tokens.select(flat), settings)

    def close(self) -> None:
        """Stop what runs, close the charts and let go of the session."""
        if self._connected:  # a widget is closed once more when it is collected, also one that was never finished
            self._connected = False
            self.session.unobserve(self._trace_changed, "trace")
            self.session.unobserve(self._cursor_moved, ["cursor", "hover"])
            for part in (*self.children, *self.charts, self.table):
                part.close()
        super().close()
