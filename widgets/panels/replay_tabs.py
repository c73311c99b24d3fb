"""A replay along its text as a chart, as a table, and what else there is to read of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import ipywidgets
import polars as pl

from widgets.controls.figure_box import FigureBox
from widgets.controls.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from widgets.figures.series import Updates
    from widgets.figures.template import Theme

R = TypeVar("R")

CHART, TABLE, DETAILS = range(3)
HEIGHT = 336
_NOTHING = pl.DataFrame()


@dataclass(frozen=True)
class ReplayView(Generic[R]):
    """How one kind of replay is shown. The chart's functions take `visible` and `points`, and None for no replay."""

    build: Callable[..., go.Figure]
    series: Callable[..., Updates]
    layout: Callable[..., dict[str, Any]]
    cursor: Callable[[int | None], Updates]
    points: int
    """Points a line may have."""
    table: Callable[[R], pl.DataFrame]
    """A row a token."""
    details: Callable[[R], pl.DataFrame]
    details_title: str


@dataclass(frozen=True)
class ReplayScene(Generic[R]):
    """What is to be seen now."""

    result: R | None
    """None where there is no replay."""
    tokens: int
    token: int | None
    """The one to show."""
    theme: Theme


class ReplayTabs(ipywidgets.Tab, Generic[R]):
    """Chart, table and details; what is not in sight is brought up to date when it is opened.

    Args:
        view: how this kind of replay is shown.
        scene: asked for what to show.
        point: called with "hover" or "cursor" and a position; -1 when the pointer leaves.
    """

    def __init__(
        self, view: ReplayView[R], scene: Callable[[], ReplayScene[R]], point: Callable[[str, int], None]
    ) -> None:
        self._view, self._scene, self._point = view, scene, point
        self.visible: tuple[float, float] | None = None
        """Positions in sight; None for all."""
        self._redrawing = False
        self.chart = FigureBox(lambda: self.figure(self._scene()), self._connect, height=HEIGHT)
        self.table, self.details = Table(), Table()
        super().__init__(
            [self.chart, self.table, self.details],
            titles=["Along the text", "Table", view.details_title],
            layout={"flex": "1 1 400px", "min_width": "360px", "width": "auto"},
        )
        self.observe(lambda _: self.refresh(), "selected_index")

    def figure(self, scene: ReplayScene[R]) -> go.Figure:
        """The chart as it should look now."""
        return self._view.build(
            scene.result, visible=self.visible, points=self._view.points, cursor=scene.token, theme=scene.theme
        )

    def refresh(self) -> None:
        """Bring the tab in sight up to date, building the chart the first time."""
        scene, tab = self._scene(), self.selected_index or 0
        if tab == TABLE:
            self._show_table(scene)
        elif tab == DETAILS:
            self.details.show(_NOTHING if scene.result is None else self._view.details(scene.result))
        elif self.chart.figure is None:
            self.chart.unveil()
        else:
            self._redraw(scene)

    def move_cursor(self) -> None:
        """Follow the cursor."""
        scene, tab = self._scene(), self.selected_index or 0
        if tab == TABLE:
            self._show_table(scene)
        elif tab == CHART:
            self.chart.update(self._view.cursor(scene.token))

    def _show_table(self, scene: ReplayScene[R]) -> None:
        if scene.result is None:
            self.table.show(_NOTHING)
        else:
            self.table.show(self._view.table(scene.result), scene.token)

    def _redraw(self, scene: ReplayScene[R]) -> None:
        sight = {"visible": self.visible, "points": self._view.points}
        updates = self._view.series(scene.result, **sight) | self._view.cursor(scene.token)
        self._redrawing = True
        try:
            self.chart.update(updates, self._view.layout(scene.result, **sight, theme=scene.theme))
        finally:
            self._redrawing = False

    def _connect(self, figure: go.FigureWidget) -> None:
        for mark in figure.data:
            if str(mark.meta).endswith("tokens"):
                mark.on_hover(lambda _, points, __: self._pointed(points, "hover"))
                mark.on_unhover(lambda *_: self._point("hover", -1))
                mark.on_click(lambda _, points, __: self._pointed(points, "cursor"))
        figure.layout.on_change(self._zoomed, "xaxis.range")

    def _pointed(self, points: Any, name: str) -> None:  # noqa: ANN401
        if points.xs:
            self._point(name, round(points.xs[0]))

    def _zoomed(self, _: go.Layout, visible: tuple[float, float] | None) -> None:
        """The reader zoomed: long series are reduced anew for what is in sight."""
        if self._redrawing or visible is None:
            return
        scene = self._scene()
        end = scene.tokens - 0.5
        low, high = max(visible[0], -0.5), min(visible[1], end)
        self.visible = None if low <= -0.5 and high >= end else (low, high)
        if scene.tokens > self._view.points:
            self._redraw(scene)

    def close(self) -> None:
        """Close chart and tables."""
        for part in (self.chart, self.table, self.details):
            part.close()
        super().close()
