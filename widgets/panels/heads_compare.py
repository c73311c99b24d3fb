"""The heads on show against those of another text or of another step: what is higher, what is lower."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets
import polars as pl

from widgets.controls.closing import close_tree
from widgets.figures.heads_heatmap import head_heatmap
from widgets.panels.heads_grid import STATISTICS, HeadGrid
from widgets.panels.heads_measure import MeasureBar
from widgets.panels.heads_scene import said_figure
from widgets.panels.heads_training import StepChooser

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from widgets.panels.heads_scene import HeadScene
    from workbench.attention import HeadHistory, HeadStats
    from workbench.models import LanguageModel

WORDS = 24
"""Pixels of the line below the chart."""
_TEXT, _STEP = "another text", "a step of a training"


class CompareTab:
    """A second text or step, and the difference.

    Args:
        scene: the panel as it is now.
        model: what measures the second text.
        changed: called when there is something new to draw.
        history: whose steps can be compared with.
        texts: whether it is a text that the heatmap shows at first.
    """

    def __init__(
        self,
        scene: Callable[[], HeadScene],
        model: Callable[[], LanguageModel | None],
        changed: Callable[[], None],
        history: HeadHistory | None,
        *,
        texts: bool,
    ) -> None:
        self._scene, self._changed = scene, changed
        self.stats: HeadStats | None = None
        """Of the second text."""
        options = [_TEXT, _STEP] if texts else [_STEP, _TEXT]
        options = [one for one in options if one == _TEXT or history is not None]
        self.other = ipywidgets.Dropdown(
            options=options, description="minus", style={"description_width": "initial"}, layout={"width": "210px"},
            tooltip="What is taken from the heads that the heatmap shows",
        )  # fmt: skip
        self.bar = MeasureBar(model, self._measured)
        self.steps = None if history is None else StepChooser(history, changed, last=False)
        self.above = ipywidgets.HBox([self.other], layout={"align_items": "center"})
        self.words = ipywidgets.HTML(layout={"height": f"{WORDS}px"})
        """What is taken from what."""
        self.other.observe(lambda _: self._turn(), "value")
        self._arrange()

    @property
    def grid(self) -> HeadGrid | None:
        """The heads to compare with; None before a second text is measured."""
        if self.other.value == _STEP and self.steps is not None:
            return self.steps.grid()
        scene = self._scene()
        if self.stats is None:
            return None
        return HeadGrid.of_stats(self.stats.skipping(scene.view.skip_rows), scene.view, "over the other text")

    def draw(self) -> go.Figure:
        """The difference, head by head."""
        scene, other = self._scene(), self.grid
        self.words.value = ""
        if scene.grid is None or other is None:
            return said_figure("Measure another text to see how far the heads differ on it.", scene.theme)
        if problem := self._unlike(scene.grid, other, scene.column):
            return said_figure(problem, scene.theme)
        self.words.value = f"heads {escape(scene.grid.of)}, minus those {escape(other.of)}"
        return head_heatmap(
            scene.grid.values(scene.column), scene.grid.layers, name=STATISTICS.get(scene.column, scene.column),
            chosen=scene.chosen, other=other.values(scene.column), theme=scene.theme,
        )  # fmt: skip

    def frame(self) -> pl.DataFrame:
        """A row a head: both numbers and their difference."""
        scene, other = self._scene(), self.grid
        if scene.grid is None or other is None or self._unlike(scene.grid, other, scene.column):
            return pl.DataFrame()
        columns = ("layer", "head", scene.column)
        both = scene.grid.frame.select(columns).join(
            other.frame.select("layer", "head", other=scene.column), on=["layer", "head"], how="left"
        )
        return both.with_columns(difference=pl.col(scene.column) - pl.col("other"))

    def about(self) -> dict[str, Any] | None:
        """What is compared, for exports."""
        scene, other = self._scene(), self.grid
        if scene.grid is None or other is None:
            return None
        return {"shown": scene.grid.of, "minus": other.of, "text": self.bar.text.value or None}

    def _turn(self) -> None:
        self._arrange()
        self._changed()

    def _arrange(self) -> None:
        text = self.other.value == _TEXT
        inner = self.bar if text or self.steps is None else self.steps
        self.above.children = (self.other, inner)
        if text:
            self.bar.layout.flex = "1 1 auto"

    def _measured(self, stats: HeadStats, *_: object) -> None:
        self.stats = stats
        self._changed()

    @staticmethod
    def _unlike(one: HeadGrid, other: HeadGrid, column: str) -> str:
        if column not in one.frame.columns or column not in other.frame.columns:
            return f"Only one of the two has {STATISTICS.get(column, column)}: choose another statistic."
        if one.heads != other.heads:
            return (
                f"{one.of} has {len(one.frame)} heads in {len(one.layers)} layers, {other.of} {len(other.frame)} in "
                f"{len(other.layers)}: only heads of the same model can be taken from each other."
            )
        return ""

    def close(self) -> None:
        """Stop what runs, close the controls."""
        for part in (self.bar, *([self.steps] if self.steps else []), self.other, self.words, self.above):
            close_tree(part)  # one of the first two is in no box at the moment
