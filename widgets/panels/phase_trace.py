"""One trace in the phase panel: its phases and their means, the chart of its tokens, the cursor and the zoom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from widgets.figures.phase_chart import POINTS, PhaseData, phase_chart, phase_cursor, phase_layout, phase_series
from workbench.errors import WorkbenchError
from workbench.phases import phase_entropy, split

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from widgets.controls.figure_box import FigureBox
    from widgets.figures.template import Theme
    from widgets.panels.phase_settings import PhaseView
    from widgets.session import Session
    from workbench.phases import PhaseEntropy, PhaseSplit
    from workbench.traces import Trace


class TraceChart:
    """Phases of the session's trace, measured once for each way of looking at them.

    Args:
        session: whose trace and cursor.
        point: called with "hover" or "cursor" and a position; -1 when the pointer leaves.
    """

    def __init__(self, session: Session, point: Callable[[str, int], None]) -> None:
        self.session, self._point = session, point
        self.entropy: PhaseEntropy | None = None
        self.split: PhaseSplit | None = None
        self.problem = ""
        """Why there are no means."""
        self.visible: tuple[float, float] | None = None
        """Positions in sight; None for all."""
        self._of: tuple[Trace | None, str, str] = (None, "", "")
        self._theme: Theme = "light"
        self._box: FigureBox | None = None
        self._redrawing = False

    def measure(self, view: PhaseView) -> None:
        """Means of the trace as the view has them."""
        trace, before = self.session.trace, self._of
        if trace is before[0] and (view.kind, view.boundary) == before[1:]:
            return
        if trace is not before[0]:
            self.visible = None
        self._of = (trace, view.kind, view.boundary)
        self.entropy, self.split, self.problem = None, None, ""
        if trace is not None:
            try:
                self.entropy = phase_entropy(trace, kind=view.kind, boundary=view.boundary)
                self.split = split(trace, boundary=view.boundary)
            except WorkbenchError as problem:
                self.problem = str(problem)

    def draw(self, theme: Theme) -> go.Figure:
        """The chart as it should look now."""
        self._theme = theme
        return phase_chart(self._data(), cursor=self.session.shown, theme=theme)

    def listen(self, box: FigureBox) -> None:
        """Follow pointer and zoom in the chart, from when it is built."""
        if self._box is not None or box.figure is None:
            return
        self._box = box
        pointer = next(mark for mark in box.figure.data if mark.meta == "tokens")
        pointer.on_hover(lambda _, points, __: self._pointed(points, "hover"))
        pointer.on_unhover(lambda *_: self._point("hover", -1))
        pointer.on_click(lambda _, points, __: self._pointed(points, "cursor"))
        box.figure.layout.on_change(self._zoomed, "xaxis.range")

    def move_cursor(self, box: FigureBox) -> None:
        """Put the cursor's line where the session has it."""
        box.update(phase_cursor(self.session.shown))

    def _data(self) -> PhaseData | None:
        trace = self._of[0]
        if trace is None or self.entropy is None or self.split is None:
            return None
        return PhaseData(trace.tokens, self.split, self.entropy, visible=self.visible)

    def _pointed(self, points: Any, name: str) -> None:  # noqa: ANN401  -- plotly's
        if points.xs:
            self._point(name, round(points.xs[0]))

    def _zoomed(self, _: go.Layout, visible: tuple[float, float] | None) -> None:
        """The reader zoomed: a long trace is reduced anew for what is in sight."""
        data = self._data()
        if self._redrawing or visible is None or data is None or self._box is None:
            return
        low, high, end = max(visible[0], -0.5), min(visible[1], len(data.tokens) - 0.5), len(data.tokens) - 0.5
        self.visible = None if low <= -0.5 and high >= end else (low, high)
        if len(data.tokens) > POINTS and (now := self._data()) is not None:
            self._redrawing = True
            try:
                self._box.update(phase_series(now), phase_layout(now, theme=self._theme))
            finally:
                self._redrawing = False
