"""A chart that is built when first shown, changed in place after that, and closed with its panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import plotly.graph_objects as go

from widgets.controls.fit import Fit
from widgets.figures.series import Updates, update_figure
from widgets.figures.template import CONFIG, Theme, apply_theme

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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
        self.figure: go.FigureWidget | None = None
        super().__init__(layout={"width": "100%", "min_height": f"{height}px", "overflow": "hidden"})

    def unveil(self) -> go.FigureWidget:
        """Show the chart, building it the first time."""
        if self.figure is None:
            self.figure = go.FigureWidget(self._build())
            self.figure.layout.update(height=self._height, autosize=True)
            self.figure._config = dict(CONFIG)  # noqa: SLF001  -- plotly has no other way
            if self._connect is not None:
                self._connect(self.figure)
            self.children = (self.figure, Fit())
        return self.figure

    def update(self, updates: Updates, layout: Mapping[str, Any] | None = None) -> None:
        """Change what is shown, in one message; nothing where nothing is built yet."""
        if self.figure is not None:
            update_figure(self.figure, updates, layout)

    def recolour(self, theme: Theme) -> None:
        """Follow the theme."""
        if self.figure is not None:
            apply_theme(self.figure, theme)

    def close(self) -> None:
        """Close the chart and the box."""
        for child in self.children:
            child.close()
        super().close()
