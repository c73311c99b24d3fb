"""The heatmap of the heads with its menus: which statistic, whose heads, which head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets

from widgets.controls.figure_box import FigureBox
from widgets.panels.heads_grid import STATISTICS
from widgets.panels.heads_keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from widgets.panels.heads_grid import HeadGrid

TEXT, TRAINING = "of the text", "of the training"
HEIGHT = 330


class HeadMap(ipywidgets.VBox):
    """A cell a head; a click, the arrow keys or the two menus choose one.

    Args:
        draw: makes the heatmap as it should look now.
        changed: called when another statistic, other heads or another head is asked for.
        training: whether there is a training whose heads can be shown instead of the text's.
    """

    def __init__(self, draw: Callable[[], go.Figure], changed: Callable[[], None], *, training: bool) -> None:
        self._changed, self._quiet = changed, False
        self._grid: HeadGrid | None = None
        self.statistic = ipywidgets.Dropdown(
            options=[(words, name) for name, words in STATISTICS.items()], value="entropy_by_support",
            tooltip="What the cells show", layout={"flex": "1 1 auto", "width": "auto", "min_width": "0"},
        )  # fmt: skip
        self.whose = ipywidgets.Dropdown(
            options=[TEXT, TRAINING], tooltip="Whose heads; moving the training's step slider shows the training's",
            layout={"width": "128px", "display": "" if training else "none"},
        )  # fmt: skip
        self.layer, self.head = (
            ipywidgets.Dropdown(
                options=[], description=name, tooltip=f"{name} of the chosen head", layout={"width": "104px"},
                style={"description_width": "44px"},
            )
            for name in ("Layer", "Head")
        )  # fmt: skip
        self.choice = ipywidgets.HBox([self.layer, self.head])
        """The two menus of the head; the panel finds them a place."""
        self.box = FigureBox(draw, self._connect, height=HEIGHT)
        self.arrows = Keys(self._stepped)
        super().__init__([ipywidgets.HBox([self.statistic, self.whose]), self.box, self.arrows])
        self.add_class("workbench-heads-map")
        for menu in (self.statistic, self.whose, self.head):
            menu.observe(lambda _: self._tell(), "value")
        self.layer.observe(lambda _: self._layer_moved(), "value")

    @property
    def chosen(self) -> tuple[int, int] | None:
        """Layer and head; None while there are none."""
        if self._grid is None or self.layer.value is None or self.head.value is None:
            return None
        return self.layer.value, self.head.value

    @property
    def column(self) -> str:
        """The statistic on show."""
        return str(self.statistic.value)

    def offer(self, grid: HeadGrid | None) -> None:
        """Other heads to choose from, without telling anybody; the one chosen stays where it is among them."""
        self._grid = grid
        if grid is None:
            return
        layer, head = grid.near(self.chosen)
        self._quiet = True
        self._options(self.layer, grid.layers, layer)
        self._options(self.head, grid.heads[layer], head)
        columns = [(STATISTICS.get(name, name), name) for name in grid.frame.columns[2:]]
        if list(self.statistic.options) != columns:
            self._options(self.statistic, columns, self.column if self.column in grid.frame.columns else columns[0][1])
        self._quiet = False

    def choose(self, place: Any) -> None:  # noqa: ANN401  -- a point's customdata: layer and head
        """Choose a head, where it is there."""
        layer, head = (int(number) for number in place[:2])
        if self._grid is None or head not in self._grid.heads.get(layer, ()) or (layer, head) == self.chosen:
            return
        self._quiet = True
        self._options(self.layer, self._grid.layers, layer)
        self._options(self.head, self._grid.heads[layer], head)
        self._quiet = False
        self._changed()

    def show_training(self) -> None:
        """Show the training's heads, without telling anybody."""
        self._quiet = True
        self.whose.value = TRAINING
        self._quiet = False

    def _stepped(self, up: int, right: int) -> None:
        """An arrow key: a layer up or down, a head right or left."""
        if self._grid is None or self.chosen is None:
            return
        layers, (layer, head) = self._grid.layers, self.chosen
        place = min(max(layers.index(layer) + up, 0), len(layers) - 1)
        heads = self._grid.heads[layers[place]]
        self.choose((layers[place], min(max(head + right, heads[0]), heads[-1])))

    def _layer_moved(self) -> None:
        if not self._quiet and self._grid is not None:
            self._quiet = True
            heads = self._grid.heads[self.layer.value]
            self._options(self.head, heads, self.head.value if self.head.value in heads else heads[-1])
            self._quiet = False
            self._changed()

    def _tell(self) -> None:
        if not self._quiet:
            self._changed()

    @staticmethod
    def _options(menu: ipywidgets.Dropdown, options: Any, value: Any) -> None:  # noqa: ANN401
        if list(menu.options) != list(options):
            menu.options = options
        menu.value = value

    def _connect(self, figure: go.FigureWidget) -> None:
        def pick(mark: Any, points: Any, _: object) -> None:  # noqa: ANN401  -- plotly's
            if points.point_inds and mark.customdata is not None:
                self.choose(mark.customdata[points.point_inds[0]])

        for mark in figure.data:
            mark.on_click(pick)

    def close(self) -> None:
        """Close the chart and the menus."""
        for part in (self.statistic, self.whose, self.layer, self.head, self.choice, *self.children):
            part.close()
        super().close()
