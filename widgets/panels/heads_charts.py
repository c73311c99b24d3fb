"""The charts in the tabs of the heads panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from widgets.figures.heads_bins import bins_figure
from widgets.figures.heads_rows import row_entropy_figure
from widgets.panels.chart_tabs import TabChart
from widgets.panels.heads_compare import WORDS, CompareTab
from widgets.panels.heads_scene import NO_TEXT, said_figure
from widgets.panels.heads_tabs import BoundsTab, PatternTab, TwinsTab
from widgets.panels.heads_training import TrainingTab

if TYPE_CHECKING:
    from collections.abc import Callable

    import plotly.graph_objects as go

    from widgets.panels.heads_scene import HeadScene
    from workbench.attention import HeadHistory, HeadRedundancy
    from workbench.models import LanguageModel

HEIGHT = 290
"""Of a chart with controls above it; so that nothing moves from tab to tab, another is as much taller."""
_BARE = HEIGHT + 32


class HeadCharts:
    """One tab a question.

    Args:
        scene: the panel as it is now.
        model: what measures a second text.
        redraw: called when there is something new to draw.
        stepped: called when another step of the training is chosen.
        clicked: called with the customdata of a head that is clicked.
        pointed: called with the position of a token that is clicked.
        history: the training, where there is one.
        texts: whether there can be a text; else only what a history shows.
    """

    def __init__(
        self,
        scene: Callable[[], HeadScene],
        redraw: Callable[[], None],
        stepped: Callable[[], None],
        clicked: Callable[[Any], None],
        *,
        pointed: Callable[[int], None],
        model: Callable[[], LanguageModel | None],
        history: HeadHistory | None,
        texts: bool,
    ) -> None:
        self._scene = scene
        self.pattern, self.bounds, self.twins = (
            PatternTab(scene, redraw),
            BoundsTab(scene, redraw),
            TwinsTab(scene, redraw),
        )
        self.training = None if history is None else TrainingTab(history, scene, stepped)
        self.compare = CompareTab(scene, model, redraw, history, texts=texts)
        of_text = [
            TabChart("Rows", "rows", self._draw_rows, self._rows, lambda token: pointed(int(token)), height=_BARE),
            TabChart(
                "Pattern", "pattern", self.pattern.draw, self.pattern.frame, above=self.pattern.above, height=HEIGHT
            ),
            *(
                TabChart(stem.capitalize(), stem, tab.draw, tab.frame, clicked, above=tab.above, height=HEIGHT)
                for stem, tab in (("bounds", self.bounds), ("twins", self.twins))
            ),
        ]
        training = self.training
        self.tabs = [
            *(of_text if texts else []),
            *(
                []
                if training is None
                else [
                    TabChart("Training", "training", training.draw, training.frame, above=training.above, height=HEIGHT)
                ]
            ),
            TabChart("Bins", "bins", self._draw_bins, self._bins, height=_BARE),
            TabChart(
                "Compare", "compare", self.compare.draw, self.compare.frame, clicked, above=self.compare.above,
                below=self.compare.words, height=HEIGHT - WORDS,
            ),
        ]  # fmt: skip

    def redundancy(self) -> HeadRedundancy | None:
        """How alike the heads of the text are, where that is known."""
        return self.twins.redundancy

    def twins_pending(self) -> str:
        """What to say while it is not."""
        return "comparing the heads …" if self.twins.work.waiting else ""

    def wait(self, seconds: float = 60) -> bool:
        """Wait for what is under way; true when there is nothing left."""
        return all(tab.work.wait(seconds) for tab in (self.pattern, self.bounds, self.twins)) and self.compare.bar.wait(
            seconds
        )

    def _draw_rows(self) -> go.Figure:
        scene = self._scene()
        if scene.stats is None or scene.head_in_text is None:
            return said_figure(NO_TEXT, scene.theme)
        return row_entropy_figure(
            scene.stats, *scene.head_in_text, normalizer=scene.view.normalizer, collapse_cut=scene.view.collapse_cut,
            cursor=scene.token, theme=scene.theme,
        )  # fmt: skip

    def _rows(self) -> pl.DataFrame:
        scene = self._scene()
        if scene.stats is None or scene.head_in_text is None:
            return pl.DataFrame()
        return scene.stats.row_frame(*scene.head_in_text)

    def _draw_bins(self) -> go.Figure:
        scene = self._scene()
        if scene.grid is None:
            return said_figure(NO_TEXT, scene.theme)
        return bins_figure(scene.grid.bins(scene.view), theme=scene.theme)

    def _bins(self) -> pl.DataFrame:
        scene = self._scene()
        return pl.DataFrame() if scene.grid is None else scene.grid.bins(scene.view).to_frame()

    def close(self) -> None:
        """Stop what runs, close the tabs' controls."""
        for tab in (self.pattern, self.bounds, self.twins, self.compare, *([self.training] if self.training else [])):
            tab.close()
