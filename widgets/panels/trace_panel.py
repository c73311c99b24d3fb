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
from widgets.figures.entropy_chart import cursor_series, entropy_chart, entropy_layout
from widgets.figures.entropy_histogram import entropy_histogram, histogram_layout, histogram_series
from widgets.figures.entropy_series import EntropyData, EntropyView, entropy_series
from widgets.figures.varentropy_scatter import scatter_cursor, varentropy_layout, varentropy_scatter, varentropy_series
from widgets.panels.trace_layers import alternatives, strip_layers
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
TABS = ("Along the text", "Entropy × varentropy", "Histogram", "Table")
CHART, SCATTER, HISTOGRAM, TABLE = range(4)


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
        self._open_tab()

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
        self.chart = FigureBox(self._build_chart, self._connect_chart)
        self.scatter = FigureBox(self._build_scatter, self._connect_scatter, height=340)
        self.histogram = FigureBox(self._build_histogram, lambda _: None)
        self.table = Table(EMPTY)
        self.tabs = ipywidgets.Tab(
            [self.chart, self.scatter, self.histogram, self.table], titles=TABS, layout={"width": "100%"}
        )
        self.decode_bar = DecodeBar(self.session, on_tokens=self._grow)
        self.export_bar = ExportBar(self._exportable)

    def _connect(self) -> None:
        self._connected = True
        self.tabs.observe(lambda _: self._open_tab(), "selected_index")
        self.theme.observe(lambda _: self._recolour(), "dark")
        self.strip.observe(self._strip_moved, ["cursor", "hover"])
        self.session.observe(self._trace_changed, "trace")
        self.session.observe(self._cursor_moved, ["cursor", "hover"])

    @property
    def view(self) -> EntropyView:
        """What the chart's controls say."""
        return self.controls.view

    # --- trace ----------------------------------------------------------------------------------------------------

    def _trace_changed(self, change: Mapping[str, Any]) -> None:
        self._show(change["new"])

    def _show(self, trace: Trace | None) -> None:
        self._tokens = EMPTY if trace is None else trace.tokens
        self.controls.view = replace(self.view, visible=None)
        self._refill_strip()
        self._refresh_all()

    def _refill_strip(self) -> None:
        """Hand the strip all tokens anew; the cursor stays."""
        cursor, tokens = self.session.cursor, self._tokens
        layers = strip_layers(tokens, self.view.unit)
        self.strip.replace(tokens["text"].to_list(), tokens["phase"].to_list(), layers, marked=self._forking())
        self.session.cursor = cursor

    def _grow(self, tokens: list[Token]) -> None:
        """New tokens of the decode under way."""
        new = pl.DataFrame([token.row for token in tokens], schema=SCHEMA)
        self._tokens = pl.concat([self._tokens, new])
        layers = strip_layers(new, self.view.unit)
        values = {name: layer.values for name, layer in layers.items()}
        self.strip.append(new["text"].to_list(), new["phase"].to_list(), values)
        self._refresh_all()

    def _refresh_all(self) -> None:
        trace = self.session.trace  # None while a decode runs, which shows its progress in the same place
        self.summary.value = "" if trace is None else summary_html(trace, self.view.unit)
        self._refresh_tab()

    # --- charts ---------------------------------------------------------------------------------------------------

    def _build_chart(self) -> go.Figure:
        return entropy_chart(self._tokens, self.view, cursor=self.session.shown, theme=self.theme.name)

    def _build_scatter(self) -> go.Figure:
        return varentropy_scatter(
            self._tokens,
            unit=self.view.unit,
            vocabulary=self._vocabulary(),
            cursor=self.session.shown,
            theme=self.theme.name,
        )

    def _build_histogram(self) -> go.Figure:
        return entropy_histogram(
            self._tokens, unit=self.view.unit, percentile=self.view.percentile, theme=self.theme.name
        )

    def _open_tab(self) -> None:
        box = self.tabs.children[self.tabs.selected_index or 0]
        fresh = isinstance(box, FigureBox) and box.figure is None
        if isinstance(box, FigureBox):
            box.unveil()
        if not fresh:
            self._refresh_tab()

    def _refresh_tab(self) -> None:
        """Bring the visible tab up to date; the others follow when they are opened."""
        tokens, view, theme = self._tokens, self.view, self.theme.name
        tab = self.tabs.selected_index or 0
        if tab == CHART:
            series = entropy_series(tokens, view) | cursor_series(self.session.shown)
            self._redrawing = True
            self.chart.update(series, entropy_layout(tokens, view, theme=theme))
            self._redrawing = False
        elif tab == SCATTER:
            series = varentropy_series(tokens, unit=view.unit, vocabulary=self._vocabulary())
            series |= scatter_cursor(tokens, self.session.shown, unit=view.unit)
            self.scatter.update(series, varentropy_layout(tokens, unit=view.unit, theme=theme))
        elif tab == HISTOGRAM:
            series = histogram_series(tokens, unit=view.unit, percentile=view.percentile)
            self.histogram.update(series, histogram_layout(tokens, unit=view.unit, theme=theme))
        else:
            self.table.show(tokens, self.session.shown)

    def _view_changed(self, view: EntropyView, control: str) -> None:
        if control in ("unit", "all"):
            self._refill_strip()
            self._refresh_all()
            return
        if control == "percentile":
            self.strip.marked = self._forking()
            self.histogram.update(
                histogram_series(self._tokens, unit=view.unit, percentile=view.percentile, roles={"threshold"})
            )
        roles = FOLLOWS.get(control)
        layout = entropy_layout(self._tokens, view, theme=self.theme.name) if roles is None else None
        self.chart.update(entropy_series(self._tokens, view, roles=roles), layout)

    def _forking(self) -> Any:  # noqa: ANN401
        return EntropyData(self._tokens, self.view).forking.indices

    def _recolour(self) -> None:
        for box in (self.chart, self.scatter, self.histogram):
            box.recolour(self.theme.name)

    # --- cursor ---------------------------------------------------------------------------------------------------

    def _strip_moved(self, change: Mapping[str, Any]) -> None:
        self.session.set_trait(change["name"], change["new"])

    def _cursor_moved(self, change: Mapping[str, Any]) -> None:
        self.strip.set_trait(change["name"], change["new"])
        shown, tab = self.session.shown, self.tabs.selected_index or 0
        if tab == CHART:
            self.chart.update(cursor_series(shown))
        elif tab == SCATTER:
            self.scatter.update(scatter_cursor(self._tokens, shown, unit=self.view.unit))
        elif tab == TABLE:
            self.table.show(self._tokens, shown)

    def _connect_chart(self, figure: go.FigureWidget) -> None:
        pointer = next(trace for trace in figure.data if trace.meta == "tokens")
        pointer.on_hover(lambda _, points, __: self._point(points, pin=False))
        pointer.on_unhover(lambda *_: setattr(self.session, "hover", -1))
        pointer.on_click(lambda _, points, __: self._point(points, pin=True))
        figure.layout.on_change(self._zoomed, "xaxis.range")

    def _connect_scatter(self, figure: go.FigureWidget) -> None:
        for trace in figure.data:
            if str(trace.meta).startswith("scatter:"):
                trace.on_click(lambda trace, points, _: self._pick(trace, points))

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
            setattr(self.session, "cursor" if pin else "hover", round(points.xs[0]))

    def _pick(self, trace: go.Scatter, points: Any) -> None:  # noqa: ANN401
        if points.point_inds:
            self.session.cursor = int(trace.customdata[points.point_inds[0]])

    def _alternatives(self, position: int) -> list[tuple[str, float]]:
        return (
            [] if self.session.trace is None or self.decode_bar.running else alternatives(self.session.trace, position)
        )

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        trace = self.session.trace
        if trace is None or not len(trace):
            return None
        build, name = {
            SCATTER: (self._build_scatter, "varentropy"),
            HISTOGRAM: (self._build_histogram, "entropy-histogram"),
        }.get(self.tabs.selected_index or 0, (self._build_chart, "entropy"))
        figure = build()
        settings = {**trace.meta, "prompt": trace.prompt, "view": self.controls.settings()}
        data = trace.tokens.select(name for name, dtype in trace.tokens.schema.items() if not dtype.is_nested())
        return Exportable(name, figure, data, settings)

    def _vocabulary(self) -> int | None:
        trace = self.session.trace
        return None if trace is None else trace.meta.get("vocabulary")

    def close(self) -> None:
        """Stop what runs, close the charts and let go of the session."""
        if self._connected:  # a widget is closed once more when it is collected, also one that was never finished
            self._connected = False
            self.session.unobserve(self._trace_changed, "trace")
            self.session.unobserve(self._cursor_moved, ["cursor", "hover"])
            for part in (*self.children, self.chart, self.scatter, self.histogram):
                part.close()
        super().close()
