"""A chart that is built when first shown, changed in place after that, and closed with its panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from widgets.controls.chart import Chart
from widgets.controls.fit import Fit
from widgets.figures.series import Updates, update_figure
from widgets.figures.template import CONFIG, Theme, apply_theme

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import plotly.graph_objects as go


class FigureBox(ipywidgets.VBox):  # a VBox stretches its child to the full width
    """Holds one FigureWidget; every FigureWidget carries a copy of plotly.js, so none is made before it is seen.

    Args:
        build: makes the figure as it should look now.
        connect: attaches hover and click handlers to the fresh widget, where there are any.
        height: pixels.
    """

    def __init__(
        self, build: Callable[[], go.Figure], connect: Callable[[go.FigureWidget], None] | None, *, height: int = 300
    ) -> None:
        self._build, self._connect, self._height = build, connect, height
        self._shown: go.Figure | None = None
        self._since: Updates = {}
        self._layout_since: dict[str, Any] = {}
        self.figure: Chart | None = None
        super().__init__(layout={"width": "100%", "min_height": f"{height}px", "overflow": "hidden"})

    def unveil(self) -> Chart:
        """Show the chart, building it the first time."""
        if self.figure is None:
            self._shown = self._build()
            self.figure = Chart(self._shown)
            self.figure.layout.update(height=self._height, autosize=True)
            self.figure._config = dict(CONFIG)  # noqa: SLF001  -- plotly has no other way
            if self._connect is not None:
                self._connect(self.figure)
            self.children = (self.figure, Fit())
        return self.figure

    def update(self, updates: Updates, layout: Mapping[str, Any] | None = None) -> None:
        """Change what is shown, in one message; nothing where nothing is built yet."""
        if self.figure is not None and self._shown is not None:
            update_figure(self.figure, updates, layout)
            for role, properties in updates.items():  # `show` compares with it; until then it need not be drawn up
                self._since.setdefault(role, {}).update(properties)
            self._layout_since.update(layout or {})

    def show(self) -> None:
        """Build the figure anew and change what is different from the last one, in one message: a zoom stays."""
        if self.figure is None or self._shown is None:
            self.unveil()
            return
        before, self._shown = update_figure(self._shown, self._since, self._layout_since), self._build()
        self._since, self._layout_since = {}, {}
        same = [trace.type for trace in before.data] == [trace.type for trace in self._shown.data]
        earlier = len(self.figure.data)
        if not same:  # the new marks before their axes: plotly cannot lay out an axis that nothing is on
            self.figure.add_traces(self._shown.data)
        with self.figure.batch_update():
            if same:
                for old, new, live in zip(before.data, self._shown.data, self.figure.data, strict=True):
                    _change(live, old.to_plotly_json(), new.to_plotly_json())
            _change(self.figure.layout, before.layout.to_plotly_json(), self._shown.layout.to_plotly_json())
        if not same:
            self.figure.data = self.figure.data[earlier:]
            if self._connect is not None:
                self._connect(self.figure)

    def when_drawn(self, work: Callable[[], None]) -> None:
        """Do `work` once the browser has drawn what was changed; at once where there is nothing to draw."""
        if self.figure is None:
            work()
        else:
            self.figure.when_drawn(work)

    def recolour(self, theme: Theme) -> None:
        """Follow the theme."""
        if self.figure is not None:
            apply_theme(self.figure, theme)

    def close(self) -> None:
        """Close the chart and the box."""
        for child in self.children:
            child.close()
        super().close()


def _change(live: Any, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:  # noqa: ANN401  -- trace or layout
    """Assign to `live` what differs between two states; what is no longer there goes back to its default."""
    for name in before.keys() - now.keys():
        live[name] = None
    for name, value in now.items():
        if name not in before or not _equal(before[name], value):
            live[name] = value


def _equal(one: Any, other: Any) -> bool:  # noqa: ANN401  -- whatever JSON holds, and arrays
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        one, other = np.asarray(one), np.asarray(other)
        numbers = one.dtype.kind == other.dtype.kind == "f"
        return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=numbers))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
