"""What panels of a settings class on a fixed text share: sliders, a chart, a table, one cursor, undo and export."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import ipywidgets

from widgets.controls.export_bar import Exportable, ExportBar
from widgets.controls.figure_box import FigureBox
from widgets.controls.history import History
from widgets.controls.parameter_control import ChoiceControl, NumberControl, ParameterControl, parameter_control
from widgets.controls.soon import Soon
from widgets.controls.table import Table
from widgets.controls.theme import Theme
from widgets.panels.trace_layers import alternatives, strip_layers, strip_phases
from widgets.session import Session
from widgets.strip import TokenStrip
from workbench.errors import ParameterError, TraceError, WorkbenchError
from workbench.samplers.parameters import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt
    import plotly.graph_objects as go
    import polars as pl

    from widgets.figures.series import Updates
    from widgets.figures.text import Unit
    from workbench.traces import Trace

S = TypeVar("S", bound=Settings)
R = TypeVar("R")

CHART, TABLE, DETAILS = range(3)
HEIGHT = 380
_LABEL_WIDTH = "124px"
_ROW = {"flex_flow": "row wrap", "align_items": "center"}


@dataclass(frozen=True)
class ReplayChart(Generic[R]):
    """A chart of a replay, as functions: the figure, and what of it follows replay, zoom and cursor."""

    build: Callable[..., go.Figure]
    series: Callable[..., Updates]
    layout: Callable[..., dict[str, Any]]
    cursor: Callable[[int | None], Updates]
    points: int
    """Points a line may have."""


class SettingsPanel(ipywidgets.VBox, Generic[S, R]):
    """Base: the settings on sliders, and what they would have done to every token, at every move.

    A panel says what is its own in the attributes and methods below `the panel's own`.

    Args:
        trace: whose tokens the strip shows; the session's trace unless that is of the same tokens already.
        settings: to begin with.
        session: shares the cursor; a session of its own where none is given.
    """

    STEM: str
    """Of the files that are exported."""
    MARKED: str
    """What the strip's mark means."""
    UNIT: Unit
    PRESETS: Mapping[str, tuple[Settings, str]]
    """Button -> settings, and where they are from."""
    LIVE_ONLY: frozenset[str] = frozenset()
    """Settings that a replay does not depend on."""
    DETAILS_TITLE: str
    CHART: ReplayChart[Any]

    _connected = False

    def __init__(self, trace: Trace, settings: S, session: Session | None) -> None:
        self.trace = trace
        self.session = session or Session()
        if not self._same_text():
            self.session.trace = trace
        self.result: R | None = None
        self._history: History[S] = History(settings)
        self._invalid = self._problem = ""
        self._visible: tuple[float, float] | None = None
        self._redrawing = False
        self._soon, self._cursor_soon = Soon(self._recompute), Soon(self._follow_cursor)
        self._make_parts()
        super().__init__(
            [
                self.theme, self.toolbar, self.summary, self.strip, ipywidgets.HBox([self.sliders, self.tabs]),
                self.export_bar,
            ],
            layout={"width": "100%"},
        )  # fmt: skip
        self.add_class("workbench-panel")
        self.add_class(f"workbench-{self.STEM}")
        self._connect()
        self._adopt()
        self._recompute()

    # --- the panel's own ------------------------------------------------------------------------------------------

    def _replay(self, settings: S) -> R:
        """What these settings do."""
        raise NotImplementedError

    def _words(self, result: R) -> str:
        """The summary, as HTML."""
        raise NotImplementedError

    def _marks(self, result: R) -> npt.ArrayLike:
        """Positions that the strip marks."""
        raise NotImplementedError

    def _table(self, result: R) -> pl.DataFrame:
        """A row a token."""
        raise NotImplementedError

    def _details(self, result: R) -> pl.DataFrame:
        """What else there is to read."""
        raise NotImplementedError

    def _about(self, result: R) -> dict[str, Any]:
        """What travels in every exported file, besides the settings."""
        raise NotImplementedError

    def _unused(self, settings: S) -> frozenset[str]:  # noqa: ARG002  -- for those that have some
        """Settings without an effect while the others are as they are."""
        return frozenset()

    # --- parts ----------------------------------------------------------------------------------------------------

    def _make_parts(self) -> None:
        self.theme = Theme()
        self.undo = _button("Undo", "Undo the last change of the settings", "undo")
        self.redo = _button("Redo", "Redo it", "repeat")
        self.presets = {name: _button(name, about, "") for name, (_, about) in self.PRESETS.items()}
        self.toolbar = ipywidgets.HBox([self.undo, self.redo, *self.presets.values()], layout=_ROW)
        # a fixed place for words of any number, so that nothing below jumps while a slider moves
        self.summary = ipywidgets.HTML(layout={"min_height": "66px"})
        self.strip = TokenStrip(
            layers=self._layers(), marked_label=self.MARKED, on_alternatives=self._alternatives, max_height=87,
            layout={"min_height": "112px"},
        )  # fmt: skip
        self.controls = {one.name: self._control(one) for one in self.settings.parameters()}
        self.sliders = self._arranged()
        self.chart = FigureBox(self._figure, self._connect_chart, height=HEIGHT)
        self.table, self.details = Table(), Table()
        self.tabs = ipywidgets.Tab(
            [self.chart, self.table, self.details],
            titles=["Along the text", "Table", self.DETAILS_TITLE],
            layout={"flex": "1 1 400px", "min_width": "360px", "width": "auto"},
        )
        self.export_bar = ExportBar(self._exportable)

    def _control(self, parameter: Any) -> ParameterControl:  # noqa: ANN401  -- a Parameter
        control = parameter_control(
            parameter, getattr(self.settings, parameter.name), lambda: self._moved(parameter.name)
        )
        if isinstance(control, (NumberControl, ChoiceControl)):
            control.children[0].style.description_width = _LABEL_WIDTH
        return control

    def _arranged(self) -> ipywidgets.VBox:
        """Controls in order; those that a replay does not depend on are folded away below."""
        at_once = [control for name, control in self.controls.items() if name not in self.LIVE_ONLY]
        later = [control for name, control in self.controls.items() if name in self.LIVE_ONLY]
        parts: list[ipywidgets.Widget] = at_once
        if later:
            folded = ipywidgets.Accordion(
                [ipywidgets.VBox(later)], titles=["Matter in live decoding only"], selected_index=None
            )
            parts = [*at_once, folded]
        return ipywidgets.VBox(parts, layout={"flex": "0 0 346px", "width": "346px", "margin": "0 8px 0 0"})

    def _connect(self) -> None:
        self._connected = True
        self.undo.on_click(lambda _: self._undo())
        self.redo.on_click(lambda _: self._go(self._history.redo))
        for name, button in self.presets.items():
            button.on_click(lambda _, name=name: setattr(self, "settings", self.PRESETS[name][0]))
        self.tabs.observe(lambda _: self._refresh_tab(), "selected_index")
        self.theme.observe(lambda _: self.chart.recolour(self.theme.name), "dark")
        self.strip.observe(self._strip_moved, ["cursor", "hover"])
        self.session.observe(self._trace_changed, "trace")
        self.session.observe(self._cursor_moved, ["cursor", "hover"])
        self._refill_strip()

    # --- settings -------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> S:
        """What the sliders say; setting it moves them.

        Raises:
            ParameterError: set to something else than this panel's settings.
        """
        return self._history.present

    @settings.setter
    def settings(self, settings: S) -> None:
        self._check(settings, type(self.settings))
        self._history.add(settings)
        self._adopt()

    @staticmethod
    def _check(settings: object, kind: type[Settings]) -> None:
        if not isinstance(settings, kind):
            raise ParameterError(
                f"The settings of this panel are a {kind.__name__}, not a {type(settings).__name__}; "
                f"{kind.__name__}() makes one."
            )

    def _moved(self, name: str) -> None:
        """Somebody moved the control of this name."""
        values = {name: control.value for name, control in self.controls.items()}
        try:
            settings = type(self.settings)(**values)
        except ParameterError as problem:
            self._invalid = str(problem)
            self._say()
            return
        self._invalid = ""
        self._history.add(settings, source=name)
        self._follow_settings()

    def _adopt(self) -> None:
        """Put the controls where the settings are."""
        self._invalid = ""
        for name, control in self.controls.items():
            control.show(getattr(self.settings, name))
        self._follow_settings()

    def _follow_settings(self) -> None:
        self._say()
        unused = self._unused(self.settings)
        for name, control in self.controls.items():
            for part in control.children:
                part.disabled = name in unused
        self._soon.ask()

    def _undo(self) -> None:
        self._go((lambda: self.settings) if self._invalid else self._history.undo)

    def _go(self, step: Callable[[], S]) -> None:
        step()
        self._adopt()

    # --- replay ---------------------------------------------------------------------------------------------------

    def _recompute(self) -> None:
        """Replay the settings as they are now; where that fails, say why and leave nothing older on show."""
        if not self._connected:
            return
        self._soon.cancel()
        try:
            self.result, self._problem = self._replay(self.settings), ""
        except WorkbenchError as problem:
            self.result, self._problem = None, str(problem)
        self.strip.marked = () if self.result is None else self._marks(self.result)
        self._say()
        self._refresh_tab()

    def _say(self) -> None:
        """The summary, or what is wrong, in one place; a setting that cannot be leaves the last replay on show."""
        self.undo.disabled = not (self._history.can_undo or self._invalid)
        self.redo.disabled = not self._history.can_redo
        words = "" if self.result is None else self._words(self.result)
        if self._invalid:
            words = alert(f"{self._invalid} Shown are the settings before.") + words
        elif self._problem:
            words = alert(self._problem)
        self.summary.value = f'<div class="workbench-summary" style="line-height:1.5">{words}</div>'

    def _refresh_tab(self) -> None:
        """Bring the tab in sight up to date, building the chart the first time."""
        tab = self.tabs.selected_index or 0
        if tab == TABLE:
            self.table.show(*((_NOTHING, None) if self.result is None else (self._table(self.result), self.token)))
        elif tab == DETAILS:
            self.details.show(_NOTHING if self.result is None else self._details(self.result))
        elif self.chart.figure is None:
            self.chart.unveil()
        else:
            self._redraw()

    def _redraw(self) -> None:
        view = {"visible": self._visible, "points": self.CHART.points}
        self._redrawing = True
        try:
            layout = self.CHART.layout(self.result, **view, theme=self.theme.name)
            self.chart.update(self.CHART.series(self.result, **view) | self.CHART.cursor(self.token), layout)
        finally:
            self._redrawing = False

    def _figure(self, *, cursor: bool = True) -> go.Figure:
        return self.CHART.build(
            self.result, visible=self._visible, points=self.CHART.points, cursor=self.token if cursor else None,
            theme=self.theme.name,
        )  # fmt: skip

    # --- text and cursor ------------------------------------------------------------------------------------------

    @property
    def token(self) -> int | None:
        """The token under the pointer, else the cursor's, else None."""
        index = self.strip.hover if self.strip.hover >= 0 else self.strip.cursor
        return index if index >= 0 else None

    def _same_text(self) -> bool:
        """Whether a token of the session's trace is the token of that number here."""
        other = self.session.trace
        return other is self.trace or (
            other is not None and other.tokens["token_id"].equals(self.trace.tokens["token_id"])
        )

    def _layers(self) -> dict[str, Any]:
        layers = strip_layers(self.trace.tokens, self.UNIT)
        return {name: layers[name] for name in ("entropy", "surprisal", "rank", "varentropy")}

    def _refill_strip(self) -> None:
        tokens = self.trace.tokens
        self.strip.replace(tokens["text"].to_list(), strip_phases(tokens), self._layers())
        if self._same_text():
            self.strip.cursor = self.session.cursor

    def _trace_changed(self, change: Mapping[str, Any]) -> None:
        """Another trace is on show elsewhere: this panel's text stays, and shares the cursor while it is the same."""

    def _strip_moved(self, change: Mapping[str, Any]) -> None:
        if self._same_text():
            self.session.set_trait(change["name"], change["new"])
        self._cursor_soon.ask()

    def _cursor_moved(self, change: Mapping[str, Any]) -> None:
        if self._same_text():
            self.strip.set_trait(change["name"], change["new"])

    def _follow_cursor(self) -> None:
        if not self._connected or self.result is None:
            return
        if self.tabs.selected_index == TABLE:
            self.table.show(self._table(self.result), self.token)
        else:
            self.chart.update(self.CHART.cursor(self.token))

    def _connect_chart(self, figure: go.FigureWidget) -> None:
        for mark in figure.data:
            if str(mark.meta).endswith("tokens"):
                mark.on_hover(lambda _, points, __: self._point(points, "hover"))
                mark.on_unhover(lambda *_: setattr(self.strip, "hover", -1))
                mark.on_click(lambda _, points, __: self._point(points, "cursor"))
        figure.layout.on_change(self._zoomed, "xaxis.range")

    def _point(self, points: Any, name: str) -> None:  # noqa: ANN401
        if points.xs:
            self.strip.set_trait(name, round(points.xs[0]))

    def _zoomed(self, _: go.Layout, visible: tuple[float, float] | None) -> None:
        """The reader zoomed: long series are reduced anew for what is in sight."""
        if self._redrawing or visible is None:
            return
        end = len(self.trace) - 0.5
        low, high = max(visible[0], -0.5), min(visible[1], end)
        self._visible = None if low <= -0.5 and high >= end else (low, high)
        if len(self.trace) > self.CHART.points:
            self._redraw()

    def _alternatives(self, position: int) -> list[tuple[str, float]]:
        return alternatives(self.trace, position)

    # --- export ---------------------------------------------------------------------------------------------------

    def _exportable(self) -> Exportable | None:
        if self._soon.due:
            self._recompute()
        if self.result is None:
            raise TraceError(f"There is no replay to export: {self._problem}")
        about = {**self._about(self.result), "method": self.STEM, "settings": self.settings.to_dict()}
        return Exportable(self.STEM, self._figure(cursor=False), self._table(self.result), about, tall=1.2)

    def close(self) -> None:
        """Close sliders, chart and tables, and let go of the session."""
        if self._connected:  # a widget is closed once more when it is collected, also one that was never finished
            self._connected = False
            self._soon.cancel()
            self._cursor_soon.cancel()
            self.session.unobserve(self._trace_changed, "trace")
            self.session.unobserve(self._cursor_moved, ["cursor", "hover"])
            for part in (self.chart, self.table, self.details, *self.controls.values(), *_parts_of(self)):
                part.close()
        super().close()
