"""The middle of the sampler panel: the trace under A and B as a chart, as a summary and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.figure_box import FigureBox
from widgets.controls.table import Table
from widgets.figures.sampler_chart import sampler_chart, sampler_cursor, sampler_layout
from widgets.figures.sampler_series import moved_series, sampler_series
from widgets.panels.sampler_summary import summary_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import plotly.graph_objects as go

    from widgets.panels.sampler_replays import SamplerScene

CHART, SUMMARY, TABLE = range(3)
HEIGHT = 424


class AlongTheTrace(ipywidgets.Tab):
    """Chart, summary and table; what is not in sight is brought up to date when it is opened.

    Args:
        scene: asked for what to show.
        point: called with a position and whether it was clicked (or only pointed at); -1 when the pointer leaves.
        columns: asked for the summary's column titles and what they stand for.
    """

    def __init__(
        self,
        scene: Callable[[], SamplerScene],
        point: Callable[[int, bool], None],
        columns: Callable[[], Mapping[str, str]],
    ) -> None:
        self._scene, self._point, self._columns = scene, point, columns
        self.visible: tuple[float, float] | None = None
        self._redrawing = False
        self.chart = FigureBox(lambda: self.figure(self._scene()), self._connect, height=HEIGHT)
        self.summary = ipywidgets.HTML(layout={"height": f"{HEIGHT}px", "overflow": "auto"})
        self.table = Table()
        super().__init__([self.chart, self.summary, self.table], titles=["Along the trace", "Summary", "Table"])
        self.observe(lambda _: self.refresh(), "selected_index")

    @staticmethod
    def figure(scene: SamplerScene) -> go.Figure:
        """The chart as it should look now."""
        r = scene.replays
        return sampler_chart(
            r.tokens, r.a, r.b, scene.view, vocabulary=r.vocabulary, cursor=scene.token, theme=scene.theme
        )

    def refresh(self, *, a_alone: bool = False) -> None:
        """Bring the tab in sight up to date; where `a_alone` has moved, only what follows it."""
        scene, tab = self._scene(), self.selected_index or 0
        r = scene.replays
        if tab == TABLE:
            self.table.show(r.to_frame(), scene.token)
        elif tab == SUMMARY:
            self.summary.value = (
                summary_table({"before": r.raw, "A": r.a, "B": r.b}, self._columns(), scene.view.unit)
                or "There is nothing to sum up."
            )
        elif self.chart.figure is None:
            self.chart.unveil()
        else:
            self._redraw(scene, a_alone=a_alone)

    def move_cursor(self) -> None:
        """Follow the cursor."""
        scene, tab = self._scene(), self.selected_index or 0
        if tab == TABLE:
            self.table.show(scene.replays.to_frame(), scene.token)
        elif tab == CHART:
            self.chart.update(sampler_cursor(scene.token))

    def _redraw(self, scene: SamplerScene, *, a_alone: bool) -> None:
        r, view = scene.replays, scene.view
        if a_alone:
            self.chart.update(moved_series(r.tokens, r.a, view))
            return
        series = sampler_series(r.tokens, r.a, r.b, view)
        layout = sampler_layout(r.tokens, r.a, view, vocabulary=r.vocabulary, theme=scene.theme)
        self._redrawing = True
        try:
            self.chart.update(series | sampler_cursor(scene.token), layout)
        finally:
            self._redrawing = False

    def _connect(self, figure: go.FigureWidget) -> None:
        for pointer in (mark for mark in figure.data if mark.meta in ("tokens", "kept_tokens")):
            pointer.on_hover(lambda _, points, __: self._pointed(points, pin=False))
            pointer.on_unhover(lambda *_: self._point(-1, False))
            pointer.on_click(lambda _, points, __: self._pointed(points, pin=True))
        figure.layout.on_change(self._zoomed, "xaxis.range")

    def _pointed(self, points: Any, *, pin: bool) -> None:  # noqa: ANN401
        if points.xs:
            self._point(round(points.xs[0]), pin)

    def _zoomed(self, _: go.Layout, visible: tuple[float, float] | None) -> None:
        """The reader zoomed: long series are reduced anew for what is in sight."""
        if self._redrawing or visible is None:
            return
        r = self._scene().replays
        low, high = max(visible[0], -0.5), min(visible[1], len(r.tokens) - 0.5)
        whole = low <= -0.5 and high >= len(r.tokens) - 0.5
        self.visible = None if whole else (low, high)
        view = self._scene().view
        if len(r.tokens) > view.points:
            self.chart.update(sampler_series(r.tokens, r.a, r.b, view))

    def close(self) -> None:
        """Close chart and tables."""
        for part in self.children:
            part.close()
        super().close()
