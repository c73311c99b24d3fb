"""Several charts of one analysis in tabs, the numbers behind each in a last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.figure_box import FigureBox
from widgets.controls.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import plotly.graph_objects as go
    import polars as pl


@dataclass(frozen=True)
class TabChart:
    """One chart: how it is drawn, and the frame it is drawn from."""

    title: str
    """Of its tab."""
    stem: str
    """Of the files it is exported to."""
    draw: Callable[[], go.Figure]
    """The figure as it should look now."""
    frame: Callable[[], pl.DataFrame]
    """The numbers behind it."""
    clicked: Callable[[Any], None] | None = None
    """Called with a point's customdata."""
    hovered: Callable[[Any], None] | None = None
    """Called with the customdata of the point under the pointer; with None when the pointer leaves."""
    above: ipywidgets.Widget | None = None
    """Controls of this chart alone."""
    below: ipywidgets.Widget | None = None
    height: int = 400


class ChartTabs(ipywidgets.Tab):
    """Only the tab in sight is drawn; another is brought up to date when it is opened."""

    def __init__(self, charts: Sequence[TabChart]) -> None:
        self.charts = tuple(charts)
        self._boxes = [
            FigureBox(chart.draw, _pointer(chart.clicked, chart.hovered), height=chart.height) for chart in charts
        ]
        self._table, self._last = Table(), 0
        pages = [
            ipywidgets.VBox([part for part in (chart.above, box, chart.below) if part is not None])
            for chart, box in zip(charts, self._boxes, strict=True)
        ]
        super().__init__([*pages, self._table], titles=[*(chart.title for chart in charts), "Table"])
        self.observe(lambda _: self.refresh(), "selected_index")

    @property
    def chart(self) -> TabChart:
        """The chart in sight; with the table open, the one it belongs to."""
        return self.charts[self._last]

    def box(self, stem: str) -> FigureBox:
        """Where the chart of that stem is drawn."""
        return self._boxes[[chart.stem for chart in self.charts].index(stem)]

    def bring(self, stem: str) -> None:
        """Bring the chart of that stem to the front."""
        self.selected_index = [chart.stem for chart in self.charts].index(stem)

    def refresh(self) -> None:
        """Bring the tab in sight up to date."""
        tab = self.selected_index or 0
        if tab == len(self.charts):
            self._table.show(self.chart.frame())
            return
        self._last = tab
        self._boxes[tab].show()

    def close(self) -> None:
        """Close charts and tables."""
        for part in (*self._boxes, *self.children):
            part.close()
        super().close()


def _pointer(
    clicked: Callable[[Any], None] | None, hovered: Callable[[Any], None] | None
) -> Callable[[go.FigureWidget], None]:
    def connect(figure: go.FigureWidget) -> None:
        for mark in figure.data:
            if clicked is not None:
                mark.on_click(_told(clicked))
            if hovered is not None:
                mark.on_hover(_told(hovered))
                mark.on_unhover(_left(hovered))

    return connect


def _told(tell: Callable[[Any], None]) -> Callable[..., None]:
    def pick(mark: Any, points: Any, _: object) -> None:  # noqa: ANN401  -- plotly's
        if points.point_inds and mark.customdata is not None:
            tell(mark.customdata[points.point_inds[0]])

    return pick


def _left(tell: Callable[[Any], None]) -> Callable[..., None]:
    return lambda *_: tell(None)
